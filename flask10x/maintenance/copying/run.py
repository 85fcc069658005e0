"""A copy of one database in another, on whichever engines, made while the first is in use.

Readings go in pieces, each a transaction; then the rest, and the readings that came meanwhile, as
they were at one moment. Killed at any time, the next run goes on. Until a run has come to its end,
the target says by a note that it is unfinished, and no service starts on it.

It goes only into nothing, or into an earlier copy: what others have written into a copy would be
lost, or mixed with what is copied.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from gettext import gettext as _
from hashlib import sha256
from pathlib import Path

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DBAPIError

from flask10x.config.readers.database_url import database_url
from flask10x.config.settings import Settings
from flask10x.database import engines, schema
from flask10x.database.counters import CopyNote, copy_note, write_copy_note
from flask10x.database.dialects import last_id
from flask10x.database.engine import Database
from flask10x.database.error_codes import reason_of
from flask10x.database.owner import running
from flask10x.database.paths import database_path, url_of
from flask10x.database.retention import removed
from flask10x.database.station_columns import ROLLED_UP
from flask10x.database.tables import (
    accepted_keys,
    counters,
    readings,
    rejected,
    rollup_days,
    rollups,
)
from flask10x.database.tables import removed_hours as removed_hours_table
from flask10x.errors import DatabaseCopyError
from flask10x.maintenance import copy_check
from flask10x.maintenance.copying import fill
from flask10x.maintenance.copying.fill import others, piece, readings_of, sequences
from flask10x.recording import leftover_file
from flask10x.system.progress import Bar, unseen


def settings_of(settings: Settings, place: str, url: str) -> Settings:
    """The settings with this database; raises SettingsError, naming the place, for another URL."""
    end = replace(settings, database_url=database_url(place, url))
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
    return number <= removed.of_station(there, endpoint).last_id


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
        fill.fill_whole(snapshot, database, bar)
        fill.analyze(database)
        at = last_id(snapshot)
        with database.commit() as connection:
            fill.fill_sequences(snapshot, connection)
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
        return fill.next_readings(snapshot, database)


def _leftovers(source: Settings) -> list[Path]:
    return leftover_file.waiting(database_path(source).parent)
