"""The care of a worker for the file of an SQLite database; PostgreSQL needs none.

The files are watched from outside, by their names and sizes: whether the file is still the same
one, and whether its WAL is too long. Opening the file here and closing it again would free the
locks that SQLite holds on it in this process (https://www.sqlite.org/howtocorrupt.html).
"""

import logging
import os
import shlex
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.error_codes import code_of, reason_of
from flask10x.database.paths import SHARED_MEMORY, WAL, beside
from flask10x.database.sqlite import connections, rescue_copy, rescued
from flask10x.database.sqlite.connections import LONG_WAL_BYTES, WAL_BYTES
from flask10x.database.sqlite.driver import Driver, connect
from flask10x.database.sqlite.file import damages, open_read_only, unread_page
from flask10x.errors import CopyError, DatabaseUnreadable, LockTimeout
from flask10x.runtime.periodic_tasks import Guard, PeriodicTask
from flask10x.system.gauges import Gauges
from flask10x.system.locks import FileLock, lock_path
from flask10x.system.pace import Pauses

log = logging.getLogger(__name__)

# The inspection reads the whole database file, after each start and at each suspicion.
#
# Damage on a card may be anywhere, and SQLite notices it only when it reads that page: perhaps
# years later, perhaps after a checkpoint has spread it. So the file is read once, in the
# background.
#
# A disk that fails for a moment looks like damage to SQLite. So when a statement meets damage,
# nothing is written until a connection of its own has read the file. Only a finding that repeats is
# damage, and a page that can't be read now is none.

# How soon a suspicion is inspected, and another worker takes over from one that was killed.
TRY_EVERY_SEC = 1.0
# The pause after the first inspection that could not read everything, without a suspicion.
FIRST_PAUSE_SEC = 2.0
# The pause before damage is checked again: longer than a disk takes after a reset of its bus.
SECOND_LOOK_SEC = 5.0
# How SQLite begins its findings.
HEADING = "*** in database main ***\n"
# The pause between interrupts of an inspection: the first may come before its statement.
INTERRUPT_EVERY_SEC = 0.1
INTERRUPTED = "SQLITE_INTERRUPT"
UNREADABLE = "SQLITE_IOERR"


