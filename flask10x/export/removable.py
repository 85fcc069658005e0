"""Before readings are removed: does their CSV file have them, byte for byte?

The rows are compared once more, and the file gets a floor: how far that is, and the checksum of all
bytes up to there. What stands above the floor can't be made again from the database.
"""

import zlib
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal

from flask10x.export import zone
from flask10x.export.file import NOTHING, CsvFile, Mark
from flask10x.export.position import Floor, Position, State
from flask10x.export.rows import IdSpan, Target, after_row
from flask10x.readings.csv_lines import Lines, LogRow
from flask10x.readings.minus_zero import plain_lines

Obstacle = Literal[
    "never_exported",
    "interrupted",
    "file_gone",
    "file_changed",
    "other_columns",
    "other_zone",
    "other_host",
]
"""Why the file proves nothing now; an export or a person has to do something first."""


class Unproven(Exception):
    """A row of the file is not what the database has: nothing may be removed."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What a look at some rows has found."""

    floor: Floor | None
    """The new floor of the file; None while it holds none of the readings."""
    is_whole: bool
    """Whether all of the readings lie above it; else there is more to compare before them."""


def obstacle(target: Target, state: State) -> Obstacle | None:
    """What keeps the file from proving anything; None when it is as the last export left it.

    Reads the file's first line. Raises OSError or ExportError when that can't be done.
    """
    with CsvFile.open(target.path, write=False) or nullcontext() as file:
        return _obstacle(target, state, file)


def prove(target: Target, state: State, ids: Sequence[int], rows_max: int) -> Proof:
    """Compare the file, from its floor on, up to the last of these readings in its order.

    After that many rows, or a page more, it ends early. To be called under the lock of the export,
    for a file without an obstacle. Raises Unproven at the first difference.
    """
    position, floor = state.position, state.floor
    if position is None or position.mark in (None, NOTHING):
        # What was exported stands in files that were archived.
        return Proof(floor, is_whole=True)
    spans = target.rows.of_file(position.first_id, position.last_id, position.import_id)
    place = _last_in_order(spans, ids)
    rest = after_row(spans, floor.last_id) if floor else spans
    if place is None or not any(place in span for span in rest):
        return Proof(floor, is_whole=True)
    with CsvFile.open(target.path, write=False) or nullcontext() as file:
        if file is None:
            raise Unproven(f"{target.path} is gone")
        begun = floor or _begun(file, position)
        floor = _compared(target, file, begun, _up_to(rest, place), rows_max)
    return Proof(floor, is_whole=floor.last_id == place)


def _obstacle(target: Target, state: State, file: CsvFile | None) -> Obstacle | None:
    position = state.position
    if position is None or position.mark is None or position.zone is None:
        return "never_exported"
    if state.intent is not None:
        return "interrupted"
    if position.mark == NOTHING:
        return None
    if file is None:
        return "file_gone"
    return _difference(target, file, position, position.mark)


def _difference(target: Target, file: CsvFile, position: Position, mark: Mark) -> Obstacle | None:
    if file.mark(mark.checksum) != mark:
        return "file_changed"
    if file.line(0) != target.header:
        return "other_columns"
    return "other_zone" if zone.difference(target, position) else None


def _begun(file: CsvFile, position: Position) -> Floor:
    """The floor at the beginning of our rows."""
    begin = position.begin_bytes
    return Floor(
        first_id=position.first_id, last_id=0, size_bytes=begin, checksum=file.checksum(begin)
    )


def _last_in_order(spans: list[IdSpan], ids: Sequence[int]) -> int | None:
    """Which of the ids comes last in the order of the spans; None when they have none of them."""
    for span in reversed(spans):
        if inside := [number for number in ids if number in span]:
            return max(inside)
    return None


def _up_to(spans: list[IdSpan], place: int) -> list[IdSpan]:
    """The spans up to and with this row."""
    found: list[IdSpan] = []
    for span in spans:
        if place in span:
            return [*found, IdSpan(span.after, place)]
        found.append(span)
    return found


def _compared(
    target: Target, file: CsvFile, floor: Floor, spans: list[IdSpan], rows_max: int
) -> Floor:
    """The floor behind these rows, or behind the first of them."""
    lines, rows = Lines(target.zone), 0
    size, checksum, last_id = floor.size_bytes, floor.checksum, floor.last_id
    for page in target.rows.pages(spans):
        data = _bytes_in_file(target, file, size, page, lines)
        size, checksum = size + len(data), zlib.crc32(data, checksum)
        last_id, rows = page[-1][0], rows + len(page)
        if rows >= rows_max:
            break
    return Floor(first_id=floor.first_id, last_id=last_id, size_bytes=size, checksum=checksum)


def _bytes_in_file(
    target: Target, file: CsvFile, offset: int, page: list[LogRow], lines: Lines
) -> bytes:
    """The bytes of the file that say what these rows say."""
    texts = lines.texts(page)
    expected = "".join(texts).encode()
    found = file.read(offset, len(expected))
    if found == expected:
        return found
    # A zero may have got the sign minus in it, which is a byte more.
    found = b""
    for text in texts:
        line = file.line(offset + len(found))
        if plain_lines(line) != text.encode():
            raise Unproven(f"{target.path}: {line!r} instead of {text!r}")
        found += line
    return found
