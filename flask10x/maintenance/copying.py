"""From one database into another, whichever engine they are on, and the proof of it."""

from collections.abc import Callable, Iterable, Iterator
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

# What is kept in one database, compared with another one and brought into it, in pieces.
#
# Readings are only ever added at the end of their table and, by RETENTION_DAYS, removed: they are
# followed by their ids. All else is compared piece by piece in the order of the keys, and a piece
# that differs is put anew. Numbers are compared as numbers: SQLite has one zero only
# (`readings/minus_zero.py`).
#
# Not copied: what a process holds for the moment (`leases`), which host has the CSV files
# (`owners`), of which history of a server they are (`export_origins`), which no other server has,
# and the state of alerts, as on SQLite, where it is in a file of its own: what is wrong is told
# once more.

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
        known = removed.load_removed(connection)
    for endpoint, gone in removed.load_removed(source).items():
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


# A copy of one database in another, on whichever engines, made while the first is in use.
#
# Readings go in pieces, each a transaction; then the rest, and the readings that came meanwhile,
# as they were at one moment. Killed at any time, the next run goes on. Until a run has come to its
# end, the target says by a note that it is unfinished, and no service starts on it.
#
# It goes only into nothing, or into an earlier copy: what others have written into a copy would be
# lost, or mixed with what is copied.


def settings_of(settings: Settings, place: str, url: str) -> Settings:
    """The settings with this database; raises SettingsError, naming the place, for another URL."""
    try:
        end = replace(settings, database_url=database_url(url))
    except WrongEntry as error:
        raise error.of_setting(place) from None
    # In a folder of data the locks of both engines have the same names: a service that goes on with
    # its file of SQLite is not to wait for what is written into PostgreSQL, which has its own lock.
    return end if engines.of(end).is_file else replace(end, commit_lock=False)


@contextmanager
def snapshots(settings: Settings) -> Iterator[Engine]:
    """The database; each transaction sees it as it was when it began, and changes nothing.

    Raises DatabaseCopyError when it is none that this program can copy, or SchemaError.
    """
    database = engines.of(settings)
    database.require()
    with database.reader() as engine:
        _require_newest(settings, engine)
        yield engine


@contextmanager
def written(settings: Settings) -> Iterator[Database]:
    """The database to be written; closed when the block ends."""
    with closing(Database(settings)) as database:
        yield database


def revision_of(settings: Settings, engine: Engine) -> str | None:
    """At which version it is; None when it was never migrated. Raises DatabaseCopyError."""
    with engine.begin() as connection:
        try:
            return schema.current(connection)
        except DBAPIError as error:
            if schema.is_wrong_sql(error):
                return None
            text = _("{path} cannot be read: {reason}")
            shown = text.format(path=url_of(settings), reason=reason_of(error))
            raise DatabaseCopyError(shown) from error


def _require_newest(settings: Settings, engine: Engine) -> None:
    at, newest = revision_of(settings, engine), schema.known()[-1]
    if at is None:
        text = _("{database} is no database of Flask10X's: it has no version")
        raise DatabaseCopyError(text.format(database=url_of(settings)))
    if old := schema.too_old(at, url_of(settings)):
        raise DatabaseCopyError(old)
    if at != newest:
        text = _(
            "{database} is at version {version}, and {newest} is needed; run:"
            " FLASK10X_DATABASE_URL={database} flask10x migrate"
        )
        named = {"database": url_of(settings), "version": at, "newest": newest}
        raise DatabaseCopyError(text.format(**named))


# Tables that only change together with a number of a row, a position or a number of removed rows.
FOLLOWING = (readings, rejected, accepted_keys, rollups, rollup_days, removed_hours_table)
# SQLite's whole numbers have a sign.
STATE_BITS = 63


