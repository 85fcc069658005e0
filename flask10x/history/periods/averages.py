"""How many hours had an average beyond a limit, of each day; out of the roll-ups of hours."""

from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, case, func, select

from flask10x.database.expressions import floor_div
from flask10x.database.tables import rollups
from flask10x.history.buckets import Window
from flask10x.history.corrections.segments import Corrections
from flask10x.history.periods.rows import Limit
from flask10x.readings.times import DAY_MS, HOUR_MS

Passed = tuple[int, int]
"""When a day begins, UTC epoch milliseconds, and how many of its hours have passed the limit."""


def passed_of(
    connection: Connection,
    place: tuple[str, str],
    window: Window,
    limit: Limit,
    corrections: Corrections,
) -> list[Passed]:
    """Each day of the window, whose step is a day, that has hours with a value.

    `place` is an endpoint and a column. An hour belongs to the day, and to the correction, in which
    it begins. What is not rolled up yet, the last hour or two, does not count.
    """
    found: list[Passed] = []
    for segment in corrections.segments(*place, window.first_ms, window.last_ms):
        if segment.hidden:
            continue
        for run in window.runs(segment.first_ms, segment.last_ms):
            bound = {
                "endpoint": place[0],
                "measurement": place[1],
                "first": -(-run.low_ms // HOUR_MS),
                "last": run.high_ms // HOUR_MS,
                "offset_ms": run.offset_ms,
                "limit": (limit.value - segment.offset) / segment.gain,
            }
            found += [
                (max(day * DAY_MS - run.offset_ms, run.low_ms), hours)
                for day, hours in connection.execute(_passed(limit.above), bound)
            ]
    return found


@cache
def _passed(above: bool) -> Select[Any]:
    average = rollups.c.total / rollups.c.count
    is_passed = average > bindparam("limit") if above else average < bindparam("limit")
    day = floor_div(rollups.c.hour * HOUR_MS + bindparam("offset_ms"), DAY_MS).label("_day")
    return (
        select(day, func.sum(case((is_passed, 1), else_=0)))
        .where(rollups.c.endpoint == bindparam("endpoint"))
        .where(rollups.c.measurement == bindparam("measurement"))
        .where(rollups.c.hour >= bindparam("first"), rollups.c.hour <= bindparam("last"))
        .where(rollups.c.count > 0)
        .group_by("_day")
    )
