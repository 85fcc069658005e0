"""Derived values as lines of a chart, computed from averages of the lines of their inputs.

The averages are those of the chart's buckets when these are short, of hours when they are an hour
or longer, and of days in ranges of many years; the results are averaged again. So roll-ups can be
used, and corrections of inputs have an effect. The database computes the values of whole hours that
are rolled up and in which every input is corrected in one way; the others are computed here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

from sqlalchemy import ColumnElement, Float, Select, and_, bindparam, func, select

from flask10x.database.expressions import (
    adjusted,
    by_itself,
    floor_div,
    least,
    quotient,
    total,
    unindexed,
)
from flask10x.database.tables import readings, rollups
from flask10x.history import charts
from flask10x.history.buckets import Line, Window
from flask10x.history.charts import Chart
from flask10x.history.corrections import Corrections, Segment
from flask10x.history.local_time import DAY, HOUR, Step
from flask10x.history.query import Query
from flask10x.history.statements import STATEMENTS, computed, has_functions
from flask10x.history.view import View
from flask10x.readings.derived import TREND_HOURS, Derived
from flask10x.readings.stations import Station
from flask10x.readings.times import HOUR_MS

# More than two years. SQLite takes a microsecond or two for an hour of a formula.
HOURS_MAX = 20_000
TREND_MS = TREND_HOURS * HOUR_MS
# A piece takes one or two milliseconds; all hours of a year from their averages take a hundred.
PIECES_MAX = 20
# The column of the bucket's number.
_NUMBER = "_number"


def chart(view: View, query: Query, window: Window | None = None) -> Chart:
    """Return the chart of `charts.chart` with the lines of the requested derived values.

    They come after the measurements of their station.
    """
    plain = charts.chart(view, query, window)
    if plain.window is None or not query.derived:
        return plain
    maker = _LineMaker(view, query, plain.window)
    lines: list[Line] = []
    for station in query.stations:
        lines += [line for line in plain.lines if line.station is station]
        made = (maker.line(station, derived) for derived in query.chosen_derived(station))
        lines += [line for line in made if line.buckets]
    return Chart(plain.window, maker.source, plain.readings or maker.readings(), lines)


def step_of_averages(window: Window) -> Step:
    """Return the step of the averages from which derived values of the window are computed."""
    if not window.step.is_of_hours:
        return window.step
    return HOUR if window.last_ms - window.first_ms <= HOURS_MAX * HOUR_MS else DAY


def _held(view: View, query: Query, fine: Window) -> Window:
    """Return the window, and of one of days only the time that has readings.

    The calendar has three million days, and the beginning of each is computed.
    """
    if fine.step is not DAY:
        return fine
    ends = charts.extents(view, query.stations, raw=query.raw).values()
    first = [ms for end in ends for ms in (end.first_ms, end.first_hour_ms) if ms is not None]
    last = [ms for end in ends for ms in (end.last_ms, end.last_hour_ms) if ms is not None]
    if not first or not last:
        return fine
    first_ms, last_ms = max(fine.first_ms, min(first)), min(fine.last_ms, max(last))
    return replace(fine, first_ms=first_ms, last_ms=last_ms) if first_ms <= last_ms else fine


class _LineMaker:
    """Makes the lines of one query in one window."""

    def __init__(self, view: View, query: Query, window: Window) -> None:
        self._view, self._query, self._window = view, query, window
        self._fine = _held(view, query, replace(window, step=step_of_averages(window)))
        self._whole = _Averages(view, query, self._fine)
        self._of_whole: set[str] = set()
        self._parts: dict[tuple[int, int], _Averages] = {}
        self._pieces: PieceFinder | None = None
        can_compute = charts.rolled_up(view, query, self._fine) and self._fine.step is HOUR
        if can_compute and has_functions(view.connection):
            self._pieces = PieceFinder(view, view.corrections_of(query), window)

    def line(self, station: Station, derived: Derived) -> Line:
        usual_ms = charts.intervals(self._view, self._query.stations, self._window)
        line = Line(station, derived.measurement, usual_ms[station.endpoint])
        pieces = None if self._pieces is None else self._pieces.of(derived)
        if pieces is None:
            self._of_whole.add(station.endpoint)
            _add_averages(self._whole, line, derived, self._window)
            return line
        for piece in pieces:
            if piece.adjusted is None:
                _add_averages(self._part(piece), line, derived, self._window)
            else:
                _add_hours(self._view, line, derived, piece, self._window)
        return line

    @property
    def source(self) -> str:
        return self._whole.source if self._pieces is None else "rollups"

    def readings(self) -> int:
        """Return how many readings the lines are made of, with earlier ones for trends."""
        stations = [s for s in self._query.stations if self._query.chosen_derived(s)]
        rest = [s for s in stations if s.endpoint not in self._of_whole]
        wider = replace(self._window, first_ms=self._window.first_ms - TREND_MS)
        counted = charts.charts(self._view, [*map(self._counted, rest)], wider)
        number = sum(self._whole.readings[endpoint] for endpoint in self._of_whole)
        return number + sum(chart.readings for chart in counted)

    def _counted(self, station: Station) -> Query:
        """Return the query that counts the readings of a station."""
        columns, endpoint = self._query.needed(station), station.endpoint
        if not self._view.corrections_of(self._query).touches(endpoint, columns):
            columns = columns[:1]
        return replace(self._query, endpoints=(endpoint,), measurements=columns, derived=())

    def _part(self, piece: "HourPiece") -> "_Averages":
        first_ms = max(piece.first * HOUR_MS, self._window.first_ms)
        last_ms = min(piece.end * HOUR_MS - 1, self._window.last_ms)
        if (first_ms, last_ms) not in self._parts:
            part = replace(self._fine, first_ms=first_ms, last_ms=last_ms)
            self._parts[first_ms, last_ms] = _Averages(self._view, self._query, part)
        return self._parts[first_ms, last_ms]


# --- Of averages -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Average:
    """The average of a short piece of time."""

    value: float
    count: int
    """How many readings it is made of."""


# When a piece begins, in UTC epoch milliseconds -> its average.
Averages = Mapping[int, Average]


class _Averages:
    """Averages of measurements in a window, read together for all stations of a query.

    They begin three hours before the window, as trends need them.
    """

    def __init__(self, view: View, query: Query, window: Window) -> None:
        self._view, self._query, self.window = view, query, window
        self._wider = replace(window, first_ms=window.first_ms - TREND_MS)
        self.source = "readings"

    def of(self, station: Station, column: str) -> Averages:
        """Return the averages of an input of a station of the query."""
        return self._of_query.get((station.endpoint, column), {})

    def outside(self, endpoint: str, column: str) -> Averages:
        """Return the averages of another station, which the query's conditions do not concern."""
        return self._outside.get((endpoint, column), {})

    @property
    def readings(self) -> Mapping[str, int]:
        """How many readings the averages of each endpoint are made of, with earlier ones."""
        return {query.endpoints[0]: chart.readings for query, chart in self._charts}

    @cached_property
    def _charts(self) -> list[tuple[Query, Chart]]:
        query = self._query
        return self._read(
            [
                replace(query, endpoints=(s.endpoint,), measurements=query.needed(s), derived=())
                for s in query.stations
                if query.chosen_derived(s)
            ]
        )

    @cached_property
    def _of_query(self) -> dict[tuple[str, str], Averages]:
        return self._by_column(self._charts)

    @cached_property
    def _outside(self) -> dict[tuple[str, str], Averages]:
        columns: dict[str, dict[str, None]] = {}
        for station in self._query.stations:
            for derived in self._query.chosen_derived(station):
                if derived.outside is not None:
                    columns.setdefault(derived.outside[0], {})[derived.outside[1]] = None
        free = replace(self._query, filters=(), incomplete=False, derived=())
        return self._by_column(
            self._read(
                [
                    replace(free, endpoints=(endpoint,), measurements=tuple(names))
                    for endpoint, names in columns.items()
                ]
            )
        )

    def _read(self, queries: list[Query]) -> list[tuple[Query, Chart]]:
        made = charts.charts(self._view, queries, self._wider)
        self.source = made[0].source if made else self.source
        return list(zip(queries, made, strict=True))

    def _by_column(self, made: list[tuple[Query, Chart]]) -> dict[tuple[str, str], Averages]:
        return {
            (line.station.endpoint, line.measurement.column): dict(_averages(line, self._wider))
            for _, chart in made
            for line in chart.lines
        }


