"""`--rebuild`: a fresh file from the database, written beside the old one, then put in its place.

No row that the database lacks is ever destroyed: with such a row in the old file, nothing is
done. And unless the new file only goes on where the old one ends, the old one is kept as `.old`.
"""

import hashlib
import os
import zlib
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from gettext import gettext as _
from gettext import ngettext
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.errors import ExportError
from flask10x.export import archived, refusals, repair_commands, zone
from flask10x.export.checks import is_kept
from flask10x.export.earlier_columns import as_written, of_its_station, was_renamed
from flask10x.export.file import CountedLines, CsvFile, Mark, fresh_path, keep_old, make_folder
from flask10x.export.other_zone_lines import OtherZoneLines, in_words
from flask10x.export.outcome import FileOutcome, for_each
from flask10x.export.position import (
    Floor,
    Intent,
    Position,
    State,
    first_line_floor,
    load_state,
    names_of,
    noted,
    save_floor,
    save_state,
)
from flask10x.export.rows import IdSpan, Piece, Target, behind
from flask10x.readings import csv_lines, numbers
from flask10x.readings.csv_lines import Lines
from flask10x.readings.numbers import lines_without_minus_zero
from flask10x.readings.stations import Station
from flask10x.readings.times import local_text
from flask10x.system import disk
from flask10x.system.progress import Advance, Bar, unseen
from flask10x.system.wording import amount

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
        times = recent.add(lines_without_minus_zero(line))
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
        rows.minus_zeros += numbers.minus_zero_cells(line)
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


def rebuild(
    settings: Settings,
    database: Database,
    stations: Sequence[Station] | None = None,
    *,
    whole: bool = False,
    bar: Bar = unseen,
) -> list[FileOutcome]:
    """Write the file of each of these stations, or of all, afresh, imported rows included.

    A file that was begun anew, after archiving, is rebuilt from there; `whole` is for everything
    that the database has. The database must have been opened with `synchronous=FULL`, and the
    caller holds the lock `export`. Each file has its bar.
    """
    return for_each(settings, database, stations, partial(_rebuild, whole=whole, bar=bar))


def _rebuild(database: Database, target: Target, *, whole: bool, bar: Bar) -> FileOutcome:
    state = load_state(database, target.name)
    # Until an export has ended it, the file is that of the station whose rows it has.
    target = of_its_station(target, state.position)
    first_id = 0 if whole else _first_id(database, target, state.position)
    with CsvFile.open(target.path, write=False) or nullcontext() as old:
        archived.check_owner(database, target, old, state.position)
        path = fresh_path(target.path)
        position = _new_position(target, first_id)
        floor = _floor(target, old, state, position)
        position, left_out = _without_lower(target, old, state, position, floor)
        spans = _spans(target, position, floor)
        make_folder(path.parent)
        try:
            with bar(target.name, sum(span.length for span in spans)) as advance:
                new = _write(target, old, spans, floor, advance)
            rows = OldRows()
            written = as_written(target, old, state.position)
            # What an export has written with columns that are no more can't be looked up.
            if old is not None and new.same_bytes < old.size and not written.unknown:
                with bar(_("{file}, old rows").format(file=target.name), old.size) as advance:
                    zone_before = _zone_before(target, state)
                    rows = check_old_rows(written, old, new, zone_before, advance)
        except (OSError, ExportError):
            path.unlink(missing_ok=True)
            raise
        position = _with_last_row(target, state, position, new)
        position = noted(target, position)
        result = _put_in_place(database, target, state, position, new)
    notes = (
        _kept_beginning(target, floor),
        _not_written(target, left_out),
        in_words(rows.other_zone),
        numbers.minus_zero_note(rows.minus_zeros),
        zone.changed(target, state.position),
    )
    return FileOutcome(target.path, "; ".join(filter(None, (result, *notes))), new.rows)


