"""Tables of a month, a year or all years, made of roll-ups and shown with corrections."""

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any, TypeVar

from sqlalchemy import Float, Select, and_, bindparam, case, func, select

from flask10x.database.expressions import floor_div, spans
from flask10x.database.tables import readings, rollups
from flask10x.history import charts
from flask10x.history.buckets import Bucket, Window
from flask10x.history.corrections import within
from flask10x.history.local_time import DAY, HOUR, Step
from flask10x.history.periods import ALL, Span, parts_of, years_between
from flask10x.history.query import Query
from flask10x.history.statements import (
    STATEMENTS,
    Branch,
    rolled_up_in,
    shown_of,
)
from flask10x.history.view import View
from flask10x.readings.stations import Station
from flask10x.readings.times import DAY_MS, HOUR_MS

T = TypeVar("T")
Timed = tuple[int, Bucket]
"""A bucket and when it begins, UTC epoch milliseconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """A limit, of which a table says for how long it was passed."""

    value: float
    above: bool
    """Whether values above it count; otherwise those below."""

    def share(self, bucket: Bucket) -> float | None:
        """Return the share of an hour's readings beyond it; None if roll-ups can't tell."""
        if bucket.minimum is None or bucket.maximum is None:
            return 0.0
        lowest, highest = bucket.minimum, bucket.maximum
        if (lowest > self.value) if self.above else (highest < self.value):
            return 1.0
        if (highest <= self.value) if self.above else (lowest >= self.value):
            return 0.0
        return None


@dataclass(slots=True)
class PeriodRow:
    """A day of a month, a month of a year, a year: all of its readings together."""

    span: Span
    bucket: Bucket = field(default_factory=Bucket)
    lowest_at: int | None = None
    """The beginning of the hour or day of the least value; None without readings."""
    highest_at: int | None = None
    passed_hours: float | None = None
    """For how many hours the limit was passed; None without a limit or readings."""

    @property
    def mean(self) -> float | None:
        """The mean of its readings; None without readings."""
        return self.bucket.average if self.bucket.count else None


def rows_of(
    spans: Sequence[Span], days: Iterable[Timed], hours: Iterable[Timed] | None = None
) -> list[PeriodRow]:
    """Return a row for each span, made of the days in it.

    The times of the lowest and the highest value are those of `hours`, without them of days; of
    several that are equal the first one counts.
    """
    rows, days = [PeriodRow(span) for span in spans], [*days]
    for row, _, bucket in _in_rows(rows, days):
        row.bucket.add(bucket.count, bucket.total, bucket.minimum, bucket.maximum)
    for row, start, bucket in _in_rows(rows, days if hours is None else hours):
        low, high = bucket.minimum, bucket.maximum
        if low is not None and low == row.bucket.minimum and row.lowest_at is None:
            row.lowest_at = start
        if high is not None and high == row.bucket.maximum and row.highest_at is None:
            row.highest_at = start
    return rows


def add_passed(
    rows: Sequence[PeriodRow], hours: Iterable[Timed], limit: Limit, shares: dict[int, float]
) -> None:
    """Add to each row for how many hours the limit was passed.

    An hour that is partly beyond it counts by its share of readings in `shares`, which are by the
    hour's start. Without a share it counts fully or not at all, by its average.
    """
    for row, start, bucket in _in_rows(rows, hours):
        if not bucket.count:
            continue
        share = limit.share(bucket)
        if share is None:
            average = bucket.average
            beyond = average is not None and (
                average > limit.value if limit.above else average < limit.value
            )
            share = shares.get(start, float(beyond))
        row.passed_hours = (row.passed_hours or 0.0) + share


def whole(span: Span, rows: Iterable[PeriodRow]) -> PeriodRow:
    """Return all rows together, as the last line of a table."""
    total_row, rows = PeriodRow(span), [row for row in rows if row.bucket.count]
    bucket = total_row.bucket
    for row in rows:
        of_row = row.bucket
        bucket.add(of_row.count, of_row.total, of_row.minimum, of_row.maximum)
    lowest = (row.lowest_at for row in rows if row.bucket.minimum == bucket.minimum)
    highest = (row.highest_at for row in rows if row.bucket.maximum == bucket.maximum)
    total_row.lowest_at, total_row.highest_at = next(lowest, None), next(highest, None)
    passed = [row.passed_hours for row in rows if row.passed_hours is not None]
    total_row.passed_hours = sum(passed, start=0.0) if passed else None
    return total_row


def _in_rows(
    rows: Sequence[PeriodRow], timed: Iterable[tuple[int, T]]
) -> Iterator[tuple[PeriodRow, int, T]]:
    """Yield what begins in the span of a row, with that row."""
    starts = [row.span.first_ms for row in rows]
    for start, value in timed:
        place = bisect_right(starts, start) - 1
        if place >= 0 and start <= rows[place].span.last_ms:
            yield rows[place], start, value


# --- Records ---------------------------------------------------------------------------------

# Days of each kind: enough to see whether the first one is an exception.
PLACES = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """A day with a record value."""

    value: float
    at_ms: int
    """When the day begins, UTC epoch milliseconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordList:
    """The first days of one kind."""

    kind: str
    """`highest`, `lowest`, `highest_mean`, `lowest_mean` or `widest`."""
    days: tuple[Record, ...]


