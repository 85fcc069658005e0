"""Files that have to survive a power cut, the room they need, the names that tell their time."""

import os
from datetime import datetime, tzinfo
from pathlib import Path

# The service goes on writing while a copy is made: WAL, log and CSV files need a little room too.
SPARE_BYTES = 16_000_000


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


def megabytes(count: int) -> str:
    """`12.3 MB`, a megabyte being a million bytes."""
    return f"{count / 1e6:,.1f} MB"


def moment(zone: tzinfo | None) -> str:
    """Now as part of a file's name, `20250824-090000`, in local time."""
    return datetime.now(zone).strftime("%Y%m%d-%H%M%S")
