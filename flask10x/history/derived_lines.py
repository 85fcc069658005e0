"""Derived values as lines of a chart, computed from averages of the lines of their inputs.

The averages are those of the chart's buckets when these are short, of hours when they are an hour
or longer, and of days in ranges of many years; the results are averaged again. So roll-ups can be
used, and corrections of inputs have an effect.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace

from flask10x.history import charts
from flask10x.history.buckets import Line, Window
from flask10x.history.charts import Chart
from flask10x.history.local_time import DAY, HOUR, Step
from flask10x.history.query import Query
from flask10x.history.view import View
from flask10x.readings.derived import TREND_HOURS, Derived
from flask10x.readings.times import HOUR_MS

# More than two years.
HOURS_MAX = 20_000
TREND_MS = TREND_HOURS * HOUR_MS


# When a short piece of time begins, in UTC epoch milliseconds -> its average, and of how many
# readings it is made.
Averages = Mapping[int, tuple[float, int]]


def chart(view: View, query: Query, window: Window | None = None) -> Chart:
    """Return the chart of `charts.chart` with the lines of the requested derived values.

    They come after the measurements of their station.
    """
    plain = charts.chart(view, query, window)
    if plain.window is None or not query.derived:
        return plain
    window = plain.window
    fine = _held(view, query, replace(window, step=step_of_averages(window)))
    # Trends need what was three hours before.
    wider = replace(fine, first_ms=fine.first_ms - TREND_MS)
    queries = [
        replace(query, endpoints=(s.endpoint,), measurements=query.needed(s), derived=())
        for s in query.stations
        if query.chosen_derived(s)
    ]
    of_query = charts.charts(view, queries, wider)
    of_outside = charts.charts(view, _queries_outside(query), wider)
    averages, averages_outside = _averages(of_query, wider), _averages(of_outside, wider)
    usual_ms = charts.intervals(view, query.stations, window.last_ms)
    lines: list[Line] = []
    for station in query.stations:
        lines += [line for line in plain.lines if line.station is station]
        for derived in query.chosen_derived(station):
            line = Line(station, derived.measurement, usual_ms[station.endpoint])
            inputs = [averages.get((station.endpoint, column), {}) for column in derived.inputs]
            if derived.is_of_reading:
                values = _computed(derived, inputs)
            elif derived.outside is not None:
                before = averages_outside.get(derived.outside, {})
                values = _changes(derived, inputs[0], before, apart_ms=0)
            else:
                # Of averages of days there is no trend of three hours.
                before = {} if fine.step is DAY else inputs[0]
                values = _changes(derived, inputs[0], before, apart_ms=TREND_MS)
            for start, value, count in values:
                if start + fine.step.width_ms > fine.first_ms:
                    place = window.place(max(start, window.starts[0]))
                    line.add(place, count, value * count, value, value)
            lines += [line] if line.buckets else []
    readings = plain.readings or sum(each.readings for each in of_query)
    source = next((each.source for each in (*of_outside, *of_query)), "readings")
    return Chart(window, source, readings, lines)


def _queries_outside(query: Query) -> list[Query]:
    """Return the queries for the stations outside, which the query's conditions do not concern."""
    columns: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for station in query.stations:
        for derived in query.chosen_derived(station):
            if derived.outside is not None:
                columns[derived.outside[0]][derived.outside[1]] = None
    free = replace(query, filters=(), incomplete=False, derived=())
    return [
        replace(free, endpoints=(endpoint,), measurements=tuple(names))
        for endpoint, names in columns.items()
    ]


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


def _averages(made: list[Chart], window: Window) -> dict[tuple[str, str], Averages]:
    """Return the averages of each line of these charts of the window, by endpoint and column."""
    return {
        line.names: {
            window.starts[place]: (value, bucket.count)
            for place, bucket in line.buckets.items()
            if (value := bucket.average) is not None
        }
        for each in made
        for line in each.lines
    }


def _computed(derived: Derived, inputs: list[Averages]) -> Iterator[tuple[int, float, int]]:
    """Yield the beginning, the value and the number of readings of each piece with all inputs."""
    for start in inputs[0]:
        present = [averages[start] for averages in inputs if start in averages]
        if len(present) == len(inputs):
            value = derived.of_inputs([average for average, _ in present])
            if value is not None:
                yield start, value, min(count for _, count in present)


def _changes(
    derived: Derived, averages: Averages, before: Averages, *, apart_ms: int
) -> Iterator[tuple[int, float, int]]:
    """Yield the same of a value that is a difference from `before`, so much earlier."""
    for start, (average, count) in averages.items():
        other = before.get(start - apart_ms)
        value = derived.change(average, other[0]) if other else None
        if value is not None:
            yield start, value, count
