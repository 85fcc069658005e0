"""Two databases beside each other, row for row, in pieces that follow the order of the keys.

Numbers are compared as numbers: SQLite has one zero only (`readings/minus_zero.py`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from flask10x.database.insert import existing_columns
from flask10x.maintenance.copying.kept import (
    KeptRow,
    KeptTable,
    Key,
    others,
    piece,
    readings_with,
    sequences,
)

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
