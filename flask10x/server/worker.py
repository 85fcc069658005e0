"""The worker: gunicorn's threaded one, made safe against clients that send or read slowly.

A connection waits in the poller of the main thread until a request has wholly come, and again after
the answer until the client has closed; so a client can hold a place in the poller, but no thread.
docs/en/explanation/slow-clients.md has the figures.
"""

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from selectors import EVENT_READ
from types import FrameType
from typing import Any, NoReturn

from gunicorn.http import wsgi
from gunicorn.workers.gthread import ThreadWorker

from flask10x.server.answers import SHOWN_CHARS, answer, status_of
from flask10x.server.arrivals import Arrivals
from flask10x.server.turns import READERS_MAX, Turns, TurnSocket
from flask10x.system import limits
from flask10x.system.logs import Pace
from flask10x.web.access import is_refused
from flask10x.web.limits import COMMITS_MAX, DOWNLOADS_MAX

log = logging.getLogger(__name__)

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)

# A request has to be whole within this. Boards give up after 3 to 8 s (contract, section 7), and
# the one that never gives up learns what is wrong. No longer than a stopping worker waits.
REQUEST_WITHIN_SEC = 10.0
# How long an answered client may leave its end open, and a stopping worker wait for a first byte.
LINGER_SEC = 2.0
# A closed connection with unread bytes is reset, and the client may lose the answer; so the rest
# of a refused body is read and thrown away, up to this.
DISCARD_MAX_BYTES = 1024 * 1024
# Connections of one worker that wait for a request or for their end; one more, and the one that has
# waited longest goes. A good one is through within milliseconds. At 64 KiB each this is 6 MiB.
PARKED_MAX = 100
# Kept-alive connections of one worker; beyond that an answer closes its connection.
IDLE_MAX = 50
READ_BYTES = 64 * 1024
# Connections wait in the listening socket meanwhile: the kernel holds a hundred and more for us.
ACCEPT_PAUSE_SEC = 1.0


@dataclass(slots=True)
class Parked:
    """A connection that waits in the poller, and what happens when something comes or nothing."""

    act: Callable[[], None]
    late: Callable[[], None]
    within_sec: float
    since: float = field(default_factory=time.monotonic)
    discarded_bytes: int = 0


