"""`alerts.toml` as the pages of `/setup` change it."""

import tomllib
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask10x.config import toml
from flask10x.config.alerts import file as alert_file
from flask10x.config.alerts.rules import DEFAULT, KINDS, Alerts, Channel, Rule
from flask10x.config.settings import Settings
from flask10x.config.toml import Mistake
from flask10x.errors import AlertsError, SettingsError
from flask10x.runtime import setup_files
from flask10x.translation import Language
from flask10x.web.pages.setup import changes
from flask10x.web.pages.setup.changes import Edit

# An edit of the tables of the file.
Editing = Callable[[MutableMapping[str, Any]], None]


class WrongFields(SettingsError):
    """The file would have mistakes; `reasons` has them by key of the table that was edited."""

    def __init__(self, reasons: dict[str, str]) -> None:
        super().__init__("; ".join(reasons.values()))
        self.reasons = reasons


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
        names = dict.fromkeys([*(rule.name for rule in DEFAULT.rules), *tables])
        on = self.alerts.by_name
        return [
            RuleRow(
                name=name,
                kind=str(tables.get(name, {}).get("kind", name)),
                rule=on.get(name) or self._as_if_on(name),
                is_on=name in on,
                is_built_in=name in {rule.name for rule in DEFAULT.rules},
            )
            for name in names
        ]

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

    def _as_if_on(self, name: str) -> Rule | None:
        table = {**self.table("rules", name), "on": True}
        data = {"rules": {name: table}, "channels": self.data.get("channels", {})}
        alerts, _ = alert_file.checked(data, self.path, self.settings.stations)
        return alerts.by_name.get(name)

    def edited(self, kind: str, name: str, edit: Editing, at: tuple[str, ...]) -> Edit:
        """Return the edit of the file that changes its tables, whose table `at` a form shows.

        Raises WrongFields with the mistakes of that table, and SettingsError with others.
        """
        data = toml.edited(self._beginning(), edit)
        tables = tomllib.loads(data.decode())
        _, mistakes = alert_file.checked(tables, self.path, self.settings.stations)
        if reasons := _reasons(mistakes, at):
            raise WrongFields(reasons)
        alert_file.parse(data, self.path, self.settings.stations)
        return Edit(kind, name, self.path, self.former, data)

    def _beginning(self) -> bytes:
        if self.former is not None:
            return alert_file.with_names_of_now(self.former)
        return toml.schema_line("alerts").encode()


def _reasons(mistakes: Sequence[Mistake], at: tuple[str, ...]) -> dict[str, str]:
    of_table = [one for one in mistakes if one.path[:-1] == at]
    return {str(one.path[-1]): one.reason for one in of_table}


def load(settings: Settings) -> AlertsFile:
    """Return the file of these settings, whether or not it is there. Raises OSError."""
    path = setup_files.paths(settings)[alert_file.NAME]
    former = setup_files.present(path)
    try:
        alerts = DEFAULT if former is None else alert_file.parse(former, path, settings.stations)
    except AlertsError as error:
        return AlertsFile(path, settings, former, {}, settings.alerts, str(error))
    renamed = alert_file.with_names_of_now(former or b"")
    data = tomllib.loads(renamed.decode())
    return AlertsFile(path, settings, former, data, alerts)


def put(table: MutableMapping[str, Any], values: Mapping[str, Any], keys: Sequence[str]) -> None:
    """Give the keys of a table these values; those without one go, and others stay."""
    for name in keys:
        if values.get(name) is None:
            table.pop(name, None)
        elif table.get(name) != values[name]:
            table[name] = values[name]


def tables_of(data: MutableMapping[str, Any], top: str) -> MutableMapping[str, Any]:
    """Return the tables of the rules or the channels, which are made if there are none."""
    if top not in data:
        data[top] = {}
    found: MutableMapping[str, Any] = data[top]
    return found


def with_language(edit: Editing, former: bytes | None, language: Language) -> Editing:
    """Return the edit that also sets the language of messages, where it makes the file."""

    def both(data: MutableMapping[str, Any]) -> None:
        if former is None:
            data["language"] = language
        edit(data)

    return both


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
