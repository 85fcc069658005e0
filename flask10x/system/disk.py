"""Files that have to survive a power cut, who may read them, their room, names with a time."""

import os
from contextlib import suppress
from datetime import datetime, tzinfo
from pathlib import Path

from flask10x.system.progress import Advance

# The service goes on writing while a copy is made: WAL, log and CSV files need a little room too.
SPARE_BYTES = 16_000_000
COPY_BYTES = 1_000_000
# Readings, and a log that quotes them, are for the user of the service and its group: nobody else
# gets past the tokens by reading a file, also where no unit sets a UMask. The umask can only take
# more away, and no file that exists is changed. CSV files are not meant: other users' scripts read
# them.
PRIVATE_MODE = 0o640


def private(path: str | Path, flags: int) -> int:
    """Open a file, a new one with PRIVATE_MODE as far as the umask lets it; for `open(opener=)`."""
    return os.open(path, flags | os.O_CLOEXEC, PRIVATE_MODE)


def make_private(path: str | Path) -> None:
    """Make an empty file, as `private` does, unless there is one; raises OSError."""
    os.close(private(path, os.O_WRONLY | os.O_CREAT))


def sync(path: Path) -> None:
    """Return when a file's bytes, or a folder's names, are on the disk; raises OSError.

    Never for a database that this process has open: closing any descriptor of it would drop
    SQLite's locks (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def leave_to_owner(made: int | Path, folder: Path) -> None:
    """As root, give what was just made in a folder to the owner of the folder.

    Whoever runs a command with sudo would else lock the service's user out of its own files. Only
    for what is new, or a link put there would hand over a file of the system's. Where a file
    system has no owners, nothing happens.
    """
    if os.geteuid() == 0:
        owner = folder.stat()
        with suppress(OSError):
            os.chown(made, owner.st_uid, owner.st_gid, follow_symlinks=isinstance(made, int))


def leave_to_same_owner(made: int, former: os.stat_result) -> None:
    """Give an open file mode and owner of the one that it replaces; raises OSError.

    Else root, by sudo, would take the file away from the service's user.
    """
    os.fchmod(made, former.st_mode & 0o777)
    with suppress(PermissionError):
        os.fchown(made, former.st_uid, former.st_gid)


def free_bytes(folder: Path) -> int:
    """What may still be written on the folder's file system by a user who is not root."""
    system = os.statvfs(folder)
    return system.f_bavail * system.f_frsize


def size(path: Path) -> int:
    """The bytes of a file, 0 when there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def copy(source: Path, target: Path, advance: Advance) -> None:
    """Write the bytes of a file into another one, a private one if it is new; raises OSError."""
    with open(source, "rb") as old, open(target, "wb", opener=private) as new:
        while data := old.read(COPY_BYTES):
            new.write(data)
            advance(len(data))


def moment(zone: tzinfo | None) -> str:
    """Now as part of a file's name, `20250824-090000`, in local time.

    Without the time where the clock has none, as beyond the year 2262: the file is what matters.
    """
    try:
        return datetime.now(zone).strftime("%Y%m%d-%H%M%S")
    except (OverflowError, ValueError, OSError):
        return "no-date"
