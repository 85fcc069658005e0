"""A database on a server of PostgreSQL, as `DatabaseEngine` describes it.

psycopg and SQLAlchemy are loaded only by what asks the server.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING

from flask10x.database.damage import Damage
from flask10x.database.engine import DatabaseEngine, Hosts
from flask10x.database.paths import database_path, shown_name
from flask10x.database.server import Server
from flask10x.errors import DatabaseUnreachable, SchemaError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from flask10x.database.postgres.connections import PostgresConnections


class PostgresEngine(DatabaseEngine):
    """The database of these settings, on its server."""

    is_file = False
    # A server may be away, or refuse what the service needs; it makes no sense to look for a file.
    lack = "cannot be used"
    # A commit that is sent has its readings, and waits for those of other hosts: what comes
    # meanwhile had better go with it.
    commit_delay_max_sec = 0.005

    @property
    def hosts(self) -> Hosts:
        """This host among those that may share the database."""
        from flask10x.database.postgres.hosts import SeveralHosts  # noqa: PLC0415

        return SeveralHosts(self._settings)

    @property
    def server(self) -> Server:
        """What the server says of itself."""
        from flask10x.database.postgres import server  # noqa: PLC0415

        return server

    def arrival(self) -> Callable[[], bool]:
        """Return a callable that is True while the server answers and is no standby."""
        from sqlalchemy.exc import DBAPIError  # noqa: PLC0415

        def look() -> bool:
            try:
                with self.reader() as engine, engine.connect() as connection:
                    return not self.server.primary(connection).is_standby
            except DBAPIError:
                return False

        return look

    def require(self) -> Path:
        """The path beside which this host has its locks.

        Raises SchemaError or DatabaseUnreachable when the database was never migrated.
        """
        from sqlalchemy import inspect  # noqa: PLC0415
        from sqlalchemy.exc import DBAPIError  # noqa: PLC0415

        from flask10x.database.error_codes import reason_of  # noqa: PLC0415
        from flask10x.database.tables import readings  # noqa: PLC0415

        name = shown_name(self._settings)
        try:
            with self.reader() as engine:
                is_migrated = inspect(engine).has_table(readings.name)
        except DBAPIError as error:
            text = _("{path} cannot be read: {reason}")
            raise DatabaseUnreachable(text.format(path=name, reason=reason_of(error))) from error
        if not is_migrated:
            text = _("there is no database {path}; start the service, or run: flask10x migrate")
            raise SchemaError(text.format(path=name))
        return database_path(self._settings)

    @contextmanager
    def reader(self) -> "Iterator[Engine]":
        """An engine to read it; not by a `Database`, which has locks on the disk."""
        from flask10x.database.postgres.connections import PostgresConnections  # noqa: PLC0415

        engine = PostgresConnections(self._settings).reader
        try:
            yield engine
        finally:
            engine.dispose()

    def connections(self, _damage: Damage, busy_timeout_ms: int) -> "PostgresConnections":
        """The connections of this process to the server."""
        from flask10x.database.postgres.connections import PostgresConnections  # noqa: PLC0415

        return PostgresConnections(self._settings, busy_timeout_ms)
