"""How a command takes hold of the database, and what it says when another is at work."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from gettext import gettext as _
from typing import NoReturn

import click
from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database import engines, schema
from flask10x.database.database import Database
from flask10x.database.paths import shown_name
from flask10x.database.station_columns import missing_columns
from flask10x.errors import LockTimeout, SchemaError
from flask10x.runtime.removal import BRIEF
from flask10x.system.locks import FileLock, lock_path

# This status tells cron's mail that nothing is wrong, only that another one was faster.
ALREADY_RUNNING_STATUS = 3
# A piece takes a fraction of a second; the first look into a file with years of older rows takes as
# long as reading it.
BRIEF_SEC = 60.0


@contextmanager
def opened(config: Settings) -> Iterator[Database]:
    """The database of these settings, closed when the block ends.

    Raises Flask10xError when there is none, it is older than this program or it lacks a station's
    column, and OSError when its folder can't be written.
    """
    engines.of(config).require()
    database = Database(config)
    try:
        _require_newest(config, database)
        _require_columns(config, database)
        yield database
    finally:
        database.close()


def _require_newest(config: Settings, database: Database) -> None:
    """Raise SchemaError when it is older; one that can't be read now says so by itself."""
    with suppress(DBAPIError), database.reader.begin() as connection:
        schema.require_newest(config, connection)


def _require_columns(config: Settings, database: Database) -> None:
    """Raise SchemaError when the stations' file is newer than what the database was made for."""
    missing: list[str] = []
    # Without a file there is nothing to lack. One that can't be read now says so by itself.
    if config.stations.file:
        with suppress(DBAPIError), database.reader.begin() as connection:
            missing = missing_columns(connection, config.stations)
    if missing:
        text = _(
            "{database} lacks columns that {file} names: {columns}; reload or restart the service,"
            " or run: flask10x migrate"
        )
        columns = ", ".join(missing)
        named = {"database": shown_name(config), "file": config.stations.file, "columns": columns}
        raise SchemaError(text.format(**named))


@contextmanager
def opened_alone(config: Settings, *, lock: str, running: str) -> Iterator[Database]:
    """The database, while no other command has the lock of this name.

    Else `running` is said, and the process ends with ALREADY_RUNNING_STATUS. Raises what `opened`
    does.
    """
    held = FileLock(lock_path(engines.of(config).require(), lock))
    if not (held.try_acquire() or _after_removal(held)):
        already_running(running)
    try:
        with opened(config) as database:
            yield database
    finally:
        held.close()


def _after_removal(held: FileLock) -> bool:
    """Whether the lock was free after the service had removed a piece of old readings under it."""
    if held.noted() != BRIEF:
        return False
    with suppress(LockTimeout):
        held.acquire(BRIEF_SEC)
        return True
    return False


def already_running(message: object) -> NoReturn:
    """Say it, and end with the status that means it."""
    click.echo(f"flask10x: {message}", err=True)
    sys.exit(ALREADY_RUNNING_STATUS)
