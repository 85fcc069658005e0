"""The inspection: a look through the whole database file, after each start and at each suspicion.

Damage on a card sits anywhere, and SQLite meets it only when it reads that page: perhaps years
later, perhaps after a checkpoint has spread it. So the file is read once, in the background.

A disk that fails for a moment looks like damage to SQLite. So when a statement meets any, nothing
is written until the file was read by a connection of its own. Only what is found twice is damage;
what can't be read now is not what is broken.
"""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sqlalchemy.exc import DBAPIError

from flask10x.database.engine import Database
from flask10x.database.error_codes import code_of, reason_of
from flask10x.database.sqlite.file import damages, open_read_only, unread_page
from flask10x.errors import DatabaseUnreadable
from flask10x.runtime.duties import Duty, Guard
from flask10x.system.gauges import Gauges
from flask10x.system.locks import FileLock, lock_path

log = logging.getLogger(__name__)

# How soon a suspicion is looked at, and another worker takes over when the one that looks has been
# killed.
TRY_EVERY_SEC = 1.0
# After a look that could not read everything the next one waits, while nothing is suspected; the
# pause doubles up to the longest.
FIRST_PAUSE_SEC = 2.0
LONGEST_PAUSE_SEC = 60.0
# Between finding damage and looking whether it is still there: longer than a disk takes to come
# back after a reset of its bus.
SECOND_LOOK_SEC = 5.0
# How SQLite begins its findings.
HEADING = "*** in database main ***\n"
# Between two tries to break off a look: the first may come before its statement has begun.
INTERRUPT_EVERY_SEC = 0.1
INTERRUPTED = "SQLITE_INTERRUPT"
UNREADABLE = "SQLITE_IOERR"


class Inspection:
    """A thread of each worker; the one that gets the lock looks."""

    def __init__(
        self,
        database: Database,
        gauges: Gauges,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`monotonic` gives seconds; nothing is started yet."""
        self._monotonic = monotonic
        self._path = database.path
        self._damage = database.damage
        self._gauges = gauges
        self._lock = FileLock(lock_path(database.path, "inspection"))
        self._duty = Duty("inspection", self._look, gauges, "Cannot look through the database")
        self._stop = threading.Event()
        self._driver: Any = None
        # What was suspected when the look under way has begun.
        self._suspected = ""
        self._pause_sec = FIRST_PAUSE_SEC
        self._look_at_sec = 0.0
        self._thread = threading.Thread(target=self.run, name="inspection", daemon=True)

    def start(self) -> None:
        """Begin in the background."""
        self._thread.start()

    def run(self) -> None:
        """Look whenever it is wanted, unless another worker does, until `close` or a damage."""
        guard = Guard(self.step, "The inspection cannot begin and goes on trying")
        while not (self._damage.known or self._stop.is_set()):
            if self.wanted:
                guard.run()
            self._stop.wait(TRY_EVERY_SEC)

    @property
    def wanted(self) -> bool:
        """Whether it is time to look: at a suspicion at once, for nothing is stored meanwhile."""
        if self._damage.suspicion:
            return True
        return not self._gauges.inspected and self._monotonic() >= self._look_at_sec

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
        while self._thread.is_alive():
            running = self._driver
            # It may be closed by now.
            with suppress(sqlite3.ProgrammingError):
                if running is not None:
                    running.interrupt()
            self._thread.join(INTERRUPT_EVERY_SEC)
        self._lock.close()

    def _look(self) -> bool:
        """Whether it came to an end; False when it was broken off."""
        started = time.monotonic()
        try:
            found = self._found_twice()
        except (DBAPIError, DatabaseUnreadable) as error:
            if self._damage.known or code_of(error) == INTERRUPTED:
                return False
            self._note_unreadable(error)
            raise
        if self._stop.is_set():
            return False
        self._pause_sec = FIRST_PAUSE_SEC
        if found:
            self._damage.report(found)
            return True
        self._gauges.inspected = 1
        log.info("Looked through the database in %.1f s: sound", time.monotonic() - started)
        self._damage.clear(self._suspected, "the database is sound")
        return True

    def _note_unreadable(self, error: Exception) -> None:
        self._look_at_sec = self._monotonic() + self._pause_sec
        self._pause_sec = min(2 * self._pause_sec, LONGEST_PAUSE_SEC)
        # What it was to look at is still to be looked at, also when nobody meets it again.
        self._gauges.inspected = 0
        if isinstance(error, DatabaseUnreadable) or code_of(error).startswith(UNREADABLE):
            seen = f"some of it cannot be read now: {reason_of(error)}"
            self._damage.clear(self._suspected, seen)

    def _found_twice(self) -> str:
        """The damage that is there and still is after a while; empty when there is none."""
        found = self._check()
        if not found:
            return ""
        self._damage.suspect(found)
        self._stop.wait(SECOND_LOOK_SEC)
        return self._check()

    def _check(self) -> str:
        """The first finding of one look, empty when there is none.

        Raises DatabaseUnreadable or sqlalchemy.exc.DBAPIError when it can't be read now.
        """
        self._suspected = self._damage.suspicion
        # Not a connection that is open already: it remembers pages.
        with open_read_only(self._path).connect() as connection:
            self._driver = connection.connection.driver_connection
            try:
                found = [] if self._stop.is_set() else damages(connection, full=False)
            finally:
                self._driver = None
        if unread := unread_page(found):
            raise DatabaseUnreadable(unread)
        return found[0].removeprefix(HEADING) if found else ""
