"""The CSV files that an export has written and that another file has followed.

An export has given them another name, or they were moved away by hand. Their readings are in no
other file, so the database records what they were: a reading in one of them is removed only after
its row there was compared (`removable.py`). A file is identified by its station, its size and its
checksum, wherever it is.
"""

from dataclasses import replace
from gettext import gettext as _
from pathlib import Path

from sqlalchemy import Connection

from flask10x.config.settings import Settings
from flask10x.database import csv_owner
from flask10x.database.database import Database
from flask10x.errors import ExportError
from flask10x.export import refusals
from flask10x.export.file import NOTHING, CsvFile
from flask10x.export.files import ArchivedFile, Position, load_files, mark_of, put_archived
from flask10x.export.rows import Target


def check_owner(target: Target, file: CsvFile | None, position: Position | None) -> None:
    """Raise ExportError when the file is another station's, by a link or because it was renamed.

    `position` is that of the file. Where it has none, its bytes are compared with the files of the
    other stations.
    """
    endpoint, path, files = (
        target.station.endpoint,
        str(target.path.resolve()),
        target.rows.log.files,
    )
    others = {name: each for name, each in files.positions.items() if each.endpoint != endpoint}
    for name, other in others.items():
        if name != target.name and other.path == path:
            raise refusals.of_other_station(target.path, str(other.endpoint), path)
    if file is None or position is not None:
        return
    header_bytes = len(file.line(0))
    elsewhere = (each.position for each in files.archived if each.endpoint != endpoint)
    for other in (*others.values(), *elsewhere):
        size = other.mark.size_bytes
        is_longer = header_bytes < size <= file.size
        if is_longer and file.checksum(size) == other.mark.checksum:
            raise refusals.of_other_station(target.path, str(other.endpoint), other.path)


def archived(
    target: Target, position: Position | None, path: Path | None = None
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
    return ArchivedFile(name=target.name, position=position)


def elsewhere(target: Target, position: Position) -> Path | None:
    """Return the path of the file of this position, if it is another one than the target's."""
    if position.path is None or Path(position.path) == target.path.resolve():
        return None
    return path if (path := Path(position.path)).is_file() else None


def name(settings: Settings, database: Database, path: Path) -> ArchivedFile:
    """Record that an archived file, whose place was unknown, is here; return it with this place.

    Raises ExportError when the file is no archived one, or the files belong to another host, and
    OSError.
    """
    path = path.resolve()
    with CsvFile.open(path, write=False) or _missing() as file:
        mark = file.mark_up_to(file.size)
    named: list[ArchivedFile] = []

    def change(connection: Connection) -> None:
        csv_owner.require(connection, csv_owner.host_of(settings))
        named.clear()
        for file in load_files(connection).archived:
            was = file.position.mark
            if (was.size_bytes, was.checksum) == (mark.size_bytes, mark.checksum):
                position = replace(file.position, path=str(path), mark=mark)
                named.append(replace(file, position=position))
                put_archived(connection, named[-1])
        if not named:
            text = _("it is no file that an export has written and that was moved away later")
            raise ExportError(text)

    database.commit_change(change)
    return named[0]


def _missing() -> CsvFile:
    raise ExportError(_("there is no such file"))
