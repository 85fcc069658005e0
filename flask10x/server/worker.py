"""The worker: gunicorn's gevent worker, made safe against clients that send or read slowly.

A connection is a greenlet, so a client that waits or is waited for holds no thread. Nothing is
patched: only the connections know of gevent. docs/en/explanation/slow-clients.md has the figures.
"""

import logging
import os
import signal
import sys
from contextlib import nullcontext, suppress
from functools import partial
from http import HTTPStatus
from io import BytesIO
from time import monotonic
from types import FrameType, SimpleNamespace
from typing import Any

import gevent
from gevent.server import StreamServer
from gevent.socket import wait_read
from gunicorn.http import wsgi
from gunicorn.http.errors import InvalidChunkSize
from gunicorn.workers.ggevent import GeventWorker

from flask10x.readings.json_body import BODY_MAX_BYTES
from flask10x.server.answers import SHOWN_CHARS, Incomplete, answer, status_of
from flask10x.server.connection import FRAMING_MAX_BYTES, LINGER_SEC, Connection
from flask10x.system import limits
from flask10x.system.logs import Pace
from flask10x.web.access import is_refused

log = logging.getLogger(__name__)

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
# When so many connections of one worker wait, an answer closes its own.
IDLE_MAX = 50
# Connections wait in the listening socket meanwhile: the kernel holds a hundred and more for us.
ACCEPT_PAUSE_SEC = 1.0
# For the event loop, what wakes it, and what gunicorn opens before that.
LOOP_FILES = 8
LOOK_EVERY_SEC = 1.0
LOOK_EVERY_AT_STOP_SEC = 0.05


class Listener(StreamServer):  # type: ignore[misc]
    """Takes connections for a worker, one by one, so that the other workers get theirs."""

    max_accept = 1

    def __init__(self, worker: "Worker", sock: Any) -> None:
        self.worker = worker
        # A connection may begin when the listening socket is closed already.
        name = sock.getsockname()
        named = SimpleNamespace(getsockname=lambda: name)
        sock.setblocking(False)
        super().__init__(sock, partial(worker.handle, named), spawn=gevent.spawn_raw)

    def full(self) -> bool:
        """Whether the next connection has to wait."""
        most: int = self.worker.worker_connections
        return len(self.worker.connections) >= most

    def do_read(self) -> Any:
        """A connection and its address; None when there is none (any more).

        Without a descriptor for it, it is tried again later.
        """
        try:
            return self.socket.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return None
        except OSError as error:
            if error.errno not in limits.EXHAUSTED:
                raise
            self.stop_accepting()
            gevent.spawn_later(ACCEPT_PAUSE_SEC, self.go_on)
            self.worker.note_exhausted(error)
            return None

    def go_on(self) -> None:
        """Accept again, unless closed meanwhile."""
        if self.started:
            self.start_accepting()


