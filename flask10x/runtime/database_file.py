"""What a worker does for the file of an SQLite database; PostgreSQL looks after its own files.

The files are watched from outside: is it still the same one, is its WAL too long? Only names and
sizes are looked at. Opening the file here and closing it again would free the locks that SQLite
holds on it in this process (https://www.sqlite.org/howtocorrupt.html).
"""

import logging
import os
import shlex
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database.damage import Damage
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

log = logging.getLogger(__name__)

# The inspection: a look through the whole database file, after each start and at each suspicion.
#
# Damage on a card sits anywhere, and SQLite meets it only when it reads that page: perhaps years
# later, perhaps after a checkpoint has spread it. So the file is read once, in the background.
#
# A disk that fails for a moment looks like damage to SQLite. So when a statement meets any,
# nothing is written until the file was read by a connection of its own. Only what is found twice
# is damage; what can't be read now is not what is broken.

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
        self._task = PeriodicTask(
            "inspection", self._look, gauges, "Cannot look through the database"
        )
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
        while not (self._damage.is_damaged or self._stop.is_set()):
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
                self._task.run()
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
            if self._damage.is_damaged or code_of(error) == INTERRUPTED:
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


# Rescue: when a file of the database is taken away under the service, what it held is copied.
#
# Each worker has its own open files, so each looks at them, every second, and compares them with
# what the names lead to. A connection goes on with the files that it has opened, also when they
# are renamed or deleted; what it writes there is missed by everybody who opens the names, and gone
# with the last process that has them open. A connection that is held open since the start still
# reads everything, for as long as the process lives; the first worker to get the lock makes a copy
# by it, at once. No file is opened only to look: closing it would free the locks that SQLite holds
# in this process (https://www.sqlite.org/howtocorrupt.html).

FileId = tuple[int, int]
"""Device and inode."""
DESCRIPTORS = Path("/proc/self/fd")
# What the kernel adds to the name of a file that has none any more.
DELETED = " (deleted)"


class OpenFiles:
    """The database's file, its WAL and its shared memory, as this process has them open."""

    def __init__(self, database: Path) -> None:
        self._names = {str(path): path for path in _files_of(database)}
        self._held: dict[FileId, Path] = {}

    def lost(self) -> str:
        """Which of them its name leads to no more; empty while all are in place.

        A file that was renamed is known again if it was seen before under its name.
        """
        held = dict(self._descriptors())
        self._held = held
        for file_id, path in held.items():
            try:
                status = path.stat()
            except FileNotFoundError:
                return f"{path} was deleted or moved away while in use"
            except OSError:
                # The disk doesn't answer: no reason to believe that the file is another one.
                continue
            if (status.st_dev, status.st_ino) != file_id:
                return f"{path} was replaced by another file while in use"
        return ""

    def _descriptors(self) -> Iterator[tuple[FileId, Path]]:
        """What each descriptor of this process leads to, of these files."""
        with suppress(OSError):
            for descriptor in DESCRIPTORS.iterdir():
                # Others are opened and closed meanwhile.
                with suppress(OSError):
                    target = descriptor.readlink()
                    status = os.fstat(int(descriptor.name))
                    file_id = status.st_dev, status.st_ino
                    path = self._names.get(str(target).removesuffix(DELETED))
                    if path := path or self._held.get(file_id):
                        yield file_id, path


def _files_of(database: Path) -> list[Path]:
    return [database, beside(database, WAL), beside(database, SHARED_MEMORY)]


