"""An alert as a message says it: what, since when, the last value, what to do, and a link."""

import string
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from flask10x.alerts import due
from flask10x.alerts.alert import Alert
from flask10x.alerts.texts import english, japanese
from flask10x.alerts.texts.text import Text, Wording, Words
from flask10x.config.settings import Settings
from flask10x.readings.stations import BUILT_IN, Measurement, Station
from flask10x.readings.times import HOUR_MS, SECOND_MS, is_date, iso_text
from flask10x.system.log_lines import escape
from flask10x.translation import Language

WORDS: dict[Language, Words] = {"en": english.WORDS, "ja": japanese.WORDS}
# A chart shows as much of the time before, so that one sees what is usual.
SHOWN_BEFORE_MS = 6 * HOUR_MS
# Kinds whose link shows the readings of their station; that of the others is the page of the state.
OF_READINGS = {"silence", "threshold", "rate", "failed_sensor"}
# Facts in the unit of the measurement.
VALUES = {"value", "before", "limit", "clear", "change", "last_value"}
DAY_SEC = 86_400
# Each of these lengths, in seconds, is told in two of its units at most.
SPANS = (("days", DAY_SEC), ("hours", 3600), ("minutes", 60), ("seconds", 1))
# A fact that is a text has a second name for the Japanese one, where there is one.
JAPANESE = "_ja"
# What a sensor or a database says may be long; this is a line on a phone.
MAX_FACT_CHARS = 200
BYTES = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


