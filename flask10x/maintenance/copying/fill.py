"""What is kept in one database, compared with another one and brought into it, in pieces.

Readings are only ever added at the end of their table and, by RETENTION_DAYS, removed: they are
followed by their ids. All else is compared piece by piece in the order of the keys, and a piece
that differs is put anew. Numbers are compared as numbers: SQLite has one zero only
(`readings/minus_zero.py`).

Not copied: what a process holds for the moment (`leases`), which host has the CSV files (`owners`),
of which history of a server they are (`export_origins`), which no other server has, and the state
of alerts, as on SQLite, where it is in a file of its own: what is wrong is told once more.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from gettext import gettext as _
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, delete, func, null, select, true, tuple_

from flask10x.database import dialects, station_columns
from flask10x.database.counters import is_copy_note
from flask10x.database.dialects import last_id
from flask10x.database.engine import Database
from flask10x.database.insert import existing_columns
from flask10x.database.retention import removed
from flask10x.database.tables import counters, measurement, metadata, readings, rejected
from flask10x.system.progress import Advance, Bar

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


Look = Callable[[KeptTable, Key | None], list[KeptRow]]
"""The next piece of a table behind this key."""

SEQUENCES = "sequences"


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of both behind one key and up to another one; None: to the end."""

    after: Key | None
    upto: Key | None
    wanted: list[KeptRow]
    found: list[KeptRow]
    is_same: bool


@dataclass(frozen=True, slots=True)
class RowDifference:
    """A row that differs, by the names of its table and of the columns; what is there and here.

    None stands for a row that is not there at all.
    """

    table: str
    key: Key
    columns: tuple[str, ...]
    wanted: KeptRow | None
    found: KeptRow | None


@dataclass(frozen=True, slots=True)
class Compared:
    """What a part of a table has shown."""

    rows: int
    differences: list[RowDifference]


def parts(wanted_of: Look, found_of: Look, kept: KeptTable) -> Iterator[Part]:
    """The table in parts; each is at most two pieces."""
    after: Key | None = None
    while True:
        wanted, found = wanted_of(kept, after), found_of(kept, after)
        # Behind a full piece there may be more: what the other one has there waits for that.
        full = [kept.key_of(rows[-1]) for rows in (wanted, found) if len(rows) == kept.piece_rows]
        upto = min(full, default=None)
        if upto is not None:
            wanted = [row for row in wanted if kept.key_of(row) <= upto]
            found = [row for row in found if kept.key_of(row) <= upto]
        yield Part(after, upto, wanted, found, wanted == found)
        if upto is None:
            return
        after = upto


def differences(source: Connection, target: Connection) -> Iterator[Compared]:
    """All tables in parts, and the numbers beside them: what each part has shown."""
    columns = existing_columns(source) | existing_columns(target)
    wanted_of, found_of = partial(piece, source), partial(piece, target)
    for kept in (readings_with(columns), *others()):
        for part in parts(wanted_of, found_of, kept):
            rows = max(len(part.wanted), len(part.found))
            yield Compared(rows, [] if part.is_same else list(_of_part(kept, part)))
    yield _of_sequences(source, target)


def _of_part(kept: KeptTable, part: Part) -> Iterator[RowDifference]:
    there = {kept.key_of(row): row for row in part.wanted}
    here = {kept.key_of(row): row for row in part.found}
    for key in sorted(there.keys() | here.keys()):
        wanted, found = there.get(key), here.get(key)
        if wanted is None or found is None:
            yield RowDifference(kept.name, key, (), wanted, found)
        elif wanted != found:
            yield _of_row(kept, key, wanted, found)


def _of_row(kept: KeptTable, key: Key, wanted: KeptRow, found: KeptRow) -> RowDifference:
    pairs = zip(kept.names, wanted, found, strict=True)
    different = [each for each in pairs if each[1] != each[2]]
    names, one, other = zip(*different, strict=True)
    return RowDifference(kept.name, key, names, one, other)


def _of_sequences(source: Connection, target: Connection) -> Compared:
    there, here = sequences(source), sequences(target)
    names = sorted(there.keys() | here.keys())
    found = [
        RowDifference(SEQUENCES, (name,), ("number",), (there.get(name, 0),), (here.get(name, 0),))
        for name in names
        if there.get(name) != here.get(name)
    ]
    return Compared(len(names), found)