def check_ends(source: Settings, target: Settings) -> None:
    """Raise DatabaseCopyError when both are one database, or a service has the target."""
    if url_of(source) == url_of(target):
        text = _("{database} can't be copied into itself")
        raise DatabaseCopyError(text.format(database=url_of(source)))
    # A service on this machine that has a file of SQLite; on PostgreSQL its readings tell.
    if engines.of(target).is_file and (service := running(target)):
        text = _("the service (process {pid}) uses {database}; stop it first")
        pid = service.pid or _("unknown")
        raise DatabaseCopyError(text.format(pid=pid, database=url_of(target)))


def check_target(source: Settings, target: Settings, connection: Connection) -> None:
    """Raise DatabaseCopyError when it is neither empty nor left as a copy of the source."""
    note, named = copy_note(connection), {"source": url_of(source), "target": url_of(target)}
    if note is None:
        full = list(_full(connection))
        if full:
            text = _(
                "{target} is in use, it has rows in {tables}: name an empty database, where"
                " {source} goes whole"
            )
            raise DatabaseCopyError(text.format(tables=", ".join(full), **named))
        return
    if note.source != url_of(source):
        text = _(
            "{target} is a copy of {other}: go on with --from {other}, or name an empty database"
        )
        raise DatabaseCopyError(text.format(other=note.source, **named))
    if note.is_finished and note.state != state_of(connection):
        text = _(
            "{target} was written since it became a copy of {source}: a service or a command works"
            " with it; name an empty database, where {source} goes whole"
        )
        raise DatabaseCopyError(text.format(**named))


def check_history(source: Settings, target: Settings, there: Connection, here: Connection) -> None:
    """Raise DatabaseCopyError when the target has readings that the source never had.

    As it is after a backup was restored in the place of the source.
    """
    at = last_id(here)
    after = select(readings.c.id).order_by(readings.c.id.desc()).limit(1)
    newest = here.execute(after).scalar_one_or_none() or 0
    if at <= last_id(there) and _is_same(there, here, newest):
        return
    text = _(
        "{target} has readings up to {id} that {source} does not have like that: that is not the"
        " database which was copied before; name an empty one to copy it whole"
    )
    named = {"source": url_of(source), "target": url_of(target)}
    raise DatabaseCopyError(text.format(id=at, **named))


def state_of(connection: Connection) -> int:
    """A number for what a database holds; another one as soon as anybody has written to it."""
    digest = sha256(repr(sorted(sequences(connection).items())).encode())
    for kept in others():
        if kept.table in FOLLOWING:
            continue
        after = None
        while rows := piece(connection, kept, after):
            digest.update(f"{kept.name} {rows}".encode())
            after = kept.key_of(rows[-1])
    return (int.from_bytes(digest.digest()[:8], "big") >> (64 - STATE_BITS)) or 1


def _full(connection: Connection) -> Iterable[str]:
    """The tables that have a row, and `sequences` when any number is noted."""
    if last_id(connection) or connection.execute(select(readings.c.id).limit(1)).first():
        yield readings.name
    for kept in others():
        rows = select(kept.table).where(kept.rows)
        if kept.table is counters:
            # Made with the tables, for the stations that there are.
            rows = rows.where(counters.c.name != ROLLED_UP)
        if connection.execute(rows.limit(1)).first():
            yield kept.name


def _is_same(there: Connection, here: Connection, number: int) -> bool:
    """Whether both have this reading, or the source has removed it as an old one."""
    kept = readings_of(here)
    one, other = (piece(connection, kept, (number - 1,))[:1] for connection in (there, here))
    if not other:
        return True
    (found,) = other
    if one and one[0][0] == number:
        return one[0] == found
    endpoint = found[kept.names.index("endpoint")]
    return number <= removed.removed_of_station(there, endpoint).last_id


@dataclass(frozen=True, slots=True)
class CopyOutcome:
    """What a run has come to."""

    last_id: int
    """The target has what the source had when its last reading was this one."""
    newer: int
    """How many readings the source has got since."""
    leftovers: list[Path]
    """Files with readings that a stop of the source's service could not store."""


