"""Files that the operator writes, made and replaced without ever being lost half-way."""

import os
from contextlib import closing
from gettext import gettext as _
from pathlib import Path

from flask10x.errors import SettingsError
from flask10x.system import disk
from flask10x.system.locks import FileLock

# They have no secrets, and every user who runs a command reads them.
MODE = 0o644
SECRET_MODE, SECRET_FOLDER_MODE = 0o600, 0o700
# Of a change that another process or thread is writing just now.
LOCK_TIMEOUT_SEC = 5.0


def make(path: Path, text: str) -> None:
    """Make a file with this text.

    Raises SettingsError when it exists already, and OSError; then nothing is made.
    """
    if os.path.lexists(path):
        raise SettingsError(_("there is {path} already; it stays as it is").format(path=path))
    put_in_place(path, text.encode(), None)


def replace(
    path: Path, data: bytes | None, former: bytes | None, beside: Path | None = None
) -> None:
    """Put these bytes in the place of the file, which still is as it was read; None: no file.

    With `beside` the former ones, if there are any, are put there first. A process that is killed
    meanwhile leaves the file as it was. Raises SettingsError when the file was changed meanwhile,
    LockTimeout when another change of it takes too long, and OSError.
    """
    real = path.resolve()
    real.parent.mkdir(parents=True, exist_ok=True)
    with closing(FileLock(real.parent)) as lock:
        lock.acquire(LOCK_TIMEOUT_SEC)
        if (real.read_bytes() if real.is_file() else None) != former:
            text = _("{path} was changed meanwhile; it stays as it is")
            raise SettingsError(text.format(path=path))
        if former is not None and beside is not None:
            put_in_place(beside, former, real.stat())
        if data is None:
            real.unlink(missing_ok=True)
        else:
            put_in_place(real, data, None if former is None else real.stat())


def put_secret(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, in a folder that is made if there is none.

    Raises OSError; then the file is not there.
    """
    folder = path.parent
    if not folder.is_dir():
        folder.mkdir(mode=SECRET_FOLDER_MODE, parents=True)
        disk.leave_to_owner(folder, folder.parent)
    disk.make_private(path)
    try:
        path.chmod(SECRET_MODE)
        disk.leave_to_owner(path, folder)
        put_in_place(path, data, path.stat())
    except OSError:
        path.unlink(missing_ok=True)
        raise


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
