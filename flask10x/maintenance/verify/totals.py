"""The sums of hours and days: wrong where they differ from readings that another copy has, too.

Else an hour may be all that shows that a reading has changed. What is kept of removed readings
can't be made again: it comes back from the backup with which the roll-ups agree.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from flask10x.database.database import Database
from flask10x.database.removed import removed_of_hour, with_removed
from flask10x.database.tables import readings, removed_hours, rollup_days, rollups
from flask10x.database.verified import Difference
from flask10x.history import days, rollup_check
from flask10x.history import rollups as follower
from flask10x.history.local_time import day_of, day_start
from flask10x.history.rollup_check import (
    BEFORE_ALL_HOURS,
    SumsComparison,
    SumsDifference,
    agree,
)
from flask10x.history.sums import Ids, ends_of, stored_sums
from flask10x.maintenance.verify.findings import Comparison, Sums
from flask10x.readings.stations import Station
from flask10x.readings.times import HOUR_MS, zone_of

Look = Callable[[Station, Database, int], tuple[SumsComparison, int | None]]
"""Compares the next hours or days of a station; the number to go on after, None at the end."""


def compare_hours(result: Comparison, station: Station) -> None:
    """Compare the roll-ups of hours with the readings, those of removed ones with the backup."""
    differing = {place for each in result.findings for place in each.places}
    look_after = rollup_check.verify_hours_after
    for each in _differing(result, station, look_after, BEFORE_ALL_HOURS, rollups.c.hour):
        if (each.endpoint, each.number) not in differing:
            with result.database.reader.begin() as connection:
                _judge_hour(result, connection, station, each.number)


def _differing(
    result: Comparison, station: Station, look_after: Look, after: int | None, key: Any
) -> Iterator[SumsDifference]:
    """Yield the hours or days whose roll-ups differ from what they are made of.

    Of those within rounding it is those that the backup has as they were made now: a bit may have
    changed there, or another SQLite has added the values.
    """
    while after is not None:
        look, after = look_after(station, result.database, after)
        result.hours += look.compared
        yield from look.differences
        for each in look.rounded:
            if each.computed == _saved_sums(result, station, key, each.number):
                yield each


def _judge_hour(result: Comparison, connection: Connection, station: Station, hour: int) -> None:
    last = follower.position(connection)
    stored = stored_sums(connection, station, rollups.c.hour, hour)
    stated = follower.computed(station, connection, hour, last)
    if stored == stated:
        return
    places = frozenset({(station.endpoint, hour)})
    difference = Difference(
        kind="hour",
        station=station.endpoint,
        number=hour,
        at_ms=hour * HOUR_MS,
        values={"hours": _short(stored, stated), "table": _short(stated, stored)},
    )
    of_hour = removed_of_hour(connection, station.endpoint, hour)
    kept = [of_hour[name] for name in station.columns if name in of_hour]
    if not kept:
        is_wrong = _are_elsewhere(result, connection, station, hour)
        is_wrong = is_wrong or _has_day(connection, station, hour, stated)
    else:
        # No reading is left to compute them from.
        of_backup = _saved_sums(result, station, removed_hours.c.hour, hour)
        is_wrong = of_backup == kept
        columns, ids = station.columns, Ids(last)
        left = follower.of_readings(station.endpoint, columns, connection, hour, ids)
        by_name = {row["measurement"]: row for row in of_backup}
        pairs = [(by_name.get(row["measurement"]), row) for row in left]
        whole = [with_removed(other, row) for other, row in pairs if other is not None]
        if of_backup and not is_wrong and agree(stored, whole or of_backup):
            right = _short(of_backup, kept)
            values = {**difference.values, "backup": right}
            difference = replace(
                difference, kind="kept", wrong=("table",), values=values, right=right
            )
            result.add(difference, kept=of_backup, places=places)
            return
    if is_wrong:
        difference = replace(difference, wrong=("hours",), right=_short(stated, stored))
    result.add(difference, places=places)


def _are_elsewhere(result: Comparison, connection: Connection, station: Station, hour: int) -> bool:
    """Whether another copy has each reading of the hour; none of them differs."""
    low_ms, high_ms = ends_of(hour)
    at = readings.c.received_at
    query = select(readings.c.id).where(
        readings.c.endpoint == station.endpoint, at >= low_ms, at <= high_ms
    )
    saved_last = result.saved.last if result.saved else 0
    compared = result.files.get(station.endpoint)
    return all(
        number <= saved_last
        or (compared is not None and not compared.left_out and number in compared)
        for number in connection.execute(query).scalars()
    )


def _has_day(connection: Connection, station: Station, hour: int, stated: Sums) -> bool:
    """Whether the day adds up with the sums of the readings: then none of these has changed."""
    made = days.made(connection)
    zone = None if made is None or not made.are_all else zone_of(made.zone)
    if zone is None:
        return False
    day = day_of(hour * HOUR_MS, zone)
    maker = days.DayMaker(connection, zone, follower.position(connection))
    of_day = stored_sums(connection, station, rollup_days.c.day, day)
    return bool(of_day) and agree(of_day, maker.rows(station, day, {hour: stated}))


def compare_days(result: Comparison, station: Station) -> None:
    """Compare the roll-ups of days with those of their hours."""
    with result.database.reader.begin() as connection:
        made = days.made(connection)
    zone = None if made is None else zone_of(made.zone)
    if zone is None:
        return
    # They are compared once their hours are right.
    differing = {
        day_of(hour * HOUR_MS, zone)
        for each in result.findings
        for endpoint, hour in each.places
        if endpoint == station.endpoint
    }
    look_after = rollup_check.verify_days_after
    for each in _differing(result, station, look_after, days.BEFORE_ALL, rollup_days.c.day):
        if each.number not in differing:
            right = _short(each.computed, each.stored)
            result.add(
                Difference(
                    kind="day",
                    wrong=("days",),
                    station=station.endpoint,
                    number=each.number,
                    at_ms=day_start(each.number, zone),
                    values={"days": _short(each.stored, each.computed), "hours": right},
                    right=right,
                )
            )


def _saved_sums(result: Comparison, station: Station, key: Any, number: int) -> Sums:
    """Return the sums of an hour or a day as the backup has them; empty where it has none."""
    if result.saved is None:
        return []
    try:
        return stored_sums(result.saved.connection, station, key, number)
    except DBAPIError:
        return []


def _short(rows: Sums, other: Sums) -> str:
    """Return the sums that differ: measurement, count, total, least and greatest value."""
    different = [row for row in rows if row not in other]
    names = ("measurement", "readings", "count", "total", "minimum", "maximum")
    return "; ".join(" ".join(str(row[name]) for name in names) for row in different)
