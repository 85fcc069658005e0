"""How far each CSV file has come and what is about to be done to it.

The tables `exports` and `export_intents`; `database/tables.py` says what their columns mean. They
are changed only from the state that the export has read or saved last: an export that was suspended
for long and goes on, while another host has taken the files over, changes nothing
(docs/decisions/0034).
"""

import zlib
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, fields, replace
from gettext import gettext as _
from pathlib import PurePath
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

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
from flask10x.export.file import NOTHING, Mark
from flask10x.export.rows import IdSpan, Import, Target, behind
from flask10x.readings import csv_lines
from flask10x.readings.stations import Station


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far a file has come."""

    first_id: int
    last_id: int
    import_id: int = 0
    begin_bytes: int = 0
    mark: Mark = NOTHING
    """What the file was when the last export ended."""
    zone: str | None = None
    """The name of the time zone in which the exported rows are written.

    This and what follows is None until the position is saved.
    """
    last_received_at: int | None = None
    """When the last exported row was received; None also where there is none."""
    last_time: str | None = None
    """How that time is written in the file."""
    endpoint: str | None = None
    """The station whose rows the file has."""
    path: str | None = None
    """The path of the file, links followed."""
    columns: str | None = None
    """The columns of the file and their headings (`columns_of`)."""

    @property
    def last_row(self) -> tuple[int | None, str | None]:
        """When the last exported row was received, and how that time is written."""
        return self.last_received_at, self.last_time


def mark_of(position: Position | None) -> Mark:
    """Return what the file was when the last export ended; NOTHING before the first export."""
    return position.mark if position else NOTHING


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
    """All that the database has about a file; without a position it was never exported."""

    position: Position | None
    intent: Intent | None = None
    floor: Floor | None = None
    """Set by the removal of readings; None is stored where it is that of another file."""


# In the order of the fields of State.
STATE_TABLES = (exports, export_intents, export_floors)


def load_state(database: Database, name: str) -> State:
    """Return what the database has about the file of this name."""
    with database.reader.begin() as connection:
        return state_of(connection, name)


def state_of(connection: Connection, name: str) -> State:
    """Return the same at the moment of the connection's transaction."""
    return states_of(connection, [name])[name]


def states_of(connection: Connection, names: Collection[str]) -> dict[str, State]:
    """Return all that the database has about the files of these names, by their names."""
    queries = (select(table).where(table.c.name.in_(names)) for table in STATE_TABLES)
    rows = [{row["name"]: row for row in connection.execute(query).mappings()} for query in queries]
    return {name: _state(*(by_name.get(name) for by_name in rows)) for name in names}


def names_of(connection: Connection, endpoint: str) -> list[str]:
    """Return the names of the files that have rows of the station."""
    query = select(exports.c.name).where(exports.c.endpoint == endpoint)
    return list(connection.execute(query.order_by(exports.c.name)).scalars())


def load_positions(connection: Connection) -> dict[str, Position]:
    """Return the positions of all files, by their names."""
    rows = connection.execute(select(exports)).mappings()
    return {row["name"]: position_of_columns(row) for row in rows}


def endpoints_of(connection: Connection) -> list[str]:
    """Return the endpoints that have readings, by one look into the index for each."""
    endpoints: list[str] = []
    after = select(func.min(readings.c.endpoint))
    query = after
    while (endpoint := connection.execute(query).scalar_one()) is not None:
        endpoints.append(endpoint)
        query = after.where(readings.c.endpoint > endpoint)
    return endpoints


def save_floor(connection: Connection, name: str, floor: Floor) -> None:
    """Set the floor of the file, in the transaction that removes readings."""
    connection.execute(upsert(export_floors).values(name=name, **asdict(floor)))


def first_line_floor(target: Target, first_id: int) -> Floor:
    """Return the floor of a file that has no removed reading and begins after this one."""
    header = target.header
    checksum = zlib.crc32(header)
    return Floor(first_id=first_id, last_id=0, size_bytes=len(header), checksum=checksum)


def columns_of(station: Station) -> str:
    """Return the columns of the station's file: `temperature=Temp`, commas between them.

    A heading has no comma, and a column no equals sign.
    """
    return ",".join(f"{m.column}={m.csv_header}" for m in station.measurements)


