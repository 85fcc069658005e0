"""What only SQLite knows: engines, pragmas, transactions.

WAL mode lets pages be read while a batch is committed (https://www.sqlite.org/wal.html). SQLite
3.7.0 to 3.51.2 can lose committed rows when two connections commit or checkpoint at the same
instant (https://www.sqlite.org/wal.html#walresetbug); two workers are that shape, so each commit,
each checkpoint (it runs inside a commit) and each closing holds one lock between processes.
"""

import ctypes
import logging
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from gettext import gettext as _
from typing import Any, Literal

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database.damage import Damage
from flask10x.database.driver import Driver
from flask10x.database.error_codes import DAMAGE_ERRORS, code_of, is_busy, reason_of
from flask10x.database.paths import database_path
from flask10x.errors import LockTimeout, QueryError
from flask10x.readings.reasons import Reason
from flask10x.system.fair_lock import FairLock
from flask10x.system.locks import lock_path

log = logging.getLogger(__name__)

# A lone commit writes whole pages, so small pages spare the card; the figures are in
# docs/decisions/0007. It only takes effect when the database is made.
PAGE_BYTES = 512
# A checkpoint copies each changed page once however often it changed, so a longer WAL means
# fewer bytes; 4 MB is also the most that the WAL file keeps after a burst.
WAL_BYTES = 4_000_000
# A commit goes on into the WAL for as long as anybody reads an old state of the database: pages do
# for milliseconds, a backup for minutes, a forgotten shell for ever. Four times its usual length is
# past what a burst and our own readers cause.
LONG_WAL_BYTES = 4 * WAL_BYTES
# What the WAL adds to each page (https://www.sqlite.org/fileformat.html#the_write_ahead_log).
FRAME_HEADER_BYTES = 24
# How long a commit waits for another process (a person in the sqlite3 shell, an import) before
# the writer counts a failure and backs off; ingest goes on meanwhile, it only queues.
WRITE_BUSY_TIMEOUT_MS = 1000
# Readers wait only while the first connection after a crash recovers the WAL.
READ_BUSY_TIMEOUT_MS = 5000
# A checkpoint on a slow card can hold the commit lock for longer than one wait; a whole night's
# export is too much to lose to it.
COMMIT_TRIES = 10
COMMIT_PAUSE_SEC = 0.2
# How soon a probe sees that whoever held SQLite's own lock has let it go.
PROBE_PAUSE_SEC = 0.025
# How many steps of its machine SQLite makes between two looks at the clock, each of which needs
# Python's lock. A scan makes four steps a row, so that is every 25,000 rows, about 1 ms on a PC;
# beside a scan of 40 ms the looks can't be measured.
STEPS_BETWEEN_LOOKS = 100_000
# The last release in which two connections can lose committed rows.
LAST_AFFECTED_SQLITE = (3, 51, 2)

# Without these SQLite makes a new, empty database where it finds none.
ONLY_EXISTING = {"uri": "true", "mode": "rw"}

NO_PROMISE = (
    "A commit ended only after the damage was known: it counts as not made, though the file may"
    " have what it stored"
)

Mode = Literal["read", "write"]


class QueryTooLong(QueryError):
    """A query looked at more rows than it could in the time that a page gets."""

    def __init__(self, timeout_sec: float) -> None:
        super().__init__({"query": Reason("took_too_long", sec=f"{timeout_sec:g}")})


