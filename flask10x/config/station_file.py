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
from flask10x.readings.csv_lines import FORMULA_BEGINNINGS, is_formula
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


def formula_headings(stations: Stations) -> list[str]:
    """A line for each heading of these stations that a spreadsheet takes for a formula.

    No mistake of the file: a service that does not start loses readings.
    """
    text = _(
        "{file}: stations.{station}.measurements.{column}: csv_header is {heading}, which a"
        " spreadsheet takes for a formula; {instead} is none"
    )
    lines = []
    for station, one in ((s, m) for s in stations.all for m in s.measurements):
        if is_formula(one.csv_header):
            instead = one.csv_header.lstrip(FORMULA_BEGINNINGS).lstrip() or one.column
            named = {"file": stations.file, "station": station.endpoint, "column": one.column}
            shown = {"heading": repr(one.csv_header), "instead": repr(instead)}
            lines.append(text.format(**named, **shown))
    return lines


def parse(written: bytes, path: Path) -> Stations:
    """The stations of a file with these bytes; raises StationsError with every mistake."""
    file = Document(written, path, StationsError)
    tables = StationTables(file.data)
    stations = tables.stations(str(path))
    file.check(tables.mistakes)
    return stations