class Speaker:
    """Tells alerts in one language, for the stations, the zone and the pages of these settings."""

    def __init__(self, settings: Settings, language: Language) -> None:
        self._settings = settings
        self._words = WORDS[language]
        self._language = language

    def alert(self, alert: Alert, occasion: str) -> Text:
        """What is said on its entry, its recovery or as a reminder.

        The same at every call: nothing in it depends on when it is said.
        """
        wording = self._words.wordings[_key(alert)]
        values = self._values(alert)
        title = self._title(wording, values, occasion)
        url = self._url(alert)
        if occasion == "recovery":
            lines = [_fill(wording.over, values), self._lasted(alert), self._now(alert)]
            return Text(self._frame("recovery", title=title), _joined(lines), url)
        first = next(filter(None, (_fill(line, values) for line in wording.what)), "")
        known = [_fill(line, values) for line in wording.known]
        do = self._frame("do", do=_fill(wording.do, values))
        if occasion == "reminder":
            lasts = self._frame("lasts", since=self._time(alert.since_ms))
            return Text(
                self._frame("reminder", title=title), _joined([first, lasts, *known, do]), url
            )
        return Text(title, _joined([first, *known, do]), url)

    def limit(self, made_ms: int, n: int) -> Text:
        """That a way has had as many messages as a day may have."""
        day = self._frame("day", **self._parts(made_ms))
        body = self._frame("limit.body", day=day, n=n)
        return Text(self._frame("limit.title"), body, self._page("/alerts"))

    def test(self, way: str) -> Text:
        """A message that tries a way."""
        body = self._frame("test.body", way=way)
        return Text(self._frame("test.title"), body, self._page("/alerts"))

    def name(self, subject: str) -> str:
        """What an alert is about: a station, a measurement of it, or the service."""
        endpoint, _dot, column = subject.partition(".")
        if not endpoint:
            return self._frame("service")
        station = self._settings.stations.by_endpoint.get(endpoint)
        name = self._station(station) if station else f"/{endpoint}"
        if not column:
            return _plain(name)
        measurement = _measurement(station, column)
        label = self._column(measurement) if measurement else column
        return _plain(f"{name}{self._frame('space')}{label}")

    def _title(self, wording: Wording, values: Mapping[str, str], occasion: str) -> str:
        """Without the value where nobody knows it."""
        later = wording.later if occasion != "entry" else ""
        return _fill(later or wording.title, values) or f"{values['name']}"

    def _values(self, alert: Alert) -> dict[str, str]:
        told = {name: self._fact(alert, name, fact) for name, fact in alert.facts.items()}
        known = {name: text for name, text in told.items() if text}
        if self._language == "ja":
            own = {name: text for name, text in known.items() if name.endswith(JAPANESE)}
            known |= {name.removesuffix(JAPANESE): text for name, text in own.items()}
        return known | {"name": self.name(alert.subject), "since": self._time(alert.since_ms)}

    def _fact(self, alert: Alert, name: str, fact: Any) -> str:
        """A fact as people read it; "" when there is none, or when it is not what it should be."""
        if isinstance(fact, str):
            return _plain(fact)
        if fact is None or isinstance(fact, bool):
            return ""
        kind = "value" if name in VALUES else name.rpartition("_")[2]
        told: dict[str, Callable[[float], str]] = {
            "value": lambda value: f"{_number(value)} {self._unit(alert)}".rstrip(),
            "at": lambda ms: self._time(int(ms)),
            "sec": lambda seconds: self._span(int(seconds)),
            "bytes": _bytes,
            "days": lambda days: self._span(max(1, int(days)) * DAY_SEC),
        }
        return told.get(kind, _number)(fact)

    def _unit(self, alert: Alert) -> str:
        endpoint, _dot, column = alert.subject.partition(".")
        station = self._settings.stations.by_endpoint.get(endpoint)
        measurement = _measurement(station, column)
        own = alert.facts.get("unit", alert.end_facts.get("unit"))
        return _plain(str(own)) if own else measurement.unit if measurement else ""

    def _lasted(self, alert: Alert) -> str:
        if alert.ended_ms is None:
            return ""
        seconds = max(0, alert.ended_ms - alert.since_ms) // SECOND_MS
        since, until = self._time(alert.since_ms), self._time(alert.ended_ms)
        return self._frame("lasted", since=since, until=until, span=self._span(seconds))

    def _now(self, alert: Alert) -> str:
        for name in ("value", "last_value", "values"):
            if value := self._fact(alert, name, alert.end_facts.get(name)):
                return self._frame("now", value=value)
        return ""

    def _url(self, alert: Alert) -> str:
        endpoint, _dot, column = alert.subject.partition(".")
        if alert.kind == "refused":
            return self._page("/history/rejected", endpoint=endpoint)
        if alert.kind not in OF_READINGS:
            return self._page("/status")
        shown: dict[str, str] = {"endpoint": endpoint} | ({"measurement": column} if column else {})
        start_ms = max(0, alert.since_ms - SHOWN_BEFORE_MS)
        if alert.ended_ms is not None:
            shown["to"] = self._bound(alert.ended_ms + SHOWN_BEFORE_MS)
        return self._page("/history", **shown, **{"from": self._bound(start_ms)})

    def _bound(self, ms: int) -> str:
        """To the minute: a link is shorter then."""
        minute_ms = 60 * SECOND_MS
        return iso_text(ms // minute_ms * minute_ms, self._settings.zone).replace(":00.000", "")

    def _page(self, path: str, **parameters: str) -> str:
        base = self._settings.alerts.base_url.rstrip("/")
        if not base:
            return ""
        return f"{base}{path}?{urlencode(parameters)}" if parameters else f"{base}{path}"

    def _time(self, ms: int) -> str:
        return self._frame("time", **self._parts(ms)) if is_date(ms) else f"{ms} ms"

    def _parts(self, ms: int) -> dict[str, Any]:
        local = due.local(ms, self._settings.zone)
        return {
            "weekday": self._words.weekdays.split()[local.weekday()],
            "month": self._words.months.split()[local.month - 1],
            "day": local.day,
            "clock": f"{local:%H:%M}",
        }

    def _span(self, seconds: int) -> str:
        """`2 days 3 hours`, `10 minutes`: the two longest units, rounded down."""
        told: list[str] = []
        for unit, length in SPANS:
            count, rest = divmod(seconds, length)
            if count:
                text = self._frame(unit, n=count)
                # Only English has a plural.
                is_one = count == 1 and self._language == "en"
                told.append(text.removesuffix("s") if is_one else text)
                seconds = rest
            elif told:
                break
        separator = " " if self._language == "en" else ""
        return separator.join(told[:2]) or self._frame("seconds", n=0)

    def _frame(self, key: str, **values: Any) -> str:
        return self._words.frame[key].format(**values)

    def _station(self, station: Station) -> str:
        """As pages call it: a built-in one has a short name unless it was given a label."""
        label = self._label(station)
        built_in = BUILT_IN.by_endpoint.get(station.endpoint)
        if built_in is None or label == self._label(built_in):
            return self._words.stations.get(station.endpoint, label)
        return label

    def _column(self, measurement: Measurement) -> str:
        label = self._words.columns.get(measurement.column) or self._label(measurement)
        return label or measurement.column

    def _label(self, named: Station | Measurement) -> str:
        own = named.label_ja if self._language == "ja" else named.label
        return own or named.label


def _key(alert: Alert) -> str:
    if alert.kind == "threshold":
        return "threshold.above" if alert.facts.get("above", 1) else "threshold.below"
    if alert.kind == "rate":
        return "rate.rise" if alert.facts.get("rise", 1) else "rate.fall"
    return alert.kind


def _measurement(station: Station | None, column: str) -> Measurement | None:
    if station is None:
        return None
    return next((m for m in station.measurements if m.column == column), None)


def _fill(template: str, values: Mapping[str, str]) -> str:
    """The template with its braces filled in; "" when one of them is not known."""
    names = {name for _text, name, _spec, _conversion in string.Formatter().parse(template) if name}
    return template.format(**{name: values[name] for name in names}) if names <= set(values) else ""


def _joined(lines: list[str]) -> str:
    return "\n".join(line for line in lines if line)


def _plain(text: str) -> str:
    r"""One line without tricks: what a sensor or an operator has written may have any character."""
    shown = escape(text)
    return shown if len(shown) <= MAX_FACT_CHARS else shown[: MAX_FACT_CHARS - 1] + "…"


def _number(value: float) -> str:
    """`650`, `25.1`, `0.0012`: as many digits as a person wants."""
    if isinstance(value, int) or float(value).is_integer():
        return f"{value:.0f}" if abs(value) < 1e15 else f"{value:g}"  # noqa: PLR2004
    return f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) >= 1 else f"{value:.3g}"


def _bytes(count: float) -> str:
    unit, size = next(((u, s) for u, s in BYTES if count >= s), ("B", 1.0))
    return f"{_number(round(count / size, 1))} {unit}"
