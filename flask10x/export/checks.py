"""Is a CSV file still what the last export left? If not, nothing is written to it.

A file that nobody has touched since (same size, inode and ctime) is not read at all; any other is
read once, in blocks, and compared by its checksum.
"""

from dataclasses import dataclass, replace
from datetime import tzinfo
from pathlib import Path

from flask10x.export import refusals
from flask10x.export.file import LINE_BYTES, CsvFile, Mark
from flask10x.export.position import Position
from flask10x.export.rows import FileRows
from flask10x.readings import csv_lines
from flask10x.readings.csv_lines import Lines
from flask10x.readings.stations import Station

NOTHING = Mark(0, 0)


@dataclass(frozen=True, slots=True)
class Target:
    """A station's file, and the rows that belong into it."""

    station: Station
    path: Path
    zone: tzinfo | None
    rows: FileRows

    @property
    def name(self) -> str:
        """The file's name, under which the database knows it."""
        return self.station.csv_name

    @property
    def header(self) -> bytes:
        """The first line."""
        return csv_lines.header(self.station)

    def next_line(self, last_id: int) -> bytes | None:
        """The line that would be appended to a file that has come to `last_id`."""
        for page in self.rows.pages(self.rows.new(last_id)):
            return Lines(self.zone).bytes(page[:1])
        return None


def begun(target: Target, last_id: int) -> Position:
    """The position of a file that is not there yet."""
    begin = len(target.header)
    return Position(first_id=last_id, last_id=last_id, begin_bytes=begin, mark=NOTHING)


def resume_position(target: Target, file: CsvFile | None, position: Position | None) -> Position:
    """Where to go on in the file; its `mark` is None when there is nothing to append.

    A file that is not there (new, or moved away for archiving) begins anew. Raises ExportError
    when the file is not as the last export left it.
    """
    last_id = position.last_id if position else 0
    mark = position.mark if position else None
    if file is None or (file.size == 0 and mark in (None, NOTHING)):
        return begun(target, last_id)
    if position is None or mark is None:
        return _adopted(target, file, last_id)
    check_old_bytes(target, file, mark)
    if file.size > mark.size_bytes:
        _refuse_tail(target, file, position, mark.size_bytes)
    return replace(position, mark=file.mark(mark.checksum))


def check_old_bytes(target: Target, file: CsvFile, mark: Mark) -> None:
    """Raises ExportError when the bytes that were there after the last export have changed."""
    if file.size < mark.size_bytes:
        raise refusals.shorter(target.path, file.size, mark.size_bytes)
    if mark == NOTHING:
        return
    # Also in a file that nobody has touched: the station may have got another measurement.
    _check_header(target, file, known=True)
    now = file.mark(mark.checksum)
    if mark == now:
        return
    if file.checksum(mark.size_bytes) != mark.checksum:
        same = now.inode == mark.inode
        raise (refusals.rewritten if same else refusals.replaced)(target.path)


def _adopted(target: Target, file: CsvFile, last_id: int) -> Position:
    """The position at the end of a file that this version never saw."""
    _check_header(target, file, known=False)
    size = file.size
    whole = file.end_of_lines()
    if whole < size:
        raise refusals.torn(target.path, file.read(whole, LINE_BYTES), whole)
    position = Position(first_id=last_id, last_id=last_id, begin_bytes=size)
    line = target.next_line(last_id)
    if line is None:
        return position
    if file.has_line(line, len(target.header)):
        raise refusals.repeated(target.path, line)
    return replace(position, mark=file.mark(file.checksum(size)))


def _check_header(target: Target, file: CsvFile, *, known: bool) -> None:
    first = file.line(0)
    if first != target.header:
        raise refusals.other_header(target.path, first, target.header, known=known)


def _refuse_tail(target: Target, file: CsvFile, position: Position, offset: int) -> None:
    first, size = file.line(offset), file.size
    line = target.next_line(position.last_id)
    if line is not None and file.has_line(line, offset):
        raise refusals.repeated(target.path, line)
    if file.end_of_lines() == size and csv_lines.is_ours(target.station, first, target.zone):
        raise refusals.ahead(target.path, file.count_lines(offset, size), first)
    raise refusals.foreign(target.path, first, offset)
