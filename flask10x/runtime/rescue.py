"""Rescue: when a file of the database is taken away under the service, what it held is copied.

Each worker has its own open files, so each looks at them, every second. A connection that is held
open since the start still reads everything, for as long as the process lives; the first worker to
get the lock makes a copy by it, at once.
"""

import logging
import shlex
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database.engine import Database
from flask10x.database.error_codes import reason_of
from flask10x.database.sqlite import rescue_copy, rescued
from flask10x.database.sqlite.driver import Driver, connect
from flask10x.errors import CopyError, LockTimeout
from flask10x.runtime.open_files import OpenFiles
from flask10x.system.gauges import Gauges
from flask10x.system.locks import FileLock, lock_path

log = logging.getLogger(__name__)

# It waits for nobody who writes, only while the first connection after a crash recovers the WAL.
BUSY_TIMEOUT_SEC = 1.0
# After a copy that could not be made, on a full disk say, the next try; it doubles up to the
# longest. A worker that stops tries once more.
FIRST_PAUSE_SEC = 1.0
LONGEST_PAUSE_SEC = 60.0

FAILURES = (sqlite3.Error, DBAPIError, OSError, CopyError)


class Rescue:
    """One worker's watch over its open files, and its connection that reads them to the end."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        gauges: Gauges,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is opened but the lock."""
        self._zone = settings.zone
        self._database = database
        self._gauges = gauges
        self._monotonic = monotonic
        self._files = OpenFiles(database.path)
        self._lock = FileLock(lock_path(database.path, "rescue"))
        self._driver: Driver | None = None
        self._lost = False
        self._pause_sec = FIRST_PAUSE_SEC
        self._try_at_sec = 0.0
        self._failure = ""

    def begin(self) -> None:
        """Before anything is written: a rescued copy that holds more is the better database."""
        with suppress(OSError):
            if not self._database.damage.known and (
                found := rescue_copy.richer(self._database.path)
            ):
                self._database.damage.report(str(found))
        self._hold()

    def step(self) -> None:
        """Look once, and make the copy if it is wanted and nobody has."""
        self._look()
        if self._wanted() and self._monotonic() >= self._try_at_sec:
            self._copy_alone()

    def close(self) -> None:
        """Make the copy now if it is wanted: what was taken away is gone with this process."""
        if self._driver is not None:
            self._look()
        if self._wanted():
            self._copy_alone()
        if self._wanted():
            log.critical(
                "What was stored since %s could not be copied before this worker ends: %s",
                "the last checkpoint",
                self._failure or "another worker is at it",
            )
        if self._driver is not None:
            self._driver.close()
            self._driver = None
        self._lock.close()

    def _look(self) -> None:
        if self._lost:
            return
        if reason := self._files.lost():
            self._lost = True
            if self._driver is not None:
                self._gauges.taken_away = 1
            self._database.damage.report(reason)
        else:
            self._hold()

    def _hold(self) -> None:
        """Have everything open; a connection opens the WAL with its first read."""
        with suppress(sqlite3.Error):
            if self._driver is None:
                self._driver = connect(self._database.path, "mode=ro", BUSY_TIMEOUT_SEC)
            self._driver.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()

    def _wanted(self) -> bool:
        return self._lost and self._driver is not None and not self._gauges.rescued

    def _copy_alone(self) -> None:
        if self._driver is None or not self._lock.try_acquire():
            return
        try:
            if not self._gauges.rescued:
                self._copy(self._driver)
        except FAILURES as error:
            self._note_failure(f"{reason_of(error)}{self._remedy(error)}")
        finally:
            self._lock.release()

    def _copy(self, driver: Driver) -> None:
        # A commit that has begun before the loss was known is acknowledged when it returns.
        with suppress(LockTimeout, OSError):
            self._database.settle()
        copy, last_id = rescue_copy.make(driver, self._database.path, self._zone)
        self._gauges.rescued = copy.name
        log.critical(
            "Everything that was stored, up to reading %d, is copied to %s: %s",
            *(last_id, copy, rescued.way_out(copy)),
        )

    def _remedy(self, error: Exception) -> str:
        folder = self._database.path.parent
        if isinstance(error, FileNotFoundError) and not folder.exists():
            return f"; make the folder again: mkdir -p {shlex.quote(str(folder))}"
        return ""

    def _note_failure(self, reason: str) -> None:
        self._try_at_sec = self._monotonic() + self._pause_sec
        self._pause_sec = min(2 * self._pause_sec, LONGEST_PAUSE_SEC)
        if reason != self._failure:
            self._failure = reason
            log.critical(
                "What was stored cannot be copied yet, and is lost when the service ends: %s",
                reason,
            )
