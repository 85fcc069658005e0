"""`alerts.toml`: the file that the setting ALERTS names."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
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
from flask10x.config.station_keys import ENDPOINT, endpoint_wanted
from flask10x.config.toml import (
    Document,
    KeyPath,
    Tables,
    WrongEntry,
    nearly,
    nearly_right,
    one_of,
    switch,
)
from flask10x.errors import AlertsError, SettingsError
from flask10x.readings.stations import Stations
from flask10x.translation import Language

NAME = "alerts.toml"


@dataclass(frozen=True, slots=True)
class AlertsFile:
    """Where the alerts are, before it is known which stations there are."""

    path: Path
    place: str = ""
    """How messages name the setting that says so; empty: none does, and it need not be there."""

    def alerts(self, stations: Stations) -> Alerts:
        """What the file has; raises SettingsError, AlertsError."""
        try:
            return load(self.path, stations)
        except (FileNotFoundError, NotADirectoryError):
            if not self.place:
                return DEFAULT
            text = _("{place}: there is no file {path}; flask10x alerts init makes it")
            raise SettingsError(text.format(place=self.place, path=self.path)) from None


def read(place: str, raw: Any) -> AlertsFile:
    """The file with this path; raises SettingsError when it is none."""
    return AlertsFile(toml.path_of(place, raw), place)


def default(given: Mapping[str, Any]) -> AlertsFile:
    """`alerts.toml` in the data folder; without one, DEFAULT is in force."""
    return AlertsFile(given["data_dir"] / NAME)


def load(path: Path, stations: Stations) -> Alerts:
    """The alerts of this file, which may speak of these stations.

    Raises AlertsError that names every mistake with its line, and FileNotFoundError.
    """
    return parse(toml.read_document(path), path, stations)


def parse(written: bytes, path: Path, stations: Stations) -> Alerts:
    """The alerts of a file with these bytes; raises AlertsError with every mistake."""
    file = Document(written, path, AlertsError)
    tables = AlertTables(file.data, stations)
    alerts = tables.alerts(str(path))
    file.check(tables.mistakes)
    return alerts


# Each is looked at once a second, and is a line of the page.
MAX_RULES = 200
# Each gets each message.
MAX_CHANNELS = 20


class AlertTables(Tables):
    """What `tomllib` has read, as alerts; `mistakes` has what is wrong with it."""

    def __init__(self, data: Mapping[str, Any], stations: Stations) -> None:
        super().__init__()
        self._data = data
        self._stations = stations

    def alerts(self, file: str) -> Alerts:
        """The rules that are on, the built-in ones first; incomplete after mistakes."""
        given = {**self._data}
        written = self._named("rules", given.pop("rules", {}), MAX_RULES)
        channels = self._named("ways", given.pop("ways", {}), MAX_CHANNELS)
        quiet_hours = given.pop("quiet_hours", None)
        others = ("quiet_hours", "rules", "ways")
        values = self.fields((), given, TOP_KEYS, others=others)
        if quiet_hours is not None:
            names = [*written, *(kind for kind in KINDS if kind not in written)]
            values["quiet_hours"] = self._quiet_hours(quiet_hours, names)
        found = {name: self._rule(name, raw, [*channels]) for name, raw in written.items()}
        standard = {rule.name: rule for rule in DEFAULT.rules}
        on = [rule for rule in (standard | found).values() if rule]
        return Alerts(
            rules=shared_out(on, self._stations),
            channels=tuple(
                channel for name, raw in channels.items() if (channel := self._channel(name, raw))
            ),
            file=file,
            **values,
        )

    def _named(self, top: str, raw: Any, most: int) -> dict[str, Any]:
        """The tables in a table, whose names are right."""
        tables = self.table((top,), raw) or {}
        for name in tables:
            if not ENDPOINT.fullmatch(name):
                reason = nearly_right(name, ENDPOINT, endpoint_wanted())
                self.wrong((top, name), reason, is_table=True)
        if len(tables) > most:
            self.wrong((top,), _("more than {n} of them").format(n=most), is_table=True)
        return tables

    def _rule(self, name: str, raw: Any, channels: Collection[str]) -> Rule | None:
        """The rule if it is on and right."""
        path: KeyPath = ("rules", name)
        before = len(self.mistakes)
        given = self.table(path, raw)
        if given is None:
            return None
        kind = self._kind(path, given)
        is_on = self._is_on(path, given)
        if kind is None:
            return None
        made, keys = RULES[kind]
        others = ("kind", "on")
        values = self.fields(path, given, (*keys, *RULE_KEYS[2:]), others=others)
        if len(self.mistakes) == before:
            for key, reason in mistakes_of(kind, values, self._stations if is_on else None):
                self.wrong((*path, key), reason)
        for channel in values.get("channels", ()):
            if channel not in channels:
                text = nearly(
                    _("there is no channel {name}").format(name=channel), channel, [*channels]
                )
                self.wrong((*path, "ways"), text)
        if len(self.mistakes) > before or not is_on:
            return None
        return made(name=name, **values)

    def _kind(self, path: KeyPath, given: dict[str, Any]) -> str | None:
        """What the table says, or its name when that is the name of a kind."""
        name = str(path[-1])
        if "kind" not in given:
            if name in KINDS:
                return name
            # A slip in the name of a built-in rule is what is most likely.
            reason = _("is missing: one of {words}").format(words=", ".join(KINDS))
            self.wrong((*path, "kind"), nearly(reason, name, KINDS))
            return None
        kind: str | None = self._read((*path, "kind"), one_of(KINDS), given.pop("kind"))
        if kind is not None and name in KINDS and kind != name:
            text = _("is {value}: the rule {name} has its own kind; give this one another name")
            self.wrong((*path, "kind"), text.format(value=repr(kind), name=name))
            return None
        return kind

    def _is_on(self, path: KeyPath, given: dict[str, Any]) -> bool:
        return bool(self._read((*path, "on"), switch, given.pop("on", True)))

    def _read(self, path: KeyPath, read: Any, raw: Any) -> Any:
        try:
            return read(raw)
        except WrongEntry as error:
            self.wrong(path, str(error))
            return None

    def _channel(self, name: str, raw: Any) -> Channel | None:
        path: KeyPath = ("ways", name)
        before = len(self.mistakes)
        given = self.table(path, raw)
        if given is None:
            return None
        if "kind" not in given:
            reason = _("is missing: one of {words}").format(words=", ".join(CHANNELS))
            self.wrong((*path, "kind"), reason)
            return None
        kind = self._read((*path, "kind"), one_of([*CHANNELS]), given.pop("kind"))
        if kind is None:
            return None
        made, keys = CHANNELS[kind]
        values = self.fields(path, given, (*keys, *CHANNEL_KEYS), others=("kind",))
        return made(name=name, **values) if len(self.mistakes) == before else None

    def _quiet_hours(self, raw: Any, names: Collection[str]) -> QuietHours | None:
        path: KeyPath = ("quiet_hours",)
        before = len(self.mistakes)
        given = self.table(path, raw)
        if given is None:
            return None
        values = self.fields(path, given, QUIET_HOURS_KEYS)
        for name in values.get("urgent", ()):
            if name not in names:
                text = nearly(_("there is no rule {name}").format(name=name), name, [*names])
                self.wrong((*path, "urgent"), text)
        if len(self.mistakes) > before:
            return None
        if values["start"] == values["end"]:
            self.wrong((*path, "to"), _("is the same as from"))
            return None
        return QuietHours(**values)


# Each line is a comment, but for the language, so the file changes nothing until it is edited.
EXAMPLE = Path(__file__).with_name("alerts_example.toml")


def example_in(language: Language) -> str:
    """The file that `flask10x alerts init` writes, with messages in this language."""
    return EXAMPLE.read_text(encoding="utf-8").replace("{language}", language, 1)
