"""Copying one database into another, whichever engine they are on, and the proof of it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from gettext import gettext as _
from hashlib import sha256
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
from flask10x.database import dialects, engines, removed, schema, station_columns
from flask10x.database.counters import CopyNote, copy_note, is_copy_note, write_copy_note
from flask10x.database.database import Database
from flask10x.database.dialects import last_id
from flask10x.database.error_codes import reason_of
from flask10x.database.insert import existing_columns
from flask10x.database.paths import database_path, url_of
from flask10x.database.running_service import running
from flask10x.database.station_columns import ROLLED_UP
from flask10x.database.tables import (
    accepted_keys,
    counters,
    measurement,
    metadata,
    readings,
    rejected,
    rollup_days,
    rollups,
)
from flask10x.database.tables import removed_hours as removed_hours_table
from flask10x.errors import DatabaseCopyError
from flask10x.maintenance import copy_check
from flask10x.recording import entry
from flask10x.system.progress import Advance, Bar, unseen

# What a copy holds, compared with its source and brought into it, in pieces.
#
# Readings are only ever added at the end of their table and, by RETENTION_DAYS, removed: they are
# followed by their ids. All else is compared piece by piece in the order of the keys, and a piece
# that differs is replaced. Numbers are compared as numbers: SQLite has one zero only
# (`readings/numbers.py`).
#
# Not copied: what a process holds for the moment (`leases`), which host has the CSV files
# (`owners`), the history of a server that they are of (OF_ONE_SERVER), which no other server has,
# and the state of alerts, as on SQLite, where it is in a file of its own: what is wrong is
# notified once more.

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

    @property
    def rows(self) -> ColumnElement[bool]:
        """Return the condition of the rows that are copied, as SQL."""
        return ~is_copy_note() if self.name == counters.name else true()

    def key_of(self, row: CopiedRow) -> Key:
        """Return the key of one of its rows."""
        return row[: len(self.key)]

    def between(self, after: Key | None, upto: Key | None) -> ColumnElement[bool]:
        """Return the condition of the rows behind one key and up to another; None: no such end."""
        place: Any = tuple_(*(self.sql.c[name] for name in self.key))
        condition = self.rows
        if after is not None:
            condition &= place > tuple_(*after)
        if upto is not None:
            condition &= place <= tuple_(*upto)
        return condition


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


def piece(connection: Connection, table: CopiedTable, after: Key | None) -> list[CopiedRow]:
    """Return the first rows behind this key, in its order; None: those at the beginning.

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
    query = select(*columns).where(table.between(after, None))
    query = query.order_by(*(table.sql.c[name] for name in table.key)).limit(table.piece_rows)
    return list(map(tuple, connection.execute(query)))


def sequences(connection: Connection) -> dict[str, int]:
    """Return the numbers that both engines have beside the tables, without those that are 0."""
    engine = dialects.statements_of(connection)
    names = engine.hosts_of_sequences(connection).keys() - set(COUNTED_BY_ROWS)
    numbers = {name: engine.sequence(connection, name) for name in sorted(names)}
    return {name: number for name, number in numbers.items() if number}


Look = Callable[[CopiedTable, Key | None], list[CopiedRow]]
"""Returns the next piece of a table behind this key."""


def parts(
    source: Look, copy: Look, table: CopiedTable
) -> Iterator[tuple[ColumnElement[bool], list[CopiedRow], list[CopiedRow]]]:
    """Yield the table in parts: the condition of its rows, those of the source and of the copy.

    A part is at most two pieces.
    """
    after: Key | None = None
    while True:
        pieces = [look(table, after) for look in (source, copy)]
        # Behind a full piece there may be more: what the other one has there waits for that.
        full = [table.key_of(rows[-1]) for rows in pieces if len(rows) == table.piece_rows]
        upto = min(full, default=None)
        if upto is not None:
            pieces = [[row for row in rows if table.key_of(row) <= upto] for rows in pieces]
        yield table.between(after, upto), pieces[0], pieces[1]
        if upto is None:
            return
        after = upto


Differences = list[list[str]]
"""For each row that differs a line of each of its columns that do."""


