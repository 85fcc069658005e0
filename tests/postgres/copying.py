"""Databases for tests of `flask10x copy`, on both engines, with rows of all kinds in all tables."""

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Integer, LargeBinary, Table, Text

from flask10x.config.settings import Settings
from flask10x.database import dialects, schema, station_columns
from flask10x.database.database import Database
from flask10x.database.tables import metadata
from flask10x.maintenance.copying import verify
from tests.support import databases, postgres

# Of a station that is no more.
FORMER = "former of 2"
# Past 32 bits, the least double, 0 below zero, text that needs more bytes, bytes that are no text.
WHOLE_NUMBERS = (1_756_000_000_000, 2**62, -5)
NUMBERS = (-0.0, 5e-324, 1.7976931348623157e308, 21.1, 0.1 + 0.2, 1e15)
TEXTS = ("data", "ｄéjà %s", "tab\tnew\nline \\N", "")
BODIES = (b"\x00\xff\\x00", b"", b'{"co2": 1}')


@contextmanager
def on_postgres(settings: Settings, *, migrated: bool = True) -> Iterator[Settings]:
    """Settings with a database on the tests' server, in which there is no row."""
    server, name = postgres.shared(), f"copy_{secrets.token_hex(8)}"
    server.create(name, databases.template() if migrated else "template1")
    try:
        yield replace(settings, database_url=server.url(name), commit_lock=False)
    finally:
        server.drop(name)


def in_file(settings: Settings, path: Path) -> Settings:
    """Settings with a file of SQLite."""
    return replace(settings, database_url=f"sqlite:///{path}")


def make_full(settings: Settings, readings: int = 12, rows: int = 5) -> None:
    """A database with rows in all of its tables, whose last reading was removed."""
    schema.upgrade(settings)
    with closing(Database(settings)) as database:
        station_columns.add(database, [FORMER])
        with database.commit() as connection:
            for table in metadata.sorted_tables:
                number = readings if table.name == "readings" else rows
                _put(connection, table, number)
            engine = dialects.statements_of(connection)
            numbers = {"readings": readings + 1, "rejected": rows + 4, "notes": rows}
            numbers |= {"corrections": rows + 2, "queue 17": 9, "accepted keys": 3}
            for name, number in numbers.items():
                engine.set_sequence(connection, name, number)


def add_reading(settings: Settings, number: int) -> None:
    """One more, as a service stores it."""
    with closing(Database(settings)) as database, database.commit() as connection:
        names = ("endpoint", "received_at", "co2")
        row = "data", 1_756_000_000_000, number
        dialects.statements_of(connection).insert_rows(connection, names, [row])


def differences(source: Settings, target: Settings) -> list[str]:
    """What `--verify` names."""
    return [difference for _rows, difference in verify(source, target) if difference]


def _put(connection: Connection, table: Table, rows: int) -> None:
    names = [column.name for column in table.c]
    if table.name == "readings":
        names.append(FORMER)
    values = [tuple(_value(table, name, n) for name in names) for n in range(1, rows + 1)]
    dialects.statements_of(connection).put_rows(connection, table.name, tuple(names), values)


def _value(table: Table, name: str, number: int) -> Any:
    if name == FORMER:
        return NUMBERS[(number + 1) % len(NUMBERS)]
    column = table.c[name]
    if column.nullable and number % 3 == 0:
        return None
    if isinstance(column.type, Integer):
        return number if column.primary_key else WHOLE_NUMBERS[number % len(WHOLE_NUMBERS)]
    if isinstance(column.type, LargeBinary):
        return b"%d" % number if column.primary_key else BODIES[number % len(BODIES)]
    if isinstance(column.type, Text):
        return f"é{number}" if column.primary_key else TEXTS[number % len(TEXTS)]
    return NUMBERS[(number + 1) % len(NUMBERS)]
