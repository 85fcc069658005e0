"""Are the roll-ups what the readings give? And all of them anew."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from flask10x.database.engine import Database
from flask10x.database.tables import readings
from flask10x.database.tables import rollups as table
from flask10x.history import rollups
from flask10x.history.rollups import Hour, Sums
from flask10x.readings.stations import STATIONS
from flask10x.readings.times import HOUR_MS

# Hours looked at in one short transaction, so that the WAL can begin anew meanwhile.
PIECE_HOURS = 500


@dataclass(frozen=True, slots=True)
class RollupDifference:
    """An hour whose roll-ups are not what its readings give."""

    hour: Hour
    stored: list[Sums]
    computed: list[Sums]


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at some hours has found."""

    hours: int
    readings: int
    """Of these hours, as far as they are rolled up."""
    differences: list[RollupDifference]


def verify(database: Database) -> Iterator[Looked]:
    """Compare all roll-ups, bit for bit, with what the readings give; in short transactions.

    The service may go on meanwhile. Raises what reading raises.
    """
    for station in STATIONS:
        after = -1
        while True:
            with database.reader.begin() as connection:
                hours = _hours(connection, station.endpoint, after)
                last = rollups.position(connection)
                yield _look(connection, hours, last)
            if not hours:
                break
            after = hours[-1][1]


def rebuild(database: Database) -> Iterator[int]:
    """Compute all roll-ups anew, piece by piece; each time how many ids are left.

    Charts stay right meanwhile: what is not rolled up yet they take from the readings. Raises
    LockTimeout or sqlalchemy.exc.DBAPIError when the database could not be written for seconds.
    """
    database.commit_change(rollups.forget)
    left = 1
    while left:
        left = rollups.follow(database, Database.commit_change)
        yield left


def _look(connection: Connection, hours: list[Hour], last: int) -> Looked:
    readings_seen, differences = 0, []
    for hour in hours:
        stored, computed = (
            rollups.stored(connection, hour),
            rollups.computed(connection, hour, last),
        )
        readings_seen += computed[0]["readings"] if computed else 0
        if stored != computed:
            differences.append(RollupDifference(hour, stored, computed))
    return Looked(len(hours), readings_seen, differences)


def _hours(connection: Connection, endpoint: str, after: int) -> list[Hour]:
    """The next hours that have readings or roll-ups, or both."""
    at = readings.c.received_at
    first = (after + 1) * HOUR_MS
    ends = [
        connection.execute(query).scalar_one_or_none()
        for query in (
            select(func.min(at)).where(readings.c.endpoint == endpoint, at >= first),
            select(func.min(table.c.hour) * HOUR_MS).where(
                table.c.endpoint == endpoint, table.c.hour > after
            ),
        )
    ]
    starts = [end // HOUR_MS for end in ends if end is not None]
    if not starts:
        return []
    low, high = min(starts), min(starts) + PIECE_HOURS
    of_readings = select(at // HOUR_MS).where(
        readings.c.endpoint == endpoint, at >= low * HOUR_MS, at < high * HOUR_MS
    )
    of_rollups = select(table.c.hour).where(
        table.c.endpoint == endpoint, table.c.hour >= low, table.c.hour < high
    )
    found = connection.execute(of_readings.union(of_rollups)).scalars()
    return [(endpoint, hour) for hour in sorted(found)]
