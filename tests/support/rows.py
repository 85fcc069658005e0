"""What a second connection sees: the stdlib's own sqlite3, not the code under test."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from flask10x.database.insert import insert_rows, row_of
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN


def select(database: Path, sql: str) -> list[tuple[Any, ...]]:
    """The rows of a query, by a connection of its own."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def execute(database: Path, *statements: str) -> None:
    """Change the database from outside, as a person in the sqlite3 shell does."""
    connection = sqlite3.connect(database)
    try:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    finally:
        connection.close()


def pico(pressure: float, received_at: int = 1_756_000_000_000) -> Reading:
    """A reading of `/data` that can be told from others by its pressure."""
    return Reading("data", received_at, (pressure, 25.1))


def insert_readings(connection: Connection, readings: Iterable[Reading]) -> None:
    """Put readings into the table as the writer does."""
    insert_rows(connection, BUILT_IN, [row_of(BUILT_IN, reading) for reading in readings])
