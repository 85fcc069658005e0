"""Are the roll-ups what the readings give? And all of them anew."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo

from sqlalchemy import Connection, func, select

from flask10x.database.cursors import MAX_CURSOR_MS, MIN_CURSOR_MS
from flask10x.database.engine import Database
from flask10x.database.expressions import floor_div
from flask10x.database.retention.removed_hours import Sums
from flask10x.database.tables import readings, rollup_days
from flask10x.database.tables import rollups as table
from flask10x.history import days, rollups
from flask10x.history.rollups import Hour
from flask10x.readings.stations import Station, Stations
from flask10x.readings.times import HOUR_MS
from flask10x.readings.zones import zone_of

# Hours looked at in one short transaction, so that the WAL can begin anew meanwhile.
PIECE_HOURS = 500


@dataclass(frozen=True, slots=True)
class RollupDifference:
    """An hour whose roll-ups are not what its readings give."""

    hour: Hour
    stored: list[Sums]
    computed: list[Sums]


@dataclass(frozen=True, slots=True)
class DayDifference:
    """A day whose roll-ups are not what its hours give."""

    endpoint: str
    day: int
    """Since 1970-01-01, of the zone that the days are of."""
    stored: list[Sums]
    computed: list[Sums]


@dataclass(frozen=True, slots=True)
class LookedAtDays:
    """What a look at some days has found."""

    days: int
    differences: list[DayDifference]


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at some hours has found."""

    hours: int
    readings: int
    """Of these hours, as far as they are rolled up."""
    differences: list[RollupDifference]


def verify(stations: Stations, database: Database) -> Iterator[Looked]:
    """Compare all roll-ups, bit for bit, with what the readings give; in short transactions.

    The service may go on meanwhile. Raises what reading raises.
    """
    for station in stations.all:
        after = MIN_CURSOR_MS // HOUR_MS - 1
        while True:
            with database.reader.begin() as connection:
                hours = _hours(connection, station.endpoint, after)
                last = rollups.position(connection)
                yield _look(station, connection, hours, last)
            if not hours:
                break
            after = hours[-1]


def verify_days(stations: Stations, database: Database) -> Iterator[LookedAtDays]:
    """Compare all days, bit for bit, with what the roll-ups of their hours give.

    None while they are being made. In short transactions, as `verify`; raises what reading raises.
    """
    for station in stations.all:
        after: int | None = days.BEFORE_ALL
        while after is not None:
            with database.reader.begin() as connection:
                found, after = _look_at_days(station, connection, after)
            yield found


def rebuild(stations: Stations, database: Database, zone: tzinfo | None) -> Iterator[int]:
    """Compute all roll-ups anew, piece by piece; each time how many ids are left.

    Those of days are of that zone (None for the system's own).

    Charts stay right meanwhile: what is not rolled up yet they take from the readings. Raises
    LockTimeout or sqlalchemy.exc.DBAPIError when the database could not be written for seconds.
    """

    def forget(connection: Connection) -> None:
        rollups.forget(connection)
        days.begin(connection, zone)

    database.commit_change(forget)
    yield from rollups.catch_up(stations, database)
    # Of removed readings there were hours before any was rolled up.
    while days.follow(stations, database, zone, Database.commit_change):
        pass


def _look_at_days(
    station: Station, connection: Connection, after: int
) -> tuple[LookedAtDays, int | None]:
    """What the next days are like, and after which the look goes on; None at the end."""
    made, last = days.made(connection), rollups.position(connection)
    zone = None if made is None else zone_of(made.zone)
    if made is None or zone is None or not made.are_all:
        return LookedAtDays(0, []), None
    of_hours = days.following(station, connection, after, zone)
    is_end = len(of_hours) < days.PIECE_DAYS
    up_to = MAX_CURSOR_MS if is_end else of_hours[-1]
    kept = select(rollup_days.c.day).where(
        rollup_days.c.endpoint == station.endpoint,
        rollup_days.c.measurement.in_(station.columns),
        rollup_days.c.day > after,
        rollup_days.c.day <= up_to,
    )
    seen = sorted({*of_hours, *connection.execute(kept).scalars()})
    differences = []
    for day in seen:
        stored = days.stored(station, connection, day)
        computed = days.computed(station, connection, day, zone, last)
        if stored != computed:
            differences.append(DayDifference(station.endpoint, day, stored, computed))
    return LookedAtDays(len(seen), differences), None if is_end else up_to


def _look(station: Station, connection: Connection, hours: list[int], last: int) -> Looked:
    readings_seen, differences = 0, []
    for hour in hours:
        stored, computed = (
            rollups.stored(station, connection, hour),
            rollups.computed(station, connection, hour, last),
        )
        readings_seen += computed[0]["readings"] if computed else 0
        if stored != computed:
            differences.append(RollupDifference((station.endpoint, hour), stored, computed))
    return Looked(len(hours), readings_seen, differences)


def _hours(connection: Connection, endpoint: str, after: int) -> list[int]:
    """The next hours that have readings or roll-ups, or both."""
    at = readings.c.received_at
    if after == MAX_CURSOR_MS // HOUR_MS:
        return []
    first, _ = rollups.ends_of(after + 1)
    of_readings, of_rollups = readings.c.endpoint == endpoint, table.c.endpoint == endpoint
    oldest_ms = connection.scalar(select(func.min(at)).where(of_readings, at >= first))
    hour = connection.scalar(select(func.min(table.c.hour)).where(of_rollups, table.c.hour > after))
    starts = [] if oldest_ms is None else [oldest_ms // HOUR_MS]
    starts += [] if hour is None else [hour]
    if not starts:
        return []
    low, last = min(starts), min(starts) + PIECE_HOURS - 1
    low_ms, high_ms = rollups.ends_of(low)[0], rollups.ends_of(last)[1]
    hours = select(floor_div(at, HOUR_MS)).where(of_readings, at >= low_ms, at <= high_ms)
    kept = select(table.c.hour).where(of_rollups, table.c.hour >= low, table.c.hour <= last)
    found = connection.execute(hours.union(kept)).scalars()
    return sorted(found)
