"""What a worker does for the file of an SQLite database; PostgreSQL looks after its own files.

The files are watched from outside: is it still the same one, is its WAL too long? Only names and
sizes are looked at. Opening the file here and closing it again would free the locks that SQLite
holds on it in this process (https://www.sqlite.org/howtocorrupt.html).
"""

import logging
from contextlib import suppress
from pathlib import Path

from flask10x.config.settings import Settings
from flask10x.database.damage import Damage
from flask10x.database.engine import Database
from flask10x.database.paths import WAL, beside
from flask10x.database.sqlite import connections
from flask10x.database.sqlite.connections import LONG_WAL_BYTES, WAL_BYTES
from flask10x.runtime.duties import Duty
from flask10x.runtime.inspection import Inspection
from flask10x.runtime.rescue import Rescue
from flask10x.system.gauges import Gauges

log = logging.getLogger(__name__)

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
        if self._damage.known:
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

    def duties(self) -> list[Duty]:
        """What the elected worker does each second."""
        return []

    def step(self) -> None:
        """What each worker does each second."""

    def end_inspection(self) -> None:
        """Break it off and wait for its end."""

    def close(self) -> None:
        """Copy what is taken away now, and let it go."""


def of(settings: Settings, database: Database, gauges: Gauges) -> DatabaseFile:
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

    def duties(self) -> list[Duty]:
        """What the elected worker does each second."""
        return [
            Duty("database file", self.watch.watch_identity, self._gauges),
            Duty("WAL", self.watch.watch_wal, self._gauges),
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