def records_of(days: Sequence[Timed]) -> list[RecordList]:
    """Return the lists of all kinds; none without days.

    Of days with the same value the earlier one is first.
    """
    kinds: list[tuple[str, Callable[[Bucket], float | None], bool]] = [
        ("highest", lambda bucket: bucket.maximum, True),
        ("lowest", lambda bucket: bucket.minimum, False),
        ("highest_mean", lambda bucket: bucket.average, True),
        ("lowest_mean", lambda bucket: bucket.average, False),
        ("widest", _width, True),
    ]
    lists: list[RecordList] = []
    for name, value_of, is_most in kinds:
        values = ((value_of(bucket), start) for start, bucket in days if bucket.count)
        records = [Record(value=value, at_ms=at) for value, at in values if value is not None]
        records.sort(key=lambda each: (-each.value if is_most else each.value, each.at_ms))
        if records:
            lists.append(RecordList(kind=name, days=tuple(records[:PLACES])))
    return lists


def _width(bucket: Bucket) -> float | None:
    if bucket.minimum is None or bucket.maximum is None:
        return None
    return bucket.maximum - bucket.minimum


# --- How long a limit was passed -------------------------------------------------------------


def passed_of(
    view: View, line: tuple[str, str], window: Window, limit: Limit
) -> list[tuple[int, int]]:
    """Return when each day with values of the window begins, and how many hours passed the limit.

    The line is an endpoint and a column, the step of the window a day. An hour belongs to the day
    in which it begins. Readings that are not rolled up yet, of the last hour or two, do not count.
    """
    runs = [*window.runs(window.first_ms, window.last_ms)]
    listed = [
        (
            *(*line, -(-run.low_ms // HOUR_MS), run.high_ms // HOUR_MS + 1, run.offset_ms),
            limit.value,
        )
        for run in runs
    ]
    rows = view.connection.execute(_passed_hours(limit.above), {"runs": json.dumps(listed)})
    return [
        (max(day * DAY_MS - runs[place].offset_ms, runs[place].low_ms), hours)
        for place, day, hours in rows
    ]


@cache
def _passed_hours(above: bool) -> Select[Any]:
    runs = spans("runs")
    average = rollups.c.total / rollups.c.count
    is_passed = average > runs.c.value if above else average < runs.c.value
    day = floor_div(rollups.c.hour * HOUR_MS + runs.c.third, DAY_MS).label("_day")
    return (
        select(runs.c.place, day, func.sum(case((is_passed, 1), else_=0)))
        .join_from(runs, rollups, rolled_up_in(runs, rollups.c.hour))
        .where(rollups.c.count > 0)
        .group_by(runs.c.place, "_day")
        .order_by(runs.c.place, "_day")
    )


def shares_of(view: View, query: Query, hours: Iterable[Timed], limit: Limit) -> dict[int, float]:
    """Return the shares of the hours that have readings on both sides of the limit, by their start.

    The hours are in the order of time. Their readings are read, some hundred each.
    """
    mixed: list[tuple[int, int]] = []
    for start, bucket in hours:
        if limit.share(bucket) is not None:
            continue
        end = start + HOUR_MS - 1
        # Hours that follow each other are read as one range.
        if mixed and start == mixed[-1][1] + 1:
            mixed[-1] = mixed[-1][0], end
        else:
            mixed.append((start, end))
    if not mixed:
        return {}
    line = query.endpoints[0], query.measurements[0]
    branch = Branch(line[0], line[1:], ())
    if not query.raw:
        segments = within(view.corrections.of(*line), mixed[0][0], mixed[-1][1])
        branch = branch._replace(corrected=((line[1], tuple(segments)),))
    listed = [(branch.endpoint, None, *ends, 0) for ends in mixed]
    rows = view.connection.execute(
        _passed_readings(line[1], limit.above, branch),
        {"runs": json.dumps(listed), "limit": limit.value},
    )
    return {hour * HOUR_MS: (passed or 0) / number for hour, number, passed in rows if number}


@lru_cache(maxsize=STATEMENTS)
def _passed_readings(column: str, above: bool, branch: Branch) -> Select[Any]:
    runs, at = spans("runs"), readings.c.received_at
    value = shown_of(column, branch)
    limit = bindparam("limit", type_=Float)
    passed = value > limit if above else value < limit
    of_run = (readings.c.endpoint == runs.c.endpoint, at >= runs.c.first, at <= runs.c.second)
    return (
        select(
            floor_div(at, HOUR_MS).label("_hour"),
            func.count(value),
            func.sum(case((passed, 1), else_=0)),
        )
        .join_from(runs, readings, and_(*of_run))
        .group_by("_hour")
    )


# --- Tables ----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class PeriodRequest:
    """A measurement of a station over a period of the local calendar."""

    station: Station
    column: str
    period: str
    limit: Limit | None = None
    is_raw: bool = False

    @property
    def is_month(self) -> bool:
        """Whether it is shown by days and hours."""
        return len(self.period) == len("2025-08")


@dataclass(frozen=True, kw_only=True, slots=True)
class PeriodTable:
    """The table of a period."""

    rows: list[PeriodRow]
    whole: PeriodRow
    """All rows together."""
    records: list[RecordList] = field(default_factory=list)
    """Only for all years."""
    is_estimated: bool = False
    """Whether the hours beyond the limit are counted by averages of hours."""
    is_corrected: bool = False
    """Whether a value of it is shown differently from how it was stored."""


def period_table(view: View, request: PeriodRequest) -> PeriodTable:
    """Return the table of a period; raises what reading raises."""
    line, limit, zone = (request.station.endpoint, request.column), request.limit, view.zone
    query = Query(
        registry=view.stations,
        zone=zone,
        endpoints=line[:1],
        measurements=line[1:],
        raw=request.is_raw,
    )
    if request.period == ALL:
        ends = charts.held(view, query)
        parts = years_between(*ends, zone) if ends else []
    else:
        parts = parts_of(request.period, zone)
    if not parts:
        return PeriodTable(rows=[], whole=PeriodRow(Span(request.period, 0, 0)))
    first_ms, last_ms = parts[0].first_ms, parts[-1].last_ms

    def read(step: Step) -> list[Timed]:
        """Return the buckets and the beginning of each, in the order of time."""
        window = Window(first_ms, last_ms, step, zone)
        return [
            (window.starts[place], of_chart.buckets[place])
            for of_chart in charts.chart(view, query, window, has_gaps=False).lines
            for place in of_chart.places
        ]

    days = read(DAY)
    hours = read(HOUR) if request.is_month else None
    rows = rows_of(parts, days, hours)
    if limit and hours is not None:
        add_passed(rows, hours, limit, shares_of(view, query, hours, limit))
    elif limit:
        # Hours count by their averages, in the database if roll-ups have these.
        window = Window(first_ms, last_ms, DAY, zone)
        is_stored = query.raw and view.corrections.touches(line[0], line[1:])
        if not is_stored and charts.has_rollups(view, query, window):
            for row, _, number in _in_rows(rows, passed_of(view, line, window, limit)):
                row.passed_hours = (row.passed_hours or 0.0) + number
        else:
            add_passed(rows, read(HOUR), limit, {})
    segments = [] if query.raw else view.corrections.segments(*line, first_ms, last_ms)
    return PeriodTable(
        rows=rows,
        whole=whole(Span(request.period, first_ms, last_ms), rows),
        records=records_of(days) if request.period == ALL else [],
        is_estimated=limit is not None and not request.is_month,
        is_corrected=not all(segment.is_raw for segment in segments),
    )
