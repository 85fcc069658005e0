"""The index of `readings` by station and time, exchanged for a smaller one while services go on.

PostgreSQL takes minutes to make one of a hundred million readings, and a migration holds the row
that each commit locks. So the new one is made before it and in no transaction, which holds up
neither readers nor commits
(https://www.postgresql.org/docs/17/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY).
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, Row, text
from sqlalchemy.exc import DBAPIError

from flask10x.database.error_codes import code_of
from flask10x.database.postgres import driver

PLACE = "ix_readings_endpoint_received_at"
NEW, FORMER = f"{PLACE}_new", f"{PLACE}_former"
# It waits for each query that began before it, that of a `pg_dump`, say.
SILENCE_SEC = 86_400.0
# SQLSTATE: there is an index of this name, none of that name, and two that are made at once.
OTHERS_WERE_FIRST = ("42P07", "23505", "42P01", "42704", "40P01")
PAUSE_SEC = 1.0

_found = text(
    "SELECT indnatts > 2 AS is_wide, indisvalid, EXISTS (SELECT"
    " FROM pg_stat_progress_create_index WHERE index_relid = indexrelid) AS is_made"
    " FROM pg_index WHERE indexrelid = to_regclass(:name)"
)
# None: as the session began. The last one is of PostgreSQL 17.
_limit = text(
    "SELECT set_config(name, coalesce(CAST(:limit AS TEXT), reset_val), false) FROM pg_settings"
    " WHERE name IN ('statement_timeout', 'lock_timeout', 'transaction_timeout')"
)


def exchange(engine: Engine) -> None:
    """Take the id out of the index, if it has one; nothing in a database without the table.

    Another host may do the same now. What was broken off is ended by the next call. Raises
    sqlalchemy.exc.DBAPIError.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        driver.allow_silence(connection, SILENCE_SEC)
        if _look(connection, PLACE) is None:
            return
        # Those of a role or a database are for people who forget a session.
        connection.execute(_limit, {"limit": "0"})
        while _is_wide(connection):
            with _beside_others():
                _replace(connection)
        for name in (NEW, FORMER):
            while _look(connection, name) is not None:
                # Two that drop it at once wait for each other; PostgreSQL ends one of them.
                with _beside_others():
                    connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        # A pool between us and the server may give the session to others.
        connection.execute(_limit, {"limit": None})


@contextmanager
def _beside_others() -> Iterator[None]:
    """One try, which fails where another host was first; then a pause."""
    try:
        yield
    except DBAPIError as error:
        if code_of(error) not in OTHERS_WERE_FIRST:
            raise
        time.sleep(PAUSE_SEC)


def _replace(connection: Connection) -> None:
    """One try: make the new one, unless it is there, and give it the name of the former one."""
    new = _look(connection, NEW)
    if new is not None and not new.indisvalid:
        if new.is_made:
            time.sleep(PAUSE_SEC)
            return
        # Of a host that was ended while it made it.
        connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {NEW}")
        new = None
    if new is None:
        connection.exec_driver_sql(
            f"CREATE INDEX CONCURRENTLY {NEW} ON readings (endpoint, received_at)"
        )
    # One that got this name by hand would keep the rename from ever succeeding.
    connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {FORMER}")
    # Both or none. Readers and commits go on.
    connection.exec_driver_sql(
        f"ALTER INDEX {PLACE} RENAME TO {FORMER}; ALTER INDEX {NEW} RENAME TO {PLACE}"
    )


def _is_wide(connection: Connection) -> bool:
    place = _look(connection, PLACE)
    return place is not None and place.is_wide


def _look(connection: Connection, name: str) -> Row[tuple[bool, bool, bool]] | None:
    """Whether the index has a third column, is whole, and is made now; None if there is none."""
    return connection.execute(_found, {"name": name}).one_or_none()
