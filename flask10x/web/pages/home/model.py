"""What the home shows: a tile for each station, the line of its day, and what has changed."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, tzinfo
from itertools import pairwise
from math import isfinite
from urllib.parse import urlencode

from flask import url_for

from flask10x.alerts.alert import Alert
from flask10x.history import charts
from flask10x.history.buckets import Bucket, Line, Window
from flask10x.history.charts import Chart
from flask10x.history.query import Bound, Query
from flask10x.history.view import View
from flask10x.readings.labels import column_name, station_name
from flask10x.readings.numbers import rounded
from flask10x.readings.reasons import WrongValue
from flask10x.readings.stations import Measurement, Station
from flask10x.readings.times import DAY_MS, HOUR_MS, is_date, local_text, parse_bound
from flask10x.runtime.store import Store
from flask10x.translation import N_, Translation
from flask10x.web.alert_state import state
from flask10x.web.cards import Card, Value, cards
from flask10x.web.pages.alerts.model import alerts_of_stations

WEEKDAYS = (
    *(N_("Monday"), N_("Tuesday"), N_("Wednesday"), N_("Thursday"), N_("Friday")),
    *(N_("Saturday"), N_("Sunday")),
)
MONTHS = (
    *(N_("January"), N_("February"), N_("March"), N_("April"), N_("May"), N_("June")),
    *(N_("July"), N_("August"), N_("September"), N_("October"), N_("November"), N_("December")),
)


def in_words(ms: int, zone: tzinfo | None, t: Translation) -> str:
    """`Thursday, 26 November`, `11月26日（木）`; empty for an instant that is no date."""
    if not is_date(ms):
        return ""
    day = date.fromisoformat(local_text(ms, zone)[:10])
    return t(
        "{weekday}, {day} {month}",
        weekday=t(WEEKDAYS[day.weekday()]),
        day=day.day,
        month=t(MONTHS[day.month - 1]),
    )


# Steps of five minutes are exact enough for the coldest moment, and a day has 288 of them.
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
    """A longer time without a reading is a gap; None when the interval is unknown."""
    today_ms: int
    """When the local day began."""
    now_ms: int

    @property
    def lowest(self) -> DayPart | None:
        """Where the least value of the local day is."""
        return min(self._today, key=lambda step: step.minimum, default=None)

    @property
    def highest(self) -> DayPart | None:
        """Where the greatest is."""
        return max(self._today, key=lambda step: step.maximum, default=None)

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
        return [step for step in self.steps if step.end_ms > self.today_ms]

    @property
    def _hour_ago(self) -> int:
        return self.now_ms - HOUR_MS

    def _average(self, end_ms: int, within_ms: int) -> float | None:
        steps = [step for step in self.steps if end_ms - within_ms < step.end_ms <= end_ms + NOW_MS]
        steps = [step for step in steps if step.first_ms < end_ms]
        count = sum(step.count for step in steps)
        return sum(step.average * step.count for step in steps) / count if count else None


def days_of(view: View, measurements: Iterable[tuple[Station, str]]) -> dict[str, DayOfValues]:
    """The day of one measurement of each of these stations, by the endpoint.

    Without those that have no values. Raises what reading raises.
    """
    today_ms = day_start(view.now_ms, view.zone)
    since_ms = min(today_ms, view.now_ms - DAY_MS)
    by_window: dict[Window, list[Query]] = {}
    for station, column in measurements:
        query = Query(
            registry=view.stations,
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
    parts = (_part(*ends[place], line.buckets[place]) for place in line.places)
    return [part for part in parts if part is not None]


def _part(first_ms: int, end_ms: int, bucket: Bucket) -> DayPart | None:
    """None where the values are no numbers that could be drawn."""
    average, minimum, maximum = bucket.average, bucket.minimum, bucket.maximum
    if average is None or minimum is None or maximum is None:
        return None
    if not (isfinite(minimum) and isfinite(maximum)):
        return None
    return DayPart(first_ms, end_ms, bucket.count, average, minimum, maximum)


Extreme = tuple[str, str]
"""The least or greatest value of today, and the local time of it, `05:40`."""
Trend = tuple[str, str]
"""By how much a value is another one than an hour ago: `up`, `down` or `level`, and in words."""
AxisMark = tuple[float, str, bool]
"""A full hour below the line of the day: its place, its text, whether it is midnight."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sparkline:
    """The line of the last day as SVG, in the units of its own view box."""

    line: str
    """Path data of the averages; broken where readings are missing."""
    area: str
    """The same, closed at the bottom."""
    last: tuple[float, float]
    """Where it ends."""
    marks: Sequence[AxisMark]
    label: str
    """What it shows, for those who don't see it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MainValue:
    """What a tile shows large."""

    value: Value
    trend: Trend | None = None
    lowest: Extreme | None = None
    highest: Extreme | None = None
    sparkline: Sparkline | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """A station."""

    card: Card
    url: str
    """Its last day, with charts."""
    main: MainValue | None
    """None where it is silent for so long that nothing is known of it any more."""
    others: Sequence[Value]
    alerts: Sequence[Alert]
    """The active ones of the station."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Home:
    """The tiles, and how the house is as a whole."""

    tiles: Sequence[Tile]
    """Of the stations that have ever sent."""
    without_data: Sequence[str]
    """The names of the others."""
    is_well: bool
    """Whether all that have ever sent do so now, and nothing is wrong."""


