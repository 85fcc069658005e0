"""A station's CSV file compared with the table and with the checksum of the last export.

The exported rows of the table, written once more, have that checksum, or the table has changed. The
file has it, or the file has changed. So only where the table has changed are lines compared one by
one.
"""

import zlib
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import chain, islice, zip_longest
from typing import Any

from flask10x.config.settings import Settings
from flask10x.database import csv_owner
from flask10x.database.database import Database
from flask10x.export.file import NOTHING, CsvFile, Mark, fresh_path, take_name, write_beside
from flask10x.export.rows import IdSpan
from flask10x.export.target import Target, target_of
from flask10x.readings import csv_lines
from flask10x.readings.csv_lines import Lines, LogRow
from flask10x.readings.numbers import lines_without_minus_zero
from flask10x.readings.stations import Station
from flask10x.readings.times import FIRST_DATE_MS, LAST_DATE_MS

# A person looks at the first of them; with more it is another file, not one with rotten bits.
OTHERS_MAX = 500
# So many lines more than rows are looked through for the next row.
MORE_LINES = 50


@dataclass(slots=True)
class ComparedFile:
    """A file that was compared, and what differs."""

    target: Target
    mark: Mark
    """What the last export left."""
    is_intact: bool
    """Whether the file has the checksum of the last export."""
    left_out: str = ""
    """Why its lines were not compared: a key of `wording.LEFT_OUT`."""
    start: int = 0
    """Where the rows begin that the table has, too."""
    spans: Sequence[IdSpan] = ()
    rows: int = 0
    is_of_table: bool = False
    """Whether the table's rows have the checksum of the last export."""
    lines: dict[int, bytes] = field(default_factory=dict)
    """By the ids of readings, lines that are not what the table gives; empty without a line."""
    loose: list[tuple[int, bytes]] = field(default_factory=list)
    """Lines without a reading, each with the id of the reading behind which it stands."""

    def __contains__(self, number: int) -> bool:
        return any(number in span for span in self.spans)

    def text_of(self, row: Mapping[str, Any]) -> bytes | None:
        """Return the line of the reading; None where it has none."""
        if not FIRST_DATE_MS <= row["received_at"] <= LAST_DATE_MS:
            return None
        values = (row.get(name) for name in self.target.station.columns)
        return Lines(self.target.zone).bytes([(0, row["received_at"], *values)])

    def times_of(self, line: bytes) -> tuple[int, int] | None:
        """Return between which milliseconds the line's reading was received."""
        said = csv_lines.read(self.target.station, line, self.target.zone)
        return (said.earliest_ms, said.latest_ms) if said else None

    def reading_of(self, line: bytes, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return what the line makes of these rows of its second; it has no milliseconds."""
        said = csv_lines.read(self.target.station, line, self.target.zone) if line else None
        if said is None:
            return []
        values = dict(zip(self.target.station.columns, said.values, strict=True))
        own = {"endpoint": self.target.station.endpoint}
        return [
            {**row, **values, **own}
            for row in rows
            if said.earliest_ms <= row["received_at"] <= said.latest_ms
        ]


def compare(settings: Settings, database: Database, station: Station) -> ComparedFile | None:
    """Compare the station's file; None where this host has none that an export has written.

    Raises what reading the file or the database raises.
    """
    target = target_of(settings, database, station)
    state, position = target.state, target.state.position
    with database.reader.begin() as connection:
        is_elsewhere = csv_owner.is_elsewhere(settings, connection)
    if is_elsewhere or position is None or position.mark == NOTHING:
        return None
    target = target.of_its_station()
    with CsvFile.open(target.path, write=False) or nullcontext() as file:
        if file is None:
            # Archived by a person, or moved away: the next export begins a new one.
            return None
        target = target.as_written(file, position)
        compared = ComparedFile(target, position.mark, is_intact=position.is_in(file))
        if state.intent is not None or target.is_rebuilt_beside():
            compared.is_intact, compared.left_out = True, "interrupted"
        elif target.other_zone(position):
            compared.left_out = "zone"
        if compared.left_out:
            return compared
        compared.start, compared.spans = target.exported_rows(position, position.floor)
        _compare_rows(compared, file, position.mark.size_bytes)
    return compared


def write_again(compared: ComparedFile) -> bool:
    """Write the file from the table, and give it its name if it has the checksum of the export.

    The caller holds the lock `export`. Raises OSError; then the file is as before.
    """
    target = compared.target
    with CsvFile.open(target.path, write=False) or nullcontext() as old:
        if old is None:
            return False
        beginning = old.blocks(len(target.header), compared.start)
        rows = (piece.data for piece in target.pieces([*compared.spans]))
        blocks = chain([target.header], beginning, rows)
        new = write_beside(target.path, blocks, target.path)
    try:
        is_same = new.content == compared.mark.content
        if is_same:
            take_name(target.path)
        return is_same
    finally:
        fresh_path(target.path).unlink(missing_ok=True)


def _compare_rows(compared: ComparedFile, file: CsvFile, end: int) -> None:
    target, offset, last = compared.target, compared.start, 0
    size, checksum = len(target.header), zlib.crc32(target.header)
    for block in file.blocks(size, compared.start):
        size, checksum = size + len(block), zlib.crc32(block, checksum)
    for page, texts in target.lines([*compared.spans]):
        expected = b"".join(texts)
        size, checksum = size + len(expected), zlib.crc32(expected, checksum)
        if file.read(offset, min(len(expected), max(0, end - offset))) == expected:
            offset += len(expected)
        elif not compared.left_out:
            number = len(page) + MORE_LINES
            offset += _compare_lines(
                compared, page, texts, [*islice(file.lines(offset, end), number)]
            )
        compared.rows, last = compared.rows + len(page), page[-1][0]
        if len(compared.lines) + len(compared.loose) > OTHERS_MAX:
            compared.left_out, compared.lines, compared.loose = "out_of_step", {}, []
    compared.is_of_table = (size, checksum) == compared.mark.content
    if compared.is_of_table:
        # The lines say the same once more.
        compared.left_out, compared.lines, compared.loose = "", {}, []
    elif not compared.left_out:
        rest = islice(file.lines(offset, end), OTHERS_MAX)
        compared.loose += [(last, line) for line in rest]


def _compare_lines(
    compared: ComparedFile, page: Sequence[LogRow], texts: list[bytes], lines: list[bytes]
) -> int:
    """Note what differs between these rows and lines; return where the lines of the rows end."""
    plain = [lines_without_minus_zero(line) for line in lines]
    matcher = SequenceMatcher(None, texts, plain, autojunk=False)
    for kind, first, after, first_line, end in matcher.get_opcodes():
        if kind != "equal":
            of_rows, of_lines = page[first:after], lines[first_line:end]
            for row, line in zip_longest(of_rows, of_lines[: len(of_rows)], fillvalue=b""):
                compared.lines[row[0]] = line
            if after == len(page):
                # What follows is of the next page.
                return sum(map(len, lines[: first_line + min(len(of_rows), len(of_lines))]))
            before = page[after - 1][0] if after else page[0][0] - 1
            compared.loose += [(before, line) for line in of_lines[len(of_rows) :]]
        elif after == len(page):
            return sum(map(len, lines[:end]))
    return sum(map(len, lines))
