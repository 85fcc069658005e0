"""`--rebuild`: a new file from the database, written beside the old one, then put in its place.

No row that the database lacks is ever destroyed: with such a row in the old file, nothing is done.
And unless the new file only goes on where the old one ends, the old one is kept as `.old`.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from gettext import gettext as _
from gettext import ngettext
from itertools import chain
from pathlib import Path

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.errors import ExportError
from flask10x.export import checks, refusals, repair_commands
from flask10x.export.append import leave_files
from flask10x.export.file import CountedLines, CsvFile, Mark, fresh_path, put_in_place, write_beside
from flask10x.export.files import Floor, Position, State
from flask10x.export.outcome import FileOutcome, for_each
from flask10x.export.rows import IdSpan
from flask10x.export.target import Piece, Target, headings_of, save_state
from flask10x.readings import csv_lines, numbers
from flask10x.readings.numbers import lines_without_minus_zero
from flask10x.readings.stations import Station
from flask10x.readings.times import local_text, zone_of
from flask10x.system import disk
from flask10x.system.progress import Advance, Bar, unseen
from flask10x.system.wording import amount

# Equal rows are counted among so many lines: they have the same second, and lie further apart only
# in a file that was put together out of order. 2 MB.
RECENT_LINES = 10_000


@dataclass(frozen=True, slots=True)
class NewFile:
    """The new file, written and synced under its temporary name."""

    mark: Mark
    rows: int
    spans: list[IdSpan]
    """The readings that have these rows."""
    last_received_at: int | None
    """When its last row was received; None when there is none."""
    same_bytes: int
    """How many bytes at the beginning of the old file it has: whole lines, or all of that file."""
    floor: Floor | None = None
    """Its floor, where readings of the station were removed."""

    @property
    def floor_bytes(self) -> int:
        """Return how many bytes come from the old file itself; `rows` are those behind them."""
        return self.floor.size_bytes if self.floor and self.floor.last_id else 0


@dataclass(slots=True)
class OldRows:
    """The rows of an old file that need a word."""

    minus_zeros: int = 0
    """Values that are -0.0, and 0.0 in the new file."""
    unknown: CountedLines = field(default_factory=CountedLines)
    """Rows that the database does not have, or not as often."""
    older: CountedLines = field(default_factory=CountedLines)
    """Rows from before the beginning of the file."""
    unread: int = 0
    """Lines that are no rows of the station, or are torn."""


def check_old_rows(
    target: Target, old: CsvFile, new: NewFile, before: Position | None, advance: Advance
) -> OldRows:
    """Return the rows of the old file, which is in the time zone that it had `before`.

    Raises ExportError when any of them would not be in the new one as often. `advance` is called
    with the bytes of each line.
    """
    rows, zone_before, zone = OldRows(), "", target.zone
    if before and (other := target.other_zone(before)):
        zone_before, zone = other.name, zone_of(str(before.zone)) or zone
    for line_number, line, may_differ, times in _old_lines(target.header, old, new):
        advance(len(line))
        if may_differ or times > 1:
            written = csv_lines.read(target.station, line, zone)
            ids = target.rows.find(written) if written else []
            if sum(any(number in span for span in new.spans) for number in ids) < times:
                if len(ids) >= times:
                    rows.older.add(line_number, line)
                elif written:
                    rows.unknown.add(line_number, line)
                else:
                    # The old file, which is kept, has it.
                    rows.unread += 1
                continue
        rows.minus_zeros += numbers.minus_zero_cells(line)
    if rows.unknown.rows:
        raise refusals.unknown_rows(target.path, rows.unknown, zone_before)
    if rows.older.rows:
        raise refusals.older_rows(target.path, rows.older.rows, rows.older.number)
    return rows


def _old_lines(header: bytes, old: CsvFile, new: NewFile) -> Iterator[tuple[int, bytes, bool, int]]:
    """Yield the rows of the old file above the floor: their line numbers and bytes.

    And whether both files may differ there, and how often the line has come until then.
    """
    recent, times = deque[bytes](), Counter[bytes]()
    with CsvFile.open(fresh_path(old.path), write=False) or nullcontext() as file:
        end = old.size - (old.same_end(file) if file is not None else 0)
    offset = new.floor_bytes
    first = old.count_lines(0, offset) + 1
    for number, line in enumerate(old.lines(offset, old.size), first):
        # Two rows of a second may differ in nothing but the sign of a zero.
        plain = lines_without_minus_zero(line)
        recent.append(plain)
        times[plain] += 1
        if len(recent) > RECENT_LINES:
            oldest = recent.popleft()
            times[oldest] -= 1
            if not times[oldest]:
                del times[oldest]
        # The byte before a line must be the same too, or it may be the end of a longer one.
        if line != header:
            yield number, line, new.same_bytes <= offset <= end, times[plain]
        offset += len(line)


def rebuild(
    settings: Settings,
    database: Database,
    stations: Sequence[Station] | None = None,
    *,
    whole: bool = False,
    lost: bool = False,
    accepts: bool = False,
    bar: Bar = unseen,
) -> list[FileOutcome]:
    """Rewrite the file of each of these stations, or of all, imported rows included.

    A file that was begun after archiving is rebuilt from there; `whole` is for everything that the
    database has, `lost` for a file as it was, without imported rows that it did not have. With
    `accepts` the file may have rows that the database has otherwise, or no more: somebody has
    changed them there on purpose. The database must have been opened with `synchronous=FULL`, and
    the caller holds the lock `export`. Each file has its bar.
    """
    do = partial(_rebuild, whole=whole, lost=lost, accepts=accepts, bar=bar)
    return for_each(settings, database, stations, do)


def _rebuild(
    database: Database, target: Target, *, whole: bool, lost: bool, accepts: bool, bar: Bar
) -> FileOutcome:
    # Until an export has ended it, the file is that of the station whose rows it has.
    target = target.of_its_station()
    left = leave_files(database, target, lost=False)
    target = replace(target, rows=target.rows.of(target.station))
    target.finish_rebuild()
    before, zone_note = target.state.position, target.changed_zone()
    first_id = before.first_id if before else target.rows.log.files.last_id(target.station.endpoint)
    if whole:
        first_id = 0
    with CsvFile.open(target.path, write=False) or nullcontext() as old:
        checks.check_owner(target, old, before)
        position = Position(
            first_id=first_id,
            last_id=target.rows.head,
            import_id=target.rows.import_id,
            begin_bytes=len(target.header),
        )
        floor = _floor(target, old, before, position)
        position, left_out = _without_lower(target, before, position, floor)
        beginning: list[IdSpan] = []
        if lost and before:
            position, beginning = _as_lost(target, position, before)
        _begin, spans = target.exported_rows(position, floor)
        spans = beginning + spans
        with bar(target.name, sum(span.length for span in spans)) as advance:
            new = _write(target, old, spans, floor, advance)
        rows, unknown = OldRows(), list[str]()
        try:
            header = old.line(0) if old else target.header
            written: Target | None = target.as_written(old, before)
            if written is target and header != target.header:
                # No export has left it so: an older database may have been restored since.
                written = target.with_header(header, "")
                unknown = [] if written else headings_of(header)
            if old is not None and new.same_bytes < old.size and not accepts:
                with bar(_("{file}, old rows").format(file=target.name), old.size) as advance:
                    rows = check_old_rows(written or target, old, new, before, advance)
        except (OSError, ExportError):
            fresh_path(target.path).unlink(missing_ok=True)
            raise
        received_at, last_time = new.last_received_at, None
        if received_at is not None:
            last_time = local_text(received_at, target.zone)
        elif before and new.floor_bytes:
            received_at, last_time = before.last_received_at, before.last_time
        position = replace(position, last_received_at=received_at, last_time=last_time)
        position = target.with_file(position)
        result, kept = _put_in_place(database, target, position, new, old)
    notes = [result]
    if rows.unread and kept and unknown:
        text = _(
            "its rows were not compared, for the station has no column {columns}: put the"
            " measurement into stations.toml, and run: {command}"
        )
        command = repair_commands.import_as(target.station.endpoint, kept)
        known = target.station.csv_header
        columns = ", ".join(heading for heading in unknown if heading not in known)
        notes.append(text.format(columns=columns, command=command))
    notes += [
        *_on_floor(target, floor, left_out),
        numbers.minus_zero_note(rows.minus_zeros),
        zone_note,
        *left,
    ]
    return FileOutcome(target.path, "; ".join(filter(None, notes)), new.rows)


def _on_floor(target: Target, floor: Floor | None, left_out: int) -> Iterator[str]:
    """Say what the file keeps, and lacks, because readings were removed."""
    if floor is not None and floor.last_id:
        text = _("its first {n} bytes are kept as they are, their readings were removed")
        yield text.format(n=floor.size_bytes)
    elif floor is not None:
        text = _(
            "the readings up to {time} were removed and are not in it: only archived files can have"
            " them"
        )
        removed_to = local_text(target.rows.removed.last_ms or 0, target.zone)
        yield text.format(time=removed_to)
    if left_out:
        text = ngettext(
            "{n} imported row is not in it, for it belongs before removed readings",
            "{n} imported rows are not in it, for they belong before removed readings",
            left_out,
        )
        more = _("a new file has them: {export} && {whole}")
        export = repair_commands.move_away_and_export(target.path)
        whole_again = repair_commands.whole(target.path)
        yield f"{text.format(n=left_out)}; {more.format(export=export, whole=whole_again)}"


def _floor(
    target: Target, old: CsvFile | None, before: Position | None, position: Position
) -> Floor | None:
    """Return up to where the old file is kept byte for byte, because its readings were removed.

    Where files that were archived before have these, that is its first line. Raises ExportError
    when there is no such file, or its bytes have changed.
    """
    removed, floor = target.rows.removed, before.floor if before else None
    if removed.last_ms is not None and removed.last_id > position.first_id:
        if before is None or before.first_id >= removed.last_id or (floor and not floor.last_id):
            return target.first_line_floor()
        if floor is None or before.first_id != position.first_id or old is None:
            last_time = local_text(removed.last_ms, target.zone)
            raise refusals.removed_rows(target.path, last_time, exists=old is not None)
    if floor is None or before is None or before.first_id != position.first_id:
        return None
    if old is None or old.line(0) != target.header or not floor.is_in(old):
        raise refusals.changed_below_floor(target.path, floor.size_bytes)
    return floor


def _without_lower(
    target: Target, before: Position | None, position: Position, floor: Floor | None
) -> tuple[Position, int]:
    """Return the position without imports that have their place below the floor, and their rows.

    Below the floor there is no room for rows.
    """
    if floor is None or before is None:
        return position, 0
    new, above = target.rows.imported(before.import_id), target.exported_rows(position, floor)[1]
    lower = [span for span in new if span not in above]
    if not target.rows.count(lower):
        return position, 0
    return replace(position, import_id=before.import_id), target.rows.count(new)


def _as_lost(target: Target, position: Position, before: Position) -> tuple[Position, list[IdSpan]]:
    """Return the position of a file that is as it was `before`, and the rows at its beginning.

    These were there before Flask10X wrote to it. Where it had all imported rows, they count as
    exported ones instead.
    """
    elsewhere = [each.span for each in target.imported_elsewhere(before)]
    if not elsewhere:
        return position, []
    beginning = [span for span in target.rows.imported(before.import_id) if span not in elsewhere]
    size = sum(len(piece.data) for piece in target.pieces(beginning))
    return replace(
        position, import_id=before.import_id, begin_bytes=len(target.header) + size
    ), beginning


def _write(
    target: Target,
    old: CsvFile | None,
    spans: list[IdSpan],
    floor: Floor | None,
    advance: Advance,
) -> NewFile:
    """Write and sync the new file, comparing it with the old one as far as they are the same."""
    rows, same = 0, 0
    last_received_at: int | None = None

    def blocks() -> Iterator[bytes]:
        nonlocal rows, same, last_received_at
        size = 0
        kept: Iterable[bytes] = [target.header]
        if old is not None and floor is not None and floor.last_id:
            kept = old.blocks(0, floor.size_bytes)
        beginning = (Piece(data, 0, 0, None) for data in kept)
        for piece in chain(beginning, target.pieces(spans, advance)):
            old_data = old.read(size, len(piece.data)) if old and same == size else b""
            same += len(old_data) if piece.data.startswith(old_data) else 0
            size, rows = size + len(piece.data), rows + piece.rows
            last_received_at = piece.last_received_at
            yield piece.data

    mark = write_beside(target.path, blocks(), old.path if old else None)
    return NewFile(mark, rows, spans, last_received_at, same, floor)


def _put_in_place(
    database: Database, target: Target, position: Position, new: NewFile, old: CsvFile | None
) -> tuple[str, Path | None]:
    """Give the new file its name; return what was done, for people, and where the old one is."""
    kept, text, mark = None, _("{rows} as before"), new.mark
    if old is not None and old.size == mark.size_bytes == new.same_bytes:
        fresh_path(target.path).unlink()
        mark = old.mark(mark.checksum)
    else:
        # Killed after this, the next run gives it the name.
        disk.sync(fresh_path(target.path).parent)
        save_state(database, target, State(replace(position, mark=mark, floor=new.floor)))
        text = _("{rows} written")
        if kept := put_in_place(target.path):
            text = _("{rows} written; the old file is kept as {path}")
        with CsvFile.open(target.path, write=False) or nullcontext() as file:
            if file is None:
                raise ExportError(_("was moved away while it was being rebuilt"))
            mark = file.mark(mark.checksum)
    save_state(database, target, State(replace(position, mark=mark, floor=new.floor)))
    return text.format(rows=amount(new.rows, "row"), path=kept), kept