def copy(source: Settings, target: Settings, bar: Bar = unseen) -> CopyOutcome:
    """Bring the target to what the source holds, or a copy that was begun to its end.

    Raises DatabaseCopyError or another Flask10xError; what was copied stays, and the next run goes
    on with it. The source is only read, also beside a service that writes it. One that is a backup
    has to be as it was made, else CopyError is raised.
    """
    check_ends(source, target)
    if engines.of(source).is_file:
        copy_check.check_unchanged(path := database_path(source), path)
    try:
        with snapshots(source) as there:
            _migrate(target)
            with written(target) as database:
                return _copy(source, target, there, database, bar)
    except DBAPIError as error:
        text = _("{source} cannot be copied into {target}: {reason}; what is copied stays")
        named = {"source": url_of(source), "target": url_of(target)}
        reason = " ".join(reason_of(error).split())
        raise DatabaseCopyError(text.format(reason=reason, **named)) from error


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
        while advanced := _next(there, database):
            advance(advanced)
    with there.begin() as snapshot:
        fill_whole(snapshot, database, bar)
        analyze(database)
        at = last_id(snapshot)
        with database.commit() as connection:
            fill_sequences(snapshot, connection)
            state = state_of(connection)
            write_copy_note(connection, CopyNote(url_of(source), state))
    engines.of(target).remember()
    with there.begin() as snapshot:
        newer = last_id(snapshot) - at
    return CopyOutcome(at, newer, _leftovers(source))


def _migrate(target: Settings) -> None:
    """Make the tables; a copy that was begun with them stays as it is."""
    if not engines.of(target).may_be_there():
        schema.upgrade(target, copying=True)
        return
    with engines.of(target).reader() as engine:
        at = revision_of(target, engine)
        if at == schema.known()[-1]:
            with engine.begin() as connection:
                if copy_note(connection) is not None:
                    return
    schema.upgrade(target, copying=True)


def _next(there: Engine, database: Database) -> int:
    """A piece of readings, with no transaction of the source held for longer."""
    with there.begin() as snapshot:
        return next_readings(snapshot, database)


def _leftovers(source: Settings) -> list[Path]:
    return entry.leftover_files(database_path(source).parent)


# Of a body or a long text.
SHOWN_CHARS = 40


def verify(source: Settings, target: Settings, bar: Bar = unseen) -> Iterator[Compared]:
    """Compare all that is kept, each of the two as it is at one moment.

    Raises DatabaseCopyError or another Flask10xError. Columns that only one has are compared, too:
    one without a value is none.
    """
    try:
        with (
            snapshots(source) as there,
            snapshots(target) as here,
            there.begin() as wanted,
            here.begin() as found,
            bar(_("compared"), last_id(wanted) + rows_of_others(wanted)) as advance,
        ):
            for compared in differences(wanted, found):
                advance(compared.rows)
                yield compared
    except DBAPIError as error:
        text = _("{source} and {target} cannot be compared: {reason}")
        named = {"source": url_of(source), "target": url_of(target)}
        raise DatabaseCopyError(text.format(reason=reason_of(error), **named)) from error


def in_words(difference: RowDifference) -> list[str]:
    """A line for each column of a row that differs."""
    key = ", ".join(_short(part) for part in difference.key)
    place = f"{difference.table} {key}"
    if difference.wanted is None:
        return [_("{place}: only in the copy").format(place=place)]
    if difference.found is None:
        return [_("{place}: not in the copy").format(place=place)]
    text = _("{place}, {column}: {wanted}, in the copy {found}")
    values = zip(difference.columns, difference.wanted, difference.found, strict=True)
    return [
        text.format(place=place, column=column, wanted=_short(one), found=_short(other))
        for column, one, other in values
    ]


def _short(value: object) -> str:
    """A value as it is written; of a long one the beginning."""
    if isinstance(value, bytes):
        value = value.hex()
    shown = str(value)
    return shown if len(shown) <= SHOWN_CHARS else f"{shown[:SHOWN_CHARS]}…"
