"""Locks between processes and threads: `flock` on files beside the database, and the fair lock.

`FileLock` is an advisory lock with a note of its holder. `FairLock` is granted in the order of the
requests, between processes and between the threads of each.
"""

import fcntl
import os
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path

from flask10x.errors import LockTimeout
from flask10x.system import disk

# Locks between processes: `flock` on files beside the database.
#
# The running service holds one, the elected monitor one, an export one, a backup one; the lock
# around every commit is a `FairLock`. The kernel frees a lock when its last holder dies, so no lock
# can be left over.

# Most of these locks are held for minutes or as long as the service runs, and few processes wait
# for one.
FIRST_WAIT_SEC = 0.001
LONGEST_WAIT_SEC = 0.02
# The fair lock is held for milliseconds: a request looks again after an eighth of its time so far.
FIRST_FAIR_WAIT_SEC = 0.0002
FAIR_WAIT_SHARE = 1 / 8


def lock_path(database: Path, name: str) -> Path:
    """Return the lock file called `name` of this database; never the database's own name."""
    return database.with_name(f"{database.stem}.{name}.lock")


class FileLock:
    """One exclusive lock, between processes and between the threads of this one.

    Open it after the fork: a child that inherits a lock shares it.
    """

    def __init__(self, path: Path) -> None:
        """Open (and make) the lock file; raises OSError if the folder can't be written."""
        self.path = path
        # The kernel grants an open file its lock again and again, to any of its threads.
        self._held = threading.Lock()
        self._fd = opened(path)

    def try_acquire(self) -> bool:
        """Take the lock if it is free; False if it is held, by this object or another one."""
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
        """Take the lock; raises LockTimeout if it was not free within the time."""
        deadline = time.monotonic() + timeout_sec
        wait_sec = FIRST_WAIT_SEC
        while not self.try_acquire():
            if time.monotonic() >= deadline:
                raise timed_out(self.path, timeout_sec)
            time.sleep(wait_sec)
            wait_sec = min(wait_sec * 2, LONGEST_WAIT_SEC)

    def release(self) -> None:
        """Free the lock; harmless if it is not held."""
        if self._held.locked():
            fcntl.flock(self._fd, fcntl.LOCK_UN)
            self._held.release()

    def close(self) -> None:
        """Close the file, which frees the lock too."""
        with suppress(OSError):
            os.close(self._fd)
        self._fd = -1

    def fileno(self) -> int:
        """Return the descriptor, for a child process that is to share the lock."""
        return self._fd

    def note(self, text: str) -> None:
        """Write a line into the lock file for processes that find it locked."""
        length = os.pwrite(self._fd, text.encode(), 0)
        # Truncated afterwards: on a full disk the freed space may not come back.
        os.ftruncate(self._fd, length)

    def line(self) -> str:
        """Return the line that the holder wrote, or an empty text."""
        return _line_in(self._fd)


@dataclass(frozen=True, slots=True)
class Note:
    """The line that the holder of a lock wrote, and when it did, in seconds since the epoch."""

    text: str
    written_at: float


