"""A client's connection: what gunicorn takes for a socket, with limits of time and size."""

import fcntl
import logging
import socket
import struct
import termios
from collections.abc import Callable
from contextlib import suppress
from errno import ECONNRESET
from http import HTTPStatus
from time import monotonic
from typing import Any

from gevent import get_hub
from gevent.socket import wait, wait_write
from gunicorn.http.errors import InvalidChunkSize, LimitRequestHeaders

from flask10x.readings.json_body import BODY_MAX_BYTES
from flask10x.server.answers import Incomplete

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
# Lines round chunks: a reading sent byte by byte needs 1 KiB.
FRAMING_MAX_BYTES = 8 * 1024
READ_BYTES = 64 * 1024
# A reader that takes nothing for so long is gone, or means harm. A phone that changes from one
# access point to the other is back sooner.
READER_STALL_SEC = 30.0


class Connection:
    """Reading and writing suspend the greenlet that does it, and nothing else.

    `waiting` has the connections of the worker that wait for their client, longest first; somebody
    has to `look` at each of them once a second.
    """

    def __init__(self, sock: socket.socket, waiting: dict["Connection", None]) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._waiting = waiting
        self._readable = get_hub().loop.io(sock.fileno(), 1)
        self._tried = self._cut = self._closed = False
        self.late = False
        """Whether no more is read of it: its time was over, perhaps when the rest had just come."""
        self._left_bytes = 0
        self.begin(b"", REQUEST_WITHIN_SEC)

    def begin(self, early: bytes, within_sec: float) -> None:
        """The next request, whose first byte has to come in time; `early` came with the last one.

        An empty line behind a body (`println` of an Arduino) is not counted by its Content-Length
        and begins no request (RFC 9112, section 2.2).
        """
        self.silent = not early.strip(b"\r\n")
        self.since = monotonic()
        self._until = self.since + (within_sec if self.silent else REQUEST_WITHIN_SEC)
        self.came_bytes = len(early)
        self._length: int | None = -1
        self._answered, self._head = False, b""

    def expect(self, length: int | None, came_bytes: int) -> None:
        """A body of this Content-Length, or in chunks, of which so much has come with the head."""
        self._length, self.came_bytes = length, came_bytes

    def ask_for_body(self) -> None:
        """Short enough for the kernel to take at once; who doesn't listen doesn't matter."""
        with suppress(OSError):
            self._sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def recv(self, size: int) -> bytes:
        """What has come; empty when the client is to be left without an answer.

        Raises Incomplete when a request that has begun will not become whole, or what is wrong with
        its size.
        """
        in_head = self._length == -1
        if in_head and self.came_bytes > HEAD_MAX_BYTES:
            raise LimitRequestHeaders(f"the head has over {HEAD_MAX_BYTES} bytes")
        if not in_head and self.came_bytes > BODY_MAX_BYTES + 2 * FRAMING_MAX_BYTES:
            raise InvalidChunkSize(b"too small for so many bytes")
        data = self._receive(size)
        self.came_bytes += len(data)
        if self.silent and data.strip(b"\r\n"):
            self.silent, self._until = False, monotonic() + REQUEST_WITHIN_SEC
        if data or self.silent:
            return data
        if self.late:
            hint = f"within {REQUEST_WITHIN_SEC:g} s came {self._progress}"
            raise Incomplete(HTTPStatus.REQUEST_TIMEOUT, hint)
        raise Incomplete(HTTPStatus.BAD_REQUEST, f"the sender closed after {self._progress}")

    def sendall(self, data: bytes) -> None:
        """Send all of it, however long the client takes as long as it takes something.

        The head of an answer goes out with what follows it. Raises ConnectionResetError when the
        client takes nothing for READER_STALL_SEC.
        """
        if not self._answered:
            self._answered, self._head = True, data
            return
        rest, self._head = memoryview(self._head + data if self._head else data), b""
        while rest:
            try:
                rest = rest[self._sock.send(rest) :]
            except BlockingIOError:
                self._left_bytes = self._unsent_bytes()
                self._until = monotonic() + READER_STALL_SEC
                self._wait(wait_write, self._sock.fileno())
                self._left_bytes = 0

    def flush(self) -> None:
        """Send the head of an answer that nothing follows."""
        if self._head:
            self.sendall(b"")

    def send(self, data: bytes) -> int:
        """Gunicorn's `100 Continue`, which comes after the body, or instead of a refusal: no."""
        return len(data)

    def look(self) -> None:
        """End the wait for a client that takes too long."""
        # Linux calls a socket writable when a third of its buffer is free, which may be a megabyte;
        # a slow reader needs longer for that than one that has gone is given.
        if self._left_bytes and (left_bytes := self._unsent_bytes()) < self._left_bytes:
            self._left_bytes, self._until = left_bytes, monotonic() + READER_STALL_SEC
        if monotonic() <= self._until:
            return
        if self._left_bytes:
            log.warning("A client took nothing for %g s and was cut off", READER_STALL_SEC)
            self.cut()
        else:
            self.late = True
            self.shutdown(socket.SHUT_RD)

    def cut(self) -> None:
        """End it from another greenlet; its own gets an error."""
        self._cut = True
        self.shutdown(socket.SHUT_RDWR)

    def shutdown(self, how: int) -> None:
        """As a socket's; harmless when the client is gone."""
        with suppress(OSError):
            self._sock.shutdown(how)

    def setblocking(self, flag: bool) -> None:
        """It never blocks."""

    def close(self) -> None:
        """Close this end; the other one gets the answer whole, and a little time to close too."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._answered and not self._cut:
                self._linger()
        finally:
            self._readable.close()
            self._sock.close()

    def _linger(self) -> None:
        self._until, discarded = monotonic() + LINGER_SEC, 0
        self.shutdown(socket.SHUT_WR)
        while discarded <= DISCARD_MAX_BYTES and (data := self._receive(READ_BYTES)):
            discarded += len(data)

    @property
    def _progress(self) -> str:
        """What has come so far, in words for the sender's author."""
        if self._length == -1:
            return f"{self.came_bytes} bytes and no end of the head"
        if self._length is None:
            return f"{self.came_bytes} bytes in chunks and no last chunk"
        return f"{self.came_bytes} of the {self._length} bytes of Content-Length"

    def _receive(self, size: int) -> bytes:
        """What comes; empty when nothing will, or nothing does in time."""
        try:
            while True:
                # Other connections go first, unless this one is new: its request is here.
                if self._tried:
                    self._wait(wait, self._readable)
                self._tried = True
                with suppress(BlockingIOError):
                    return self._sock.recv(size)
        except OSError:
            if self._cut:
                raise
            return b""

    def _wait(self, how: Callable[[Any], None], what: Any) -> None:
        self._waiting[self] = None
        if len(self._waiting) > WAITING_MAX:
            next(iter(self._waiting)).cut()
        try:
            how(what)
        finally:
            del self._waiting[self]
        if self._cut:
            raise ConnectionResetError(ECONNRESET, "cut off")

    def _unsent_bytes(self) -> int:
        """What the kernel holds for the client."""
        (left,) = struct.unpack("i", fcntl.ioctl(self._sock, termios.TIOCOUTQ, b"\0" * 4))
        return int(left)
