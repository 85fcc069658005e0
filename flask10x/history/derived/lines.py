"""Derived values as lines of a chart, computed from averages of the lines that they come from.

Averages of the chart's own buckets where these are short, of hours where they are an hour or more,
and of days in ranges of many years; what comes out is averaged again. So roll-ups serve them, and
corrections reach them by their inputs. Whole hours that are rolled up SQLite computes (`hours.py`),
all else is computed here from the averages (`averages.py`).
"""

from dataclasses import replace

from sqlalchemy import Connection

from flask10x.history import charts
from flask10x.history.buckets import Window
from flask10x.history.charts import Chart
from flask10x.history.corrections.segments import Corrections
from flask10x.history.derived.averages import TREND_MS, AveragesReader, add_averages
from flask10x.history.derived.expressions import has_functions
from flask10x.history.derived.hours import add_hours
from flask10x.history.derived.pieces import HourPiece, PieceFinder
from flask10x.history.lines import Line
from flask10x.history.local.steps import DAY, HOUR, Step
from flask10x.history.query import Query
from flask10x.readings.derived.registry import Derived
from flask10x.readings.stations import Station
from flask10x.readings.times import HOUR_MS

# More than two years. SQLite takes a microsecond or two for an hour of a formula.
HOURS_MAX = 20_000


def chart(connection: Connection, query: Query, corrections: Corrections) -> Chart:
    """As `charts.chart`, with the lines of the derived values that were asked for.

    They stand behind the measurements of their station.
    """
    plain = charts.chart(connection, query, corrections)
    if plain.window is None or not query.derived:
        return plain
    maker = _LineMaker(connection, query, corrections, plain.window)
    lines: list[Line] = []
    for station in query.stations:
        lines += [line for line in plain.lines if line.station is station]
        made = (maker.line(station, one) for one in query.chosen_derived(station))
        lines += [line for line in made if line.buckets]
    return Chart(plain.window, maker.source, plain.readings or maker.readings(), lines)


def step_of_averages(window: Window) -> Step:
    """Of which pieces of time the averages are that derived values are computed from."""
    if not window.step.is_of_hours:
        return window.step
    return HOUR if window.last_ms - window.first_ms <= HOURS_MAX * HOUR_MS else DAY


class _LineMaker:
    """Makes the lines of one query in one window."""

    def __init__(
        self, connection: Connection, query: Query, corrections: Corrections, window: Window
    ) -> None:
        self._connection = connection
        self._query = query
        self._corrections = corrections
        self._window = window
        self._fine = replace(window, step=step_of_averages(window))
        self._whole = AveragesReader(connection, query, corrections, self._fine)
        self._parts: dict[tuple[int, int], AveragesReader] = {}
        rolled_up = charts.rolled_up(connection, query, self._fine)
        self._pieces: PieceFinder | None = None
        if rolled_up and self._fine.step is HOUR and has_functions(connection):
            self._pieces = PieceFinder(connection, corrections, window, rolled_up)

    def line(self, station: Station, one: Derived) -> Line:
        usual_ms = charts.interval_ms(self._connection, station, self._window)
        line = Line(station, one.measurement, usual_ms)
        pieces = None if self._pieces is None else self._pieces.of(one)
        if pieces is None:
            add_averages(self._whole, line, one, self._window)
            return line
        for piece in pieces:
            if piece.adjusted is None:
                add_averages(self._part(piece), line, one, self._window)
            else:
                add_hours(self._connection, line, one, piece, self._window)
        return line

    @property
    def source(self) -> str:
        return self._whole.source if self._pieces is None else "rollups"

    def readings(self) -> int:
        """How many the lines are made of, those that the first trends look back at, too."""
        known = self._whole.readings
        return sum(
            known[station.endpoint] if station.endpoint in known else self._count(station)
            for station in self._query.stations
            if self._query.chosen_derived(station)
        )

    def _count(self, station: Station) -> int:
        columns, endpoint = self._query.needed(station), station.endpoint
        if not self._corrections.touches(endpoint, columns):
            columns = columns[:1]
        query = replace(self._query, endpoints=(endpoint,), measurements=columns, derived=())
        wider = replace(self._window, first_ms=self._window.first_ms - TREND_MS)
        return charts.chart(self._connection, query, self._corrections, wider).readings

    def _part(self, piece: HourPiece) -> AveragesReader:
        first_ms = max(piece.first * HOUR_MS, self._window.first_ms)
        last_ms = min(piece.end * HOUR_MS - 1, self._window.last_ms)
        if (first_ms, last_ms) not in self._parts:
            part = replace(self._fine, first_ms=first_ms, last_ms=last_ms)
            reader = AveragesReader(self._connection, self._query, self._corrections, part)
            self._parts[first_ms, last_ms] = reader
        return self._parts[first_ms, last_ms]