def trend(change: float | None, unit: str, t: Translation) -> Trend | None:
    """Rounded as the value itself is; None when it is not known."""
    if change is None:
        return None
    text = rounded(change, unit)
    if not text.strip("-0."):
        return "level", t("steady")
    if change < 0:
        # A hyphen is short, and the line breaks after it.
        return "down", t("{change} in 1 h", change=text.replace("-", "−"))
    return "up", t("{change} in 1 h", change=f"+{text}")


# The view box; the template has the same. The line keeps its proportions whatever its width is, so
# that dots are round and letters are not stretched.
WIDTH, HEIGHT = 320.0, 84.0
# Above the line is room for its own thickness, below for the hours.
TOP, BOTTOM = 6.0, 64.0
LEFT, RIGHT = 4.0, 312.0
# A quarter of an hour is 3 units wide: finer than that no eye sees.
POINT_MS = 15 * 60_000
MARK_HOURS = (0, 6, 12, 18)
# A room in which nothing happens has a flat line, not the noise of its sensor over all the height.
LEAST_SPAN = {"°C": 2.0, "%": 6.0, "ppm": 150.0, "hPa": 3.0}
# Where hours would run out of the box, or into one another, they are left out.
TEXT_ROOM = 12.0


def sparkline(day: DayOfValues, unit: str, zone: tzinfo | None, label: str) -> Sparkline | None:
    """None where there are not two points to draw a line between; `label` tells what it shows."""
    points = list(_points(day.steps))
    if len(points) < 2:  # noqa: PLR2004
        return None
    parts = list(_parts(points, day, unit))
    return Sparkline(
        line=" ".join(_path(part) for part in parts),
        area=" ".join(
            f"{_path(part)}L{part[-1][0]:g} {BOTTOM:g}L{part[0][0]:g} {BOTTOM:g}Z" for part in parts
        ),
        last=parts[-1][-1],
        marks=list(_marks(day, zone)),
        label=label,
    )


