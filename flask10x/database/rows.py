"""A reading as a row of the table, and the one statement that puts it there."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import bindparam, column, func, insert, select, table
from sqlalchemy.dialects import sqlite as sqlite_dialect

from flask10x.database.tables import readings
from flask10x.readings.parse import Reading
from flask10x.readings.stations import COLUMNS, STATIONS

InsertRow = tuple[Any, ...]

NAMES = ("endpoint", "received_at", *COLUMNS)
_PLACES = {s.endpoint: [COLUMNS.index(column) for column in s.columns] for s in STATIONS}


def _insert_of(names: Iterable[str]) -> str:
    """For `exec_driver_sql` with tuples; a list of dicts through SQLAlchemy is half as fast."""
    # Not `readings` itself: SQLAlchemy would put the columns into the order of the table.
    into = table(readings.name, *map(column, names))
    statement = insert(into).values(dict.fromkeys(into.c.keys()))
    return str(statement.compile(dialect=sqlite_dialect.dialect(paramstyle="qmark")))


INSERT = _insert_of(NAMES)
# The same for rows of one station that have its columns only: (endpoint, received_at, *values).
# The sqlite3 module takes longer over each None than over a number.
INSERT_STATION = {s.endpoint: _insert_of(("endpoint", "received_at", *s.columns)) for s in STATIONS}

# How many rows are equal to the one that is given as {name: value}, a missing value to NULL.
COUNT_EQUAL = (
    select(func.count())
    .select_from(readings)
    .where(*(readings.c[name].is_not_distinct_from(bindparam(name)) for name in NAMES))
)


def row_of(reading: Reading) -> InsertRow:
    """The reading as parameters of `INSERT`; columns of other stations are None."""
    cells: list[float | None] = [None] * len(COLUMNS)
    for place, value in zip(_PLACES[reading.endpoint], reading.values, strict=True):
        cells[place] = value
    return (reading.endpoint, reading.received_at, *cells)


def reading_of(row: InsertRow) -> Reading:
    """The reading that `row_of` has made this row of."""
    endpoint, received_at, *cells = row
    return Reading(endpoint, received_at, tuple([cells[place] for place in _PLACES[endpoint]]))