def exported_rows(
    target: Target, position: Position, floor: Floor | None
) -> tuple[int, list[IdSpan]]:
    """Return where the exported rows above the floor begin, in bytes, and which rows they are."""
    spans = target.rows.of_file(position.first_id, position.last_id, position.import_id)
    if floor is None:
        return position.begin_bytes, spans
    return floor.size_bytes, behind(spans, floor.last_id)


def imported_elsewhere(target: Target, position: Position) -> list[Import]:
    """Return the imports of files of the station whose rows are not in this one."""
    has_beginning = position.begin_bytes > len(target.header)
    return target.rows.imported_elsewhere(position.import_id, has_beginning=has_beginning)


def with_file(target: Target, position: Position) -> Position:
    """Return the position with the station, the path and the columns of its file."""
    return replace(
        position,
        endpoint=target.station.endpoint,
        path=str(target.path.resolve()),
        columns=position.columns if target.unknown else columns_of(target.station),
    )


def save_state(
    database: Database,
    target: Target,
    stored: State,
    state: State,
    also: Callable[[Connection], object] = lambda _: None,
) -> State:
    """Save the state of the file and return it; it is on the disk then.

    `stored` is the state that was loaded or saved last; `also` is done in the same transaction. The
    database must have been opened with `synchronous=FULL`. Raises ExportError when it has another
    state by now, or the file belongs to another host, and LockTimeout or
    sqlalchemy.exc.DBAPIError when the commit failed for seconds; then nothing is changed.
    """
    name, state = target.name, _with_own_floor(state)
    values = (
        columns_of_position(state.position) if state.position else None,
        asdict(state.intent) if state.intent else None,
        asdict(state.floor) if state.floor else None,
    )

    def change(connection: Connection) -> None:
        _require(connection, target, stored)
        of(connection).note_origin(connection, name)
        for table, row in zip(STATE_TABLES, values, strict=True):
            connection.execute(delete(table).where(table.c.name == name))
            if row is not None:
                connection.execute(insert(table).values(name=name, **row))
        also(connection)

    database.commit_change(change)
    return state


def rename(database: Database, target: Target, stored: State, new_name: str) -> None:
    """Move the state of a file to another name, which no file has.

    `target` has the station under the former name of the file. Raises as `save_state` does.
    """
    name = target.name

    def change(connection: Connection) -> None:
        _require(connection, target, stored)
        if state_of(connection, new_name).position is not None:
            raise _changed_meanwhile()
        for table in STATE_TABLES:
            connection.execute(delete(table).where(table.c.name == new_name))
            connection.execute(update(table).where(table.c.name == name).values(name=new_name))
        of(connection).rename_origin(connection, name, new_name)
        _rename_earlier(connection, target.station, new_name)

    database.commit_change(change)


def _rename_earlier(connection: Connection, station: Station, new_name: str) -> None:
    """Give the imports and archived files of the station's name its new name.

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


def _require(connection: Connection, target: Target, stored: State) -> None:
    """Raise ExportError unless this host has the file and its state is the stored one."""
    csv_owner.require(connection, target.host)
    if state_of(connection, target.name) != stored:
        raise _changed_meanwhile()


def _changed_meanwhile() -> ExportError:
    return ExportError(_("something else has changed the position of the file meanwhile"))


def _state(
    position: RowMapping | None, intent: RowMapping | None, floor: RowMapping | None
) -> State:
    """Return the state that is in these rows of the tables; another file's floor is ignored."""
    state = State(
        position_of_columns(position) if position else None,
        Intent(**{field.name: intent[field.name] for field in fields(Intent)}) if intent else None,
        Floor(**{field.name: floor[field.name] for field in fields(Floor)}) if floor else None,
    )
    return _with_own_floor(state)


def _with_own_floor(state: State) -> State:
    """Return the state without its floor where that is of another file of the name."""
    position, floor = state.position, state.floor
    is_own = position is not None and floor is not None and floor.first_id == position.first_id
    return state if is_own else replace(state, floor=None)


def columns_of_position(position: Position) -> dict[str, Any]:
    """Return the position as columns of a table, with those of its mark."""
    columns = asdict(position)
    mark: dict[str, int] = columns.pop("mark")
    return columns | mark


def position_of_columns(row: RowMapping) -> Position:
    """Return the position that is in a row of a table; other columns are ignored."""
    mark = Mark(*(row[field.name] or 0 for field in fields(Mark)))
    names = (field.name for field in fields(Position) if field.name != "mark")
    return Position(mark=mark, **{name: row[name] for name in names if name in row})
