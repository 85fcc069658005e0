"""What the readings of a piece of time add up to, as SQLite computes it."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select

from flask10x.database.cursors import MAX_CURSOR_MS, MIN_CURSOR_MS
from flask10x.database.expressions import sums_of, unindexed
from flask10x.database.tables import measurement, readings
from flask10x.readings.times import HOUR_MS

Four = tuple[int, float | None, float | None, float | None]
"""Count, total, least and greatest of the values."""


def between(
    endpoint: str,
    columns: tuple[str, ...],
    connection: Connection,
    ends: tuple[int, int],
    last: int,
    after: int = 0,
) -> tuple[int, list[Four]]:
    """How many readings a station has between two instants, and the sums of these columns.

    Both ends, UTC epoch milliseconds, are inclusive; readings with an id above `after` up to `last`
    count. Values are added in the order (received_at, id), so the sums come out the same each time.
    """
    low_ms, high_ms = max(ends[0], MIN_CURSOR_MS), min(ends[1], MAX_CURSOR_MS)
    bound = {"endpoint": endpoint, "low_ms": low_ms, "high_ms": high_ms}
    ids = {"after_id": after, "last_id": last}
    count, *found = connection.execute(_statement(columns), bound | ids).one()
    return count, [*fours(found)]


def ends_of(hour: int) -> tuple[int, int]:
    """The first and the last millisecond of an hour; the first and last hours are cut short.

    So they stay within what a column holds, and SQLite takes them.
    """
    return max(hour * HOUR_MS, MIN_CURSOR_MS), min((hour + 1) * HOUR_MS - 1, MAX_CURSOR_MS)


def fours(sums: list[Any]) -> Iterator[Four]:
    """The sums of one measurement after another."""
    return zip(*[iter(sums)] * 4, strict=True)


# Stations that have the same columns share it.
@cache
def _statement(columns: tuple[str, ...]) -> Select[Any]:
    at = readings.c.received_at
    sums = [part for column in columns for part in sums_of(measurement(column))]
    return select(func.count(), *sums).where(
        readings.c.endpoint == bindparam("endpoint"),
        at >= bindparam("low_ms"),
        at <= bindparam("high_ms"),
        unindexed(readings.c.id) > bindparam("after_id"),
        readings.c.id <= bindparam("last_id"),
    )
