"""What is kept in a database, table by table: the keys and the columns that a copy has.

Not here: what a process holds for the moment (`leases`), which host has the CSV files (`owners`),
of which history of a server they are (`export_origins`), which no other server has, and the state
of alerts, as on SQLite, where it is in a file of its own: what is wrong is told once more.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    null,
    select,
    true,
    tuple_,
)

from flask10x.database import dialects
from flask10x.database.counters import is_copy_note
from flask10x.database.insert import existing_columns
from flask10x.database.tables import counters, measurement, metadata, readings, rejected

Key = tuple[Any, ...]
KeptRow = tuple[Any, ...]

# What a transaction takes, and twice what memory holds: a second's work.
PIECE_ROWS = 5000
# A body may have half a megabyte.
PIECE_ROWS_OF_BODIES = 100
# On PostgreSQL each table has the number of its last row in `log`, on SQLite only those of which no
# id may be used twice.
COUNTED_BY_ROWS = ("imports", "rollup_zone")


@dataclass(frozen=True, slots=True)
class KeptTable:
    """A table, the columns that tell its rows apart and those beside them."""

    table: Table
    key: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def name(self) -> str:
        """That of the table."""
        return str(self.table.name)

    @property
    def names(self) -> tuple[str, ...]:
        """All columns, the key first."""
        return self.key + self.others

    @property
    def piece_rows(self) -> int:
        """How many rows are taken at a time."""
        return PIECE_ROWS_OF_BODIES if self.table is rejected else PIECE_ROWS

    @property
    def rows(self) -> ColumnElement[bool]:
        """Which of its rows are copied, as SQL."""
        return ~is_copy_note() if self.table is counters else true()

    def key_of(self, row: KeptRow) -> Key:
        """The key of one of its rows."""
        return row[: len(self.key)]

    def between(self, after: Key | None, upto: Key | None) -> ColumnElement[bool]:
        """The rows behind one key and up to another, as SQL; None: no such end."""
        place = tuple_(*(self.table.c[name] for name in self.key))
        wanted = self.rows
        if after is not None:
            wanted &= place > _tuple(after)
        if upto is not None:
            wanted &= place <= _tuple(upto)
        return wanted


def readings_with(columns: Iterable[str]) -> KeptTable:
    """The table of readings with these columns; its key must be one of them."""
    return KeptTable(readings, ("id",), tuple(sorted(set(columns) - {"id"})))


def readings_of(connection: Connection) -> KeptTable:
    """The table of readings with all columns that it has here, also those of former stations."""
    return readings_with(existing_columns(connection))


def others() -> list[KeptTable]:
    """All other tables, in the order of their names."""
    return [_other(metadata.tables[name]) for name in sorted(metadata.tables) if name != "readings"]


def piece(connection: Connection, kept: KeptTable, after: Key | None) -> list[KeptRow]:
    """The first rows behind this key, in its order; NULL for a column of readings that is not here.

    None: those at the beginning.
    """
    here = existing_columns(connection) if kept.table is readings else frozenset(kept.names)
    columns = [_value(kept, name) if name in here else null().label(name) for name in kept.names]
    query = select(*columns).where(kept.between(after, None))
    query = query.order_by(*(kept.table.c[name] for name in kept.key)).limit(kept.piece_rows)
    return list(map(tuple, connection.execute(query)))


def sequences(connection: Connection) -> dict[str, int]:
    """The numbers that both engines keep beside the tables, without those that are 0."""
    engine = dialects.of(connection)
    names = engine.hosts_of_sequences(connection).keys() - set(COUNTED_BY_ROWS)
    found = {name: engine.sequence(connection, name) for name in sorted(names)}
    return {name: number for name, number in found.items() if number}


def _other(table: Table) -> KeptTable:
    key = tuple(found.name for found in table.primary_key)
    return KeptTable(table, key, tuple(c.name for c in table.c if c.name not in key))


def _value(kept: KeptTable, name: str) -> ColumnElement[Any]:
    return kept.table.c[name] if name in kept.table.c else measurement(name)


def _tuple(key: Key) -> Any:
    return tuple_(*key)
