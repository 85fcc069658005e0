"""The application that a worker runs, and the threads that answer its slow requests.

Its imports take most of the service's memory: Flask, SQLAlchemy and nearly all of our own modules.
So the master imports it if several workers share it, and not if there is one (decision 35).
"""

import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from contextvars import copy_context
from functools import partial
from io import BytesIO
from time import monotonic
from typing import TYPE_CHECKING

import gevent
from flask import Flask
from gevent import get_hub
from gevent.event import Event
from gevent.os import make_nonblocking, nb_write
from gevent.threadpool import ThreadPool

from flask10x.config.settings import Settings
from flask10x.readings.parse import BODY_MAX_BYTES
from flask10x.recording.batch import Receipt
from flask10x.recording.writer import DRAIN_SEC
from flask10x.runtime.new_readings import Follower
from flask10x.server.connection import Connection
from flask10x.server.templates import COMPILED
from flask10x.server.worker import GRACEFUL_TIMEOUT_SEC, REQUEST_CEILING_SEC
from flask10x.system.limits import give_way
from flask10x.web.access import is_refused
from flask10x.web.headers import ALWAYS
from flask10x.web.ingest.fast_path import Lane, Lanes
from flask10x.web.limits import (
    CONFLICTS,
    FOLLOWER,
    LARGE_BODIES_MAX,
    RECEIPT,
    RETRY_AFTER_SEC,
    UPLOAD_PATH,
    body_max_bytes,
    takes_large_body,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


if GRACEFUL_TIMEOUT_SEC <= REQUEST_CEILING_SEC + DRAIN_SEC:
    raise AssertionError("a stopping worker would be killed before it has stored everything")

# A long answer lets others go first after so many bytes; a shorter one is a single job.
BLOCK_BYTES = 64 * 1024
BLOCK_SEC = 0.1
# For senders that are not answered at once: one stores a batch while another waits for a commit.
SENDER_THREADS = 2


class Threads:
    """The application, of which other threads answer everything that may take long.

    `lane_of` decides which threads answer a request. The application is asked once the body is
    here, or is not wanted: it `refuses` the request by its head.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        number: int,
        refuses: "Callable[[WSGIEnvironment], bool]",
        lane_of: "Callable[[WSGIEnvironment, bytes], Lane]",
    ) -> None:
        """Makes `number` threads for pages; raises RuntimeError if the system has none."""
        self._app, self._refuses, self._lane_of = app, refuses, lane_of
        self._loop = get_hub().loop
        self._others = ThreadPool(number)
        self._others.size = number
        # Its threads are made when needed: most services have no sender that needs one.
        self._senders = ThreadPool(SENDER_THREADS)
        # Nor does most of them get a file. One is taken at a time, as slowly as it comes; a second
        # thread refuses others meanwhile.
        self._uploads = ThreadPool(2)
        self._large_bodies = 0

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """The answer as WSGI has it (PEP 3333); its first piece comes after the status."""
        if conflicts := environ["gunicorn.socket"].request.conflicts:
            environ[CONFLICTS] = conflicts
        if (environ["REQUEST_METHOD"], environ["PATH_INFO"]) == ("POST", UPLOAD_PATH):
            return self._with_upload(environ, start_response)
        if takes_large_body(environ["PATH_INFO"]):
            return self._with_large_body(environ, start_response)
        return self._answer(environ, start_response)

    def _with_large_body(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterator[bytes]:
        """The answer to a request that may have a large body; few such bodies are held at once."""
        length = _length(environ)
        is_large = length is None or length > BODY_MAX_BYTES
        if is_large and self._large_bodies >= LARGE_BODIES_MAX:
            environ["gunicorn.socket"].expect(length)
            environ["gunicorn.socket"].request.force_close()
            body = b'{"status":"queued_failed","detail":"too many large bodies at once"}\n'
            head = {"Content-Type": "application/json", "Content-Length": str(len(body))}
            head |= {"Retry-After": str(RETRY_AFTER_SEC), **ALWAYS}
            start_response("503 SERVICE UNAVAILABLE", [*head.items()])
            yield body
            return
        self._large_bodies += is_large
        try:
            yield from self._answer(environ, start_response)
        finally:
            self._large_bodies -= is_large

    def _with_upload(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterator[bytes]:
        """The answer to a form with files, which the application reads while they come."""
        connection, length = environ["gunicorn.socket"], _length(environ)
        connection.request.force_close()
        read_end, write_end = os.pipe()
        feeding = gevent.spawn(_feed, write_end, connection.upload(length or 0))
        answer = _pieces(partial(self._app, environ, start_response))
        with closing(_by_threads(self._uploads, answer)) as pieces:
            try:
                with open(read_end, "rb", buffering=0) as environ["wsgi.input"]:
                    first = next(pieces, b"")
            finally:
                # All is here, or nothing more is wanted.
                feeding.kill()
            if isinstance(feeding.value, Exception):
                raise feeding.value
            yield first
            yield from pieces

    def _answer(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        lane = self._lane_of(environ, self._take_body(environ))
        if lane == "at_once":
            environ[RECEIPT] = self.receipt
            return self._begin(environ, start_response)
        if lane == "events":
            environ[FOLLOWER] = partial(self._follower, environ["gunicorn.socket"])
            return self._begin(environ, start_response)
        # The application takes some paths for another that the lanes don't: `//events`. An answer
        # without an end would keep the thread.
        environ[FOLLOWER] = _ended_follower
        pool = self._senders if lane == "senders" else self._others
        return _by_threads(pool, _pieces(partial(self._begin, environ, start_response)))

    def receipt(self) -> Receipt:
        """A receipt for which a greenlet waits, and which the writer's thread settles."""
        event = Event()
        return Receipt(event, partial(self._loop.run_callback_threadsafe, event.set))

    def _follower(self, connection: Connection) -> Follower:
        """A follower of new readings, which a greenlet waits for and other threads wake."""
        event = Event()
        follower = Follower(event, partial(self._loop.run_callback_threadsafe, event.set))
        connection.request.force_close()
        connection.follow(follower.end)
        return follower

    def _take_body(self, environ: "WSGIEnvironment") -> bytes:
        """Read the body as far as the application needs it; an unread rest ends the connection."""
        connection, length = environ["gunicorn.socket"], _length(environ)
        max_bytes = body_max_bytes(environ["PATH_INFO"])
        is_wanted = connection.expect(length, max_bytes) or not (
            (length or 0) > max_bytes or self._refuses(environ)
        )
        body: bytes = environ["wsgi.input"].read(max_bytes + 1) if is_wanted else b""
        if not is_wanted or len(body) > max_bytes:
            connection.request.force_close()
        environ["wsgi.input"] = BytesIO(body)
        return body

    def _begin(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        answer = self._app(environ, start_response)
        # The application has not read the body to its end: this is the last answer.
        if environ["wsgi.input"].read(1):
            environ["gunicorn.socket"].request.force_close()
        return answer


def _pieces(begin: Callable[[], Iterable[bytes]]) -> Generator[bytes, None, None]:
    answer = begin()
    try:
        yield from answer
    finally:
        getattr(answer, "close", int)()


def _feed(write_end: int, pieces: Iterator[bytes]) -> Exception | None:
    """Write the pieces of a body into a pipe as they come; return what ends the connection."""
    try:
        make_nonblocking(write_end)
        for piece in pieces:
            rest = memoryview(piece)
            while rest:
                rest = rest[nb_write(write_end, rest) :]
    except BrokenPipeError:
        # The application wants no more.
        return None
    except Exception as error:
        return error
    finally:
        os.close(write_end)
    return None


def _ended_follower() -> Follower:
    follower = Follower()
    follower.end()
    return follower


def _length(environ: "WSGIEnvironment") -> int | None:
    """The Content-Length of a body; None for one in chunks."""
    in_chunks = "HTTP_TRANSFER_ENCODING" in environ
    return None if in_chunks else int(environ.get("CONTENT_LENGTH") or 0)


def _by_threads(
    pool: ThreadPool, pieces: Generator[bytes, None, None]
) -> Generator[bytes, None, None]:
    context, end = copy_context(), None
    try:
        while end is None:
            block, end = pool.apply(context.run, (_block, pieces))
            if block:
                yield block
        if not isinstance(end, StopIteration):
            raise end
    finally:
        if end is None:
            pool.apply(context.run, (pieces.close,))


def _block(pieces: Iterator[bytes]) -> tuple[bytes, BaseException | None]:
    """The next bytes of an answer, and its end: StopIteration, an error, or None before it."""
    block, until = bytearray(), monotonic() + BLOCK_SEC
    give_way()
    try:
        for piece in pieces:
            block += piece
            if len(block) >= BLOCK_BYTES or monotonic() > until:
                return bytes(block), None
    except BaseException as error:
        return bytes(block), error
    return bytes(block), StopIteration()


def with_threads(app: Flask, settings: Settings) -> Flask:
    """The application of one worker, whose slow requests other threads answer."""
    app.jinja_env.bytecode_cache = COMPILED
    threads = Threads(
        app.wsgi_app,
        settings.threads,
        partial(is_refused, app),
        Lanes(settings),
    )
    app.wsgi_app = threads  # type: ignore[method-assign]
    return app
