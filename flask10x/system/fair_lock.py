"""The lock that is handed over in the order of the requests, between processes and threads.

It is made of locks on single bytes of one file, of which nothing is written: "open file
description" locks of fcntl(2), Linux 3.15 and later. Byte 0 is the gate, held only while somebody
takes a ticket. A ticket is the first byte after every locked one, locked for writing. Whoever has
one asks for a read lock on all bytes from the first ticket to its own; the kernel grants it in the
instant in which all earlier tickets are gone, by release or by the death of their process.
Requests that wait are no locks yet, so they are in nobody's way.
"""

import fcntl
import os
import struct
import time
from contextlib import suppress
from pathlib import Path

from flask10x.system.blocking_call import BlockingCall
from flask10x.system.locks import opened, timed_out
from flask10x.system.thread_line import ThreadLine

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

    Open it after the fork: who inherits a lock shares it. Two objects exclude each other, also in
    one process. A process has one place among the others, its threads line up for it.
    """

    def __init__(self, path: Path) -> None:
        """Open (and make) the lock file; raises OSError when the folder can't be written."""
        self.path = path
        self._fd = opened(path)
        self._threads = ThreadLine()
        self._turn = BlockingCall(path.stem, self._wait_for_turn, self._give_back, self._close_file)
        self._ticket = 0
        self._held = False

    def prepare(self) -> None:
        """Make the thread in which this process waits, so that it never lacks one.

        Raises RuntimeError when the system has none.
        """
        self._turn.prepare()

    def acquire(self, timeout_sec: float) -> None:
        """Take the lock; raises LockTimeout when its turn did not come within the time.

        The place in the line is kept for the next request of this object, or freed when its turn
        comes and nobody here wants it any more.
        """
        deadline_sec = time.monotonic() + timeout_sec
        if not self._threads.enter(timeout_sec):
            raise timed_out(self.path, timeout_sec)
        try:
            if self._turn.busy or not self._taken_at_once():
                left_sec = max(0.0, deadline_sec - time.monotonic())
                if not self._turn.wait(left_sec):
                    raise timed_out(self.path, timeout_sec)
            self._held = True
        except BaseException:
            # What is still waited for is given back when it comes.
            if not self._turn.busy:
                self._give_back()
            self._threads.leave()
            raise

    def release(self) -> None:
        """Free the lock; harmless when it is not held."""
        if self._held:
            self._held = False
            self._give_back()
            self._threads.leave()

    def close(self) -> None:
        """Close the file, which frees the lock too; a place in the line lasts until its turn."""
        self._turn.close()

    def _taken_at_once(self) -> bool:
        """Whether nobody was before us; if not, `_wait_for_turn` goes on from what was reached."""
        if not self._done(SHUT_GATE):
            return False
        self._take_ticket()
        return self._ticket == FIRST_TICKET

    def _take_ticket(self) -> None:
        """Lock the first byte after every locked one, and open the gate; the gate is ours."""
        ticket = FIRST_TICKET
        while True:
            # Of several locks in the way the kernel names one.
            asked = _of(fcntl.F_WRLCK, ticket, TO_THE_END)
            answer = fcntl.fcntl(self._fd, fcntl.F_OFD_GETLK, asked)
            kind, _, start, length, _ = FLOCK.unpack(answer)
            if kind == fcntl.F_UNLCK:
                break
            ticket = start + length
        fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _of(fcntl.F_WRLCK, ticket, 1))
        self._ticket = ticket
        fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, OPEN_GATE)

    def _wait_for_turn(self) -> None:
        """Wait, without a limit, for whatever is not ours yet; in a thread of its own."""
        if not self._ticket:
            fcntl.fcntl(self._fd, fcntl.F_OFD_SETLKW, SHUT_GATE)
            self._take_ticket()
        if before := self._ticket - FIRST_TICKET:
            all_before = _of(fcntl.F_RDLCK, FIRST_TICKET, before)
            fcntl.fcntl(self._fd, fcntl.F_OFD_SETLKW, all_before)

    def _give_back(self) -> None:
        fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, NOTHING)
        self._ticket = 0

    def _done(self, request: bytes) -> bool:
        try:
            fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, request)
        except BlockingIOError:
            return False
        return True

    def _close_file(self) -> None:
        with suppress(OSError):
            os.close(self._fd)
        self._fd = -1
