"""`alerts.toml`: the file that the setting ALERTS names."""

from collections.abc import Collection, Iterable, Mapping
from gettext import gettext as _
from pathlib import Path
from typing import Any

from flask10x.config import toml
from flask10x.config.alerts.keys import (
    CHANNEL_KEYS,
    CHANNELS,
    KINDS,
    QUIET_HOURS_KEYS,
    RULE_KEYS,
    RULES,
    TOP_KEYS,
    mistakes_of,
    shared_out,
)
from flask10x.config.alerts.rules import DEFAULT, Alerts, Channel, QuietHours, Rule
from flask10x.config.readers import nearly, one_of, switch
from flask10x.config.station_keys import ENDPOINT, ENDPOINT_NEEDED
from flask10x.config.toml import Document, KeyPath, Tables, nearly_right
from flask10x.errors import AlertsError
from flask10x.readings.stations import Stations
from flask10x.translation import Language, chosen

NAME = "alerts.toml"


def default(settings: Mapping[str, Any]) -> Alerts:
    """Those of `alerts.toml` in the data folder; without one, DEFAULT."""
    try:
        return load(settings["data_dir"] / NAME, settings["stations"])
    except (FileNotFoundError, NotADirectoryError):
        return DEFAULT


def load(path: Path, stations: Stations) -> Alerts:
    """The alerts of this file, which may speak of these stations.

    Raises AlertsError that names every mistake with its line, and FileNotFoundError.
    """
    return parse(toml.read_document(path), path, stations)


def parse(content: bytes, path: Path, stations: Stations) -> Alerts:
    """The alerts of a file with these bytes; raises AlertsError with every mistake."""
    document = Document(content, path, AlertsError)
    tables = AlertTables(stations)
    alerts = tables.alerts(document.data, str(path))
    document.check(tables.mistakes)
    return alerts


# Each rule is checked once a second, and is a line of the page.
MAX_RULES = 200
# Each channel gets each message.
MAX_CHANNELS = 20


class AlertTables(Tables):
    """What `tomllib` has read, as alerts; `mistakes` has what is wrong with it."""

    def __init__(self, stations: Stations) -> None:
        super().__init__()
        self._stations = stations

    def alerts(self, data: Mapping[str, Any], file: str) -> Alerts:
        """The rules that are on, the built-in ones first; incomplete after mistakes."""
        rules = self._named("rules", data, MAX_RULES)
        channels = self._named("ways", data, MAX_CHANNELS)
        others = ("quiet_hours", "rules", "ways")
        values = self.fields((), data, TOP_KEYS, others=others) or {}
        if "quiet_hours" in data:
            values["quiet_hours"] = self._quiet_hours(data["quiet_hours"], {*rules, *KINDS})
        by_name = {rule.name: rule for rule in DEFAULT.rules} | {
            name: self._rule(name, raw, [*channels]) for name, raw in rules.items()
        }
        return Alerts(
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

    def _rule(self, name: str, raw: Any, channels: Collection[str]) -> Rule | None:
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
        rule_class, keys = RULES[kind]
        values = self.fields(path, table, (*keys, *RULE_KEYS[2:]), others=("kind", "on"))
        self._names((*path, "ways"), table.get("ways"), _("there is no channel {name}"), channels)
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
            if name in KINDS:
                return name
            # A slip in the name of a built-in rule is what is most likely.
            self.wrong((*path, "kind"), nearly(_is_missing(KINDS), name, KINDS))
            return None
        kind: str | None = self.read((*path, "kind"), one_of(KINDS), table["kind"])
        if kind is not None and name in KINDS and kind != name:
            text = _("is {value}: the rule {name} has its own kind; give this one another name")
            self.wrong((*path, "kind"), text.format(value=repr(kind), name=name))
            return None
        return kind

    def _channel(self, name: str, raw: Any) -> Channel | None:
        path: KeyPath = ("ways", name)
        table = self.table(path, raw)
        if table is not raw:
            return None
        if "kind" not in table:
            self.wrong((*path, "kind"), _is_missing(CHANNELS))
            return None
        kind = self.read((*path, "kind"), one_of(CHANNELS), table["kind"])
        if kind is None:
            return None
        channel_class, keys = CHANNELS[kind]
        values = self.fields(path, table, (*keys, *CHANNEL_KEYS), others=("kind",))
        return None if values is None else channel_class(name=name, **values)

    def _quiet_hours(self, raw: Any, names: Collection[str]) -> QuietHours | None:
        path: KeyPath = ("quiet_hours",)
        values = self.fields(path, raw, QUIET_HOURS_KEYS)
        if values is None:
            return None
        self._names((*path, "urgent"), raw.get("urgent"), _("there is no rule {name}"), names)
        if values["start"] == values["end"]:
            self.wrong((*path, "to"), _("is the same as from"))
        return QuietHours(**values)


def _is_missing(words: Iterable[str]) -> str:
    return _("is missing: one of {words}").format(words=", ".join(words))


# Each line is a comment, but for the language, so the file changes nothing until it is edited.
EXAMPLE = Path(__file__).with_name("alerts_example.toml")


def example_in(language: Language) -> str:
    """The file that `flask10x alerts init` writes, with messages in this language."""
    return EXAMPLE.read_text(encoding="utf-8").replace("{language}", language, 1)
