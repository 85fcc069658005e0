"""The file of stations, made and added to; never is anything rewritten that stands in it."""

from gettext import gettext as _
from pathlib import Path

from flask10x.config import station_file, station_text
from flask10x.errors import SettingsError
from flask10x.maintenance import own_files
from flask10x.readings.stations import BUILT_IN, Station, Stations


def make(path: Path) -> None:
    """A file with the built-in stations, and what each key is for.

    Raises SettingsError when there is one already, and OSError; then there is no new one.
    """
    own_files.make(path, station_text.rendered(BUILT_IN.all))


def with_station(path: Path, station: Station) -> tuple[bytes, bytes | None]:
    """The file with one more station at its end, and the file as it is, None when there is none.

    A new one begins like that of `make`. Raises SettingsError when a spreadsheet would
    take one of its headings for a formula, StationsError when the file with the station would have
    a mistake, and OSError when it can't be read.
    """
    if lines := station_file.formula_headings(Stations((station,), str(path))):
        raise SettingsError("; ".join(lines))
    try:
        former = path.read_bytes()
    except FileNotFoundError:
        former = None
    begin = station_text.rendered(BUILT_IN.all).encode() if former is None else former
    end = b"" if not begin or begin.endswith(b"\n") else b"\n"
    written = begin + end + b"\n" + station_text.entry(station).encode()
    station_file.parse(written, path)
    return written, former


def replace(path: Path, written: bytes, former: bytes | None) -> None:
    """Put these bytes in the place of the file, which still is as it was read.

    A death in between leaves the file as it was. Raises SettingsError when somebody has changed it
    meanwhile, and OSError.
    """
    real = path.resolve()
    if (real.read_bytes() if real.exists() else None) != former:
        text = _("{path} was changed meanwhile; it stays as it is")
        raise SettingsError(text.format(path=path))
    own_files.put_in_place(real, written, None if former is None else real.stat())
