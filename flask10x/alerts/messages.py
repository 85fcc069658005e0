"""The texts of messages: what is wrong, since when, the last value, what to do, and a link.

Messages are for people who have never seen a log. They are in the language of their channel,
whatever that of the process is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask10x.alerts import due, subjects
from flask10x.alerts.alert import Alert
from flask10x.alerts.words import Wording, first_filled, wording_of_alert
from flask10x.config.settings import Settings
from flask10x.readings.numbers import separated
from flask10x.readings.stations import Measurement
from flask10x.readings.times import HOUR_MS, SECOND_MS, is_date, iso_text
from flask10x.system.wording import escape
from flask10x.translation import MONTHS, N_, WEEKDAYS, Language, translation

# A chart begins this much before the alert, so that it shows the usual values, too.
SHOWN_BEFORE_MS = 6 * HOUR_MS
# Kinds whose link leads to the readings of their station; that of the others is the status page.
OF_READINGS = {"silence", "threshold", "rate", "stuck", "failed_sensor"}
# Facts in the unit of the measurement.
VALUES = {"value", "before", "limit", "clear", "change", "last_value"}
# The message of the end of an alert has the first of these facts that is known.
SHOWN_AT_THE_END = ("value", "last_value", "values")
DAY_SEC = 86_400
# The suffix of a fact that is the Japanese text of another one.
JAPANESE = "_ja"
# The text of a sensor or a database may be long; this is a line on a phone.
MAX_FACT_CHARS = 200
BYTES = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


@dataclass(frozen=True, slots=True)
class Text:
    """The text of a message."""

    title: str
    body: str
    """Lines, each a sentence or two."""
    url: str = ""
    """The address of the page with more; empty where `base_url` is not set."""


class Speaker:
    """Words alerts in one language, for the stations, the zone and the pages of these settings."""

    def __init__(self, settings: Settings, language: Language) -> None:
        self._settings = settings
        self.t = translation(language)

    def alert(self, alert: Alert, occasion: str) -> Text:
        """Return the text when it fires, as a reminder, and when it is resolved.

        It is the same at every call, for nothing in it depends on the current time.
        """
        t, wording, values = self.t, wording_of_alert(alert), self._values(alert)
        title = self._title(wording, values, occasion)
        url = self._url(alert)
        if occasion == "recovery":
            lines = [self._fill(wording.over, values)]
            if alert.ended_ms is not None:
                seconds = max(0, alert.ended_ms - alert.since_ms) // SECOND_MS
                span, until = t.in_two_units(seconds), self._time(alert.ended_ms)
                text = N_("It began on {since} and ended on {until}, after {span}.")
                lines.append(t(text, since=values["since"], until=until, span=span))
            then = (self._fact(alert, n, alert.end_facts.get(n)) for n in SHOWN_AT_THE_END)
            if value := next(filter(None, then), ""):
                lines.append(t("The value then: {value}", value=value))
            return Text(t("Resolved: {title}", title=title), _joined(lines), url)
        first = first_filled(wording.what, values, t)
        lasts = t("It began on {since} and is not over yet.", since=values["since"])
        more = [self._fill(line, values) for line in wording.more]
        more.append(t("What to do: {do}", do=t(wording.do)))
        if occasion == "reminder":
            return Text(t("Still: {title}", title=title), _joined([first, lasts, *more]), url)
        # Damaged facts fill no sentence about what is wrong.
        return Text(title, _joined([first or lasts, *more]), url)

    def limit(self, made_ms: int, n: int) -> Text:
        """Return the text when a channel has reached its daily limit."""
        body = self.t(
            "On {day} this channel has reached its daily limit of {n} messages. For later alerts of"
            " that day, see the alerts page.",
            day=self.t("{weekday} {day} {month}", **self._parts(made_ms)),
            n=n,
        )
        return Text(self.t("No more messages today"), body, self._page("/alerts"))

    def test(self, channel: str) -> Text:
        """Return the text of a test message."""
        body = self.t(
            "This is a test of the channel {channel}. Alert messages will arrive here.",
            channel=channel,
        )
        title = self.t("Flask10X test message")
        if self._settings.house_name:
            title = self.t("{house}: test message", house=self._settings.house_name)
        return Text(title, body, self._page("/alerts"))

    def name(self, subject: str) -> str:
        """Return the name of a subject: a station, a measurement of it, or the service."""
        return _short(subjects.name_of(subject, self._settings.stations, self.t))

    def _title(self, wording: Wording, values: Mapping[str, str], occasion: str) -> str:
        """The title, without the value where it is not known."""
        later = wording.later if occasion != "entry" else ""
        return self._fill(later or wording.title, values) or values["name"]

    def _values(self, alert: Alert) -> dict[str, str]:
        texts = {name: self._fact(alert, name, fact) for name, fact in alert.facts.items()}
        values = {name: text for name, text in texts.items() if text}
        if self.t.language == "ja":
            japanese = {name: text for name, text in values.items() if name.endswith(JAPANESE)}
            values |= {name.removesuffix(JAPANESE): text for name, text in japanese.items()}
        return values | {"name": self.name(alert.subject), "since": self._time(alert.since_ms)}

    def _fact(self, alert: Alert, name: str, fact: Any) -> str:
        """The text of a fact; "" when there is none, or when its type is wrong."""
        if isinstance(fact, str):
            return _plain(fact)
        if fact is None or isinstance(fact, bool):
            return ""
        kind = "value" if name in VALUES else name.rpartition("_")[2]
        texts: dict[str, Callable[[float], str]] = {
            "value": lambda value: f"{_number(value)} {self._unit(alert)}".rstrip(),
            "at": lambda ms: self._time(int(ms)),
            "sec": lambda seconds: self.t.in_two_units(int(seconds)),
            "bytes": _bytes,
            "days": lambda days: self.t.in_two_units(max(1, int(days)) * DAY_SEC),
        }
        return texts.get(kind, _number)(fact)

    def _unit(self, alert: Alert) -> str:
        measurement = self._measurement(alert.subject)
        unit = alert.facts.get("unit", alert.end_facts.get("unit"))
        return _plain(str(unit)) if unit else measurement.unit if measurement else ""

    def _measurement(self, subject: str) -> Measurement | None:
        station = self._settings.stations.by_endpoint.get(subjects.station_of(subject))
        measurements = station.measurements if station else ()
        return next((m for m in measurements if m.column == subjects.column_of(subject)), None)

    def _url(self, alert: Alert) -> str:
        endpoint, column = subjects.station_of(alert.subject), subjects.column_of(alert.subject)
        if alert.kind == "rejected":
            return self._page("/history/rejected", endpoint=endpoint)
        if alert.kind not in OF_READINGS:
            return self._page("/status")
        shown: dict[str, str] = {"endpoint": endpoint} | ({"measurement": column} if column else {})
        start_ms = max(0, alert.since_ms - SHOWN_BEFORE_MS)
        if alert.ended_ms is not None:
            shown["to"] = self._bound(alert.ended_ms + SHOWN_BEFORE_MS)
        return self._page("/history", **shown, **{"from": self._bound(start_ms)})

    def _bound(self, ms: int) -> str:
        """The time to the minute, for a shorter link."""
        minute_ms = 60 * SECOND_MS
        return iso_text(ms // minute_ms * minute_ms, self._settings.zone).replace(":00.000", "")

    def _page(self, path: str, **parameters: str) -> str:
        base = self._settings.alerts.base_url.rstrip("/")
        if not base:
            return ""
        return f"{base}{path}?{urlencode(parameters)}" if parameters else f"{base}{path}"

    def _time(self, ms: int) -> str:
        if not is_date(ms):
            return f"{ms} ms"
        return self.t("{weekday} {day} {month}, {clock}", **self._parts(ms))

    def _parts(self, ms: int) -> dict[str, Any]:
        local = due.local(ms, self._settings.zone)
        return {
            "weekday": self.t(WEEKDAYS[local.weekday()]),
            "month": self.t(MONTHS[local.month - 1]),
            "day": local.day,
            "clock": f"{local:%H:%M}",
        }

    def _fill(self, english: str, values: Mapping[str, str]) -> str:
        """The sentence with its facts; "" when one of them is missing."""
        return first_filled((english,), values, self.t)


def _joined(lines: list[str]) -> str:
    return "\n".join(line for line in lines if line)


def _plain(text: str) -> str:
    """One line of plain text: that of a sensor or an operator may have any character."""
    return _short(escape(text))


def _short(text: str) -> str:
    return text if len(text) <= MAX_FACT_CHARS else text[: MAX_FACT_CHARS - 1] + "…"


def _number(value: float) -> str:
    """A number such as `650`, `−25.1`, `29,715` or `0.0012`, with three digits or more."""
    if isinstance(value, int) or float(value).is_integer():
        text = f"{value:.0f}" if abs(value) < 1e15 else f"{value:g}"  # noqa: PLR2004
    else:
        text = f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) >= 1 else f"{value:.3g}"
    return separated(text)


def _bytes(count: float) -> str:
    unit, size = next(((u, s) for u, s in BYTES if count >= s), ("B", 1.0))
    return f"{_number(round(count / size, 1))} {unit}"