class Database:
    """One process's way to the database file: an engine to read and one to write.

    Nothing is opened before the first use. Never carry one across a fork. A file that does not
    exist is an error, not a new database.
    """

    def __init__(self, settings: Settings, damage: Damage | None = None) -> None:
        """Raises OSError when the folder of the database can't be written."""
        self.path = database_path(settings)
        self.damage = damage or Damage()
        self._checkpoints = False
        self.reader = _engine(settings, "read", self.damage, lambda: self._checkpoints)
        self.writer = _engine(settings, "write", self.damage, lambda: self._checkpoints)
        self._query_timeout_sec = settings.query_timeout_sec
        self._lock = FairLock(lock_path(self.path, "commit")) if settings.commit_lock else None

    @contextmanager
    def commit(self) -> Iterator[Connection]:
        """A write transaction: BEGIN IMMEDIATE, and COMMIT when the block ends.

        Raises DatabaseDamaged, DatabaseSuspected, LockTimeout or sqlalchemy.exc.DBAPIError; then
        nothing of the block is stored, or nobody can say whether it is: an error of the COMMIT, or
        a damage that became known during it.
        """
        with self.turn(), self.transaction() as connection:
            yield connection

    def prepare(self) -> None:
        """Make what waiting for a commit needs, so that a writer never lacks it later.

        Raises RuntimeError when the system has no thread.
        """
        if self._lock is not None:
            self._lock.prepare()

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
        """As `commit`, for whoever has the turn."""
        with self.writer.begin() as connection:
            yield connection
        if self.damage.known:
            # The rescued copy may have begun before this COMMIT has returned.
            log.warning(NO_PROMISE)
        self.damage.check_known()

    def settle(self) -> None:
        """Return when no commit of any process is under way; raises LockTimeout."""
        with self._locked():
            return

    def commit_change(self, change: Callable[[Connection], None], tries: int | None = None) -> None:
        """Make the change in a transaction; tried COMMIT_TRIES times while others write.

        `change` is called once for each try. Raises what `commit` raises; then nothing of it is
        stored.
        """
        for left in reversed(range(tries or COMMIT_TRIES)):
            try:
                with self.commit() as connection:
                    change(connection)
                return
            except (LockTimeout, DBAPIError) as error:
                if not left or not is_busy(error):
                    raise
                time.sleep(COMMIT_PAUSE_SEC)

    @contextmanager
    def query(self, times: int = 1) -> Iterator[Connection]:
        """A read transaction that is broken off after that many times QUERY_TIMEOUT_SEC.

        Raises QueryTooLong, or what reading raises: sqlalchemy.exc.DBAPIError, TimeoutError.
        """
        timeout_sec = times * self._query_timeout_sec
        with self.reader.begin() as connection:
            driver: Any = connection.connection.driver_connection
            deadline_sec = time.monotonic() + timeout_sec
            driver.set_progress_handler(
                lambda: time.monotonic() > deadline_sec, STEPS_BETWEEN_LOOKS
            )
            try:
                yield connection
            except DBAPIError as error:
                if code_of(error) == "SQLITE_INTERRUPT":
                    raise QueryTooLong(timeout_sec) from error
                raise
            finally:
                # SQLAlchemy closes a connection that a Ctrl+C has met.
                if not connection.invalidated:
                    driver.set_progress_handler(None, 0)

    def probe(self) -> None:
        """Take and give back the write lock; raises as `commit` does, and writes nothing.

        It waits for as long as a commit, but holds up none: the commit lock is free between its
        tries.
        """
        deadline_sec = time.monotonic() + WRITE_BUSY_TIMEOUT_MS / 1000
        while True:
            try:
                self._probe_at_once()
                return
            except DBAPIError as error:
                if not is_busy(error) or time.monotonic() >= deadline_sec:
                    raise
            time.sleep(PROBE_PAUSE_SEC)

    def _probe_at_once(self) -> None:
        with self._locked(), self.writer.connect() as connection:
            driver: Any = connection.connection.driver_connection
            driver.execute("PRAGMA busy_timeout = 0").close()
            try:
                with connection.begin() as nothing:
                    nothing.rollback()
            finally:
                driver.execute(f"PRAGMA busy_timeout = {WRITE_BUSY_TIMEOUT_MS}").close()

    def forget(self) -> None:
        """Close the writing connection after an error; the next commit opens a new one."""
        if self.damage.halted:
            return
        with self._locked():
            self._dispose(self.writer)

    def close(self) -> None:
        """Close every connection; the last one of all processes checkpoints the WAL.

        A damaged or suspected database is left as it is, WAL and all.
        """
        try:
            if self.damage.halted:
                _leave_wal(self.reader, self.writer)
                return
            with self._locked():
                self._dispose(self.reader, self.writer)
        except LockTimeout as error:
            # SQLite recovers the WAL later.
            log.warning("Database left open at exit: %s", error)
            _leave_wal(self.reader, self.writer)
        finally:
            if self._lock is not None:
                self._lock.close()

    def _dispose(self, *engines: Engine) -> None:
        """Close under the commit lock; the last connection of all processes checkpoints."""
        self._checkpoints = True
        try:
            for engine in engines:
                engine.dispose()
        finally:
            self._checkpoints = False

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


def _checkpoint_on_close(driver: sqlite3.Connection, wanted: bool) -> None:
    """Set whether SQLite checkpoints the WAL when this connection closes as the last one.

    https://www.sqlite.org/c3ref/c_dbconfig_defensive.html; Python 3.11 can't set it.
    """
    if sys.version_info >= (3, 12):
        driver.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, not wanted)


