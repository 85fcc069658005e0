"""Before readings are removed: the proof that a CSV file has them, byte for byte.

A reading has its row in the station's file, or in one that was archived (`ArchivedFile`); where it
is in neither, or the file can't be read, it stays. The rows are compared once more, and the file
gets a floor: how far that is, and the checksum of all bytes up to there. What is above the floor
can't be made again from the database.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection

from flask10x.export import repair_commands
from flask10x.export.file import CsvFile, Mark
from flask10x.export.files import ArchivedFile, Floor, Position, load_files, put_floor
from flask10x.export.rows import IdSpan
from flask10x.export.target import Target, record, station_of
from flask10x.readings import times
from flask10x.readings.obstacles import Obstacle

# By the path of an archived file: what it should be, and what it was when its bytes differed. It is
# not read again until something touches it. That only ever keeps readings.
_changed: dict[Path, tuple[Mark, Mark]] = {}


class Unproven(Exception):
    """A row of the file is not what the database has: nothing may be removed."""


@dataclass(frozen=True, slots=True)
class ReadingObstacle:
    """An obstacle, and the file or the columns that it concerns."""

    obstacle: Obstacle
    path: str = ""
    """The archived file, or columns; empty for the station's own file, and for an unknown one."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The result of comparing some rows."""

    floor: Floor | None
    """The new floor of the file; None while it holds none of the readings."""
    is_whole: bool
    """Whether all of the readings are above it; else there is more to compare before them."""


@dataclass(frozen=True, slots=True)
class ProvingFile:
    """A file that an export has written for the station."""

    target: Target
    """The file, with the station's rows as it has them."""
    position: Position
    archived: ArchivedFile | None = None
    """None for the file that is written now."""

    def __contains__(self, number: int) -> bool:
        return any(number in span for span in self.spans)

    @property
    def spans(self) -> list[IdSpan]:
        """The rows that an export has written into it, in its order."""
        return self.target.exported_rows(self.position, None)[1]

    def provable(self, values: Mapping[int, Sequence[str]]) -> list[int]:
        """Return the ids of readings that it has, of those with values in these columns."""
        return [
            number for number, columns in values.items() if number in self and self.has(columns)
        ]

    def has(self, columns: Sequence[str]) -> bool:
        """Check that the file has all of these columns."""
        return set(self.target.station.columns).issuperset(columns)


def not_ready(target: Target) -> ReadingObstacle | None:
    """Return what an export has to do first, for whichever reading."""
    state = target.state
    if state.position is None or state.position.endpoint != target.station.endpoint:
        return ReadingObstacle("never_exported")
    is_interrupted = state.intent is not None or target.is_rebuilt_beside()
    return ReadingObstacle("interrupted") if is_interrupted else None


def file_for(target: Target, number: int, columns: Sequence[str]) -> ProvingFile | ReadingObstacle:
    """Return the file that can prove the reading of this id, or the first obstacle.

    `columns` are those of which the reading has a value. Reads first lines, and an archived file
    that was touched. Raises OSError or ExportError when that fails.
    """
    first_obstacle: ReadingObstacle | None = None
    for file in _files_with(target, number):
        if number in file:
            result = _look(file)
            if isinstance(result, ProvingFile):
                if result.has(columns):
                    return result
                missing = (c for c in columns if c not in result.target.station.columns)
                result = ReadingObstacle("values_in_no_file", ", ".join(missing))
            first_obstacle = first_obstacle or result
    if first_obstacle is not None:
        return first_obstacle
    # By a file of the station's name, of now or of when a file was archived.
    names = [file.name for file in target.rows.log.files.archived_of(target.station.endpoint)]
    stations = [replace(target.station, csv_name=name) for name in (target.name, *names)]
    was_imported = any(
        number in imported and any(map(imported.is_from_file_of, stations))
        for imported in target.rows.all_imports
    )
    return ReadingObstacle("imported" if was_imported else "in_no_known_file")


def hindrance(target: Target, number: int, columns: Sequence[str]) -> ReadingObstacle | None:
    """Return what keeps the reading; None when a file can prove it. Raises as `file_for` does."""
    file = not_ready(target) or file_for(target, number, columns)
    return file if isinstance(file, ReadingObstacle) else None


def prove(file: ProvingFile, ids: Sequence[int], rows_max: int) -> Proof:
    """Compare the file, from its floor on, up to the last of these readings in its order.

    All of them are `provable`. The comparison ends early after `rows_max` rows or a page more. The
    caller holds the lock of the export and has the file from `file_for`. Raises Unproven at the
    first difference.
    """
    target, position, floor = file.target, file.position, file.position.floor
    inside = ([number for number in ids if number in span] for span in reversed(file.spans))
    place = max(next(filter(None, inside)))
    _begin, rest = target.exported_rows(position, floor)
    index = next((index for index, span in enumerate(rest) if place in span), None)
    if index is None:
        # Compared before, and the file is as it was.
        return Proof(floor, is_whole=True)
    with CsvFile.open(target.path, write=False) or nullcontext() as opened:
        if opened is None:
            raise Unproven(f"{target.path} is gone")
        if floor is None or not floor.last_id:
            begin = position.begin_bytes
            floor = Floor(last_id=0, size_bytes=begin, checksum=opened.checksum(begin))
        last_id, size, checksum, rows = floor.last_id, floor.size_bytes, floor.checksum, 0
        for page, texts in target.lines([*rest[:index], IdSpan(rest[index].after, place)]):
            data = b"".join(texts)
            if opened.read(size, len(data)) != data:
                _refuse_difference(opened, size, texts)
            size, checksum = size + len(data), zlib.crc32(data, checksum)
            last_id, rows = page[-1][0], rows + len(page)
            if rows >= rows_max:
                break
    floor = Floor(last_id=last_id, size_bytes=size, checksum=checksum)
    return Proof(floor, is_whole=last_id == place)


