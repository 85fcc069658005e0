"""The command `flask10x`. Each command is a module of this folder, loaded when it is called."""

import atexit
import importlib
import logging
import os
import signal
import sys
from collections.abc import Sequence
from gettext import gettext as _

import click
from click.shell_completion import CompletionItem

import flask10x
from flask10x.commands import translated
from flask10x.config.settings import process_user
from flask10x.errors import Flask10xError
from flask10x.translation import N_, message

COMMANDS = {
    "serve": N_("Receive readings until stopped."),
    "service": N_("Install, update or remove the service of systemd."),
    "migrate": N_("Create the database, or bring it up to date."),
    "export": N_("Append new readings to the CSV files."),
    "import": N_("Store the rows of old CSV files."),
    "backup": N_("Back up the whole house into one file."),
    "restore": N_("Replace the database and the house with a backup."),
    "copy": N_("Copy a database: from SQLite to PostgreSQL, or back."),
    "check": N_("Check the database, disk, service, exports and backups."),
    "stations": N_("Add stations and check them (stations.toml)."),
    "alerts": N_("Check and test alert rules and channels (alerts.toml)."),
    "admin-link": N_("Print a link that makes a browser an administrator."),
    "rejected": N_("Show rejected readings, and store those that are valid now."),
    "rollups": N_("Show or rebuild the hourly totals of the charts."),
    "verify": N_("Compare all copies of the readings, and repair them."),
    "mqtt": N_("Receive readings from an MQTT broker, and publish them."),
    "datasette": N_("Write a metadata file for Datasette."),
    "shell": N_("Write shell completion and manual pages."),
}
"""What each does, in a line. The list of commands is made of it, so that none is loaded for it."""
# One name is a keyword of Python, and one has a hyphen.
MODULES = {"import": "import_", "admin-link": "admin_link"}


class _Commands(translated.TranslatedGroup):
    """Loads only the command that is called, so that `export` never loads Flask."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section(_("Commands")):
            formatter.write_dl([(name, message(about)) for name, about in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = [
            CompletionItem(name, help=message(about))
            for name, about in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        # Without the commands of a group, which click would load.
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"flask10x.commands.{MODULES.get(name, name)}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Like click's own, which suggests only commands that are loaded."""
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            name = error.command_name
            raise click.NoSuchCommand(name, possibilities=[*COMMANDS], ctx=ctx) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(
    flask10x.__version__,
    message="%(prog)s, version %(version)s",
    cls=translated.TranslatedOption,
    help="Show the version and exit.",
)
def group() -> None:
    """Flask10X keeps the readings of sensors in SQLite and writes the old CSV files."""


def main(arguments: Sequence[str] | None = None, *, english: bool = False) -> None:
    """Run the command line; an error becomes one line on stderr and exit status 1.

    Only an error of the program shows a traceback; errors of the system, such as those of a disk,
    are for the operator. `arguments` replace those of the process. With `english` the locale does
    not choose the language: the service reads the output.
    """
    # What is done stays done: a Ctrl+C while Python ends would only spoil the exit status.
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
    translated.choose_language({} if english else os.environ)
    # A command prints its errors; the log is that of the service.
    logging.getLogger("flask10x").addHandler(logging.NullHandler())
    try:
        group.main(None if arguments is None else list(arguments), prog_name="flask10x")
    except PermissionError as error:
        advice = _(
            "{error}; user {user} may not: run it as the user of the service"
            " (sudo -u flask10x), or change the owner of the file"
        ).format(error=error, user=process_user())
        sys.stderr.write(f"flask10x: {advice}\n")
        sys.exit(1)
    except (Flask10xError, OSError) as error:
        sys.stderr.write(f"flask10x: {error}\n")
        sys.exit(1)
