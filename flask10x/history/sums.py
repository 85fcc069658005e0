"""What the readings of a piece of time add up to, as SQLite computes it."""

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, Select, bindparam, func, select

from flask10x.database.cursors import MAX_CURSOR_MS, MIN_CURSOR_MS
from flask10x.database.expressions import sums_of, unindexed
from flask10x.database.tables import measurement, readings
from flask10x.readings.stations import Station
from flask10x.readings.times import HOUR_MS

Four = tuple[int, float | None, float | None, float | None]
"""Count, total, least and greatest of the values."""


class Ids(NamedTuple):
    """Readings with an id above `after` up to `last`."""

    last: int
    after: int = 0


def between(
    endpoint: str,
    columns: tuple[str, ...],
    connection: Connection,
    ends: tuple[int, int],
    ids: Ids,
) -> tuple[int, list[Four]]:
    """Return how many readings a station has between two instants, and the sums of these columns.

    Both ends, UTC epoch milliseconds, are inclusive. Values are added in the order
    (received_at, id), so the sums are the same each time.
    """
    low_ms, high_ms = max(ends[0], MIN_CURSOR_MS), min(ends[1], MAX_CURSOR_MS)
    values = {"endpoint": endpoint, "low_ms": low_ms, "high_ms": high_ms}
    id_values = {"after_id": ids.after, "last_id": ids.last}
    count, *sums = connection.execute(_statement(columns), values | id_values).one()
    return count, [*fours(sums)]


def stored_sums(
    connection: Connection, station: Station, key: Column[int], number: int
) -> list[dict[str, Any]]:
    """Return the roll-ups of a station's hour or day as their table has them.

    `key` is the column `hour` or `day` of the table. The rows are in the order of the station's
    columns.
    """
    table, columns = key.table, station.columns
    # Each row is looked up by its key, which the measurement is in the middle of.
    query = select(table).where(
        table.c.endpoint == station.endpoint,
        table.c.measurement.in_(columns),
        key == number,
    )
    rows = map(dict, connection.execute(query).mappings())
    return sorted(rows, key=lambda row: columns.index(row["measurement"]))


def ends_of(hour: int) -> tuple[int, int]:
    """Return the first and the last millisecond of an hour of UTC.

    The first and the last hour of all are cut short to what a column of the database can hold.
    """
    return max(hour * HOUR_MS, MIN_CURSOR_MS), min((hour + 1) * HOUR_MS - 1, MAX_CURSOR_MS)


def fours(sums: list[Any]) -> Iterator[Four]:
    """Return the sums of one measurement after another."""
    return zip(*[iter(sums)] * 4, strict=True)


# Stations with the same columns share a statement.
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
