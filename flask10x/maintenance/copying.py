"""Copying one database into another, whichever engine they are on, and the proof of it.

A copy has all that its source had at one moment, which one transaction reads, also while a service
writes there. It goes into an empty database. Until it has come to its end, a note in the target
says that it is unfinished, and no service starts on it; one that was broken off is thrown away.

Numbers are compared as numbers: SQLite has one zero only (`readings/numbers.py`).

Not copied: what a process holds for the moment (`leases`), which host has the CSV files (`owners`),
the history of a server that they are of (OF_ONE_SERVER), which no other server has, and the state
of alerts, as on SQLite, where it is in a file of its own: what is wrong is notified once more.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from gettext import gettext as _
from itertools import zip_longest
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    MetaData,
    Table,
    delete,
    func,
    null,
    select,
    true,
    tuple_,
)
from sqlalchemy.exc import DBAPIError

from flask10x.config.readers import WrongEntry, database_url
from flask10x.config.settings import Settings
from flask10x.database import dialects, engines, schema, station_columns
from flask10x.database.counters import begin_copy, end_copy, is_copy_note
from flask10x.database.database import Database
from flask10x.database.dialects import last_id
from flask10x.database.error_codes import reason_of
from flask10x.database.insert import existing_columns
from flask10x.database.paths import database_path, url_of
from flask10x.database.running_service import running
from flask10x.database.station_columns import ROLLED_UP
from flask10x.database.tables import counters, measurement, metadata, readings
from flask10x.errors import DatabaseCopyError
from flask10x.maintenance import copy_check
from flask10x.recording import entry
from flask10x.system.progress import Bar, unseen

Key = tuple[Any, ...]
CopiedRow = tuple[Any, ...]

# What a transaction takes, and twice what memory holds: a second's work.
PIECE_ROWS = 5000
# A body may have half a megabyte.
PIECE_ROWS_OF_BODIES = 100
# On PostgreSQL each table has the number of its last row in `log`, on SQLite only those of which no
# id may be used twice.
COUNTED_BY_ROWS = ("imports", "rollup_zone")
# Columns of `csv_files`.
OF_ONE_SERVER = ("system_identifier", "timeline")
# Of a body or a long text.
SHOWN_CHARS = 40


@dataclass(frozen=True, slots=True)
class CopiedTable:
    """A table, the columns that tell its rows apart, and all of its columns, those first."""

    sql: Table
    key: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return the name of the table."""
        return str(self.sql.name)

    @property
    def piece_rows(self) -> int:
        """Return how many rows are taken at a time."""
        return PIECE_ROWS_OF_BODIES if "body" in self.sql.c else PIECE_ROWS

    def key_of(self, row: CopiedRow) -> Key:
        """Return the key of one of its rows."""
        return row[: len(self.key)]


def readings_with(columns: Iterable[str]) -> CopiedTable:
    """Return the table of readings with these columns, also those of former stations."""
    return CopiedTable(readings, ("id",), ("id", *sorted(set(columns) - {"id"})))


def other_tables() -> list[CopiedTable]:
    """Return all other tables, in the order of their names."""
    names = sorted(metadata.tables.keys() - {"readings"})
    return [_copied(metadata.tables[name]) for name in names]


def tables_in(connection: Connection) -> list[CopiedTable]:
    """Return the tables of this database of ours, of whichever version, in the order of names."""
    present = MetaData()
    present.reflect(connection)
    names = sorted(present.tables.keys() - {"alembic_version"})
    return [_copied(present.tables[name]) for name in names]


def _copied(table: Table) -> CopiedTable:
    key = tuple(column.name for column in table.primary_key)
    others = (column.name for column in table.c if column.name not in (*key, *OF_ONE_SERVER))
    return CopiedTable(table, key, (*key, *others))


def pieces(connection: Connection, table: CopiedTable) -> Iterator[list[CopiedRow]]:
    """Yield all rows of a table in the order of its key, some at a time.

    A column of readings that the database lacks is NULL.
    """
    present = set(table.names)
    if table.sql is readings:
        present &= existing_columns(connection)
    columns: list[ColumnElement[Any]] = []
    for name in table.names:
        if name not in present:
            columns.append(null().label(name))
        else:
            columns.append(table.sql.c[name] if name in table.sql.c else measurement(name))
    key = [table.sql.c[name] for name in table.key]
    query = select(*columns).order_by(*key).limit(table.piece_rows)
    if table.sql is counters:
        query = query.where(~is_copy_note())
    place: Any = tuple_(*key)
    rows = list(map(tuple, connection.execute(query)))
    while rows:
        yield rows
        query_after = query.where(place > tuple_(*table.key_of(rows[-1])))
        rows = list(map(tuple, connection.execute(query_after)))


