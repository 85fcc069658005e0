"""How Alembic reaches the database: through the project's own engine, under the commit lock.

A REAL column of `readings` that the tables of the code lack is that of a station, present or
former. One of a present station is expected, so that `alembic check` finds it missing.
"""

from typing import Any

from alembic import context
from sqlalchemy import REAL, Column, MetaData

from flask10x.config import settings as settings_module
from flask10x.database.engine import Database
from flask10x.database.paths import database_path
from flask10x.database.tables import metadata, readings
from flask10x.readings.stations import Stations
from flask10x.system import disk


def run() -> None:
    settings = context.config.attributes.get("settings") or settings_module.load()
    path = database_path(settings)
    if not path.exists():
        # What SQLite makes would follow the umask alone; -wal and -shm follow this file.
        disk.make_private(path)
    database = Database(settings)
    try:
        with database.commit() as connection:
            context.configure(
                connection=connection,
                target_metadata=expected(settings.stations),
                include_object=is_ours,
                # SQLite can roll back DDL; Alembic assumes that it can't.
                transactional_ddl=True,
                render_as_batch=True,
            )
            context.run_migrations()
    finally:
        database.close()


def expected(stations: Stations) -> MetaData:
    """The tables of the code, with the columns of these stations."""
    with_stations = MetaData()
    for table in metadata.sorted_tables:
        table.to_metadata(with_stations)
    there = with_stations.tables[readings.name]
    for name in stations.columns:
        if name not in there.c:
            there.append_column(Column(name, REAL))
    return with_stations


def is_ours(found: Any, _name: str | None, kind: str, reflected: bool, wanted: Any) -> bool:
    """Whether a migration has to do with it."""
    if kind != "column" or not reflected or wanted is not None:
        return True
    return found.table.name != readings.name or not isinstance(found.type, REAL)


if context.is_offline_mode():
    raise SystemExit("migrations run against a database only, not as a script (--sql)")
run()
