"""Derived values as lines of a chart, computed from averages of the lines of their inputs.

The averages are those of the chart's buckets when these are short, of hours when they are an hour
or longer, and of days in ranges of many years; the results are averaged again. So roll-ups can be
used, and corrections of inputs have an effect.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from flask10x.history import charts
from flask10x.history.buckets import Line, Window
from flask10x.history.charts import Chart
from flask10x.history.local_time import DAY, HOUR, Step
from flask10x.history.query import Query
from flask10x.history.view import View
from flask10x.readings.derived import TREND_HOURS, Derived
from flask10x.readings.stations import Station
from flask10x.readings.times import HOUR_MS

# More than two years.
HOURS_MAX = 20_000
TREND_MS = TREND_HOURS * HOUR_MS


def chart(view: View, query: Query, window: Window | None = None) -> Chart:
    """Return the chart of `charts.chart` with the lines of the requested derived values.

    They come after the measurements of their station.
    """
    plain = charts.chart(view, query, window)
    if plain.window is None or not query.derived:
        return plain
    window = plain.window
    fine = _held(view, query, replace(window, step=step_of_averages(window)))
    averages = _Averages(view, query, fine)
    usual_ms = charts.intervals(view, query.stations, window)
    lines: list[Line] = []
    for station in query.stations:
        lines += [line for line in plain.lines if line.station is station]
        for derived in query.chosen_derived(station):
            line = Line(station, derived.measurement, usual_ms[station.endpoint])
            _add_averages(averages, line, derived, window)
            lines += [line] if line.buckets else []
    readings = plain.readings or sum(averages.readings.values())
    return Chart(window, averages.source, readings, lines)


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
    extents = charts.extents(view, query.stations, raw=query.raw).values()
    ends = [extent.ends for extent in extents if extent.ends]
    first_ms = max(min((first for first, _ in ends), default=0), fine.first_ms)
    last_ms = min(max((last for _, last in ends), default=-1), fine.last_ms)
    return replace(fine, first_ms=first_ms, last_ms=last_ms) if first_ms <= last_ms else fine


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
