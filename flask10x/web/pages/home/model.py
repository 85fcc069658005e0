"""What the home shows: a tile for each station, the line of its day, and what has changed."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, time, tzinfo
from itertools import pairwise
from math import isfinite

from flask import url_for

from flask10x.alerts.alert import Alert
from flask10x.config.settings import Settings
from flask10x.health.database import obstacles_met
from flask10x.history import charts
from flask10x.history.buckets import Line, Window
from flask10x.history.charts import Chart
from flask10x.history.query import Bound, Query
from flask10x.history.view import View
from flask10x.readings.bands import LEVELS, Band, Level
from flask10x.readings.labels import column_name, is_own, station_name
from flask10x.readings.numbers import rounded
from flask10x.readings.reasons import WrongValue
from flask10x.readings.stations import Station
from flask10x.readings.times import DAY_MS, HOUR_MS, is_date, local_text, parse_bound
from flask10x.runtime.store import Store
from flask10x.translation import N_, Translation
from flask10x.web.alerts import AlertReader, alerts_of_stations
from flask10x.web.captions import badge
from flask10x.web.cards import Age, Card, Value, cards, shown_stations
from flask10x.web.context import alert_state
from flask10x.web.ranges import history_url

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
    """One measurement's last 24 hours."""

    steps: Sequence[DayPart]
    """In the order of time; there is none where readings are missing."""
    gap_ms: int | None
    """A longer time without a reading is a gap; None when the interval is unknown."""
    now_ms: int

    @property
    def hourly_change(self) -> float | None:
        """The average of the last ten minutes less that of an hour before; None without either.

        Of a station that sends less often it is the last reading of those times.
        """
        within_ms = min(max(NOW_MS, (self.gap_ms or 0) // 2), HOUR_MS // 2)
        averages = [
            _average(
                step
                for step in self.steps
                if end_ms - within_ms < step.end_ms <= end_ms + NOW_MS and step.first_ms < end_ms
            )
            for end_ms in (self.now_ms, self.now_ms - HOUR_MS)
        ]
        now, before = averages
        return None if now is None or before is None else now - before


def _average(steps: Iterable[DayPart]) -> float | None:
    pairs = [(step.average * step.count, step.count) for step in steps]
    return sum(total for total, _ in pairs) / sum(n for _, n in pairs) if pairs else None


def days_of(view: View, measurements: Iterable[tuple[Station, str]]) -> dict[str, DayOfValues]:
    """Return the day of one measurement of each of these stations, by the endpoint.

    Without those that have no values. Raises what reading raises.
    """
    by_window: dict[Window, list[Query]] = {}
    for station, column in measurements:
        query = Query(
            registry=view.stations,
            endpoints=(station.endpoint,),
            measurements=(column,),
            since=Bound(view.now_ms - DAY_MS, "", ""),
            until=Bound(view.now_ms, "", ""),
            buckets=MOST_BUCKETS,
            zone=view.zone,
        )
        # Where readings were removed, hours are the finest that is left.
        if window := charts.window_of(view, query):
            by_window.setdefault(window, []).append(query)
    return {
        line.station.endpoint: DayOfValues(list(_steps(chart, line)), line.gap_ms, view.now_ms)
        for window, queries in by_window.items()
        for chart in charts.charts(view, queries, window)
        for line in chart.lines
    }


def day_start(ms: int, zone: tzinfo | None) -> int:
    """Return when the local day began; near 1970, where no bound can be, when the UTC day did."""
    try:
        return parse_bound(local_text(ms, zone)[:10], zone, ms, end=False)
    except WrongValue:
        return ms - ms % DAY_MS


def _steps(chart: Chart, line: Line) -> Iterator[DayPart]:
    """Yield what can be drawn: an infinity can't, nor an average beyond a double."""
    ends = list(pairwise(chart.window.starts)) if chart.window else []
    for place in line.places if ends else ():
        bucket = line.buckets[place]
        average, low, high = bucket.average, bucket.minimum, bucket.maximum
        if average is None or low is None or high is None:
            continue
        if isfinite(low) and isfinite(high):
            yield DayPart(*ends[place], bucket.count, average, low, high)


@dataclass(frozen=True, slots=True)
class Extreme:
    """The least or greatest value of the last 24 hours."""

    text: str
    time: str
    """The local time of it, `05:40`."""
    at: tuple[float, float] | None = None
    """Where it is on the line of the day, in hundredths of width and height."""


Trend = tuple[str, str]
"""By how much a value is another one than an hour ago: `up`, `down` or `level`, and in words."""
Point = tuple[int, float, float]
"""A point of the line: its instant in UTC epoch milliseconds, and its place in the view box."""
AxisMark = tuple[float, str, bool]
"""A full hour below the line of the day: its place in hundredths of the width, its text, whether it
is midnight."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sparkline:
    """The line of the last day as SVG, in the units of its own view box."""

    line: str
    """Path data of the averages; broken where readings are missing."""
    area: str
    """The same, closed at the bottom."""
    points: Sequence[Point]
    """All of them, the last one where it ends."""
    marks: Sequence[AxisMark]


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
    second: Value | None
    """What stands beside it: CO₂ where there is any."""
    others: Sequence[Value]
    """A line of them."""
    folded: Sequence[Value]
    """The rest, and what sensors give beside what people ask for: volts, ohms."""
    alerts: Sequence[Alert]
    """The active ones of the station."""

    @property
    def level(self) -> Level | None:
        """The worst band of its values."""
        levels = [value.band.level for value in self.values if value.band]
        return max(levels, key=LEVELS.index, default=None)

    @property
    def values(self) -> list[Value]:
        """All that it shows, by what is asked first."""
        main = [self.main.value] if self.main else []
        return [*main, *([self.second] if self.second else []), *self.others, *self.folded]

    @property
    def on_wall(self) -> list[Value]:
        """The two beside the main one on the wall, each of a unit of its own.

        There is not always room for their names.
        """
        by_unit = {value.measurement.unit: value for value in reversed(self.values)}
        shown = [value for value in self.values if by_unit[value.measurement.unit] is value]
        main = self.main.value if self.main else None
        return [value for value in shown if value is not main and value.measurement.unit][:2]


@dataclass(frozen=True, slots=True)
class Attention:
    """One sentence of what deserves attention, in words."""

    text: str
    level: Level
    url: str
    """Where there is more about it."""
    station: str = ""
    age: Age | None = None
    """Of a silent station, in the place of the text: it goes on counting."""
    is_house: bool = True
    """Whether it is about the house, which those before the wall can see to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Home:
    """The tiles, and how the house is as a whole."""

    tiles: Sequence[Tile]
    """Of the stations that have ever sent."""
    without_data: Sequence[str]
    """The names of the others."""
    attention: Sequence[Attention]
    """What deserves it, the most urgent first; none when all is well."""
    last_id: int
    """Of the log, as far as the tiles know it."""


# The view box; the template has the same. It is stretched to the room of the tile; what must not
# be, letters and strokes, is placed by hundredths of it.
WIDTH, HEIGHT = 320.0, 84.0
# Above the line is room for its greatest value, below for the least and the hours.
TOP, BOTTOM = 19.0, 57.0
LEFT, RIGHT = 4.0, 314.0
# A quarter of an hour is 3 units wide: finer than that no eye sees.
POINT_MS = 15 * 60_000
MARK_HOURS = (0, 6, 12, 18)
# A room in which nothing happens has a flat line, not the noise of its sensor over all the height.
LEAST_SPAN = {"°C": 2.0, "%": 6.0, "ppm": 150.0, "hPa": 3.0}
# Where hours would run out of the box, or into one another, they are left out.
TEXT_ROOM = 16.0


def sparkline(day: DayOfValues, unit: str, zone: tzinfo | None) -> Sparkline | None:
    """Return the line of the day; None without two points to draw it between."""
    # The middle of each quarter of an hour that has values, and their average.
    quarters: dict[int, list[DayPart]] = {}
    for step in day.steps:
        quarters.setdefault(step.first_ms // POINT_MS, []).append(step)
    points = [
        (quarter * POINT_MS + POINT_MS // 2, average)
        for quarter, steps in quarters.items()
        if (average := _average(steps)) is not None
    ]
    if len(points) < 2:  # noqa: PLR2004
        return None
    parts = list(_parts(points, day, unit))
    return Sparkline(
        line=" ".join(_path(part) for part in parts),
        area=" ".join(
            f"{_path(part)}L{part[-1][1]:g} {BOTTOM:g}L{part[0][1]:g} {BOTTOM:g}Z" for part in parts
        ),
        points=[point for part in parts for point in part],
        marks=list(_marks(day, zone)),
    )


def _parts(
    points: Sequence[tuple[int, float]], day: DayOfValues, unit: str
) -> Iterator[list[Point]]:
    """Yield the line in pieces between the gaps."""
    values = [value for _, value in points]
    low, high = min(values), max(values)
    span = max(high - low, LEAST_SPAN.get(unit, abs(high) / 50) or 1)
    low = (low + high - span) / 2
    longest_ms = max(2 * POINT_MS, day.gap_ms or 0)
    part: list[Point] = []
    for at_ms, value in points:
        if part and at_ms - part[-1][0] > longest_ms:
            yield part
            part = []
        y = round(BOTTOM - (value - low) / span * (BOTTOM - TOP) * 0.94 - 2, 1)
        part.append((at_ms, _x(day, at_ms), y))
    yield part


def _x(day: DayOfValues, ms: int) -> float:
    since_ms = day.now_ms - DAY_MS
    return round(max(LEFT, min(RIGHT, LEFT + (ms - since_ms) / DAY_MS * (RIGHT - LEFT))), 1)


def _path(points: Sequence[Point]) -> str:
    """Return path data; of a point alone a dot: a line of no length with round ends."""
    first, *others = points
    rest = others or [first]
    return f"M{first[1]:g} {first[2]:g}L" + " ".join(f"{x:g} {y:g}" for _, x, y in rest)


def _marks(day: DayOfValues, zone: tzinfo | None) -> Iterator[AxisMark]:
    """Yield the marked hours of the line; none near 1970, where no bound can be."""
    today_ms = day_start(day.now_ms, zone)
    for noon_ms in (today_ms - DAY_MS // 2, today_ms + DAY_MS // 2):
        with suppress(WrongValue):
            for hour in MARK_HOURS:
                text = f"{local_text(noon_ms, zone)[:10]} {hour:02d}:00"
                at_ms = parse_bound(text, zone, day.now_ms, end=False)
                x = _x(day, at_ms)
                is_inside = day.now_ms - DAY_MS + HOUR_MS < at_ms < day.now_ms
                if is_inside and x < RIGHT - TEXT_ROOM:
                    yield _percent(x, WIDTH), f"{hour:02d}:00", hour == 0


def _percent(place: float, whole: float) -> float:
    return round(place / whole * 100, 1)


# When the page on the wall is dim, where no quiet hours of messages say when people sleep.
NIGHT = (time(22, 0), time(6, 0))
# The hour and the minute of `2025-08-24 09:00:12`.
CLOCK = slice(11, 16)


def home(view: View, store: Store, t: Translation) -> Home:
    """Return a tile of each station that has ever sent; raises what reading raises."""
    listed = [station for station in shown_stations(view, store) if not station.retired]
    all_cards = cards(view, store, t, listed)
    marked = alerts_of_stations(store.settings)
    sending = [card for card in all_cards if card.silence.state != "never"]
    days = days_of(view, [(c.station, c.main.measurement.column) for c in sending if c.main])
    return Home(
        tiles=[
            Tile(
                card=card,
                url=_url(card),
                main=_main(card.main, card, days.get(card.station.endpoint), view.zone, t)
                if card.main
                else None,
                second=next(iter(card.beside), None),
                others=card.beside[1:],
                folded=[value for value in card.others if value not in card.beside],
                alerts=marked.get(card.station.endpoint, []),
            )
            for card in sending
        ],
        without_data=[station_name(card.station, t) for card in all_cards if card not in sending],
        attention=[*_attention(sending, view, store, t)],
        last_id=view.last_id,
    )


# So many silent stations are named one by one, with how long they have been so.
FEW = 2
# Alerts that no room is the worse for.
CAN_WAIT = ("backup", "replica")
Banded = tuple[Card, Value, Band]
"""A value of a station that lies in a band."""


def _attention(
    sending: Sequence[Card], view: View, store: Store, t: Translation
) -> Iterator[Attention]:
    """Yield what keeps readings from being stored, alerts, values, silence, then what can wait."""
    status_url = url_for("status_page.as_page")
    if obstacles_met(store.database, store.writer, store.gauges):
        text = t("New readings are not being stored.")
        yield Attention(text, "warning", status_url)
    banded = [
        (card, value, value.band)
        for card in sending
        for value in (*card.values, *card.derived)
        if value.band
    ]
    urgent = [each for each in banded if each[2].level == "warning"]
    silent = [card for card in sending if not card.is_well]
    said = {f"{card.station.endpoint}.{value.measurement.column}" for card, value, _ in urgent}
    said |= {card.station.endpoint for card in silent}
    reader = AlertReader(store.settings, t, view.now_ms)
    active = alert_state().current().active
    for alert in active:
        is_shown = alert.kind in ("silence", "threshold") and alert.subject in said
        if not is_shown and alert.kind not in CAN_WAIT:
            url = f"{url_for('alerts.as_page')}#alert-{alert.id}"
            yield Attention(t("{text}.", text=reader.title(alert)), "warning", url)
    for card, value, band in urgent:
        yield _of_value(card, value, band, t)
    yield from _of_silence(silent, t)
    yield from _notices(banded, t)
    for alert in sorted(active, key=lambda alert: alert.kind):
        if alert.kind not in CAN_WAIT:
            continue
        text = t("{text}.", text=reader.title(alert))
        if alert.kind == "backup":
            # As the watch has seen it: the folder may be on a machine that does not answer.
            is_copy, newest_at = "folder" in alert.facts, alert.facts.get("newest_at")
            text = t("The backups are not copied yet.") if is_copy else t("No backup yet.")
            if isinstance(newest_at, int):
                age = t.duration(max(view.now_ms - newest_at, 0) // 1000)
                newest = N_("The newest copy of the backups is {age} old.")
                text = t(newest if is_copy else N_("The newest backup is {age} old."), age=age)
        yield Attention(text, "notice", status_url, is_house=False)


def _of_silence(silent: Sequence[Card], t: Translation) -> Iterator[Attention]:
    if len(silent) > FEW:
        # After a restart all are awaited, for a minute.
        for state_of, word in (("silent", t("No data")), ("awaited", t("Waiting for data"))):
            cards_of = [card for card in silent if card.silence.state == state_of]
            if names := t.listed(station_name(card.station, t) for card in cards_of):
                text = t("{word}: {stations}.", word=word, stations=names)
                yield Attention(text, "notice", url_for("status_page.as_page"))
        return
    for card in silent:
        name = station_name(card.station, t)
        text = "" if card.age else t("{station}: {words}.", station=name, words=t("waiting"))
        yield Attention(text, "notice", _url(card), name, card.age)


def _notices(banded: Sequence[Banded], t: Translation) -> Iterator[Attention]:
    """Each band once, with its stations: in a dry winter it is that of every room."""
    by_word: dict[str, list[Banded]] = {}
    for card, value, band in banded:
        if band.level == "notice":
            by_word.setdefault(badge(band, t), []).append((card, value, band))
    for word, places in by_word.items():
        if len(places) == 1:
            yield _of_value(*places[0], t)
        else:
            names = t.listed(dict.fromkeys(station_name(card.station, t) for card, *_ in places))
            text = t("{word}: {stations}.", word=word, stations=names)
            yield Attention(text, "notice", _url(places[0][0]))


def _of_value(card: Card, value: Value, band: Band, t: Translation) -> Attention:
    """`Bedroom: CO₂ 1502 ppm, air the room.`"""
    unit = value.unit if value.is_close else f" {value.unit}".rstrip()
    word = badge(band, t)
    # With a small letter, unless somebody has chosen it.
    word = f"{word[:1].lower()}{word[1:]}" if is_own(band) else word
    text = t(
        "{station}: {name} {value}, {word}.",
        station=station_name(card.station, t),
        name=column_name(value.measurement, t),
        value=f"{value.text}{unit}",
        word=word,
    )
    return Attention(text, band.level, _url(card))


def _url(card: Card) -> str:
    return history_url("-24h", endpoint=card.station.endpoint)


def is_night(settings: Settings, now_ms: int) -> bool:
    """Whether people sleep: within the quiet hours of messages, or else from 22:00 to 6:00."""
    quiet = settings.alerts.quiet_hours
    begin, end = (quiet.start, quiet.end) if quiet else NIGHT
    now = time.fromisoformat(local_text(now_ms, settings.zone)[CLOCK])
    return begin <= now < end if begin <= end else now >= begin or now < end


def _main(
    value: Value, card: Card, day: DayOfValues | None, zone: tzinfo | None, t: Translation
) -> MainValue:
    if day is None:
        return MainValue(value=value)
    unit = value.measurement.unit
    drawn = sparkline(day, unit, zone)
    is_current = card.silence.state == "receiving" and not value.is_missing
    lowest = min(day.steps, key=lambda step: step.minimum, default=None)
    highest = max(day.steps, key=lambda step: step.maximum, default=None)
    return MainValue(
        value=value,
        trend=_trend(day.hourly_change, unit, t) if is_current else None,
        lowest=_extreme(lowest, "minimum", unit, zone, drawn),
        highest=_extreme(highest, "maximum", unit, zone, drawn),
        sparkline=drawn,
    )


def _trend(change: float | None, unit: str, t: Translation) -> Trend | None:
    """Return the change, rounded as the value itself is; None when it is not known."""
    if change is None:
        return None
    text = rounded(change, unit)
    if not text.strip("0."):
        return "level", t("steady")
    if change < 0:
        return "down", t("{change} in 1 h", change=text)
    return "up", t("{change} in 1 h", change=f"+{text}")


def _extreme(
    step: DayPart | None, end: str, unit: str, zone: tzinfo | None, drawn: Sparkline | None
) -> Extreme | None:
    if step is None:
        return None
    clock = local_text(step.first_ms, zone)[CLOCK] if is_date(step.first_ms) else ""
    text = rounded(getattr(step, end), unit)
    if drawn is None:
        return Extreme(text, clock)
    _, x, _ = min(drawn.points, key=lambda point: abs(point[0] - step.first_ms))
    # Beyond all of the line that its text is as wide as, also where that goes up or down in a step.
    middle = min(max(x, 2 * TEXT_ROOM), WIDTH - 2 * TEXT_ROOM)
    beside = [y for _, at_x, y in drawn.points if abs(at_x - middle) <= 2 * TEXT_ROOM]
    y = min(beside) if end == "maximum" else max(beside)
    return Extreme(text, clock, (_percent(x, WIDTH), _percent(y, HEIGHT)))
