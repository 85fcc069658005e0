"""Who answers a request: the main thread what sensors post, other threads what may take long."""

from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from contextvars import copy_context
from functools import partial
from io import BytesIO
from time import monotonic
from typing import TYPE_CHECKING

from gevent import get_hub
from gevent.event import Event
from gevent.threadpool import ThreadPool

from flask10x.readings.json_body import BODY_MAX_BYTES
from flask10x.recording.batch import Receipt
from flask10x.system.priority import give_way
from flask10x.web.limits import RECEIPT

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# A long answer lets others go first after so much of it; whatever is shorter is one job.
BLOCK_BYTES = 64 * 1024
BLOCK_SEC = 0.1


class Threads:
    """The application, of which `number` threads answer everything that may take long.

    That is everything but `at_once`, pairs of a method and a path. It is asked once the body is
    here, or is not wanted: it `refuses` the request by its head.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        number: int,
        refuses: "Callable[[WSGIEnvironment], bool]",
        at_once: Collection[tuple[str, str]],
    ) -> None:
        """Makes the threads; raises RuntimeError when the system has none."""
        self._app, self._refuses, self._at_once = app, refuses, at_once
        self._loop = get_hub().loop
        self._pool = ThreadPool(number)
        self._pool.size = number

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """The answer as WSGI has it (PEP 3333); the status is known with its first piece."""
        self._take_body(environ)
        if (environ["REQUEST_METHOD"], environ["PATH_INFO"]) in self._at_once:
            environ[RECEIPT] = self.receipt
            return self._begin(environ, start_response)
        return self._by_threads(self._pieces(environ, start_response))

    def receipt(self) -> Receipt:
        """A receipt that a greenlet waits for, and the writer's thread settles."""
        event = Event()
        return Receipt(event, partial(self._loop.run_callback_threadsafe, event.set))

    def _take_body(self, environ: "WSGIEnvironment") -> None:
        """Read it as far as the application may want it; what is left ends the connection."""
        connection = environ["gunicorn.socket"]
        in_chunks = "HTTP_TRANSFER_ENCODING" in environ
        length = None if in_chunks else int(environ.get("CONTENT_LENGTH") or 0)
        is_wanted = connection.expect(length) or not (
            (length or 0) > BODY_MAX_BYTES or self._refuses(environ)
        )
        body = environ["wsgi.input"].read(BODY_MAX_BYTES + 1) if is_wanted else b""
        if not is_wanted or len(body) > BODY_MAX_BYTES:
            connection.request.force_close()
        environ["wsgi.input"] = BytesIO(body)

    def _begin(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        answer = self._app(environ, start_response)
        # The application has not read the body to its end: this is the last answer.
        if environ["wsgi.input"].read(1):
            environ["gunicorn.socket"].request.force_close()
        return answer

    def _pieces(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Generator[bytes, None, None]:
        answer = self._begin(environ, start_response)
        try:
            yield from answer
        finally:
            getattr(answer, "close", int)()

    def _by_threads(self, pieces: Generator[bytes, None, None]) -> Iterator[bytes]:
        context, end = copy_context(), None
        try:
            while end is None:
                block, end = self._pool.apply(context.run, (_block, pieces))
                if block:
                    yield block
            if not isinstance(end, StopIteration):
                raise end
        finally:
            if end is None:
                self._pool.apply(context.run, (pieces.close,))


def _block(pieces: Iterator[bytes]) -> tuple[bytes, BaseException | None]:
    """The next of an answer, and what has ended it: StopIteration, or an error."""
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
