"""`alerts.toml`: the file that the setting ALERTS names."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from flask10x.config import toml
from flask10x.config.alerts import rules as alert_rules
from flask10x.config.readers import nearly, one_of, switch
from flask10x.config.station_keys import ENDPOINT, ENDPOINT_NEEDED
from flask10x.config.toml import Document, KeyPath, Mistake, Tables, nearly_right
from flask10x.errors import AlertsError
from flask10x.readings.stations import Measurement, Stations
from flask10x.translation import Language, chosen
from flask10x.translation import message as _

NAME = "alerts.toml"
# Names of a former version, each with its name of now, and where it is in a file: the key of a
# rule and the tables of the channels; the name of a rule, and the same in quotes.
_FORMER = (
    ("ways", "channels", rb"^([ \t]*\[?[ \t]*)ways(?=[ \t]*[.=\]])"),
    ("refused", "rejected", rb"^([ \t]*\[?[ \t]*(?:rules[ \t]*\.[ \t]*)?)refused(?=[ \t]*[.=\]])"),
    ("refused", "rejected", rb"((?:^|[{,.])[ \t]*kind[ \t]*=[ \t]*[\"'])refused(?=[\"'])"),
    ("refused", "rejected", rb"((?:^|[{,])[ \t]*urgent[ \t]*=[^\]]*[\"'])refused(?=[\"'])"),
)


def default(settings: Mapping[str, Any]) -> alert_rules.Alerts:
    """Those of `alerts.toml` in the data folder; without one, DEFAULT."""
    try:
        return load(settings["data_dir"] / NAME, settings["stations"])
    except (FileNotFoundError, NotADirectoryError):
        return alert_rules.DEFAULT


def load(path: Path, stations: Stations) -> alert_rules.Alerts:
    """The alerts of this file, which may speak of these stations.

    Raises AlertsError that names every mistake with its line, and FileNotFoundError.
    """
    return parse(toml.read_document(path), path, stations)


def parse(content: bytes, path: Path, stations: Stations) -> alert_rules.Alerts:
    """The alerts of a file with these bytes; raises AlertsError with every mistake."""
    document = Document(with_names_of_now(content), path, AlertsError)
    alerts, mistakes = checked(document.data, path, stations)
    document.check(mistakes)
    return replace(alerts, digest=toml.digest_of(content), former_names=former_names(content))


def with_names_of_now(content: bytes) -> bytes:
    """Return a file with its keys under their names of now, the rest of each line as it was."""
    for _former, now, place in _FORMER:
        content = re.sub(place, rb"\1" + now.encode(), content, flags=re.MULTILINE)
    return content


def former_names(content: bytes) -> dict[str, str]:
    """Return the names of a former version in a file, with those of now."""
    return {
        former: now for former, now, place in _FORMER if re.search(place, content, re.MULTILINE)
    }


def checked(
    data: Mapping[str, Any], path: Path, stations: Stations
) -> tuple[alert_rules.Alerts, list[Mistake]]:
    """The alerts of a file with these tables, and its mistakes, after which they are incomplete."""
    tables = AlertTables(stations)
    return tables.alerts(data, str(path)), tables.mistakes


# Each rule is checked once a second, and is a line of the page.
MAX_RULES = 200
# Each channel gets each message.
MAX_CHANNELS = 20


class AlertTables(Tables):
    """What `tomllib` has read, as alerts; `mistakes` has what is wrong with it."""

    def __init__(self, stations: Stations) -> None:
        super().__init__()
        self._stations = stations

    def alerts(self, data: Mapping[str, Any], file: str) -> alert_rules.Alerts:
        """The rules that are on, the built-in ones first; incomplete after mistakes."""
        rules = self._named("rules", data, MAX_RULES)
        channels = self._named("channels", data, MAX_CHANNELS)
        others = ("quiet_hours", "rules", "channels")
        values = self.fields((), data, alert_rules.keys_of(alert_rules.Alerts), others=others) or {}
        if "quiet_hours" in data:
            path: KeyPath = ("quiet_hours",)
            hours = self.fields(
                path, data["quiet_hours"], alert_rules.keys_of(alert_rules.QuietHours)
            )
            if hours is not None:
                text, urgent = _("there is no rule {name}"), data["quiet_hours"].get("urgent")
                self._names((*path, "urgent"), urgent, text, {*rules, *alert_rules.KINDS})
                if hours["start"] == hours["end"]:
                    self.wrong((*path, "to"), _("is the same as from"))
                values["quiet_hours"] = alert_rules.QuietHours(**hours)
        by_name = {rule.name: rule for rule in alert_rules.DEFAULT.rules} | {
            name: self._rule(name, raw, [*channels]) for name, raw in rules.items()
        }
        return alert_rules.Alerts(
            rules=shared_out([rule for rule in by_name.values() if rule], self._stations),
            channels=tuple(
                channel for name, raw in channels.items() if (channel := self._channel(name, raw))
            ),
            file=file,
            **values,
        )

    def _named(self, top: str, data: Mapping[str, Any], most: int) -> dict[str, Any]:
        """The tables in a table, whose names are checked."""
        tables = self.table((top,), data.get(top, {}))
        for name in tables:
            if not ENDPOINT.fullmatch(name):
                reason = nearly_right(name, ENDPOINT, chosen()(ENDPOINT_NEEDED))
                self.wrong((top, name), reason, is_table=True)
        if len(tables) > most:
            self.wrong((top,), _("more than {n} of them").format(n=most), is_table=True)
        return tables

    def _rule(self, name: str, raw: Any, channels: Collection[str]) -> alert_rules.Rule | None:
        """The rule if it is on and right."""
        path: KeyPath = ("rules", name)
        before = len(self.mistakes)
        table = self.table(path, raw)
        if table is not raw:
            return None
        kind = self._kind(path, table)
        is_on = self.read((*path, "on"), switch, table.get("on", True))
        if kind is None:
            return None
        rule_class, keys = alert_rules.RULES[kind]
        values = self.fields(
            path, table, (*keys, *alert_rules.RULE_KEYS[2:]), others=("kind", "on")
        )
        self._names(
            (*path, "channels"), table.get("channels"), _("there is no channel {name}"), channels
        )
        if values is None or is_on is None:
            return None
        for key, reason in mistakes_of(kind, values, self._stations if is_on else None):
            self.wrong((*path, key), reason)
        return rule_class(name=name, **values) if is_on and len(self.mistakes) == before else None

    def _names(self, path: KeyPath, raw: Any, reason: str, names: Collection[str]) -> None:
        """Note each name of a list that is none of these names."""
        for name in raw if isinstance(raw, list) else ():
            if isinstance(name, str) and name not in names:
                self.wrong(path, nearly(reason.format(name=name), name, names))

    def _kind(self, path: KeyPath, table: Mapping[str, Any]) -> str | None:
        """The kind in the table of a rule, or its name when that is the name of a kind."""
        name = str(path[-1])
        if "kind" not in table:
            if name in alert_rules.KINDS:
                return name
            # A slip in the name of a built-in rule is what is most likely.
            self.wrong(
                (*path, "kind"), nearly(_is_missing(alert_rules.KINDS), name, alert_rules.KINDS)
            )
            return None
        kind: str | None = self.read((*path, "kind"), one_of(alert_rules.KINDS), table["kind"])
        if kind is not None and name in alert_rules.KINDS and kind != name:
            text = _("is {value}: the rule {name} has its own kind; give this one another name")
            self.wrong((*path, "kind"), text.format(value=repr(kind), name=name))
            return None
        return kind

    def _channel(self, name: str, raw: Any) -> alert_rules.Channel | None:
        path: KeyPath = ("channels", name)
        table = self.table(path, raw)
        if table is not raw:
            return None
        if "kind" not in table:
            self.wrong((*path, "kind"), _is_missing(alert_rules.CHANNELS))
            return None
        kind = self.read((*path, "kind"), one_of(alert_rules.CHANNELS), table["kind"])
        if kind is None:
            return None
        channel_class, keys = alert_rules.CHANNELS[kind]
        values = self.fields(path, table, keys, others=("kind",))
        if values is None:
            return None
        mistakes = (
            list(_only_one(values, "url", "url_file")) if kind in alert_rules.KINDS_WITH_URL else []
        )
        for key, reason in mistakes:
            self.wrong((*path, key), reason)
        return None if mistakes else channel_class(name=name, **values)


def _is_missing(words: Iterable[str]) -> str:
    return _("is missing: one of {words}").format(words=", ".join(words))


# The keys of a rule compared with each other and with the stations.

# A key of the file, and what is wrong with its value.
KeyMistake = tuple[str, str]


def mistakes_of(
    kind: str, values: Mapping[str, Any], stations: Stations | None
) -> Iterator[KeyMistake]:
    """What is wrong with the fields of a rule, each of which is right by itself.

    Without stations the names of stations are not checked.
    """
    if kind == "threshold":
        yield from _only_one(values, "above", "below")
        yield from _clear_mistakes(values)
        yield from _hours_mistakes(values)
    elif kind == "rate":
        yield from _only_one(values, "rise", "fall")
    if stations is None:
        return
    for endpoint in values.get("stations", ()):
        yield from _unknown_station("stations", endpoint, stations)
    if "station" in values:
        yield from _measurement_mistakes(values, stations)


def _only_one(values: Mapping[str, Any], first: str, second: str) -> Iterator[KeyMistake]:
    if first in values and second in values:
        text = _("{one} or {other} is needed, not both")
        yield second, text.format(one=first, other=second)
    elif first not in values and second not in values:
        yield first, _("is missing, or {other}").format(one=first, other=second)


def _clear_mistakes(values: Mapping[str, Any]) -> Iterator[KeyMistake]:
    clear = values["clear"]
    if "below" not in values and clear > values.get("above", clear):
        text = _("is {value}, above the limit: at most above = {limit} is needed")
        yield "clear", text.format(value=clear, limit=values["above"])
    if "above" not in values and clear < values.get("below", clear):
        text = _("is {value}, below the limit: at least below = {limit} is needed")
        yield "clear", text.format(value=clear, limit=values["below"])


def _hours_mistakes(values: Mapping[str, Any]) -> Iterator[KeyMistake]:
    for name, field, other in (("from", "start", "end"), ("to", "end", "start")):
        if field not in values and other in values:
            yield name, _("is missing: from and to are needed together")
    if "start" in values and values["start"] == values.get("end"):
        yield "to", _("is the same as from")


def _unknown_station(key: str, endpoint: str, stations: Stations) -> Iterator[KeyMistake]:
    endpoints = [*stations.by_endpoint]
    if endpoint not in endpoints:
        text = nearly(_("there is no station {name}").format(name=endpoint), endpoint, endpoints)
        yield key, text


def _measurement_mistakes(values: Mapping[str, Any], stations: Stations) -> Iterator[KeyMistake]:
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
    # Its field of the body may have nearly that name.
    columns = {name: m.column for m in station.measurements for name in (m.path, *m.aliases)}
    if named in columns:
        yield "measurement", text + _(" (did you mean {name}?)").format(name=columns[named])
    else:
        yield "measurement", nearly(text, named, [*station.columns])


def _limit_mistakes(values: Mapping[str, Any], measurement: Measurement) -> Iterator[KeyMistake]:
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


def shared_out(
    rules: Sequence[alert_rules.Rule], stations: Stations
) -> tuple[alert_rules.Rule, ...]:
    """The rules; a rule for all stations gets those that no other rule of its kind names."""
    of_stations = [rule for rule in rules if isinstance(rule, alert_rules.OfStations)]
    named = {(rule.kind, endpoint) for rule in of_stations for endpoint in rule.stations}
    shared: list[alert_rules.Rule] = []
    for rule in rules:
        if not isinstance(rule, alert_rules.OfStations) or rule.stations:
            shared.append(rule)
        elif rest := tuple(e for e in stations.by_endpoint if (rule.kind, e) not in named):
            has_all = len(rest) == len(stations.by_endpoint)
            shared.append(replace(rule, stations=() if has_all else rest))
    return tuple(shared)


# Each line is a comment, but for the language, so the file changes nothing until it is edited.
EXAMPLE = Path(__file__).with_name("alerts_example.toml")


def example_in(language: Language) -> str:
    """The file that `flask10x alerts init` writes, with messages in this language."""
    text = EXAMPLE.read_text(encoding="utf-8").replace("{language}", language, 1)
    return text.replace("{schema}", toml.schema_path("alerts").as_uri(), 1)
