"""`stations.toml`: the stations that the operator has added, and what was adjusted of others.

The built-in stations are always there; an entry for one changes only what it names. What each key
may be: `station_keys.py`, and docs/en/reference/stations-file.md.
"""

import re
import tomllib
from collections.abc import Mapping
from gettext import gettext as _
from pathlib import Path
from typing import Any

from flask10x.config.station_lines import lines_of
from flask10x.config.station_mistakes import shown
from flask10x.config.station_tables import StationTables
from flask10x.errors import SettingsError, StationsError, wrong_setting
from flask10x.readings.stations import BUILT_IN, Stations

NAME = "stations.toml"
# 200 stations with 16 measurements and all their keys are half of it.
MAX_FILE_BYTES = 1_000_000
# A key with a value that begins like none of TOML's.
_WITHOUT_QUOTES = re.compile(r"""[\w.-]+\s*=\s*(?!true|false|inf|nan)[^\s\d"'\[{+-]""")


def read(place: str, raw: Any) -> Stations:
    """The stations of the file with this path; raises SettingsError, StationsError."""
    path = path_of(place, raw)
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


def path_of(place: str, raw: Any) -> Path:
    """The file that the setting names; raises SettingsError when it names none."""
    if not isinstance(raw, str) or not raw:
        raise wrong_setting(place, raw, _("a file is needed"))
    return Path(raw).expanduser().absolute()


def load(path: Path) -> Stations:
    """The stations of this file.

    Raises StationsError that names every mistake with its line, and FileNotFoundError.
    """
    try:
        with path.open("rb") as file:
            written = file.read(MAX_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        text = _("cannot read {path}: {reason}")
        raise SettingsError(text.format(path=path, reason=error.strerror or error)) from error
    return parse(written, path)


def parse(written: bytes, path: Path) -> Stations:
    """The stations of a file with these bytes; raises StationsError with every mistake."""
    if len(written) > MAX_FILE_BYTES:
        raise _unreadable(path, 1, _("it has more than {n} bytes").format(n=MAX_FILE_BYTES))
    try:
        text = written.decode()
    except UnicodeDecodeError as error:
        line = written.count(b"\n", 0, error.start) + 1
        raise _unreadable(path, line, _("the text is not UTF-8")) from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _unreadable(path, *_no_toml(text, str(error))) from error
    except RecursionError as error:
        raise _unreadable(path, 1, _("it is nested too deeply")) from error
    tables = StationTables(data)
    stations = tables.stations(str(path))
    if tables.mistakes:
        lines = lines_of(text)
        found = [(mistake.line(lines), mistake) for mistake in tables.mistakes]
        found.sort(key=lambda pair: pair[0])
        raise StationsError(path, [(line, mistake.text) for line, mistake in found])
    return stations


def _unreadable(path: Path, line: int, text: str) -> StationsError:
    return StationsError(path, [(line, text)])


def _no_toml(text: str, said: str) -> tuple[int, str]:
    """The line that is no TOML, and what is wrong with it."""
    number, said = _place_in(text, said)
    lines = [line.strip() for line in text.split("\n")]
    line = lines[number - 1]
    if line.startswith("[") and line in lines[: number - 1]:
        reason = _("{table} is on line {number} already: write the keys there")
        return number, reason.format(table=shown(line), number=lines.index(line) + 1)
    if _WITHOUT_QUOTES.match(line):
        reason = _('{line}: a text needs straight quotes around it, as "hPa" has')
        return number, reason.format(line=shown(line))
    return number, f"{said}: {shown(line)}" if line else said


def _place_in(text: str, said: str) -> tuple[int, str]:
    """The line that `tomllib` names, and what it says without it."""
    # Python 3.14 has attributes for it.
    found = re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", said, re.DOTALL)
    if found is None:
        return 1, said
    return int(found[2] or text.count("\n") + 1), found[1]