def _add_averages(averages: _Averages, line: Line, derived: Derived, window: Window) -> None:
    """Add the values computed from averages to a line whose buckets are those of the window.

    The averages are of this window or of a part of it.
    """
    first_ms, part = window.starts[0], averages.window
    for start, (value, count) in _values(averages, line.station, derived):
        # Earlier averages are only there for the trend.
        if start + part.step.width_ms > part.first_ms:
            line.add(window.place(max(start, first_ms)), count, value * count, value, value)


def _averages(line: Line, window: Window) -> Iterator[tuple[int, Average]]:
    starts = window.starts
    for place, bucket in line.buckets.items():
        if (value := bucket.average) is not None:
            yield starts[place], Average(value, bucket.count)


def _values(
    averages: _Averages, station: Station, derived: Derived
) -> Iterator[tuple[int, tuple[float, int]]]:
    inputs = [averages.of(station, column) for column in derived.inputs]
    first, *others = inputs
    if derived.is_of_reading:
        for start, average in first.items():
            rest = [other.get(start) for other in others]
            present = [average, *(each for each in rest if each is not None)]
            if len(present) < len(inputs):
                continue
            value = derived.of_inputs([each.value for each in present])
            if value is not None:
                yield start, (value, min(each.count for each in present))
        return
    before, apart_ms = first, TREND_MS
    if derived.outside is not None:
        before, apart_ms = averages.outside(*derived.outside), 0
    elif averages.window.step is DAY:
        return
    for start, average in first.items():
        other = before.get(start - apart_ms)
        value = derived.change(average.value, other.value) if other else None
        if value is not None:
            yield start, (value, average.count)


