"""`stations.toml`: the stations that the operator has added, and what was adjusted of others.

The built-in stations are always there; an entry for one changes only what it names. What each key
may be: `station_keys.py`, and docs/en/reference/stations-file.md.
"""

from collections.abc import Mapping
from contextlib import suppress
from gettext import gettext as _
from pathlib import Path
from typing import Any

from flask10x.config.station_tables import StationTables
from flask10x.config.toml import document
from flask10x.config.toml.document import Document
from flask10x.errors import SettingsError, StationsError
from flask10x.readings.csv_lines import FORMULA_BEGINNINGS, is_formula
from flask10x.readings.stations import BUILT_IN, Measurement, Station, Stations

NAME = "stations.toml"
# A time and 16 measurements, each of 64 characters that are 4 bytes.
HEADER_MAX_BYTES = 5000


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


def check_headings(stations: Stations, csv_dir: Path) -> None:
    """Raise SettingsError for a heading that is a formula to a spreadsheet.

    One that the station's CSV file has already goes on: a file's first line never changes
    (contract, section 3), and a service that does not start loses readings.
    """
    for station in stations.all:
        formulas = [m for m in station.measurements if is_formula(m.csv_header)]
        if not formulas:
            continue
        written = _headings(csv_dir / station.csv_name)
        for one in formulas:
            if one.csv_header not in written:
                raise _formula(stations.file, station, one)


def _headings(path: Path) -> list[str]:
    """The headings in a CSV file; none where there is no file."""
    with suppress(OSError), path.open("rb") as file:
        return file.readline(HEADER_MAX_BYTES).decode(errors="replace").rstrip("\r\n").split(",")
    return []


def _formula(file: str, station: Station, measurement: Measurement) -> SettingsError:
    text = _(
        "{file}: stations.{station}.measurements.{column}: csv_header is {heading}, which a"
        " spreadsheet takes for a formula; write {instead}"
    )
    heading = measurement.csv_header
    instead = heading.lstrip(FORMULA_BEGINNINGS).lstrip() or measurement.column
    named = {"station": station.endpoint, "column": measurement.column}
    shown = {"heading": repr(heading), "instead": repr(instead)}
    return SettingsError(text.format(file=file, **named, **shown))


def parse(written: bytes, path: Path) -> Stations:
    """The stations of a file with these bytes; raises StationsError with every mistake."""
    file = Document(written, path, StationsError)
    tables = StationTables(file.data)
    stations = tables.stations(str(path))
    file.check(tables.mistakes)
    return stations
