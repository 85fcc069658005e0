"""Compares roll-ups with the readings that they are made of, and rebuilds them.

Counts, least and greatest values must be equal, totals may differ by rounding. The engines add
differently: SQLite adds doubles one after another, since 3.43 with a correction
(https://www.sqlite.org/lang_aggfunc.html#sumunc), PostgreSQL the decimals that they are written as.
A database may have been copied to the other engine, or SQLite updated, and the sum of an hour whose
readings were removed can't be computed again.
"""

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import tzinfo

from sqlalchemy import Connection, func, select

from flask10x.database.cursors import MAX_CURSOR_MS, MIN_CURSOR_MS
from flask10x.database.database import Database
from flask10x.database.expressions import floor_div
from flask10x.database.removed import Sums
from flask10x.database.tables import readings, removed_hours, rollup_days
from flask10x.database.tables import rollups as table
from flask10x.history import days, rollups
from flask10x.history.corrections import counting
from flask10x.history.local_time import day_start
from flask10x.history.sums import ends_of, stored_between, stored_sums
from flask10x.readings.stations import Station, Stations
from flask10x.readings.times import HOUR_MS, zone_of

# Hours that are compared in one short transaction, so that the WAL can be reset meanwhile.
PIECE_HOURS = 500
# Before the first hour that a reading can be of.
BEFORE_ALL_HOURS = MIN_CURSOR_MS // HOUR_MS - 1


@dataclass(frozen=True, slots=True)
class SumsDifference:
    """An hour whose roll-ups differ from its readings, or a day whose do from its hours."""

    endpoint: str
    number: int
    """The hour of UTC, or the day in the zone of the days, since 1970."""
    stored: list[Sums]
    computed: list[Sums]


@dataclass(slots=True)
class SumsComparison:
    """The result of comparing some hours or days."""

    compared: int = 0
    """How many hours or days."""
    readings: int = 0
    """How many readings of these hours are rolled up; 0 for days."""
    differences: list[SumsDifference] = field(default_factory=list)
    rounded: list[SumsDifference] = field(default_factory=list)
    """Those that differ by no more than rounding does."""

    def add(self, endpoint: str, number: int, stored: list[Sums], computed: list[Sums]) -> None:
        """Add an hour or a day, if its roll-ups differ from what was computed."""
        if stored != computed:
            kind = self.rounded if agree(stored, computed) else self.differences
            kind.append(SumsDifference(endpoint, number, stored, computed))


def verify_hours_after(
    station: Station, database: Database, after: int
) -> tuple[SumsComparison, int | None]:
    """Compare the station's next hours in a short transaction.

    Return the result and the hour to go on after, None at the end. Raises what reading raises.
    """
    with database.reader.begin() as connection:
        hours = _hours(connection, station.endpoint, after)
        look = _look(station, connection, hours, rollups.position(connection))
    return look, hours[-1] if hours else None


def verify_days_after(
    station: Station, database: Database, after: int
) -> tuple[SumsComparison, int | None]:
    """Compare the station's next days in a short transaction; as `verify_hours_after`."""
    result = SumsComparison()
    with database.reader.begin() as connection:
        made = days.made(connection)
        zone = None if made is None else zone_of(made.zone)
        if made is None or zone is None or not made.are_all:
            return result, None
        maker = days.DayMaker(connection, zone, rollups.position(connection))
        following = days.following(station, connection, after, zone)
        is_end = len(following) < days.PIECE_DAYS
        up_to = MAX_CURSOR_MS if is_end else following[-1]
        of_table = select(rollup_days.c.day).where(
            rollup_days.c.endpoint == station.endpoint,
            rollup_days.c.measurement.in_(station.columns),
            rollup_days.c.day > after,
            rollup_days.c.day <= up_to,
        )
        numbers = sorted({*following, *connection.execute(of_table).scalars()})
        result.compared = len(numbers)
        unapplied = rollups.unapplied_hours(connection, station.endpoint)
        for day in numbers:
            ends = day_start(day, zone) // HOUR_MS, day_start(day + 1, zone) // HOUR_MS
            if not any(first <= ends[1] and ends[0] <= last for first, last in unapplied):
                stored = stored_sums(connection, station, rollup_days.c.day, day)
                result.add(station.endpoint, day, stored, maker.rows(station, day))
    return result, None if is_end else up_to


