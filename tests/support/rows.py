"""What a second connection sees: the stdlib's own sqlite3 or psycopg, not the code under test.

Statements are SQL that both engines have, with `?` for parameters.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from flask10x.database.insert import insert_rows, row_of
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from tests.support import databases, postgres

# As it stands in a statement; neither engine has a number for it.
INFINITY = "CAST('Infinity' AS DOUBLE PRECISION)" if databases.ON_POSTGRES else "9e999"


def select(database: Path, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    """The rows of a query, by a connection of its own."""
    if databases.ON_POSTGRES:
        with on_postgres(database) as connection:
            cursor = connection.execute(_marked(sql, parameters), parameters or None)
            return list(cursor.fetchall())
    with closing(sqlite3.connect(f"file:{database}?mode=ro", timeout=10, uri=True)) as connection:
        return connection.execute(sql, parameters).fetchall()


def execute(database: Path, *statements: str) -> None:
    """Change the database from outside, as a person in the sqlite3 shell or in psql does."""
    if databases.ON_POSTGRES:
        with on_postgres(database) as connection, connection.transaction():
            databases.number_rows(connection)
            for statement in statements:
                connection.execute(statement)
        return
    with closing(sqlite3.connect(database)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def insert_series(database: Path, rows: int, **values: str) -> None:
    """So many readings from outside; each value is an expression, in which `i` counts from 1."""
    series = "WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n"
    series += f" WHERE i < {rows})"
    if not databases.ON_POSTGRES:
        names, given = ", ".join(values), ", ".join(values.values())
        execute(database, f"{series} INSERT INTO readings ({names}) SELECT {given} FROM n")
        return
    # By its trigger each row would change the same row of `log`: 60,000 of them take minutes.
    with on_postgres(database) as connection, connection.transaction():
        numbered = {"id": f"i + {_last_id(connection)}", **values}
        names, given = ", ".join(numbered), ", ".join(numbered.values())
        connection.execute(f"{series} INSERT INTO readings ({names}) SELECT {given} FROM n")


FILE = {
    "id": "(SELECT coalesce(max(id), 0) + 1 FROM csv_files)",
    "name": "'PicodataX.csv'",
    "kind": "'current'",
    **dict.fromkeys(("first_id", "last_id", "import_id", "begin_bytes"), "0"),
    **dict.fromkeys(("size_bytes", "checksum", "inode", "changed_ns"), "0"),
}
INTENT = "SELECT name FROM csv_files WHERE intent_to_id IS NOT NULL"
"""The files of interrupted exports."""


def file_row(**columns: object) -> str:
    """The statement that puts the row of a CSV file into the table, with these columns."""
    values = FILE | {
        name: f"'{value}'" if isinstance(value, str) else str(value)
        for name, value in columns.items()
    }
    return f"INSERT INTO csv_files ({', '.join(values)}) VALUES ({', '.join(values.values())})"


def insert_selected(database: Path, *statements: tuple[str, str]) -> None:
    """Readings from outside: of each statement the names of its columns, and the SELECT."""
    if not databases.ON_POSTGRES:
        execute(database, *(f"INSERT INTO readings ({n}) {rows}" for n, rows in statements))
        return
    # Of the log, too, each row of a statement would change the same row.
    with on_postgres(database) as connection, connection.transaction():
        last_id = _last_id(connection)
        for names, rows in statements:
            numbered = f"SELECT {last_id} + row_number() OVER (), picked.* FROM ({rows}) AS picked"
            done = connection.execute(f"INSERT INTO readings (id, {names}) {numbered}")
            last_id += done.rowcount
        # Autovacuum, which does it within a minute, is off on the tests' server.
        connection.execute("ANALYZE readings")


def _last_id(connection: Any) -> int:
    """The highest id that there ever was; until the transaction ends no other one is given."""
    connection.execute("INSERT INTO log VALUES ('readings', 0) ON CONFLICT DO NOTHING")
    connection.execute("SELECT last_id FROM log WHERE name = 'readings' FOR UPDATE")
    (number,) = connection.execute(
        "SELECT greatest(last_id, (SELECT max(id) FROM readings)) FROM log WHERE name = 'readings'"
    ).fetchone()
    return int(number)


@contextmanager
def on_postgres(database: Path) -> Iterator[Any]:
    """A connection to the database of the folder of this path."""
    with closing(postgres.shared().connect(databases.name_of(database.parent))) as connection:
        yield connection


def _marked(sql: str, parameters: tuple[object, ...]) -> str:
    return sql.replace("%", "%%").replace("?", "%s") if parameters else sql


def pico(pressure: float, received_at: int = 1_756_000_000_000) -> Reading:
    """A reading of `/data` that can be told from others by its pressure."""
    return Reading("data", received_at, (pressure, 25.1))


def insert_readings(connection: Connection, readings: Iterable[Reading]) -> None:
    """Put readings into the table as the writer does."""
    insert_rows(connection, BUILT_IN, [row_of(BUILT_IN, reading) for reading in readings])
