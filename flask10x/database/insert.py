"""How readings become rows of the table `readings`."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, column, insert, table
from sqlalchemy.dialects import sqlite as sqlite_dialect

from flask10x.database.tables import readings
from flask10x.errors import UnknownColumn
from flask10x.readings.parse import Reading
from flask10x.readings.stations import Station, Stations

Cells = dict[str, Any]
"""A row by its columns; those without a value may be left out."""
InsertRow = tuple[Any, ...]
"""A row of one station with its columns only: (endpoint, received_at, *values)."""

HEAD = ("endpoint", "received_at", "arrived_at")


def row_of(stations: Stations, reading: Reading) -> Cells:
    """The reading as a row."""
    columns = stations.by_endpoint[reading.endpoint].columns
    values = zip(columns, reading.values, strict=True)
    row: Cells = {"endpoint": reading.endpoint, "received_at": reading.received_at}
    if reading.arrived_at is not None:
        row["arrived_at"] = reading.arrived_at
    row.update((name, value) for name, value in values if value is not None)
    return row


def insert_rows(connection: Connection, stations: Stations, rows: Sequence[Cells]) -> None:
    """Insert these rows, in their order.

    Raises UnknownColumn for a column that the table lacks, or sqlalchemy.exc.DBAPIError; then the
    transaction is to be rolled back.
    """
    names = _names(connection, stations, rows)
    connection.exec_driver_sql(_statement(names), [tuple(map(row.get, names)) for row in rows])


def insert_row(connection: Connection, stations: Stations, row: Cells) -> int:
    """Insert one row; its id. Raises as `insert_rows` does, and then nothing was inserted."""
    names = _names(connection, stations, [row])
    inserted = connection.exec_driver_sql(_statement(names), tuple(map(row.get, names)))
    return inserted.lastrowid


def station_statement(station: Station) -> str:
    """For `exec_driver_sql` with rows of this station alone, each an InsertRow.

    The sqlite3 module takes longer over each None than over a number.
    """
    return _statement(("endpoint", "received_at", *station.columns))


def existing_columns(connection: Connection) -> set[str]:
    """The columns that the table has in this database."""
    found = connection.exec_driver_sql("SELECT name FROM pragma_table_info(?)", (readings.name,))
    return set(found.scalars())


def _names(connection: Connection, stations: Stations, rows: Iterable[Cells]) -> tuple[str, ...]:
    """The columns that these rows fill; also those of stations that are no more."""
    names, known = _usual(stations)
    if all(map(known.issuperset, rows)):
        return names
    others = set().union(*rows) - known
    if missing := others - existing_columns(connection):
        raise UnknownColumn(f"there is no column {', '.join(sorted(missing))}")
    return (*names, *sorted(others))


@lru_cache(maxsize=8)
def _usual(stations: Stations) -> tuple[tuple[str, ...], frozenset[str]]:
    names = (*HEAD, *stations.columns)
    return names, frozenset(names)


@lru_cache(maxsize=64)
def _statement(names: tuple[str, ...]) -> str:
    """For `exec_driver_sql` with tuples; a list of dicts through SQLAlchemy is half as fast."""
    # Not `readings` itself: SQLAlchemy would put the columns into the order of the table.
    into = table(readings.name, *map(column, names))
    statement = insert(into).values(dict.fromkeys(into.c.keys()))
    return str(statement.compile(dialect=sqlite_dialect.dialect(paramstyle="qmark")))
