"""What a worker does for the file of an SQLite database; PostgreSQL looks after its own files."""

from flask10x.config.settings import Settings
from flask10x.database.engine import Database
from flask10x.database.sqlite import connections
from flask10x.runtime.duties import Duty
from flask10x.runtime.file_watch import FileWatch
from flask10x.runtime.inspection import Inspection
from flask10x.runtime.rescue import Rescue
from flask10x.system.gauges import Gauges


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
