"""The inspection: one look through the whole database file after each start of the service.

Damage on a card sits anywhere, and SQLite meets it only when it reads that page: perhaps years
later, perhaps after a checkpoint has spread it. So the file is read once, in the background.
"""

import logging
import sqlite3
import threading
import time
from typing import Any

from sqlalchemy.exc import DBAPIError

from flask10x.database.engine import Database
from flask10x.database.error_codes import code_of
from flask10x.database.file import damages
from flask10x.runtime.duties import Duty, Guard
from flask10x.system.gauges import Gauges
from flask10x.system.locks import FileLock, lock_path

log = logging.getLogger(__name__)

# How soon another worker takes over when the one that inspects has been killed.
TRY_EVERY_SEC = 1.0
# How SQLite begins its findings.
HEADING = "*** in database main ***\n"
INTERRUPTED = "SQLITE_INTERRUPT"


class Inspection:
    """A thread of each worker; the one that gets the lock looks."""

    def __init__(self, database: Database, gauges: Gauges) -> None:
        self._database = database
        self._gauges = gauges
        self._lock = FileLock(lock_path(database.path, "inspection"))
        self._duty = Duty("inspection", self._look, gauges, "Cannot look through the database")
        self._stop = threading.Event()
        self._driver: sqlite3.Connection | None = None
        self._thread = threading.Thread(target=self.run, name="inspection", daemon=True)

    def start(self) -> None:
        """Begin in the background."""
        self._thread.start()

    def run(self) -> None:
        """Look when nobody has, unless another worker does; return when it is done."""
        guard = Guard(self.step, "The inspection cannot begin and goes on trying")
        while not (self._gauges.inspected or self._database.damage.known or self._stop.is_set()):
            guard.run()
            self._stop.wait(TRY_EVERY_SEC)

    def step(self) -> None:
        """Look once, unless another worker does."""
        if self._lock.try_acquire():
            try:
                self._duty.run()
            finally:
                self._lock.release()

    def close(self) -> None:
        """Break off and wait for the end of the thread."""
        self._stop.set()
        running = self._driver
        if running is not None:
            running.interrupt()
        if self._thread.ident is not None:
            self._thread.join()
        self._lock.close()

    def _look(self) -> bool:
        """Whether it came to an end; False when it was broken off."""
        started = time.monotonic()
        try:
            found = self._check()
        except DBAPIError as error:
            if code_of(error) != INTERRUPTED and not self._database.damage.known:
                raise
            return False
        if found:
            self._database.damage.report(found[0].removeprefix(HEADING))
        elif not self._stop.is_set():
            self._gauges.inspected = 1
            log.info("Looked through the database in %.1f s: sound", time.monotonic() - started)
        return not self._stop.is_set()

    def _check(self) -> list[str]:
        with self._database.reader.connect() as connection:
            driver: Any = connection.connection.driver_connection
            self._driver = driver
            try:
                return [] if self._stop.is_set() else damages(connection, full=False)
            finally:
                self._driver = None
