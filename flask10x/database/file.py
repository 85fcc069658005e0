"""One database file by itself: looked into, checked, copied, made whole; also beside a service."""

import sqlite3
from pathlib import Path

from sqlalchemy import Connection, Engine, NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database.engine import READ_BUSY_TIMEOUT_MS, WRITE_BUSY_TIMEOUT_MS, database_path
from flask10x.database.error_codes import code_of, reason_of
from flask10x.errors import SchemaError

# How often Python gets to see a Ctrl+C during a statement that runs for minutes.
STEPS_BETWEEN_SIGNALS = 100_000


def existing_database(settings: Settings) -> Path:
    """Where the database is; raises SchemaError when there is none yet."""
    path = database_path(settings)
    if not path.exists():
        raise SchemaError(
            f"there is no database {path}; start the service, or run: flask10x migrate"
        )
    return path


def open_read_only(path: Path, *, immutable: bool = False) -> Engine:
    """An engine whose connections can change nothing: closing one never checkpoints the WAL.

    `immutable` is for a file that nobody else has open and that has no WAL: nothing is locked and
    nothing written beside it.
    """
    uri = f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if immutable else ''}"

    def connect() -> sqlite3.Connection:
        timeout_sec = READ_BUSY_TIMEOUT_MS / 1000
        driver = sqlite3.connect(uri, timeout=timeout_sec, isolation_level=None, uri=True)
        driver.set_progress_handler(lambda: 0, STEPS_BETWEEN_SIGNALS)
        return driver

    return create_engine("sqlite://", creator=connect, poolclass=NullPool)


def copy_into(path: Path, target: Path) -> None:
    """Write a consistent copy of a database that others go on using into a new file.

    The copy is one file, defragmented, without a WAL, and not yet on the disk. Until it is
    complete the WAL of the original can't begin anew, so it grows with every commit.
    Raises sqlalchemy.exc.DBAPIError; then the target is worthless.
    """
    with open_read_only(path).connect() as connection:
        connection.exec_driver_sql("VACUUM INTO ?", (str(target),))


def damages(connection: Connection, *, full: bool) -> list[str]:
    """What SQLite's own check finds wrong, a line each; empty when the database is sound.

    `full` also compares each index with its table and takes several times as long.
    """
    pragma = "integrity_check" if full else "quick_check"
    try:
        lines = connection.exec_driver_sql(f"PRAGMA {pragma}").scalars().all()
    except DBAPIError as error:
        if code_of(error) == "SQLITE_INTERRUPT":
            raise
        return [reason_of(error)]
    return [line for line in lines if line != "ok"]


def make_single_file(path: Path) -> None:
    """Bring the WAL into its database and remove it, so that the file stands for itself.

    Hold the commit lock. Raises sqlite3.Error and leaves everything as it is: SQLITE_BUSY when
    anybody else has the database open.
    """
    uri = f"{path.absolute().as_uri()}?mode=rw"
    timeout_sec = WRITE_BUSY_TIMEOUT_MS / 1000
    driver = sqlite3.connect(uri, timeout=timeout_sec, isolation_level=None, uri=True)
    try:
        driver.execute("PRAGMA journal_mode = DELETE").fetchone()
    finally:
        driver.close()
