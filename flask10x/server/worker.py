"""The worker: gunicorn's gevent worker, made safe against clients that send or read slowly.

A connection is a greenlet, so a client that waits or is waited for holds no thread. Nothing is
patched: only the connections know of gevent. docs/en/explanation/slow-clients.md has the figures.
"""

import fcntl
import json
import logging
import os
import signal
import socket
import sys
import termios
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext, suppress
from errno import ECONNRESET, ENOTCONN, EPIPE
from functools import partial
from http import HTTPStatus
from time import monotonic
from types import MappingProxyType
from typing import Any

import gevent
from gevent import get_hub
from gevent.pool import Pool
from gevent.server import StreamServer
from gevent.socket import wait, wait_read, wait_write
from gunicorn import http
from gunicorn.http.errors import (
    InvalidChunkSize,
    InvalidHeader,
    LimitRequestHeaders,
    ParseException,
)
from gunicorn.workers.ggevent import GeventWorker

from flask10x.readings.parse import BODY_MAX_BYTES
from flask10x.system import limits
from flask10x.system.logs import Pace
from flask10x.web.headers import ALWAYS

# An answer has to be short (contract, section 7); what was sent may be long.
SHOWN_CHARS = 200
# What gunicorn's parser raises, by name: not every release has all of them.
STATUSES = {
    "ExpectationFailed": HTTPStatus.EXPECTATION_FAILED,
    "LimitRequestHeaders": HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "LimitRequestLine": HTTPStatus.REQUEST_URI_TOO_LONG,
    "UnsupportedTransferCoding": HTTPStatus.NOT_IMPLEMENTED,
    "Late": HTTPStatus.REQUEST_TIMEOUT,
    # Derived from errors of the sender's, but they are the application's.
    "InvalidResponseHeader": HTTPStatus.INTERNAL_SERVER_ERROR,
    "InvalidResponseHeaderName": HTTPStatus.INTERNAL_SERVER_ERROR,
}


class Incomplete(ParseException):  # type: ignore[misc]
    """A request that has begun and stays incomplete; the text is for the author of the sender."""


class Late(Incomplete):
    """A request that is not complete in time."""


def status_of(error: BaseException) -> HTTPStatus:
    """The status for an error of reading or of gunicorn's parser; 500 for other errors."""
    of_sender = isinstance(error, ParseException)
    usual = HTTPStatus.BAD_REQUEST if of_sender else HTTPStatus.INTERNAL_SERVER_ERROR
    return STATUSES.get(type(error).__name__, usual)


def answer(status: HTTPStatus, hint: str = "") -> bytes:
    """A whole answer, after which the connection ends: JSON with the usual headers."""
    body = {"error": status.phrase.lower()} | ({"hint": hint[:SHOWN_CHARS]} if hint else {})
    text = json.dumps(body) + "\n"
    headers = {"Content-Type": "application/json", **ALWAYS, "Content-Length": len(text)}
    lines = [f"{name}: {value}" for name, value in headers.items()]
    first = f"HTTP/1.1 {status} {status.phrase}"
    return "\r\n".join([first, *lines, "Connection: close", "", text]).encode("ascii")


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


# Requests as gunicorn's parser reads them, except that equal lines of a header count as one.
#
# Gunicorn refuses a header that may occur once and occurs twice, even if both lines are the same.
# MicroPython's `urequests` sends such requests. Only what the parser refused is looked at here, so
# other requests cost nothing more.

# The headers that may occur once, by the name that gunicorn has for them. Others with equal lines
# are lists (RFC 9110, section 5.3), Transfer-Encoding too: `chunked` twice is refused.
HOST, CONTENT_TYPE, CONTENT_LENGTH = "HOST", "CONTENT-TYPE", "CONTENT-LENGTH"
ONCE = {HOST: "Host", CONTENT_TYPE: "Content-Type", CONTENT_LENGTH: "Content-Length"}
TRANSFER_ENCODING, IDENTITY = "TRANSFER-ENCODING", "identity"


