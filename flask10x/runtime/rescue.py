"""Rescue: when a file of the database is taken away under the service, what it held is copied.

Each worker has its own open files, so each looks at them, every second, and compares them with what
the names lead to. A connection goes on with the files that it has opened, also when they are
renamed or deleted; what it writes there is missed by everybody who opens the names, and gone with
the last process that has them open. A connection that is held open since the start still reads
everything, for as long as the process lives; the first worker to get the lock makes a copy by it,
at once. No file is opened only to look: closing it would free the locks that SQLite holds in this
process (https://www.sqlite.org/howtocorrupt.html).
"""

import logging
import os
import shlex
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database.engine import Database
from flask10x.database.error_codes import reason_of
from flask10x.database.paths import SHARED_MEMORY, WAL, beside
from flask10x.database.sqlite import rescue_copy, rescued
from flask10x.database.sqlite.driver import Driver, connect
from flask10x.errors import CopyError, LockTimeout
from flask10x.system.gauges import Gauges
from flask10x.system.locks import FileLock, lock_path

log = logging.getLogger(__name__)

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
