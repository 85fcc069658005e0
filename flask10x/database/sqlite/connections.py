"""What only SQLite knows of connections: pragmas, the checkpoint, the handler that breaks off.

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
from functools import partial
from gettext import gettext as _
from typing import Any, Literal

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database.damage import Damage
from flask10x.database.engine import Connections
from flask10x.database.error_codes import (
    DAMAGE_ERRORS,
    QueryTooLong,
    code_of,
    reason_of,
)
from flask10x.database.paths import database_path
from flask10x.database.sqlite import litestream
from flask10x.database.sqlite.driver import Driver
from flask10x.database.sqlite.statements import SQLITE

log = logging.getLogger(__name__)

# A lone commit writes whole pages, so small pages spare the card; the figures are in
# docs/decisions/0006. It only takes effect when the database is made.
PAGE_BYTES = 512
# A checkpoint copies each changed page once however often it changed, so a longer WAL means
# fewer bytes; 4 MB is also the most that the WAL file keeps after a burst.
WAL_BYTES = 4_000_000
# Where Litestream runs, it copies the WAL into the database, at 3.2 MB (deploy/litestream/), and
# then writes: at the same instant as a checkpoint of this SQLite, without our lock, that is what
# can lose rows. So ours comes only when Litestream does not (docs/decisions/0024).
WAL_BYTES_BESIDE_LITESTREAM = 2 * WAL_BYTES
# A commit goes on into the WAL for as long as a connection reads an old state: pages do
# for milliseconds, a backup for minutes, a forgotten shell for ever. Four times its usual length is
# past what a burst and our own readers cause.
LONG_WAL_BYTES = 4 * WAL_BYTES
# What the WAL adds to each page (https://www.sqlite.org/fileformat.html#the_write_ahead_log).
FRAME_HEADER_BYTES = 24
# Readers wait only while the first connection after a crash recovers the WAL.
READ_BUSY_TIMEOUT_MS = 5000
# How many steps of its machine SQLite makes between two looks at the clock, each of which needs
# Python's lock. A scan makes four steps a row, so that is every 25,000 rows, about 1 ms on a PC;
# beside a scan of 40 ms the looks can't be measured.
STEPS_BETWEEN_LOOKS = 100_000
# The last release in which two connections can lose committed rows.
LAST_AFFECTED_SQLITE = (3, 51, 2)

# Without these SQLite makes a new, empty database where it finds none.
ONLY_EXISTING = {"uri": "true", "mode": "rw"}

Mode = Literal["read", "write"]


class SqliteConnections(Connections):
    """The connections of one process to the database file: an engine to read and one to write."""

    def __init__(self, settings: Settings, damage: Damage, busy_timeout_ms: int) -> None:
        """Opens none yet. A commit waits so long for another process."""
        self._busy_timeout_ms = busy_timeout_ms
        self._damage = damage
        self._checkpoints = False
        engine = partial(_engine, settings, damage, lambda: self._checkpoints)
        self.reader = engine("read", READ_BUSY_TIMEOUT_MS)
        self.writer = engine("write", busy_timeout_ms)

    @contextmanager
    def limit(self, connection: Connection, timeout_sec: float) -> Iterator[None]:
        """Break off what the block runs on the connection once the time is over.

        Raises QueryTooLong then.
        """
        driver: Any = connection.connection.driver_connection
        deadline_sec = time.monotonic() + timeout_sec
        driver.set_progress_handler(lambda: time.monotonic() > deadline_sec, STEPS_BETWEEN_LOOKS)
        try:
            yield
        except DBAPIError as error:
            if code_of(error) == "SQLITE_INTERRUPT":
                raise QueryTooLong(timeout_sec) from error
            raise
        finally:
            # SQLAlchemy closes a connection that a Ctrl+C has met.
            if not connection.invalidated:
                driver.set_progress_handler(None, 0)

    def probe(self) -> None:
        """Take the write lock and give it back, without waiting for it."""
        with self.writer.connect() as connection:
            driver: Any = connection.connection.driver_connection
            driver.execute("PRAGMA busy_timeout = 0").close()
            try:
                with connection.begin() as nothing:
                    nothing.rollback()
            finally:
                driver.execute(f"PRAGMA busy_timeout = {self._busy_timeout_ms}").close()

    def close(self, *engines: Engine) -> None:
        """Close under the commit lock; the last connection of all processes checkpoints."""
        self._checkpoints = True
        try:
            for engine in engines:
                engine.dispose()
        finally:
            self._checkpoints = False

    def leave(self) -> None:
        """Close them without a checkpoint; on Python 3.11 let them outlive Python.

        SQLite recovers the WAL later.
        """
        for engine in (self.reader, self.writer):
            if sys.version_info >= (3, 12):
                engine.dispose()
            else:
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(engine))


def _checkpoint_on_close(driver: sqlite3.Connection, checkpoints: bool) -> None:
    """Set whether SQLite checkpoints the WAL when this connection closes as the last one.

    https://www.sqlite.org/c3ref/c_dbconfig_defensive.html; Python 3.11 can't set it.
    """
    if sys.version_info >= (3, 12):
        driver.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, not checkpoints)


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


def _engine(
    settings: Settings,
    damage: Damage,
    checkpoints: Callable[[], bool],
    mode: Mode,
    timeout_ms: int,
) -> Engine:
    engine = create_engine(
        URL.create(SQLITE, database=database_path(settings).as_uri(), query=ONLY_EXISTING),
        connect_args={"timeout": timeout_ms / 1000, "factory": Driver},
        # One connection writes; the others would only wait for it. The monitor, the inspection, the
        # watches of alerts and what tells open pages read too, and two threads ask for senders'
        # keys, which no page may hold up.
        pool_size=settings.threads + 6 if mode == "read" else 1,
        max_overflow=0,
    )
    # SQLite sorts the rows of a chart before it groups them; a file for that would go to the card.
    pragmas = ["query_only = ON", "temp_store = MEMORY"]
    if mode == "write":
        is_replicated = litestream.is_used(database_path(settings))
        wal_bytes = WAL_BYTES_BESIDE_LITESTREAM if is_replicated else WAL_BYTES
        pragmas = [
            f"page_size = {PAGE_BYTES}",
            "journal_mode = WAL",
            f"synchronous = {settings.synchronous}",
            f"wal_autocheckpoint = {wal_bytes // (PAGE_BYTES + FRAME_HEADER_BYTES)}",
            f"journal_size_limit = {WAL_BYTES}",
            "foreign_keys = ON",
        ]

    @event.listens_for(engine, "connect")
    def prepare(driver: sqlite3.Connection, _record: object) -> None:
        # What closes by itself, after an error or by Python's collector, has no commit lock.
        _checkpoint_on_close(driver, checkpoints=False)
        # Without this the sqlite3 module begins transactions by itself, and late.
        driver.isolation_level = None
        for pragma in pragmas:
            driver.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "close")
    def close(driver: sqlite3.Connection, _record: object) -> None:
        _checkpoint_on_close(driver, checkpoints=checkpoints() and not damage.halted)

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
