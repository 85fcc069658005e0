"""The database as a command meets it: it may not be there, and a look makes and changes nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from gettext import gettext as _
from pathlib import Path

from sqlalchemy import Engine, inspect
from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database.engine import WRITE_BUSY_TIMEOUT_MS
from flask10x.database.error_codes import reason_of
from flask10x.database.paths import database_path, shown_name
from flask10x.database.sqlite.file import existing_database, open_read_only
from flask10x.database.tables import readings
from flask10x.errors import DatabaseUnreachable, SchemaError


@contextmanager
def reader(settings: Settings) -> Iterator[Engine]:
    """An engine to read a database that `may_be_there`; its errors are those of the engine."""
    if settings.on_postgres:
        # Only here: a home has no use for it.
        from flask10x.database.postgres.connections import PostgresConnections  # noqa: PLC0415

        # Not by a `Database`, which has locks on the disk.
        engine = PostgresConnections(settings, WRITE_BUSY_TIMEOUT_MS).reader
    else:
        engine = open_read_only(database_path(settings))
    try:
        yield engine
    finally:
        engine.dispose()


def may_be_there(settings: Settings) -> bool:
    """Whether there is a file; who asks a server is told by it."""
    return settings.on_postgres or database_path(settings).exists()


def require(settings: Settings) -> Path:
    """The path beside which a database that was migrated once has its locks.

    Raises SchemaError, DatabaseUnreachable or DatabaseMissing when there is none.
    """
    if not settings.on_postgres:
        return existing_database(settings)
    name = shown_name(settings)
    try:
        with reader(settings) as engine:
            is_migrated = inspect(engine).has_table(readings.name)
    except DBAPIError as error:
        text = _("{path} cannot be read: {reason}")
        raise DatabaseUnreachable(text.format(path=name, reason=reason_of(error))) from error
    if not is_migrated:
        text = _("there is no database {path}; start the service, or run: flask10x migrate")
        raise SchemaError(text.format(path=name))
    return database_path(settings)
