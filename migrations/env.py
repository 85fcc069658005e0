"""How Alembic reaches the database: by the project's own engine, with no other commits meanwhile.

A REAL column of `readings` that the tables of the code lack is that of a station, present or
former. One of a present station is expected, so that `alembic check` finds it missing.
"""

from contextlib import closing
from typing import Any

from alembic import context
from sqlalchemy import Column, MetaData
from sqlalchemy.types import DOUBLE_PRECISION, REAL

from flask10x.config import settings as settings_module
from flask10x.database import schema
from flask10x.database.database import Database
from flask10x.database.paths import database_path
from flask10x.database.tables import NUMBER, metadata, readings, shared_metadata
from flask10x.readings.stations import Stations
from flask10x.system import disk


def run() -> None:
    settings = context.config.attributes.get("settings") or settings_module.load()
    path = database_path(settings)
    if not settings.on_postgres and not path.exists():
        # What SQLite makes would follow the umask alone; -wal and -shm follow this file.
        disk.make_private(path)
    with closing(Database(settings)) as database, database.migration() as connection:
        context.configure(
            connection=connection,
            target_metadata=expected(settings.stations, connection.dialect.name),
            include_object=is_ours,
            # Both engines can roll back DDL; Alembic assumes that SQLite can't.
            transactional_ddl=True,
            render_as_batch=True,
        )
        schema.forget_former(connection)
        context.run_migrations()


def expected(stations: Stations, dialect: str) -> MetaData:
    """The tables of the code, with the columns of these stations."""
    all_tables = [*metadata.sorted_tables]
    if dialect == "postgresql":
        all_tables += shared_metadata.sorted_tables
    with_stations = MetaData()
    for table in all_tables:
        table.to_metadata(with_stations)
    there = with_stations.tables[readings.name]
    for name in stations.columns:
        if name not in there.c:
            there.append_column(Column(name, NUMBER))
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
