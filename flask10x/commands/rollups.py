"""`flask10x rollups`: show and rebuild the roll-ups."""

from collections.abc import Iterator
from gettext import gettext as _

import click
from sqlalchemy.exc import DBAPIError

from flask10x.commands import translated
from flask10x.commands.database import opened
from flask10x.commands.options import progress
from flask10x.config import settings
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.dialects import last_id
from flask10x.database.error_codes import reason_of
from flask10x.database.removed import Sums
from flask10x.database.station_columns import rollups_fit
from flask10x.errors import Flask10xError, SchemaError
from flask10x.history import days as days_rolled_up
from flask10x.history import rollup_check, rollups
from flask10x.history.rollup_check import SumsDifference
from flask10x.readings.times import HOUR_MS, local_text
from flask10x.system.wording import amount

SHOWN_DIFFERENCES = 10


@translated.command()
@translated.option("--rebuild", is_flag=True, help="Recompute all of them.")
def command(*, rebuild: bool) -> None:
    """Show how far the hourly totals of the charts have come; the service keeps them up to date.

    Can be run while the service runs. What compares them with the readings: flask10x verify.
    """
    config = settings.load()
    with opened(config) as database:
        try:
            with database.reader.begin() as connection:
                fits = rollups_fit(connection, config.stations)
            if not fits:
                # The service has not applied the file of stations yet.
                text = _(
                    "the hourly totals are not yet those of the measurements in {file}; restart the"
                    " service, or run: flask10x migrate"
                )
                file = config.stations.file or settings.stations_path()
                raise SchemaError(text.format(file=file))
            if rebuild:
                _rebuild(config, database)
            _show(database)
        except DBAPIError as error:
            raise Flask10xError(f"{database.path}: {reason_of(error)}") from error


def _show(database: Database) -> None:
    with database.reader.begin() as connection:
        at = rollups.progress(connection)
        rolled_up = days_rolled_up.made(connection)
    text = _("rolled up to reading {id}, {n} behind")
    click.echo(text.format(id=at.done, n=at.behind))
    if rolled_up is None or not rolled_up.are_all:
        click.echo(_("days: the service has yet to make them"))
    else:
        click.echo(_("days: of {zone}").format(zone=rolled_up.zone))


def _rebuild(config: Settings, database: Database) -> None:
    if differing := rollup_check.kept_that_differ(config.stations, database):
        shown = "\n".join(_of_hour(config, each) for each in differing[:SHOWN_DIFFERENCES])
        text = _(
            "nothing was recomputed: what is kept of removed readings is not what the hourly totals"
            " have of them, and no reading can give it again. What says which is right:"
            " flask10x verify --repair\n{hours}"
        )
        raise Flask10xError(text.format(hours=shown))
    with database.reader.begin() as connection:
        length = last_id(connection)
    follow_under_bar(rollup_check.rebuild(config.stations, database, config.zone), length)


def follow_under_bar(pieces: Iterator[int], length: int) -> None:
    """Roll up all pieces; the iterator yields how many readings remain after each."""
    waiting = length
    with progress(_("hourly totals"), length) as advance:
        for remaining in pieces:
            # New readings may come faster than these are rolled up.
            advance(max(0, waiting - remaining))
            waiting = min(waiting, remaining)


def _of_hour(config: Settings, difference: SumsDifference) -> str:
    text = _("{station} {hour}: rolled up {stored}, the readings give {computed}")
    when = local_text(difference.number * HOUR_MS, config.zone)
    stored, computed = map(_short, (difference.stored, difference.computed))
    return text.format(station=difference.endpoint, hour=when, stored=stored, computed=computed)


def _short(rows: list[Sums]) -> str:
    """Return a text such as `3 readings, co2 3 1836.0 600.0 620.0`: count, sum, lowest, highest."""
    if not rows:
        return _("nothing")
    shown = [
        f"{r['measurement']} {r['count']} {r['total']} {r['minimum']} {r['maximum']}" for r in rows
    ]
    return f"{amount(rows[0]['readings'], 'reading')}, {', '.join(shown)}"
