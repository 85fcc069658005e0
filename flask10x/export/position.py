"""How far each CSV file has come, and what is about to be done to it.

The table `csv_files` is changed only from the state that the export has read or saved last: an
export that was suspended for long and goes on, while another host has taken the files over, changes
nothing (docs/decisions/0034).
"""

import zlib
from dataclasses import replace
from gettext import gettext as _
from pathlib import PurePath

from sqlalchemy import Connection, func, select, update

from flask10x.database import csv_owner
from flask10x.database.database import Database
from flask10x.database.dialects import of
from flask10x.database.tables import csv_files, imports, readings
from flask10x.errors import ExportError
from flask10x.export.files import (
    ArchivedFile,
    CsvFiles,
    Floor,
    Position,
    State,
    load_files,
    put_archived,
    put_current,
)
from flask10x.export.rows import IdSpan, Import, Target, behind
from flask10x.readings import csv_lines
from flask10x.readings.stations import Station


def load_state(database: Database, name: str) -> State:
    """Return what the database has about the file of this name."""
    with database.reader.begin() as connection:
        return load_files(connection).state(name)


def endpoints_of(connection: Connection) -> list[str]:
    """Return the endpoints that have readings, by one look into the index for each."""
    first = select(func.min(readings.c.endpoint).label("endpoint")).cte("endpoints", recursive=True)
    following = select(func.min(readings.c.endpoint)).where(readings.c.endpoint > first.c.endpoint)
    following = following.correlate(first)
    is_one = first.c.endpoint.is_not(None)
    endpoints = first.union_all(select(following.scalar_subquery()).where(is_one))
    query = select(endpoints.c.endpoint).where(endpoints.c.endpoint.is_not(None))
    return list(connection.execute(query).scalars())


def first_line_floor(target: Target) -> Floor:
    """Return the floor of a file that has no removed reading and begins after one."""
    header = target.header
    return Floor(last_id=0, size_bytes=len(header), checksum=zlib.crc32(header))


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
    database: Database, target: Target, state: State, archived: ArchivedFile | None = None
) -> None:
    """Save the state of the file, and the file that was archived; both are on the disk then.

    A path or floor of the archived file that was saved before stays. The database must have been
    opened with `synchronous=FULL`. Raises ExportError when the file has another state by now than
    was read or saved last, or belongs to another host, and LockTimeout or sqlalchemy.exc.DBAPIError
    when the commit failed for seconds; then nothing is changed.
    """
    name, log = target.name, target.rows.log

    def change(connection: Connection) -> None:
        files = _required(connection, target)
        origin = of(connection).origin(connection)
        put_current(connection, name, state, origin)
        files.states[name] = state
        if origin:
            files.origins[name] = origin
        if archived is not None:
            files.archived = record(connection, files, archived)
        read[:] = [files]

    read: list[CsvFiles] = []
    database.commit_change(change)
    log.files = read[0]


def record(connection: Connection, files: CsvFiles, file: ArchivedFile) -> list[ArchivedFile]:
    """Store an archived file, and return all archived ones with it.

    A path or floor that was saved before stays.
    """
    others = [each for each in files.archived if not each.is_same(file)]
    for before in files.archived:
        if before.is_same(file):
            path = file.position.path or before.position.path
            floor = file.floor or before.floor
            file = replace(file, position=replace(file.position, path=path, floor=floor))
    put_archived(connection, file)
    return sorted((*others, file), key=ArchivedFile.order)


def rename(database: Database, target: Target, new_name: str) -> None:
    """Move the state of a file to another name, which no file has.

    `target` has the station under the former name of the file. Raises as `save_state` does.
    """

    def change(connection: Connection) -> None:
        if _required(connection, target).state(new_name).position is not None:
            raise _changed_meanwhile()
        put_current(connection, new_name, State(None), None)
        of_name = csv_files.c.name == target.name
        is_archived = csv_files.c.kind == "archived"
        own = is_archived & (csv_files.c.endpoint == target.station.endpoint)
        renamed = update(csv_files).where(of_name, ~is_archived | own).values(name=new_name)
        connection.execute(renamed)
        _rename_imports(connection, target.station, new_name)

    database.commit_change(change)
    with database.reader.begin() as connection:
        target.rows.log.read(connection)


def _rename_imports(connection: Connection, station: Station, new_name: str) -> None:
    """Give the imports of the station's name its new name.

    Else the imported rows would no longer have their place in the file that was renamed.
    """
    of_station = imports.c.endpoint == station.endpoint
    for row in connection.execute(select(imports.c.id, imports.c.file).where(of_station)).all():
        path = PurePath(row.file)
        if csv_lines.is_name_of(station, path.name):
            file = str(path.with_name(csv_lines.renamed(station, path.name, new_name)))
            connection.execute(update(imports).where(imports.c.id == row.id).values(file=file))


def _required(connection: Connection, target: Target) -> CsvFiles:
    """Return all files; raises ExportError unless this host has the target's as it was last."""
    csv_owner.require(connection, target.host)
    files = load_files(connection)
    if files.state(target.name) != target.state:
        raise _changed_meanwhile()
    return files


def _changed_meanwhile() -> ExportError:
    return ExportError(_("something else has changed the position of the file meanwhile"))
