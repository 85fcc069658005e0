"""Notes and corrections as people have written them: they are listed, added and undone.

Nothing is deleted: an undone entry no longer counts and stays in the list.
"""

from collections.abc import Collection, Sequence
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, Select, Table, func, insert, or_, select, update

from flask10x.database.tables import FIRST_MS, corrections, notes
from flask10x.history.corrections import Correction

Kind = Literal["note", "hide", "adjust"]

# A condition of a page looks for the one that concerns a reading among all of them. And a stranger
# on an open service must not be able to fill its card.
MOST_CORRECTIONS = 500
MOST_NOTES = 10_000
# The other columns are what the author wrote.
WHEN = "written_at"


class WrittenNote(NamedTuple):
    """A note on a range of time, in milliseconds of UTC, both ends inclusive."""

    endpoint: str | None
    """None when the note is about the whole house."""
    first_ms: int
    last_ms: int
    text: str
    written_at: int
    undone_at: int | None = None
    id: int = 0
    """0 while it is not stored."""


def all_notes(connection: Connection) -> list[WrittenNote]:
    """Return all notes, also the undone ones, the newest time first."""
    query = select(notes).order_by(notes.c.first_ms.desc(), notes.c.id.desc())
    return _notes(connection, query)


def notes_within(
    connection: Connection, endpoints: Collection[str], first_ms: int, last_ms: int
) -> list[WrittenNote]:
    """Return the notes of the house and of these stations that touch the range.

    Those that count, the oldest first.
    """
    query = (
        select(notes)
        .where(notes.c.undone_at.is_(None))
        .where(notes.c.first_ms <= last_ms, notes.c.last_ms >= first_ms)
        .where(or_(notes.c.endpoint.is_(None), notes.c.endpoint.in_(endpoints)))
        .order_by(notes.c.first_ms, notes.c.id)
    )
    return _notes(connection, query)


def _notes(connection: Connection, query: Select[Any]) -> list[WrittenNote]:
    return [WrittenNote(**row._mapping) for row in connection.execute(query)]


def all_corrections(connection: Connection) -> list[Correction]:
    """Return all corrections, also the undone ones, the last written one first."""
    query = select(*_CORRECTION).order_by(corrections.c.id.desc())
    return [Correction(**row._mapping) for row in connection.execute(query)]


def entry(connection: Connection, kind: Kind, number: int) -> WrittenNote | Correction | None:
    """Return the entry of this number, also one that was undone; None when there is none."""
    if kind == "note":
        row = connection.execute(select(notes).where(notes.c.id == number)).first()
        return None if row is None else WrittenNote(**row._mapping)
    row = connection.execute(select(*_CORRECTION).where(corrections.c.id == number)).first()
    return None if row is None or row.kind != kind else Correction(**row._mapping)


def corrections_within(
    written: Sequence[Correction], endpoints: Collection[str], first_ms: int, last_ms: int
) -> list[Correction]:
    """Return the corrections of these stations that touch the range, the last written one first."""
    return [
        each
        for each in reversed(written)
        if each.endpoint in endpoints
        and (each.first_ms is None or each.first_ms <= last_ms)
        and (each.last_ms is None or each.last_ms >= first_ms)
    ]


def has_room(connection: Connection, kind: Kind) -> bool:
    """Return whether one more entry of this kind may be added."""
    if kind == "note":
        written = select(func.count()).select_from(notes)
        return connection.execute(written).scalar_one() < MOST_NOTES
    counting = select(func.count()).where(corrections.c.undone_at.is_(None))
    return connection.execute(counting).scalar_one() < MOST_CORRECTIONS


def add(connection: Connection, entry: WrittenNote | Correction) -> int:
    """Add the entry and return its id in its table.

    The hours of a correction are made again by `rollups.apply_corrections`.
    """
    table, values = _row(entry)
    if isinstance(entry, Correction):
        values |= {"unapplied_ms": FIRST_MS if entry.first_ms is None else entry.first_ms}
    number = connection.execute(insert(table).values(values).returning(table.c.id)).scalar_one()
    return int(number)


def last_same(connection: Connection, entry: WrittenNote | Correction) -> int | None:
    """Return the id of the entry written last for its station if it counts and is equal, else None.

    A form is sent a second time when its answer was lost, or when a button was pressed twice. An
    equal entry before the last one is no repetition: the correction that was written last counts.
    """
    table, values = _row(entry)
    of_station = table.c.endpoint.is_not_distinct_from(entry.endpoint)
    last = select(func.max(table.c.id)).where(of_station, table.c.undone_at.is_(None))
    is_same = (table.c[name].is_not_distinct_from(values[name]) for name in values.keys() - {WHEN})
    same = select(table.c.id).where(table.c.id == last.scalar_subquery(), *is_same)
    return connection.execute(same).scalar_one_or_none()


def _row(entry: WrittenNote | Correction) -> tuple[Table, dict[str, object]]:
    table = notes if isinstance(entry, WrittenNote) else corrections
    return table, {name: value for name, value in entry._asdict().items() if name != "id"}


def undo(connection: Connection, kind: Kind, number: int, at_ms: int) -> bool:
    """Undo an entry; return False when no such entry counts. Of a correction as `add`."""
    table: Table = notes if kind == "note" else corrections
    change = (
        update(table)
        .where(table.c.id == number, table.c.undone_at.is_(None))
        .values(undone_at=at_ms)
    )
    if kind != "note":
        change = change.values(unapplied_ms=func.coalesce(corrections.c.first_ms, FIRST_MS))
    return connection.execute(change).rowcount > 0


_CORRECTION = [corrections.c[name] for name in Correction._fields]
