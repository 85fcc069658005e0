"""`flask10x import`: store the rows of old CSV files in the database."""

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from gettext import gettext as _
from itertools import chain
from pathlib import Path

import click
from sqlalchemy.exc import DBAPIError

from flask10x.commands import translated
from flask10x.commands.database import opened, opened_alone
from flask10x.commands.options import check_names, progress, remark
from flask10x.commands.rollups import follow_under_bar
from flask10x.config import readers, settings
from flask10x.config.settings import Settings
from flask10x.database import csv_owner
from flask10x.database.database import Database
from flask10x.database.error_codes import reason_of
from flask10x.errors import (
    PARTLY_DONE_STATUS,
    ColumnsUnknown,
    Flask10xError,
    StationUnknown,
)
from flask10x.history import days, rollups
from flask10x.importing.importer import ImportOptions, ImportOutcome, import_file
from flask10x.readings.times import zone_name_of
from flask10x.system.disk import size
from flask10x.system.wording import amount

FAILED_STATUS = 1
# `2:` in front of an option for the second file only.
OF_FILE = re.compile("[0-9]+:")


@translated.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@translated.option(
    "--endpoint",
    "endpoints",
    metavar="[N:]STATION",
    multiple=True,
    help="The station of the files, or of the Nth one, if their names do not tell it.",
)
@translated.option(
    "--column",
    "columns",
    metavar="[N:]NAME=COLUMN",
    multiple=True,
    help="The column of the station for a name in the header; without COLUMN it is left out.",
)
@translated.option(
    "--accept-last-line",
    is_flag=True,
    help="Take a last line that has no line end; otherwise it is rejected as incomplete.",
)
@translated.option(
    "--zone",
    metavar="NAME",
    help="The time zone of the files' times, where it is not the service's.",
)
@translated.option(
    "--zone-is-right",
    is_flag=True,
    help="Store the rows although they are stored ones in another time zone.",
)
@translated.option("--dry-run", is_flag=True, help="Say what would be stored, and store nothing.")
@translated.option(
    "--json", "as_json", is_flag=True, help="With --dry-run: one JSON object a file."
)
def command(
    files: tuple[Path, ...],
    endpoints: tuple[str, ...],
    columns: tuple[str, ...],
    zone: str | None,
    **flags: bool,
) -> None:
    """Store the rows of old CSV FILES that the database does not have yet.

    It can be run again at any time, also on a file that has grown. Rows that can't be read go to
    FILE.rejected.csv. Finally the charts are brought up to date. Exit status: 0 when all rows are
    stored, 4 when rows were rejected or left out, 1 when a file can't be imported, 3 when an export
    or another import runs.
    """
    config = settings.load()
    of_files = config
    if zone is not None:
        try:
            of_files = replace(config, timezone=readers.time_zone(zone))
        except readers.WrongEntry as error:
            raise click.BadParameter(str(error), param_hint="--zone") from None
    if flags["as_json"] and not flags["dry_run"]:
        raise click.UsageError(_("--json goes with --dry-run only"))
    as_json = flags.pop("as_json")
    tasks = [
        (file, ImportOptions(station, columns=named, **flags))
        for file, station, named in zip(
            files,
            _stations(endpoints, len(files), config),
            _columns(columns, len(files)),
            strict=True,
        )
    ]

    def do(database: Database) -> list[int]:
        return [_import(of_files, database, *task, as_json=as_json) for task in tasks]

    if flags["dry_run"]:
        with opened(of_files) as database:
            statuses = do(database)
    else:
        # The lock of the export, which must not append to a file that is being read.
        running = _("an export or an import is running; this one did nothing")
        with opened_alone(config, lock="export", running=running) as database:
            # An export of another host does not take this lock.
            csv_owner.claim(config, database)
            statuses = do(database)
        if set(statuses) != {FAILED_STATUS}:
            # Without the lock: an export may run meanwhile.
            _catch_up(config)
    sys.exit(FAILED_STATUS if FAILED_STATUS in statuses else max(statuses))


def _by_file(texts: Sequence[str], files: int, hint: str) -> list[list[str]]:
    """Return the texts of each file: those with its number before a colon, and without one."""
    by_file: list[list[str]] = [[] for _file in range(files)]
    for text in texts:
        number, _colon, rest = text.partition(":") if OF_FILE.match(text) else ("", "", text)
        if number and not 1 <= int(number) <= files:
            wrong = _("there is no file {number}; there are {files}")
            raise click.BadParameter(wrong.format(number=number, files=files), param_hint=hint)
        for of_file in [by_file[int(number) - 1]] if number else by_file:
            of_file.append(rest)
    return by_file


