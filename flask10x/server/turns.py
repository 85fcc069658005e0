"""Turns: so many threads of a worker work at once, and a long answer holds up no short one."""

import fcntl
import logging
import select
import socket
import struct
import termios
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from errno import ECONNRESET
from typing import TYPE_CHECKING, Any

from flask10x.web.limits import COMMITS_MAX, WHILE_WAITING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)

# How many threads of a worker may wait for slow readers beside those that work. A home has a
# handful of screens and scripts; each waiting thread costs a page of rows and a stack.
READERS_MAX = 8
# A reader that takes nothing for so long is gone, or means harm. A phone that changes from one
# access point to the other is back sooner.
READER_STALL_SEC = 30.0
LOOK_EVERY_SEC = 1.0
# How long one piece of a long answer lets others go first. Without an end a service that always has
# something else to do would never finish it.
GIVE_WAY_SEC = 0.1
# An answer longer than this lets requests that wait go first, again and again until its end.
LONG_ANSWER_BYTES = 64 * 1024


class Turns:
    """At most `number` threads have a turn; a thread without one waits for it.

    Who begins a request goes before whoever goes on with a long answer.
    """

    def __init__(self, number: int) -> None:
        self._changed = threading.Condition()
        self._free = number
        self._beginners = 0
        self._waiting: dict[socket.socket, None] = {}
        self._aside = 0
        self._over = False

    def __enter__(self) -> None:
        self._begin()

    def __exit__(self, *_: object) -> None:
        self._give()

    def give_way(self) -> None:
        """Let those go first who wait to begin a request."""
        if self._beginners:
            self._give()
            self._go_on()

    @contextmanager
    def lent(self, reader: socket.socket) -> Iterator[None]:
        """While the block waits for `reader`, another thread has the turn.

        When more than READERS_MAX wait, the one that has waited longest is cut off. Raises
        ConnectionResetError after `end`.
        """
        with self._changed:
            if self._over:
                raise ConnectionResetError(ECONNRESET, "the worker stops")
            if len(self._waiting) >= READERS_MAX:
                self._cut(next(iter(self._waiting)))
            self._waiting[reader] = None
        self._give()
        try:
            yield
        finally:
            with self._changed:
                self._waiting.pop(reader, None)
            self._go_on()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """While the block waits for a commit, another thread has the turn.

        When COMMITS_MAX wait already, the thread keeps it.
        """
        with self._changed:
            lends = self._aside < COMMITS_MAX
            self._aside += lends
        if not lends:
            yield
            return
        self._give()
        try:
            yield
        finally:
            with self._changed:
                self._aside -= 1
            self._begin()

    def end(self) -> None:
        """Cut off every reader that is waited for, now or later; their threads end at once."""
        with self._changed:
            self._over = True
            for reader in list(self._waiting):
                self._cut(reader)

    def _begin(self) -> None:
        with self._changed:
            self._beginners += 1
            self._changed.wait_for(lambda: self._free)
            self._beginners -= 1
            self._free -= 1
            self._changed.notify_all()

    def _give(self) -> None:
        with self._changed:
            self._free += 1
            self._changed.notify_all()

    def _go_on(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._free and not self._beginners, GIVE_WAY_SEC)
            self._changed.wait_for(lambda: self._free)
            self._free -= 1

    def _cut(self, reader: socket.socket) -> None:
        del self._waiting[reader]
        try:
            reader.shutdown(socket.SHUT_RDWR)
        except OSError:
            log.debug("A slow reader was gone already")


def lending_turns(app: "WSGIApplication") -> "WSGIApplication":
    """The application, whose requests lend their thread's turn while they wait for a commit."""

    def lending(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        sock = environ["gunicorn.socket"]
        if isinstance(sock, TurnSocket):
            environ[WHILE_WAITING] = sock.turns.aside
        return app(environ, start_response)

    return lending


class TurnSocket(socket.socket):
    """A client's connection whose `sendall` gives the thread's turn away while the client is slow.

    Raises ConnectionResetError when the client takes nothing for READER_STALL_SEC.
    """

    def __init__(self, accepted: socket.socket, turns: Turns) -> None:
        kind = (accepted.family, accepted.type, accepted.proto)
        super().__init__(*kind, fileno=accepted.detach())
        self.setblocking(False)
        self._turns = turns
        self._sent_bytes = 0

    @property
    def turns(self) -> Turns:
        """Whose turn the thread of this connection has."""
        return self._turns

    def begin_answer(self) -> None:
        """An answer that is long is so by its own bytes, not by those of the ones before."""
        self.setblocking(False)
        self._sent_bytes = 0

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all of it, however long the client takes as long as it takes something."""
        rest = memoryview(data)
        self._sent_bytes += len(rest)
        while rest:
            try:
                rest = rest[self.send(rest, flags) :]
            except BlockingIOError:
                self._wait()
        if self._sent_bytes > LONG_ANSWER_BYTES:
            self._turns.give_way()

    def _wait(self) -> None:
        poller = select.poll()
        poller.register(self, select.POLLOUT)
        # Linux calls a socket writable when a third of its buffer is free, which may be a megabyte;
        # a slow reader needs longer for that than one that has gone is given.
        taken_at, left_bytes = time.monotonic(), self._left_bytes()
        with self._turns.lent(self):
            while not poller.poll(min(LOOK_EVERY_SEC, READER_STALL_SEC) * 1000):
                before, left_bytes = left_bytes, self._left_bytes()
                if left_bytes < before:
                    taken_at = time.monotonic()
                elif time.monotonic() - taken_at > READER_STALL_SEC:
                    log.warning("A client took nothing for %g s and was cut off", READER_STALL_SEC)
                    raise ConnectionResetError(ECONNRESET, "the client takes nothing")

    def _left_bytes(self) -> int:
        """What the kernel holds for the client."""
        (left,) = struct.unpack("i", fcntl.ioctl(self, termios.TIOCOUTQ, b"\0" * 4))
        return int(left)
