"""`flask10x shell`: what a shell knows of the commands: completion, and manual pages."""

import re
from collections.abc import Iterator
from gettext import gettext as _
from pathlib import Path

import click
from click.shell_completion import get_completion_class

import flask10x
from flask10x.commands import translated
from flask10x.translation import Language

NAME = "flask10x"
# What `click` reads when the shell asks: the same name is in its own documents.
VARIABLE = f"_{NAME.upper()}_COMPLETE"
LANGUAGES: tuple[Language, ...] = ("en", "ja")
# Where manual pages of a language are, as `man` looks for them.
FOLDERS: dict[Language, str] = {"en": "man1", "ja": "ja/man1"}


@click.group(cls=translated.TranslatedGroup)
def command() -> None:
    """Completion and manual pages for the shell."""


@command.command("complete")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def complete(ctx: click.Context, shell: str) -> None:
    """Print the program that completes commands and options in this shell."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.ClickException(_("there is no completion for {shell}").format(shell=shell))
    click.echo(kind(ctx.find_root().command, {}, NAME, VARIABLE).source())


@command.command("man")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.pass_context
def man(ctx: click.Context, folder: Path) -> None:
    """Write the manual pages of all commands into a folder, in English and Japanese."""
    root = ctx.find_root().command
    for language in LANGUAGES:
        below = folder / FOLDERS[language]
        below.mkdir(parents=True, exist_ok=True)
        with translated.speaking(language):
            for each in _all(click.Context(root, info_name=NAME)):
                page = below / f"{each.command_path.replace(' ', '-')}.1"
                page.write_text("".join(f"{line}\n" for line in _page(each)), encoding="utf-8")


def _all(ctx: click.Context) -> Iterator[click.Context]:
    """Yield the context of each command, a group before its own."""
    yield ctx
    for name, each in _commands(ctx):
        yield from _all(translated.TranslatedContext(each, ctx, name))


def _commands(ctx: click.Context) -> Iterator[tuple[str, click.Command]]:
    group = ctx.command
    if isinstance(group, click.Group):
        for name in group.list_commands(ctx):
            if (each := group.get_command(ctx, name)) and not each.hidden:
                yield name, each


def _page(ctx: click.Context) -> Iterator[str]:
    """Yield the lines of a manual page (man 7 man)."""
    command, title = ctx.command, ctx.command_path.replace(" ", "-")
    help_text = command.help or ""
    paragraphs = [translated.joined(part) for part in re.split(r"\n\s*\n", help_text)]
    yield f'.TH "{title.upper()}" 1 "" "Flask10X {flask10x.__version__}" "Flask10X"'
    # Japanese has no spaces that could be made wider.
    yield ".na"
    yield from (
        f'.SH "{_("Name")}"',
        f"{_roff(title)} \\- {_roff(command.get_short_help_str(200))}",
    )
    usage = " ".join(command.collect_usage_pieces(ctx))
    yield from (f'.SH "{_("Synopsis")}"', f"\\fB{_roff(ctx.command_path)}\\fR {_roff(usage)}")
    yield f'.SH "{_("Description")}"'
    for paragraph in paragraphs:
        yield from (".PP", _roff(paragraph))
    options = [each for each in command.params if isinstance(each, click.Option)]
    records = [option.get_help_record(ctx) for option in options]
    yield from _listed(_("Options"), [record for record in records if record])
    commands = [(name, each.get_short_help_str(200)) for name, each in _commands(ctx)]
    yield from _listed(_("Commands"), commands)
    others = [ctx.parent] if ctx.parent else []
    names = [other.command_path for other in others]
    names += [f"{ctx.command_path} {name}" for name, _each in commands]
    if names:
        yield f'.SH "{_("See also")}"'
        yield ", ".join(f"\\fB{_roff(name.replace(' ', '-'))}\\fR(1)" for name in names)


def _listed(heading: str, rows: list[tuple[str, str]]) -> Iterator[str]:
    if rows:
        yield f'.SH "{heading}"'
    for name, meaning in rows:
        yield from (".TP", f"\\fB{_roff(name)}\\fR", _roff(translated.joined(meaning)))


def _roff(text: str) -> str:
    """Return the text as it is, whatever of it means something to roff."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
