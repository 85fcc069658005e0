"""Locks between processes: `flock` on files beside the database.

One is held by the running service, one by the elected monitor, one by an export, one by a backup;
the one round every commit is `fair_lock`. The kernel frees a lock when its last holder dies, so
none can be left over.
"""

import fcntl
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path

from flask10x.errors import LockTimeout
from flask10x.system import disk

# Most of these locks are held for minutes or for ever, and few wait for one.
FIRST_WAIT_SEC = 0.001
LONGEST_WAIT_SEC = 0.02


def lock_path(database: Path, name: str) -> Path:
    """The lock file called `name` of this database; never the database's own name."""
    return database.with_name(f"{database.stem}.{name}.lock")


class FileLock:
    """One exclusive lock, between processes and between the threads of this one.

    Open it after the fork: who inherits a lock shares it.
    """

    def __init__(self, path: Path) -> None:
        """Open (and make) the lock file; raises OSError when the folder can't be written."""
        self.path = path
        # The kernel gives one open file its lock again and again, whichever thread asks.
        self._held = threading.Lock()
        self._fd = opened(path)

    def try_acquire(self) -> bool:
        """Take the lock if it is free; False when somebody holds it, this object included."""
        if not self._held.acquire(blocking=False):
            return False
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._held.release()
            if isinstance(error, BlockingIOError):
                return False
            raise
        return True

    def acquire(self, timeout_sec: float) -> None:
        """Take the lock; raises LockTimeout when it was not free within the time."""
        deadline = time.monotonic() + timeout_sec
        wait_sec = FIRST_WAIT_SEC
        while not self.try_acquire():
            if time.monotonic() >= deadline:
                raise timed_out(self.path, timeout_sec)
            time.sleep(wait_sec)
            wait_sec = min(wait_sec * 2, LONGEST_WAIT_SEC)

    def release(self) -> None:
        """Free the lock; harmless when it is not held."""
        if self._held.locked():
            fcntl.flock(self._fd, fcntl.LOCK_UN)
            self._held.release()

    def close(self) -> None:
        """Close the file, which frees the lock too."""
        with suppress(OSError):
            os.close(self._fd)
        self._fd = -1

    def fileno(self) -> int:
        """The descriptor, for a child process that shall share the lock."""
        return self._fd

    def note(self, text: str) -> None:
        """Write a line into the lock file for whoever finds it locked."""
        written = os.pwrite(self._fd, text.encode(), 0)
        # Cut afterwards: on a full disk the space that is given up may not come back.
        os.ftruncate(self._fd, written)

    def noted(self) -> str:
        """The line that the holder wrote, or an empty text."""
        return _noted(self._fd)


@dataclass(frozen=True, slots=True)
class Note:
    """The line that the holder of a lock wrote, and when it did, in seconds since the epoch."""

    text: str
    written_at: float


def note_of_holder(path: Path) -> Note | None:
    """What the holder of this lock has noted; None when nobody holds it.

    Works where nothing may be written. Raises OSError when the file can't be read.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return Note(_noted(fd), os.fstat(fd).st_mtime)
    finally:
        os.close(fd)
    return None


def timed_out(path: Path, timeout_sec: float) -> LockTimeout:
    """The error of a request whose time was not enough."""
    text = _("{file} was held elsewhere for {seconds} s")
    return LockTimeout(text.format(file=path.name, seconds=f"{timeout_sec:g}"))


def opened(path: Path) -> int:
    """The descriptor of a lock file, which is made if there is none; raises OSError."""
    way = os.O_RDWR | os.O_CREAT
    with suppress(FileExistsError):
        fd = disk.private(path, way | os.O_EXCL)
        disk.leave_to_owner(fd, path.parent)
        return fd
    return disk.private(path, way)


def _noted(fd: int) -> str:
    return os.pread(fd, 200, 0).decode(errors="replace").strip()
