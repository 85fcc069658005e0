"""A connection whose client may send or read slowly: limits of time, bytes and number.

docs/en/explanation/slow-clients.md has the figures.
"""

import fcntl
import logging
import socket
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import suppress
from errno import ECONNRESET
from time import monotonic
from typing import Any

from gevent import get_hub
from gevent.socket import wait, wait_write
from gunicorn.http.errors import (
    InvalidChunkSize,
    LimitRequestHeaders,
)

from flask10x.readings.parse import BODY_MAX_BYTES
from flask10x.server.refusals import Incomplete, Late

log = logging.getLogger(__name__)

# A request has to be complete within this. Boards give up after 3 to 8 s (contract, section 7), and
# a board that never gives up learns what is wrong. It is no longer than a stopping worker waits.
REQUEST_WITHIN_SEC = 10.0
# How long an answered client may leave its end open, and a stopping worker waits for a first byte,
# also of the next request: senders that post as fast as they are answered must not notice a stop.
LINGER_SEC = 2.0
# A closed connection with unread bytes is reset, and the client may lose the answer; so up to this
# many bytes of a refused body are read and discarded.
DISCARD_MAX_BYTES = 1024 * 1024
# So many connections of one worker may wait for their client; one more ends the one that has waited
# longest. A usual one needs milliseconds. At 64 KiB each this is 6 MiB.
WAITING_MAX = 100
# A browser with a long query string and many cookies sends a few KiB.
HEAD_MAX_BYTES = 32 * 1024
# The share of lines around chunks: a reading sent byte by byte needs 1 KiB of 8 KiB.
FRAMING_SHARE = 1 / 8
READ_BYTES = 64 * 1024
# A reader that takes nothing for so long is gone, or means harm. A phone that changes its access
# point is back sooner.
READER_STALL_SEC = 30.0


class Connection:
    """A connection on which reading and writing suspend only the greenlet that does it.

    `waiting` has the connections of the worker that wait for their client, longest first.
    """

    request: Any = None
    """The request that is being answered, as gunicorn has parsed it."""
    _head: bytes | None = None
    _body_max_bytes = BODY_MAX_BYTES
    _is_tried = _is_closed = _is_hung_up = _is_upload = False
    _end: Callable[[], None] | None = None

    def __init__(self, sock: socket.socket, waiting: dict["Connection", None]) -> None:
        sock.setblocking(False)
        self._sock, self._waiting = sock, waiting
        self._readable = get_hub().loop.io(sock.fileno(), 1)
        self.begin(b"", REQUEST_WITHIN_SEC)

    def begin(self, early: bytes, within_sec: float) -> None:
        """Begin the next request, whose first byte has to come in time.

        The bytes `early` came with the last one. An empty line after a body (`println` of an
        Arduino), which its Content-Length does not count, begins no request (RFC 9112, section
        2.2).
        """
        self.sendall(b"")
        self.silent = not early.strip(b"\r\n")
        self.since_sec = monotonic()
        self._until = self.since_sec + (within_sec if self.silent else REQUEST_WITHIN_SEC)
        self._came_bytes, self._of = len(early), "bytes and no end of the head"
        self._is_head, self._head, self._go_on = True, None, b""
        self._body_max_bytes, self._is_upload = BODY_MAX_BYTES, False

    def expect(self, length: int | None, max_bytes: int = BODY_MAX_BYTES) -> bool:
        """Expect a body of this length, None for chunks; whether all of it came with the head.

        The rest of a body over `max_bytes` is not read.
        """
        self._body_max_bytes = max_bytes
        self._is_head, self._came_bytes = False, self.request.unreader.buf.getbuffer().nbytes
        in_chunks = "bytes in chunks and no last chunk"
        self._of = in_chunks if length is None else f"of the {length} bytes of Content-Length"
        return length is not None and length <= self._came_bytes

    def upload(self, length: int) -> Iterator[bytes]:
        """Yield the pieces of a long body as they come; it may take as long as some do.

        Raises Incomplete when none come for long, or the worker stops.
        """
        self.expect(length, length)
        self._is_upload = True
        buffer = self.request.unreader.buf
        early = buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
        rest = length - len(early)
        if early:
            yield early[:length]
        while rest > 0:
            self._until = monotonic() + READER_STALL_SEC
            data = self.recv(min(rest, READ_BYTES))
            rest -= len(data)
            yield data

    def send(self, data: bytes) -> int:
        """Keep gunicorn's `100 Continue` until the body is waited for."""
        self._go_on = data
        return len(data)

    def recv(self, size: int) -> bytes:
        """The bytes that have come.

        Raises Incomplete if a request that has begun stays incomplete, an error of the parser for a
        wrong size, and ConnectionResetError if the client is to get no answer.
        """
        if self._is_upload and self._is_hung_up:
            raise Incomplete("the service stops; send it again")
        if self._is_head and self._came_bytes > HEAD_MAX_BYTES:
            raise LimitRequestHeaders(f"the head has over {HEAD_MAX_BYTES} bytes")
        if self._came_bytes > self._body_max_bytes * (1 + FRAMING_SHARE):
            raise InvalidChunkSize(b"too small for so many bytes")
        if self._go_on:
            # The kernel takes so few bytes at once, unless the client reads nothing.
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
        """Send all bytes, for as long as the client goes on taking some.

        The head of an answer is sent together with the piece after it, which may be empty. Raises
        ConnectionResetError if the client takes nothing for READER_STALL_SEC.
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

    def follow(self, end: Callable[[], None]) -> None:
        """Let `end` end an answer that has no end by itself, when the client closes its own.

        At a stop it ends at once: who asks again while the worker lingers would hold it up.
        """
        self._end = end
        if self._is_hung_up:
            end()
        else:
            self._readable.start(self.hang_up)

    @property
    def is_endless(self) -> bool:
        """Whether its answer has no end by itself, and has not been ended yet."""
        return self._end is not None and not self._is_hung_up

    def hang_up(self) -> None:
        """End an answer that has no end by itself, also the next one; others end in their time."""
        self._is_hung_up = True
        if self._is_upload:
            # What it waits for is its end, then.
            self.shutdown(socket.SHUT_RD)
        if self._end is not None:
            self._readable.stop()
            self._end()

    def cut(self) -> None:
        """End the connection from another greenlet, without an answer."""
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
        """Close this end; the client gets the whole answer, and a little time to close its end."""
        if self._is_closed:
            return
        self._is_closed = True
        self._readable.stop()
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
        """The next bytes; empty at the end, or if none come in time."""
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
        unsent_bytes = self._unsent_bytes()
        with suppress(TimeoutError):
            self._wait(wait_write, self._sock.fileno(), READER_STALL_SEC)
            return
        # Linux calls a socket writable when a third of its buffer is free, which may be a megabyte;
        # a slow reader may need longer for that than READER_STALL_SEC.
        if self._unsent_bytes() >= unsent_bytes:
            log.warning("A client took nothing for %g s and was cut off", READER_STALL_SEC)
            raise ConnectionResetError(ECONNRESET, "cut off")

    def _unsent_bytes(self) -> int:
        """How many bytes the kernel holds for the client."""
        size = fcntl.ioctl(self._sock, termios.TIOCOUTQ, bytes(4))
        return int.from_bytes(size, sys.byteorder)

    def _wait(self, how: Callable[[Any, float], None], what: Any, timeout_sec: float) -> None:
        self._waiting[self] = None
        if len(self._waiting) > WAITING_MAX:
            next(iter(self._waiting)).cut()
        try:
            how(what, timeout_sec)
        finally:
            self._waiting.pop(self, None)
