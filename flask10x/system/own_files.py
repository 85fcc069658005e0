"""Files that the operator writes, made and replaced without ever being lost half-way."""

import os
from gettext import gettext as _
from pathlib import Path

from flask10x.errors import SettingsError
from flask10x.system import disk

# They have no secrets, and every user who runs a command reads them.
MODE = 0o644


def make(path: Path, text: str) -> None:
    """Make a file with this text.

    Raises SettingsError when it exists already, and OSError; then nothing is made.
    """
    if os.path.lexists(path):
        raise SettingsError(_("there is {path} already; it stays as it is").format(path=path))
    put_in_place(path, text.encode(), None)


def put_in_place(path: Path, data: bytes, former: os.stat_result | None) -> None:
    """Write the file with these bytes, with mode and owner of the former one if there is one.

    A process that is killed meanwhile leaves everything as it was. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    try:
        with unfinished.open("xb") as file:
            file.write(data)
            if former is None:
                os.fchmod(file.fileno(), MODE)
                disk.leave_to_owner(file.fileno(), path.parent)
            else:
                disk.leave_to_same_owner(file.fileno(), former)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
        disk.sync(path.parent)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