def _points(steps: Sequence[DayPart]) -> Iterator[tuple[int, float]]:
    """The middle of each quarter of an hour that has values, and their average."""
    quarters: dict[int, list[DayPart]] = {}
    for step in steps:
        quarters.setdefault(step.first_ms // POINT_MS, []).append(step)
    for quarter, parts in quarters.items():
        count = sum(part.count for part in parts)
        average = sum(part.average * part.count for part in parts) / count
        yield quarter * POINT_MS + POINT_MS // 2, average


def _parts(
    points: Sequence[tuple[int, float]], day: DayOfValues, unit: str
) -> Iterator[list[tuple[float, float]]]:
    """The line in pieces between the gaps, in the units of the view box."""
    values = [value for _, value in points]
    low, high = min(values), max(values)
    span = max(high - low, LEAST_SPAN.get(unit, abs(high) / 50) or 1)
    low = (low + high - span) / 2
    longest_ms = max(2 * POINT_MS, day.gap_ms or 0)
    part: list[tuple[float, float]] = []
    before_ms = points[0][0]
    for at_ms, value in points:
        if part and at_ms - before_ms > longest_ms:
            yield part
            part = []
        before_ms = at_ms
        part.append(
            (_x(day, at_ms), round(BOTTOM - (value - low) / span * (BOTTOM - TOP) * 0.94 - 2, 1))
        )
    yield part


def _x(day: DayOfValues, ms: int) -> float:
    since_ms = day.now_ms - DAY_MS
    return round(max(LEFT, min(RIGHT, LEFT + (ms - since_ms) / DAY_MS * (RIGHT - LEFT))), 1)


def _path(points: Sequence[tuple[float, float]]) -> str:
    """A point alone is a dot: a line of no length with round ends."""
    first, *others = points
    rest = others or [first]
    return f"M{first[0]:g} {first[1]:g}L" + " ".join(f"{x:g} {y:g}" for x, y in rest)


def _marks(day: DayOfValues, zone: tzinfo | None) -> Iterator[AxisMark]:
    since_ms = day.now_ms - DAY_MS
    for at_ms, hour in _hours(day, zone):
        x = _x(day, at_ms)
        if since_ms + HOUR_MS < at_ms < day.now_ms and x < RIGHT - TEXT_ROOM:
            yield x, f"{hour}:00", hour == 0


def _hours(day: DayOfValues, zone: tzinfo | None) -> Iterator[tuple[int, int]]:
    """The marked hours of yesterday and today; none near 1970, where no bound can be."""
    for noon_ms in (day.today_ms - DAY_MS // 2, day.today_ms + DAY_MS // 2):
        date = local_text(noon_ms, zone)[:10]
        with suppress(WrongValue):
            for hour in MARK_HOURS:
                at = f"{date} {hour:02d}:00"
                yield parse_bound(at, zone, day.now_ms, end=False), hour


# What people ask of a room first; of a station without any of them it is its first measurement.
ASKED_FIRST = ("temperature", "co2", "humidity")
# Of derived values; the others are in charts and downloads for who asks for them.
COMPUTED = ("dew_point", "discomfort_index")
# The hour and the minute of `2025-08-24 09:00:12`.
CLOCK = slice(11, 16)


def home(view: View, store: Store, t: Translation) -> Home:
    """A tile of each station that has ever sent; raises what reading raises."""
    all_cards = cards(view, store, t)
    marked = alerts_of_stations(store.settings)
    sending = [card for card in all_cards if card.silence.state != "never"]
    days = days_of(
        view,
        [
            (card.station, main_of(card.values).measurement.column)
            for card in sending
            if card.values
        ],
    )
    tiles = []
    for card in sending:
        endpoint, main = card.station.endpoint, main_of(card.values) if card.values else None
        link = urlencode({"endpoint": endpoint, "from": "-24h"})
        tile = Tile(
            card=card,
            url=f"{url_for('history_page.as_page')}?{link}",
            main=_main(main, card, days.get(endpoint), view.zone, t) if main else None,
            others=[*_others(card, main)],
            alerts=marked.get(endpoint, []),
        )
        tiles.append(tile)
    return Home(
        tiles=tiles,
        without_data=[station_name(card.station, t) for card in all_cards if card not in sending],
        is_well=not state().current().active and all(card.is_well for card in sending),
    )


def _others(card: Card, main: Value | None) -> Iterator[Value]:
    """What else is known, and of what is computed the few that say something at a glance."""
    yield from (value for value in card.values if value is not main and value.is_known)
    yield from (value for value in card.derived if value.measurement.column in COMPUTED)


def _main(
    value: Value, card: Card, day: DayOfValues | None, zone: tzinfo | None, t: Translation
) -> MainValue:
    if day is None:
        return MainValue(value=value)
    unit = value.measurement.unit
    is_current = card.silence.state == "receiving" and not value.is_missing
    return MainValue(
        value=value,
        trend=trend(day.hourly_change, unit, t) if is_current else None,
        lowest=_extreme(day.lowest, "minimum", unit, zone),
        highest=_extreme(day.highest, "maximum", unit, zone),
        sparkline=_line(day, value.measurement, zone, t),
    )


def _line(
    day: DayOfValues, measurement: Measurement, zone: tzinfo | None, t: Translation
) -> Sparkline | None:
    values = [step.average for step in day.steps]
    if not values:
        return None
    unit = measurement.unit
    low, high = (f"{rounded(end(values), unit)} {unit}" for end in (min, max))
    name = column_name(measurement, t)
    label = t("{name} of the last 24 hours, from {low} to {high}", name=name, low=low, high=high)
    return sparkline(day, unit, zone, label)


def _extreme(step: DayPart | None, end: str, unit: str, zone: tzinfo | None) -> Extreme | None:
    if step is None:
        return None
    time = local_text(step.first_ms, zone)[CLOCK] if is_date(step.first_ms) else ""
    return rounded(getattr(step, end), unit), time


def main_of(values: Sequence[Value]) -> Value:
    """What a tile shows large: of what is asked first the first that is known now, or ever was."""
    ranked = sorted(values, key=_rank)
    # A sensor that failed an hour ago is still that of the room, unless another one replaces it.
    for value in ranked:
        if value.is_known:
            quantity = value.measurement.quantity
            same = (other for other in ranked if other.measurement.quantity == quantity)
            return next((other for other in same if not other.is_missing), value)
    return ranked[0]


def _rank(value: Value) -> int:
    quantity = value.measurement.quantity
    return ASKED_FIRST.index(quantity) if quantity in ASKED_FIRST else len(ASKED_FIRST)
