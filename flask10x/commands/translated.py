"""click's commands and options, with a help in the language of `commands/language.py`.

A help is written in English where click has it: as docstring, or as `help=`. It is looked up when
it is shown, because modules are loaded before the language is chosen.
"""

import inspect
from functools import partial
from gettext import gettext
from gettext import gettext as _
from typing import Any

import click

from flask10x.commands.wrapping import Formatter

# A sentence of Japanese ends with it.
FULL_STOP = "。"


class _Translated:
    """A part of the command line whose attribute `help` is in the language chosen."""

    _english: str | None = None

    @property
    def help(self) -> str | None:
        return None if self._english is None else gettext(self._english)

    @help.setter
    def help(self, english: str | None) -> None:
        self._english = None if english is None else inspect.cleandoc(english)


class TranslatedContext(click.Context):
    """Its help has lines that fit, whether their characters are narrow or wide."""

    formatter_class = Formatter


class TranslatedCommand(_Translated, click.Command):
    """A command with its help in the language chosen."""

    context_class = TranslatedContext

    def get_short_help_str(self, limit: int = 45) -> str:
        """The first sentence, as a list of commands shows it."""
        text = self.help or ""
        if text.isascii():
            return super().get_short_help_str(limit)
        return text.partition(FULL_STOP)[0]


class TranslatedGroup(TranslatedCommand, click.Group):
    """A group of commands with its help in the language chosen."""

    command_class = TranslatedCommand


class TranslatedOption(_Translated, click.Option):
    """An option with its help in the language chosen."""

    def get_help_extra(self, ctx: click.Context) -> Any:
        """As click's own, whose word for what has to be given is no text of its program."""
        extra = super().get_help_extra(ctx)
        if "required" in extra:
            extra["required"] = _("required")
        return extra


command = partial(click.command, cls=TranslatedCommand)
option = partial(click.option, cls=TranslatedOption)
