"""A copy of one database in another, on whichever engines, made while the first is in use.

Readings go in pieces, each a transaction; then the rest, and the readings that came meanwhile, as
they were at one moment. Killed at any time, the next run goes on. Until a run has come to its end,
the target says by a note that it is unfinished, and no service starts on it.
"""

from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database import engines, schema
from flask10x.database.counters import CopyNote, copy_note, write_copy_note
from flask10x.database.dialects import last_id
from flask10x.database.engine import Database
from flask10x.database.error_codes import reason_of
from flask10x.database.paths import database_path, url_of
from flask10x.errors import DatabaseCopyError
from flask10x.maintenance import copy_check
from flask10x.maintenance.copying import fill, refusals
from flask10x.maintenance.copying.ends import revision_of, snapshots, written
from flask10x.recording import leftover_file
from flask10x.system.progress import Bar, unseen


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
    refusals.check_ends(source, target)
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
        refusals.check_target(source, target, here)
        refusals.check_history(source, target, snapshot, here)
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
            state = refusals.state_of(connection)
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
