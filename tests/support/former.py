"""Databases of the versions that the first migration takes over.

`tests/database/former` has two that these versions themselves have made, as the programs of each
engine write them out.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from flask10x.config.settings import Settings
from flask10x.database import schema
from tests.support import databases
from tests.support.rows import execute, on_postgres

FOLDER = Path(__file__).resolve().parents[1] / "database" / "former"
# What a database of today has and one of that version had not.
LACKS = {
    "0018": ("ALTER TABLE archived_files DROP COLUMN last_received_at",),
    "0012": (
        "DROP TABLE archived_files",
        "DROP TABLE unknown_readings",
        *(f"ALTER TABLE exports DROP COLUMN {name}" for name in ("endpoint", "path", "columns")),
    ),
}


def lay(path: Path, revision: str) -> None:
    """Make a database of this version, with a row in some tables."""
    databases.lay_empty_database(path)
    if databases.ON_POSTGRES:
        with on_postgres(path) as connection:
            run(connection, revision)
    else:
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript((FOLDER / f"sqlite_{revision}.sql").read_text())


def run(connection: Any, revision: str) -> None:
    """Make the tables of this version by a connection to an empty database of PostgreSQL."""
    # A function is made before its tables.
    connection.execute("SET check_function_bodies = off")
    connection.execute((FOLDER / f"postgres_{revision}.sql").read_text())


def bring_back(settings: Settings, path: Path, revision: str) -> None:
    """Make a file of SQLite one of this version, which may be one that is taken over."""
    first = schema.chain()[0]
    schema.downgrade(settings, max(revision, first))
    if revision in schema.TAKEN_OVER:
        version = f"UPDATE alembic_version SET version_num = '{revision}'"
        # Those between the two were made for days, and lacked what one of them lacked.
        execute(path, *LACKS["0012" if revision < "0018" else revision], version)
