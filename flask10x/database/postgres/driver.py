"""psycopg's connection, which ends a silence, and needs few ways to the server and back.

A server that hangs keeps its connections, its kernel acknowledges what is sent and answers
every keepalive, and no limit of the server's own ends a statement. So the client has the limit:
psycopg gives control back ten times a second (its `_WAIT_INTERVAL`).

What needs no answer waits for the next statement that does, and goes to the server with it: the
begin of a transaction, what it sets, what it only writes. All that still waits goes with its end.
The transaction is ours, psycopg has none (`autocommit`).
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
from typing import Any, Self, cast

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError, InvalidatePoolError, TimeoutError

from flask10x.database.error_codes import QueryTooLong
from flask10x.database.expressions import LATER

# Each refused batch would be two lines of the log: what psycopg warns of is that it passes over
# what it raises besides, when it ends what an error has ended already.
logging.getLogger(psycopg.__name__).setLevel(logging.ERROR)

# How long the server may be silent where it has nothing to do: a question whether it is there, the
# begin of a transaction by itself.
ANSWER_WITHIN_SEC = 5.0
# For how long a connection that was heard is not asked whether it still leads anywhere. A server
# that ends says so to each of its connections; one whose machine is gone says nothing.
HEARD_WITHIN_SEC = ANSWER_WITHIN_SEC
# PostgreSQL limits each statement. Before a further one less time is left: the limit is set again
# once so much less is that it matters, for each time is one statement more.
LIMIT_STAYS_WITHIN = 0.75
# What a stopping process still has time for.
ENDING_SEC = 1.0


@dataclass(slots=True)
class Patience:
    """The limit of all connections of a process, or of a request about the state of the service."""

    max_sec: float = inf
    """For how long any server may be silent, whatever its connection allows."""
    gave_up: bool = False
    """Whether some server was silent for so long in the request; then no further one is asked."""


class NoAnswer(psycopg.OperationalError):
    """The server has said nothing for too long; the connection is closed."""


_of_request: ContextVar[Patience] = ContextVar("patience")


@contextmanager
def impatient(max_sec: float) -> Iterator[None]:
    """In the block no server may be silent for longer, whatever its connection allows."""
    token = _of_request.set(Patience(max_sec))
    try:
        yield
    finally:
        _of_request.reset(token)


class TurnLost(psycopg.InternalError):
    """What a commit locks is not there; nothing can be stored until it is put back."""


class PatientConnection(psycopg.Connection[Any]):
    """A connection on which a silence has an end, and some statements wait for the next one."""

    silence_max_sec = ANSWER_WITHIN_SEC
    """For how long the server may be silent: each row that it sends restarts it."""
    patience = Patience()
    end = "COMMIT"
    """The statements that end a transaction."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.server_cursor_factory = StreamingCursor
        self._waiting: list[str] = []
        self._begins = False
        self._then_silence_max_sec = 0.0
        self._heard_sec = monotonic()
        self._timeout_sec = self._deadline_sec = inf
        self._limit_sec = 0.0

    def begin(self, statements: Sequence[str], then_silence_max_sec: float = 0.0) -> None:
        """Begin a transaction by these statements with the first one that is executed.

        Where the server may be silent for longer after that than `silence_max_sec`, they go by
        themselves first, so that one that does not answer at all is noticed early.
        """
        self._waiting, self._begins = list(statements), True
        self._then_silence_max_sec = then_silence_max_sec

    def allow_silence(self, max_sec: float) -> None:
        """Allow the server to be silent for so long, until the engine has the connection back."""
        self.silence_max_sec, self._then_silence_max_sec = max_sec, 0.0

    def send_begin(self) -> None:
        """Send a queued BEGIN by itself, if there is one to be sent so."""
        if self._waiting and self._then_silence_max_sec:
            self._send(self.take_waiting())
            self.allow_silence(self._then_silence_max_sec)

    def send_waiting(self) -> None:
        """Send all queued statements, without waiting for another one."""
        self.send_begin()
        self._send(self.take_waiting())

    def _send(self, statements: Sequence[str]) -> None:
        if statements:
            psycopg.ClientCursor(self).execute("; ".join(statements).encode())

    def add(self, statement: str) -> None:
        """Have a statement go with the next one that is executed, or with the COMMIT."""
        self._waiting.append(statement)
        self._begins = False

    def limit(self, timeout_sec: float, settings: str = "") -> None:
        """From now on statements end within that time, all in all; these settings go with them."""
        self._timeout_sec, self._deadline_sec = timeout_sec, monotonic() + timeout_sec
        self._limit_sec = 0.0
        if settings:
            self._waiting.append(settings)

    def limit_next(self) -> None:
        """Have the server end the next statement after the time that is left.

        Raises QueryTooLong when no time is left.
        """
        if self._deadline_sec == inf:
            return
        left_sec = self._deadline_sec - monotonic()
        if left_sec <= 0:
            raise QueryTooLong(self._timeout_sec)
        if not LIMIT_STAYS_WITHIN * self._limit_sec <= left_sec <= self._limit_sec:
            self._limit_sec = left_sec
            self.add(f"SET LOCAL statement_timeout = {max(1, int(left_sec * 1000))}")

    def take_waiting(self) -> list[str]:
        """Return the queued statements, and empty the queue: the caller sends them."""
        waiting, self._waiting, self._begins = self._waiting, [], False
        return waiting

    def commit(self) -> None:
        """End the transaction, and send what waits before its end."""
        waiting = [] if self._begins else self._waiting
        self._waiting = []
        if waiting or self.pgconn.transaction_status != TransactionStatus.IDLE:
            self._send((*waiting, self.end))

    def rollback(self) -> None:
        """Undo the transaction; what waits is forgotten."""
        self._waiting = []
        # The pool undoes what has ended long ago, each time a connection comes back to it.
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            super().rollback()

    def require_alive(self) -> None:
        """Raise psycopg.Error when the server has ended, or does not answer a question.

        It is asked when it has not been heard for some seconds.
        """
        # Its last words, and that nothing follows them.
        for _ in range(2):
            self.pgconn.consume_input()
        if monotonic() - self._heard_sec > HEARD_WITHIN_SEC:
            self.execute("")

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
                else:
                    request = _of_request.get(None) or Patience()
                    limits = self.silence_max_sec, self.patience.max_sec, request.max_sec
                    if (silent_sec := monotonic() - heard_sec) > min(limits):
                        # What was asked may still be done: its outcome is unknown.
                        self.pgconn.finish()
                        request.gave_up = True
                        raise NoAnswer(f"no answer for {silent_sec:.0f} s")
                awaited = gen.send(ready)
        except StopIteration as end:
            self._heard_sec = monotonic()
            return end.value


