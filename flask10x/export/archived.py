"""The CSV files that an export has written and that another file has followed.

An export has given them another name, or they were moved away by hand. Their readings are in no
other file, so the database records what they were: a reading in one of them is removed only after
its row there was compared (`removable.py`). A file is identified by its station, its size and its
checksum, wherever it is.
"""

from dataclasses import dataclass, replace
from gettext import gettext as _
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, and_, select, update

from flask10x.config.settings import Settings
from flask10x.database import csv_owner
from flask10x.database.database import Database
from flask10x.database.expressions import upsert
from flask10x.database.tables import archived_files as table
from flask10x.database.tables import exports
from flask10x.errors import ExportError
from flask10x.export import refusals
from flask10x.export.file import NOTHING, CsvFile
from flask10x.export.position import (
    Floor,
    Position,
    columns_of_position,
    load_positions,
    mark_of,
    position_of_columns,
)
from flask10x.export.rows import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedFile:
    """One of them, as it was when it was archived."""

    name: str
    """The name that it had while it was written."""
    position: Position
    """Which readings it has, and what it was; without a path where its place is unknown."""
    floor: Floor | None = None
    """Up to where it was compared with its readings."""

    @property
    def endpoint(self) -> str:
        """The station whose rows it has."""
        return str(self.position.endpoint)


def load(connection: Connection, *endpoints: str) -> list[ArchivedFile]:
    """Return the archived files of these stations, the newest first."""
    query = select(table).where(table.c.endpoint.in_(endpoints))
    newest = query.order_by(table.c.last_id.desc(), table.c.size_bytes, table.c.checksum)
    return [_of(row) for row in connection.execute(newest)]


def check_owner(
    database: Database, target: Target, file: CsvFile | None, position: Position | None
) -> None:
    """Raise ExportError when the file is another station's, by a link or because it was renamed.

    `position` is that of the file. Where it has none, its bytes are compared with the files of the
    other stations.
    """
    endpoint, path = target.station.endpoint, str(target.path.resolve())
    is_other = exports.c.endpoint.is_distinct_from(endpoint) & (exports.c.name != target.name)
    # One row and not all positions: this is asked for each file of an export.
    at_path = select(exports.c.endpoint).where(is_other, exports.c.path == path)
    with database.reader.begin() as connection:
        for owner in connection.execute(at_path).scalars():
            raise refusals.of_other_station(target.path, str(owner), path)
        if file is None or position is not None:
            return
        positions = load_positions(connection).values()
        archived_elsewhere = select(table).where(table.c.endpoint != endpoint)
        files = [_of(row).position for row in connection.execute(archived_elsewhere)]
    header_bytes = len(file.line(0))
    for other in (*(each for each in positions if each.endpoint != endpoint), *files):
        size = other.mark.size_bytes
        is_longer = header_bytes < size <= file.size
        if is_longer and file.checksum(size) == other.mark.checksum:
            raise refusals.of_other_station(target.path, str(other.endpoint), other.path)


def archived(
    target: Target, position: Position | None, floor: Floor | None, path: Path | None = None
) -> ArchivedFile | None:
    """Return the file at this position as one that is archived at `path`, None for unknown.

    The result is None when no export has written a row into the file.
    """
    if position is None or mark_of(position) == NOTHING:
        return None
    if position.first_id == position.last_id and not position.import_id:
        return None
    position = replace(
        position,
        endpoint=position.endpoint or target.station.endpoint,
        path=None if path is None else str(path),
    )
    return ArchivedFile(name=target.name, position=position, floor=floor)


def elsewhere(target: Target, position: Position) -> Path | None:
    """Return the path of the file of this position, if it is another one than the target's."""
    if position.path is None or Path(position.path) == target.path.resolve():
        return None
    return path if (path := Path(position.path)).is_file() else None


def record(connection: Connection, file: ArchivedFile | None) -> None:
    """Save what the file is; None is ignored. A path or floor that was saved before stays."""
    if file is None:
        return
    values = columns_of_position(file.position)
    del values["last_time"]
    floor, mark = file.floor, file.position.mark
    query = select(table).where(
        table.c.endpoint == file.endpoint,
        table.c.size_bytes == mark.size_bytes,
        table.c.checksum == mark.checksum,
    )
    row = connection.execute(query).one_or_none()
    if row is not None:
        values["path"], floor = values["path"] or row.path, floor or _of(row).floor
    values |= {
        "floor_id": floor.last_id if floor else None,
        "floor_bytes": floor.size_bytes if floor else None,
        "floor_checksum": floor.checksum if floor else None,
    }
    connection.execute(upsert(table).values(name=file.name, **values))


def name(settings: Settings, database: Database, path: Path) -> ArchivedFile:
    """Record that an archived file, whose place was unknown, is here; return it with this place.

    Raises ExportError when the file is no archived one, or the files belong to another host, and
    OSError.
    """
    path = path.resolve()
    with CsvFile.open(path, write=False) or _missing() as file:
        mark = file.mark_up_to(file.size)
    is_same = and_(table.c.size_bytes == mark.size_bytes, table.c.checksum == mark.checksum)
    values = {"path": str(path), "inode": mark.inode, "changed_ns": mark.changed_ns}
    files: list[ArchivedFile] = []

    def change(connection: Connection) -> None:
        csv_owner.require(connection, csv_owner.host_of(settings))
        connection.execute(update(table).where(is_same).values(values))
        files[:] = map(_of, connection.execute(select(table).where(is_same)))
        if not files:
            text = _("it is no file that an export has written and that was moved away later")
            raise ExportError(text)

    database.commit_change(change)
    return files[0]


def _missing() -> CsvFile:
    raise ExportError(_("there is no such file"))


def _of(row: Row[Any]) -> ArchivedFile:
    floor = None
    if row.floor_id is not None:
        floor = Floor(
            first_id=row.first_id,
            last_id=row.floor_id,
            size_bytes=row.floor_bytes,
            checksum=row.floor_checksum,
        )
    return ArchivedFile(name=row.name, position=position_of_columns(row._mapping), floor=floor)
