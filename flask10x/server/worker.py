"""The worker: gunicorn's gevent worker, made safe against clients that send or read slowly.

A connection is a greenlet, so a client that waits or is waited for holds no thread. Nothing is
patched: only the connections know of gevent. docs/en/explanation/slow-clients.md has the figures.
"""

import logging
import os
import signal
from contextlib import nullcontext, suppress
from errno import ECONNRESET, ENOTCONN, EPIPE
from functools import partial
from http import HTTPStatus
from time import monotonic
from typing import Any

import gevent
from gevent.pool import Pool
from gevent.server import StreamServer
from gevent.socket import wait_read
from gunicorn.http.wsgi import create
from gunicorn.workers.ggevent import GeventWorker

from flask10x.server.answer import Answer
from flask10x.server.connection import LINGER_SEC, Connection
from flask10x.server.refusals import SHOWN_CHARS, Incomplete, answer, status_of
from flask10x.server.request import Head, Requests
from flask10x.system import limits
from flask10x.system.pace import Pace

log = logging.getLogger(__name__)


# Gunicorn kills remaining workers after this; the unit's TimeoutStopSec is longer still.
GRACEFUL_TIMEOUT_SEC = 30
# How long a stopping worker waits for requests in flight; then it stores its readings and ends.
# A request that comes slowly must not outlast it: REQUEST_WITHIN_SEC is no longer.
REQUEST_CEILING_SEC = 10
# When so many connections of one worker wait, an answer closes its own.
IDLE_MAX = 50
# The event loop, what wakes it, and what gunicorn opens before need so many files.
LOOP_FILES = 8
LOOK_EVERY_SEC = 1.0
# What differs in the environment of requests with the same head.
OF_REQUEST = ("wsgi.input", "gunicorn.socket", "wsgi.early_hints", "REMOTE_PORT")
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
        self.heads: dict[Any, Head] | None = None if self.log.access_log_enabled else {}

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
            for request in Requests(self.cfg, connection, addr, listener_name, self.heads):
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
        if req.head is None:
            super().handle_request(listener_name, req, sock, addr)
        else:
            self._answer_board(listener_name, req.head, sock, addr)
        early = req.unreader.buf.getvalue()
        if early:
            # The next request needs no waiting, so the other connections go first.
            gevent.sleep(0)
        sock.begin(early, self.cfg.keepalive if self.alive else LINGER_SEC)

    def _answer_board(self, listener_name: Any, head: Head, sock: Connection, addr: Any) -> None:
        """Answer a request whose head is remembered; raises StopIteration to end the connection.

        Gunicorn's own method makes the environment and the answer's head anew for each request.
        """
        req = sock.request
        if head.environ is None:
            _, environ = create(req, sock, addr, listener_name, self.cfg)
            head.environ = {k: v for k, v in environ.items() if k not in OF_REQUEST}
        environ = {
            **head.environ,
            "wsgi.multithread": True,
            "wsgi.input": req.body,
            "gunicorn.socket": sock,
            "REMOTE_PORT": str(addr[1]),
        }
        is_stopping, answer = not self.alive, Answer(req.version)
        pieces = self.wsgi(environ, answer.start_response)
        try:
            body = b"".join(pieces)
        finally:
            getattr(pieces, "close", int)()
        # The application may have ended the connection, too.
        is_last = is_stopping or req.should_close()
        sock.sendall(answer.whole(body, is_last=is_last))
        if is_last:
            raise StopIteration

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
