"""The last day of a station's measurements: what a tile tells beside the newest value."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from itertools import pairwise
from math import isfinite

from flask10x.history import charts
from flask10x.history.buckets import Bucket, Line, Window
from flask10x.history.charts import Chart
from flask10x.history.query import Bound, Query
from flask10x.history.view import View
from flask10x.readings.reasons import WrongValue
from flask10x.readings.stations import Station
from flask10x.readings.times import DAY_MS, HOUR_MS, local_text, parse_bound

# Steps of five minutes: nobody asks when exactly it was coldest, and a day has 288 of them.
MOST_BUCKETS = 320
# Two such steps, or one reading of a station that sends less often: a single value is noise.
NOW_MS = 10 * 60_000


@dataclass(frozen=True, slots=True)
class DayPart:
    """The values of a measurement within a step of time; its ends in UTC epoch milliseconds."""

    first_ms: int
    end_ms: int
    count: int
    average: float
    minimum: float
    maximum: float


@dataclass(frozen=True, slots=True)
class DayOfValues:
    """One measurement's last 24 hours, or its whole local day where that is longer."""

    steps: Sequence[DayPart]
    """In the order of time; there is none where readings are missing."""
    gap_ms: int | None
    """A longer time without a reading is a gap; None when that can't be told."""
    today_ms: int
    """When the local day began."""
    now_ms: int

    @property
    def lowest(self) -> DayPart | None:
        """Where the least value of the local day is."""
        return min(self._today, key=lambda one: one.minimum, default=None)

    @property
    def highest(self) -> DayPart | None:
        """Where the greatest is."""
        return max(self._today, key=lambda one: one.maximum, default=None)

    @property
    def hourly_change(self) -> float | None:
        """The average of the last ten minutes less that of an hour before; None without either.

        Of a station that sends less often it is the last reading of those times.
        """
        within_ms = min(max(NOW_MS, (self.gap_ms or 0) // 2), HOUR_MS // 2)
        now, before = (self._average(end, within_ms) for end in (self.now_ms, self._hour_ago))
        return None if now is None or before is None else now - before

    @property
    def _today(self) -> list[DayPart]:
        return [one for one in self.steps if one.end_ms > self.today_ms]

    @property
    def _hour_ago(self) -> int:
        return self.now_ms - HOUR_MS

    def _average(self, end_ms: int, within_ms: int) -> float | None:
        found = [one for one in self.steps if end_ms - within_ms < one.end_ms <= end_ms + NOW_MS]
        found = [one for one in found if one.first_ms < end_ms]
        count = sum(one.count for one in found)
        return sum(one.average * one.count for one in found) / count if count else None


def days_of(view: View, measurements: Iterable[tuple[Station, str]]) -> dict[str, DayOfValues]:
    """The day of one measurement of each of these stations, by the endpoint.

    Without those that have no values. Raises what reading raises.
    """
    today_ms = day_start(view.now_ms, view.zone)
    since_ms = min(today_ms, view.now_ms - DAY_MS)
    by_window: dict[Window, list[Query]] = {}
    for station, column in measurements:
        query = Query(
            known=view.stations,
            endpoints=(station.endpoint,),
            measurements=(column,),
            since=Bound(since_ms, "", ""),
            until=Bound(view.now_ms, "", ""),
            buckets=MOST_BUCKETS,
            zone=view.zone,
        )
        # Where readings were removed, hours are the finest that is left.
        if window := charts.window_of(view, query):
            by_window.setdefault(window, []).append(query)
    return {
        line.station.endpoint: DayOfValues(_steps(chart, line), line.gap_ms, today_ms, view.now_ms)
        for window, queries in by_window.items()
        for chart in charts.charts(view, queries, window)
        for line in chart.lines
    }


def day_start(ms: int, zone: tzinfo | None) -> int:
    """The first instant of the local day; near 1970, where no bound can be, that of the UTC day."""
    try:
        return parse_bound(local_text(ms, zone)[:10], zone, ms, end=False)
    except WrongValue:
        return ms - ms % DAY_MS


def _steps(chart: Chart, line: Line) -> list[DayPart]:
    if chart.window is None:
        return []
    ends = list(pairwise(chart.window.starts))
    found = (_part(*ends[place], line.buckets[place]) for place in line.places)
    return [one for one in found if one is not None]


def _part(first_ms: int, end_ms: int, bucket: Bucket) -> DayPart | None:
    """None where the values are no numbers that could be drawn."""
    average, minimum, maximum = bucket.average, bucket.minimum, bucket.maximum
    if average is None or minimum is None or maximum is None:
        return None
    if not (isfinite(minimum) and isfinite(maximum)):
        return None
    return DayPart(first_ms, end_ms, bucket.count, average, minimum, maximum)
