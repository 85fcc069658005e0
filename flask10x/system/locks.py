"""Locks between processes and threads: `flock` on files beside the database, and the fair lock.

`FileLock` is an advisory lock with a note of its holder. `FairLock` is granted in the order of the
requests, between processes and between the threads of each.
"""

import fcntl
import os
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
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


class BlockingCall:
    """Makes a blocking call in a thread of its own, so that other threads can wait with a limit.

    `prepare` or the first `wait` makes the thread. One thread at a time may call `wait`.
    """

    def __init__(
        self,
        name: str,
        call: Callable[[], None],
        give_back: Callable[[], None],
        end: Callable[[], None],
    ) -> None:
        """`give_back` undoes an unwanted result of `call`; `end` is called by `close`."""
        self._name = name
        self._call, self._give_back, self._end = call, give_back, end
        self._changed = threading.Condition(threading.Lock())
        self._thread: threading.Thread | None = None
        self.busy = False
        """Whether the call is under way."""
        self._has_waiter = False
        self._closed = False
        self._error: Exception | None = None

    def prepare(self) -> None:
        """Make the thread now; raises RuntimeError if the system has none."""
        with self._changed:
            self._make_thread()

    def wait(self, timeout_sec: float) -> bool:
        """Return whether the call has returned within the time; raises its exception.

        After False the call goes on; its result is for the next `wait`, or is given back. Raises
        RuntimeError if there is no thread and the system has none; then nothing has begun.
        """
        with self._changed:
            if not self.busy:
                self._make_thread()
                self.busy = True
                self._changed.notify_all()
            self._has_waiter = True
            try:
                self._changed.wait_for(lambda: not self.busy, timeout_sec)
            finally:
                self._has_waiter = False
            if self.busy:
                return False
            if self._error is not None:
                raise self._error
            return True

    def close(self) -> None:
        """Call `end`, now or as soon as the current call has returned."""
        with self._changed:
            self._closed = True
            if not self.busy:
                self._end()
            self._changed.notify_all()

    def _make_thread(self) -> None:
        if self._thread is None:
            # A daemon: a call that blocks must not keep Python from ending.
            thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            thread.start()
            self._thread = thread

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self.busy or self._closed)
                if not self.busy:
                    return
            error = None
            try:
                self._call()
            except Exception as raised:
                error = raised
            with self._changed:
                self._error = error
                if error is not None or not self._has_waiter:
                    self._give_back()
                if self._closed:
                    self._end()
                # Last, because its readers take no lock and continue as soon as it is False.
                self.busy = False
                self._changed.notify_all()