def differences(source: Connection, copy: Connection) -> Iterator[tuple[int, Differences]]:
    """Compare all tables in parts, and the numbers beside them.

    Yields how many rows were compared, and those that differ.
    """
    columns = existing_columns(source) | existing_columns(copy)
    for table in (readings_with(columns), *other_tables()):
        for _condition, *both in parts(partial(piece, source), partial(piece, copy), table):
            differing: Differences = []
            if both[0] != both[1]:
                by_key = ({table.key_of(row): row for row in rows} for rows in both)
                differing = _differing(table.name, table.names, *by_key)
            yield max(map(len, both)), differing
    numbers = sequences(source), sequences(copy)
    names = sorted({*numbers[0], *numbers[1]})
    by_name = ({(name,): (found.get(name, 0),) for name in names} for found in numbers)
    yield len(names), _differing("sequences", ("number",), *by_name)


def _differing(
    table: str, columns: Sequence[str], source: dict[Key, CopiedRow], copy: dict[Key, CopiedRow]
) -> Differences:
    found = []
    for key in sorted(source.keys() | copy.keys()):
        place = f"{table} {', '.join(map(_short, key))}"
        row, copied = source.get(key), copy.get(key)
        if row is None or copied is None:
            text = _("{place}: not in the copy") if row else _("{place}: only in the copy")
            found.append([text.format(place=place)])
        elif row != copied:
            text = _("{place}, {column}: {wanted}, in the copy {found}")
            values = zip(columns, row, copied, strict=True)
            found.append(
                [
                    text.format(place=place, column=name, wanted=_short(one), found=_short(other))
                    for name, one, other in values
                    if one != other
                ]
            )
    return found


def _short(value: object) -> str:
    """Return a value as text, of a long one the beginning."""
    shown = value.hex() if isinstance(value, bytes) else str(value)
    return shown if len(shown) <= SHOWN_CHARS else f"{shown[:SHOWN_CHARS]}…"


def next_readings(source: Connection, target: Database) -> int:
    """Put the source's next readings behind those of the target; return how many ids that is.

    It is 0 when there are none any more. Raises sqlalchemy.exc.DBAPIError or what a commit raises;
    then none of them are in the target.
    """
    table = readings_with(existing_columns(source))
    with target.reader.begin() as connection:
        after = last_id(connection)
        missing = set(table.names) - existing_columns(connection)
    rows = piece(source, table, (after,))
    if not rows:
        return 0
    station_columns.add(target, sorted(missing))
    with target.commit() as connection:
        put(connection, table, rows)
        dialects.statements_of(connection).set_sequence(connection, readings.name, rows[-1][0])
    advanced: int = rows[-1][0] - after
    return advanced


def fill_whole(snapshot: Connection, target: Database, bar: Bar) -> None:
    """Bring all that the source holds into the target, as it is in this snapshot.

    Raises sqlalchemy.exc.DBAPIError or what a commit raises.
    """
    with target.reader.begin() as connection:
        missing = last_id(snapshot) - last_id(connection)
    with bar(_("readings"), missing) as advance:
        while advanced := next_readings(snapshot, target):
            advance(advanced)
        remove_removed(snapshot, target)
    with bar(_("the rest"), rows_of_others(snapshot)) as advance:
        fill_others(snapshot, target, advance)


def remove_removed(source: Connection, target: Database) -> None:
    """Remove from the target the old readings that the source has removed since the last run."""
    with target.reader.begin() as connection:
        before = removed.load_removed(connection)
    for endpoint, now in removed.load_removed(source).items():
        if now.last_id > before.get(endpoint, removed.NOTHING_REMOVED).last_id:
            older = readings.c.endpoint == endpoint, readings.c.id <= now.last_id
            with target.commit() as connection:
                connection.execute(delete(readings).where(*older))


def fill_others(source: Connection, target: Database, advance: Advance) -> None:
    """Make all other tables of the target equal to the source's.

    `advance` is called with the rows just compared. The source's connection has one snapshot for
    all of them.
    """

    def copied(table: CopiedTable, after: Key | None) -> list[CopiedRow]:
        with target.reader.begin() as connection:
            return piece(connection, table, after)

    for table in other_tables():
        for condition, in_source, in_copy in parts(partial(piece, source), copied, table):
            if in_source != in_copy:
                with target.commit() as connection:
                    connection.execute(delete(table.sql).where(condition))
                    put(connection, table, in_source)
            advance(len(in_source))


def rows_of_others(source: Connection) -> int:
    """Return how many rows those tables have."""
    counts = (
        select(func.count()).select_from(table.sql).where(table.rows) for table in other_tables()
    )
    return sum(source.execute(query).scalar_one() for query in counts)


