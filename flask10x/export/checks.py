"""Is a CSV file still what the last export left? If not, nothing is written to it.

A file that nobody has touched since (same size, inode and ctime) is not read at all; any other is
read once, in blocks, and compared by its checksum.
"""

import zlib
from dataclasses import replace

from flask10x.export import refusals
from flask10x.export.file import LINE_BYTES, NOTHING, CsvFile, Mark
from flask10x.export.position import Floor, Position
from flask10x.export.rows import Target
from flask10x.readings import csv_lines
from flask10x.readings.csv_lines import Lines
from flask10x.readings.numbers import lines_without_minus_zero


def resume_position(target: Target, file: CsvFile | None, position: Position | None) -> Position:
    """Where to go on in the file; its `mark` is None when there is nothing to append.

    A file that is not there (new, or moved away for archiving) begins anew; so does one of a
    station whose earlier file had another name. Raises ExportError when the file is not as the last
    export left it.
    """
    last_id = position.last_id if position else target.rows.archived_to
    known = position.mark if position else None
    if file is None or (known in (None, NOTHING) and file.size == 0):
        return begun(target, last_id)
    if position is None or known is None:
        return _adopted(target, file, last_id)
    old = check_old_bytes(target, file, position, known)
    if file.size > old.size_bytes:
        _refuse_tail(target, file, last_id, old.size_bytes)
    return replace(position, mark=old)


def check_old_bytes(target: Target, file: CsvFile, position: Position, known: Mark) -> Mark:
    """What the file is now as far as the last export left it, whatever follows.

    Raises ExportError when its bytes have changed, `known` being what they were.
    """
    now = file.mark(known.checksum)
    if now.size_bytes < known.size_bytes:
        raise refusals.shorter(target.path, now.size_bytes, known.size_bytes)
    if known == NOTHING:
        return known
    # Also in a file that nobody has touched: the station may have got another measurement.
    _check_header(target, file, known=True)
    old = known if now == known else find_old_bytes(file, position, known)
    if old is None:
        same = now.inode == known.inode
        raise (refusals.rewritten if same else refusals.replaced)(target.path)
    return old


def find_old_bytes(file: CsvFile, position: Position, known: Mark) -> Mark | None:
    """What the file is now as far as the last export left it; None when that has changed.

    No change is a zero of ours that has got the sign minus: it is a byte more, and the same number
    to whoever reads it.
    """
    if file.checksum(known.size_bytes) == known.checksum:
        return replace(file.mark(known.checksum), size_bytes=known.size_bytes)
    end = size = position.begin_bytes
    checksum = file.checksum(end)
    for line in file.lines(end, file.size):
        if size >= known.size_bytes:
            break
        plain = lines_without_minus_zero(line)
        checksum = zlib.crc32(plain, checksum)
        end, size = end + len(line), size + len(plain)
    same = (size, checksum) == (known.size_bytes, known.checksum)
    return file.mark_up_to(end) if same else None


def check_station(target: Target, file: CsvFile, floor: Floor | None, position: Position) -> None:
    """Raises ExportError when the last of our rows in the file is not one of the target's station.

    For a file of which nobody has noted the station: a version before this one has written it.
    """
    end = position.mark.size_bytes if position.mark else 0
    begin = max(position.begin_bytes, floor.size_bytes if floor else 0)
    if target.unknown or end <= begin:
        return
    spans = target.rows.of_file(position.first_id, position.last_id, position.import_id)
    last, line = target.rows.last(spans), file.line_before(end)
    expected = Lines(target.zone).bytes([last]) if last else b""
    if lines_without_minus_zero(line) != expected:
        raise refusals.other_station(target.path, target.station.endpoint, line, expected)


def is_kept(file: CsvFile, floor: Floor) -> bool:
    """Whether the file still begins with the bytes up to its floor."""
    return file.size >= floor.size_bytes and file.checksum(floor.size_bytes) == floor.checksum


def begun(target: Target, last_id: int) -> Position:
    """The position of a file that is not there yet, and that goes on after this reading."""
    begin = len(target.header)
    return Position(first_id=last_id, last_id=last_id, begin_bytes=begin, mark=NOTHING)


def _adopted(target: Target, file: CsvFile, last_id: int) -> Position:
    """The position at the end of a file that this version never saw."""
    _check_header(target, file, known=False)
    size = file.size
    whole = file.end_of_lines()
    if whole < size:
        raise refusals.torn(target.path, file.read(whole, LINE_BYTES), whole)
    position = Position(first_id=last_id, last_id=last_id, begin_bytes=size)
    if _next_line(target, file, last_id, len(target.header)) is None:
        return position
    return replace(position, mark=file.mark_up_to(size))


def _check_header(target: Target, file: CsvFile, *, known: bool) -> None:
    first = file.line(0)
    if first != target.header:
        raise refusals.other_header(target.path, first, target.header, known=known)


def _next_line(target: Target, file: CsvFile, last_id: int, offset: int) -> bytes | None:
    """The line to append next; raises ExportError when the file has it already, after `offset`."""
    line = target.next_line(last_id)
    if line is not None and file.has_line(line, offset):
        raise refusals.repeated(target.path, line)
    return line


def _refuse_tail(target: Target, file: CsvFile, last_id: int, offset: int) -> None:
    first, size = file.line(offset), file.size
    _next_line(target, file, last_id, offset)
    if file.end_of_lines() == size and csv_lines.is_ours(target.station, first, target.zone):
        raise refusals.ahead(target.path, file.count_lines(offset, size), first)
    raise refusals.foreign(target.path, first, offset)
