"""The keys of `alerts.toml`: the values and the field of each, and which contradict each other.

The defaults are those of the classes in `rules.py`.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import time
from gettext import gettext as _
from pathlib import PurePosixPath
from typing import Any, get_args
from urllib.parse import SplitResult, urlsplit

from flask10x.config.alerts import rules
from flask10x.config.alerts.rules import (
    HOUR_SEC,
    Channel,
    FailedSensor,
    Kind,
    RefusedSender,
    Rule,
    Silence,
)
from flask10x.config.readers import (
    WrongEntry,
    nearly,
    number,
    one_of,
    secret_place,
    switch,
    text,
    whole,
    within,
)
from flask10x.config.toml import Key
from flask10x.readings.stations import Measurement, Station, Stations
from flask10x.translation import N_, Language

URL_CHARS = 2000
MAX_NAMES = 200
MAX_ARGUMENTS = 32
MINUTE_SEC = 60
NAMES_EXAMPLE = '["data", "data2"]'
COMMAND_EXAMPLE = '["/usr/local/bin/say", "--loud"]'
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


def minutes(low: float, high: float) -> Callable[[Any], int]:
    """Minutes within these limits, both included, as whole seconds."""
    return lambda raw: round(within(low, high)(raw) * MINUTE_SEC)


def hours(low: float, high: float) -> Callable[[Any], int]:
    """Hours within these limits, both included, as whole seconds."""
    return lambda raw: round(within(low, high)(raw) * HOUR_SEC)


def change(raw: Any) -> float:
    """The amount by which a value rises or falls."""
    if (value := number(raw)) <= 0:
        raise WrongEntry(raw, _("a number above 0 is needed"))
    return value


def names(raw: Any) -> tuple[str, ...]:
    """A list of one or more names, each once. Without the key all are meant."""
    are_texts = isinstance(raw, list) and all(isinstance(name, str) for name in raw)
    if not are_texts or len(raw) > MAX_NAMES:
        raise WrongEntry(raw, _("a list such as {example} is needed").format(example=NAMES_EXAMPLE))
    if not raw:
        raise WrongEntry(raw, _("name one at least; without the key it is all of them"))
    if len(set(raw)) < len(raw):
        raise WrongEntry(raw, _("a name is there twice"))
    return tuple(raw)


def rule_names(raw: Any) -> tuple[str, ...]:
    """A list of names of rules, which may be empty."""
    return () if raw == [] else names(raw)


def clock(raw: Any) -> time:
    """A time of the day: `"22:00"`, or a time of TOML's own, `22:00:00`."""
    if isinstance(raw, time):
        return raw.replace(microsecond=0)
    match = _CLOCK.fullmatch(raw) if isinstance(raw, str) else None
    if not match:
        raise WrongEntry(raw, _('a time from "00:00" to "23:59" is needed'))
    return time(int(match[1]), int(match[2]))


def base_url(raw: Any) -> str:
    """The address of the pages, without the slash at its end."""
    address = _address(raw, _("an address such as http://raspberrypi.local:8888 is needed"))
    if address.query:
        raise WrongEntry(raw, _("an address without ? is needed"))
    return str(raw).rstrip("/")


def webhook_url(raw: Any) -> str:
    """The address that a message is posted to."""
    _address(raw, _("an address such as https://example.org/hook is needed"))
    return str(raw)


def _address(raw: Any, needed: str) -> SplitResult:
    plain = isinstance(raw, str) and len(raw) <= URL_CHARS and re.fullmatch(r"[!-~]+", raw)
    try:
        address = urlsplit(raw if plain else "")
        host, _port = address.hostname, address.port
    except ValueError:
        raise WrongEntry(raw, needed) from None
    if address.scheme not in ("http", "https") or not host or "#" in raw:
        raise WrongEntry(raw, needed)
    if "@" in address.netloc:
        raise WrongEntry(raw, _("an address without a user and a password is needed"))
    return address


