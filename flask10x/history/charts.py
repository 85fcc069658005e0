"""Readings as lines of a chart: least, average and greatest value of each bucket of time.

SQLite computes the buckets, from readings, or from roll-ups and what they lack. What the answer
looks like is in docs/en/reference/http-api.md.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from statistics import median
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, select

from flask10x.database import tables
from flask10x.database.expressions import floor_div, sums_of, unindexed
from flask10x.database.station_columns import rollups_fit
from flask10x.database.tables import measurement, readings
from flask10x.history import pages, rollups
from flask10x.history.buckets import MAX_BUCKETS, Bucket, Window, width_ms
from flask10x.history.query import Bound, Query
from flask10x.history.rollups import RollupProgress
from flask10x.history.statements import (
    STATEMENTS,
    Branch,
    FilterShape,
    filter_clauses,
    missing_clause,
    statement_key,
)
from flask10x.readings.stations import Measurement, Station
from flask10x.readings.times import FIRST_DATE_MS, HOUR_MS, LAST_DATE_MS

# Enough to see through a pause or two, few enough to follow a sender whose pace was changed.
INTERVAL_ROWS = 101
# What is not rolled up yet is read one by one, of all times and stations; beyond this, as after the
# import of an old file, reading the range itself is quicker.
MOST_ROWS_BEHIND = 100_000
# A sender that leaves out two readings has a gap; one that only hurries or lags has none.
GAP_INTERVALS = 3
FIRST_DATE, LAST_DATE = Bound(FIRST_DATE_MS, "", ""), Bound(LAST_DATE_MS, "", "")


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
class LineRequest:
    """One station's part of a query."""

    branch: Branch
    filters: tuple[FilterShape, ...]
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class Chart:
    """All lines of a query; `window` is None when neither it nor the readings give a range."""

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
    rolled_up = _rolled_up(connection, query, window)
    branches, filters, values = statement_key(query)
    count, lines = 0, []
    for branch in branches:
        request = LineRequest(branch, filters, values)
        own = _lines(connection, query, query.known.by_endpoint[branch.endpoint], window)
        if rolled_up is None:
            count += _add_readings(connection, request, window, own)
        else:
            count += _add_rollups(connection, request, window, own, rolled_up)
        lines += [line for line in own if line.buckets]
    return Chart(window, "readings" if rolled_up is None else "rollups", count, lines)


def waits_for_rollups(connection: Connection, query: Query) -> RollupProgress | None:
    """How far the roll-ups are when the chart is to be made of them, but they are far behind.

    Else None: the chart takes no longer now than later.
    """
    window = _window(connection, query)
    if window is None or not _is_of_hours(query, window):
        return None
    at = rollups.progress(connection)
    return at if at.behind > MOST_ROWS_BEHIND else None


def _rolled_up(connection: Connection, query: Query, window: Window) -> int | None:
    """Up to which id the roll-ups can stand for the readings; None when they can't be used."""
    if not (_is_of_hours(query, window) and rollups_fit(connection, query.known)):
        return None
    at = rollups.progress(connection)
    return None if at.behind > MOST_ROWS_BEHIND else at.done


def _is_of_hours(query: Query, window: Window) -> bool:
    return not (window.bucket_ms % HOUR_MS or query.filters or query.incomplete)


def _window(connection: Connection, query: Query) -> Window | None:
    """From bound to bound; where there is none, as far as there are readings that have a date.

    One whose time is none has no place on the axis, and would leave no room for the others.
    """
    dated = replace(query, since=query.since or FIRST_DATE, until=query.until or LAST_DATE)
    first = query.since.ms if query.since else pages.end_of(connection, dated, newest=False)
    last = query.until.ms if query.until else pages.end_of(connection, dated, newest=True)
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
    connection: Connection, request: LineRequest, window: Window, lines: Sequence[Line]
) -> int:
    """Add the station's readings of the window to the lines; how many there are."""
    return sum(_read(connection, request, lines, ends, window) for ends in window.pieces())