def kept_that_differ(stations: Stations, database: Database) -> list[SumsDifference]:
    """Return the hours of removed readings whose roll-ups are not what is kept of these.

    Either of both has changed; a rebuild would take what is kept, which no reading can give again.
    """
    differing = list[SumsDifference]()
    query = select(removed_hours.c.hour).distinct().order_by(removed_hours.c.hour)
    for station in stations.all:
        of_station = query.where(removed_hours.c.endpoint == station.endpoint)
        with database.reader.begin() as connection:
            hours = list(connection.execute(of_station).scalars())
        for begin in range(0, len(hours), PIECE_HOURS):
            with database.reader.begin() as connection:
                piece, last = hours[begin : begin + PIECE_HOURS], rollups.position(connection)
                differing += _look(station, connection, piece, last).differences
    return [each for each in differing if each.stored]


def rebuild(stations: Stations, database: Database, zone: tzinfo | None) -> Iterator[int]:
    """Compute all roll-ups again, piece by piece, and yield each time how many ids remain.

    Days are of that zone (None for the system's own). Charts stay correct meanwhile, because they
    take what is not rolled up from the readings. Raises LockTimeout or sqlalchemy.exc.DBAPIError
    when the database could not be written for seconds.
    """

    def forget(connection: Connection) -> None:
        rollups.forget(connection)
        days.begin(connection, zone)

    database.commit_change(forget)
    # Hours of removed readings are there before any is rolled up.
    yield from rollups.complete(stations, database, zone)


def _look(station: Station, connection: Connection, hours: list[int], last: int) -> SumsComparison:
    result, written = SumsComparison(len(hours)), counting(connection)
    if not hours:
        return result
    unapplied = rollups.unapplied_hours(connection, station.endpoint)
    computed_of = rollups.all_computed(station, connection, hours, last, written)
    stored_of = stored_between(connection, station, table.c.hour, (hours[0], hours[-1]))
    for hour in hours:
        computed, stored = computed_of[hour], stored_of.get(hour, [])
        result.readings += computed[0]["readings"] if computed else 0
        # Hours that a correction still has to change are made again soon.
        if stored != computed and not any(first <= hour <= end for first, end in unapplied):
            # Read alone, its values are added in the order in which they were.
            computed = rollups.computed(station, connection, hour, last, written)
            result.add(station.endpoint, hour, stored, computed)
    return result


def agree(stored: list[Sums], computed: list[Sums]) -> bool:
    """Return whether these rows, in the order of the columns, are sums of the same values."""
    return len(stored) == len(computed) and all(map(_are_sums_of_same, stored, computed))


def _are_sums_of_same(stored: Sums, computed: Sums) -> bool:
    without_total = {"total": None}
    if stored | without_total != computed | without_total:
        return False
    count, ends = stored["count"], (stored["minimum"], stored["maximum"])
    greatest = max((abs(end) for end in ends if end is not None), default=0.0)
    total, other = stored["total"], computed["total"]
    if total == other:
        return True
    if math.isinf(count * greatest):
        # A sum on the way may have been beyond what a double can hold, though the total is not.
        return True
    if total is None or other is None:
        return False
    # In whatever order and in how many parts n values are added up, each of fewer than n additions
    # rounds by half an epsilon of what all of them come to without their signs, at most; and the
    # decimal that a double is written as is another half away from it. Both sums may be wrong by
    # that, in opposite directions: three millionths of a hPa for an hour of a reading a second.
    rounding = (count + 1) * sys.float_info.epsilon * count * greatest
    return bool(abs(total - other) <= rounding)


def _hours(connection: Connection, endpoint: str, after: int) -> list[int]:
    """Return the next hours that have readings, roll-ups or both."""
    at = readings.c.received_at
    if after == MAX_CURSOR_MS // HOUR_MS:
        return []
    first, _ = ends_of(after + 1)
    of_readings, of_rollups = readings.c.endpoint == endpoint, table.c.endpoint == endpoint
    oldest_ms = connection.scalar(select(func.min(at)).where(of_readings, at >= first))
    hour = connection.scalar(select(func.min(table.c.hour)).where(of_rollups, table.c.hour > after))
    starts = [] if oldest_ms is None else [oldest_ms // HOUR_MS]
    starts += [] if hour is None else [hour]
    if not starts:
        return []
    low, last = min(starts), min(starts) + PIECE_HOURS - 1
    low_ms, high_ms = ends_of(low)[0], ends_of(last)[1]
    hours = select(floor_div(at, HOUR_MS)).where(of_readings, at >= low_ms, at <= high_ms)
    of_table = select(table.c.hour).where(of_rollups, table.c.hour >= low, table.c.hour <= last)
    numbers = connection.execute(hours.union(of_table)).scalars()
    return sorted(numbers)
