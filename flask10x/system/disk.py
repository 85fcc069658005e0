"""Files that have to survive a power cut: permissions, syncing, free space, names with a time."""

import os
import shutil
from contextlib import suppress
from datetime import datetime, tzinfo
from gettext import gettext as _
from pathlib import Path

from flask10x.system.wording import megabytes

# The service continues to write while a copy is made: WAL, log and CSV files need some room, too.
SPARE_BYTES = 16_000_000
COPY_BYTES = 1_000_000
# Readings, and a log that quotes them, are for the user of the service and its group: no other user
# can bypass the tokens by reading a file, even if no unit sets a UMask. The umask can only remove
# permissions, and files that exist are not changed. CSV files are different: scripts of other users
# read them.
PRIVATE_MODE = 0o640


def private(path: str | Path, flags: int) -> int:
    """Open a file; a new one gets PRIVATE_MODE less the umask. It is for `open(opener=)`."""
    return os.open(path, flags | os.O_CLOEXEC, PRIVATE_MODE)


def make_private(path: str | Path) -> None:
    """Make an empty file, as `private` does, unless it exists; raises OSError."""
    os.close(private(path, os.O_WRONLY | os.O_CREAT))


def sync(path: Path) -> None:
    """Return once a file's bytes, or a folder's names, are on the disk; raises OSError.

    Never call it for a database that this process has open: closing any descriptor of it would drop
    SQLite's locks (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def leave_to_owner(file: int | Path, folder: Path) -> None:
    """As root, give a file that was just made in a folder to the owner of the folder.

    Otherwise a command run with sudo would lock the service's user out of its own files. It is only
    for new files, or a planted link would hand over a file of the system. Nothing happens on a file
    system without owners.
    """
    if os.geteuid() == 0:
        owner = folder.stat()
        with suppress(OSError):
            os.chown(file, owner.st_uid, owner.st_gid, follow_symlinks=isinstance(file, int))


def leave_to_same_owner(fd: int, former: os.stat_result) -> None:
    """Give an open file mode and owner of the one that it replaces; raises OSError.

    Else root, by sudo, would take the file away from the service's user.
    """
    os.fchmod(fd, former.st_mode & 0o777)
    with suppress(PermissionError):
        os.fchown(fd, former.st_uid, former.st_gid)


def free_bytes(folder: Path) -> int:
    """Return the bytes that a user other than root may still write on the folder's file system."""
    system = os.statvfs(folder)
    return system.f_bavail * system.f_frsize


def shortage(folder: Path, needed: int) -> str:
    """Say that the folder has no room for a copy of so many bytes; empty where it has."""
    free = free_bytes(folder)
    if free >= needed:
        return ""
    text = _("not enough space in {folder} for a copy: {needed} needed, {free} free")
    return text.format(folder=folder, needed=megabytes(needed), free=megabytes(free))


def size(path: Path) -> int:
    """Return the size of a file in bytes; 0 if it is missing."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def copy(source: Path, target: Path) -> None:
    """Copy the bytes of a file into another one, which is private if it is new; raises OSError."""
    with open(source, "rb") as old, open(target, "wb", opener=private) as new:
        shutil.copyfileobj(old, new, COPY_BYTES)


def moment(zone: tzinfo | None) -> str:
    """Return the current local time for a file's name, `20250824-090000`.

    `no-date` if the clock has no valid time, as beyond the year 2262: the file matters more.
    """
    try:
        return datetime.now(zone).strftime("%Y%m%d-%H%M%S")
    except (OverflowError, ValueError, OSError):
        return "no-date"
