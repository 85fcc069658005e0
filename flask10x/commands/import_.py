"""`flask10x import`: store the rows of old CSV files in the database."""

import sys
from gettext import gettext as _
from pathlib import Path

import click
from sqlalchemy.exc import DBAPIError

from flask10x.commands import translated
from flask10x.commands.database import opened, opened_alone
from flask10x.commands.options import check_names, progress, remark
from flask10x.commands.rollups import follow_under_bar
from flask10x.config import settings
from flask10x.config.settings import Settings
from flask10x.database import csv_owner
from flask10x.database.database import Database
from flask10x.database.error_codes import reason_of
from flask10x.errors import Flask10xError
from flask10x.history import days, rollups
from flask10x.importing.importer import ImportOptions, ImportOutcome, import_file
from flask10x.system.disk import size

FAILED_STATUS = 1
REJECTED_STATUS = 4


@translated.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@translated.option(
    "--endpoint",
    metavar="STATION",
    help="The station of the files, where their names do not say it.",
)
@translated.option(
    "--accept-last-line",
    is_flag=True,
    help="Take a last line that has no line end; otherwise it is rejected as incomplete.",
)
def command(files: tuple[Path, ...], endpoint: str | None, accept_last_line: bool) -> None:
    """Store the rows of old CSV FILES that the database does not have yet.

    It can be run again at any time, also on a file that has grown. Rows that can't be read go to
    FILE.rejected.csv. Finally the charts are brought up to date. Exit status: 0 when all rows are
    stored, 4 when rows were rejected, 1 when a file can't be imported, 3 when an export or another
    import runs.
    """
    config = settings.load()
    check_names("--endpoint", [endpoint] if endpoint else [], config.stations.by_endpoint)
    # The lock of the export, which must not append to a file that is being read.
    running = _("an export or an import is running; this one did nothing")
    with opened_alone(config, lock="export", running=running) as database:
        # An export of another host does not take this lock.
        csv_owner.claim(config, database)
        statuses = [_import(config, database, file, endpoint, accept_last_line) for file in files]
    if set(statuses) != {FAILED_STATUS}:
        # Without the lock: an export may run meanwhile.
        _catch_up(config)
    sys.exit(FAILED_STATUS if FAILED_STATUS in statuses else max(statuses))


def _import(
    config: Settings, database: Database, file: Path, endpoint: str | None, accept_last_line: bool
) -> int:
    """Import one file, print its outcome and return the exit status."""
    try:
        with progress(file.name, size(file)) as advance:
            options = ImportOptions(endpoint, accept_last_line)
            outcome = import_file(config, database, file, options, advance)
    except Flask10xError as error:
        return _failed(file, str(error))
    except OSError as error:
        return _failed(file, f"{error.strerror}: {error.filename or file}")
    except DBAPIError as error:
        reason = _("the database cannot be used: {reason}").format(reason=reason_of(error))
        return _failed(file, reason)
    return _say(outcome)


def _catch_up(config: Settings) -> None:
    """Bring the roll-ups up to date; an error is printed."""
    try:
        with opened(config) as database:
            with database.reader.begin() as connection:
                behind, rolled_up = rollups.behind(connection), days.made(connection)
            if behind or rolled_up is None or not rolled_up.are_all:
                pieces = rollups.complete(config.stations, database, config.zone)
                follow_under_bar(pieces, behind)
    except KeyboardInterrupt:
        _say_later(_("interrupted"))
    except DBAPIError as error:
        _say_later(reason_of(error))
    except (Flask10xError, OSError) as error:
        _say_later(str(error))


def _say_later(reason: str) -> None:
    text = _(
        "the rows are stored, but the charts of long ranges are not ready: {reason};"
        " the service goes on with them"
    )
    remark(text.format(reason=reason))


def _failed(file: Path, reason: str) -> int:
    remark(f"{file}: {reason}")
    return FAILED_STATUS


def _say(outcome: ImportOutcome) -> int:
    if outcome.missing:
        text = _("{file}: it has no column {names}")
        names = ", ".join(outcome.missing)
        click.echo(text.format(file=outcome.name, names=names), err=True)
    click.echo(str(outcome))
    if not outcome.rejected:
        return 0
    text = _("{file}: see {path}").format(file=outcome.name, path=outcome.rejected_path)
    click.echo(text, err=True)
    return REJECTED_STATUS
