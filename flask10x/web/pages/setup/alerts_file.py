"""`alerts.toml` as the pages of `/setup` change it."""

import tomllib
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask10x.config import house, toml
from flask10x.config.alerts import file as alert_file
from flask10x.config.alerts.rules import DEFAULT, KINDS, Alerts, Channel, Rule
from flask10x.config.settings import Settings
from flask10x.config.toml import KeyPath
from flask10x.errors import AlertsError, SettingsError
from flask10x.translation import speaking
from flask10x.web import preferences
from flask10x.web.pages.setup import changes, channels
from flask10x.web.pages.setup.changes import Edit

# An edit of the tables of the file.
Editing = Callable[[MutableMapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule as the page lists it."""

    name: str
    kind: str
    rule: Rule | None
    """As it would be if it were on; None where it has a mistake."""
    is_on: bool
    is_built_in: bool
    """Whether it is there without a file: it can be off, and not away."""


@dataclass(frozen=True, slots=True)
class AlertsFile:
    """The file as it is on the disk, which the service may not have read yet."""

    path: Path
    settings: Settings
    former: bytes | None
    """Its bytes; None: there is none."""
    data: Mapping[str, Any]
    """Its tables."""
    alerts: Alerts
    trouble: str = ""
    """What is wrong with it; then nothing can be changed here, and `alerts` are the service's."""

    @property
    def seen(self) -> str:
        """What a form carries of it."""
        return changes.seen(self.former)

    def channel(self, name: str) -> Channel | None:
        """Return the channel of this name."""
        return next((each for each in self.alerts.channels if each.name == name), None)

    def rules(self) -> list[RuleRow]:
        """Return all rules, also those that are off, the built-in ones first."""
        tables = self.data.get("rules", {}) if not self.trouble else {}
        built_in, on = [rule.name for rule in DEFAULT.rules], self.alerts.by_name
        rows = []
        for name in dict.fromkeys([*built_in, *tables]):
            table = tables.get(name, {})
            rule = on.get(name) or self.as_if_on(name, table)
            kind = str(table.get("kind", name))
            rows.append(RuleRow(name, kind, rule, name in on, name in built_in))
        return rows

    def rule(self, name: str) -> RuleRow | None:
        """Return the rule of this name."""
        return next((row for row in self.rules() if row.name == name), None)

    def table(self, top: str, name: str) -> Mapping[str, Any]:
        """Return the table of a rule or a channel; empty without one."""
        found: Mapping[str, Any] = self.data.get(top, {}).get(name, {})
        return found

    def only_to(self, channel: str) -> list[str]:
        """Return the names of the rules whose messages go to this channel alone."""
        tables = self.data.get("rules", {})
        return [name for name, table in tables.items() if table.get("channels") == [channel]]

    def as_if_on(self, name: str, table: Mapping[str, Any]) -> Rule | None:
        """Return the rule of this table, in which None is no key; None where it has a mistake."""
        keys = {key: value for key, value in table.items() if value is not None}
        data = {"rules": {name: keys | {"on": True}}, "channels": self.data.get("channels", {})}
        alerts, mistakes = alert_file.checked(data, self.path, self.settings.stations)
        return None if mistakes else alerts.by_name.get(name)

    def change(
        self, kind: str, name: str, edit: Editing, at: Sequence[KeyPath] = ()
    ) -> dict[str, str]:
        """Change the tables of the file; return what is wrong, by key of the tables `at` of a form.

        What is wrong elsewhere is under `file`. Raises as `changes.make` does. `kind` and `name`
        are those of the change.
        """
        language = preferences.texts().language

        def both(data: MutableMapping[str, Any]) -> None:
            if self.former is None:
                data["language"] = language
            edit(data)

        begin = toml.schema_line("alerts").encode()
        if self.former is not None:
            begin = alert_file.with_names_of_now(self.former)
        try:
            with speaking(language):
                data = toml.edited(begin, both)
                stations, tables = self.settings.stations, tomllib.loads(data.decode())
                _, mistakes = alert_file.checked(tables, self.path, stations)
                here = {str(m.path[-1]): m.reason for m in mistakes if m.path[:-1] in at}
                if here:
                    return here
                alert_file.parse(data, self.path, stations)
                changes.make(Edit(kind, name, self.path, self.former, data))
        except SettingsError as error:
            return {"file": str(error)}
        channels.forget_unused(self.settings, self.former)
        return {}


def load(settings: Settings) -> AlertsFile:
    """Return the file of these settings, whether or not it is there. Raises OSError."""
    path = house.paths(settings)[alert_file.NAME]
    former = house.present(path)
    try:
        alerts = DEFAULT if former is None else alert_file.parse(former, path, settings.stations)
    except AlertsError as error:
        return AlertsFile(path, settings, former, {}, settings.alerts, str(error))
    data = tomllib.loads(alert_file.with_names_of_now(former or b"").decode())
    return AlertsFile(path, settings, former, data, alerts)


def free_name(wanted: str, taken: Sequence[str]) -> str:
    """Return this name, or with a number where it is taken."""
    names = (wanted, *(f"{wanted[:28]}-{n}" for n in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)


def removed(top: str, name: str) -> Editing:
    """Return the edit that takes a rule or a channel out, and its name out of lists."""

    def edit(data: MutableMapping[str, Any]) -> None:
        del data[top][name]
        if not data[top]:
            del data[top]
        if top == "rules" and name not in KINDS:
            _take_out(data.get("quiet_hours", {}), "urgent", name)
        for rule in data.get("rules", {}).values() if top == "channels" else ():
            _take_out(rule, "channels", name)

    return edit


def _take_out(table: MutableMapping[str, Any], key: str, name: str) -> None:
    with suppress(KeyError, ValueError):
        if name in table[key]:
            table[key] = [each for each in table[key] if each != name]
