"""How far each CSV file has come and what is about to be done to it.

The tables `exports` and `export_intents`; what the columns mean is said in `tables.py`. What they
say moves only from what the export knows: one that was stopped for long and then goes on, while
another host has taken the files over, changes nothing (docs/decisions/0034).
"""

import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from gettext import gettext as _
from pathlib import PurePath

from sqlalchemy import Connection, delete, func, insert, select, update

from flask10x.database import csv_owner
from flask10x.database.database import Database
from flask10x.database.dialects import of
from flask10x.database.expressions import upsert
from flask10x.database.tables import (
    archived_files,
    export_floors,
    export_intents,
    exports,
    imports,
    readings,
)
from flask10x.errors import ExportError
from flask10x.export.file import Mark
from flask10x.export.rows import Target
from flask10x.readings import csv_lines
from flask10x.readings.stations import Station


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a file stands."""

    first_id: int
    last_id: int
    import_id: int = 0
    begin_bytes: int = 0
    mark: Mark | None = None
    """What the file was when the last export ended; None when this version never saw it."""
    zone: str | None = None
    """The name of the zone in which our rows are written; None when nobody has noted it yet."""
    last_received_at: int | None = None
    """When the last of our rows was received; None when there is none, or nobody has noted it."""
    last_time: str | None = None
    """How that is written in the file."""
    endpoint: str | None = None
    """The station whose rows these are; None, as the next two, when nobody has noted it yet."""
    path: str | None = None
    """Where the file lies, links followed."""
    columns: str | None = None
    """Its columns and their headings (`columns_of`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What is about to be done to a file: append bytes at `start_offset`, or replace it."""

    from_id: int
    to_id: int
    start_offset: int
    length: int
    sha256: str
    """Of the bytes that are appended, or of the whole new file."""
    import_id: int | None = None
    """None for an append; for a new file, the newest import that is in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """Up to where a file was compared with readings of which some are removed since then."""

    first_id: int
    """That of the file's position; another file of the name has no floor."""
    last_id: int
    """The last row up to there, in the order of the file."""
    size_bytes: int
    checksum: int
    """The CRC-32 of the bytes up to there."""


@dataclass(frozen=True, slots=True)
class State:
    """All that the database knows of a file; all None for one that was never exported."""

    position: Position | None
    intent: Intent | None = None
    floor: Floor | None = None
    """Who removes readings sets it; an export saves only that of a rebuilt file."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The station whose rows a file has; None where nobody has noted it."""

    endpoint: str | None
    columns: str | None
    """As in its position."""


def load_state(database: Database, name: str) -> State:
    """What the database knows of the file of this name."""
    with database.reader.begin() as connection:
        return state_of(connection, name)


def state_of(connection: Connection, name: str) -> State:
    """The same at the moment of the connection's transaction."""
    position = _position(connection, name)
    floor = load_floor(connection, name, position)
    return State(position, _intent(connection, name), floor)


def names_of(connection: Connection, endpoint: str) -> list[str]:
    """The names of the files that the station is known to write."""
    query = select(exports.c.name).where(exports.c.endpoint == endpoint)
    return list(connection.execute(query.order_by(exports.c.name)).scalars())


def owners_of(connection: Connection) -> dict[str, Owner]:
    """Whose each file is, by its name."""
    query = select(exports.c.name, exports.c.endpoint, exports.c.columns)
    return {row.name: Owner(row.endpoint, row.columns) for row in connection.execute(query)}


def positions_of_others(connection: Connection, endpoint: str) -> dict[str, Position]:
    """Where the files of the other stations stand, by their names."""
    return {
        name: position
        for name, owner in owners_of(connection).items()
        if owner.endpoint not in (None, endpoint)
        and (position := _position(connection, name)) is not None
    }


def endpoints_of(connection: Connection) -> list[str]:
    """The endpoints that have readings, one look into the index for each."""
    found: list[str] = []
    endpoint = readings.c.endpoint
    while (
        next_one := connection.execute(
            select(func.min(endpoint)).where(endpoint > (found[-1] if found else ""))
        ).scalar_one()
    ) is not None:
        found.append(next_one)
    return found


def load_floor(connection: Connection, name: str, position: Position | None) -> Floor | None:
    """The floor of the file that stands at this position; None when it has none."""
    columns = [export_floors.c[field.name] for field in fields(Floor)]
    row = connection.execute(select(*columns).where(export_floors.c.name == name)).one_or_none()
    if row is None or position is None or row.first_id != position.first_id:
        return None
    return Floor(**row._mapping)


def save_floor(connection: Connection, name: str, floor: Floor) -> None:
    """Set the floor of the file, in the transaction that removes readings."""
    saved = upsert(export_floors)
    connection.execute(saved.values(name=name, **asdict(floor)))


def first_line_floor(target: Target, first_id: int) -> Floor:
    """The floor of a file that has none of the removed readings, and begins after this one."""
    header = target.header
    checksum = zlib.crc32(header)
    return Floor(first_id=first_id, last_id=0, size_bytes=len(header), checksum=checksum)


def columns_of(station: Station) -> str:
    """The columns of the station's file: `temperature=Temp`, commas between them.

    A heading has no comma, and a column no equals sign.
    """
    return ",".join(f"{m.column}={m.csv_header}" for m in station.measurements)


def noted(target: Target, position: Position) -> Position:
    """The position with whose file it is, where it lies and which columns it has."""
    return replace(
        position,
        endpoint=target.station.endpoint,
        path=str(target.path.resolve()),
        columns=position.columns if target.unknown else columns_of(target.station),
    )


def save_state(
    database: Database,
    target: Target,
    known: State,
    state: State,
    also: Callable[[Connection], object] = lambda _: None,
) -> State:
    """Make this all that the database knows of the file; on the disk when it returns.

    `known` is what it knew when it was looked at or saved last. The result is what it knows now.
    `also` is done in the same transaction.
    The database must have been opened with `synchronous=FULL`. Raises ExportError when it knows
    something else by now, or the file belongs to another host, and LockTimeout or
    sqlalchemy.exc.DBAPIError when it could not be done for seconds; then nothing is changed.
    """
    name = target.name

    def first_id(of: State) -> int | None:
        return of.position.first_id if of.position else None

    def change(connection: Connection) -> None:
        csv_owner.require(connection, target.host)
        now = State(_position(connection, name), _intent(connection, name))
        if now != State(known.position, known.intent):
            raise _changed_meanwhile()
        of(connection).note_origin(connection, name)
        tables = [exports, export_intents]
        if first_id(known) != first_id(state):
            # Another file: its rows were not compared.
            tables.append(export_floors)
        for table in tables:
            connection.execute(delete(table).where(table.c.name == name))
        if state.position is not None:
            connection.execute(insert(exports).values(name=name, **_columns(state.position)))
        if state.intent is not None:
            connection.execute(insert(export_intents).values(name=name, **asdict(state.intent)))
        also(connection)

    database.commit_change(change)
    return state


def rename(database: Database, target: Target, known: State, new_name: str) -> None:
    """Have what is known of the file be known of it under another name, which no file has.

    `target` has the station under the file's name of before.
    Raises as `save_state` does.
    """
    name = target.name

    def change(connection: Connection) -> None:
        csv_owner.require(connection, target.host)
        now = State(_position(connection, name), _intent(connection, name))
        is_free = _position(connection, new_name) is None
        if now != State(known.position, known.intent) or not is_free:
            raise _changed_meanwhile()
        for table in (exports, export_intents, export_floors):
            connection.execute(delete(table).where(table.c.name == new_name))
            connection.execute(update(table).where(table.c.name == name).values(name=new_name))
        of(connection).rename_origin(connection, name, new_name)
        _rename_earlier(connection, target.station, new_name)

    database.commit_change(change)


def _rename_earlier(connection: Connection, station: Station, new_name: str) -> None:
    """Have imports and archived files of the station's name be those of its new name.

    Else the imported rows would no longer have their place in the file that was renamed.
    """
    of_station = imports.c.endpoint == station.endpoint
    for row in connection.execute(select(imports.c.id, imports.c.file).where(of_station)).all():
        path = PurePath(row.file)
        if csv_lines.is_name_of(station, path.name):
            file = str(path.with_name(csv_lines.renamed(station, path.name, new_name)))
            connection.execute(update(imports).where(imports.c.id == row.id).values(file=file))
    names = archived_files.c.endpoint == station.endpoint, archived_files.c.name == station.csv_name
    connection.execute(update(archived_files).where(*names).values(name=new_name))


def _changed_meanwhile() -> ExportError:
    return ExportError(_("something else has changed the position of the file meanwhile"))


def _position(connection: Connection, name: str) -> Position | None:
    row = connection.execute(select(exports).where(exports.c.name == name)).one_or_none()
    if row is None:
        return None
    seen = row.size_bytes is not None
    return Position(
        first_id=row.first_id,
        last_id=row.last_id,
        import_id=row.import_id,
        begin_bytes=row.begin_bytes or 0,
        mark=Mark(row.size_bytes, row.checksum, row.inode, row.changed_ns) if seen else None,
        zone=row.zone,
        last_received_at=row.last_received_at,
        last_time=row.last_time,
        endpoint=row.endpoint,
        path=row.path,
        columns=row.columns,
    )


def _intent(connection: Connection, name: str) -> Intent | None:
    columns = [export_intents.c[field.name] for field in fields(Intent)]
    row = connection.execute(select(*columns).where(export_intents.c.name == name)).one_or_none()
    return None if row is None else Intent(**row._mapping)


def _columns(position: Position) -> dict[str, int | str | None]:
    columns = asdict(position)
    mark: dict[str, int | str | None] | None = columns.pop("mark")
    return columns | (mark or {})