def fill_sequences(source: Connection, target: Connection) -> None:
    """Let the numbers of new rows go on behind those of the source, in the target too.

    In a transaction that writes, after all tables are filled.
    """
    engine, numbers = dialects.statements_of(target), sequences(source)
    for name in sequences(target).keys() - numbers.keys() - {readings.name}:
        engine.forget_sequence(target, name)
    # On PostgreSQL a commit locks that of the readings, so it must exist.
    hosts = dialects.statements_of(source).hosts_of_sequences(source)
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


# A copy of one database in another, on whichever engines, made while the first is in use.
#
# Readings go in pieces, each a transaction; then the rest, and the readings that came meanwhile,
# as they were at one moment. Killed at any time, the next run goes on. Until a run has come to its
# end, a note in the target says that it is unfinished, and no service starts on it.
#
# The target is empty or an earlier copy: what others have written into a copy would be lost, or
# mixed with what is copied.


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

    Raises DatabaseCopyError when it is none that this program can copy, or SchemaError.
    """
    database = engines.engine_of(settings)
    database.require()
    with database.reader() as engine:
        at, newest = revision_of(settings, engine), schema.all_revisions()[-1]
        if at is None:
            text = _("{database} is no database of Flask10X's: it has no version")
            raise DatabaseCopyError(text.format(database=url_of(settings)))
        schema.require_known(at, url_of(settings))
        if at != newest:
            text = _(
                "{database} is at version {version}, and {newest} is needed; run:"
                " FLASK10X_DATABASE_URL={database} flask10x migrate"
            )
            text = text.format(database=url_of(settings), version=at, newest=newest)
            raise DatabaseCopyError(text)
        yield engine


def revision_of(settings: Settings, engine: Engine) -> str | None:
    """Return its version, or None when it was never migrated. Raises DatabaseCopyError."""
    with engine.begin() as connection:
        try:
            return schema.current(connection)
        except DBAPIError as error:
            if schema.is_wrong_sql(error):
                return None
            text = _("{path} cannot be read: {reason}")
            shown = text.format(path=url_of(settings), reason=reason_of(error))
            raise DatabaseCopyError(shown) from error


# Tables that only change together with a number of a row, a position or a number of removed rows.
FOLLOWING = (readings, rejected, accepted_keys, rollups, rollup_days, removed_hours_table)
# SQLite's whole numbers have a sign.
STATE_BITS = 63


def check_target(source: Settings, target: Settings, connection: Connection) -> None:
    """Raise DatabaseCopyError when it is neither empty nor left as a copy of the source."""
    note = copy_note(connection)
    if note is None:
        # The counter is made with the tables, for the stations that there are.
        made = counters.c.name == ROLLED_UP
        full = [readings.name] if last_id(connection) else []
        for table in (readings_with(()), *other_tables()):
            rows = select(*(table.sql.c[name] for name in table.key)).where(table.rows)
            rows = rows.where(~made) if table.sql is counters else rows
            if connection.execute(rows.limit(1)).first():
                full.append(table.name)
        if full:
            text = _(
                "{target} is in use, it has rows in {tables}: name an empty database, where"
                " {source} goes whole"
            )
            raise _error(text, source, target, tables=", ".join(dict.fromkeys(full)))
        return
    if note.source != url_of(source):
        text = _(
            "{target} is a copy of {other}: go on with --from {other}, or name an empty database"
        )
        raise _error(text, source, target, other=note.source)
    if note.is_finished and note.state != state_of(connection):
        text = _(
            "{target} was written since it became a copy of {source}: a service or a command works"
            " with it; name an empty database, where {source} goes whole"
        )
        raise _error(text, source, target)


def check_history(source: Settings, target: Settings, there: Connection, here: Connection) -> None:
    """Raise DatabaseCopyError when the target has readings that the source never had.

    That happens after a backup was restored in the place of the source.
    """
    at = last_id(here)
    after = select(readings.c.id).order_by(readings.c.id.desc()).limit(1)
    newest = here.execute(after).scalar_one_or_none() or 0
    table = readings_with(existing_columns(here))
    rows = [piece(connection, table, (newest - 1,)) for connection in (there, here)]
    in_source, in_copy = (row[0] if row else None for row in rows)
    is_known = in_copy is None or in_source == in_copy
    if in_copy is not None and (in_source is None or in_source[0] != newest):
        # The source may have removed it as an old one.
        endpoint = in_copy[table.names.index("endpoint")]
        is_known = newest <= removed.removed_of_station(there, endpoint).last_id
    if at <= last_id(there) and is_known:
        return
    text = _(
        "{target} has readings up to {id} that {source} does not have like that: that is not the"
        " database which was copied before; name an empty one to copy it whole"
    )
    raise _error(text, source, target, id=at)


def _error(text: str, source: Settings, target: Settings, **values: object) -> DatabaseCopyError:
    return DatabaseCopyError(text.format(source=url_of(source), target=url_of(target), **values))


def state_of(connection: Connection) -> int:
    """Return a number for what a database holds; another one as soon as something was written."""
    digest = sha256(repr(sorted(sequences(connection).items())).encode())
    for table in other_tables():
        if table.sql in FOLLOWING:
            continue
        after = None
        while rows := piece(connection, table, after):
            digest.update(f"{table.name} {rows}".encode())
            after = table.key_of(rows[-1])
    return (int.from_bytes(digest.digest()[:8], "big") >> (64 - STATE_BITS)) or 1


@dataclass(frozen=True, slots=True)
class CopyOutcome:
    """The outcome of a run."""

    last_id: int
    """The target has what the source had when its last reading was this one."""
    newer: int
    """How many readings the source has got since."""
    leftovers: list[Path]
    """Files with readings that a stop of the source's service could not store."""