def sequences(connection: Connection) -> dict[str, int]:
    """Return the numbers that both engines have beside the tables, without those that are 0."""
    engine = dialects.statements_of(connection)
    names = engine.sequences(connection).keys() - set(COUNTED_BY_ROWS)
    numbers = {name: engine.sequence(connection, name) for name in sorted(names)}
    return {name: number for name, number in numbers.items() if number}


def differences(source: Connection, copy: Connection) -> Iterator[tuple[int, str]]:
    """Compare all tables, and the numbers beside them.

    Yields how many rows were compared, and the first difference of a table, else nothing.
    """
    columns = existing_columns(source) | existing_columns(copy)
    for table in (readings_with(columns), *other_tables()):
        none = list[CopiedRow]()
        for ours, theirs in zip_longest(pieces(source, table), pieces(copy, table), fillvalue=none):
            if ours != theirs:
                pairs = zip_longest(ours, theirs)
                row, copied = next((row, copied) for row, copied in pairs if row != copied)
                yield max(len(ours), len(theirs)), _difference(table, row, copied)
                break
            yield len(ours), ""
    numbers, copied_numbers = sequences(source), sequences(copy)
    for name in sorted({*numbers, *copied_numbers}):
        number, copied_number = numbers.get(name, 0), copied_numbers.get(name, 0)
        text = _("{place}, {column}: {wanted}, in the copy {found}")
        named = {"place": f"sequences {name}", "column": "number"}
        said = text.format(**named, wanted=number, found=copied_number)
        yield 1, said if number != copied_number else ""


def _difference(table: CopiedTable, row: CopiedRow | None, copied: CopiedRow | None) -> str:
    """Return what differs at one place in the order of a table; None: there is no row any more."""
    key, copied_key = (None if each is None else table.key_of(each) for each in (row, copied))
    if row is not None and copied is not None and key == copied_key:
        values = zip(table.names, row, copied, strict=True)
        name, wanted, found = next(each for each in values if each[1] != each[2])
        text = _("{place}, {column}: {wanted}, in the copy {found}")
        named = {"column": name, "wanted": _short(wanted), "found": _short(found)}
        return text.format(place=_place(table, key), **named)
    if key is not None and (copied_key is None or key < copied_key):
        return _("{place}: not in the copy").format(place=_place(table, key))
    return _("{place}: only in the copy").format(place=_place(table, copied_key))


def _place(table: CopiedTable, key: Key | None) -> str:
    return f"{table.name} {', '.join(map(_short, key or ()))}"


def _short(value: object) -> str:
    """Return a value as text, of a long one the beginning."""
    shown = value.hex() if isinstance(value, bytes) else str(value)
    return shown if len(shown) <= SHOWN_CHARS else f"{shown[:SHOWN_CHARS]}…"


def fill_whole(snapshot: Connection, target: Database, bar: Bar) -> None:
    """Bring all that the source holds into an empty database, as it is in this snapshot.

    Raises sqlalchemy.exc.DBAPIError or what a commit raises.
    """
    columns = existing_columns(snapshot)
    with target.reader.begin() as connection:
        missing = columns - existing_columns(connection)
    station_columns.add(target, sorted(missing))
    tables = [readings_with(columns), *other_tables()]
    with bar(_("rows"), rows_of(snapshot)) as advance:
        for table in tables:
            made = ~is_copy_note() if table.sql is counters else true()
            with target.commit() as connection:
                # The migrations have made some rows.
                connection.execute(delete(table.sql).where(made))
            for rows in pieces(snapshot, table):
                with target.commit() as connection:
                    put(connection, table, rows)
                advance(len(rows))
    with target.commit() as connection:
        _fill_sequences(snapshot, connection)


def rows_of(source: Connection) -> int:
    """Return about how many rows are copied: readings may have been removed."""
    counts = (select(func.count()).select_from(table.sql) for table in other_tables())
    return last_id(source) + sum(source.execute(query).scalar_one() for query in counts)


def _fill_sequences(source: Connection, target: Connection) -> None:
    """Let the numbers of new rows go on behind those of the source, in the target too.

    In a transaction that writes, after all tables are filled.
    """
    engine, numbers = dialects.statements_of(target), sequences(source)
    # On PostgreSQL a commit locks that of the readings, so it must exist.
    hosts = dialects.statements_of(source).sequences(source)
    for name, number in {readings.name: 0, **numbers}.items():
        # With the host of a queue's note: another one would forget it.
        engine.set_sequence(target, name, number, hosts.get(name))
    if target.dialect.name != "sqlite":
        for name in COUNTED_BY_ROWS:
            column = metadata.tables[name].c.id
            highest = target.execute(select(func.max(column))).scalar_one() or 0
            engine.set_sequence(target, name, max(highest, last_id(source, name)))


def put(connection: Connection, table: CopiedTable, rows: Sequence[CopiedRow]) -> None:
    """Put these rows into the table; raises sqlalchemy.exc.DBAPIError."""
    if rows:
        dialects.statements_of(connection).put_rows(connection, table.name, table.names, rows)


