"""Numbers that outlive the service, in the table `counters`: totals, and what was learned."""

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


def unfinished_copy(connection: Connection) -> str:
    """Of which database this one is an unfinished copy; empty when it is none."""
    query = select(counters.c.name).where(is_copy_note(), counters.c.value == 0)
    return (connection.execute(query).scalars().first() or "").removeprefix(COPY_OF)


def begin_copy(connection: Connection, source: str) -> None:
    """Note that this database is to become a copy of another one, and is not yet."""
    connection.execute(insert(counters).values(name=COPY_OF + source, value=0))


def end_copy(connection: Connection) -> None:
    """Forget such notes."""
    connection.execute(delete(counters).where(is_copy_note()))


def is_copy_note() -> ColumnElement[bool]:
    """Whether a counter is such a note, as SQL."""
    return counters.c.name.startswith(COPY_OF, autoescape=True)
