"""What statements of SQLite know that others don't: its sequences, its catalog, its errors.

At the end is the SQL of the expressions of `database/expressions.py`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, column, insert, select, table
from sqlalchemy.dialects import sqlite as sqlite_dialect

from flask10x.database.expressions import (
    SPAN_NUMBERS,
    SPAN_TEXTS,
    SPAN_VALUE,
    define,
)
from flask10x.database.server import Origin
from flask10x.database.tables import readings
from flask10x.system import disk

SQLITE = "sqlite"
LOCAL_TIME = "datetime(received_at / 1000, 'unixepoch', 'localtime')"
NAME_BYTES: int | None = None

_dialect = sqlite_dialect.dialect(paramstyle="qmark")
quote = _dialect.identifier_preparer.quote
# By its old name: SQLite 3.40 (Debian 12) finds no column by the new one.
_schema = table("sqlite_master", column("name"), column("sql"))


def sequence(connection: Connection, name: str) -> int:
    """Return the number stored under this name, or 0 if there is none.

    That of a table whose ids are never used twice is the highest one that a row ever had, also when
    that row is gone (https://www.sqlite.org/autoinc.html).
    """
    query = "SELECT seq FROM sqlite_sequence WHERE name = ?"
    return connection.exec_driver_sql(query, (name,)).scalar_one_or_none() or 0


def set_sequence(connection: Connection, name: str, number: int, _host: str | None = None) -> None:
    """Keep this number; SQLite lets it be changed by ordinary statements."""
    update = "UPDATE sqlite_sequence SET seq = ? WHERE name = ?"
    if not connection.exec_driver_sql(update, (number, name)).rowcount:
        statement = "INSERT INTO sqlite_sequence (seq, name) VALUES (?, ?)"
        connection.exec_driver_sql(statement, (number, name))


def raise_sequence(connection: Connection, name: str, _former: int, number: int) -> None:
    """Keep this number: here nothing is done late."""
    set_sequence(connection, name, number)


def sequences(connection: Connection) -> dict[str, str | None]:
    """By each name under which a number is kept None: there is one host."""
    names = connection.exec_driver_sql("SELECT name FROM sqlite_sequence").scalars()
    return dict.fromkeys(names)


def host_of(_connection: Connection) -> str | None:
    """Return None: there is one host."""
    return None


def forget_sequence(connection: Connection, name: str) -> None:
    """Delete the number stored under this name."""
    connection.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = ?", (name,))


def origin(_connection: Connection) -> Origin | None:
    """Always None: a file has one history."""
    return None


def views(connection: Connection) -> dict[str, str]:
    """By the name of each table, view and index, in lower case, the text that has made it."""
    rows = connection.execute(select(_schema.c.name, _schema.c.sql))
    return {name.lower(): sql or "" for name, sql in rows}


def make_view(connection: Connection, name: str, statement: str, *, replaces: bool) -> None:
    """Make the view by this statement; `replaces` says that there is another one of ours."""
    if replaces:
        connection.exec_driver_sql(f"DROP VIEW {quote(name)}")
    connection.exec_driver_sql(statement)


def insert_rows(
    connection: Connection, names: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert these readings in their order, each the values of these columns."""
    connection.exec_driver_sql(_statement(names), list(rows))


def put_rows(
    connection: Connection, into: str, names: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Put whole rows into this table, ids and all."""
    connection.exec_driver_sql(_statement(names, into), list(rows))


@contextmanager
def waits_briefly(connection: Connection, wait_ms: int) -> Iterator[None]:
    """In the block of a reading transaction nothing waits for longer than that for a lock."""
    driver: Any = connection.connection.driver_connection
    (usual_ms,) = driver.execute("PRAGMA busy_timeout").fetchone()
    driver.execute(f"PRAGMA busy_timeout = {wait_ms}").close()
    try:
        yield
    finally:
        if not connection.invalidated:
            driver.execute(f"PRAGMA busy_timeout = {usual_ms}").close()


def file_bytes(connection: Connection, path: Path) -> int:
    """What the file has in use; removed readings have left the rest in it for new ones to take."""
    # https://www.sqlite.org/pragma.html#pragfunc
    query = "SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size"
    return disk.size(path) - int(connection.exec_driver_sql(query).scalar_one())


@contextmanager
def attempt(_connection: Connection) -> Iterator[None]:
    """A statement of the block that fails leaves the transaction as it was before: always."""
    yield


def begin_again(connection: Connection) -> bool:
    """Begin a transaction again that SQLite has undone, and return whether it has."""
    driver: Any = connection.connection.driver_connection
    if driver.in_transaction:
        return False
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    return True


@lru_cache(maxsize=64)
def _statement(names: tuple[str, ...], name: str = readings.name) -> str:
    """For `exec_driver_sql` with tuples; a list of dicts through SQLAlchemy is half as fast."""
    # Not `readings` itself: SQLAlchemy would put the columns into the order of the table.
    into = table(name, *map(column, names))
    statement = insert(into).values(dict.fromkeys(into.c.keys()))
    return str(statement.compile(dialect=_dialect))


_SPAN = ", ".join(
    f"json_extract(value, '$[{position}]') AS {name}"
    for position, name in enumerate((*SPAN_TEXTS, *SPAN_NUMBERS, SPAN_VALUE))
)
define(
    SQLITE,
    {
        "unindexed": "+{}",
        "unindexed_text": "+{}",
        # 0.0 where SQL's `sum` is NULL (https://www.sqlite.org/lang_aggfunc.html#sumunc).
        "total": "total({})",
        "greatest": "max({}, {})",
        "adjusted": "({1} * {0} + {2})",
        "rounded": "round({}, {})",
        # https://www.sqlite.org/json1.html#jeach
        "json_numbers": "json_each({})",
        "json_spans": f"(SELECT key AS place, {_SPAN} FROM json_each({{}}))",  # noqa: S608
        # https://www.sqlite.org/autoinc.html
        "last_id": "(SELECT seq FROM sqlite_sequence WHERE name = {})",
    },
)
