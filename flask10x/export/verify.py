"""The proof: database and CSV files compared row for row, as bytes, in constant memory.

A file has two parts. What was in it before Flask10X wrote to it is compared with what was imported
from it, and rows that were not imported are counted. What Flask10X wrote must be exactly the rows
of the database, in the order of `rows.in_file_order`; the first line that differs is shown. The
whole is checked against the checksum of the last export.
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from gettext import gettext as _
from gettext import ngettext

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.export import removable, repair_commands
from flask10x.export.file import NOTHING, CsvFile
from flask10x.export.files import Position
from flask10x.export.outcome import FileOutcome, for_each, missing_rows
from flask10x.export.rows import IdSpan
from flask10x.export.target import Target
from flask10x.readings import csv_lines, numbers
from flask10x.readings.obstacles import REASONS
from flask10x.readings.stations import Station
from flask10x.system.progress import Advance, Bar, unseen
from flask10x.system.wording import amount
from flask10x.translation import chosen

# The position of a file that was never exported.
FIRST = Position(first_id=0, last_id=0)


class Difference(Exception):
    """The first place where the file is not what the database says."""


@dataclass(slots=True)
class ComparedRows:
    """The rows of a file that were compared so far, and notes about them."""

    rows: int = 0
    before: int = 0
    """The rows that were there before Flask10X."""
    first: bytes = b""
    last: bytes = b""
    minus_zeros: int = 0
    """Values that are -0.0, for which the database has 0.0."""
    notes: list[str] = field(default_factory=list)

    def add(self, first: bytes, last: bytes, rows: int) -> None:
        """Count these rows."""
        self.rows += rows
        self.first, self.last = self.first or first, last

    @property
    def next_number(self) -> int:
        """The number of the line that comes next; the header is line 1."""
        return self.rows + 2

    def __str__(self) -> str:
        if not self.rows:
            return amount(0, "row")
        first, last = (csv_lines.time_of(line) for line in (self.first, self.last))
        text = _("{rows}, {first} to {last}")
        return text.format(rows=amount(self.rows, "row"), first=first, last=last)


def verify(
    settings: Settings,
    database: Database,
    stations: Sequence[Station] | None = None,
    *,
    bar: Bar = unseen,
) -> list[FileOutcome]:
    """Compare the file of each of these stations, or of all, with the database.

    The caller holds the lock `export`.
    An outcome is `failed` when the file differs, when it is gone though it was exported to, and
    when an export was interrupted in it. Each file has its bar.
    """
    look = partial(_verify, bar=bar, retention_days=settings.retention_days)
    return for_each(settings, database, stations, look)


def _verify(_database: Database, target: Target, *, bar: Bar, retention_days: int) -> FileOutcome:
    state, compared = target.state, ComparedRows()
    requested, target = target, target.of_its_station()
    if target is not requested:
        text = _("it is the file of /{endpoint}: the next export begins a new one")
        compared.notes.append(text.format(endpoint=target.station.endpoint))
    difference = ""
    try:
        with (
            CsvFile.open(target.path, write=False) or nullcontext() as file,
            bar(target.name, file.size if file else 0) as advance,
        ):
            written = target.as_written(file, state.position)
            if written is not target:
                text = _("the station's columns have changed: the next export begins a new file")
                compared.notes.append(text)
            _compare(written, file, compared, advance)
        if compared.minus_zeros:
            compared.notes.append(numbers.minus_zero_note(compared.minus_zeros))
        if waiting := target.rows.count(target.waiting()):
            text = _("{rows} not exported yet").format(rows=amount(waiting, "row"))
            compared.notes.append(text)
    except Difference as error:
        difference = str(error)
    station_days = target.station.retention_days
    if target is requested and (retention_days if station_days is None else station_days):
        compared.notes += _kept_by(target)
    if difference:
        text = _("{rows}; DIFFERENT: {difference}")
        text = text.format(rows=compared, difference=difference)
        return FileOutcome(target.path, text, compared.rows, failed=True)
    equal = _("{rows}, equal").format(rows=compared)
    return FileOutcome(target.path, "; ".join((equal, *compared.notes)), compared.rows)


def _mended(what: object, command: str) -> str:
    return _("{what}. Mend it: {commands}").format(what=what, commands=command)


def _kept_by(target: Target) -> Iterator[str]:
    """Say what keeps the reading that is removed next, in a file that is as it should be."""
    row = target.rows.first([IdSpan(target.rows.removed.last_id, target.rows.head)])
    if row is None:
        return
    (columns,) = target.rows.columns_with_values([row[0]]).values()
    if obstacle := removable.hindrance(target, row[0], columns):
        file = obstacle.path or target.name
        why = chosen()(REASONS[obstacle.obstacle], file=file)
        text = _("old readings stay in the database. {why} Run: {command}")
        yield text.format(why=why, command=removable.command(target, obstacle))


def _compare(
    target: Target, file: CsvFile | None, compared: ComparedRows, advance: Advance
) -> None:
    """Raise Difference at the first place where the file is not as it should be."""
    intent, position = target.state.intent, target.state.position or FIRST
    if (intent is not None and position.mark == NOTHING) or target.is_rebuilt_beside():
        raise Difference(_("an export was interrupted; run: flask10x export"))
    if file is None or not file.size:
        if position.mark != NOTHING:
            text = _("the file of the last export is gone; the next export starts a new one")
            raise Difference(text)
        return
    comparison = _FileComparison(target, file, compared, advance)
    if position.mark == NOTHING:
        comparison.compare_before(position, file.size)
        return
    if other := target.other_zone(position):
        raise Difference(_mended(other, repair_commands.other_zone(target.path)))
    end = position.mark.size_bytes
    comparison.compare_exported(position, end)
    # Nothing may follow, and no byte may have changed, not even one that the rows don't show.
    if intent is not None:
        raise Difference(_("an export was interrupted; run: flask10x export"))
    if file.size > end:
        text = _("line {number}: the file has {line}, not from an export")
        raise Difference(text.format(number=compared.next_number, line=repr(file.line(end))))
    if not position.is_in(file):
        raise Difference(_("rows from before Flask10X have changed since the last export"))


@dataclass(frozen=True, slots=True)
class _FileComparison:
    """A file that is compared, with what was compared of it so far."""

    target: Target
    file: CsvFile
    compared: ComparedRows
    advance: Advance
    """Called with the bytes that were compared."""

    def count(self, start: int, end: int) -> int:
        """Count the rows there, which nothing is compared with."""
        if rows := self.file.count_lines(start, end):
            self.compared.add(self.file.line(start), self.file.line_before(end), rows)
        return rows

    def compare_before(self, position: Position, end: int) -> None:
        """Compare what was in the file before Flask10X: the header, and rows of an import."""
        target, file, compared = self.target, self.file, self.compared
        if (first := file.line(0)) != target.header:
            text = _("line 1: {line} instead of {header}")
            raise Difference(text.format(line=repr(first), header=repr(target.header)))
        imported = _ImportedRows(target, position)
        for line in file.lines(len(target.header), end):
            if not line.endswith(b"\n"):
                text = _("line {number} is torn: {line}")
                raise Difference(text.format(number=compared.next_number, line=repr(line)))
            if imported.look_up(line):
                compared.minus_zeros += numbers.minus_zero_cells(line)
            compared.add(line, line, 1)
            self.advance(len(line))
        compared.before = compared.rows
        if unknown := compared.rows - imported.rows_in_file:
            text = ngettext(
                "{n} row from before Flask10X is not in the database",
                "{n} rows from before Flask10X are not in the database",
                unknown,
            )
            compared.notes.append(text.format(n=unknown))
        if missing := missing_rows(imported.total - imported.rows_in_file):
            compared.notes.append(missing)

    def compare_exported(self, position: Position, end: int) -> None:
        """Compare the file up to `end`: what Flask10X wrote is exactly the rows of the database.

        What is before that no reading can give: the rows from before Flask10X or, where readings
        were removed, all up to the floor.
        """
        floor, compared = position.floor, self.compared
        if floor is None or not floor.last_id:
            floor = None
            self.compare_before(position, position.begin_bytes)
        elif not floor.is_in(self.file):
            text = _(
                "its first {n} bytes have changed, and the readings in them were removed from the"
                " database: put back a copy of the file"
            )
            raise Difference(text.format(n=floor.size_bytes))
        else:
            rows = self.count(len(self.file.line(0)), floor.size_bytes)
            compared.before = compared.rows
            self.advance(floor.size_bytes)
            text = ngettext(
                "{n} row of removed readings has its checksum",
                "{n} rows of removed readings have their checksum",
                rows,
            )
            compared.notes.append(text.format(n=rows))
        offset, spans = self.target.exported_rows(position, floor)
        for page, texts in self.target.lines(spans):
            expected = b"".join(texts)
            if self.file.read(offset, min(len(expected), end - offset)) == expected:
                compared.add(texts[0], texts[-1], len(page))
                offset += len(expected)
            else:
                for expected_line in texts:
                    line = self.file.line(offset) if offset < end else b""
                    if line != expected_line:
                        raise self._differs(line, expected_line)
                    compared.add(line, line, 1)
                    offset += len(line)
            self.advance(len(expected))
        if offset < end:
            raise self._differs(self.file.line(offset), b"")

    def _differs(self, line: bytes, expected: bytes) -> Difference:
        """Return that the next line is not the one that the database has."""
        text = _("line {number}: the file has {line}, the database {expected}")
        shown = [repr(each) if each else _("nothing") for each in (line, expected)]
        number = self.compared.next_number
        return Difference(text.format(number=number, line=shown[0], expected=shown[1]))


class _ImportedRows:
    """Rows from before Flask10X, looked up among those that were imported."""

    def __init__(self, target: Target, position: Position) -> None:
        self._target = target
        self._spans = target.rows.imported(position.import_id)
        self._expected = (
            (row[0], text)
            for page, texts in target.lines(self._spans)
            for row, text in zip(page, texts, strict=True)
        )
        self._next = next(self._expected, None)
        self.total = target.rows.count(self._spans)
        self.rows_in_file = 0

    def look_up(self, line: bytes) -> bool:
        """Check whether the line was imported, in whatever notation; counts it then."""
        if self._next and line == self._next[1]:
            self._next = next(self._expected, None)
        elif self._spans and (ids := self._ids(line)):
            while self._next and self._next[0] <= ids[-1]:
                self._next = next(self._expected, None)
        else:
            return False
        self.rows_in_file += 1
        return True

    def _ids(self, line: bytes) -> list[int]:
        written = csv_lines.read(self._target.station, line, self._target.zone)
        ids = self._target.rows.find(written) if written else []
        return sorted(n for n in ids if any(n in span for span in self._spans))