class Request(http.Request):  # type: ignore[misc]
    """A request of which equal lines of a header count as one.

    Of different lines the first one counts, and `conflicts` names the header: the request is to be
    refused.
    """

    headers: list[tuple[str, str]]
    """Names in capitals, and values; gunicorn makes it."""
    conflicts: Mapping[str, str] = MappingProxyType({})
    """Each header with lines that differ, and its values with commas between them."""

    def parse_headers(self, data: bytes, from_trailer: bool = False) -> list[tuple[str, str]]:
        """For gunicorn: the lines of a head as names in capitals and values."""
        headers: list[tuple[str, str]]
        try:
            headers = super().parse_headers(data, from_trailer)
        except InvalidHeader:
            if from_trailer:
                raise
            headers = super().parse_headers(b"\r\n".join(self._without_repeats(data)))
        return headers

    def set_body_reader(self) -> None:
        """For gunicorn: find out how long the body is."""
        try:
            super().set_body_reader()
        except InvalidHeader:
            if not self._is_of_known_length():
                raise
            # A proxy in between may have understood the length differently.
            self.force_close()
            super().set_body_reader()

    def _without_repeats(self, data: bytes) -> Iterator[bytes]:
        """The lines of the head, with only the first line of Host and of Content-Type."""
        first: dict[str, str] = {}
        for line in data.split(b"\r\n"):
            raw_name, _, raw_value = line.partition(b":")
            # `bytes.upper` changes only ASCII letters: no other name becomes one of these.
            name = raw_name.upper().decode("latin-1")
            value = raw_value.decode("latin-1").strip(" \t")
            is_repeat = name in first and value.isprintable()
            if name in (HOST, CONTENT_TYPE):
                first.setdefault(name, value)
            if not is_repeat:
                yield line
            elif value != first[name]:
                self._note_conflict(name, (first[name], value))

    def _is_of_known_length(self) -> bool:
        """Whether the length is known when equal lines count as one; `headers` says it then.

        `Transfer-Encoding: identity` says that the length is that of Content-Length, and that there
        is no body without one (RFC 2616). Where two lengths differ nothing is read as the body.
        """
        lengths = [value for name, value in self.headers if name == CONTENT_LENGTH]
        codings = {value.lower() for name, value in self.headers if name == TRANSFER_ENCODING}
        if not (lengths or codings) or not codings <= {IDENTITY}:
            return False
        of_length = (CONTENT_LENGTH, TRANSFER_ENCODING)
        rest = [(name, value) for name, value in self.headers if name not in of_length]
        if len({*lengths}) == 1:
            rest.append((CONTENT_LENGTH, lengths[0]))
        elif lengths:
            self._note_conflict(CONTENT_LENGTH, lengths)
        self.headers = rest
        return True

    def _note_conflict(self, name: str, values: Iterable[str]) -> None:
        text = ", ".join(dict.fromkeys(values))
        self.conflicts = MappingProxyType({**self.conflicts, ONCE[name]: text})


class Requests(http.RequestParser):  # type: ignore[misc]
    """The requests of one connection, one after the other."""

    mesg_class = Request


# When so many connections of one worker wait, an answer closes its own.
IDLE_MAX = 50
# The event loop, what wakes it, and what gunicorn opens before need so many files.
LOOP_FILES = 8
LOOK_EVERY_SEC = 1.0
CLIENT_GONE = (EPIPE, ECONNRESET, ENOTCONN)


class Listener(StreamServer):  # type: ignore[misc]
    """Accepts connections for a worker one by one, so that the other workers get some, too."""

    max_accept = 1

    def __init__(self, worker: "Worker", sock: Any, pool: Pool) -> None:
        self.worker = worker
        sock.setblocking(False)
        super().__init__(sock, partial(worker.handle, sock), spawn=pool)

    def do_read(self) -> Any:
        """A connection and its address; None if none waits (any more).

        Raises OSError if it can't be accepted; then gevent tries again, at last each second.
        """
        try:
            return self.socket.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return None
        except OSError as error:
            self.worker.note_untaken(error)
            raise