def arguments(raw: Any) -> tuple[str, ...]:
    """The whole path of a program, and its arguments."""
    are_texts = isinstance(raw, list) and all(isinstance(argument, str) for argument in raw)
    if (
        not are_texts
        or not 1 <= len(raw) <= MAX_ARGUMENTS
        or any("\0" in argument for argument in raw)
    ):
        raise WrongEntry(
            raw, _("a list such as {example} is needed").format(example=COMMAND_EXAMPLE)
        )
    if not PurePosixPath(raw[0]).is_absolute():
        raise WrongEntry(
            raw[0], _("the whole path of the program is needed, such as /usr/bin/logger")
        )
    return tuple(raw)


# The keys

# A month; a longer time is a mistake.
MAX_MIN = 31 * 24 * 60
MAX_H = 31 * 24
MAX_MESSAGES = 1000
KINDS: list[str] = [*get_args(Kind)]
LANGUAGES: list[str] = [*get_args(Language)]

_LANGUAGE = Key("language", one_of(LANGUAGES))
_DAILY_MAX = Key("daily_max", whole(1, MAX_MESSAGES))
_STATIONS = Key("stations", names)
_STATION = Key("station", text, needed=True)
_MEASUREMENT = Key("measurement", text, "column", needed=True)
_FOR = Key("for_min", minutes(0, MAX_MIN), "for_sec")
_READINGS = Key("readings", whole(1, 100_000))
_OVERDUE = Key("after_h", hours(1, MAX_H), "after_sec")

TOP_KEYS = (
    _LANGUAGE,
    Key("base_url", base_url),
    Key("reminder_after_h", hours(1, MAX_H), "reminder_after_sec"),
    _DAILY_MAX,
)
QUIET_HOURS_KEYS = (
    Key("from", clock, "start", needed=True),
    Key("to", clock, "end", needed=True),
    Key("urgent", rule_names),
)
# The keys of all kinds of rules. The first two are read before the others.
RULE_KEYS = (Key("kind", one_of(KINDS)), Key("on", switch), Key("ways", names, "channels"))
_CLEAR = Key(
    "clear",
    number,
    needed=True,
    missing=N_(
        "is missing: the value at which the alert ends; a little away from the limit, so that it"
        " does not come and go"
    ),
)
RULES: dict[str, tuple[type[Rule], tuple[Key, ...]]] = {
    "silence": (
        rules.Silence,
        (_STATIONS, Key("after_min", minutes(0.5, MAX_MIN), "after_sec")),
    ),
    "threshold": (
        rules.Threshold,
        (_STATION, _MEASUREMENT, Key("above", number), Key("below", number), _CLEAR, _FOR),
    ),
    "rate": (
        rules.Rate,
        (
            *(_STATION, _MEASUREMENT, Key("rise", change), Key("fall", change)),
            Key("within_min", minutes(0.5, 24 * 60), "within_sec", needed=True),
        ),
    ),
    "failed_sensor": (rules.FailedSensor, (_STATIONS, _READINGS)),
    "refused": (
        rules.RefusedSender,
        (_STATIONS, _READINGS, Key("within_min", minutes(1, 24 * 60), "within_sec")),
    ),
    "queue": (rules.Queue, (_FOR,)),
    "disk": (rules.Disk, (Key("free_percent", within(0.1, 90)),)),
    "database": (rules.DatabaseTrouble, (_FOR,)),
    "export": (rules.ExportOverdue, (_OVERDUE,)),
    "backup": (rules.BackupOverdue, (_OVERDUE,)),
}
CHANNEL_KEYS = (_LANGUAGE, _DAILY_MAX)
CHANNELS: dict[str, tuple[type[Channel], tuple[Key, ...]]] = {
    "webhook": (
        rules.Webhook,
        (Key("url", webhook_url, needed=True), Key("secret_file", secret_place)),
    ),
    "command": (rules.Command, (Key("command", arguments, "arguments", needed=True),)),
    "apprise": (rules.Apprise, (Key("urls_file", secret_place, needed=True),)),
}


# The keys of a rule compared with each other and with the stations

# A key of the file, and what is wrong with its value.
Mistake = tuple[str, str]


def mistakes_of(
    kind: str, values: Mapping[str, Any], stations: Stations | None
) -> Iterator[Mistake]:
    """What is wrong with the fields of a rule, each of which is right by itself.

    Without stations the names of stations are not checked.
    """
    if kind == "threshold":
        yield from _only_one(values, "above", "below")
        yield from _clear_mistakes(values)
    elif kind == "rate":
        yield from _only_one(values, "rise", "fall")
    if stations is None:
        return
    for endpoint in values.get("stations", ()):
        yield from _unknown_station("stations", endpoint, stations)
    if "station" in values:
        yield from _measurement_mistakes(values, stations)


