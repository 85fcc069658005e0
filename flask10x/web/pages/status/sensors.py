"""The rows of the page `/status`: the rhythm, missing days and problems of each station.

The last request of a board, and programs for it, are read only when asked for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flask10x.database import counters
from flask10x.errors import nearest
from flask10x.history.rhythm import Rhythm, rhythms
from flask10x.history.uptime import DAYS, Share, StationUptime, Uptime, uptime
from flask10x.history.view import View
from flask10x.readings.labels import between, moment, period_name
from flask10x.readings.reasons import for_people, in_language
from flask10x.readings.times import DAY_MS
from flask10x.recording import rejected
from flask10x.recording.entry import WARNINGS
from flask10x.recording.rejected import RejectedRow, Selection
from flask10x.system.last_requests import UnknownName
from flask10x.system.wording import escape
from flask10x.translation import N_, Translation
from flask10x.web import context, programs
from flask10x.web.cards import Card, Latest, Value, cards, shown_stations
from flask10x.web.programs import KINDS

# A difference below this is the way of a request, not a clock.
CLOCK_AGREES_SEC = 2.0
# Intervals of minutes need no tenths.
TENTHS_BELOW_SEC = 10
# Of all stations together: the table has no index by station.
REJECTED_LOOKED_AT = 500
REJECTED_SHOWN = 3
# No board sends at exactly its interval: less than this is no missing reading.
MISSING_FROM = 0.01
# The height of a day of the strip, and what of it can still be seen.
DAY_HEIGHT, LEAST_HEIGHT = 8, 1
BATTERIES, SIGNALS = ("battery_voltage", "battery"), ("rssi",)


@dataclass(frozen=True, kw_only=True, slots=True)
class Strip:
    """The last 30 days of a station as a drawing of 30 by 8, the oldest at the left."""

    whole: str
    some: str
    """The days on which something is missing."""
    missing: str
    """What is missing of them, from below."""
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SensorRow:
    """A station with its rhythm, days and problems."""

    card: Card
    usual: str
    """How often it sends; empty while that is not known."""
    rhythm: Sequence[str]
    strip: Strip | None
    days: Sequence[str]
    """The days and months that lack readings, with the share that arrived."""
    gaps: Sequence[str] | None
    """None while the days are not counted."""
    warned: dict[str, int]
    """By the path of a field how many stored readings had a fault or nothing there."""
    rejected: Sequence[str]
    """The newest rejected readings of the last 30 days, with the reasons."""
    rejected_count: str
    battery: Sequence[Value]

    @property
    def place(self) -> int:
        """What is wrong comes first, what has never sent or sends no more last."""
        if not self.card.is_well:
            return 0 if self.card.silence.is_missed else 1
        if self.card.silence.state == "never" or self.card.station.retired:
            return 4
        return 2 if self.rejected else 3


@dataclass(slots=True)
class Sensors:
    """What the database knows of how the stations send."""

    rows: Sequence[SensorRow] = ()
    is_prepared: bool = True
    """Whether the days of the time zone are counted."""
    since: str = ""
    """The first day of the strips."""
    today: str = ""
    strangers: int = 0
    """How many readings of the last 30 days were rejected that are of no station."""

    def read(self, view: View, found: Sequence[Latest], asked: str, t: Translation) -> None:
        """Read it, also of a station that is `asked` for; raises what reading raises."""
        store, now_ms = context.store(), view.now_ms
        rhythm_of = rhythms(view.connection, view.stations.all, now_ms)
        warnings = counters.values_like(view.connection, WARNINGS)
        rows = rejected.page(view.connection, Selection(), None, REJECTED_LOOKED_AT).rows
        recent = [row for row in rows if row.received_at >= now_ms - DAYS * DAY_MS]
        more = "+" if len(recent) == REJECTED_LOOKED_AT else ""
        # A row that was written over keeps its old id.
        recent.sort(key=lambda row: row.received_at, reverse=True)
        of_days = uptime(view)
        uptimes = {each.station.endpoint: each for each in of_days.stations}

        def row(card: Card) -> SensorRow:
            endpoint = card.station.endpoint
            refused = [each for each in recent if each.endpoint == endpoint]
            # Nothing is missing of one that sends no more.
            days = None if card.station.retired else uptimes.get(endpoint)
            measured = {value.measurement.quantity: value for value in card.values}
            return SensorRow(
                card=card,
                usual=_usual(rhythm_of[endpoint], days, t),
                rhythm=list(_rhythm(rhythm_of[endpoint], t, now_ms)),
                strip=_strip(days.days, t) if days else None,
                days=list(_lacking(days, t)) if days else (),
                gaps=_gaps(days, of_days, t) if days else None,
                warned={
                    name.removeprefix(f"{endpoint}."): times
                    for name, times in warnings.items()
                    if name.startswith(f"{endpoint}.")
                },
                rejected=[
                    f"{moment(each.received_at, view.zone, t, now_ms)}: {_why(each, t)}"
                    for each in refused[:REJECTED_SHOWN]
                ],
                rejected_count=f"{len(refused):,}{more}" if refused else "",
                battery=[
                    value
                    for quantity in (*BATTERIES, *SIGNALS)
                    if (value := measured.get(quantity)) and value.is_known
                ],
            )

        # A board whose readings are all rejected is looked for here.
        named = {asked, *(each.endpoint for each in recent)}
        listed = cards(view, store, t, shown_stations(view, store, named), found)
        self.rows = sorted(map(row, listed), key=lambda each: each.place)
        self.is_prepared = of_days.is_prepared
        known = view.stations.by_endpoint
        self.strangers = sum(each.endpoint not in known for each in recent)
        if of_days.stations:
            first, *_, last = reversed(of_days.stations[0].days)
            self.since, self.today = period_name(first.name, t), period_name(last.name, t)


def asked_for(endpoint: str, t: Translation) -> dict[str, object]:
    """Return the last request, trial and programs of one station, without a query."""
    store = context.store()
    station = store.settings.stations.by_endpoint[endpoint]
    return {
        # The last one since the service started.
        "request": store.gauges.last_request(endpoint),
        # Asks what would become of a reading, and stores nothing.
        "trial": programs.trial(station),
        "programs": {kind: programs.program(kind, station, t) for kind in KINDS},
    }


def meant(unknown: UnknownName) -> tuple[str, str]:
    """Return the path of the station that may be meant, and the command that adds one of this name.

    The path is empty if no station is near; the command is empty if only the spelling differs.
    """
    stations = context.store().settings.stations.by_endpoint
    if unknown.name in stations:
        return f"/{unknown.name}", ""
    near = nearest(unknown.name, stations)
    return f"/{near}" if near else "", f"flask10x stations add {unknown.name}"


def _strip(days: Sequence[Share], t: Translation) -> Strip:
    """Draw the days, of which the newest comes first."""
    whole, some, missing, lacking = "", "", "", 0
    for x, day in enumerate(reversed(days)):
        if day.share is None and not day.readings:
            continue
        box = f"M{x} 0h.86v{DAY_HEIGHT}h-.86z"
        if not is_lacking(day):
            whole += box
            continue
        height = max(LEAST_HEIGHT, round(DAY_HEIGHT * (1 - (day.share or 0)), 1))
        some += box
        missing += f"M{x} {DAY_HEIGHT}v-{height:g}h.86v{height:g}z"
        lacking += 1
    label = t("No readings are missing in the last 30 days.")
    if lacking:
        label = t("Days with missing readings, of the last 30: {n}", n=lacking)
    return Strip(whole=whole, some=some, missing=missing, label=label)


def is_lacking(share: Share) -> bool:
    """Return whether readings of a day or a month are missing."""
    return share.share is not None and 1 - share.share >= MISSING_FROM


def _lacking(of_station: StationUptime, t: Translation) -> Iterator[str]:
    for each in (*of_station.days, *of_station.months):
        if is_lacking(each):
            # Rounded down: a day that lacks one has not all.
            percent = f"{int((each.share or 0) * 1000) / 10:g}"
            yield t("{period}: {percent} %", period=period_name(each.name, t), percent=percent)


def _gaps(of_station: StationUptime, of_days: Uptime, t: Translation) -> list[str]:
    zone = context.store().settings.zone
    return [
        t(
            "{period} ({duration})",
            period=between(gap.first_ms, gap.end_ms, zone, t, of_days.until_ms),
            duration=t.exactly((gap.end_ms - gap.first_ms) // 1000),
        )
        for gap in of_station.gaps
    ]


def _usual(rhythm: Rhythm, of_station: StationUptime | None, t: Translation) -> str:
    usual_sec = rhythm.usual_sec or (of_station.usual_sec if of_station else None)
    return t("every {duration}", duration=t.duration(round(usual_sec))) if usual_sec else ""


def _rhythm(rhythm: Rhythm, t: Translation, now_ms: int) -> Iterator[str]:
    """Yield how regularly a station sends, in sentences."""
    n = f"{rhythm.readings:,}"
    if not rhythm.readings:
        yield t("No reading in the last 24 hours.")
        return
    if rhythm.since_ms is None:
        yield t("Readings in the last 24 hours: {n}", n=n)
    else:
        since = moment(rhythm.since_ms, context.store().settings.zone, t, now_ms)
        yield t("The newest {n} readings, since {since}", n=n, since=since)
    if rhythm.usual_sec is None or rhythm.low_sec is None or rhythm.high_sec is None:
        yield t("Too few readings to tell how often it sends.")
    else:
        usual, low, high = map(_seconds, (rhythm.usual_sec, rhythm.low_sec, rhythm.high_sec))
        sentence = N_("Usually every {usual} s; 80 % of the time {low} to {high} s")
        if low == high:
            sentence = N_("Every {usual} s, evenly")
        yield t(sentence, usual=usual, low=low, high=high)
        if rhythm.gaps:
            longest = t.duration(round(rhythm.longest_gap_sec or 0))
            yield t("Gaps: {n}, the longest {longest}", n=f"{rhythm.gaps:,}", longest=longest)
        else:
            yield t("No gap")
    yield _clock(rhythm.lag_sec, t)


def _clock(lag_sec: float | None, t: Translation) -> str:
    if lag_sec is None:
        return t("It sends no times of its own; the time of arrival counts.")
    if abs(lag_sec) < CLOCK_AGREES_SEC:
        return t("Its clock agrees with the server's.")
    sentence = N_("Its clock is {lag} ahead of the server's.")
    if lag_sec > 0:
        sentence = N_(
            "Its readings are at least {lag} old when they arrive: its clock is behind, "
            "or it always sends late."
        )
    return t(sentence, lag=t.duration(round(abs(lag_sec))))


def _seconds(value: float) -> str:
    return f"{value:.1f}" if value < TENTHS_BELOW_SEC else f"{value:.0f}"


def _why(reading: RejectedRow, t: Translation) -> str:
    """All reasons in one line, in the reader's language where they are known in it."""
    shown = for_people(reading.reasons, reading.hint).items()
    parts = [f"{path}: {in_language(why, t)}" for path, why in shown]
    parts += [in_language(reading.hint, t)] if reading.hint else []
    return escape("; ".join(parts))