def settings_of(settings: Settings, place: str, url: str) -> Settings:
    """Return the settings with this database.

    Raises SettingsError, naming the place, for a wrong URL.
    """
    try:
        end = replace(settings, database_url=database_url(url))
    except WrongEntry as error:
        raise error.of_setting(place) from None
    # In a folder of data the locks of both engines have the same names: a service that goes on with
    # its file of SQLite must not wait for what is written into PostgreSQL, which has its own lock.
    return end if engines.engine_of(end).is_file else replace(end, commit_lock=False)


def of_new_file(settings: Settings, path: Path) -> Settings:
    """Return the settings with a new file of SQLite, which gets its name when it is whole.

    Nobody else opens it, and a power cut may damage it.
    """
    return replace(
        settings,
        database_url=f"sqlite:///{path}",
        commit_lock=False,
        synchronous="NORMAL",
    )


@contextmanager
def snapshots(settings: Settings) -> Iterator[Engine]:
    """Open the database; each transaction sees it as it was when it began, and changes nothing.

    Raises SchemaError when it is none of this version, or an unfinished copy.
    """
    database = engines.engine_of(settings)
    database.require()
    with database.reader() as engine:
        with engine.begin() as connection:
            schema.require_newest(settings, connection)
        yield engine


def copy(source: Settings, target: Settings, bar: Bar = unseen) -> tuple[int, int]:
    """Bring all that the source holds into the target, which has to be empty.

    Returns the last reading that was copied, and how many have come since. Raises DatabaseCopyError
    or another Flask10xError; then the target is to be thrown away. The source is only read, also
    beside a service that writes it. A backup has to be as it was made, else CopyError is raised.
    """
    if url_of(source) == url_of(target):
        text = _("{database} can't be copied into itself")
        raise DatabaseCopyError(text.format(database=url_of(source)))
    # A service on this machine that has a file of SQLite; on PostgreSQL its readings tell.
    if engines.engine_of(target).is_file and (service := running(target)):
        text = _("the service (process {pid}) uses {database}; stop it first")
        pid = service.pid or _("unknown")
        raise DatabaseCopyError(text.format(pid=pid, database=url_of(target)))
    if engines.engine_of(source).is_file:
        copy_check.check_unchanged(path := database_path(source), path)
    if leftovers := entry.leftover_files(database_path(source).parent):
        text = _("readings wait in {files}; start the service with {source} and stop it first")
        raise _error(text, source, target, files=", ".join(map(str, leftovers)))
    try:
        with snapshots(source) as there:
            schema.upgrade(target)
            with closing(Database(target)) as database, there.begin() as snapshot:
                _require_empty(source, target, database)
                with database.commit() as connection:
                    begin_copy(connection, url_of(source))
                fill_whole(snapshot, database, bar)
                with database.commit() as connection:
                    end_copy(connection)
                at = last_id(snapshot)
            engines.engine_of(target).remember()
            with there.begin() as snapshot:
                return at, last_id(snapshot) - at
    except DBAPIError as error:
        text = _("{source} cannot be copied into {target}: {reason}")
        reason = " ".join(reason_of(error).split())
        raise _error(text, source, target, reason=reason) from error


def _require_empty(source: Settings, target: Settings, database: Database) -> None:
    """Raise DatabaseCopyError where the target has rows beside those that it was made with."""
    with database.reader.begin() as connection:
        full = [readings.name] if last_id(connection) else []
        for table in (readings_with(()), *other_tables()):
            rows = select(table.sql.c[table.key[0]]).limit(1)
            if table.sql is counters:
                # Made with the tables, for the stations that there are.
                rows = rows.where(counters.c.name != ROLLED_UP)
            if connection.execute(rows).first():
                full.append(table.name)
    if full:
        text = _(
            "{target} is in use, it has rows in {tables}: name an empty database, where {source}"
            " goes whole"
        )
        raise _error(text, source, target, tables=", ".join(dict.fromkeys(full)))


def _error(text: str, source: Settings, target: Settings, **values: object) -> DatabaseCopyError:
    return DatabaseCopyError(text.format(source=url_of(source), target=url_of(target), **values))


def verify(source: Settings, target: Settings, bar: Bar = unseen) -> Iterator[tuple[int, str]]:
    """Compare all that is copied, each of the two as it is at one moment; see `differences`.

    Raises DatabaseCopyError or another Flask10xError. Columns that only one has are compared, too,
    as far as they have a value.
    """
    try:
        with (
            snapshots(source) as there,
            snapshots(target) as here,
            there.begin() as snapshot,
            here.begin() as copied,
            bar(_("compared"), rows_of(snapshot)) as advance,
        ):
            for rows, difference in differences(snapshot, copied):
                advance(rows)
                yield rows, difference
    except DBAPIError as error:
        text = _("{source} and {target} cannot be compared: {reason}")
        raise _error(text, source, target, reason=reason_of(error)) from error
