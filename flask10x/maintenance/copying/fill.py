"""What is kept in one database, brought into another one in pieces.

Readings are only ever added at the end of their table and, by RETENTION_DAYS, removed: they are
followed by their ids. All else is compared piece by piece, and a piece that differs is put anew.
"""

from functools import partial
from gettext import gettext as _

from sqlalchemy import Connection, delete, func, select

from flask10x.database import dialects, station_columns
from flask10x.database.dialects import last_id
from flask10x.database.engine import Database
from flask10x.database.insert import existing_columns
from flask10x.database.retention import removed
from flask10x.database.tables import metadata, readings
from flask10x.maintenance.copying.compare import parts
from flask10x.maintenance.copying.kept import (
    COUNTED_BY_ROWS,
    KeptRow,
    KeptTable,
    Key,
    others,
    piece,
    readings_of,
    sequences,
)
from flask10x.system.progress import Advance, Bar


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