class Worker(ThreadWorker):  # type: ignore[misc]
    """Gunicorn's threaded worker; its main thread gathers requests, its threads answer them.

    It also stops in the usual way when its master is gone. Gunicorn's own would go on answering
    kept-alive connections until the request ceiling, and let new ones wait in vain.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.max_keepalived = IDLE_MAX
        self.parked: dict[Any, Parked] = {}
        self.turns = Turns(self.cfg.threads)
        self.pace = Pace()
        self._accept_at_sec = 0.0

    # Its life

    def init_signals(self) -> None:
        """Set the handlers; a SIGTERM that came before them counts as well."""
        super().init_signals()
        while self.early_signals.qsize():
            if self.early_signals.get_nowait() in STOPS:
                self.alive = False

    def is_parent_alive(self) -> bool:
        """Asked by gunicorn's loop every second."""
        if super().is_parent_alive():
            return True
        os.kill(os.getpid(), signal.SIGTERM)
        return False

    def handle_quit(self, _sig: int, _frame: FrameType | None) -> None:
        """SIGINT and SIGQUIT: leave without waiting for anybody, from the loop.

        Gunicorn's own leaves from here, wherever the main thread is. In the middle of handing a
        request to the threads' pool that means a lock that it holds itself, or a thread that has
        begun and is not yet in the pool's list: nobody ends that one, and the process waits for it
        until the master kills it.
        """
        self.alive = False
        self.cfg.worker_int(self)
        self.method_queue.defer(_leave)

    def run(self) -> None:
        """Gunicorn's loop; no reader holds a thread, and with it the process, after its end."""
        try:
            super().run()
        except Exception as error:
            # Gunicorn logs before it calls `worker_exit`; where that fails, as with a clock that
            # has come to its end, it never does.
            with suppress(Exception):
                log.error("The worker fails", exc_info=error)
            self.cfg.worker_exit(None, self)
            raise
        finally:
            self.turns.end()
            for conn in self.parked:
                conn.close()

    # Requests come in: the main thread

    def accept(self, listener: Any) -> None:
        """Take a connection; without a descriptor for it let it wait, and idle ones go.

        Gunicorn's own ends the worker then, and its successor meets the same.
        """
        try:
            super().accept(listener)
        except OSError as error:
            if error.errno not in limits.EXHAUSTED:
                raise
            self._accept_at_sec = time.monotonic() + ACCEPT_PAUSE_SEC
            self.set_accept_enabled(False)
            self.murder_keepalived(force=True)
            self._note_exhausted(f"No connection can be taken: {error.strerror}")

    def set_accept_enabled(self, enabled: bool) -> None:
        """Asked by gunicorn's loop at each turn."""
        super().set_accept_enabled(enabled and time.monotonic() >= self._accept_at_sec)

    def _note_exhausted(self, what: str) -> None:
        more = self.pace.turn(what)
        if more is not None:
            log.warning("%s; it is tried again each second (%s)%s", what, limits.in_use(), more)

    def enqueue_req(self, conn: Any) -> None:
        """Where gunicorn hands a connection to a thread: it has to bring a whole request first."""
        if conn.parser is None:
            conn.sock = TurnSocket(conn.sock, self.turns)
            conn.parser = Arrivals(self.cfg, conn.client, partial(self._is_refused, conn))
            conn.data_ready = True
        else:
            conn.sock.setblocking(False)
            conn.parser.begin()
        if conn.parser.ready:
            self._hand_over(conn)
        else:
            self._park(conn, self._gather, self._late, REQUEST_WITHIN_SEC)

    def _is_refused(self, conn: Any, request: Any) -> bool:
        """Whether the application refuses a request by its head; what fails here, fails there."""
        try:
            _, environ = wsgi.create(request, conn.sock, conn.client, conn.server, self.cfg)
            return is_refused(self.wsgi, environ)
        except Exception as error:
            log.debug("A head could not be checked: %s", error)
            return False

    def _gather(self, conn: Any) -> None:
        arrivals: Arrivals = conn.parser
        data = _received(conn.sock)
        if data == b"":
            self._refuse(conn, HTTPStatus.BAD_REQUEST, "the sender closed after")
            return
        arrivals.feed(data or b"")
        if arrivals.ready:
            self._unpark(conn)
            self._hand_over(conn)
        elif arrivals.expectant:
            arrivals.expectant = False
            _say(conn.sock, b"HTTP/1.1 100 Continue\r\n\r\n")

    def _late(self, conn: Any) -> None:
        self._refuse(conn, HTTPStatus.REQUEST_TIMEOUT, f"within {REQUEST_WITHIN_SEC:g} s came")

    def _refuse(self, conn: Any, status: HTTPStatus, what: str) -> None:
        """Answer for a request that will not become whole; nobody asked if nothing came."""
        self._unpark(conn)
        if conn.parser.silent:
            self._drop(conn)
            return
        hint = f"{what} {conn.parser.progress}"
        self._note(logging.ERROR, conn.client, "given up", hint)
        _say(conn.sock, answer(status, hint))
        self._linger(conn)

    def _note(self, level: int, client: Any, what: str, why: str) -> None:
        more = self.pace.turn(what)
        if more is not None:
            sender = client[0] if client else "a local client"
            log.log(level, "Request of %s %s: %s%s", sender, what, why[:SHOWN_CHARS], more)

    # Requests are answered: a thread

    def get_thread_pool(self) -> ThreadPoolExecutor:
        """Room for the threads that wait for slow readers and for commits; `turns` limits the rest.

        Downloads are counted apart: one that gives way has a thread too, but waits for no reader.
        """
        waiting = READERS_MAX + DOWNLOADS_MAX + COMMITS_MAX
        pool = ThreadPoolExecutor(self.cfg.threads + waiting)
        # A worker that is to stop already answers nobody.
        if self.early_signals.empty():
            _make_threads(pool, self.cfg.threads)
        return pool

    def _hand_over(self, conn: Any) -> None:
        """Let a thread answer; when no further one can be made, one of those that are there."""
        answered: Future[Any] = Future()
        answered.add_done_callback(partial(self.method_queue.defer, self.finish_request, conn))
        try:
            self.tpool.submit(self._answer, conn, answered)
        except RuntimeError as error:
            # The pool has put it into its queue already: it makes its thread after that.
            self._note_exhausted(f"No further thread can be made: {error}")

    def _answer(self, conn: Any, answered: "Future[Any]") -> None:
        try:
            answered.set_result(self.handle(conn))
        except BaseException as error:
            answered.set_exception(error)

    def handle(self, conn: Any) -> Any:
        """Answer the request of a connection."""
        with self.turns:
            return super().handle(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer one request; true when the connection may bring another one."""
        conn.sock.begin_answer()
        if not conn.parser.whole:
            req.force_close()
        return super().handle_request(req, conn)

    def handle_error(self, _req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer for what is no request, or for what the application let through.

        Gunicorn's own answers in HTML, and logs a line for each: a port scan would fill the log.
        """
        status, why = status_of(exc), ""
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("Unexpected failure", exc_info=exc)
        else:
            why = str(exc)
            self._note(logging.WARNING, addr, "refused", why)
        client.begin_answer()
        client.sendall(answer(status, why))

    # Connections end: the main thread again

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Keep the connection, or close it; gunicorn's own waits here for slow clients to go."""
        if not fs.cancelled() and fs.exception() is None and fs.result():
            super().finish_request(conn, fs)
        else:
            self._linger(conn)

    def _linger(self, conn: Any) -> None:
        """Close this end; the other one gets the answer whole, and a little time to close too."""
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(conn)
            return
        self._park(conn, self._discard, self._drop, LINGER_SEC)

    def _discard(self, conn: Any) -> None:
        parked = self.parked[conn]
        data = _received(conn.sock)
        parked.discarded_bytes += len(data or b"")
        if data == b"" or parked.discarded_bytes > DISCARD_MAX_BYTES:
            self._drop(conn)

    # Waiting in the poller

    def murder_pending(self) -> None:
        """Gunicorn's loop calls this after each turn: end what has waited too long."""
        now = time.monotonic()
        for conn, parked in list(self.parked.items()):
            waited_sec = now - parked.since
            stopping = not self.alive and waited_sec > LINGER_SEC and conn.parser.silent
            if waited_sec > parked.within_sec or stopping:
                parked.late()

    def _park(
        self,
        conn: Any,
        act: Callable[[Any], None],
        late: Callable[[Any], None],
        within_sec: float,
    ) -> None:
        """Let `act` be called whenever something comes, which may be at once, and else `late`."""
        if len(self.parked) >= PARKED_MAX:
            self._drop(next(iter(self.parked)))
        parked = Parked(partial(act, conn), partial(late, conn), within_sec)
        self.parked[conn] = parked
        self.poller.register(conn.sock, EVENT_READ, partial(self._act, conn, parked))
        parked.act()

    def _act(self, conn: Any, parked: Parked, _sock: Any) -> None:
        # Of two connections that are ready together the first one may have ended the other.
        if self.parked.get(conn) is parked:
            parked.act()

    def _unpark(self, conn: Any) -> None:
        if self.parked.pop(conn, None):
            self.poller.unregister(conn.sock)

    def _drop(self, conn: Any) -> None:
        self._unpark(conn)
        self.nr_conns -= 1
        conn.close()


def _make_threads(pool: ThreadPoolExecutor, number: int) -> None:
    """Make so many threads of the pool now, so that a request never waits in vain for a first one.

    Raises RuntimeError when the system has none.
    """
    together = threading.Barrier(number)
    try:
        for _ in range(number):
            pool.submit(together.wait)
    except RuntimeError:
        together.abort()
        raise


def _received(sock: Any) -> bytes | None:
    """What has come; None when nothing has, and empty when nothing will."""
    try:
        data: bytes = sock.recv(READ_BYTES)
    except BlockingIOError:
        return None
    except OSError:
        return b""
    return data


def _leave() -> NoReturn:
    sys.exit(0)


def _say(sock: Any, text: bytes) -> None:
    """Short enough for the kernel to take at once; who doesn't listen doesn't matter."""
    try:
        sock.send(text)
    except OSError:
        log.debug("A client was gone before it was answered")
