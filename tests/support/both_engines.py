"""What a test does to a database, or reads of it, in the words of the engine that it runs on."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event

from flask10x.database.database import Database
from tests.support import databases, postgres
from tests.support.rows import on_postgres, select

POSTGRES = databases.ON_POSTGRES
# How the reason begins when one waits for a table that another has to itself.
LOCKED = "55P03" if POSTGRES else "SQLITE_BUSY"
# What people are told when another one holds what a commit needs for too long.
BUSY = (
    "55P03: canceling statement due to lock timeout"
    if POSTGRES
    else "SQLITE_BUSY: database is locked"
)
# What `write_lock` takes on PostgreSQL.
_TURN = "SELECT last_id FROM log WHERE name = 'readings' FOR UPDATE"
# The type of a measurement.
NUMBER = "double precision" if POSTGRES else "REAL"
# The code of what `refuse` raises.
REFUSED = "23514" if POSTGRES else "SQLITE_CONSTRAINT_TRIGGER"
_LOCK_TIMEOUT = "SET LOCAL lock_timeout = "


def no_table(table: str) -> str:
    """What is said where this table is gone."""
    if POSTGRES:
        return f'42P01: relation "{table}" does not exist'
    return f"SQLITE_ERROR: no such table: {table}"


NO_READINGS = no_table("readings")


def refuse(table: str, when: str, text: str, how: str = "ABORT", name: str = "refuse") -> str:
    """A statement: rows of the table of which this is true are refused with this text.

    `how` is what SQLite does then; the words of the condition are those of both engines.
    """
    if not POSTGRES:
        return (
            f"CREATE TRIGGER {name} BEFORE INSERT ON {table} WHEN {when}"
            f" BEGIN SELECT RAISE({how}, '{text}'); END"
        )
    return (
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$"
        f" BEGIN RAISE EXCEPTION '{text}' USING ERRCODE = '{REFUSED}'; END $$;"
        f" CREATE TRIGGER {name} BEFORE INSERT ON {table} FOR EACH ROW WHEN ({when})"
        f" EXECUTE FUNCTION {name}()"
    )


def refuse_no_more(table: str, name: str = "refuse") -> str:
    """A statement that takes that back."""
    return f"DROP FUNCTION {name} CASCADE" if POSTGRES else f"DROP TRIGGER {name}"


def note_updates(table: str, column: str, into: str) -> str:
    """A statement: each update of a row of the table puts its value into another table."""
    insert = f"INSERT INTO {into} VALUES (NEW.{column});"
    if not POSTGRES:
        return f"CREATE TRIGGER note AFTER UPDATE ON {table} BEGIN {insert} END"
    return (
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$"
        f" BEGIN {insert} RETURN NEW; END $$;"
        f" CREATE TRIGGER note AFTER UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION note()"
    )


def make_impatient(database: Database) -> None:
    """Its commits wait a millisecond for other programs, not as long as those of a service."""
    if not POSTGRES:
        event.listen(database.writer, "connect", lambda c, _: c.execute("PRAGMA busy_timeout = 1"))
        return

    def shorten(*given: Any) -> tuple[str, Any]:
        statement, parameters = given[2:4]
        before, found, rest = statement.partition(_LOCK_TIMEOUT)
        return before + (f"{found}1;{rest.partition(';')[2]}" if found else ""), parameters

    event.listen(database.writer, "before_cursor_execute", shorten, retval=True)


def objects(path: Path) -> list[tuple[Any, ...]]:
    """All tables, indexes and views with what they are made of."""
    if not POSTGRES:
        return select(path, "SELECT type, name, sql FROM sqlite_schema ORDER BY name")
    views = "SELECT 'view', viewname, definition FROM pg_views WHERE schemaname = 'public'"
    indexes = "SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
    columns = (
        "SELECT 'column', table_name || '.' || column_name, data_type"
        " FROM information_schema.columns WHERE table_schema = 'public'"
    )
    return select(path, f"{views} UNION ALL {indexes} UNION ALL {columns} ORDER BY 1, 2")


def database_bytes(path: Path) -> int:
    """How large the database is."""
    if not POSTGRES:
        return path.stat().st_size
    return int(select(path, "SELECT pg_database_size(current_database())")[0][0])


@contextmanager
def write_lock(path: Path) -> Iterator[None]:
    """Nobody else commits while the block runs: another program holds what a commit needs."""
    if POSTGRES:
        with on_postgres(path) as connection, connection.transaction():
            connection.execute(_TURN)
            yield
        return
    with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as other:
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")


@contextmanager
def read_lock(path: Path) -> Iterator[None]:
    """Nobody else even reads while the block runs; on SQLite no other may have the file open."""
    if POSTGRES:
        with on_postgres(path) as connection, connection.transaction():
            connection.execute("LOCK TABLE readings IN ACCESS EXCLUSIVE MODE")
            yield
        return
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        other.execute("DELETE FROM counters")
        yield
        other.execute("ROLLBACK")


def take_away(path: Path) -> None:
    """The database is there no more, whoever has it open."""
    if POSTGRES:
        postgres.shared().drop(databases.name_of(path.parent))
    else:
        path.unlink()


def readiness(answer: dict[str, Any]) -> dict[str, Any]:
    """What `/readyz` says on both engines; on PostgreSQL it also tells of the server."""
    of_server = {"database", "warnings"} if POSTGRES else set()
    assert not POSTGRES or answer["database"]["engine"] == "postgresql"
    return {name: said for name, said in answer.items() if name not in of_server}
