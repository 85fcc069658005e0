"""What the readings of a piece of time add up to, as they were stored and as they are shown."""

import math
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, Select, bindparam, func, select

from flask10x.database.cursors import MAX_CURSOR_MS, MIN_CURSOR_MS
from flask10x.database.expressions import floor_div, sums_of, unindexed
from flask10x.database.tables import measurement, readings
from flask10x.history.buckets import Bucket
from flask10x.history.corrections import Corrections, Segment
from flask10x.readings.stations import Station
from flask10x.readings.times import HOUR_MS

Four = tuple[int, float | None, float | None, float | None]
"""Count, total, least and greatest of the values."""
NO_VALUES: Four = (0, 0.0, None, None)


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

    They are as they were stored. Both ends, UTC epoch milliseconds, are inclusive. Values are added
    in the order (received_at, id), so the sums are the same each time.
    """
    low_ms, high_ms = max(ends[0], MIN_CURSOR_MS), min(ends[1], MAX_CURSOR_MS)
    values = {"endpoint": endpoint, "low_ms": low_ms, "high_ms": high_ms}
    id_values = {"after_id": ids.after, "last_id": ids.last}
    count, *sums = connection.execute(_statement(columns), values | id_values).one()
    return count, [*fours(sums)]


def shown_between(
    station: Station,
    connection: Connection,
    ends: tuple[int, int],
    last_id: int,
    corrections: Corrections,
) -> tuple[int, list[Four]]:
    """Return the same of all columns of a station up to an id, as they are shown.

    Hidden readings are counted, too.
    """
    endpoint, columns = station.endpoint, station.columns
    pieces = [*corrections.pieces(endpoint, columns, *ends)]
    count, buckets = 0, [Bucket() for _ in columns]
    for first_ms, end_ms, segments in pieces:
        number, stored = between(endpoint, columns, connection, (first_ms, end_ms), Ids(last_id))
        shown = [as_shown(four, segment) for four, segment in zip(stored, segments, strict=True)]
        if len(pieces) == 1:
            return number, shown
        count += number
        for bucket, four in zip(buckets, shown, strict=True):
            bucket.add(*four)
    return count, [
        (b.count, b.total if math.isfinite(b.total) else None, b.minimum, b.maximum)
        for b in buckets
    ]


def as_shown(stored: Four, segment: Segment) -> Four:
    """Return the sums of values of a segment as they are shown, from the sums of stored ones."""
    count, total, *ends = stored
    if segment.hidden:
        return NO_VALUES
    if segment.is_raw or not count:
        return stored
    if total is not None:
        total = segment.gain * total + segment.offset * count
    least, greatest = (
        None if value is None else segment.gain * value + segment.offset for value in ends
    )
    return count, total if total is not None and math.isfinite(total) else None, least, greatest


def of_hours(
    station: Station, connection: Connection, hours: tuple[int, int], last_id: int
) -> dict[int, tuple[int, list[Four]]]:
    """Return what `between` does of each hour that has readings, from the first to the last hour.

    One statement for many hours: one by one they take fifteen times as long.
    """
    ends = {"low_ms": ends_of(hours[0])[0], "high_ms": ends_of(hours[1])[1]}
    values = {"endpoint": station.endpoint, "last_id": last_id} | ends
    rows = connection.execute(_of_hours(station.columns), values)
    return {hour: (count, [*fours(sums)]) for hour, count, *sums in rows}


def stored_sums(
    connection: Connection, station: Station, key: Column[int], number: int
) -> list[dict[str, Any]]:
    """Return the roll-ups of a station's hour or day as their table has them.

    `key` is the column `hour` or `day` of the table. The rows are in the order of the station's
    columns.
    """
    return stored_between(connection, station, key, (number, number)).get(number, [])


def stored_between(
    connection: Connection, station: Station, key: Column[int], ends: tuple[int, int]
) -> dict[int, list[dict[str, Any]]]:
    """Return these roll-ups of each hour or day between two numbers, both included, by its number.

    An hour or day without roll-ups is missing.
    """
    table, columns = key.table, station.columns
    # Each row is looked up by its key, which the measurement is in the middle of.
    query = select(table).where(
        table.c.endpoint == station.endpoint,
        table.c.measurement.in_(columns),
        key >= ends[0],
        key <= ends[1],
    )
    rows = map(dict, connection.execute(query).mappings())
    of_number: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: columns.index(row["measurement"])):
        of_number[row[key.name]].append(row)
    return of_number


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


@cache
def _of_hours(columns: tuple[str, ...]) -> Select[Any]:
    at, hour = readings.c.received_at, floor_div(readings.c.received_at, HOUR_MS)
    sums = [part for column in columns for part in sums_of(measurement(column))]
    query = select(hour, func.count(), *sums).where(
        readings.c.endpoint == bindparam("endpoint"),
        at >= bindparam("low_ms"),
        at <= bindparam("high_ms"),
        unindexed(readings.c.id) <= bindparam("last_id"),
    )
    return query.group_by(hour)
