"""Which rows of an old file a rebuilt one would lose: with any such row nothing is done."""

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from flask10x.export import refusals
from flask10x.export.file import CountedLines, CsvFile
from flask10x.export.other_zone_lines import OtherZoneLines
from flask10x.export.position import Floor
from flask10x.export.rows import IdSpan, Target
from flask10x.readings import csv_lines, minus_zero
from flask10x.readings.minus_zero import plain_lines
from flask10x.system.progress import Advance

# Equal rows are counted among so many lines: they have the same second, and lie further apart only
# in a file that was put together out of order. 2 MB.
RECENT_LINES = 10_000


@dataclass(frozen=True, slots=True)
class NewFile:
    """The new file, written and synced under its temporary name."""

    path: Path
    size: int
    rows: int
    spans: list[IdSpan]
    """The readings whose rows these are."""
    checksum: int
    sha256: str
    last_received_at: int | None
    """Of its last row, None when there is none."""
    same_bytes: int
    """The old file begins with that many of its bytes: whole lines, or all of the old file."""
    kept_bytes: int = 0
    """So many of these come from the old file itself; `rows` are those behind them."""
    old: CsvFile | None = None
    """The file whose place it takes; None where there is none."""
    floor: Floor | None = None
    """What it has as its floor, where readings of the station were removed."""


@dataclass(slots=True)
class OldRows:
    """The rows of an old file, by what is to be said of them."""

    known: int = 0
    """Rows that the new file has as well."""
    minus_zeros: int = 0
    """Values of these that are -0.0, and 0.0 in the new file."""
    other_zone: CountedLines = field(default_factory=CountedLines)
    """Rows that it has too, but written in another time zone."""
    unknown: CountedLines = field(default_factory=CountedLines)
    """Rows that the database does not have, or not as often."""
    older: CountedLines = field(default_factory=CountedLines)
    """Rows from before the point at which the file was begun anew."""


class RecentLines:
    """How often each of the last lines was there; equal rows have the same second."""

    def __init__(self) -> None:
        self._order: deque[bytes] = deque()
        self._times: Counter[bytes] = Counter()

    def add(self, line: bytes) -> int:
        """Count this one; how often it was there with it."""
        self._order.append(line)
        self._times[line] += 1
        if len(self._order) > RECENT_LINES:
            gone = self._order.popleft()
            self._times[gone] -= 1
            if not self._times[gone]:
                del self._times[gone]
        return self._times[line]


def check_old_rows(
    target: Target, old: CsvFile, new: NewFile, zone_before: str, advance: Advance
) -> OldRows:
    """The rows of the old file.

    Raises ExportError when any of them would not be in the new one as often, be it in the right
    time zone. `zone_before` is the noted zone of the old file where that is not this command's,
    else empty; `advance` is called with the bytes of each line.
    """
    rows = _old_rows(target, old, new, advance)
    if rows.known + rows.other_zone.rows > new.rows:
        # More lines than rows: equal values at a like time, but readings of their own.
        rows.unknown.take(rows.other_zone)
        rows.other_zone = CountedLines()
    if rows.unknown.rows:
        raise refusals.unknown_rows(target.path, rows.unknown, rows.other_zone, zone_before)
    if rows.older.rows:
        raise refusals.older_rows(target.path, rows.older.rows, rows.older.number)
    return rows


def _old_rows(target: Target, old: CsvFile, new: NewFile, advance: Advance) -> OldRows:
    rows, recent, others = OldRows(), RecentLines(), OtherZoneLines(target, new.spans)
    for number, line, differs in _lines(old, new):
        advance(len(line))
        # Two rows of a second may differ in nothing but the sign of a zero.
        times = recent.add(plain_lines(line))
        if line == target.header:
            continue
        if differs or times > 1:
            written = csv_lines.read(target.station, line, target.zone)
            ids = target.rows.find(written) if written else []
            if sum(any(found in span for span in new.spans) for found in ids) < times:
                if len(ids) >= times:
                    rows.older.add(number, line)
                elif others.is_row(line):
                    rows.other_zone.add(number, line)
                elif written:
                    rows.unknown.add(number, line)
                # Else torn, or no row at all: it stands in the old file, which is kept.
                continue
        rows.known += 1
        rows.minus_zeros += minus_zero.cells(line)
        others.pass_by(line)
    return rows


def _lines(old: CsvFile, new: NewFile) -> Iterator[tuple[int, bytes, bool]]:
    """The old file's numbered lines, and which lie between what both files begin and end with."""
    with CsvFile.open(new.path, write=False) or nullcontext() as file:
        end = old.size - (old.same_end(file) if file is not None else 0)
    offset = new.kept_bytes
    first = old.count_lines(0, offset) + 1
    for number, line in enumerate(old.lines(offset, old.size), first):
        # The byte before a line must be the same too, or it may be the end of a longer one.
        yield number, line, new.same_bytes <= offset <= end
        offset += len(line)