class Inspection:
    """A thread of each worker; the one that gets the lock inspects the database."""

    def __init__(self, database: Database, gauges: Gauges) -> None:
        """Nothing is started yet."""
        self._path = database.path
        self._damage = database.damage
        self._gauges = gauges
        self._lock = FileLock(lock_path(database.path, "inspection"))
        self._task = PeriodicTask(
            "inspection", self._look, gauges, "Cannot look through the database"
        )
        self._stop = threading.Event()
        self._driver: Any = None
        # The suspicion at the beginning of the current inspection.
        self._suspected = ""
        self._pauses = Pauses(FIRST_PAUSE_SEC)
        self._thread = threading.Thread(target=self.run, name="inspection", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def run(self) -> None:
        """Inspect the database whenever it is due, until `close` or damage."""
        guard = Guard(self.step, "The inspection cannot begin and goes on trying")
        while not (self._damage.is_damaged or self._stop.is_set()):
            if self.is_due:
                guard.run()
            self._stop.wait(TRY_EVERY_SEC)

    @property
    def is_due(self) -> bool:
        """Return whether to inspect now: at a suspicion at once, for nothing is stored before."""
        if self._damage.suspicion:
            return True
        return not self._gauges.inspected and not self._pauses.rest_sec()

    def step(self) -> None:
        """Inspect the database once, unless another worker does."""
        if self._lock.try_acquire():
            try:
                self._task.run()
            finally:
                self._lock.release()

    def close(self) -> None:
        """Interrupt the inspection and wait for the thread."""
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
        """Inspect the database; False when it was interrupted."""
        started = time.monotonic()
        try:
            damage = self._check()
            if damage:
                # Only what is still there after a pause is damage.
                self._damage.suspect(damage)
                self._stop.wait(SECOND_LOOK_SEC)
                damage = self._check()
        except (DBAPIError, DatabaseUnreadable) as error:
            if self._damage.is_damaged or code_of(error) == INTERRUPTED:
                return False
            self._pauses.begin()
            # The database still has to be inspected, also when no statement meets the page again.
            self._gauges.inspected = 0
            if isinstance(error, DatabaseUnreadable) or code_of(error).startswith(UNREADABLE):
                result = f"some of it cannot be read now: {reason_of(error)}"
                self._damage.clear(self._suspected, result)
            raise
        if self._stop.is_set():
            return False
        self._pauses.end()
        if damage:
            self._damage.report(damage)
            return True
        self._gauges.inspected = 1
        log.info("Looked through the database in %.1f s: sound", time.monotonic() - started)
        self._damage.clear(self._suspected, "the database is sound")
        return True

    def _check(self) -> str:
        """Return the first finding of SQLite, empty when there is none.

        Raises DatabaseUnreadable or sqlalchemy.exc.DBAPIError when the file can't be read now.
        """
        self._suspected = self._damage.suspicion
        # An open connection has pages in its cache, so this one is new.
        with open_read_only(self._path).connect() as connection:
            self._driver = connection.connection.driver_connection
            try:
                findings = [] if self._stop.is_set() else damages(connection, full=False)
            finally:
                self._driver = None
        if unread := unread_page(findings):
            raise DatabaseUnreadable(unread)
        return findings[0].removeprefix(HEADING) if findings else ""


# The rescue copies the content of a database whose file is deleted or renamed under the service.
#
# Each worker has its own open files, so each compares them every second with the files of these
# names. A connection keeps the files that it has opened, also when they are renamed or deleted; its
# writes are missing in files of these names, and lost with the last process that has the old ones
# open. A connection that is open since the start still reads everything as long as the process
# lives; the first worker to get the lock makes a copy with it, at once. No file is opened just for
# this check: closing it would free the locks that SQLite holds in this process
# (https://www.sqlite.org/howtocorrupt.html).

FileId = tuple[int, int]
"""Device and inode."""
DESCRIPTORS = Path("/proc/self/fd")
# Looks, of which there is one a second; each descriptor takes three calls of the system.
LOOK_THROUGH_EVERY = 60
# The suffix that the kernel adds to the name of a deleted file.
DELETED = " (deleted)"


class OpenFiles:
    """The open files of this process: the database, its WAL and its shared memory."""

    def __init__(self, database: Path) -> None:
        files = [database, beside(database, WAL), beside(database, SHARED_MEMORY)]
        self._names = {str(path): path for path in files}
        self._held: dict[FileId, Path] = {}
        self._in_place: list[FileId | None] = []
        self._looks = count(1)

    def lost(self) -> str:
        """Return which of them has lost its name; empty while all are in place.

        A renamed file is recognised if it was seen before under its name. While the names lead to
        the same files, so do the descriptors; they are looked through now and then all the same,
        because a file can be away and back between two looks.
        """
        named = [_id_of(path) for path in self._names.values()]
        if named == self._in_place and next(self._looks) % LOOK_THROUGH_EVERY:
            return ""
        self._in_place = []
        self._held = dict(self._descriptors())
        for file_id, path in self._held.items():
            try:
                status = path.stat()
            except FileNotFoundError:
                return f"{path} was deleted or moved away while in use"
            except OSError:
                # The disk does not answer, which does not mean that the file is another one.
                continue
            if (status.st_dev, status.st_ino) != file_id:
                return f"{path} was replaced by another file while in use"
        # A file that no connection has opened yet is looked for again.
        if {*self._names.values()} == {*self._held.values()}:
            self._in_place = named
        return ""

    def _descriptors(self) -> Iterator[tuple[FileId, Path]]:
        """Yield the open descriptors of these files, with the path of each."""
        with suppress(OSError):
            for descriptor in DESCRIPTORS.iterdir():
                # Other descriptors are opened and closed meanwhile.
                with suppress(OSError):
                    target = descriptor.readlink()
                    status = os.fstat(int(descriptor.name))
                    file_id = status.st_dev, status.st_ino
                    path = self._names.get(str(target).removesuffix(DELETED))
                    if path := path or self._held.get(file_id):
                        yield file_id, path


def _id_of(path: Path) -> FileId | None:
    """Return the file of this name; None if there is none, or its disk does not answer."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


# Only needed while the first connection after a crash recovers the WAL; writers do not block it.
BUSY_TIMEOUT_SEC = 1.0
FAILURES = (sqlite3.Error, DBAPIError, OSError, CopyError)


class Rescue:
    """Watches the open files of a worker, and keeps a connection that can still read them."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        gauges: Gauges,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open only the lock."""
        self._zone = settings.zone
        self._database = database
        self._gauges = gauges
        self._files = OpenFiles(database.path)
        self._lock = FileLock(lock_path(database.path, "rescue"))
        self._driver: Driver | None = None
        self._lost = False
        # After a failed copy, on a full disk for example; a worker that stops tries once more.
        self._pauses = Pauses(clock=monotonic)
        self._failure = ""

    def begin(self) -> None:
        """Report damage when a rescued copy has more readings; called before the first write."""
        with suppress(OSError):
            if not self._database.damage.is_damaged and (
                richer := rescue_copy.richer(self._database.path)
            ):
                self._database.damage.report(str(richer))
        self._hold()
        # Without this first look a rename before the first step would go unnoticed.
        self._look()

    def step(self) -> None:
        """Check the files once, and make the copy if it is needed and not made yet."""
        self._look()
        if self._is_needed() and not self._pauses.rest_sec():
            self._copy_alone()

    def close(self) -> None:
        """Make the copy now if it is needed: the files are lost when this process ends."""
        if self._driver is not None:
            self._look()
        if self._is_needed():
            self._copy_alone()
        if self._is_needed():
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
        """Keep all files open; a connection opens the WAL with its first read."""
        with suppress(sqlite3.Error):
            if self._driver is None:
                self._driver = connect(self._database.path, "mode=ro", BUSY_TIMEOUT_SEC)
            self._driver.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()

    def _is_needed(self) -> bool:
        return self._lost and self._driver is not None and not self._gauges.rescued

    def _copy_alone(self) -> None:
        if self._driver is None or not self._lock.try_acquire():
            return
        try:
            if self._gauges.rescued:
                return
            # A commit that began before this is acknowledged when it returns.
            with suppress(LockTimeout, OSError):
                self._database.settle()
            copy, last_id = rescue_copy.make(self._driver, self._database.path, self._zone)
            self._gauges.rescued = copy.name
            log.critical(
                "Everything that was stored, up to reading %d, is copied to %s: %s",
                *(last_id, copy, rescued.way_out(copy)),
            )
        except FAILURES as error:
            self._pauses.begin()
            reason, folder = reason_of(error), self._database.path.parent
            if isinstance(error, FileNotFoundError) and not folder.exists():
                reason += f"; make the folder again: mkdir -p {shlex.quote(str(folder))}"
            if reason != self._failure:
                self._failure = reason
                log.critical(
                    "What was stored cannot be copied yet, and is lost when the service ends: %s",
                    reason,
                )
        finally:
            self._lock.release()


def look_at_wal(database: Path, gauges: Gauges) -> None:
    """Warn once when the WAL gets too long, and log once that it is short again."""
    wal, size = beside(database, WAL), 0
    with suppress(OSError):
        size = wal.stat().st_size
    if size >= LONG_WAL_BYTES and not gauges.long_wal:
        gauges.long_wal = 1
        log.warning(
            "%s has grown to %d MB: a program reads an old state of the database for long,"
            " such as a sqlite3 shell with an open transaction; end it",
            wal.name,
            size // 1_000_000,
        )
    elif size <= WAL_BYTES and gauges.long_wal:
        gauges.long_wal = 0
        log.info("%s is short again: %d MB", wal.name, size // 1_000_000)


class DatabaseFile:
    """The watch over the file of a database, its inspection, and the rescue of what it held."""

    def __init__(self, settings: Settings, database: Database, gauges: Gauges) -> None:
        """Open only locks, and start no thread."""
        self._settings, self._database, self._gauges = settings, database, gauges
        self.rescue = Rescue(settings, database, gauges)
        self.inspection = Inspection(database, gauges)

    def begin(self) -> None:
        """Open the file; called before the first write."""
        connections.log_version(self._settings.commit_lock)
        self.rescue.begin()

    def tasks(self) -> list[PeriodicTask]:
        """Return the tasks of the elected worker."""
        look = partial(look_at_wal, self._database.path, self._gauges)
        return [PeriodicTask("WAL", look, self._gauges)]
