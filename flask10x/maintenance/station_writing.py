"""The file of stations, made and added to; never is anything rewritten that stands in it."""

import os
from contextlib import suppress
from gettext import gettext as _
from pathlib import Path

from flask10x.config import station_file, station_text
from flask10x.errors import SettingsError
from flask10x.readings.stations import BUILT_IN, Station
from flask10x.system import disk

# It has no secrets, and everybody who runs a command reads it.
MODE = 0o644


def make(path: Path) -> None:
    """A file with the built-in stations, and what each key is for.

    Raises SettingsError when there is one already, and OSError; then there is no new one.
    """
    if os.path.lexists(path):
        raise SettingsError(_("there is {path} already; it stays as it is").format(path=path))
    _put_in_place(path, station_text.rendered(BUILT_IN.all).encode(), None)


def with_station(path: Path, station: Station) -> tuple[bytes, bytes | None]:
    """The file with one more station at its end, and the file as it is, None when there is none.

    A new one begins like that of `make`. Raises StationsError when the file with
    the station would have a mistake, and OSError when it can't be read.
    """
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
    _put_in_place(real, written, None if former is None else real.stat())


def _put_in_place(path: Path, written: bytes, former: os.stat_result | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    try:
        with unfinished.open("xb") as file:
            file.write(written)
            os.fchmod(file.fileno(), former.st_mode & 0o777 if former else MODE)
            if former is None:
                disk.leave_to_owner(file.fileno(), path.parent)
            else:
                with suppress(PermissionError):
                    os.fchown(file.fileno(), former.st_uid, former.st_gid)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
        disk.sync(path.parent)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
