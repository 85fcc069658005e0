"""The index of the readings beside their table: what SQLite has in each, where they differ."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from flask10x.database.sqlite.statements import SQLITE

# `unindexed` by hand: the row itself is read, not its entry in the index, and the other way round.
_OUT_OF_INDEX = """
SELECT stored.id FROM readings AS stored NOT INDEXED
WHERE stored.id > ? AND stored.id <= ? AND NOT EXISTS (
  SELECT 1 FROM readings AS entry INDEXED BY ix_readings_endpoint_received_at
  WHERE entry.endpoint = stored.endpoint AND entry.received_at = stored.received_at
  AND entry.id = stored.id
)
ORDER BY stored.id
"""
_ENTRY = """
SELECT 1 FROM readings INDEXED BY ix_readings_endpoint_received_at
WHERE endpoint = ? AND received_at = ? AND id = ?
"""


def readings_out_of_index(connection: Connection, after: int, until: int) -> list[int]:
    """Return the readings with `after < id <= until` whose time the index does not have.

    Empty on PostgreSQL, which chooses itself which way a statement goes (amcheck looks at both).
    """
    if connection.dialect.name != SQLITE:
        return []
    return list(connection.exec_driver_sql(_OUT_OF_INDEX, (after, until)).scalars())


def is_in_index(connection: Connection, number: int, endpoint: str, received_at: int) -> bool:
    """Check whether the index has the reading with this endpoint and time.

    The table may have others. False on PostgreSQL, which can't be asked.
    """
    if connection.dialect.name != SQLITE:
        return False
    values = (endpoint, received_at, number)
    return connection.exec_driver_sql(_ENTRY, values).first() is not None


def rebuild_index(connection: Connection) -> None:
    """Make the index of the readings again; a million of them take a second on a PC.

    Only for SQLite, where an entry may be known to be wrong.
    """
    connection.exec_driver_sql("REINDEX ix_readings_endpoint_received_at")


@contextmanager
def changes_rotten_rows(connection: Connection) -> Iterator[None]:
    """In the block a row may be changed of whose present values the index has no entry.

    SQLite takes a missing entry for damage, unless the schema may be written: only then it leaves
    the right entry, which is there, as it is (https://www.sqlite.org/pragma.html). On PostgreSQL
    nothing is needed: an old entry leads to a row that has another value.
    """
    if connection.dialect.name != SQLITE:
        yield
        return
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    try:
        yield
    finally:
        connection.exec_driver_sql("PRAGMA writable_schema = OFF")