class Worker(GeventWorker):  # type: ignore[misc]
    """Gunicorn's gevent worker with limits of its own; it also stops when its master is gone."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.connections: set[Connection] = set()
        self.waiting: dict[Connection, None] = {}
        self.listeners: list[Listener] = []
        self.pace = Pace()
        self.leaves = False

    # Its life

    def patch(self) -> None:
        """Nothing of Python's is replaced. Raises OSError when there are too few descriptors.

        Without them the event loop, which is made after this, would end the process by an abort.
        """
        for descriptor in [os.dup(self.tmp.fileno()) for _ in range(LOOP_FILES)]:
            os.close(descriptor)

    def init_signals(self) -> None:
        """Set the handlers; a SIGTERM that came before them counts as well."""
        super().init_signals()
        while self.early_signals.qsize():
            if self.early_signals.get_nowait() in STOPS:
                self.alive = False

    def notify(self) -> None:
        """Show the master that this one lives; without a master, stop in the usual way."""
        if self.ppid == os.getppid():
            super().notify()
        elif self.alive:
            os.kill(os.getpid(), signal.SIGTERM)

    def handle_quit(self, _sig: int, _frame: FrameType | None) -> None:
        """SIGINT and SIGQUIT: leave without waiting for anybody, from the loop."""
        self.alive, self.leaves = False, True
        self.cfg.worker_int(self)

    def run(self) -> None:
        """Serve until a signal; then answer what is in flight, and go."""
        try:
            self._serve()
        except Exception as error:
            with suppress(Exception):
                log.error("The worker fails", exc_info=error)
            raise
        finally:
            for connection in list(self.waiting):
                connection.cut()
            # Gunicorn calls it, too, but logs before that; where this fails, as with a clock that
            # has come to its end, it never does.
            self.cfg.worker_exit(None, self)
        if self.leaves:
            sys.exit(0)

    def _serve(self) -> None:
        self.listeners += [Listener(self, sock) for sock in self.sockets]
        for listener in self.listeners:
            listener.start()
        while self.alive:
            self._look(LOOK_EVERY_SEC)
        for listener in self.listeners:
            listener.close()
        # A connection that was taken just now has a greenlet that has not begun.
        gevent.sleep(0)
        end = monotonic() + self.cfg.graceful_timeout
        while self.connections and monotonic() < end and not self.leaves:
            self._close_silent()
            self._look(LOOK_EVERY_AT_STOP_SEC)

    def _look(self, pause_sec: float) -> None:
        """Let the greenlets run; a signal ends it at once, and its handler has run then."""
        self.notify()
        for connection in list(self.waiting):
            connection.look()
        with suppress(TimeoutError):
            wait_read(self.PIPE[0], pause_sec)
            os.read(self.PIPE[0], 4096)

    def _close_silent(self) -> None:
        """Cut off connections on which nothing of a request has come for a while."""
        for connection in list(self.waiting):
            if connection.silent and monotonic() - connection.since > LINGER_SEC:
                connection.cut()

    def note_exhausted(self, error: OSError) -> None:
        """Without a descriptor for a connection: idle ones go, and the log says so."""
        self._close_silent()
        more = self.pace.turn("exhausted")
        if more is not None:
            what = f"No connection can be taken: {error.strerror}"
            log.warning("%s; it is tried again each second (%s)%s", what, limits.in_use(), more)

    # Requests

    def timeout_ctx(self) -> Any:
        """The connection has its own limits of time."""
        return nullcontext()

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """All requests of one connection."""
        connection = Connection(client, self.waiting)
        self.connections.add(connection)
        try:
            super().handle(listener, connection, addr)
        finally:
            self.connections.discard(connection)
            for taker in self.listeners:
                taker.go_on()

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        """Answer one request once its body is here; raises StopIteration to end the connection."""
        self._take_body(listener_name, req, sock, addr)
        if sock.late or len(self.waiting) >= IDLE_MAX:
            req.force_close()
        sock.request = req
        try:
            super().handle_request(listener_name, req, sock, addr)
        finally:
            sock.flush()
        early = req.unreader.buf.getvalue()
        if early:
            # Nothing is waited for before the next one: the other connections go first.
            gevent.sleep(0)
        sock.begin(early, self.cfg.keepalive)

    def _take_body(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        """Read it as far as the application may want it; what is left ends the connection."""
        length = getattr(req.body.reader, "length", None)
        came = req.unreader.buf.getbuffer().nbytes
        sock.expect(length, came)
        if length is None or length > came:
            if (length or 0) > BODY_MAX_BYTES or self._is_refused(req, sock, addr, listener_name):
                req.body = BytesIO()
                req.force_close()
                return
            # An HTTP/1.0 client knows no such answer (RFC 9110, section 10.1.1).
            asks = ("EXPECT", "100-continue") in [(k, v.lower()) for k, v in req.headers]
            if asks and req.version >= (1, 1):
                sock.ask_for_body()
        body = req.body.read(BODY_MAX_BYTES + 1)
        framing = sock.came_bytes - req.unreader.buf.getbuffer().nbytes - len(body)
        if len(body) > BODY_MAX_BYTES:
            req.force_close()
        elif length is None and framing > FRAMING_MAX_BYTES:
            raise InvalidChunkSize(b"too small for so many bytes")
        req.body = BytesIO(body)

    def _is_refused(self, *head: Any) -> bool:
        """Whether the application refuses it by its head; what fails here, fails there."""
        try:
            return is_refused(self.wsgi, wsgi.create(*head, self.cfg)[1])
        except Exception as error:
            log.debug("A head could not be checked: %s", error)
            return False

    def handle_error(self, _req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer for what is no request, or for what the application let through.

        Gunicorn's own answers in HTML, and logs a line for each: a port scan would fill the log.
        """
        if isinstance(exc, gevent.GreenletExit | SystemExit):
            return
        status, why = status_of(exc), ""
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("Unexpected failure", exc_info=exc)
        else:
            why = str(exc)
            given_up = isinstance(exc, Incomplete)
            self._note(addr, "given up" if given_up else "refused", why)
        with suppress(OSError):
            client.sendall(answer(status, why))
            client.flush()

    def _note(self, client: Any, what: str, why: str) -> None:
        more = self.pace.turn(what)
        if more is not None:
            level = logging.ERROR if what == "given up" else logging.WARNING
            sender = client[0] if client else "a local client"
            log.log(level, "Request of %s %s: %s%s", sender, what, why[:SHOWN_CHARS], more)
