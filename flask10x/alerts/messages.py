"""The texts of messages: what is wrong, since when, the last value, what to do, and a link.

Messages are for people who have never seen a log. They are in the language of their channel,
whatever that of the process is.
"""

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from flask10x.alerts import due, subjects
from flask10x.alerts.alert import Alert
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Wording:
    """The sentences of one kind of alert. A sentence that lacks a fact in its braces is left out.

    `{name}` is the subject; the facts are those of `alerts/alert.py`, with their units.
    """

    title: str
    later: str = ""
    """The title of later messages, without the value at which it fired; empty: the same."""
    what: tuple[str, ...]
    """Sentences of which the first that has its facts is used."""
    more: tuple[str, ...] = ()
    """Further lines."""
    do: str
    """What a person at home can do."""
    over: str
    """The sentence when it is resolved."""


WORDINGS = {
    "silence": Wording(
        title=N_("{name}: no data"),
        what=(N_("No data has come from {name} since {since}."),),
        more=(N_("The last values: {values}"),),
        do=N_(
            "Check that the sensor has power and that the Wi-Fi works. If both are fine, unplug the"
            " sensor and plug it in again after 10 seconds."
        ),
        over=N_("Data comes from {name} again."),
    ),
    "threshold.above": Wording(
        title=N_("{name} too high: {value}"),
        later=N_("{name} too high"),
        what=(
            N_(
                "{name} has been above {limit} since {since}; it was {value} when this was noticed."
            ),
            N_("{name} has been too high since {since}."),
        ),
        do=N_(
            "Check what it is like there. In a room it may help to open a window or to turn the"
            " heating down."
        ),
        over=N_("{name} is back to normal."),
    ),
    "threshold.below": Wording(
        title=N_("{name} too low: {value}"),
        later=N_("{name} too low"),
        what=(
            N_(
                "{name} has been below {limit} since {since}; it was {value} when this was noticed."
            ),
            N_("{name} has been too low since {since}."),
        ),
        do=N_(
            "Check what it is like there. In a room it may help to close a window or to turn the"
            " heating up."
        ),
        over=N_("{name} is back to normal."),
    ),
    "rate.rise": Wording(
        title=N_("{name} is rising fast"),
        what=(
            N_("{name} has risen from {before} to {value} within {within_sec} ({since})."),
            N_("{name} has been rising fast since {since}."),
        ),
        do=N_("Check what it is like there."),
        over=N_("{name} is no longer rising fast."),
    ),
    "rate.fall": Wording(
        title=N_("{name} is falling fast"),
        what=(
            N_("{name} has fallen from {before} to {value} within {within_sec} ({since})."),
            N_("{name} has been falling fast since {since}."),
        ),
        do=N_("Check what it is like there: is a window open, or a heater off?"),
        over=N_("{name} is no longer falling fast."),
    ),
    "stuck": Wording(
        title=N_("{name} does not change: {value}"),
        later=N_("{name} does not change"),
        what=(
            N_("{name} has been {value} since {since}, though its board is sending."),
            N_("{name} has not changed since {since}, though its board is sending."),
        ),
        do=N_(
            "Check the sensor: is it plugged in, is it wet or covered? If all is fine, unplug the"
            " board and plug it in again after 10 seconds."
        ),
        over=N_("{name} changes again."),
    ),
    "failed_sensor": Wording(
        title=N_("{name}: the sensor does not measure"),
        what=(N_("{name} has not been measured since {since}; its board is still sending."),),
        more=(N_("The last value: {last_value} ({last_value_at})"),),
        do=N_(
            "Check the sensor: is it plugged in, is a cable loose? If all is fine, unplug the board"
            " and plug it in again after 10 seconds."
        ),
        over=N_("{name} is measured again."),
    ),
    "refused": Wording(
        title=N_("{name}: data cannot be used"),
        what=(
            N_("{readings} readings from {name} could not be used since {since}."),
            N_("Readings from {name} cannot be used since {since}."),
        ),
        more=(N_("The reason: {field}: {reason}"),),
        do=N_("They are kept, nothing is lost. Tell the person who looks after the sensor."),
        over=N_("Readings from {name} can be used again."),
    ),
    "queue": Wording(
        title=N_("Data is stored too slowly"),
        what=(
            N_(
                "Data has been waiting to be stored since {since}: {waiting} readings when this was"
                " noticed."
            ),
            N_("Data has been waiting to be stored since {since}."),
        ),
        do=N_(
            "If this does not end by itself, the memory card may be failing. Tell the person who"
            " looks after the server."
        ),
        over=N_("Data is stored in time again."),
    ),
    "disk": Wording(
        title=N_("The server's disk is nearly full"),
        what=(
            N_(
                "The server's disk has been nearly full since {since}: {free_percent} %"
                " ({free_bytes}) was free when this was noticed."
            ),
            N_("The server's disk has been nearly full since {since}."),
        ),
        more=(N_("At that rate it will be full in about {full_in_days}."),),
        do=N_(
            "Delete what is not needed, or use a larger card. Once it is full, no data can be"
            " stored."
        ),
        over=N_("The server's disk has enough space again."),
    ),
    "database": Wording(
        title=N_("Data cannot be stored"),
        what=(N_("The server has not been able to store data properly since {since}."),),
        more=(N_("The server says: {reason}"),),
        do=N_(
            "Check that the disk is plugged in. Do not switch the server off; tell the person who"
            " looks after it."
        ),
        over=N_("Data is stored again."),
    ),
    "export": Wording(
        title=N_("The CSV files are not up to date"),
        what=(
            N_("Data since {oldest_at} is not in the CSV files yet."),
            N_("No new data has been written to the CSV files for a long time."),
        ),
        do=N_("This is not urgent. Tell the person who looks after the server."),
        over=N_("The CSV files are up to date again."),
    ),
    "backup": Wording(
        title=N_("No new backup"),
        what=(N_("The newest backup is from {newest_at}."), N_("No backup can be found.")),
        do=N_(
            "If the backups are on their own disk or USB stick, check that it is plugged in."
            " If it is, tell the person who looks after the server."
        ),
        over=N_("There is a new backup."),
    ),
    "replica": Wording(
        title=N_("The replica is not up to date"),
        what=(
            N_("New data has not been copied to the replica since {newest_at}."),
            N_("New data is not being copied to the replica."),
        ),
        do=N_(
            "If the replica is on a USB stick, check that it is plugged in; if it is on a NAS or in"
            " the cloud, check the network. If that is fine, tell the person who looks after the"
            " server."
        ),
        over=N_("The replica is up to date again."),
    ),
    "copies": Wording(
        title=N_("Stored data has changed or is missing"),
        what=(
            N_("CSV files that are the only copy of removed readings are lost: {lost_files}."),
            N_("Copies of the readings differ at {differences} places, found on {found_at}."),
            N_("Copies of the readings differ."),
        ),
        do=N_(
            "The memory card may be wearing out. Tell the person who looks after the server: the"
            " status page says what differs, and flask10x verify --repair puts back what is known."
        ),
        over=N_("The copies of the readings are the same again."),
    ),
}
# Why a message could not be sent, by the code in the state file. A code is a word, some with a
# value after a colon, so that neither a URL nor a secret can get into the file, the log or a page.
TROUBLES = {
    "no_answer": N_("no answer came in time"),
    "no_such_host": N_("no such host, or no network"),
    "refused": N_("the connection was refused"),
    "host": N_("messages may not go to this host: see FLASK10X_NOTIFY_HOSTS"),
    "unreachable": N_("the connection broke, or the host cannot be reached"),
    "certificate": N_("the certificate of the host is not valid"),
    "tls": N_("TLS failed"),
    "no_http": N_("what answered speaks no HTTP"),
    "bad_url": N_("the URL is not one that can be used"),
    "parameter": N_(
        "the parameter {value} may name a file of this machine, so only a channel that is written"
        " into alerts.toml by hand can have it"
    ),
    "parameters": N_("the URL has a parameter that this kind of URL does not have"),
    "local_way": N_(
        "only a channel that is written into alerts.toml by hand can use the screen and the log of"
        " this machine"
    ),
    "status": N_("it answered {value}"),
    "not_taken": N_("the service did not take it"),
    "no_apprise": N_("the package apprise is missing: pip install 'flask10x[alerts]'"),
    "no_urls": N_("the file of URLs is empty"),
    "many_urls": N_("the file of URLs has more than {value}"),
    "secret_file": N_("the file with the secret can't be read: flask10x alerts check says why"),
    "secret_text": N_("the file with the secret is no UTF-8 text"),
    "no_text": N_("its text could not be made: the log says why"),
    "no_way": N_("alerts.toml has no channel of this name any more"),
    "exit": N_("the program ended with {value}"),
    "killed": N_("the program was ended by signal {value}"),
    "no_program": N_("the program can't be started"),
    "failed": N_("the try ended early"),
    "outdated": N_("a newer message is sent instead"),
}


