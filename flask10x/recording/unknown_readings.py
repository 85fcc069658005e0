"""Readings for paths that no station has, in the table `unknown_readings`.

They wait until the station is added; a replay then stores them (`replay.py`). The last reading of
each path is not here but in the table `rejected`, where the operator finds it.

The table is bounded by rows, bytes and paths. The path that has the most readings loses its oldest
ones, so one that sends much does not push out one that sends little; of too many paths, those with
the fewest readings go. What changes the table needs the transaction of a commit, which only one
process at a time has.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select

from flask10x.database.tables import unknown_readings as table

# Five days of a board that sends every 20 s.
ROWS_MAX = 25_000
# Readings have 100 to 300 bytes.
BYTES_MAX = 10_000_000
# A scanner sends few to each path, a home adds few boards.
PATHS_MAX = 100
# Until then the table is not counted again: that reads it whole, in some 10 ms on a PC.
ROWS_BETWEEN_COUNTS = 1000
# What a path loses at once, so that it does not have to lose one for each new one.
SHARE_LEFT = 0.9


@dataclass(frozen=True, slots=True)
class UnknownReading:
    """A reading as it came; the fields are those of `rejected.RejectedReading`."""

    endpoint: str
    received_at: int
    measured_at: int | None
    key: str
    media_type: str
    body: bytes


class Waiting(NamedTuple):
    """How many readings of a path wait, and when the first and the last of them came."""

    readings: int
    first_ms: int
    last_ms: int


class Condition(NamedTuple):
    """The readings of these endpoints that came in this time; an empty field is no condition."""

    endpoints: Sequence[str] = ()
    since_ms: int | None = None
    until_ms: int | None = None

    def clauses(self) -> list[ColumnElement[bool]]:
        """It in SQL."""
        columns = table.c
        conditions = (
            columns.endpoint.in_(self.endpoints) if self.endpoints else None,
            None if self.since_ms is None else columns.received_at >= self.since_ms,
            None if self.until_ms is None else columns.received_at <= self.until_ms,
        )
        return [condition for condition in conditions if condition is not None]


def keep(connection: Connection, readings: Sequence[UnknownReading]) -> None:
    """Insert the readings in this order."""
    if not readings:
        return
    first = (connection.execute(select(func.max(table.c.id))).scalar_one() or 0) + 1
    rows = [_values(reading) | {"id": first + n} for n, reading in enumerate(readings)]
    connection.execute(insert(table), rows)


def make_room(connection: Connection) -> int:
    """Delete what is over the bounds; the number of rows. It reads the whole table."""
    bytes_of = func.sum(func.length(table.c.body))
    query = select(table.c.endpoint, func.count(), bytes_of).group_by(table.c.endpoint)
    sizes = {name: (rows, size) for name, rows, size in connection.execute(query)}
    fewest_first = sorted(sizes, key=lambda name: sizes[name])
    surplus = {name: sizes.pop(name)[0] for name in fewest_first[: max(0, len(sizes) - PATHS_MAX)]}
    while (measure := _exceeded(sizes.values())) is not None:
        name = max(sizes, key=lambda one: sizes[one][measure])
        rows, size = sizes[name]
        left = int(rows * SHARE_LEFT)
        surplus[name] = surplus.get(name, 0) + rows - left
        sizes[name] = left, size * left // rows
    for name, rows in surplus.items():
        ids = select(table.c.id).where(table.c.endpoint == name).order_by(table.c.id).limit(rows)
        connection.execute(delete(table).where(table.c.id.in_(ids.scalar_subquery())))
    return sum(surplus.values())


def waiting(connection: Connection, condition: Condition) -> Waiting | None:
    """How many wait; None without any. It reads the whole table."""
    times = func.min(table.c.received_at), func.max(table.c.received_at)
    row = connection.execute(select(func.count(), *times).where(*condition.clauses())).one()
    return Waiting(*row) if row[0] else None


def endpoints(connection: Connection) -> list[str]:
    """The endpoints that have readings; it reads the whole table."""
    return list(connection.execute(select(table.c.endpoint).distinct()).scalars())


def rows(
    connection: Connection, condition: Condition, most: int | None = None
) -> list[UnknownReading]:
    """The readings that meet the condition, at most so many, the one that came first first."""
    return [_reading_of(row) for row in _rows(connection, condition, most)]


def take_out(connection: Connection, condition: Condition, most: int) -> list[UnknownReading]:
    """As `rows`, which are deleted."""
    found = _rows(connection, condition, most)
    connection.execute(delete(table).where(table.c.id.in_([row.id for row in found])))
    return [_reading_of(row) for row in found]


def purge(connection: Connection, condition: Condition) -> int:
    """Delete all readings that meet the condition; how many they were."""
    return connection.execute(delete(table).where(*condition.clauses())).rowcount


def _rows(connection: Connection, condition: Condition, most: int | None) -> Sequence[Row[Any]]:
    query = select(table).where(*condition.clauses()).order_by(table.c.id).limit(most)
    return connection.execute(query).all()


def _reading_of(row: Row[Any]) -> UnknownReading:
    return UnknownReading(
        *(row.endpoint, row.received_at, row.measured_at),
        *(row.digest.hex() if row.digest else "", row.media_type, row.body),
    )


def _exceeded(sizes: Iterable[tuple[int, int]]) -> int | None:
    """Which place of these rows and bytes adds up to too much; None: neither does."""
    totals = [sum(column) for column in zip(*sizes, strict=True)]
    limits = zip(totals, (ROWS_MAX, BYTES_MAX), strict=False)
    return next((place for place, (total, most) in enumerate(limits) if total > most), None)


def _values(reading: UnknownReading) -> dict[str, object]:
    return {
        "endpoint": reading.endpoint,
        "received_at": reading.received_at,
        "measured_at": reading.measured_at,
        "digest": bytes.fromhex(reading.key) or None,
        "media_type": reading.media_type,
        "body": reading.body,
    }