def copy(source: Settings, target: Settings, bar: Bar = unseen) -> CopyOutcome:
    """Bring the target to what the source holds; an interrupted copy goes on.

    Raises DatabaseCopyError or another Flask10xError; what was copied stays, and the next run goes
    on with it. The source is only read, also beside a service that writes it. A backup has to be as
    it was made, else CopyError is raised.
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
    try:
        with snapshots(source) as there:
            _migrate(target)
            with closing(Database(target)) as database:
                return _copy(source, target, there, database, bar)
    except DBAPIError as error:
        text = _("{source} cannot be copied into {target}: {reason}; what is copied stays")
        reason = " ".join(reason_of(error).split())
        raise _error(text, source, target, reason=reason) from error


def _copy(
    source: Settings, target: Settings, there: Engine, database: Database, bar: Bar
) -> CopyOutcome:
    with there.begin() as snapshot, database.reader.begin() as here:
        check_target(source, target, here)
        check_history(source, target, snapshot, here)
        began, length = last_id(here), last_id(snapshot)
    with database.commit() as connection:
        write_copy_note(connection, CopyNote(url_of(source), 0))
    with bar(_("readings"), length - began) as advance:
        advanced = 1
        while advanced:
            # No transaction of the source is held for longer.
            with there.begin() as snapshot:
                advanced = next_readings(snapshot, database)
            advance(advanced)
    with there.begin() as snapshot:
        fill_whole(snapshot, database, bar)
        names = [readings.name, *dict.fromkeys(table.name for table in other_tables())]
        with database.reader.begin() as connection:
            # The first pages would be slow without its statistics. Of a large table it reads many
            # pages: a reader waits longer for its server than a commit does.
            dialects.statements_of(connection).analyze(connection, names)
        at = last_id(snapshot)
        with database.commit() as connection:
            fill_sequences(snapshot, connection)
            state = state_of(connection)
            write_copy_note(connection, CopyNote(url_of(source), state))
    engines.engine_of(target).remember()
    with there.begin() as snapshot:
        newer = last_id(snapshot) - at
    return CopyOutcome(at, newer, entry.leftover_files(database_path(source).parent))


def _migrate(target: Settings) -> None:
    """Make the tables; a copy that was begun with them stays as it is."""
    engine_of_target = engines.engine_of(target)
    if engine_of_target.may_be_there():
        with engine_of_target.reader() as engine:
            is_newest = revision_of(target, engine) == schema.all_revisions()[-1]
            with engine.begin() as connection:
                if is_newest and copy_note(connection) is not None:
                    return
    schema.upgrade(target, copying=True)


def verify(
    source: Settings, target: Settings, bar: Bar = unseen
) -> Iterator[tuple[int, Differences]]:
    """Compare all that is copied, each of the two as it is at one moment.

    Raises DatabaseCopyError or another Flask10xError. Columns that only one has are compared, too,
    as far as they have a value.
    """
    try:
        with (
            snapshots(source) as there,
            snapshots(target) as here,
            there.begin() as snapshot,
            here.begin() as copied,
            bar(_("compared"), last_id(snapshot) + rows_of_others(snapshot)) as advance,
        ):
            for rows, differing in differences(snapshot, copied):
                advance(rows)
                yield rows, differing
    except DBAPIError as error:
        text = _("{source} and {target} cannot be compared: {reason}")
        raise _error(text, source, target, reason=reason_of(error)) from error
