"""A reading as a row of the table, and the one statement that puts it there."""

from typing import Any

from sqlalchemy import insert
from sqlalchemy.dialects import sqlite as sqlite_dialect

from flask10x.readings import Reading
from flask10x.stations import COLUMNS, STATIONS
from flask10x.tables import readings

Row = tuple[Any, ...]

NAMES = ("endpoint", "received_at", *COLUMNS)
_PLACES = {s.endpoint: [COLUMNS.index(column) for column in s.columns] for s in STATIONS}

# For `exec_driver_sql` with tuples: a list of dicts through SQLAlchemy costs half the speed.
INSERT = str(
    insert(readings)
    .values(dict.fromkeys(NAMES))
    .compile(dialect=sqlite_dialect.dialect(paramstyle="qmark"))
)


def row_of(reading: Reading) -> Row:
    """The reading as parameters of `INSERT`; columns of other stations are None."""
    cells: list[float | None] = [None] * len(COLUMNS)
    for place, value in zip(_PLACES[reading.endpoint], reading.values, strict=True):
        cells[place] = value
    return (reading.endpoint, reading.received_at, *cells)