def _add_rollups(
    connection: Connection,
    request: LineRequest,
    window: Window,
    lines: Sequence[Line],
    rolled_up: int,
) -> int:
    """The same from roll-ups of whole hours; only for buckets of whole hours and no filters.

    Roll-ups hold the readings up to the id `rolled_up`. Later ones, and the broken hours at both
    ends, come from the readings.
    """
    first, end = -(-window.first_ms // HOUR_MS), (window.last_ms + 1) // HOUR_MS
    if first >= end:
        return _add_readings(connection, request, window, lines)
    whole = (first * HOUR_MS, end * HOUR_MS - 1)
    broken = ((window.first_ms, whole[0] - 1), (whole[1] + 1, window.last_ms))
    count = sum(
        _read(connection, request, lines, ends, window) for ends in broken if ends[0] <= ends[1]
    )
    count += _read(connection, request, lines, whole, window, after=rolled_up)
    counts = [_read_rollups(connection, line, first, end, window) for line in lines]
    return count + counts[0]


def _read(
    connection: Connection,
    request: LineRequest,
    lines: Sequence[Line],
    ends: tuple[int, int],
    window: Window,
    after: int | None = None,
) -> int:
    """Add the readings between the ends, or only those stored after an id."""
    columns = tuple(line.measurement.column for line in lines)
    statement = _sums(request.branch, columns, request.filters, after is not None)
    parameters = {"low_ms": ends[0], "high_ms": ends[1], "bucket_ms": window.bucket_ms}
    parameters |= {} if after is None else {"after_id": after}
    count = 0
    for number, rows, *sums in connection.execute(statement, request.values | parameters):
        count += rows
        for line, part in zip(lines, _in_fours(sums), strict=True):
            if part[0]:
                line.buckets[number].add(*part)
    return count


def _read_rollups(connection: Connection, line: Line, first: int, end: int, window: Window) -> int:
    """Add the hours from `first` up to before `end`; how many readings they have."""
    parameters = {
        "endpoint": line.station.endpoint,
        "measurement": line.measurement.column,
        "first": first,
        "end": end,
        "hours": window.bucket_ms // HOUR_MS,
    }
    count = 0
    for number, rows, *sums in connection.execute(_SUMS_OF_HOURS, parameters):
        count += rows
        if sums[0]:
            line.buckets[number].add(*sums)
    return count


def _in_fours(sums: list[Any]) -> Iterator[tuple[Any, Any, Any, Any]]:
    return zip(*[iter(sums)] * 4, strict=True)


# Of the bucket. SQLite would group by a column of this name, which a measurement can't have.
_NUMBER = "_number"


@lru_cache(maxsize=STATEMENTS)
def _sums(
    branch: Branch, columns: tuple[str, ...], filters: tuple[FilterShape, ...], only_new: bool
) -> Select[Any]:
    at = readings.c.received_at
    endpoint: ColumnElement[str] = readings.c.endpoint
    number = floor_div(at, bindparam("bucket_ms")).label(_NUMBER)
    limits: list[ColumnElement[bool]] = []
    if only_new:
        # Not by the index: these are the last few rows of the table.
        endpoint = unindexed(readings.c.endpoint)
        limits = [readings.c.id > bindparam("after_id")]
    return (
        select(number, func.count(), *(part for c in columns for part in sums_of(measurement(c))))
        .where(endpoint == branch.endpoint, *limits)
        .where(at >= bindparam("low_ms"), at <= bindparam("high_ms"))
        .where(*filter_clauses(filters), *missing_clause(branch.missing))
        .group_by(_NUMBER)
    )


_LAST_TIMES = (
    select(readings.c.received_at)
    .where(
        readings.c.endpoint == bindparam("endpoint"), readings.c.received_at <= bindparam("last")
    )
    .order_by(readings.c.received_at.desc())
    .limit(bindparam("rows"))
)

_SUMS_OF_HOURS = (
    select(
        floor_div(tables.rollups.c.hour, bindparam("hours")).label("number"),
        func.sum(tables.rollups.c.readings),
        func.sum(tables.rollups.c.count),
        func.total(tables.rollups.c.total),
        func.min(tables.rollups.c.minimum),
        func.max(tables.rollups.c.maximum),
    )
    .where(
        tables.rollups.c.endpoint == bindparam("endpoint"),
        tables.rollups.c.measurement == bindparam("measurement"),
        tables.rollups.c.hour >= bindparam("first"),
        tables.rollups.c.hour < bindparam("end"),
    )
    .group_by("number")
)
