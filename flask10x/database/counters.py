"""Numbers that outlive the service, in the table `counters`: totals, and what was learned."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from flask10x.config.settings import Settings
from flask10x.database import engines
from flask10x.database.expressions import upsert
from flask10x.database.tables import counters

WRITE_ERRORS = "write_errors"
# Of several hosts each saves its own, and the total is what they add up to.
_OF_HOST = " of "
# What the name of a note of a copy begins with.
COPY_OF = "copy of "


@dataclass(frozen=True, slots=True)
class CopyNote:
    """Of which database this one is a copy, in the name of a counter, whose value is a state."""

    source: str
    state: int
    """A number for what the copy held when it was finished; 0 while it is not."""

    @property
    def is_finished(self) -> bool:
        """Whether it has all that the source had at one moment."""
        return self.state != 0


def value_of(connection: Connection, name: str) -> int:
    """The saved total, 0 when none was ever saved."""
    query = select(counters.c.value).where(counters.c.name == name)
    return connection.execute(query).scalar_one_or_none() or 0


def raise_to(connection: Connection, name: str, value: int) -> None:
    """Save a total; one that is already higher stays, for a total never falls."""
    changed = connection.execute(
        update(counters)
        .where(counters.c.name == name, counters.c.value < value)
        .values(value=value)
    )
    if changed.rowcount == 0 and value_of(connection, name) < value:
        connection.execute(insert(counters).values(name=name, value=value))


def add(connection: Connection, name: str, amount: int) -> None:
    """Add to a total; nothing is written when the amount is 0."""
    if not amount:
        return
    changed = connection.execute(
        update(counters).where(counters.c.name == name).values(value=counters.c.value + amount)
    )
    if changed.rowcount == 0:
        connection.execute(insert(counters).values(name=name, value=amount))


def put(connection: Connection, name: str, value: int) -> None:
    """Save a number that may fall, too."""
    connection.execute(upsert(counters).values(name=name, value=value))


def values_like(connection: Connection, prefix: str) -> dict[str, int]:
    """The saved totals whose names begin with `prefix`, by the rest of the name."""
    query = select(counters.c.name, counters.c.value).where(
        counters.c.name.startswith(prefix, autoescape=True)
    )
    return {name.removeprefix(prefix): value for name, value in connection.execute(query)}


def write_errors_name(settings: Settings) -> str:
    """The name under which this host saves its total of errors."""
    host = engines.engine_of(settings).hosts.name
    return WRITE_ERRORS if host is None else f"{WRITE_ERRORS}{_OF_HOST}{host}"


def write_errors(connection: Connection, settings: Settings, counted: int) -> int:
    """The total of all hosts; of this one what it has `counted`, if it has not saved that yet."""
    saved = values_like(connection, WRITE_ERRORS)
    saved_here = saved.pop(write_errors_name(settings).removeprefix(WRITE_ERRORS), 0)
    return sum(saved.values()) + max(saved_here, counted)


def copy_note(connection: Connection) -> CopyNote | None:
    """The note of a database that `flask10x copy` has filled; None in any other one."""
    query = select(counters.c.name, counters.c.value).where(is_copy_note())
    row = connection.execute(query).first()
    return None if row is None else CopyNote(row.name.removeprefix(COPY_OF), row.value)


def unfinished_copy(connection: Connection) -> str:
    """Of which database this one is an unfinished copy; empty when it is none."""
    note = copy_note(connection)
    return "" if note is None or note.is_finished else note.source


def write_copy_note(connection: Connection, note: CopyNote) -> None:
    """Put this note in the place of the former one."""
    connection.execute(delete(counters).where(is_copy_note()))
    connection.execute(insert(counters).values(name=COPY_OF + note.source, value=note.state))


def is_copy_note() -> ColumnElement[bool]:
    """Whether a counter is such a note, as SQL."""
    return counters.c.name.startswith(COPY_OF, autoescape=True)