def _leave_wal(*engines: Engine) -> None:
    """Close the connections without a checkpoint; on Python 3.11 let them outlive Python."""
    for engine in engines:
        if sys.version_info >= (3, 12):
            engine.dispose()
        else:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(engine))


def log_version(commit_lock: bool) -> None:
    """Log SQLite's version; WARN when it can lose committed rows and the commit lock is off."""
    log.info("SQLite %s", sqlite3.sqlite_version)
    if risk := version_risk(commit_lock):
        log.warning("%s", risk)


def version() -> str:
    """SQLite's version, `3.46.1`."""
    return sqlite3.sqlite_version


def version_risk(commit_lock: bool) -> str:
    """What this SQLite can lose without the commit lock; empty when nothing."""
    if commit_lock or sqlite3.sqlite_version_info > LAST_AFFECTED_SQLITE:
        return ""
    text = _(
        "SQLite {version} can lose committed rows when two workers commit at the same instant, and"
        " FLASK10X_COMMIT_LOCK is off"
    )
    return text.format(version=version())


def last_id(connection: Connection, table: str = "readings") -> int:
    """The highest id that a row ever had, also when that row is gone; 0 before the first.

    As no id is used twice or left out, this is the number of rows ever stored
    (https://www.sqlite.org/autoinc.html).
    """
    query = "SELECT seq FROM sqlite_sequence WHERE name = ?"
    return connection.exec_driver_sql(query, (table,)).scalar_one_or_none() or 0


def rolled_back(connection: Connection) -> bool:
    """Whether SQLite has already ended the transaction because of an error in it."""
    driver: Any = connection.connection.driver_connection
    return not driver.in_transaction


def begin_again(connection: Connection) -> None:
    """Begin anew what SQLite has rolled back, while the commit lock is still held."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _engine(
    settings: Settings, mode: Mode, damage: Damage, checkpoints: Callable[[], bool]
) -> Engine:
    timeout_ms = READ_BUSY_TIMEOUT_MS if mode == "read" else WRITE_BUSY_TIMEOUT_MS
    engine = create_engine(
        URL.create("sqlite", database=database_path(settings).as_uri(), query=ONLY_EXISTING),
        connect_args={"timeout": timeout_ms / 1000, "factory": Driver},
        # One connection writes; the others would only wait for it. The monitor, the inspection and
        # the watches of alerts read too, and two threads ask for senders' keys, which no page may
        # hold up.
        pool_size=settings.threads + 5 if mode == "read" else 1,
        max_overflow=0,
    )
    pragmas = _read_pragmas() if mode == "read" else _write_pragmas(settings)

    @event.listens_for(engine, "connect")
    def prepare(driver: sqlite3.Connection, _record: object) -> None:
        # What closes by itself, after an error or by Python's collector, has no commit lock.
        _checkpoint_on_close(driver, wanted=False)
        # Without this the sqlite3 module begins transactions by itself, and late.
        driver.isolation_level = None
        for pragma in pragmas:
            driver.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "close")
    def close(driver: sqlite3.Connection, _record: object) -> None:
        _checkpoint_on_close(driver, wanted=checkpoints() and not damage.halted)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A deferred transaction that reads first and then writes fails at once with
        # SQLITE_BUSY_SNAPSHOT, whatever the timeout (https://www.sqlite.org/isolation.html).
        connection.exec_driver_sql("BEGIN" if mode == "read" else "BEGIN IMMEDIATE")

    @event.listens_for(engine, "handle_error")
    def notice(context: ExceptionContext) -> None:
        if code_of(context.original_exception).startswith(DAMAGE_ERRORS):
            damage.suspect(reason_of(context.original_exception))

    return engine


def _read_pragmas() -> list[str]:
    # SQLite sorts the rows of a chart before it groups them; a file for that would go to the card.
    return ["query_only = ON", "temp_store = MEMORY"]


def _write_pragmas(settings: Settings) -> list[str]:
    return [
        f"page_size = {PAGE_BYTES}",
        "journal_mode = WAL",
        f"synchronous = {settings.synchronous}",
        f"wal_autocheckpoint = {WAL_BYTES // (PAGE_BYTES + FRAME_HEADER_BYTES)}",
        f"journal_size_limit = {WAL_BYTES}",
        "foreign_keys = ON",
    ]
