"""One process's way to the database, whichever engine it is on: transactions and their locks.

What only one engine knows is in `sqlite/connections.py` and `postgres/connections.py`.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Select
from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database import engines
from flask10x.database.damage import Damage
from flask10x.database.error_codes import WRITE_BUSY_TIMEOUT_MS, is_busy
from flask10x.database.paths import database_path
from flask10x.errors import LockTimeout
from flask10x.system.locks import FairLock, lock_path

T = TypeVar("T")
log = logging.getLogger(__name__)

# A checkpoint on a slow card can hold the commit lock for longer than one wait; a whole night's
# export is too much to lose to it.
COMMIT_TRIES = 10
COMMIT_PAUSE_SEC = 0.2
# How soon a probe sees that SQLite's own lock is free again.
PROBE_PAUSE_SEC = 0.025
NO_PROMISE = (
    "A commit ended only after the damage was known: it counts as not made, though the file may"
    " have what it stored"
)


class Database:
    """One process's way to the database: an engine to read and one to write.

    Nothing is opened before the first use. Never carry one across a fork. A database that
    does not exist is an error, not a new one.
    """

    def __init__(self, settings: Settings, damage: Damage | None = None) -> None:
        """Raises OSError when the folder of the database can't be written."""
        self.path = database_path(settings)
        self.damage = damage or Damage()
        engine = engines.engine_of(settings)
        self.hosts, self.server = engine.hosts, engine.server
        self._connections = engine.connections(self.damage, WRITE_BUSY_TIMEOUT_MS)
        self.reader, self.writer = self._connections.reader, self._connections.writer
        self._query_timeout_sec = settings.query_timeout_sec
        self._lock = FairLock(lock_path(self.path, "commit")) if settings.commit_lock else None

    @contextmanager
    def commit(self) -> Iterator[Connection]:
        """A write transaction: BEGIN IMMEDIATE, and COMMIT when the block ends.

        Raises DatabaseDamaged, DatabaseSuspected, LockTimeout or sqlalchemy.exc.DBAPIError; then
        nothing of the block is stored, or it is unknown whether it is: an error of the COMMIT, or
        a damage that became known during it. After CommitNotReplicated it is stored, but on one
        machine only.
        """
        with self.turn(), self.transaction() as connection:
            self._connections.begin(connection)
            yield connection

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the commit lock: no other commit of any process begins or is under way.

        Raises DatabaseDamaged, DatabaseSuspected or LockTimeout.
        """
        self.damage.check()
        with self._locked():
            # It may have become known while this waited for the lock.
            self.damage.check()
            yield

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """As `commit`, for a thread that has the turn.

        Of several hosts others may still commit before the first statement whose result is needed.
        """
        with self.writer.begin() as connection:
            yield connection
        self._connections.check_commit()
        if self.damage.is_damaged:
            # The rescued copy may have begun before this COMMIT has returned.
            log.warning(NO_PROMISE)
        self.damage.check_damaged()

    @contextmanager
    def migration(self) -> Iterator[Connection]:
        """As `commit`, to create what a commit needs; of several hosts one at a time."""
        with self.turn():
            with self._connections.migration() as connection:
                yield connection
            self._connections.check_commit()

    def settle(self) -> None:
        """Return when no commit of any process is under way; raises LockTimeout."""
        with self._locked():
            return

    def commit_change(self, change: Callable[[Connection], None], tries: int | None = None) -> None:
        """Make the change in a transaction; tried COMMIT_TRIES times while others write.

        `change` is called once for each try. Raises what `commit` raises, which says what is
        stored then.
        """
        for tries_left in reversed(range(tries or COMMIT_TRIES)):
            try:
                with self.commit() as connection:
                    change(connection)
                return
            except (LockTimeout, DBAPIError) as error:
                if not tries_left or not is_busy(error):
                    raise
                time.sleep(COMMIT_PAUSE_SEC)

    @contextmanager
    def query(self, times: int = 1) -> Iterator[Connection]:
        """A read transaction that is broken off after that many times QUERY_TIMEOUT_SEC.

        Raises QueryTooLong, or what reading raises: sqlalchemy.exc.DBAPIError, TimeoutError.
        """
        timeout_sec = times * self._query_timeout_sec
        with (
            self.reader.begin() as connection,
            self._connections.limit(connection, timeout_sec),
        ):
            yield connection

    @contextmanager
    def range_query(self) -> Iterator[Connection]:
        """A read transaction for a range of ids, which is read by the index; without a limit.

        The planner of PostgreSQL would read the whole of a table of some 100,000 rows, for each
        part of the range. Raises what reading raises.
        """
        with self.reader.begin() as connection:
            self._connections.by_index(connection)
            yield connection

    def probe(self) -> None:
        """Take and give back the write lock; raises as `commit` does, and writes nothing.

        It waits for as long as a commit, but holds up none: the commit lock is free between its
        tries.
        """
        deadline_sec = time.monotonic() + WRITE_BUSY_TIMEOUT_MS / 1000
        while True:
            try:
                with self._locked():
                    self._connections.probe()
                return
            except DBAPIError as error:
                if not is_busy(error) or time.monotonic() >= deadline_sec:
                    raise
            time.sleep(PROBE_PAUSE_SEC)

    def promptly(self) -> AbstractContextManager[None]:
        """In the block no server is waited for longer than 1.5 s: for questions about the service.

        Raises sqlalchemy.exc.DBAPIError or TimeoutError when it does not answer, which takes no
        longer, however many ask at once.
        """
        return self._connections.promptly()

    def forget(self) -> None:
        """Close the writing connection after an error; the next commit opens a new one."""
        if self.damage.halted:
            return
        with self._locked():
            self._connections.close(self.writer)

    @property
    def no_answer(self) -> str:
        """Why the server did not answer this process last; empty when it did, or there is none."""
        return self._connections.no_answer

    def break_off(self) -> None:
        """Wait for no server any longer: what it has not answered within a second is an error.

        From any thread, when the process ends; only on PostgreSQL is there one to wait for.
        """
        self._connections.break_off()

    def close(self) -> None:
        """Close every connection; the last one of all processes checkpoints the WAL.

        A damaged or suspected database is left as it is, WAL and all.
        """
        try:
            if self.damage.halted:
                self._connections.leave()
                return
            with self._locked():
                self._connections.close(self.reader, self.writer)
        except LockTimeout as error:
            log.warning("Database left open at exit: %s", error)
            self._connections.leave()
        finally:
            if self._lock is not None:
                self._lock.close()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if self._lock is None:
            yield
            return
        self._lock.acquire(WRITE_BUSY_TIMEOUT_MS / 1000)
        try:
            yield
        finally:
            self._lock.release()


def all_rows(
    connection: Connection, query: Select[Any], values: Mapping[str, Any] | None = None
) -> list[tuple[Any, ...]]:
    """Return the driver's own tuples: SQLAlchemy's rows cost a third of the time.

    Raises DBAPIError, also when it fails at a later row.
    """
    result = connection.execute(query, values)
    try:
        return list(result.cursor.fetchall()) if result.cursor else []
    except connection.dialect.loaded_dbapi.Error as error:
        statement = str(query.compile(dialect=connection.dialect))
        raise DBAPIError(statement, None, error) from error
