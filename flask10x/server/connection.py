"""A client's connection: what gunicorn takes for a socket, with limits of time and size."""

import fcntl
import logging
import socket
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from errno import ECONNRESET
from time import monotonic
from typing import Any

from gevent import get_hub
from gevent.socket import wait, wait_write
from gunicorn.http.errors import InvalidChunkSize, LimitRequestHeaders

from flask10x.readings.json_body import BODY_MAX_BYTES
from flask10x.server.answers import Incomplete, Late

log = logging.getLogger(__name__)

# A request has to be whole within this. Boards give up after 3 to 8 s (contract, section 7), and
# the one that never gives up learns what is wrong. No longer than a stopping worker waits.
REQUEST_WITHIN_SEC = 10.0
# How long an answered client may leave its end open, and a stopping worker wait for a first byte,
# also of the next request: senders that post as fast as they are answered shall not notice.
LINGER_SEC = 2.0
# A closed connection with unread bytes is reset, and the client may lose the answer; so the rest
# of a refused body is read and thrown away, up to this.
DISCARD_MAX_BYTES = 1024 * 1024
# Connections of one worker that wait for their client; one more, and the one that has waited
# longest goes. A good one is through within milliseconds. At 64 KiB each this is 6 MiB.
WAITING_MAX = 100
# A browser with a long query string and many cookies sends a few KiB.
HEAD_MAX_BYTES = 32 * 1024
# Lines round chunks, of what the body may have: a reading sent byte by byte needs 1 KiB of 8 KiB.
FRAMING_SHARE = 1 / 8
READ_BYTES = 64 * 1024
# A reader that takes nothing for so long is gone, or means harm. A phone that changes from one
# access point to the other is back sooner.
READER_STALL_SEC = 30.0


