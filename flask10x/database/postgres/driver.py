"""psycopg's connection, which breaks off when the server says nothing for too long.

A server that hangs keeps its connections, its kernel acknowledges what is sent and answers
every keepalive, and no limit of the server's own ends a statement. So the client has the limit:
psycopg gives control back ten times a second (its `_WAIT_INTERVAL`).
"""

import logging
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from math import inf
from time import monotonic
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError, TimeoutError

# Each refused batch would be two lines of the log: what psycopg warns of is that it passes over
# what it raises besides, when it ends what an error has ended already.
logging.getLogger(psycopg.__name__).setLevel(logging.ERROR)

# How long the server may be silent where it has nothing to do: a ping, the begin of a transaction.
ANSWER_WITHIN_SEC = 5.0
# What a stopping process still has time for.
ENDING_SEC = 1.0


@dataclass(slots=True)
class Patience:
    """What holds for all connections of a process."""

    max_sec: float = inf
    """For how long any server may be silent, whatever its connection allows."""


class NoAnswer(psycopg.OperationalError):
    """The server has said nothing for too long; the connection is closed."""


@dataclass(slots=True)
class _Impatience:
    """The limit of a request that asks about the state of the service."""

    max_sec: float = inf
    gave_up: bool = False
    """Whether some server has said nothing for so long; then no further one is asked."""


_impatience: ContextVar[_Impatience] = ContextVar("impatience")


@contextmanager
def impatient(max_sec: float) -> Iterator[None]:
    """In the block no server may be silent for longer, whatever its connection allows."""
    token = _impatience.set(_Impatience(max_sec))
    try:
        yield
    finally:
        _impatience.reset(token)


class TurnLost(psycopg.InternalError):
    """What a commit locks is not there; nothing can be stored until it is put back."""


class PatientConnection(psycopg.Connection[Any]):
    """A connection on which a silence has an end."""

    silence_max_sec = ANSWER_WITHIN_SEC
    """For how long the server may be silent: each row that it sends restarts it."""
    patience = Patience()

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **kwargs: Any) -> Any:
        """All that psycopg waits for goes through this; raises NoAnswer."""
        try:
            return super().wait(self._limited(gen), *args, **kwargs)
        except Exception:
            raise
        except BaseException:
            # Ctrl+C that came while `_limited` ran has ended it, so psycopg could not read the end
            # of the statement that it cancels.
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()
            raise

    def _limited(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        heard_sec = monotonic()
        try:
            awaited = next(gen)
            while True:
                ready = yield awaited
                if ready:
                    heard_sec = monotonic()
                elif monotonic() - heard_sec > self._max_sec:
                    self._give_up(monotonic() - heard_sec)
                awaited = gen.send(ready)
        except StopIteration as end:
            return end.value

    @property
    def _max_sec(self) -> float:
        return min(self.silence_max_sec, self.patience.max_sec, _impatience_of_this().max_sec)

    def _give_up(self, silent_sec: float) -> None:
        # What was asked may still be done: it counts as an error with an unknown outcome.
        self.pgconn.finish()
        _impatience_of_this().gave_up = True
        raise NoAnswer(f"no answer for {silent_sec:.0f} s")


def _impatience_of_this() -> _Impatience:
    return _impatience.get(None) or _Impatience()


def use(engine: Engine, patience: Patience) -> None:
    """Have the engine's connections end a silence; between transactions it is a short one."""

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: object, _record: object, arguments: list[Any], named: Any) -> Any:
        if _impatience_of_this().gave_up:
            raise NoAnswer("no answer")
        connection = PatientConnection.connect(*arguments, **named)
        connection.patience = patience
        return connection

    @event.listens_for(engine, "checkin")
    def give_back(driver: PatientConnection | None, _record: object) -> None:
        if driver is not None:
            driver.silence_max_sec = ANSWER_WITHIN_SEC


def send_whole(engine: Engine) -> None:
    """Have a statement with many rows of parameters go to the server at once, as a whole.

    psycopg sends them one after the other, and until the last one the server waits in the middle of
    them, where no limit of an idle transaction counts: a host that hangs then would keep all
    others from committing.
    """

    @event.listens_for(engine, "do_executemany")
    def run(cursor: Any, statement: str, rows: Sequence[Any], _context: object) -> bool:
        texts = psycopg.ClientCursor(cursor.connection)
        cursor.execute("; ".join(texts.mogrify(statement.encode(), row) for row in rows))
        return True


def allow_silence(connection: Connection, max_sec: float) -> None:
    """Until the connection goes back to its engine, its server may be silent for so long."""
    driver: Any = connection.connection.driver_connection
    driver.silence_max_sec = max_sec


class Answering:
    """Asks a server whether it answers: one question at a time for all threads.

    A server that hangs is noticed after the limits of a connection only, and a new
    connection to one of several hosts waits for each of them. So a thread of its own waits, and who
    asks while it does gets no answer from then on.
    """

    def __init__(self, question: Callable[[], object]) -> None:
        """`question` is answered, or raises what reading a database raises."""
        self._question = question
        self._lock = threading.Lock()
        self._began_sec = 0.0
        self._answer: Future[object] | None = None

    def require(self, within_sec: float) -> None:
        """Return when the server answers; raises DBAPIError or TimeoutError.

        It takes at most this long after the question was asked, by whichever thread.
        """
        answer, began_sec = self._begun()
        wait([answer], max(0.0, began_sec + within_sec - monotonic()))
        if not answer.done():
            silent_sec = monotonic() - began_sec
            raise DBAPIError("", None, NoAnswer(f"no answer for {silent_sec:.0f} s"))
        error = answer.exception()
        if isinstance(error, DBAPIError):
            # Several threads may raise it.
            raise DBAPIError("", None, error.orig or error)
        if error is not None:
            raise TimeoutError(str(error))

    def _begun(self) -> tuple["Future[object]", float]:
        """What becomes the answer, and when the question was asked."""
        with self._lock:
            if self._answer is None or self._answer.done():
                self._answer, self._began_sec = Future(), monotonic()
                ask = partial(self._ask, self._answer)
                try:
                    threading.Thread(target=ask, name="answering", daemon=True).start()
                except RuntimeError:
                    # Out of threads: the next read finds out.
                    self._answer.set_result(None)
            return self._answer, self._began_sec

    def _ask(self, answer: "Future[object]") -> None:
        try:
            answer.set_result(self._question())
        except BaseException as error:
            answer.set_exception(error)
