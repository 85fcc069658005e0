"""How readings become rows of the table `readings`."""

from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection

from flask10x.database import dialects
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
    cells = [tuple(map(row.get, names)) for row in rows]
    dialects.statements_of(connection).insert_rows(connection, names, cells)


def insert_row(connection: Connection, stations: Stations, row: Cells) -> int:
    """Insert one row; its id. Raises as `insert_rows` does, and then nothing was inserted."""
    with dialects.statements_of(connection).attempt(connection):
        insert_rows(connection, stations, [row])
        return dialects.last_id(connection)


def insert_station_rows(
    connection: Connection, station: Station, rows: Sequence[InsertRow]
) -> None:
    """Insert rows of this station alone; raises sqlalchemy.exc.DBAPIError.

    The sqlite3 module takes longer over each None than over a number.
    """
    names = ("endpoint", "received_at", *station.columns)
    dialects.statements_of(connection).insert_rows(connection, names, rows)


def existing_columns(connection: Connection) -> set[str]:
    """The columns that the table has in this database."""
    query = f"SELECT * FROM {readings.name} LIMIT 0"  # noqa: S608
    with closing(connection.exec_driver_sql(query)) as result:
        return set(result.keys())


def _names(connection: Connection, stations: Stations, rows: Iterable[Cells]) -> tuple[str, ...]:
    """The columns that these rows fill; also those of stations that are no more."""
    names, usual = _usual(stations)
    if all(map(usual.issuperset, rows)):
        return names
    others = set().union(*rows) - usual
    if missing := others - existing_columns(connection):
        raise UnknownColumn(f"there is no column {', '.join(sorted(missing))}")
    return (*names, *sorted(others))


@lru_cache(maxsize=8)
def _usual(stations: Stations) -> tuple[tuple[str, ...], frozenset[str]]:
    names = (*HEAD, *stations.columns)
    return names, frozenset(names)
