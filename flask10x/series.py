"""Readings as lines of a chart: least, average and greatest value of each bucket of time.

The buckets are computed by SQLite; what the answer looks like is in docs/series.md.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from statistics import median
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, select

from flask10x import queries
from flask10x.buckets import MAX_BUCKETS, Bucket, Window, width_ms
from flask10x.question import Query
from flask10x.statements import Branch, FilterShape, asked, filter_clauses, missing_clause
from flask10x.stations import Measurement, Station
from flask10x.tables import readings

# Enough to see through a pause or two, few enough to follow a sender whose pace was changed.
INTERVAL_ROWS = 101
# A sender that leaves out two readings has a gap; one that only hurries or lags has none.
GAP_INTERVALS = 3


@dataclass(slots=True)
class Line:
    """One measurement of one station, its buckets by their number."""

    station: Station
    measurement: Measurement
    interval_ms: int | None
    """The usual time between two of the station's readings; None when that can't be told."""
    buckets: dict[int, Bucket] = field(default_factory=lambda: defaultdict(Bucket))

    @property
    def gap_ms(self) -> int | None:
        """A longer time without a reading is a gap."""
        return None if self.interval_ms is None else GAP_INTERVALS * self.interval_ms


@dataclass(frozen=True, slots=True)
class Chart:
    """All lines of a question; `window` is None when neither it nor the readings give a range."""

    window: Window | None
    source: str
    readings: int
    lines: list[Line]


def chart(connection: Connection, query: Query) -> Chart:
    """The lines of every chosen measurement that has a value, in the registry's order.

    They show all readings that the filters let through; order, limit and cursor mean nothing here.
    """
    window = _window(connection, query)
    if window is None:
        return Chart(None, "readings", 0, [])
    branches, shape, values = asked(query)
    count, lines = 0, []
    for branch in branches:
        station = branch[0]
        own = _lines(connection, query, station, window)
        count += _add_readings(connection, branch, shape, values, window, own)
        lines += [line for line in own if line.buckets]
    return Chart(window, "readings", count, lines)


def _window(connection: Connection, query: Query) -> Window | None:
    first = query.since.ms if query.since else queries.end_of(connection, query, newest=False)
    last = query.until.ms if query.until else queries.end_of(connection, query, newest=True)
    if first is None or last is None:
        return None
    return Window(first, last, width_ms(first, last, query.buckets or MAX_BUCKETS))


def _lines(connection: Connection, query: Query, station: Station, window: Window) -> list[Line]:
    chosen, interval_ms = query.chosen(station), _interval_ms(connection, station, window)
    return [Line(station, m, interval_ms) for m in station.measurements if m.column in chosen]


def _interval_ms(connection: Connection, station: Station, window: Window) -> int | None:
    """The median of the last intervals of the range or, where it is shorter, just before it."""
    parameters = {"endpoint": station.endpoint, "last": window.last_ms, "rows": INTERVAL_ROWS}
    times = connection.execute(_LAST_TIMES, parameters).scalars().all()
    intervals = [later - earlier for later, earlier in pairwise(times)]
    longer = [interval for interval in intervals if interval > 0]
    return round(median(longer)) if longer else None


def _add_readings(
    connection: Connection,
    branch: Branch,
    shape: tuple[FilterShape, ...],
    values: dict[str, float],
    window: Window,
    lines: list[Line],
) -> int:
    """Put the station's readings of the window into their buckets; how many there are."""
    statement = _sums(branch, tuple(line.measurement.column for line in lines), shape)
    count = 0
    for low, high in window.pieces():
        ends = {"low_ms": low, "high_ms": high, "bucket_ms": window.bucket_ms}
        for number, rows, *sums in connection.execute(statement, values | ends):
            count += rows
            for line, part in zip(lines, _in_fours(sums), strict=True):
                if part[0]:
                    line.buckets[number].add(*part)
    return count


def _in_fours(sums: list[Any]) -> Iterator[tuple[Any, Any, Any, Any]]:
    return zip(*[iter(sums)] * 4, strict=True)


@lru_cache(maxsize=256)
def _sums(
    branch: Branch, columns: tuple[str, ...], filters: tuple[FilterShape, ...]
) -> Select[Any]:
    station, needed = branch
    at = readings.c.received_at
    number = (at // bindparam("bucket_ms")).label("number")
    return (
        select(number, func.count(), *(part for c in columns for part in sums_of(readings.c[c])))
        .where(readings.c.endpoint == station.endpoint)
        .where(at >= bindparam("low_ms"), at <= bindparam("high_ms"))
        .where(*filter_clauses(filters), *missing_clause(needed))
        .group_by("number")
    )


def sums_of(column: ColumnElement[Any]) -> tuple[ColumnElement[Any], ...]:
    """Count, total, least and greatest of a column's values; NULLs are left out."""
    return (func.count(column), func.total(column), func.min(column), func.max(column))


_LAST_TIMES = (
    select(readings.c.received_at)
    .where(
        readings.c.endpoint == bindparam("endpoint"), readings.c.received_at <= bindparam("last")
    )
    .order_by(readings.c.received_at.desc())
    .limit(bindparam("rows"))
)
