"""Tables of a month, a year or all years, made of roll-ups and shown with corrections."""

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

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
    CorrectedStation,
    rolled_up_in,
    shown_of,
)
from flask10x.history.view import View
from flask10x.readings.stations import Station
from flask10x.readings.times import DAY_MS, HOUR_MS

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

    def is_passed_by(self, value: float | None) -> bool:
        """Return whether this value lies beyond it."""
        if value is None:
            return False
        return value > self.value if self.above else value < self.value


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

    The times of the lowest and the highest value are those of `hours`, without them of days.
    """
    rows = [PeriodRow(span) for span in spans]
    starts = [span.first_ms for span in spans]
    for start, bucket in days:
        if row := _row_at(rows, starts, start):
            _add(row, start, bucket, places=hours is None)
    for start, bucket in hours or ():
        if row := _row_at(rows, starts, start):
            _place(row, start, bucket)
    return rows


def add_passed(
    rows: Sequence[PeriodRow], hours: Iterable[Timed], limit: Limit, shares: dict[int, float]
) -> None:
    """Add to each row for how many hours the limit was passed.

    An hour that is partly beyond it counts by its share of readings in `shares`, which are by the
    hour's start. Without a share it counts fully or not at all, by its average.
    """
    filled = [(start, bucket) for start, bucket in hours if bucket.count]
    add_hours(rows, ((start, _passed(start, bucket, limit, shares)) for start, bucket in filled))


def add_hours(rows: Sequence[PeriodRow], passed: Iterable[tuple[int, float]]) -> None:
    """Add hours beyond a limit to the rows in whose span they began."""
    starts = [row.span.first_ms for row in rows]
    for start, hours in passed:
        if row := _row_at(rows, starts, start):
            row.passed_hours = (row.passed_hours or 0.0) + hours


def _passed(start: int, bucket: Bucket, limit: Limit, shares: dict[int, float]) -> float:
    share = limit.share(bucket)
    if share is not None:
        return share
    return shares.get(start, float(limit.is_passed_by(bucket.average)))


def whole(span: Span, rows: Iterable[PeriodRow]) -> PeriodRow:
    """Return all rows together, as the last line of a table."""
    total_row = PeriodRow(span)
    for row in rows:
        if not row.bucket.count:
            continue
        lowest, highest = total_row.bucket.minimum, total_row.bucket.maximum
        total_row.bucket.add(
            row.bucket.count, row.bucket.total, row.bucket.minimum, row.bucket.maximum
        )
        if total_row.bucket.minimum != lowest:
            total_row.lowest_at = row.lowest_at
        if total_row.bucket.maximum != highest:
            total_row.highest_at = row.highest_at
        if row.passed_hours is not None:
            total_row.passed_hours = (total_row.passed_hours or 0.0) + row.passed_hours
    return total_row


def _row_at(rows: Sequence[PeriodRow], starts: Sequence[int], ms: int) -> PeriodRow | None:
    """Return the row in whose span the instant lies."""
    place = bisect_right(starts, ms) - 1
    return rows[place] if place >= 0 and ms <= rows[place].span.last_ms else None


def _add(row: PeriodRow, start: int, bucket: Bucket, *, places: bool) -> None:
    if not bucket.count:
        return
    if places:
        _place(row, start, bucket, so_far=row.bucket)
    row.bucket.add(bucket.count, bucket.total, bucket.minimum, bucket.maximum)


def _place(row: PeriodRow, start: int, bucket: Bucket, so_far: Bucket | None = None) -> None:
    """Remember when the lowest and the highest were, the first of several that are equal.

    `so_far` is what the row knows so far; without it the row is whole already.
    """
    low, high = bucket.minimum, bucket.maximum
    if so_far is None:
        if low is not None and low == row.bucket.minimum and row.lowest_at is None:
            row.lowest_at = start
        if high is not None and high == row.bucket.maximum and row.highest_at is None:
            row.highest_at = start
        return
    if low is not None and (so_far.minimum is None or low < so_far.minimum):
        row.lowest_at = start
    if high is not None and (so_far.maximum is None or high > so_far.maximum):
        row.highest_at = start


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
    filled = [(start, bucket) for start, bucket in days if bucket.count]
    lists = [RecordList(kind=name, days=_first(filled, of, most)) for name, of, most in kinds]
    return [each for each in lists if each.days]


def _first(
    days: Sequence[Timed], value_of: Callable[[Bucket], float | None], most: bool
) -> tuple[Record, ...]:
    values = [(value_of(bucket), start) for start, bucket in days]
    records = [Record(value=value, at_ms=start) for value, start in values if value is not None]
    records.sort(key=lambda record: (-record.value if most else record.value, record.at_ms))
    return tuple(records[:PLACES])


def _width(bucket: Bucket) -> float | None:
    if bucket.minimum is None or bucket.maximum is None:
        return None
    return bucket.maximum - bucket.minimum


# --- How long a limit was passed -------------------------------------------------------------

Place = tuple[str, str]
"""An endpoint and a column."""
Passed = tuple[int, int]
"""When a day begins, UTC epoch milliseconds, and how many of its hours have passed the limit."""


def passed_of(view: View, line: Place, window: Window, limit: Limit) -> list[Passed]:
    """Return each day with values of the window, whose step is a day.

    An hour belongs to the day in which it begins. Readings that are not rolled up yet, of the last
    hour or two, do not count.
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
    mixed = [start for start, bucket in hours if limit.share(bucket) is None]
    if not mixed:
        return {}
    line = query.endpoints[0], query.measurements[0]
    branch = Branch(line[0], line[1:], ())
    if not query.raw:
        ends = mixed[0], mixed[-1] + HOUR_MS - 1
        segments = within(view.corrections.of(*line), *ends)
        branch = branch._replace(corrected=CorrectedStation((), ((line[1], tuple(segments)),)))
    listed = [(branch.endpoint, None, *ends, 0) for ends in _runs(mixed)]
    rows = view.connection.execute(
        _passed_readings(line[1], limit.above, branch),
        {"runs": json.dumps(listed), "limit": limit.value},
    )
    return {hour * HOUR_MS: (passed or 0) / number for hour, number, passed in rows if number}


