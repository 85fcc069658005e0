"""sqlite3's connection, whose errors are sqlite3's own whatever bytes SQLite quotes in them.

SQLite's message names what it could not read in a damaged schema, byte for byte. The sqlite3 module
decodes that message before it makes the error, so it raises UnicodeDecodeError instead, which is no
`sqlite3.Error` and carries no code. This program puts no such bytes into the schema, so it is
SQLITE_CORRUPT.
"""

import sqlite3
from pathlib import Path
from typing import Any


class Driver(sqlite3.Connection):
    """A connection that raises `sqlite3.Error` where SQLite's message can't be decoded."""

    def cursor(self, factory: Any = None) -> Any:
        """A cursor that raises likewise."""
        return super().cursor(factory or DriverCursor)

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        """As the usual one, which would not ask `cursor` for its cursor."""
        cursor: sqlite3.Cursor = self.cursor().execute(*arguments)
        return cursor

    def commit(self) -> None:
        """As the usual one."""
        try:
            super().commit()
        except UnicodeDecodeError as error:
            raise _damage(error) from None

    def rollback(self) -> None:
        """As the usual one."""
        try:
            super().rollback()
        except UnicodeDecodeError as error:
            raise _damage(error) from None


class DriverCursor(sqlite3.Cursor):
    """What such a connection makes."""

    # Not the fetching: SQLite has read the schema, and quoted its bytes, before the first row.

    def execute(self, *arguments: Any) -> "DriverCursor":
        """As the usual one."""
        try:
            super().execute(*arguments)
        except UnicodeDecodeError as error:
            raise _damage(error) from None
        return self

    def executemany(self, *arguments: Any) -> "DriverCursor":
        """As the usual one."""
        try:
            super().executemany(*arguments)
        except UnicodeDecodeError as error:
            raise _damage(error) from None
        return self


def connect(path: Path, query: str, timeout_sec: float) -> Driver:
    """A connection to this file, without transactions that the sqlite3 module begins by itself.

    `query` is that of SQLite's URI, `mode=ro` say (https://www.sqlite.org/uri.html).
    """
    uri = f"{path.absolute().as_uri()}?{query}"
    # One thread at a time; it is closed by another than has opened it.
    return sqlite3.connect(
        uri,
        timeout=timeout_sec,
        isolation_level=None,
        uri=True,
        factory=Driver,
        check_same_thread=False,
    )


def replace_undecodable(content: bytes) -> str:
    """For `text_factory`: a stored text, and escapes for the bytes that are no UTF-8."""
    return content.decode(errors="backslashreplace")


def _damage(error: UnicodeDecodeError) -> sqlite3.DatabaseError:
    damage = sqlite3.DatabaseError(replace_undecodable(error.object))
    damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    damage.sqlite_errorname = "SQLITE_CORRUPT"
    return damage
