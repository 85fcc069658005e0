"""The state file of alerts: an SQLite file of its own, so that it never waits for a reading's
commit, and no reading waits for it; and so that it can be used while the database is damaged.

It is small and may be deleted, also under a running service: then each alert that is active is
notified of once more.
"""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event

from flask10x.alerts import tables
from flask10x.config.settings import Settings
from flask10x.database.error_codes import reason_of
from flask10x.database.paths import JOURNAL, SHARED_MEMORY, WAL, beside
from flask10x.database.sqlite import driver
from flask10x.system import disk

NAME = "alerts.sqlite3"
# Transactions last milliseconds; the sync of a slow card may take seconds.
BUSY_TIMEOUT_SEC = 10.0


def path_of(settings: Settings) -> Path:
    """Where the state file of these settings is."""
    return settings.data_dir / NAME


class StateFile:
    """One process's way to the state file. Nothing is opened before the first use.

    Never carry one across a fork. Several threads may use it.
    """

    def __init__(self, path: Path, busy_timeout_sec: float = BUSY_TIMEOUT_SEC) -> None:
        """The file need not exist; the first use makes it, private, in a folder that exists.

        A use waits no longer than `busy_timeout_sec` for another process that writes.
        """
        self.path = path
        self._busy_timeout_sec = busy_timeout_sec
        self._engine: Engine | None = None
        # Of threads that use it first at once, one opens it.
        self._opening = threading.Lock()
        self._identity: tuple[int, int] | None = None

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A write transaction; raises sqlalchemy.exc.DBAPIError, and then nothing is stored."""
        with self._opened().connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            connection.exec_driver_sql("COMMIT")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One state of the file; raises sqlalchemy.exc.DBAPIError."""
        with self._opened().connect() as connection:
            connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                connection.exec_driver_sql("ROLLBACK")

    def is_replaced(self) -> bool:
        """Whether what is open is not the file of that name any more: deleted, or another one."""
        return self._engine is not None and _identity_of(self.path) != self._identity

    def close(self) -> None:
        """Close it; the next use opens it again."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _opened(self) -> Engine:
        with self._opening:
            if self._engine is None:
                self._engine = self._open()
            return self._engine

    def _open(self) -> Engine:
        _make(self.path)
        engine = create_engine(
            "sqlite://",
            creator=lambda: driver.connect(self.path, "mode=rwc", self._busy_timeout_sec),
            isolation_level="AUTOCOMMIT",
            # By its URL it would be a database in memory, of which each thread has one.
            poolclass=QueuePool,
            pool_size=1,
            max_overflow=-1,
        )
        event.listen(engine, "connect", _prepare)
        try:
            with engine.connect() as connection:
                _make_tables(connection)
        except BaseException:
            engine.dispose()
            raise
        self._identity = _identity_of(self.path)
        return engine


def _make(path: Path) -> None:
    """Make an empty file unless there is one; what is in the way SQLite says itself."""
    # Only a new one is opened here: closing another one would drop SQLite's locks in this process
    # (https://www.sqlite.org/howtocorrupt.html, 2.2).
    with suppress(OSError):
        made = disk.private(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        disk.leave_to_owner(made, path.parent)
        os.close(made)


def _make_tables(connection: Connection) -> None:
    version = "PRAGMA user_version"
    # Setting it writes to the card also when it is the same.
    if connection.exec_driver_sql(version).scalar_one() == tables.VERSION:
        return
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    tables.metadata.create_all(connection)
    connection.exec_driver_sql(f"{version} = {tables.VERSION}")
    connection.exec_driver_sql("COMMIT")


def _identity_of(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _prepare(connection: driver.Driver, _record: object) -> None:
    # As of the database: a lone commit writes whole pages, to a card (docs/decisions/0006). It only
    # takes effect when the file is made.
    connection.execute("PRAGMA page_size = 512")
    connection.execute("PRAGMA journal_mode = WAL")
    # A message that was sent and is forgotten in a power cut would be sent again.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


log = logging.getLogger(__name__)


def put_aside(file: StateFile, error: BaseException, moment: str) -> Path:
    """Rename a broken state file, with what SQLite keeps beside it; where it is now.

    Alerts that are active are notified of once more. Raises OSError when it can't be renamed.
    """
    file.close()
    aside = file.path.with_name(f"{file.path.name}.damaged-{moment}")
    # The file last: as long as it is there by its name, the next try does the rest.
    for suffix in (JOURNAL, WAL):
        if beside(file.path, suffix).exists():
            beside(file.path, suffix).rename(beside(aside, suffix))
    beside(file.path, SHARED_MEMORY).unlink(missing_ok=True)
    file.path.rename(aside)
    log.error("The state of alerts was broken (%s): it is now %s", reason_of(error), aside)
    return aside