def note_of_holder(path: Path) -> Note | None:
    """Return the note of the holder of this lock; None if it is free.

    It needs no permission to write. Raises OSError if the file can't be read.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return Note(_line_in(fd), os.fstat(fd).st_mtime)
    finally:
        os.close(fd)
    return None


def timed_out(path: Path, timeout_sec: float) -> LockTimeout:
    """Return the error of a request that was not granted in time."""
    text = _("{file} was held elsewhere for {seconds} s")
    return LockTimeout(text.format(file=path.name, seconds=f"{timeout_sec:g}"))


def opened(path: Path) -> int:
    """Return the descriptor of a lock file, which is made if there is none; raises OSError.

    A folder is locked itself: where people keep their files, no other one appears.
    """
    if path.is_dir():
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    flags = os.O_RDWR | os.O_CREAT
    with suppress(FileExistsError):
        fd = disk.private(path, flags | os.O_EXCL)
        disk.leave_to_owner(fd, path.parent)
        return fd
    return disk.private(path, flags)


def _line_in(fd: int) -> str:
    return os.pread(fd, 200, 0).decode(errors="replace").strip()


# The lock that is granted in the order of the requests, between processes and threads.
#
# It consists of locks on single bytes of one file, to which nothing is written: "open file
# description" locks of fcntl(2), Linux 3.15 and later. Byte 0 is the gate, held only while a
# process takes a ticket. A ticket is the first byte after every locked one, locked for writing.
# Its owner asks for a read lock on all bytes from the first ticket to its own, again and again; the
# kernel grants it once all earlier tickets are gone, by release or by the death of their process. A
# request that is not granted is no lock, so it blocks no other request.

# `struct flock` of fcntl(2): type, whence, start, length, process. Native alignment, as C has it;
# `q` also on 32-bit systems, where these commands take `struct flock64` (F_OFD_SETLK in
# linux/fcntl.h; glibc passes it on as it is). The process must be 0. `0q` adds the padding at the
# end.
FLOCK = struct.Struct("@hhqqi0q")
GATE, FIRST_TICKET = 0, 1
TO_THE_END = 0


def _of(kind: int, start: int, length: int) -> bytes:
    return FLOCK.pack(kind, os.SEEK_SET, start, length, 0)


class FairLock:
    """One exclusive lock, first come, first served, between processes and between threads.

    Open it after the fork: a child that inherits a lock shares it. Two objects exclude each other,
    even in one process.
    """

    def __init__(self, path: Path) -> None:
        """Open (and make) the lock file; raises OSError if the folder can't be written."""
        self.path = path
        # Each request has an open file of its own, because the kernel grants locks to open files.
        # One is kept, so that a writer without rivals never lacks a descriptor.
        self._spare: list[int] = [opened(path)]
        self._holding: int | None = None

    def acquire(self, timeout_sec: float) -> None:
        """Take the lock; raises LockTimeout if its turn did not come within the time.

        So it does at once if threads of this process wait and it has no descriptor for one more.
        """
        began_sec = time.monotonic()
        try:
            fd = self._spare.pop()
        except IndexError:
            try:
                fd = opened(self.path)
            except OSError as error:
                raise LockTimeout(str(error)) from error

        def lock(request: bytes) -> None:
            """Wait until the kernel grants the request."""
            while True:
                with suppress(BlockingIOError):
                    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, request)
                    return
                waited_sec = time.monotonic() - began_sec
                if waited_sec >= timeout_sec:
                    raise timed_out(self.path, timeout_sec)
                pause_sec = max(FIRST_FAIR_WAIT_SEC, waited_sec * FAIR_WAIT_SHARE)
                time.sleep(min(pause_sec, LONGEST_WAIT_SEC, timeout_sec - waited_sec))

        try:
            lock(_of(fcntl.F_WRLCK, GATE, 1))
            ticket = FIRST_TICKET
            while True:
                # The kernel names one of several locks in the way.
                request = _of(fcntl.F_WRLCK, ticket, TO_THE_END)
                answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, request)
                kind, _, start, length, _ = FLOCK.unpack(answer)
                if kind == fcntl.F_UNLCK:
                    break
                ticket = start + length
            lock(_of(fcntl.F_WRLCK, ticket, 1))
            lock(_of(fcntl.F_UNLCK, GATE, 1))
            if before := ticket - FIRST_TICKET:
                lock(_of(fcntl.F_RDLCK, FIRST_TICKET, before))
        except BaseException:
            self._give_back(fd)
            raise
        self._holding = fd

    def release(self) -> None:
        """Free the lock; harmless if it is not held."""
        fd, self._holding = self._holding, None
        if fd is not None:
            self._give_back(fd)

    def close(self) -> None:
        """Close the file, which frees the lock too."""
        self.release()
        while self._spare:
            os.close(self._spare.pop())

    def _give_back(self, fd: int) -> None:
        """Free all that this open file holds, and keep one for the next request."""
        if self._spare:
            os.close(fd)
            return
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _of(fcntl.F_UNLCK, GATE, TO_THE_END))
        self._spare.append(fd)