def next_readings(source: Connection, target: Database) -> int:
    """Put the source's next readings behind those that the target has; how far that brings it.

    By their ids; 0 when there are none any more. Raises sqlalchemy.exc.DBAPIError or what a commit
    raises; then none of them are there.
    """
    kept = readings_of(source)
    with target.reader.begin() as connection:
        after = last_id(connection)
        lacking = set(kept.names) - existing_columns(connection)
    rows = piece(source, kept, (after,))
    if not rows:
        return 0
    station_columns.add(target, sorted(lacking))
    with target.commit() as connection:
        _put(connection, kept, rows)
        dialects.of(connection).set_sequence(connection, readings.name, rows[-1][0])
    advanced: int = rows[-1][0] - after
    return advanced


def follow(source: Connection, target: Database, advance: Advance) -> None:
    """Put all of the source's readings that the target lacks; raises as `next_readings` does."""
    while advanced := next_readings(source, target):
        advance(advanced)


def fill_whole(snapshot: Connection, target: Database, bar: Bar) -> None:
    """Bring all that the source holds into the target, as it is in this snapshot.

    Raises sqlalchemy.exc.DBAPIError or what a commit raises.
    """
    with target.reader.begin() as connection:
        lacking = last_id(snapshot) - last_id(connection)
    with bar(_("readings"), lacking) as advance:
        follow(snapshot, target, advance)
        remove_removed(snapshot, target)
    with bar(_("the rest"), rows_of_others(snapshot)) as advance:
        fill_others(snapshot, target, advance)


def remove_removed(source: Connection, target: Database) -> None:
    """Remove from the target what the source has removed of its old readings since the last run."""
    with target.reader.begin() as connection:
        known = removed.load(connection)
    for endpoint, gone in removed.load(source).items():
        if gone.last_id <= known.get(endpoint, removed.NOTHING_REMOVED).last_id:
            continue
        older = delete(readings).where(
            readings.c.endpoint == endpoint, readings.c.id <= gone.last_id
        )
        with target.commit() as connection:
            connection.execute(older)


def fill_others(source: Connection, target: Database, advance: Advance) -> None:
    """Make all other tables of the target equal to the source's.

    `advance` is called with the rows just compared. The source's connection has one snapshot for
    all of them.
    """
    for kept in others():
        for part in parts(partial(piece, source), partial(_here, target), kept):
            if not part.is_same:
                with target.commit() as connection:
                    connection.execute(
                        delete(kept.table).where(kept.between(part.after, part.upto))
                    )
                    _put(connection, kept, part.wanted)
            advance(len(part.wanted))


def rows_of_others(source: Connection) -> int:
    """How many rows those tables have."""
    counted = (select(func.count()).select_from(kept.table).where(kept.rows) for kept in others())
    return sum(source.execute(query).scalar_one() for query in counted)


def fill_sequences(source: Connection, target: Connection) -> None:
    """Let the numbers of rows that come go on behind those of the source, in the target too.

    In a transaction that writes, after all tables are filled.
    """
    engine, wanted = dialects.of(target), sequences(source)
    for name in sequences(target).keys() - wanted.keys() - {readings.name}:
        engine.forget_sequence(target, name)
    # On PostgreSQL a commit locks that of the readings, so that it is always there.
    hosts = dialects.of(source).hosts_of_sequences(source)
    for name, number in {readings.name: 0, **wanted}.items():
        # Whose the note of a queue is, for another host would forget it.
        engine.set_sequence(target, name, number, hosts.get(name))
    if target.dialect.name != "sqlite":
        for name in COUNTED_BY_ROWS:
            column = metadata.tables[name].c.id
            highest = target.execute(select(func.max(column))).scalar_one() or 0
            engine.set_sequence(target, name, max(highest, last_id(source, name)))


def analyze(target: Database) -> None:
    """Let the planner of the target know what it holds now; its first pages would be slow.

    Raises sqlalchemy.exc.DBAPIError.
    """
    names = [readings.name, *dict.fromkeys(kept.name for kept in others())]
    # Of a large table it reads many pages: a reader waits longer for its server than a commit does.
    with target.reader.begin() as connection:
        dialects.of(connection).analyze(connection, names)


def _here(target: Database, kept: KeptTable, after: Key | None) -> list[KeptRow]:
    with target.reader.begin() as connection:
        return piece(connection, kept, after)


def _put(connection: Connection, kept: KeptTable, rows: list[KeptRow]) -> None:
    if rows:
        dialects.of(connection).put_rows(connection, kept.name, kept.names, rows)
