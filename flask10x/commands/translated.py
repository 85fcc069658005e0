"""click's commands and options, with a help in the language in which the command speaks.

Modules of all layers say `_("…")`, which is `gettext.gettext`: English until `choose_language` has
found Japanese. The service never chooses, so its log and its answers stay English
(docs/decisions/0028-documents-and-translation.md).

A help is written in English where click has it: as docstring, or as `help=`. It is looked up when
it is shown, because modules are loaded before the language is chosen.
"""

import gettext
import inspect
import io
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from gettext import gettext as _
from typing import Any
from unicodedata import east_asian_width

import click

from flask10x.translation import CATALOGUES, DOMAIN, Language, of_messages

# The domain of gettext before a language is chosen, which has no catalogue.
NO_DOMAIN = "messages"
# Any Japanese text; an encoding that has no word for it can't show a message either.
SAMPLE = "日本語"


def choose_language(environ: Mapping[str, str]) -> None:
    """Speak the language of the environment from now on, as far as the terminal can show it.

    Japanese where that comes before English in LANGUAGE, LC_ALL, LC_MESSAGES or LANG.

    Also of click's own words, which come by way of gettext too. From here on no character that the
    terminal's encoding lacks ends a command: it is written as an escape.
    """
    streams = [s for s in (sys.stdout, sys.stderr) if isinstance(s, io.TextIOWrapper)]
    if of_messages(environ) == "ja" and all(map(_shows_japanese, streams)):
        _speak_japanese()
    else:
        speak_english()
    for stream in streams:
        if stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def speak_english() -> None:
    """English from now on, for what programs and the journal read."""
    gettext.textdomain(NO_DOMAIN)


def _speak_japanese() -> None:
    gettext.bindtextdomain(DOMAIN, CATALOGUES)
    gettext.textdomain(DOMAIN)


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """This language in the block, whatever the terminal can show, for what goes into a file."""
    before, variable = gettext.textdomain(), os.environ.get("LANGUAGE")
    # The catalogue is found by it.
    os.environ["LANGUAGE"] = language
    (_speak_japanese if language == "ja" else speak_english)()
    try:
        yield
    finally:
        gettext.textdomain(before)
        os.environ.pop("LANGUAGE")
        if variable is not None:
            os.environ["LANGUAGE"] = variable


def _shows_japanese(stream: io.TextIOWrapper) -> bool:
    try:
        SAMPLE.encode(stream.encoding)
    except UnicodeEncodeError:
        return False
    return True


# Help texts in lines that fit the terminal, where a Japanese character takes two columns.
#
# click counts characters and breaks at spaces, of which Japanese has none. A line is broken
# between words here, as far as the kinds of their characters tell them apart.

# No line ends with what opens, none begins with what closes (JIS X 4051, as far as needed here).
OPENING = r"（「『【\[("
CLOSING = r"、。，．：；？！）」』】・…\]):"
NARROW = r"[!-~\u00a1-\u02ff\u2010-\u2bff]"
HIRAGANA = "[ぁ-ん]"
# What stays together: a word with the hiragana that end it, and a number with what it counts.
_PIECE = re.compile(
    rf"[{OPENING}]*(?:(?:\d[\d,.]* )?(?:{NARROW}+(?: (?={HIRAGANA}))?|[ァ-ー]+|[一-龠々]+|[^\s])"
    rf"{HIRAGANA}*)[{CLOSING}]*|\s+"
)
# The end of a line within Japanese is dropped, elsewhere it becomes a space.
_BETWEEN_WIDE = re.compile(r"(?<=[^\x00-\x7f])\n(?=[^\x00-\x7f])")
# As click: a value's column is never narrower, whatever the terminal.
LEAST_COLUMNS = 10


def columns(text: str) -> int:
    """Return how many columns a text takes (https://www.unicode.org/reports/tr11/)."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def joined(paragraph: str) -> str:
    """Return the paragraph in one line."""
    return " ".join(_BETWEEN_WIDE.sub("", paragraph).split())


def wrap(text: str, width: int) -> str:
    """Return a text of one or more paragraphs in lines of at most this many columns."""
    if text.isascii():
        return click.wrap_text(text, width, preserve_paragraphs=True)
    return "\n\n".join("\n".join(_lines(part, width)) for part in re.split(r"\n\s*\n", text))


def _lines(paragraph: str, width: int) -> Iterator[str]:
    line = ""
    for piece in _PIECE.findall(joined(paragraph)):
        if line and columns(line + piece.rstrip()) > width:
            yield line.rstrip()
            line = piece.lstrip()
        else:
            line += piece
    yield line.rstrip()


class Formatter(click.HelpFormatter):
    """click's layout of a help, with lines measured in columns."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """The line of usage, whose arguments are plain ASCII."""
        shown = prefix or f"{_('Usage:')} "
        # click indents by the number of characters; these are as many as there are columns.
        stand_in = "_" * columns(shown)
        before = len(self.buffer)
        super().write_usage(prog, args, stand_in)
        self.buffer[before:] = ["".join(self.buffer[before:]).replace(stand_in, shown, 1)]

    def write_text(self, text: str) -> None:
        """Paragraphs, at the current indentation."""
        indent = " " * self.current_indent
        lines = wrap(text, max(self.width - self.current_indent, LEAST_COLUMNS + 1)).split("\n")
        self.write("".join(f"{indent}{line}".rstrip() + "\n" for line in lines))

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """Names on the left, plain ASCII, and what they mean on the right."""
        rows = list(rows)
        first = min(max(len(row[0]) for row in rows), col_max) + col_spacing
        width = max(self.width - first - 2, LEAST_COLUMNS)
        indent = " " * (first + self.current_indent)
        for name, meaning in rows:
            head = f"{'':>{self.current_indent}}{name}"
            lines = wrap(meaning, width).splitlines() if meaning else []
            if lines and len(name) <= first - col_spacing:
                head = f"{head:<{len(indent)}}{lines.pop(0)}"
            self.write(f"{head}\n" + "".join(f"{indent}{line}".rstrip() + "\n" for line in lines))


# A sentence of Japanese ends with it.
FULL_STOP = "。"


class _Translated:
    """A part of the command line whose attribute `help` is in the language chosen."""

    _english: str | None = None

    @property
    def help(self) -> str | None:
        return None if self._english is None else gettext.gettext(self._english)

    @help.setter
    def help(self, english: str | None) -> None:
        self._english = None if english is None else inspect.cleandoc(english)


class TranslatedContext(click.Context):
    """Its help has lines that fit, whether their characters are narrow or wide."""

    formatter_class = Formatter


class TranslatedCommand(_Translated, click.Command):
    """A command with its help in the language chosen."""

    context_class = TranslatedContext

    def get_short_help_str(self, limit: int = 45) -> str:  # noqa: ARG002
        """Return the first sentence, as a list of commands shows it: whole, in lines that fit."""
        text = joined((self.help or "").partition("\n\n")[0])
        if text.isascii():
            first, stop, _rest = text.partition(". ")
            return first + stop.rstrip()
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
