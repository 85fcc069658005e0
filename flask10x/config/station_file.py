"""`stations.toml`: the stations that the operator has added, and what was adjusted of others.

The built-in stations are always there; an entry for one changes only what it names. What each key
may be: `station_keys.py`, and docs/en/reference/stations-file.md.
"""

from collections.abc import Mapping
from gettext import gettext as _
from pathlib import Path
from typing import Any

from flask10x.config.station_tables import StationTables
from flask10x.config.toml import document
from flask10x.config.toml.document import Document
from flask10x.errors import SettingsError, StationsError
from flask10x.readings.stations import BUILT_IN, Stations

NAME = "stations.toml"


def read(place: str, raw: Any) -> Stations:
    """The stations of the file with this path; raises SettingsError, StationsError."""
    path = document.path_of(place, raw)
    try:
        return load(path)
    except FileNotFoundError:
        text = _("{place}: there is no file {path}; flask10x stations init makes it")
        raise SettingsError(text.format(place=place, path=path)) from None


def default(given: Mapping[str, Any]) -> Stations:
    """Those of `stations.toml` in the data folder; without one, BUILT_IN."""
    try:
        return load(given["data_dir"] / NAME)
    except (FileNotFoundError, NotADirectoryError):
        return BUILT_IN


def load(path: Path) -> Stations:
    """The stations of this file.

    Raises StationsError that names every mistake with its line, and FileNotFoundError.
    """
    return parse(document.read(path), path)


def parse(written: bytes, path: Path) -> Stations:
    """The stations of a file with these bytes; raises StationsError with every mistake."""
    file = Document(written, path, StationsError)
    tables = StationTables(file.data)
    stations = tables.stations(str(path))
    file.check(tables.mistakes)
    return stations