def _first_id(database: Database, target: Target, known: Position | None) -> int:
    """After which reading the new file begins: behind the files that the station had before.

    Raises ExportError when the next export has to end one of these first.
    """
    if known is not None:
        return known.first_id if known.mark else 0
    with database.reader.begin() as connection:
        names = names_of(connection, target.station.endpoint)
        files = archived.load(connection, target.station.endpoint)
    for name in names:
        left = replace(target, name=name, path=target.path.with_name(name))
        if left.path.exists() or was_renamed(left, target, load_state(database, name).position):
            raise refusals.not_handed_over(target.path, name)
    return files[0].position.last_id if files else 0


def _new_position(target: Target, first_id: int) -> Position:
    """Where the new file will stand."""
    return Position(
        first_id=first_id,
        last_id=target.rows.head,
        import_id=target.rows.import_id,
        begin_bytes=len(target.header),
        zone=target.zone_name,
    )


def _floor(target: Target, old: CsvFile | None, state: State, position: Position) -> Floor | None:
    """Up to where the old file is kept byte for byte, because its readings were removed.

    Where these stand in files that were archived before, that is its first line. Raises ExportError
    when there is no such file, or its bytes are not those that were there.
    """
    gone, floor, known = target.rows.removed, state.floor, state.position
    if gone.last_ms is not None and gone.last_id > position.first_id:
        if known is None or known.first_id >= gone.last_id or (floor and not floor.last_id):
            return first_line_floor(target, position.first_id)
        if floor is None or floor.first_id != position.first_id or old is None:
            last_time = local_text(gone.last_ms, target.zone)
            raise refusals.removed_rows(target.path, last_time, is_there=old is not None)
    if floor is None or floor.first_id != position.first_id:
        return None
    if old is None or old.line(0) != target.header or not is_kept(old, floor):
        raise refusals.changed_below_floor(target.path, floor.size_bytes)
    return floor


def _spans(target: Target, position: Position, floor: Floor | None) -> list[IdSpan]:
    """The rows to be written."""
    spans = target.rows.of_file(position.first_id, position.last_id, position.import_id)
    return behind(spans, floor.last_id) if floor else spans


def _without_lower(
    target: Target, old: CsvFile | None, state: State, position: Position, floor: Floor | None
) -> tuple[Position, int]:
    """The position without imports that have their place below the floor, and their rows.

    Below the floor there is no room for rows, so the file has only those that stand there already.
    """
    if floor is None or state.position is None:
        return position, 0
    known = state.position.import_id
    new, above = target.rows.imported(known), _spans(target, position, floor)
    lower = [span for span in new if span not in above]
    if not target.rows.count(lower) or (old and _has_rows(target, old, floor, lower)):
        return position, 0
    return replace(position, import_id=known), target.rows.count(new)


def _has_rows(target: Target, old: CsvFile, floor: Floor, spans: list[IdSpan]) -> bool:
    """Whether each of these rows has a line of its own below the floor, in this order."""
    lines = old.lines(len(target.header), floor.size_bytes)
    texts = Lines(target.zone)
    return all(
        any(csv_lines.says(target.station, line, target.zone, row, text) for line in lines)
        for page in target.rows.pages(spans)
        for row, text in zip(page, texts.texts(page), strict=True)
    )


def _not_written(target: Target, rows: int) -> str:
    text = ngettext(
        "{n} imported row is not in it, for it belongs before removed readings",
        "{n} imported rows are not in it, for they belong before removed readings",
        rows,
    )
    if not rows:
        return ""
    more = _("a new file has them: {move} && {export} && {whole}")
    more = more.format(
        move=repair_commands.move_away(target.path),
        export=repair_commands.export(target.path),
        whole=repair_commands.whole(target.path),
    )
    return f"{text.format(n=rows)}; {more}"


def _kept_beginning(target: Target, floor: Floor | None) -> str:
    if floor is None:
        return ""
    if floor.last_id:
        text = _("its first {n} bytes are kept as they are, their readings were removed")
        return text.format(n=floor.size_bytes)
    text = _(
        "the readings up to {time} were removed and are not in it: only archived files can have"
        " them"
    )
    return text.format(time=local_text(target.rows.removed.last_ms or 0, target.zone))


