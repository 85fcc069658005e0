"""`alerts.toml`: the file that the setting ALERTS names."""

from collections.abc import Mapping
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import Any

from flask10x.config.alerts.rules import DEFAULT, Alerts
from flask10x.config.alerts.tables import AlertTables
from flask10x.config.toml import document
from flask10x.config.toml.document import Document
from flask10x.errors import AlertsError, SettingsError
from flask10x.readings.stations import Stations

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
    return AlertsFile(document.path_of(place, raw), place)


def default(given: Mapping[str, Any]) -> AlertsFile:
    """`alerts.toml` in the data folder; without one, DEFAULT is in force."""
    return AlertsFile(given["data_dir"] / NAME)


def load(path: Path, stations: Stations) -> Alerts:
    """The alerts of this file, which may speak of these stations.

    Raises AlertsError that names every mistake with its line, and FileNotFoundError.
    """
    return parse(document.read(path), path, stations)


def parse(written: bytes, path: Path, stations: Stations) -> Alerts:
    """The alerts of a file with these bytes; raises AlertsError with every mistake."""
    file = Document(written, path, AlertsError)
    tables = AlertTables(file.data, stations)
    alerts = tables.alerts(str(path))
    file.check(tables.mistakes)
    return alerts
