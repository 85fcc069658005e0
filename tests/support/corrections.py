"""Rows of the table of corrections, as the page writes them, and databases with given ones."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, func, insert, update

from flask10x.database.database import Database
from flask10x.database.tables import FIRST_MS, corrections
from flask10x.history import rollups
from flask10x.readings.stations import BUILT_IN, Stations


def correct(
    connection: Connection,
    endpoint: str,
    measurement: str | None,
    first_ms: int | None,
    last_ms: int | None,
    **given: object,
) -> None:
    """Add a correction; it hides unless a gain or an offset is given."""
    row = {
        "endpoint": endpoint,
        "measurement": measurement,
        "first_ms": first_ms,
        "last_ms": last_ms,
        "kind": "adjust" if {"gain", "offset"} & set(given) else "hide",
        "reason": "test",
        "written_at": 0,
        "unapplied_ms": FIRST_MS if first_ms is None else first_ms,
    }
    connection.execute(insert(corrections), [row | given])


def apply_all(database: Database, stations: Stations = BUILT_IN) -> None:
    """Make all hours of corrections again that were written or undone, as the service does."""
    while rollups.apply_corrections(stations, database):
        pass


@contextmanager
def corrected(
    database: Database, rows: Sequence[tuple[Any, ...]], stations: Stations = BUILT_IN
) -> Iterator[None]:
    """Write corrections, apply them, and undo them at the end.

    Of each: endpoint, measurement, first_ms, last_ms, and gain and offset unless it hides.
    """
    with database.commit() as connection:
        for row in rows:
            correct(connection, *row[:4], **dict(zip(("gain", "offset"), row[4:], strict=False)))
    apply_all(database, stations)
    yield
    undone_since = func.coalesce(corrections.c.first_ms, FIRST_MS)
    with database.commit() as connection:
        counting = update(corrections).where(corrections.c.undone_at.is_(None))
        connection.execute(counting.values(undone_at=1, unapplied_ms=undone_since))
    apply_all(database, stations)