def _refuse_difference(file: CsvFile, offset: int, texts: Sequence[bytes]) -> None:
    """Raise Unproven at the first of these lines that the file does not have there."""
    for text in texts:
        if (line := file.line(offset)) != text:
            raise Unproven(f"{file.path}: {line!r} instead of {text.decode()!r}")
        offset += len(text)


def keep(connection: Connection, file: ProvingFile, floor: Floor | None) -> None:
    """Save the floor of the file, in the transaction that removes readings."""
    if floor is None:
        return
    if file.archived is not None:
        # Its mark too: touched, but with the same bytes, it need not be read once more.
        position = replace(file.archived.position, floor=floor)
        record(connection, load_files(connection), replace(file.archived, position=position))
    elif floor != file.position.floor:
        put_floor(connection, file.target.name, floor)


def command(target: Target, reading: ReadingObstacle) -> str:
    """Return the command that clears the obstacle, or shows more."""
    match reading.obstacle:
        # An export saves the mark of a file that was only touched, and names the repair of another.
        case "never_exported" | "interrupted" | "file_gone" | "file_changed" | "other_columns":
            return repair_commands.export(target.path)
        case "imported":
            return repair_commands.rebuild(target.path)
        case "in_no_known_file" | "values_in_no_file" | "archived_gone" | "archived_changed":
            return repair_commands.whole(target.path)
        case _:
            return f"flask10x export --verify {target.name}"


def _files_with(target: Target, number: int) -> Iterator[ProvingFile]:
    """Yield the station's file, and then those archived ones that may have this row.

    One at a time, as the rows of each take some queries. The archived ones are files of the station
    under its name of then.
    """
    if position := target.state.position:
        yield ProvingFile(target, position)
    was_imported = any(number in imported for imported in target.rows.all_imports)
    for file in target.rows.log.files.archived_of(target.station.endpoint):
        position = file.position
        is_between = position.first_id < number <= position.last_id
        if is_between or (position.import_id and was_imported):
            former = station_of(file.endpoint, file.name, position.columns or "")
            station = replace(target.station, csv_name=file.name, measurements=former.measurements)
            path = Path(position.path) if position.path else target.path
            there = replace(target.of_station(station), name=file.name, path=path)
            yield ProvingFile(there, position, file)


def _look(file: ProvingFile) -> ProvingFile | ReadingObstacle:
    """Return the file, if it is as the last export left it, or the obstacle."""
    if file.archived is not None:
        return _look_at_archived(file, file.archived)
    mark = file.position.mark
    with CsvFile.open(file.target.path, write=False) or nullcontext() as opened:
        if opened is None:
            return ReadingObstacle("file_gone")
        if opened.mark(mark.checksum) != mark:
            return ReadingObstacle("file_changed")
        if opened.line(0) != file.target.header:
            return ReadingObstacle("other_columns")
    return ReadingObstacle("other_zone") if file.target.other_zone(file.position) else file


def _look_at_archived(file: ProvingFile, former: ArchivedFile) -> ProvingFile | ReadingObstacle:
    position, target = former.position, file.target
    if position.path is None:
        return ReadingObstacle("archived_gone")
    path, mark = position.path, position.mark
    with CsvFile.open(target.path, write=False) or nullcontext() as opened:
        if opened is None:
            return ReadingObstacle("archived_gone", path)
        now = opened.mark(mark.checksum)
        if now != mark and not _is_same(opened, mark, now):
            return ReadingObstacle("archived_changed", path)
        written = target.with_header(opened.line(0), position.columns or "")
    if written is None:
        return ReadingObstacle("archived_columns", path)
    target = written
    if position.zone not in (None, target.zone_name):
        zone_then = times.zone_of(position.zone)
        if zone_then is None:
            return ReadingObstacle("archived_zone", path)
        target = replace(target, zone=zone_then)
    former = replace(former, position=replace(position, mark=now))
    return replace(file, target=target, archived=former)


def _is_same(file: CsvFile, mark: Mark, now: Mark) -> bool:
    """Whether the bytes are those of the mark, in a file that was touched since."""
    if now.size_bytes != mark.size_bytes or _changed.get(file.path) == (mark, now):
        return False
    if file.checksum(mark.size_bytes) == mark.checksum:
        return True
    _changed[file.path] = (mark, now)
    return False
