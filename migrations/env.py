"""How Alembic reaches the database: through the project's own engine, while nobody else commits.

A REAL column of `readings` that the tables of the code lack is that of a station, present or
former. One of a present station is expected, so that `alembic check` finds it missing.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from alembic import context
from sqlalchemy import Column, Connection, Index, MetaData, NullPool, create_engine, inspect, text
from sqlalchemy.types import DOUBLE_PRECISION, REAL

from flask10x.config import settings as settings_module
from flask10x.config.settings import Settings
from flask10x.database.engine import WRITE_BUSY_TIMEOUT_MS, Database
from flask10x.database.paths import database_path
from flask10x.database.postgres.tables import only_postgres
from flask10x.database.tables import NUMBER, metadata, readings
from flask10x.readings.stations import Stations
from flask10x.system import disk

# PostgreSQL's advisory locks are numbers that all programs of a database share: one that no other
# is likely to use, the bytes of `flask10x`.
MIGRATION_LOCK = int.from_bytes(b"flask10x", "big")


def run() -> None:
    settings = context.config.attributes.get("settings") or settings_module.load()
    on_postgres = settings.database_url.startswith("postgresql")
    with (_on_postgres if on_postgres else _on_sqlite)(settings) as connection:
        context.configure(
            connection=connection,
            target_metadata=expected(settings.stations, connection.dialect.name),
            include_object=is_ours,
            # Both engines can roll back DDL; Alembic assumes that SQLite can't.
            transactional_ddl=True,
            render_as_batch=True,
        )
        context.run_migrations()


@contextmanager
def _on_sqlite(settings: Settings) -> Iterator[Connection]:
    path = database_path(settings)
    if not path.exists():
        # What SQLite makes would follow the umask alone; -wal and -shm follow this file.
        disk.make_private(path)
    with closing(Database(settings)) as database, database.commit() as connection:
        yield connection


@contextmanager
def _on_postgres(settings: Settings) -> Iterator[Connection]:
    """A transaction of its own: what a commit locks first is made by a migration."""
    engine = create_engine(
        settings.database_url, poolclass=NullPool, connect_args={"prepare_threshold": None}
    )
    with engine.begin() as connection:
        # Another host may be migrating: that is waited for, and then there is nothing to do here.
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        # Who changes a table waits for those who read it, and all others wait behind him.
        timeout = {"timeout": f"{WRITE_BUSY_TIMEOUT_MS}ms"}
        connection.execute(text("SELECT set_config('lock_timeout', :timeout, true)"), timeout)
        if inspect(connection).has_table("log"):
            connection.execute(text("SELECT 1 FROM log WHERE name = 'readings' FOR UPDATE"))
        yield connection


def expected(stations: Stations, dialect: str) -> MetaData:
    """The tables of the code, with the columns of these stations."""
    all_tables = [*metadata.sorted_tables]
    if dialect == "postgresql":
        all_tables += only_postgres.sorted_tables
    with_stations = MetaData()
    for table in all_tables:
        table.to_metadata(with_stations)
    there = with_stations.tables[readings.name]
    for name in stations.columns:
        if name not in there.c:
            there.append_column(Column(name, NUMBER))
    if dialect == "postgresql":
        (place,) = there.indexes
        there.indexes.remove(place)
        Index(place.name, *place.columns, there.c.id)
    return with_stations


def is_ours(found: Any, _name: str | None, kind: str, reflected: bool, wanted: Any) -> bool:
    """Whether a migration has to do with it."""
    if kind != "column" or not reflected or wanted is not None:
        return True
    is_number = isinstance(found.type, (REAL, DOUBLE_PRECISION))
    return found.table.name != readings.name or not is_number


if context.is_offline_mode():
    raise SystemExit("migrations run against a database only, not as a script (--sql)")
run()