class Connection:
    """Reading and writing suspend the greenlet that does it, and nothing else.

    `waiting` has the connections of the worker that wait for their client, longest first.
    """

    request: Any = None
    """The one that is being answered, as gunicorn has parsed it."""
    _head: bytes | None = None
    _body_max_bytes = BODY_MAX_BYTES
    _is_tried = _is_closed = False

    def __init__(self, sock: socket.socket, waiting: dict["Connection", None]) -> None:
        sock.setblocking(False)
        self._sock, self._waiting = sock, waiting
        self._readable = get_hub().loop.io(sock.fileno(), 1)
        self.begin(b"", REQUEST_WITHIN_SEC)

    def begin(self, early: bytes, within_sec: float) -> None:
        """The next request, whose first byte has to come in time; `early` came with the last one.

        An empty line behind a body (`println` of an Arduino) is not counted by its Content-Length
        and begins no request (RFC 9112, section 2.2).
        """
        self.sendall(b"")
        self.silent = not early.strip(b"\r\n")
        self.since_sec = monotonic()
        self._until = self.since_sec + (within_sec if self.silent else REQUEST_WITHIN_SEC)
        self._came_bytes, self._of = len(early), "bytes and no end of the head"
        self._is_head, self._head, self._go_on = True, None, b""
        self._body_max_bytes = BODY_MAX_BYTES

    def expect(self, length: int | None, max_bytes: int = BODY_MAX_BYTES) -> bool:
        """A body of this Content-Length, or in chunks; whether all of it came with the head.

        Of more than `max_bytes` the rest is not read.
        """
        self._body_max_bytes = max_bytes
        self._is_head, self._came_bytes = False, self.request.unreader.buf.getbuffer().nbytes
        in_chunks = "bytes in chunks and no last chunk"
        self._of = in_chunks if length is None else f"of the {length} bytes of Content-Length"
        return length is not None and length <= self._came_bytes

    def send(self, data: bytes) -> int:
        """Gunicorn's `100 Continue`: it goes out when somebody waits for the body."""
        self._go_on = data
        return len(data)

    def recv(self, size: int) -> bytes:
        """What has come.

        Raises Incomplete when a request that has begun will not become whole, what is wrong with
        its size, and ConnectionResetError when the client is to be left without an answer.
        """
        if self._is_head and self._came_bytes > HEAD_MAX_BYTES:
            raise LimitRequestHeaders(f"the head has over {HEAD_MAX_BYTES} bytes")
        if self._came_bytes > self._body_max_bytes * (1 + FRAMING_SHARE):
            raise InvalidChunkSize(b"too small for so many bytes")
        if self._go_on:
            # Short enough for the kernel to take at once, unless the client reads nothing.
            with suppress(OSError):
                self._sock.send(self._go_on)
            self._go_on = b""
        data = self._receive(size)
        self._came_bytes += len(data)
        if self.silent and data.strip(b"\r\n"):
            self.silent, self._until = False, monotonic() + REQUEST_WITHIN_SEC
        if data:
            return data
        if self.silent:
            raise ConnectionResetError(ECONNRESET, "nothing came")
        progress = f"{self._came_bytes} {self._of}"
        if monotonic() >= self._until:
            raise Late(f"within {REQUEST_WITHIN_SEC:g} s came {progress}")
        raise Incomplete(f"the sender closed after {progress}")

    def sendall(self, data: bytes) -> None:
        """Send all of it, however long the client takes as long as it takes something.

        The head of an answer goes out with what follows it, be it an empty piece. Raises
        ConnectionResetError when the client takes nothing for READER_STALL_SEC.
        """
        if self._head is None:
            self._head = data
            return
        rest, self._head = memoryview(self._head + data), b""
        while rest:
            try:
                rest = rest[self._sock.send(rest) :]
            except BlockingIOError:
                self._wait_for_reader()

    def cut(self) -> None:
        """End it from another greenlet, without a word."""
        self.silent = True
        self._waiting.pop(self, None)
        self.shutdown(socket.SHUT_RDWR)

    def shutdown(self, how: int) -> None:
        """As a socket's; harmless when the client is gone."""
        with suppress(OSError):
            self._sock.shutdown(how)

    def setblocking(self, flag: bool) -> None:
        """It never blocks."""

    def close(self) -> None:
        """Close this end; the other one gets the answer whole, and a little time to close too."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            self.sendall(b"")
            self.shutdown(socket.SHUT_WR)
            self._until, discarded = monotonic() + LINGER_SEC, 0
            while discarded <= DISCARD_MAX_BYTES and (data := self._receive(READ_BYTES)):
                discarded += len(data)
        finally:
            self._readable.close()
            self._sock.close()

    def _receive(self, size: int) -> bytes:
        """What comes; empty when nothing will, or nothing does in time."""
        with suppress(OSError):
            while True:
                # Other connections go first, unless this one is new: its request is here.
                if self._is_tried:
                    self._wait(wait, self._readable, self._until - monotonic())
                self._is_tried = True
                with suppress(BlockingIOError):
                    return self._sock.recv(size)
        return b""

    def _wait_for_reader(self) -> None:
        left_bytes = self._unsent_bytes()
        with suppress(TimeoutError):
            self._wait(wait_write, self._sock.fileno(), READER_STALL_SEC)
            return
        # Linux calls a socket writable when a third of its buffer is free, which may be a megabyte;
        # a slow reader needs longer for that than one that has gone is given.
        if self._unsent_bytes() >= left_bytes:
            log.warning("A client took nothing for %g s and was cut off", READER_STALL_SEC)
            raise ConnectionResetError(ECONNRESET, "cut off")

    def _unsent_bytes(self) -> int:
        """What the kernel holds for the client."""
        left = fcntl.ioctl(self._sock, termios.TIOCOUTQ, bytes(4))
        return int.from_bytes(left, sys.byteorder)

    def _wait(self, how: Callable[[Any, float], None], what: Any, timeout_sec: float) -> None:
        self._waiting[self] = None
        if len(self._waiting) > WAITING_MAX:
            next(iter(self._waiting)).cut()
        try:
            how(what, timeout_sec)
        finally:
            self._waiting.pop(self, None)
