"""Files that have to survive a power cut, the room they need, the names that tell their time."""

import os
from contextlib import suppress
from datetime import datetime, tzinfo
from pathlib import Path

from flask10x.system.progress import Advance

# The service goes on writing while a copy is made: WAL, log and CSV files need a little room too.
SPARE_BYTES = 16_000_000
COPY_BYTES = 1_000_000


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
    """Write the bytes of a file into another one, which may be new; raises OSError."""
    with open(source, "rb") as old, open(target, "wb") as new:
        while data := old.read(COPY_BYTES):
            new.write(data)
            advance(len(data))


def moment(zone: tzinfo | None) -> str:
    """Now as part of a file's name, `20250824-090000`, in local time."""
    return datetime.now(zone).strftime("%Y%m%d-%H%M%S")
