"""`flask10x export` and `scripts/export_csv.py`: append new readings to the CSV files."""

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from gettext import gettext as _
from pathlib import Path

import click

from flask10x.commands import translated
from flask10x.commands.database import opened_alone
from flask10x.commands.options import check_names, only_one, progress, remark
from flask10x.config import settings
from flask10x.config.settings import Settings
from flask10x.database import csv_owner
from flask10x.database.database import Database
from flask10x.errors import ExportError
from flask10x.export import only_copies
from flask10x.export.append import dry_run, export
from flask10x.export.outcome import FileOutcome
from flask10x.export.rebuild import rebuild
from flask10x.export.take_over import take_over
from flask10x.export.verify import verify
from flask10x.readings.stations import Station

Action = Callable[[Settings, Database, Sequence[Station]], list[FileOutcome]]


@translated.command()
@click.argument("files", nargs=-1, metavar="[FILES]...")
@translated.option("--dry-run", is_flag=True, help="Say what would be appended.")
@translated.option("--verify", is_flag=True, help="Compare files and database.")
@translated.option("--rebuild", is_flag=True, help="Rewrite the files from the database.")
@translated.option("--whole", is_flag=True, help="With --rebuild: also what an archived file has.")
@translated.option(
    "--archived",
    "place",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Say where an archived file is, so that its readings may be removed.",
)
@translated.option(
    "--restore-file",
    "copy",
    metavar="COPY",
    type=click.Path(path_type=Path),
    help="Put back a lost file that has removed readings, from a copy of it.",
)
@translated.option(
    "--take-over", "moved", is_flag=True, help="Of several hosts, have this one export from now on."
)
def command(
    files: tuple[str, ...],
    whole: bool,
    moved: bool,
    place: Path | None,
    copy: Path | None,
    **actions: bool,
) -> None:
    """Append each station's new readings to its CSV file, and print one line for each file.

    FILES are names such as BedRoomEnv.csv; the default is all of them.

    Exit status: 0 when every file is up to date (or equal), 1 when one is not, 3 when another
    export runs.
    """
    action = only_one(actions)
    if whole and action != "rebuild":
        raise click.UsageError(_("--whole goes with --rebuild only"))
    if moved and action != "rebuild" and (action or files):
        raise click.UsageError(_("--take-over can only be combined with --rebuild"))
    if place is not None and (action or files or moved or copy):
        raise click.UsageError(_("--archived cannot be combined with other options"))
    if copy is not None and (action or files or moved):
        raise click.UsageError(_("--restore-file cannot be combined with other options"))
    if place or copy:
        sys.exit(_with_file(place, copy))
    sys.exit(run(files, action, whole=whole, moved=moved))


def _settings() -> Settings:
    # FULL also where the service uses less: a position lost in a power cut would not fit the file.
    return replace(settings.load(), synchronous="FULL")


def _opened(config: Settings) -> AbstractContextManager[Database]:
    running = _("another export or an import is running; this one did nothing")
    return opened_alone(config, lock="export", running=running)


def run(
    files: Sequence[str] = (),
    action: str | None = None,
    *,
    whole: bool = False,
    moved: bool = False,
) -> int:
    """Export with the settings of the environment, and return the exit status.

    With `moved` this host takes the files over first.
    """
    config = _settings()
    stations = config.stations.all
    check_names("FILES", files, [station.csv_name for station in stations])
    chosen = [station for station in stations if not files or station.csv_name in files]
    with _opened(config) as database:
        if moved:
            status = _say(take_over(config, database, chosen if action else ()))
            if status:
                remark(_("the CSV files were not taken over"))
                return status
            text = _("the CSV files belong to this host, {host}, from now on")
            click.echo(text.format(host=config.host_name))
            if not action:
                return 0
        # The host that writes the first files owns them.
        require = csv_owner.claim if action in (None, "rebuild") else csv_owner.check
        require(config, database)
        actions: dict[str | None, Action] = {
            None: export,
            "dry-run": dry_run,
            "verify": partial(verify, bar=progress),
            "rebuild": partial(rebuild, whole=whole, bar=progress),
        }
        status = _say(actions[action](config, database, chosen))
        if action not in (None, "verify"):
            return status
        lost = only_copies.lines(config, database, chosen, read=action == "verify")
        for line in lost:
            click.echo(line, err=True)
        # An export has done all that it can: it only says so.
        return 1 if action and lost else status


def _with_file(place: Path | None, copy: Path | None) -> int:
    """Say where an archived file is, or put a lost file back; return the exit status."""
    config = _settings()
    with _opened(config) as database:
        csv_owner.check(config, database)
        try:
            if copy is not None:
                path, is_written = only_copies.put_back(config, database, copy)
                text = _("{path}: it is already there, unchanged")
                if is_written:
                    text = _("{path}: put back from {copy}")
                click.echo(text.format(path=path, copy=copy))
            elif place is not None:
                file = only_copies.name_archived(config, database, place)
                text = _("{path}: an archived file of /{endpoint}, which was {name}")
                click.echo(text.format(path=place, endpoint=file.endpoint, name=file.name))
        except (ExportError, OSError) as error:
            remark(f"{place or copy}: {getattr(error, 'strerror', None) or error}")
            return 1
    return 0


def _say(outcomes: Sequence[FileOutcome]) -> int:
    """Print the outcome of each file, and return the exit status."""
    for outcome in outcomes:
        click.echo(str(outcome), err=outcome.failed)
    return 1 if any(outcome.failed for outcome in outcomes) else 0
