"""Files that the operator writes, made and replaced; never is one lost half-way."""

import os
from contextlib import suppress
from gettext import gettext as _
from pathlib import Path

from flask10x.errors import SettingsError
from flask10x.system import disk

# They have no secrets, and everybody who runs a command reads them.
MODE = 0o644


def make(path: Path, text: str) -> None:
    """A new file with this text.

    Raises SettingsError when there is one already, and OSError; then there is no new one.
    """
    if os.path.lexists(path):
        raise SettingsError(_("there is {path} already; it stays as it is").format(path=path))
    put_in_place(path, text.encode(), None)


def put_in_place(path: Path, written: bytes, former: os.stat_result | None) -> None:
    """The file with these bytes, with mode and owner of the former one if there is one.

    A death in between leaves everything as it was. Raises OSError.
    """
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