def _only_one(values: Mapping[str, Any], first: str, second: str) -> Iterator[Mistake]:
    if first in values and second in values:
        text = _("{one} or {other} is needed, not both")
        yield second, text.format(one=first, other=second)
    elif first not in values and second not in values:
        yield first, _("is missing, or {other}").format(one=first, other=second)


def _clear_mistakes(values: Mapping[str, Any]) -> Iterator[Mistake]:
    clear = values["clear"]
    if "below" not in values and clear > values.get("above", clear):
        text = _("is {value}, above the limit: at most above = {limit} is needed")
        yield "clear", text.format(value=clear, limit=values["above"])
    if "above" not in values and clear < values.get("below", clear):
        text = _("is {value}, below the limit: at least below = {limit} is needed")
        yield "clear", text.format(value=clear, limit=values["below"])


def _unknown_station(key: str, endpoint: str, stations: Stations) -> Iterator[Mistake]:
    endpoints = [*stations.by_endpoint]
    if endpoint not in endpoints:
        text = nearly(_("there is no station {name}").format(name=endpoint), endpoint, endpoints)
        yield key, text


def _measurement_mistakes(values: Mapping[str, Any], stations: Stations) -> Iterator[Mistake]:
    station = stations.by_endpoint.get(values["station"])
    if station is None:
        yield from _unknown_station("station", values["station"], stations)
        return
    named = values["column"]
    for measurement in station.measurements:
        if measurement.column == named:
            yield from _limit_mistakes(values, measurement)
            return
    text = _("the station {station} has no measurement {name}")
    text = text.format(station=station.endpoint, name=named)
    yield "measurement", _nearest_of(station, text, named)


def _nearest_of(station: Station, text: str, named: str) -> str:
    """The text, with the measurement whose field of the body or column has nearly that name."""
    columns = {name: m.column for m in station.measurements for name in (m.path, *m.aliases)}
    if named in columns:
        return text + _(" (did you mean {name}?)").format(name=columns[named])
    return nearly(text, named, [*station.columns])


def _limit_mistakes(values: Mapping[str, Any], measurement: Measurement) -> Iterator[Mistake]:
    """Of values that no reading reaches, as those beyond the measurement's range are rejected."""
    low, high = measurement.minimum, measurement.maximum
    clear = values.get("clear", 0)
    if low is not None:
        never = _("is {value}, and no reading has less than {limit}: it would never be an alert")
        endless = _("is {value}, and no reading has less than {limit}: the alert would never end")
        if "below" in values and values["below"] <= low:
            yield "below", never.format(value=values["below"], limit=low)
        if "above" in values and clear < low:
            yield "clear", endless.format(value=clear, limit=low)
    if high is not None:
        never = _("is {value}, and no reading has more than {limit}: it would never be an alert")
        endless = _("is {value}, and no reading has more than {limit}: the alert would never end")
        if "above" in values and values["above"] >= high:
            yield "above", never.format(value=values["above"], limit=high)
        if "below" in values and clear > high:
            yield "clear", endless.format(value=clear, limit=high)
    if low is not None and high is not None:
        never = _("is {value}, and readings are from {low} to {high}: it would never be an alert")
        for key in ("rise", "fall"):
            if values.get(key, 0) > high - low:
                yield key, never.format(value=values[key], low=low, high=high)


def shared_out(rules: Sequence[Rule], stations: Stations) -> tuple[Rule, ...]:
    """The rules; a rule for all stations gets those that no other rule of its kind names."""
    shared: list[Rule] = []
    for rule in rules:
        if isinstance(rule, Silence | FailedSensor | RefusedSender) and not rule.stations:
            named = {
                endpoint
                for other in rules
                if other.kind == rule.kind
                for endpoint in getattr(other, "stations", ())
            }
            rest = tuple(e for e in stations.by_endpoint if e not in named)
            if not rest:
                continue
            if named:
                shared.append(replace(rule, stations=rest))
                continue
        shared.append(rule)
    return tuple(shared)
