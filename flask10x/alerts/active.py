"""The active alerts as others read them: the file may be missing, broken or locked, and none waits.

Each page shows how many alerts are active. So a process remembers what it has read, and looks at
the file's stamps only (some microseconds), until they change.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from flask10x.alerts import state_file
from flask10x.alerts.alert import Alert
from flask10x.database.error_codes import reason_of
from flask10x.database.paths import WAL, beside
from flask10x.database.sqlite import driver
from flask10x.system import clock

# In WAL mode readers wait for no writer; only a tool, or the recovery of the file, locks it.
BUSY_TIMEOUT_SEC = 0.1
# After a trouble the file is left alone for so long, or each page would wait for its lock.
TROUBLE_MS = 5_000
# A file that was written to within this may be written to again with the same stamp.
STAMP_MS = 1_000
NS_PER_MS = 1_000_000

# Device, inode, size and time of the file and of its WAL; None for one that is not there
# or is empty.
Stamp = tuple[tuple[int, int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class ActiveAlerts:
    """What is wrong now, as far as the state file tells."""

    active: tuple[Alert, ...] = ()
    trouble: str = ""
    """Why the file can't be read; empty when it was, or when there is none."""

    @property
    def silent(self) -> frozenset[str]:
        """The endpoints of the stations of whose silence there is an alert."""
        return frozenset(alert.subject for alert in self.active if alert.kind == "silence")


class AlertState:
    """One process's look at the state file; any thread may ask."""

    def __init__(self, path: Path) -> None:
        """Opens nothing; the file need not exist."""
        self._path = path
        # No connection is kept, so none goes through a fork or holds a file that was replaced.
        self._engine = create_engine(
            "sqlite://",
            creator=lambda: driver.connect(self._path, "mode=ro", BUSY_TIMEOUT_SEC),
            isolation_level="AUTOCOMMIT",
            poolclass=NullPool,
        )
        self._lock = threading.Lock()
        self._stamp: Stamp | None = None
        self._current = ActiveAlerts()
        self._troubled_ms: int | None = None

    def current(self) -> ActiveAlerts:
        """The active alerts, in the order of their entry; never raises and hardly ever waits."""
        stamp = stamp_of(self._path)
        with self._lock:
            since_ms = self._troubled_ms
            rests = since_ms is not None and clock.monotonic_ms() - since_ms < TROUBLE_MS
            if stamp == self._stamp or rests:
                return self._current
            try:
                with self.reading() as connection:
                    active = state_file.active(connection, clock.now_ms()) if connection else ()
            except DBAPIError as error:
                self._current, self._stamp = ActiveAlerts(trouble=reason_of(error)), None
                self._troubled_ms = clock.monotonic_ms()
            else:
                self._current, self._troubled_ms = ActiveAlerts(tuple(active)), None
                self._stamp = stamp if newest_ms(stamp) + STAMP_MS < clock.now_ms() else None
            return self._current

    @contextmanager
    def reading(self) -> Iterator[Connection | None]:
        """One state of the file; None while a service of this version has never opened it.

        Raises sqlalchemy.exc.DBAPIError.
        """
        if not self._path.exists():
            yield None
            return
        with self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            try:
                version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
                yield connection if version == state_file.VERSION else None
            finally:
                connection.exec_driver_sql("ROLLBACK")


def stamp_of(path: Path) -> Stamp:
    """The stamp of a file of SQLite, which changes with each commit."""
    parts: list[tuple[int, int, int, int] | None] = []
    for file in (path, beside(path, WAL)):
        try:
            status = file.stat()
        except OSError:
            parts.append(None)
            continue
        stamp = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
        # A reader makes an empty WAL where there is none.
        parts.append(stamp if status.st_size else None)
    return tuple(parts)


def newest_ms(stamp: Stamp) -> int:
    """When the file was written to last, in UTC epoch milliseconds; 0 without one."""
    return max((part[3] // NS_PER_MS for part in stamp if part), default=0)
