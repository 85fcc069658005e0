"""Derived values of averages: those of the lines that they come from, a piece of time at a time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from flask10x.history import charts
from flask10x.history.buckets import Window
from flask10x.history.corrections.segments import Corrections
from flask10x.history.lines import Line
from flask10x.history.local.steps import DAY
from flask10x.history.query import Query
from flask10x.readings.derived.kinds import TREND_HOURS
from flask10x.readings.derived.registry import Derived
from flask10x.readings.stations import Station
from flask10x.readings.times import HOUR_MS

TREND_MS = TREND_HOURS * HOUR_MS


@dataclass(frozen=True, slots=True)
class Average:
    """That of a short piece of time."""

    value: float
    count: int
    """How many readings it is of."""


# When a piece begins, in UTC epoch milliseconds -> its average.
Averages = Mapping[int, Average]


class AveragesReader:
    """Averages of measurements in a window, each station asked for once."""

    def __init__(
        self, connection: Connection, query: Query, corrections: Corrections, window: Window
    ) -> None:
        self._connection = connection
        self._query = query
        self._corrections = corrections
        self.window = window
        # How many the averages of an endpoint are made of, those before the window, too.
        self.readings: dict[str, int] = {}
        self.source = "readings"
        self._found: dict[tuple[str, bool], dict[str, Averages]] = {}

    def of(self, station: Station, column: str) -> Averages:
        """Those of a column that is needed of a station asked for.

        They begin so much earlier that there is one three hours before each of the window.
        """
        return self._of_station(station, self._query, self._query.needed(station), column)

    def outside(self, endpoint: str, column: str) -> Averages:
        """Those of a station that conditions of the query don't mean."""
        station = self._query.known.by_endpoint[endpoint]
        free = replace(self._query, filters=(), incomplete=False)
        return self._of_station(station, free, (column,), column, is_outside=True)

    def _of_station(
        self,
        station: Station,
        query: Query,
        columns: tuple[str, ...],
        column: str,
        *,
        is_outside: bool = False,
    ) -> Averages:
        key = station.endpoint, is_outside
        if key not in self._found:
            base = replace(query, endpoints=(station.endpoint,), measurements=columns, derived=())
            self._found[key] = self._asked(base, is_outside)
        return self._found[key].get(column, {})

    def _asked(self, base: Query, is_outside: bool) -> dict[str, Averages]:
        wider = replace(self.window, first_ms=self.window.first_ms - TREND_MS)
        found = charts.chart(self._connection, base, self._corrections, wider)
        if not is_outside:
            self.readings[base.endpoints[0]] = found.readings
        self.source = found.source
        return {line.measurement.column: dict(_averages(line, wider)) for line in found.lines}


def add_averages(averages: AveragesReader, line: Line, one: Derived, window: Window) -> None:
    """Add the values of the averages to a line whose buckets are those of the window.

    The averages are of this window, or of a part of it.
    """
    first_ms, own = window.starts[0], averages.window
    for start, (value, count) in _values(averages, line.station, one):
        # What begins earlier is only there for the trend.
        if start + own.step.width_ms > own.first_ms:
            line.add(window.place(max(start, first_ms)), count, value * count, value, value)


def _averages(line: Line, window: Window) -> Iterator[tuple[int, Average]]:
    starts = window.starts
    for place, bucket in line.buckets.items():
        if (value := bucket.average) is not None:
            yield starts[place], Average(value, bucket.count)


def _values(
    averages: AveragesReader, station: Station, one: Derived
) -> Iterator[tuple[int, tuple[float, int]]]:
    inputs = [averages.of(station, column) for column in one.inputs]
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
