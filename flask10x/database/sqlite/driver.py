"""sqlite3's connection, whose errors are sqlite3's own whatever bytes SQLite quotes in them.

SQLite's message names what it could not read in a damaged schema, byte for byte. The sqlite3 module
decodes that message before it makes the error, so it raises UnicodeDecodeError instead, which is no
`sqlite3.Error` and carries no code. This program puts no such bytes into the schema, so it is
SQLITE_CORRUPT.

It also forgets what a progress handler raises, a Ctrl+C above all, and says SQLITE_INTERRUPT. Here
the statement raises what its handler has raised.
"""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

Answer = TypeVar("Answer")


class Driver(sqlite3.Connection):
    """A connection that raises `sqlite3.Error` where SQLite's message can't be decoded."""

    raised: BaseException | None = None
    """By the progress handler; the statement that it has broken off raises it."""

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

    def set_progress_handler(self, look: Callable[[], int | None] | None, steps: int) -> None:
        """As the usual one; what `look` raises comes out of the statement, a Ctrl+C in it too."""
        self.raised = None
        if look is None:
            super().set_progress_handler(None, steps)
            return
        looks = self._looks(look)
        next(looks)
        super().set_progress_handler(looks.__next__, steps)

    def _looks(self, look: Callable[[], int | None]) -> Iterator[int | None]:
        # A generator: Python raises a Ctrl+C on the way into a function, where the function can't
        # catch it yet, but this is always within its `try`.
        answer: int | None = 0
        try:
            while True:
                yield answer
                answer = look()
        except (Exception, KeyboardInterrupt) as error:
            self.raised = error
            yield 1


class DriverCursor(sqlite3.Cursor):
    """What such a connection makes."""

    connection: Driver

    def execute(self, *arguments: Any) -> "DriverCursor":
        """As the usual one."""
        return self._own_errors(super().execute, *arguments)

    def executemany(self, *arguments: Any) -> "DriverCursor":
        """As the usual one."""
        return self._own_errors(super().executemany, *arguments)

    def fetchone(self) -> Any:
        """As the usual one."""
        return self._own_errors(super().fetchone)

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """As the usual one."""
        return self._own_errors(super().fetchmany, self.arraysize if size is None else size)

    def fetchall(self) -> list[Any]:
        """As the usual one."""
        return self._own_errors(super().fetchall)

    def __next__(self) -> Any:
        """As the usual one."""
        return self._own_errors(super().__next__)

    def _own_errors(self, call: Callable[..., Answer], *arguments: Any) -> Answer:
        try:
            return call(*arguments)
        except UnicodeDecodeError as error:
            raise _damage(error) from None
        except sqlite3.OperationalError as error:
            raise self.connection.raised or error from None


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


def escape_undecodable(content: bytes) -> str:
    """For `text_factory`: a stored text, and lone surrogates for the bytes that are no UTF-8."""
    return content.decode(errors="surrogateescape")


def _damage(error: UnicodeDecodeError) -> sqlite3.DatabaseError:
    damage = sqlite3.DatabaseError(replace_undecodable(error.object))
    damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    damage.sqlite_errorname = "SQLITE_CORRUPT"
    return damage