def _stations(texts: Sequence[str], files: int, config: Settings) -> list[str | None]:
    """Return the station of each file; None if its name is to tell it."""
    by_file = _by_file(texts, files, "--endpoint")
    check_names("--endpoint", chain(*by_file), config.stations.by_endpoint)
    return [of_file[-1] if of_file else None for of_file in by_file]


def _columns(texts: Sequence[str], files: int) -> list[dict[str, str]]:
    """Return the columns of each file by the names in its header."""
    found = []
    for of_file in _by_file(texts, files, "--column"):
        if wrong := [text for text in of_file if "=" not in text]:
            text = _("{text} is no NAME=COLUMN").format(text=repr(wrong[0]))
            raise click.BadParameter(text, param_hint="--column")
        pairs = [text.rpartition("=") for text in of_file]
        found.append({name: column for name, _sign, column in pairs})
    return found


def _import(
    config: Settings, database: Database, file: Path, options: ImportOptions, *, as_json: bool
) -> int:
    """Import one file, or try to, print its outcome and return the exit status."""
    try:
        with progress(file.name, size(file)) as advance:
            outcome = import_file(config, database, file, options, advance)
    except (Flask10xError, OSError, DBAPIError, KeyboardInterrupt) as error:
        for note in getattr(error, "__notes__", ()):
            click.echo(note)
        if isinstance(error, KeyboardInterrupt):
            raise
        reason = str(error)
        if isinstance(error, OSError):
            reason = f"{error.strerror}: {error.filename or file}"
        elif isinstance(error, DBAPIError):
            reason = _("the database cannot be used: {reason}").format(reason=reason_of(error))
        if as_json:
            refusal: dict[str, object] = {"name": file.name, "refused": reason}
            if isinstance(error, StationUnknown):
                # Those whose header it has.
                refusal["stations"] = error.fitting
            if isinstance(error, ColumnsUnknown):
                refusal |= {"station": error.endpoint, "unknown": error.names}
            click.echo(json.dumps(refusal))
        remark(f"{file}: {reason}")
        return FAILED_STATUS
    if options.dry_run:
        click.echo(json.dumps(_as_json(outcome)) if as_json else _in_words(outcome, config))
    else:
        _say(outcome)
    return PARTLY_DONE_STATUS if outcome.rejected or outcome.removed else 0


def _as_json(preview: ImportOutcome) -> dict[str, object]:
    names = ["name", "header", "missing", "first_ms", "last_ms", "rows"]
    return {
        "station": preview.endpoint,
        **{name: getattr(preview, name) for name in names},
        "new": preview.stored,
        **{name: getattr(preview, name) for name in ("present", "rejected", "removed")},
        "rejected_name": preview.rejected_path.name if preview.rejected else "",
    }


def _in_words(preview: ImportOutcome, config: Settings) -> str:
    text = _(
        "{file}: {rows} of {station} from {first} to {last} ({zone}); {new} would be stored,"
        " {present} present, {rejected} rejected, {removed} left out"
    )
    first, last = (
        "–" if ms is None else f"{datetime.fromtimestamp(ms // 1000, config.zone):%F %T}"
        for ms in (preview.first_ms, preview.last_ms)
    )
    return text.format(
        file=preview.name,
        rows=amount(preview.rows, "row"),
        station=preview.endpoint,
        zone=zone_name_of(config.zone),
        first=first,
        last=last,
        new=preview.stored,
        present=preview.present,
        rejected=preview.rejected,
        removed=preview.removed,
    )


def _catch_up(config: Settings) -> None:
    """Bring the roll-ups up to date; an error is printed."""
    try:
        with opened(config) as database:
            with database.reader.begin() as connection:
                behind, rolled_up = rollups.behind(connection), days.made(connection)
            if behind or rolled_up is None or not rolled_up.are_all:
                pieces = rollups.complete(config.stations, database, config.zone)
                follow_under_bar(pieces, behind)
        return
    except KeyboardInterrupt:
        reason = _("interrupted")
    except DBAPIError as error:
        reason = reason_of(error)
    except (Flask10xError, OSError) as error:
        reason = str(error)
    text = _(
        "the rows are stored, but the charts of long ranges are not ready: {reason};"
        " the service goes on with them"
    )
    remark(text.format(reason=reason))


def _say(outcome: ImportOutcome) -> None:
    if outcome.missing:
        text = _("{file}: it has no column {names}")
        names = ", ".join(outcome.missing)
        click.echo(text.format(file=outcome.name, names=names), err=True)
    click.echo(str(outcome))
    if outcome.place:
        text = _("{file}: {place}").format(file=outcome.name, place=outcome.place)
        click.echo(text, err=True)
    if outcome.rejected:
        text = _("{file}: see {path}").format(file=outcome.name, path=outcome.rejected_path)
        click.echo(text, err=True)