def trouble_in(language: Language, trouble: str) -> str:
    """Return the text of a code, or the code itself where it is of another version."""
    code, _colon, value = trouble.partition(":")
    if code not in TROUBLES:
        return trouble
    return translation(language)(TROUBLES[code], value=value)


class Speaker:
    """Words alerts in one language, for the stations, the zone and the pages of these settings."""

    def __init__(self, settings: Settings, language: Language) -> None:
        self._settings = settings
        self.t = translation(language)

    def alert(self, alert: Alert, occasion: str) -> Text:
        """Return the text when it fires, as a reminder, and when it is resolved.

        It is the same at every call, for nothing in it depends on the current time.
        """
        t, wording, values = self.t, WORDINGS[_key(alert)], self._values(alert)
        title = self._title(wording, values, occasion)
        url = self._url(alert)
        if occasion == "recovery":
            lines = [self._fill(wording.over, values), self._lasted(alert), self._now(alert)]
            return Text(t("Resolved: {title}", title=title), _joined(lines), url)
        first = next(filter(None, (self._fill(line, values) for line in wording.what)), "")
        more = [self._fill(line, values) for line in wording.more]
        more.append(t("What to do: {do}", do=t(wording.do)))
        if occasion == "reminder":
            since = self._time(alert.since_ms)
            lasts = t("It began on {since} and is not over yet.", since=since)
            return Text(t("Still: {title}", title=title), _joined([first, lasts, *more]), url)
        return Text(title, _joined([first, *more]), url)

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
        return Text(self.t("Flask10X test message"), body, self._page("/alerts"))

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

    def _lasted(self, alert: Alert) -> str:
        if alert.ended_ms is None:
            return ""
        seconds = max(0, alert.ended_ms - alert.since_ms) // SECOND_MS
        return self.t(
            "It began on {since} and ended on {until}, after {span}.",
            since=self._time(alert.since_ms),
            until=self._time(alert.ended_ms),
            span=self.t.in_two_units(seconds),
        )

    def _now(self, alert: Alert) -> str:
        for name in ("value", "last_value", "values"):
            if value := self._fact(alert, name, alert.end_facts.get(name)):
                return self.t("The value then: {value}", value=value)
        return ""

    def _url(self, alert: Alert) -> str:
        endpoint, column = subjects.station_of(alert.subject), subjects.column_of(alert.subject)
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
        template = self.t(english)
        parsed = string.Formatter().parse(template)
        names = {name for _text, name, _spec, _conversion in parsed if name}
        if not names <= set(values):
            return ""
        return template.format(**{name: values[name] for name in names})


# It also ends with the hours of its rule, whatever the value is then.
OVER_AFTER_HOURS = N_(
    "{name} is back to normal, or the hours of the rule ({from} to {to}) are over."
)
WORDINGS |= {
    f"{name}.hours": replace(WORDINGS[name], over=OVER_AFTER_HOURS)
    for name in ("threshold.above", "threshold.below")
}


def _key(alert: Alert) -> str:
    if alert.kind == "threshold":
        name = "threshold.above" if alert.facts.get("above", 1) else "threshold.below"
        return f"{name}.hours" if alert.facts.get("from") else name
    if alert.kind == "rate":
        return "rate.rise" if alert.facts.get("rise", 1) else "rate.fall"
    return alert.kind


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