def _with_last_row(target: Target, state: State, position: Position, new: NewFile) -> Position:
    """The position with the last row of the new file."""
    received_at = new.last_received_at
    if received_at is None:
        known = state.position if new.kept_bytes else None
        last = (known.last_received_at, known.last_time) if known else (None, None)
        return replace(position, last_received_at=last[0], last_time=last[1])
    last_time = local_text(received_at, target.zone)
    return replace(position, last_received_at=received_at, last_time=last_time)


def _zone_before(target: Target, state: State) -> str:
    """The zone of the old file where that is another one than this command's."""
    found = zone.difference(target, state.position)
    return found.name if found else ""


def _write(
    target: Target,
    old: CsvFile | None,
    spans: list[IdSpan],
    floor: Floor | None,
    advance: Advance,
) -> NewFile:
    """Write and sync the new file, comparing it with the old one as far as they are the same."""
    path = fresh_path(target.path)
    digest, checksum, size, rows, same = hashlib.sha256(), 0, 0, 0, 0
    last_received_at: int | None = None
    path.unlink(missing_ok=True)
    with open(path, "xb") as file:
        if old is not None:
            _give_to_same_owner(file, old)
        else:
            disk.leave_to_owner(file.fileno(), path.parent)
        begun: Iterable[bytes] = [target.header]
        if old is not None and floor is not None and floor.last_id:
            begun = old.blocks(0, floor.size_bytes)
        beginning = (Piece(data, 0, 0, None) for data in begun)
        for piece in chain(beginning, target.pieces(spans, advance)):
            data = piece.data
            file.write(data)
            digest.update(data)
            checksum = zlib.crc32(data, checksum)
            was = old.read(size, len(data)) if old is not None and same == size else b""
            same += len(was) if data.startswith(was) else 0
            size, rows = size + len(data), rows + piece.rows
            last_received_at = piece.last_received_at
        file.flush()
        os.fsync(file.fileno())
    return NewFile(
        path=path,
        size=size,
        rows=rows,
        spans=spans,
        checksum=checksum,
        sha256=digest.hexdigest(),
        last_received_at=last_received_at,
        same_bytes=same,
        kept_bytes=floor.size_bytes if floor and floor.last_id else 0,
        old=old,
        floor=floor,
    )


def _give_to_same_owner(file: BinaryIO, old: CsvFile) -> None:
    status = old.path.stat()
    os.fchmod(file.fileno(), status.st_mode & 0o777)
    # Root, by sudo, would otherwise take the file away from the service's user.
    with suppress(PermissionError):
        os.fchown(file.fileno(), status.st_uid, status.st_gid)


def _intent_of(new: NewFile, position: Position) -> Intent:
    return Intent(
        from_id=position.first_id,
        to_id=position.last_id,
        start_offset=0,
        length=new.size,
        sha256=new.sha256,
        import_id=position.import_id,
    )


def _put_in_place(
    database: Database,
    target: Target,
    state: State,
    position: Position,
    new: NewFile,
) -> str:
    """Give the new file its name; what was done, for people."""
    old, path, rows = new.old, target.path.resolve(), amount(new.rows, "row")
    if old is not None and old.size == new.size == new.same_bytes:
        new.path.unlink()
        done, mark = _("{rows} as before").format(rows=rows), old.mark(new.checksum)
    else:
        intended = State(state.position, _intent_of(new, position))
        state = save_state(database, target, state, intended)
        done = _("{rows} written").format(rows=rows)
        if old is not None and new.same_bytes < old.size:
            text = _("{rows} written; the old file is kept as {path}")
            done = text.format(rows=rows, path=keep_old(path))
        new.path.replace(path)
        disk.sync(path.parent)
        mark = _mark(path, new.checksum)

    def keep_floor(connection: Connection) -> None:
        if new.floor is not None:
            save_floor(connection, target.name, new.floor)

    save_state(database, target, state, State(replace(position, mark=mark)), keep_floor)
    return done


def _mark(path: Path, checksum: int) -> Mark:
    with CsvFile.open(path, write=False) or nullcontext() as file:
        if file is None:
            raise ExportError(_("was moved away while it was being rebuilt"))
        return file.mark(checksum)