# It waits for nobody who writes, only while the first connection after a crash recovers the WAL.
BUSY_TIMEOUT_SEC = 1.0
# After a copy that could not be made, on a full disk say, the next try; it doubles up to the
# longest. A worker that stops tries once more.
RESCUE_FIRST_PAUSE_SEC = 1.0
RESCUE_LONGEST_PAUSE_SEC = 60.0

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
        self._pause_sec = RESCUE_FIRST_PAUSE_SEC
        self._try_at_sec = 0.0
        self._failure = ""

    def begin(self) -> None:
        """Before anything is written: a rescued copy that holds more is the better database."""
        with suppress(OSError):
            if not self._database.damage.is_damaged and (
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
        self._pause_sec = min(2 * self._pause_sec, RESCUE_LONGEST_PAUSE_SEC)
        if reason != self._failure:
            self._failure = reason
            log.critical(
                "What was stored cannot be copied yet, and is lost when the service ends: %s",
                reason,
            )


# Gauges hold 63 bits.
FILE_ID_MASK = 2**63 - 1


class FileWatch:
    """Warns once when the WAL gets too long, and stops all writing when the file has gone."""

    def __init__(self, database: Path, gauges: Gauges, damage: Damage) -> None:
        self._database = database
        self._wal = beside(database, WAL)
        self._gauges = gauges
        self._damage = damage

    def begin(self) -> None:
        """Note which file the database is; before anything is written to it."""
        if not self._gauges.file_id:
            with suppress(OSError):
                self._gauges.file_device, self._gauges.file_id = _file_id(self._database)

    def watch_identity(self) -> None:
        """Look once whether the name still leads to the same file."""
        # The connections stay with the file that they have opened, also when it is renamed or
        # deleted; what is written there would be missed by everybody who opens the name.
        if self._damage.is_damaged:
            return
        # The disk has not answered at the start.
        self.begin()
        try:
            file_id = _file_id(self._database)
        except FileNotFoundError:
            self._damage.report(f"{self._database} was deleted or moved away")
            return
        except OSError:
            # The disk doesn't answer: no reason to believe that the file is another one.
            return
        if file_id != (self._gauges.file_device, self._gauges.file_id):
            self._damage.report(f"{self._database} was replaced by another file")

    def watch_wal(self) -> None:
        """Look once how long the WAL is."""
        size = 0
        with suppress(OSError):
            size = self._wal.stat().st_size
        if size >= LONG_WAL_BYTES and not self._gauges.long_wal:
            self._gauges.long_wal = 1
            log.warning(
                "%s has grown to %d MB: somebody reads an old state of the database for long,"
                " such as a sqlite3 shell with an open transaction; end it",
                self._wal.name,
                size // 1_000_000,
            )
        elif size <= WAL_BYTES and self._gauges.long_wal:
            self._gauges.long_wal = 0
            log.info("%s is short again: %d MB", self._wal.name, size // 1_000_000)


def _file_id(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev & FILE_ID_MASK, status.st_ino & FILE_ID_MASK


class DatabaseFile:
    """What a worker does for a file; here nothing, as for a database on a server."""

    def begin(self) -> None:
        """Before anything is written: note which file it is, and hold it."""

    def inspect(self) -> None:
        """Look through it in the background."""

    def tasks(self) -> list[PeriodicTask]:
        """What the elected worker does each second."""
        return []

    def step(self) -> None:
        """What each worker does each second."""

    def end_inspection(self) -> None:
        """Break it off and wait for its end."""

    def close(self) -> None:
        """Copy what is taken away now, and let it go."""


def database_file_of(settings: Settings, database: Database, gauges: Gauges) -> DatabaseFile:
    """What a worker does for the database of these settings."""
    if database.server is not None:
        return DatabaseFile()
    return WatchedFile(settings, database, gauges)


class WatchedFile(DatabaseFile):
    """The watch over the file, its inspection, and the rescue of what it held."""

    def __init__(self, settings: Settings, database: Database, gauges: Gauges) -> None:
        """Opens nothing but locks and starts no thread."""
        self._settings, self._gauges = settings, gauges
        self.watch = FileWatch(database.path, gauges, database.damage)
        self._rescue = Rescue(settings, database, gauges)
        self.inspection = Inspection(database, gauges)

    def begin(self) -> None:
        """Before anything is written: note which file it is, and hold it."""
        connections.log_version(self._settings.commit_lock)
        self.watch.begin()
        self._rescue.begin()

    def inspect(self) -> None:
        """Look through it in the background."""
        self.inspection.start()

    def tasks(self) -> list[PeriodicTask]:
        """What the elected worker does each second."""
        return [
            PeriodicTask("database file", self.watch.watch_identity, self._gauges),
            PeriodicTask("WAL", self.watch.watch_wal, self._gauges),
        ]

    def step(self) -> None:
        """What each worker does each second."""
        self._rescue.step()

    def end_inspection(self) -> None:
        """Break it off and wait for its end."""
        self.inspection.close()

    def close(self) -> None:
        """Copy what is taken away now, and let it go."""
        self._rescue.close()
