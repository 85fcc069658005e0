"""Who answers a request: the main thread what sensors post, other threads what may take long."""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextvars import Context, copy_context
from time import monotonic
from typing import TYPE_CHECKING, Any

from gevent.threadpool import ThreadPool

from flask10x.readings.stations import STATIONS
from flask10x.server.receipts import Receipts
from flask10x.system.priority import give_way
from flask10x.web.limits import RECEIPT

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

AT_ONCE = frozenset(
    {("GET", "/healthz"), *(("POST", f"/{station.endpoint}") for station in STATIONS)}
)
# A long answer lets others go first after so much of it; whatever is shorter is one job.
BLOCK_BYTES = 64 * 1024
BLOCK_SEC = 0.1


class Threads:
    """The application, of which `number` threads answer everything that may take long."""

    def __init__(self, app: "WSGIApplication", number: int) -> None:
        """Makes the threads; raises RuntimeError when the system has none."""
        self._app = app
        self._receipts = Receipts()
        self._pool = ThreadPool(number)
        self._pool.size = number

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """The answer as WSGI has it (PEP 3333); the status is known with its first piece."""
        if (environ["REQUEST_METHOD"], environ["PATH_INFO"]) in AT_ONCE:
            environ[RECEIPT] = self._receipts.new
            return self._begin(environ, start_response)
        return self._by_threads(self._blocks(environ, start_response))

    def _begin(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        answer = self._app(environ, start_response)
        # The application has not read the body to its end: this is the last answer.
        if environ["wsgi.input"].read(1):
            environ["gunicorn.socket"].request.force_close()
        return answer

    def _blocks(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Generator[bytes, None, None]:
        answer = self._begin(environ, start_response)
        block, size, until = [], 0, monotonic() + BLOCK_SEC
        try:
            for piece in answer:
                block.append(piece)
                size += len(piece)
                if size >= BLOCK_BYTES or monotonic() > until:
                    yield b"".join(block)
                    block, size, until = [], 0, monotonic() + BLOCK_SEC
        finally:
            if close := getattr(answer, "close", None):
                close()
        yield b"".join(block)

    def _by_threads(self, blocks: Generator[bytes, None, None]) -> Iterator[bytes]:
        context = copy_context()
        try:
            while (block := self._step(context, next, blocks, None)) is not None:
                yield block
        finally:
            self._step(context, blocks.close)

    def _step(self, context: Context, *act: Any) -> Any:
        outcome = self._pool.apply(context.run, (_outcome, *act))
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


def _outcome(act: Callable[..., Any], *args: Any) -> Any:
    """What comes of it, an error too; gevent would write one on stderr."""
    give_way()
    try:
        return act(*args)
    except BaseException as error:
        return error
