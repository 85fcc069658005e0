"""A database that is a file of SQLite, as `DatabaseEngine` describes it.

SQLAlchemy is loaded only by what opens the file.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING

from flask10x.database.damage import Damage
from flask10x.database.engine import DatabaseEngine
from flask10x.database.paths import database_path
from flask10x.database.sqlite import missing, rescued
from flask10x.errors import SchemaError
from flask10x.system import disk

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from flask10x.database.sqlite.connections import SqliteConnections


# A copy that is still being written grows; one that stays the same for so many looks is whole.
EQUAL_LOOKS = 3


class SqliteEngine(DatabaseEngine):
    """The file of these settings."""

    is_file = True
    lack = "is missing"

    def missing(self) -> str:
        """What is missing and what helps, when there was a database and there is none now."""
        return missing.reason(self._settings)

    def is_new(self) -> bool:
        """Whether there is no file, an empty one, or one in which no table was ever made."""
        return missing.holds_nothing(database_path(self._settings))

    def remember(self) -> bool:
        """Renew the markers of a database that is there; whether one can be outside its disk."""
        return missing.remember(self._settings)

    def arrival(self) -> Callable[[], bool]:
        """Return a callable that is True once the file is there and complete."""
        path = database_path(self._settings)
        states: deque[tuple[int, ...]] = deque(maxlen=EQUAL_LOOKS)

        def look() -> bool:
            if missing.holds_nothing(path):
                states.clear()
                return False
            status = path.stat()
            states.append((status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))
            return len(states) == EQUAL_LOOKS and len(set(states)) == 1

        return look

    def may_be_there(self) -> bool:
        """Whether there is a file."""
        return database_path(self._settings).exists()

    def require(self) -> Path:
        """The file; raises DatabaseMissing or SchemaError when there is none."""
        self.require_not_missing()
        path = database_path(self._settings)
        if not path.exists():
            if instead := rescued.instead_of(path):
                # Into a new one the service would store nothing while the copy holds more.
                raise SchemaError(_("there is no database {path}").format(path=path) + instead)
            text = _("there is no database {path}; start the service, or run: flask10x migrate")
            raise SchemaError(text.format(path=path))
        return path

    def prepare_upgrade(self, *, new: bool) -> None:
        """Set aside the WAL of a file that is gone; without `new` raise DatabaseMissing then."""
        path = database_path(self._settings)
        if not new:
            self.require_not_missing()
        elif missing.holds_nothing(path):
            missing.set_aside_rest(path, disk.moment(self._settings.zone))

    @contextmanager
    def reader(self, *, plain: bool = False) -> "Iterator[Engine]":
        """An engine that can change nothing of the file; `plain` as for `open_read_only`."""
        from flask10x.database.sqlite.file import open_read_only  # noqa: PLC0415

        engine = open_read_only(database_path(self._settings), snapshots=True, plain=plain)
        try:
            yield engine
        finally:
            engine.dispose()

    def plain_reader(self) -> "AbstractContextManager[Engine]":
        """The same, which also returns a text whose bytes have become no text."""
        return self.reader(plain=True)

    def connections(self, damage: Damage, busy_timeout_ms: int) -> "SqliteConnections":
        """The connections of this process to the file."""
        from flask10x.database.sqlite.connections import SqliteConnections  # noqa: PLC0415

        return SqliteConnections(self._settings, damage, busy_timeout_ms)
