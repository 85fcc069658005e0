"""The one statement that puts rows into the table."""

from collections.abc import Iterable

from sqlalchemy import column, insert, table
from sqlalchemy.dialects import sqlite as sqlite_dialect

from flask10x.database.rows import NAMES
from flask10x.database.tables import readings
from flask10x.readings.stations import STATIONS


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