class Worker(GeventWorker):  # type: ignore[misc]
    """Gunicorn's gevent worker with limits of its own; it also stops if its master has died."""

    # A connection has its own limits of time.
    timeout_ctx = nullcontext

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.waiting: dict[Connection, None] = {}
        self.connections: set[Connection] = set()
        self.pace = Pace()

    # Its life

    def patch(self) -> None:
        """Patch nothing of Python. Raises OSError if there are too few descriptors.

        Without them the event loop, which is made after this, would abort the process.
        """
        for descriptor in [os.dup(self.tmp.fileno()) for _ in range(LOOP_FILES)]:
            os.close(descriptor)

    def notify(self) -> None:
        """Show the master that this worker lives; without a master, stop in the usual way."""
        if self.ppid == os.getppid():
            super().notify()
        elif self.alive:
            os.kill(os.getpid(), signal.SIGTERM)

    def run(self) -> None:
        """Serve until a signal; then answer the requests in flight, and end."""
        try:
            self._serve()
        except Exception as error:
            log.error("The worker fails", exc_info=error)
            raise
        finally:
            # Gunicorn calls it, too, but logs first; if logging fails, as with a clock at its end,
            # it never does.
            self.cfg.worker_exit(None, self)

    def _serve(self) -> None:
        # A connection that can't be accepted is logged here, without a traceback from the loop.
        gevent.get_hub().NOT_ERROR += (OSError,)
        pool = Pool(self.worker_connections)
        listeners = [Listener(self, sock, pool) for sock in self.sockets]
        for listener in listeners:
            listener.start()
        while self.alive:
            self.notify()
            # A signal ends it at once, and its handler has run then.
            with suppress(TimeoutError):
                wait_read(self.PIPE[0], LOOK_EVERY_SEC)
                os.read(self.PIPE[0], 4096)
        for listener in listeners:
            listener.stop_accepting()
        # A connection that was just accepted has a greenlet that has not begun.
        gevent.sleep(0)
        for listener in listeners:
            listener.close()
        for connection in self.connections:
            connection.hang_up()
        stopped_sec = monotonic()
        pool.join(LINGER_SEC)
        for connection in self.silent():
            # A connection that was answered meanwhile has as long for its next request.
            if connection.since_sec < stopped_sec:
                connection.cut()
        pool.join(self.cfg.graceful_timeout - LINGER_SEC)
        # Storing, which comes next, has the whole time that the master gives it.
        self.notify()

    def silent(self) -> list[Connection]:
        """The connections without a byte of a request, longest first."""
        return [connection for connection in self.waiting if connection.silent]

    def note_untaken(self, error: OSError) -> None:
        """After a connection could not be accepted, end one that needs none, and log the error.

        That is an open page's, which then asks by itself, or an idle one.
        """
        open_page = next((one for one in self.connections if one.is_endless), None)
        if open_page is not None:
            open_page.hang_up()
        else:
            for connection in self.silent()[:1]:
                connection.cut()
        what = f"No connection can be taken: {error.strerror}"
        self._note("untaken", logging.WARNING, f"{what}; it is tried again ({limits.in_use()})")

    def _note(self, kind: str, level: int, line: str) -> None:
        more = self.pace.turn(kind)
        if more is not None:
            log.log(level, "%s%s", line, more)

    # Requests

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Answer all requests of one connection.

        Gunicorn's own method makes its parser itself, and supports TLS and HTTP/2, which are the
        task of a proxy here.
        """
        connection = Connection(client, self.waiting)
        self.connections.add(connection)
        try:
            # Asked once: a stop closes the listener while requests are in flight.
            listener_name = listener.getsockname()
            for request in Requests(self.cfg, connection, addr):
                self.handle_request(listener_name, request, connection, addr)
        except StopIteration:
            # The last answer ends the connection.
            pass
        except OSError as error:
            if error.errno not in CLIENT_GONE:
                log.error("A connection failed", exc_info=error)
        except BaseException as error:
            with suppress(OSError):
                self.handle_error(None, connection, addr, error)
        finally:
            self.connections.discard(connection)
            with suppress(OSError):
                connection.close()

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        """Answer one request; raises StopIteration to end the connection."""
        if len(self.waiting) >= IDLE_MAX:
            req.force_close()
        sock.request = req
        super().handle_request(listener_name, req, sock, addr)
        early = req.unreader.buf.getvalue()
        if early:
            # The next request needs no waiting, so the other connections go first.
            gevent.sleep(0)
        sock.begin(early, self.cfg.keepalive if self.alive else LINGER_SEC)

    def handle_error(self, _req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer an invalid request, or an error that the application did not catch.

        Gunicorn's own method answers in HTML, and logs a line for each request: a port scan would
        fill the log.
        """
        status, why = status_of(exc), str(exc)[:SHOWN_CHARS]
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("Unexpected failure", exc_info=exc)
            why = ""
        else:
            sender = addr[0] if addr else "a local client"
            is_given_up = isinstance(exc, Incomplete)
            what, level = (
                ("given up", logging.ERROR) if is_given_up else ("refused", logging.WARNING)
            )
            self._note(what, level, f"Request of {sender} {what}: {why}")
        client.sendall(answer(status, why))