class TextCursor(psycopg.ClientCursor[Any]):
    """Sends what waits and its own statement as one text; the result is that of its own.

    A message for each of them, as a pipeline has it, takes psycopg as long as the statement itself.
    """

    def execute(self, query: Any, params: Any = None, **named: Any) -> Self:
        """As psycopg's."""
        # First, for what is no text leaves all as it was.
        text = self.mogrify(query, params)
        connection = _driver_of(self)
        connection.send_begin()
        super().execute("; ".join((*connection.take_waiting(), text)).encode(), **named)
        self.set_result(-1)
        return self


class _WholeNumber(Dumper):
    """A whole number; one below 0 in parentheses: else a cast concerns it without its sign.

    (https://www.postgresql.org/docs/17/sql-syntax-lexical.html#SQL-PRECEDENCE)
    """

    def dump(self, obj: int) -> Buffer:
        """As psycopg's; the statement says of which type a parameter is."""
        return b"%d" % obj

    def quote(self, obj: int) -> Buffer:
        """As psycopg's."""
        return (b"(%d)" if obj < 0 else b"%d") % obj


class StreamingCursor(psycopg.ServerCursor[Any]):
    """Sends what waits before its own statement, whose rows come a portion at a time."""

    def execute(self, query: Any, params: Any = None, **named: Any) -> Self:
        """As psycopg's."""
        _driver_of(self).send_waiting()
        return super().execute(query, params, **named)


