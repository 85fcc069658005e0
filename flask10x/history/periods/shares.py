"""Which share of the readings of some hours has passed a limit."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, case, func, select

from flask10x.database.expressions import floor_div
from flask10x.database.tables import measurement, readings
from flask10x.history.corrections.segments import Corrections
from flask10x.history.periods.rows import Limit, Timed
from flask10x.readings.times import HOUR_MS


def shares_of(
    connection: Connection,
    place: tuple[str, str],
    hours: Iterable[Timed],
    limit: Limit,
    corrections: Corrections,
) -> dict[int, float]:
    """The share of each hour that lies on both sides of the limit, by the hour's start.

    `place` is an endpoint and a column; the hours are in the order of time. The readings of these
    hours are read, some hundred each.
    """
    mixed = [start for start, bucket in hours if limit.share(bucket) is None]
    counts: dict[int, list[int]] = {start: [0, 0] for start in mixed}
    for first_ms, last_ms in _runs(mixed):
        for segment in corrections.segments(*place, first_ms, last_ms):
            if segment.hidden:
                continue
            bound = {
                "endpoint": place[0],
                "first_ms": segment.first_ms,
                "last_ms": segment.last_ms,
                "limit": (limit.value - segment.offset) / segment.gain,
            }
            for hour, known, passed in connection.execute(_counts(place[1], limit.above), bound):
                counts[hour * HOUR_MS][0] += known
                counts[hour * HOUR_MS][1] += passed or 0
    return {start: passed / known for start, (known, passed) in counts.items() if known}


def _runs(starts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Hours that follow each other as one range, so that there are few statements."""
    run: list[int] = []
    for start in starts:
        if run and start != run[-1] + HOUR_MS:
            yield run[0], run[-1] + HOUR_MS - 1
            run = []
        run.append(start)
    if run:
        yield run[0], run[-1] + HOUR_MS - 1


@cache
def _counts(column: str, above: bool) -> Select[Any]:
    at, value = readings.c.received_at, measurement(column)
    passed = value > bindparam("limit") if above else value < bindparam("limit")
    return (
        select(
            floor_div(at, HOUR_MS).label("_hour"),
            func.count(value),
            func.sum(case((passed, 1), else_=0)),
        )
        .where(readings.c.endpoint == bindparam("endpoint"))
        .where(at >= bindparam("first_ms"), at <= bindparam("last_ms"))
        .group_by("_hour")
    )
