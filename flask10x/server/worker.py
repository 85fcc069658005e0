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
from gunicorn.workers.ggevent import GeventWorker

from flask10x.server.answers import SHOWN_CHARS, Incomplete, answer, status_of
from flask10x.server.connection import LINGER_SEC, Connection
from flask10x.server.request import Requests
from flask10x.system import limits
from flask10x.system.logs import Pace

log = logging.getLogger(__name__)

# When so many connections of one worker wait, an answer closes its own.
IDLE_MAX = 50
# For the event loop, what wakes it, and what gunicorn opens before that.
LOOP_FILES = 8
LOOK_EVERY_SEC = 1.0
CLIENT_GONE = (EPIPE, ECONNRESET, ENOTCONN)


class Listener(StreamServer):  # type: ignore[misc]
    """Takes connections for a worker, one by one, so that the other workers get theirs."""

    max_accept = 1

    def __init__(self, worker: "Worker", sock: Any, pool: Pool) -> None:
        self.worker = worker
        sock.setblocking(False)
        super().__init__(sock, partial(worker.handle, sock), spawn=pool)

    def do_read(self) -> Any:
        """A connection and its address; None when there is none (any more).

        Raises OSError when it can't be taken; then gevent tries again, at last each second.
        """
        try:
            return self.socket.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return None
        except OSError as error:
            self.worker.note_untaken(error)
            raise


class Worker(GeventWorker):  # type: ignore[misc]
    """Gunicorn's gevent worker with limits of its own; it also stops when its master is gone."""

    # A connection has its own limits of time.
    timeout_ctx = nullcontext

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.waiting: dict[Connection, None] = {}
        self.pace = Pace()

    # Its life

    def patch(self) -> None:
        """Nothing of Python's is replaced. Raises OSError when there are too few descriptors.

        Without them the event loop, which is made after this, would end the process by an abort.
        """
        for descriptor in [os.dup(self.tmp.fileno()) for _ in range(LOOP_FILES)]:
            os.close(descriptor)

    def notify(self) -> None:
        """Show the master that this one lives; without a master, stop in the usual way."""
        if self.ppid == os.getppid():
            super().notify()
        elif self.alive:
            os.kill(os.getpid(), signal.SIGTERM)

    def run(self) -> None:
        """Serve until a signal; then answer what is in flight, and go."""
        try:
            self._serve()
        except Exception as error:
            log.error("The worker fails", exc_info=error)
            raise
        finally:
            # Gunicorn calls it, too, but logs before that; where this fails, as with a clock that
            # has come to its end, it never does.
            self.cfg.worker_exit(None, self)

    def _serve(self) -> None:
        # What can't be taken is logged here, without a traceback from the loop.
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
        # A connection that was taken just now has a greenlet that has not begun.
        gevent.sleep(0)
        for listener in listeners:
            listener.close()
        stopped_sec = monotonic()
        pool.join(LINGER_SEC)
        for connection in self.silent():
            # One that was answered meanwhile has as long for its next request.
            if connection.since_sec < stopped_sec:
                connection.cut()
        pool.join(self.cfg.graceful_timeout - LINGER_SEC)
        # What comes next, storing, has the whole time that the master gives it.
        self.notify()

    def silent(self) -> list[Connection]:
        """Connections on which nothing of a request has come, longest first."""
        return [connection for connection in self.waiting if connection.silent]

    def note_untaken(self, error: OSError) -> None:
        """Without a descriptor for a connection, say: an idle one goes, and the log says so."""
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
        """All requests of one connection.

        Gunicorn's own makes its parser itself, and knows TLS and HTTP/2, which a proxy speaks here.
        """
        connection = Connection(client, self.waiting)
        try:
            # Asked once: a stop closes the listener while requests are in flight.
            listener_name = listener.getsockname()
            for request in Requests(self.cfg, connection, addr):
                self.handle_request(listener_name, request, connection, addr)
        except StopIteration:
            # An answer was the last one.
            pass
        except OSError as error:
            if error.errno not in CLIENT_GONE:
                log.error("A connection failed", exc_info=error)
        except BaseException as error:
            with suppress(OSError):
                self.handle_error(None, connection, addr, error)
        finally:
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
            # Nothing is waited for before the next one: the other connections go first.
            gevent.sleep(0)
        sock.begin(early, self.cfg.keepalive if self.alive else LINGER_SEC)

    def handle_error(self, _req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer for what is no request, or for what the application let through.

        Gunicorn's own answers in HTML, and logs a line for each: a port scan would fill the log.
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