class ThreadLine:
    """A fair lock for threads.

    `threading.Lock` is granted to the first thread that asks, often the one that just released it.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._is_taken = False
        self._turns: deque[threading.Lock] = deque()

    def enter(self, timeout_sec: float) -> bool:
        """Return whether the turn of this thread came within the time; `leave` ends it."""
        with self._mutex:
            if not self._is_taken:
                self._is_taken = True
                return True
            turn = threading.Lock()
            turn.acquire()
            self._turns.append(turn)
        try:
            if turn.acquire(timeout=max(0.0, timeout_sec)):
                return True
        except BaseException:
            if not self._withdrawn(turn):
                self.leave()
            raise
        return not self._withdrawn(turn)

    def leave(self) -> None:
        """Let the next thread in."""
        with self._mutex:
            if self._turns:
                self._turns.popleft().release()
            else:
                self._is_taken = False

    def _withdrawn(self, turn: threading.Lock) -> bool:
        """Leave the line; False if the turn had just come."""
        with self._mutex:
            if turn not in self._turns:
                return False
            self._turns.remove(turn)
            return True


# The lock that is granted in the order of the requests, between processes and threads.
#
# It consists of locks on single bytes of one file, to which nothing is written: "open file
# description" locks of fcntl(2), Linux 3.15 and later. Byte 0 is the gate, held only while a
# process takes a ticket. A ticket is the first byte after every locked one, locked for writing.
# Its owner requests a read lock on all bytes from the first ticket to its own; the kernel grants it
# in the instant in which all earlier tickets are gone, by release or by the death of their process.
# Requests that wait are no locks yet, so they block no other request.

# `struct flock` of fcntl(2): type, whence, start, length, process. Native alignment, as C has it;
# `q` also on 32-bit systems, where these commands take `struct flock64` (F_OFD_SETLK in
# linux/fcntl.h; glibc passes it on as it is). The process must be 0. `0q` adds the padding at the
# end.
FLOCK = struct.Struct("@hhqqi0q")
GATE, FIRST_TICKET = 0, 1
TO_THE_END = 0


def _of(kind: int, start: int, length: int) -> bytes:
    return FLOCK.pack(kind, os.SEEK_SET, start, length, 0)


SHUT_GATE = _of(fcntl.F_WRLCK, GATE, 1)
OPEN_GATE = _of(fcntl.F_UNLCK, GATE, 1)
NOTHING = _of(fcntl.F_UNLCK, GATE, TO_THE_END)


class FairLock:
    """One exclusive lock, first come, first served.

    Open it after the fork: a child that inherits a lock shares it. Two objects exclude each other,
    even in one process. A process has one place among the others, and its threads line up for it.
    """

    def __init__(self, path: Path) -> None:
        """Open (and make) the lock file; raises OSError if the folder can't be written."""
        self.path = path
        self._fd = opened(path)
        self._threads = ThreadLine()
        self._turn = BlockingCall(path.stem, self._wait_for_turn, self._give_back, self._close_file)
        self._ticket = 0
        self._held = False

    def prepare(self) -> None:
        """Make the thread in which this process waits, so that it never lacks one.

        Raises RuntimeError if the system has none.
        """
        self._turn.prepare()

    def acquire(self, timeout_sec: float) -> None:
        """Take the lock; raises LockTimeout if its turn did not come within the time.

        The place in the line is kept for the next request of this object, and given up if its turn
        comes without a request.
        """
        deadline_sec = time.monotonic() + timeout_sec
        if not self._threads.enter(timeout_sec):
            raise timed_out(self.path, timeout_sec)
        try:
            if self._turn.busy or not self._taken_at_once():
                remaining_sec = max(0.0, deadline_sec - time.monotonic())
                if not self._turn.wait(remaining_sec):
                    raise timed_out(self.path, timeout_sec)
            self._held = True
        except BaseException:
            # A turn that has not come yet is given back when it comes.
            if not self._turn.busy:
                self._give_back()
            self._threads.leave()
            raise

    def release(self) -> None:
        """Free the lock; harmless if it is not held."""
        if self._held:
            self._held = False
            self._give_back()
            self._threads.leave()

    def close(self) -> None:
        """Close the file, which frees the lock too; a place in the line lasts until its turn."""
        self._turn.close()

    def _taken_at_once(self) -> bool:
        """Return whether the lock was free; if not, `_wait_for_turn` continues from here."""
        try:
            fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, SHUT_GATE)
        except BlockingIOError:
            return False
        self._take_ticket()
        return self._ticket == FIRST_TICKET

    def _take_ticket(self) -> None:
        """Lock the first byte after every locked one, and open the gate, which this holds."""
        ticket = FIRST_TICKET
        while True:
            # The kernel names one of several locks in the way.
            request = _of(fcntl.F_WRLCK, ticket, TO_THE_END)
            answer = fcntl.fcntl(self._fd, fcntl.F_OFD_GETLK, request)
            kind, _, start, length, _ = FLOCK.unpack(answer)
            if kind == fcntl.F_UNLCK:
                break
            ticket = start + length
        fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _of(fcntl.F_WRLCK, ticket, 1))
        self._ticket = ticket
        fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, OPEN_GATE)

    def _wait_for_turn(self) -> None:
        """Wait without a limit for the gate and the turn; it runs in a thread of its own."""
        if not self._ticket:
            fcntl.fcntl(self._fd, fcntl.F_OFD_SETLKW, SHUT_GATE)
            self._take_ticket()
        if before := self._ticket - FIRST_TICKET:
            all_before = _of(fcntl.F_RDLCK, FIRST_TICKET, before)
            fcntl.fcntl(self._fd, fcntl.F_OFD_SETLKW, all_before)

    def _give_back(self) -> None:
        fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, NOTHING)
        self._ticket = 0

    def _close_file(self) -> None:
        with suppress(OSError):
            os.close(self._fd)
        self._fd = -1