# --- By the engine, for whole hours ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Input:
    """A measurement of a station in the hour of the value, or so many hours before."""

    endpoint: str
    column: str
    hours_before: int = 0


@dataclass(frozen=True, slots=True)
class HourPiece:
    """Hours of UTC since 1970; the window may cut the first and the last one."""

    first: int
    end: int
    """The hour after the last one."""
    adjusted: tuple[tuple[float, float], ...] | None
    """Gain and offset of each input; None when the database can't compute the values."""


@dataclass(frozen=True, slots=True)
class _Whole:
    """The hours of values whose input lies in one segment."""

    first: int
    end: int
    segment: Segment


def inputs_of(derived: Derived) -> tuple[Input, ...]:
    """Return the inputs of a derived value, in the order of `statements.computed`."""
    inputs = tuple(Input(derived.endpoint, column) for column in derived.inputs)
    if derived.is_of_reading:
        return inputs
    if derived.outside is not None:
        return (*inputs, Input(*derived.outside))
    return (*inputs, Input(derived.endpoint, derived.inputs[0], TREND_HOURS))


@dataclass(frozen=True, slots=True)
class PieceFinder:
    """Divides a window into pieces that can each be computed in one way."""

    view: View
    corrections: Corrections
    window: Window

    def of(self, derived: Derived) -> list[HourPiece] | None:
        """Return the pieces that can have a value, in order of time; None if they are too many."""
        inputs = inputs_of(derived)
        wholes = [self._wholes(each) for each in inputs]
        if sum(map(len, wholes)) > PIECES_MAX:
            return None
        late = {hour for each in inputs for hour in self._late(each)}
        low, high = self.window.first_ms // HOUR_MS, self.window.last_ms // HOUR_MS + 1
        cuts = {
            hour for of_input in wholes for whole in of_input for hour in (whole.first, whole.end)
        }
        cuts |= {low, high} | late | {hour + 1 for hour in late}
        pieces: list[HourPiece] = []
        for first, end in pairwise(sorted(hour for hour in cuts if low <= hour <= high)):
            segments = [_around(first, end, of_input) for of_input in wholes]
            if any(segment is not None and segment.hidden for segment in segments):
                continue
            ways = [(s.gain, s.offset) for s in segments if s is not None]
            is_known = first not in late and len(ways) == len(segments)
            piece = HourPiece(first, end, tuple(ways) if is_known else None)
            if pieces and (pieces[-1].end, pieces[-1].adjusted) == (first, piece.adjusted):
                piece = HourPiece(pieces.pop().first, end, piece.adjusted)
            pieces.append(piece)
        return pieces if len(pieces) <= PIECES_MAX else None

    def _wholes(self, source: Input) -> list[_Whole]:
        apart = source.hours_before
        ends = (ms - apart * HOUR_MS for ms in (self.window.first_ms, self.window.last_ms))
        return [
            _Whole(-(-s.first_ms // HOUR_MS) + apart, (s.last_ms + 1) // HOUR_MS + apart, s)
            for s in self.corrections.segments(source.endpoint, source.column, *ends)
        ]

    def _late(self, source: Input) -> Iterator[int]:
        """Yield the hours of values with an input that has readings not rolled up yet."""
        progress = self.view.rollups.progress
        if not progress.behind or source.endpoint not in self.view.later:
            return
        apart_ms = source.hours_before * HOUR_MS
        values = {
            "endpoint": source.endpoint,
            "position": progress.done,
            "low_ms": self.window.first_ms - apart_ms,
            "high_ms": self.window.last_ms - apart_ms,
        }
        for hour in self.view.connection.execute(_LATE, values).scalars():
            yield hour + source.hours_before


def _around(first: int, end: int, wholes: list[_Whole]) -> Segment | None:
    """Return the segment that all these hours lie in, if there is one."""
    return next(
        (whole.segment for whole in wholes if whole.first <= first and end <= whole.end), None
    )


_LATE = (
    select(floor_div(readings.c.received_at, HOUR_MS))
    .distinct()
    # These are the last few rows of the table, so the index is of no use.
    .where(unindexed(readings.c.endpoint) == bindparam("endpoint"))
    .where(readings.c.id > bindparam("position"))
    .where(readings.c.received_at >= bindparam("low_ms"))
    .where(readings.c.received_at <= bindparam("high_ms"))
)


def _add_hours(view: View, line: Line, derived: Derived, piece: HourPiece, window: Window) -> None:
    """Add the values of a piece's hours to a line whose buckets are those of the window.

    `adjusted` of the piece is not None. An hour belongs to the bucket in which it begins.
    """
    unit_ms = window.step.unit_ms
    corrected = {
        f"{name}{place}": value
        for place, pair in enumerate(piece.adjusted or ())
        for name, value in zip(("gain", "offset"), pair, strict=True)
    }
    for run in window.runs(piece.first * HOUR_MS, piece.end * HOUR_MS - 1):
        values = corrected | {
            "first": -(-run.low_ms // HOUR_MS),
            "end": -(-(run.high_ms + 1) // HOUR_MS),
            "offset_ms": run.offset_ms,
            "unit_ms": unit_ms,
        }
        for number, *sums in view.connection.execute(_hour_values(derived), values):
            line.add(window.place(max(number * unit_ms - run.offset_ms, run.low_ms)), *sums)


@lru_cache(maxsize=STATEMENTS)
def _hour_values(derived: Derived) -> Select[Any]:
    """Return the statement for count, total, least and greatest of each bucket with values."""
    values = by_itself(_values_of_hours(derived))
    value, count = values.c.value, values.c["count"]
    at_ms = values.c.hour * HOUR_MS + bindparam("offset_ms")
    return (
        select(
            floor_div(at_ms, bindparam("unit_ms")).label(_NUMBER),
            *(func.sum(count), total(value * count), func.min(value), func.max(value)),
        )
        .where(value.between(*derived.kind.result))
        .group_by(_NUMBER)
    )


def _values_of_hours(derived: Derived) -> Select[Any]:
    averages = by_itself(_hour_averages(derived))
    inputs = [averages.c[f"input{place}"] for place in range(len(inputs_of(derived)))]
    return select(averages.c.hour, averages.c["count"], computed(derived, inputs).label("value"))


def _hour_averages(derived: Derived) -> Select[Any]:
    """Return the statement for each hour's averages of all inputs and the least count of them."""
    base, *others = inputs_of(derived)
    tables = [rollups.alias(f"rollups{place}") for place in range(len(others) + 1)]
    first = tables[0]
    hour = first.c.hour
    joined: Any = first
    for table, each in zip(tables[1:], others, strict=True):
        same = (table.c.endpoint == each.endpoint, table.c.measurement == each.column)
        joined = joined.join(table, and_(*same, table.c.hour == hour - each.hours_before))
    # A change counts the readings of the later, or of the inner, input.
    counted = tables if derived.is_of_reading else tables[:1]
    count = first.c["count"] if len(counted) == 1 else least(*(t.c["count"] for t in counted))
    return (
        select(
            hour,
            count.label("count"),
            *(_average(t, place).label(f"input{place}") for place, t in enumerate(tables)),
        )
        .select_from(joined)
        .where(first.c.endpoint == base.endpoint, first.c.measurement == base.column)
        .where(hour >= bindparam("first"), hour < bindparam("end"))
    )


def _average(table: Any, place: int) -> ColumnElement[Any]:
    gain, offset = (bindparam(f"{name}{place}", type_=Float) for name in ("gain", "offset"))
    count = table.c["count"]
    return quotient(adjusted(table.c.total, gain, offset * count), count)
