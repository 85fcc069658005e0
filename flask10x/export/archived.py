"""The CSV files that an export has written and that another file has followed.

An export has set them aside, or somebody has moved them away. Their readings are in no other file,
so it is kept what they were: a reading that one of them has is removed only after its row in it was
compared (`removable.py`). A file is known by its station, its size and its checksum, wherever it
lies.
"""

from dataclasses import dataclass, replace
from gettext import gettext as _
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, Row, and_, select, update

from flask10x.config.settings import Settings
from flask10x.database import csv_owner
from flask10x.database.database import Database
from flask10x.database.expressions import upsert
from flask10x.database.tables import archived_files as table
from flask10x.errors import ExportError
from flask10x.export import refusals
from flask10x.export.file import NOTHING, CsvFile, Mark
from flask10x.export.position import Floor, Position, positions_of_others
from flask10x.export.rows import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedFile:
    """One of them, as it was when it was archived."""

    endpoint: str
    name: str
    """What it was called while it was written."""
    position: Position
    """Which readings it has, and what it was; without a path where its place is unknown."""
    mark: Mark
    floor: Floor | None = None
    """Up to where it was compared with its readings."""


def load(connection: Connection, endpoint: str) -> list[ArchivedFile]:
    """Those of the station, the newest first."""
    query = select(table).where(table.c.endpoint == endpoint)
    newest = query.order_by(table.c.last_id.desc(), table.c.size_bytes, table.c.checksum)
    return [_of(row) for row in connection.execute(newest)]


def check_owner(
    database: Database, target: Target, file: CsvFile | None, known: Position | None
) -> None:
    """Raises ExportError when the file is another station's, by a link or because it was renamed.

    `known` is its position. The bytes of a file tell only where nothing is known of it.
    """
    endpoint, others = target.station.endpoint, table.c.endpoint != target.station.endpoint
    with database.reader.begin() as connection:
        positions = positions_of_others(connection, endpoint)
        files = [_of(row).position for row in connection.execute(select(table).where(others))]
    path = str(target.path.resolve())
    for name, position in positions.items():
        if name != target.name and position.path == path:
            raise refusals.of_other_station(target.path, str(position.endpoint), position.path)
    if file is None or (known is not None and known.mark is not None):
        return
    header_bytes = len(file.line(0))
    for position in (*positions.values(), *files):
        size = position.mark.size_bytes if position.mark else 0
        is_longer = header_bytes < size <= file.size
        if is_longer and position.mark and file.checksum(size) == position.mark.checksum:
            raise refusals.of_other_station(target.path, str(position.endpoint), position.path)


def archived(
    target: Target, position: Position | None, floor: Floor | None, path: Path | None = None
) -> ArchivedFile | None:
    """The file at this position as one that is archived at `path`, or at an unknown place.

    None when an export has written no row into it.
    """
    mark = position.mark if position else None
    if position is None or mark is None or mark == NOTHING:
        return None
    if position.first_id == position.last_id and not position.import_id:
        return None
    return ArchivedFile(
        endpoint=position.endpoint or target.station.endpoint,
        name=target.name,
        position=replace(position, path=None if path is None else str(path)),
        mark=mark,
        floor=floor,
    )


def elsewhere(target: Target, position: Position) -> Path | None:
    """Where the file of this position lies, if that is another place than the target's."""
    if position.path is None or Path(position.path) == target.path.resolve():
        return None
    return path if (path := Path(position.path)).is_file() else None


def record(connection: Connection, file: ArchivedFile | None) -> None:
    """Keep what the file is; nothing for None. What is known of it already stays known."""
    if file is None:
        return
    position, path, floor = file.position, file.position.path, file.floor
    known = connection.execute(select(table).where(_is(file))).one_or_none()
    if known is not None:
        path, floor = path or known.path, floor or _of(known).floor
    values = {
        name: getattr(position, name)
        for name in ("first_id", "last_id", "import_id", "begin_bytes", "zone", "columns")
    }
    connection.execute(
        upsert(table).values(
            endpoint=file.endpoint,
            name=file.name,
            path=path,
            size_bytes=file.mark.size_bytes,
            checksum=file.mark.checksum,
            inode=file.mark.inode,
            changed_ns=file.mark.changed_ns,
            floor_id=floor.last_id if floor else None,
            floor_bytes=floor.size_bytes if floor else None,
            floor_checksum=floor.checksum if floor else None,
            **values,
        )
    )


def name(settings: Settings, database: Database, path: Path) -> ArchivedFile:
    """Keep that an archived file, whose place was unknown, lies here; it with this place.

    Raises ExportError when the file is none of those that were archived, or the files belong to
    another host, and OSError.
    """
    path = path.resolve()
    with CsvFile.open(path, write=False) or _missing() as file:
        size = file.size
        mark = file.mark(file.checksum(size))
    same = and_(table.c.size_bytes == mark.size_bytes, table.c.checksum == mark.checksum)
    values = {"path": str(path), "inode": mark.inode, "changed_ns": mark.changed_ns}
    files: list[ArchivedFile] = []

    def change(connection: Connection) -> None:
        csv_owner.require(connection, csv_owner.host_of(settings))
        connection.execute(update(table).where(same).values(values))
        files[:] = map(_of, connection.execute(select(table).where(same)))
        if not files:
            text = _("it is no file that an export has written and that was moved away later")
            raise ExportError(text)

    database.commit_change(change)
    return files[0]


def _missing() -> CsvFile:
    raise ExportError(_("there is no such file"))


def _is(file: ArchivedFile) -> ColumnElement[bool]:
    return and_(
        table.c.endpoint == file.endpoint,
        table.c.size_bytes == file.mark.size_bytes,
        table.c.checksum == file.mark.checksum,
    )


def _of(row: Row[tuple[object, ...]]) -> ArchivedFile:
    mark = Mark(row.size_bytes, row.checksum, row.inode, row.changed_ns)
    floor = None
    if row.floor_id is not None:
        floor = Floor(
            first_id=row.first_id,
            last_id=row.floor_id,
            size_bytes=row.floor_bytes,
            checksum=row.floor_checksum,
        )
    position = Position(
        first_id=row.first_id,
        last_id=row.last_id,
        import_id=row.import_id,
        begin_bytes=row.begin_bytes,
        mark=mark,
        zone=row.zone,
        endpoint=row.endpoint,
        path=row.path,
        columns=row.columns,
    )
    return ArchivedFile(
        endpoint=row.endpoint, name=row.name, position=position, mark=mark, floor=floor
    )