def _runs(starts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield hours that follow each other as one range."""
    run: list[int] = []
    for start in starts:
        if run and start != run[-1] + HOUR_MS:
            yield run[0], run[-1] + HOUR_MS - 1
            run = []
        run.append(start)
    if run:
        yield run[0], run[-1] + HOUR_MS - 1


@lru_cache(maxsize=STATEMENTS)
def _passed_readings(column: str, above: bool, branch: Branch) -> Select[Any]:
    runs, at = spans("runs"), readings.c.received_at
    value = shown_of(column, (branch,))
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
    query = Query(
        registry=view.stations,
        zone=view.zone,
        endpoints=(request.station.endpoint,),
        measurements=(request.column,),
        raw=request.is_raw,
    )
    parts = _parts(view, query, request.period)
    if not parts:
        return PeriodTable(rows=[], whole=PeriodRow(Span(request.period, 0, 0)))
    reader = _PeriodReader(view, query, parts[0].first_ms, parts[-1].last_ms)
    days = reader.read(DAY)
    hours = reader.read(HOUR) if request.is_month else None
    rows = rows_of(parts, days, hours)
    if request.limit and hours is not None:
        add_passed(rows, hours, request.limit, shares_of(view, query, hours, request.limit))
    elif request.limit:
        reader.add_averages(rows, request.limit)
    return PeriodTable(
        rows=rows,
        whole=whole(Span(request.period, reader.first_ms, reader.last_ms), rows),
        records=records_of(days) if request.period == ALL else [],
        is_estimated=request.limit is not None and not request.is_month,
        is_corrected=reader.is_corrected,
    )


@dataclass(frozen=True, slots=True)
class _PeriodReader:
    """Reads the buckets of one line over one range."""

    view: View
    query: Query
    first_ms: int
    last_ms: int

    @property
    def is_corrected(self) -> bool:
        """Whether a value of the line is shown otherwise than it was stored."""
        if self.query.raw:
            return False
        line = self.query.endpoints[0], self.query.measurements[0]
        segments = self.view.corrections.segments(*line, self.first_ms, self.last_ms)
        return not all(segment.is_raw for segment in segments)

    def read(self, step: Step) -> list[Timed]:
        """Return its buckets and the beginning of each, in the order of time."""
        window = self._window(step)
        return [
            (window.starts[place], line.buckets[place])
            for line in charts.chart(self.view, self.query, window, has_gaps=False).lines
            for place in line.places
        ]

    def add_averages(self, rows: list[PeriodRow], limit: Limit) -> None:
        """Count hours by their averages, in the database if roll-ups have these."""
        window = self._window(DAY)
        line = self.query.endpoints[0], self.query.measurements[0]
        is_stored = self.query.raw and self.view.corrections.touches(line[0], line[1:])
        if not is_stored and charts.rolled_up(self.view, self.query, window) is not None:
            add_hours(rows, passed_of(self.view, line, window, limit))
        else:
            add_passed(rows, self.read(HOUR), limit, {})

    def _window(self, step: Step) -> Window:
        return Window(self.first_ms, self.last_ms, step, self.query.zone)


def _parts(view: View, query: Query, period: str) -> list[Span]:
    if period != ALL:
        return parts_of(period, query.zone)
    ends = charts.held(view, query)
    return years_between(*ends, query.zone) if ends else []
