"""Check that a CSV file is still what the last export left; otherwise nothing is written to it.

A file whose size, inode and ctime are unchanged is not read at all; any other file is read once, in
blocks, and compared by its checksum.
"""

from dataclasses import replace
from gettext import gettext as _
from itertools import chain, repeat

from flask10x.database.database import Database
from flask10x.database.dialects import statements_of
from flask10x.export import refusals
from flask10x.export.file import LINE_BYTES, NOTHING, CsvFile, Mark
from flask10x.export.files import Position, mark_of
from flask10x.export.target import Target
from flask10x.readings import csv_lines
from flask10x.readings.csv_lines import Lines


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
        if header_bytes < other.mark.size_bytes and other.is_in(file):
            raise refusals.of_other_station(target.path, str(other.endpoint), other.path)


def resume_position(target: Target, file: CsvFile | None, position: Position | None) -> Position:
    """Return the position at which the export goes on in the file.

    A file that does not exist (a new one, or one that was archived) gets the position of its
    beginning. Raises ExportError when the file is not as the last export left it, or in another
    zone than this command's.
    """
    if file is not None and mark_of(position) != NOTHING:
        check_zone(target, position)
    last_id = position.last_id if position else target.rows.archived_to
    if file is None or (mark_of(position) == NOTHING and file.size == 0):
        return first_position(target, last_id)
    if position is None:
        # No export has written it.
        _check_header(target, file, is_exported=False)
        size = file.size
        if (whole := file.end_of_lines()) < size:
            raise refusals.torn(target.path, file.read(whole, LINE_BYTES), whole)
        _refuse_repeated(target, file, last_id, len(target.header))
        mark = file.mark_up_to(size)
        return Position(first_id=last_id, last_id=last_id, begin_bytes=size, mark=mark)
    old = check_old_bytes(target, file, position)
    # Only now: what is written meanwhile is not ours, either.
    if file.size > (end := old.size_bytes):
        _refuse_repeated(target, file, last_id, end)
        raise refusals.foreign(target.path, file.line(end), end)
    return replace(position, mark=old)


def check_zone(target: Target, position: Position | None) -> None:
    """Raise ExportError when the file was written in another zone."""
    if other := target.other_zone(position):
        raise refusals.other_zone(target.path, other)


def check_old_bytes(target: Target, file: CsvFile, position: Position) -> Mark:
    """Return the mark of the bytes that the last export left, whatever follows them.

    Raises ExportError when these bytes have changed.
    """
    mark = position.mark
    now = file.mark(mark.checksum)
    if now.size_bytes < mark.size_bytes:
        raise refusals.changed(target.path)
    if mark == NOTHING:
        return mark
    # The header is compared in an untouched file, too: the station may have a new measurement.
    _check_header(target, file, is_exported=True)
    if now == mark:
        return mark
    if not position.is_in(file):
        raise refusals.changed(target.path)
    return replace(now, size_bytes=mark.size_bytes)


def first_position(target: Target, last_id: int) -> Position:
    """Return the position of a file that does not exist yet and begins after this reading."""
    return Position(first_id=last_id, last_id=last_id, begin_bytes=len(target.header))


def _check_header(target: Target, file: CsvFile, *, is_exported: bool) -> None:
    first = file.line(0)
    if first != target.header:
        raise refusals.other_header(
            target.path,
            first,
            target.header,
            is_exported=is_exported,
            is_readable=csv_lines.can_be_imported(target.station, first),
        )


def _refuse_repeated(target: Target, file: CsvFile, last_id: int, offset: int) -> None:
    """Raise ExportError when the file already has the next line to append, behind `offset`."""
    row = target.rows.first(target.rows.new(last_id))
    line = b"" if row is None else Lines(target.zone).bytes([row])
    if line and file.has_line(line, offset):
        raise refusals.repeated(target.path, line)


# Has the database lost readings that a CSV file has? After a failover only the file shows it.
#
# A standby that is promoted without the last commits gives their ids to other readings, and the
# position of the file may be from before them. So each file has a note of the history of the
# database that its rows are from: the cluster, and the timeline, which counts promotions. While
# that is the same, nothing was lost. When it is another one, the last rows of the file are
# compared with the database. What a failover loses are the newest commits, and readings are
# committed in the order of their ids: if the last row is there, all are.

# The last row would do; but a reading that was lost may have been sent again, alone.
LAST_ROWS = 1000


def check_origin(
    database: Database, target: Target, file: CsvFile | None, position: Position
) -> str:
    """Say, for people, that the database has another history than the file's note; else nothing.

    The file is as `position` says. Raises ExportError when it has a row that the database has not.
    """
    if target.host is None:
        return ""
    with database.reader.begin() as connection:
        origin = statements_of(connection).origin(connection)
    noted_origin = target.rows.log.files.origins.get(target.name)
    if noted_origin in (None, origin):
        return ""
    text = _("the database has another history now ({now}, it was {before})")
    if file is not None and position.mark != NOTHING:
        _compare_last(target, file, position)
        text = _(
            "the database has another history now ({now}, it was {before}), in which no row of the"
            " file is missing"
        )
    return text.format(before=noted_origin, now=origin)


def _compare_last(target: Target, file: CsvFile, position: Position) -> None:
    """Raise ExportError unless the last exported rows of the file are those of the database."""
    begin, spans = target.exported_rows(position, position.floor)
    rows, end = target.rows.newest(spans, LAST_ROWS), position.mark.size_bytes
    texts = (text.encode() for text in Lines(target.zone).texts(rows))
    for expected in chain(texts, repeat(b"") if len(rows) < LAST_ROWS else ()):
        line = file.line_before(end) if end > begin else b""
        if line != expected:
            raise refusals.lost_rows(target.path, line, expected)
        if not line:
            return
        end -= len(line)
