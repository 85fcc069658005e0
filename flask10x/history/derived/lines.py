"""Derived values as lines of a chart, computed from averages of the lines that they come from.

Averages of the chart's own buckets where these are short, of hours where they are an hour or more,
and of days in ranges of many years; what comes out is averaged again. So roll-ups serve them, and
corrections reach them by their inputs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from flask10x.history import charts
from flask10x.history.buckets import Window
from flask10x.history.charts import Chart
from flask10x.history.corrections.segments import Corrections
from flask10x.history.lines import Line
from flask10x.history.local.steps import DAY, HOUR, Step
from flask10x.history.query import Query
from flask10x.readings.derived.kinds import TREND_HOURS
from flask10x.readings.derived.registry import Derived
from flask10x.readings.stations import Station
from flask10x.readings.times import HOUR_MS

TREND_MS = TREND_HOURS * HOUR_MS
# More than two years. A formula takes a microsecond or two, and each hour is an object.
HOURS_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Average:
    """That of a short piece of time."""

    value: float
    count: int
    """How many readings it is of."""


# When a piece begins, in UTC epoch milliseconds -> its average.
Averages = Mapping[int, Average]


def chart(connection: Connection, query: Query, corrections: Corrections) -> Chart:
    """As `charts.chart`, with the lines of the derived values that were asked for.

    They stand behind the measurements of their station.
    """
    plain = charts.chart(connection, query, corrections)
    if plain.window is None or not query.derived:
        return plain
    averages = _Averages(connection, query, corrections, plain.window)
    lines: list[Line] = []
    for station in query.stations:
        lines += [line for line in plain.lines if line.station is station]
        for one in query.chosen_derived(station):
            line = _line(averages, station, one, plain.window)
            lines += [line] if line.buckets else []
    readings = plain.readings or averages.readings
    return Chart(plain.window, averages.source, readings, lines)


def step_of_averages(window: Window) -> Step:
    """Of which pieces of time the averages are that derived values are computed from."""
    if not window.step.is_of_hours:
        return window.step
    return HOUR if window.last_ms - window.first_ms <= HOURS_MAX * HOUR_MS else DAY


class _Averages:
    """Averages of measurements in a window, each station asked for once."""

    def __init__(
        self, connection: Connection, query: Query, corrections: Corrections, window: Window
    ) -> None:
        self._connection = connection
        self._query = query
        self._corrections = corrections
        self.window = replace(window, step=step_of_averages(window))
        self.readings = 0
        self.source = "readings"
        self._found: dict[tuple[str, bool], dict[str, tuple[Averages, int | None]]] = {}

    def of(self, station: Station, column: str) -> tuple[Averages, int | None]:
        """Those of a column that is needed of a station asked for, and the usual interval.

        They begin so much earlier that there is one three hours before each of the window.
        """
        return self._of_station(station, self._query, self._query.needed(station), column)

    def outside(self, endpoint: str, column: str) -> Averages:
        """Those of a station that conditions of the query don't mean."""
        station = self._query.known.by_endpoint[endpoint]
        free = replace(self._query, filters=(), incomplete=False)
        return self._of_station(station, free, (column,), column, is_outside=True)[0]

    def _of_station(
        self,
        station: Station,
        query: Query,
        columns: tuple[str, ...],
        column: str,
        *,
        is_outside: bool = False,
    ) -> tuple[Averages, int | None]:
        key = station.endpoint, is_outside
        if key not in self._found:
            base = replace(query, endpoints=(station.endpoint,), measurements=columns, derived=())
            self._found[key] = self._asked(base, is_outside)
        return self._found[key].get(column, ({}, None))

    def _asked(self, base: Query, is_outside: bool) -> dict[str, tuple[Averages, int | None]]:
        wider = replace(self.window, first_ms=self.window.first_ms - TREND_MS)
        found = charts.chart(self._connection, base, self._corrections, wider)
        if not is_outside:
            self.readings += found.readings
        self.source = found.source
        return {
            line.measurement.column: (dict(_averages(line, wider)), line.interval_ms)
            for line in found.lines
        }


def _averages(line: Line, window: Window) -> Iterator[tuple[int, Average]]:
    starts = window.starts
    for place, bucket in line.buckets.items():
        if (value := bucket.average) is not None:
            yield starts[place], Average(value, bucket.count)


def _line(averages: _Averages, station: Station, one: Derived, window: Window) -> Line:
    inputs = [averages.of(station, column) for column in one.inputs]
    line = Line(station, one.measurement, inputs[0][1])
    # What begins before the window's first bucket is only there for the trend.
    first_ms, fine = window.starts[0], averages.window.step
    for start, (value, count) in _values(averages, one, [found for found, _ in inputs]):
        if start + fine.width_ms > window.first_ms:
            place = window.place(max(start, first_ms))
            line.add(place, count, value * count, value, value)
    return line


def _values(
    averages: _Averages, one: Derived, inputs: list[Averages]
) -> Iterator[tuple[int, tuple[float, int]]]:
    first, *others = inputs
    if one.is_of_reading:
        for start, average in first.items():
            rest = [other.get(start) for other in others]
            known = [average, *(found for found in rest if found is not None)]
            if len(known) < len(inputs):
                continue
            value = one.of_inputs([found.value for found in known])
            if value is not None:
                yield start, (value, min(found.count for found in known))
        return
    before, apart_ms = first, TREND_MS
    if one.outside is not None:
        before, apart_ms = averages.outside(*one.outside), 0
    elif averages.window.step is DAY:
        return
    for start, average in first.items():
        other = before.get(start - apart_ms)
        value = one.change(average.value, other.value) if other else None
        if value is not None:
            yield start, (value, average.count)