def use(engine: Engine, patience: Patience) -> None:
    """Have the engine's connections end a silence; between transactions it is a short one."""

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: object, _record: object, arguments: list[Any], named: Any) -> Any:
        if (request := _of_request.get(None)) is not None and request.gave_up:
            raise NoAnswer("no answer")
        connection = PatientConnection.connect(*arguments, autocommit=True, **named)
        connection.patience = patience
        connection.adapters.register_dumper(int, _WholeNumber)
        return connection

    @event.listens_for(engine, "checkout")
    def look(driver: PatientConnection, _record: object, _proxy: object) -> None:
        try:
            driver.require_alive()
        except psycopg.Error as error:
            # All others lead to the same server.
            raise InvalidatePoolError from error

    @event.listens_for(engine, "checkin")
    def give_back(driver: PatientConnection | None, _record: object) -> None:
        if driver is not None:
            driver.allow_silence(ANSWER_WITHIN_SEC)


def send_together(engine: Engine) -> None:
    """Have statements whose result is not needed wait for the next one, or the COMMIT.

    Also a statement with many rows of parameters goes to the server at once, as a whole. psycopg
    sends them one after the other, and until the last one the server waits in the middle of them,
    where no limit of an idle transaction counts: a host that hangs then would keep all others from
    committing.
    """

    @event.listens_for(engine, "do_execute")
    def run(cursor: TextCursor, statement: str, values: Any, context: Any) -> bool:
        connection = _driver_of(cursor)
        connection.limit_next()
        if context.execution_options.get(LATER):
            connection.add(cursor.mogrify(statement.encode(), values))
        else:
            cursor.execute(statement.encode(), values)
        return True

    @event.listens_for(engine, "do_executemany")
    def run_many(cursor: TextCursor, statement: str, rows: Sequence[Any], context: Any) -> bool:
        texts = "; ".join(cursor.mogrify(statement.encode(), row) for row in rows)
        if context.execution_options.get(LATER):
            _driver_of(cursor).add(texts)
        else:
            cursor.execute(texts.encode())
        return True


def connection_of(connection: Connection) -> PatientConnection:
    """Return the driver's connection behind one of SQLAlchemy's."""
    driver: Any = connection.connection.driver_connection
    return cast("PatientConnection", driver)


def send(connection: Connection) -> None:
    """Send the queued statements, if there are any; raises sqlalchemy.exc.DBAPIError."""
    *before, last = connection_of(connection).take_waiting() or [""]
    if last:
        connection_of(connection).begin(before)
        connection.exec_driver_sql(last)


def _driver_of(cursor: psycopg.Cursor[Any]) -> PatientConnection:
    return cast("PatientConnection", cursor.connection)


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
        self._thread: threading.Thread | None = None

    @property
    def is_asking(self) -> bool:
        """True in the thread that asks the server."""
        return threading.current_thread() is self._thread

    def require(self, within_sec: float) -> None:
        """Return when the server answers; raises DBAPIError or TimeoutError.

        It takes at most this long after the question was asked, by whichever thread.
        """
        with self._lock:
            if self._answer is None or self._answer.done():
                self._answer, self._began_sec = Future(), monotonic()
                ask = partial(self._ask, self._answer)
                self._thread = threading.Thread(target=ask, name="answering", daemon=True)
                try:
                    self._thread.start()
                except (RuntimeError, MemoryError):
                    # Out of threads: the next read finds out.
                    self._answer.set_result(None)
            answer, began_sec = self._answer, self._began_sec
        wait([answer], max(0.0, began_sec + within_sec - monotonic()))
        if not answer.done():
            silent_sec = monotonic() - began_sec
            raise DBAPIError("", None, NoAnswer(f"no answer for {silent_sec:.0f} s"))
        error = answer.exception()
        if isinstance(error, DBAPIError):
            # Several threads may raise it.
            own = DBAPIError("", None, error.orig or error)
            own.detail = [*error.detail]
            raise own
        if error is not None:
            raise TimeoutError(str(error))

    def _ask(self, answer: "Future[object]") -> None:
        try:
            answer.set_result(self._question())
        except BaseException as error:
            answer.set_exception(error)
