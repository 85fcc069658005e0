"""`--rebuild`: a fresh file from the database, written beside the old one, then put in its place.

No row that the database lacks is ever destroyed: with such a row in the old file, nothing is
done. And unless the new file only goes on where the old one ends, the old one is kept as `.old`.
"""

import hashlib
import os
import zlib
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from gettext import gettext as _
from pathlib import Path
from typing import BinaryIO

from flask10x.config.settings import Settings
from flask10x.database.engine import Database
from flask10x.errors import ExportError
from flask10x.export import refusals
from flask10x.export.file import CsvFile, Mark, fresh_path, keep_old, make_folder
from flask10x.export.outcome import FileOutcome, for_each
from flask10x.export.position import Intent, Position, State, load_state, save_state
from flask10x.export.rows import IdSpan, Target
from flask10x.readings import csv_lines
from flask10x.readings.stations import STATIONS, Station
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
    checksum: int
    sha256: str
    same_bytes: int
    """The old file begins with that many of its bytes: whole lines, or all of the old file."""


@dataclass(slots=True)
class LostRows:
    """Rows that the new file would not have: how many, and the first of them."""

    rows: int = 0
    number: int = 0
    line: bytes = b""

    def add(self, number: int, line: bytes) -> None:
        """Count one."""
        if not self.rows:
            self.number, self.line = number, line
        self.rows += 1


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


def rebuild(
    settings: Settings,
    database: Database,
    stations: Sequence[Station] = STATIONS,
    *,
    whole: bool = False,
    bar: Bar = unseen,
) -> list[FileOutcome]:
    """Write each station's file afresh, imported rows included.

    A file that was begun anew, after archiving, is rebuilt from there; `whole` is for everything
    that the database has. The database must have been opened with `synchronous=FULL`, and the
    caller holds the lock `export`. Each file has its bar.
    """
    return for_each(settings, database, stations, partial(_rebuild, whole=whole, bar=bar))


def _rebuild(database: Database, target: Target, *, whole: bool, bar: Bar) -> FileOutcome:
    state = load_state(database, target.name)
    with CsvFile.open(target.path, write=False) or nullcontext() as old:
        path = fresh_path(target.path)
        position = _new_position(target, None if whole else state.position)
        spans = target.rows.of_file(position.first_id, position.last_id, position.import_id)
        make_folder(path.parent)
        try:
            with bar(target.name, sum(span.length for span in spans)) as advance:
                new = _write(target, old, spans, path, advance)
            if old is not None and new.same_bytes < old.size:
                with bar(_("{file}, old rows").format(file=target.name), old.size) as advance:
                    _check_rows(target, old, spans, new, advance)
        except (OSError, ExportError):
            path.unlink(missing_ok=True)
            raise
        result = _put_in_place(database, target, state, old, position, new)
    return FileOutcome(target.path, result, new.rows)


def _new_position(target: Target, known: Position | None) -> Position:
    """Where the new file will stand."""
    return Position(
        first_id=known.first_id if known and known.mark else 0,
        last_id=target.rows.head,
        import_id=target.rows.import_id,
        begin_bytes=len(target.header),
    )


def _write(
    target: Target, old: CsvFile | None, spans: list[IdSpan], path: Path, advance: Advance
) -> NewFile:
    """Write and sync the new file, comparing it with the old one as far as they are the same."""
    digest, checksum, size, rows, same = hashlib.sha256(), 0, 0, 0, 0
    path.unlink(missing_ok=True)
    with open(path, "xb") as file:
        if old is not None:
            _give_to_same_owner(file, old)
        else:
            disk.leave_to_owner(file.fileno(), path.parent)
        for data, data_rows in _data(target, spans, advance):
            file.write(data)
            digest.update(data)
            checksum = zlib.crc32(data, checksum)
            was = old.read(size, len(data)) if old is not None and same == size else b""
            same += len(was) if data.startswith(was) else 0
            size, rows = size + len(data), rows + data_rows
        file.flush()
        os.fsync(file.fileno())
    return NewFile(path, size, rows, checksum, digest.hexdigest(), same)


def _data(target: Target, spans: list[IdSpan], advance: Advance) -> Iterator[tuple[bytes, int]]:
    yield target.header, 0
    for piece in target.pieces(spans, advance):
        yield piece.data, piece.rows


def _give_to_same_owner(file: BinaryIO, old: CsvFile) -> None:
    status = old.path.stat()
    os.fchmod(file.fileno(), status.st_mode & 0o777)
    # Root, by sudo, would otherwise take the file away from the service's user.
    with suppress(PermissionError):
        os.fchown(file.fileno(), status.st_uid, status.st_gid)


def _check_rows(
    target: Target, old: CsvFile, spans: list[IdSpan], new: NewFile, advance: Advance
) -> None:
    """Raises ExportError when a row of the old file would not be in the new one as often."""
    unknown, older, recent = LostRows(), LostRows(), RecentLines()
    for number, line, differs in _lines(old, new):
        advance(len(line))
        times = recent.add(line)
        if not differs and times == 1:
            continue
        written = csv_lines.read(target.station, line, target.zone)
        if written is None:
            continue  # Torn, or no row at all: it stands in the old file, which is kept.
        ids = target.rows.find(written)
        if sum(any(found in span for span in spans) for found in ids) < times:
            (older if len(ids) >= times else unknown).add(number, line)
    if unknown.rows:
        raise refusals.unknown_rows(target.path, unknown.rows, unknown.number, unknown.line)
    if older.rows:
        raise refusals.older_rows(target.path, older.rows, older.number)


def _lines(old: CsvFile, new: NewFile) -> Iterator[tuple[int, bytes, bool]]:
    """The old file's numbered lines, and which lie between what both files begin and end with."""
    with CsvFile.open(new.path, write=False) or nullcontext() as file:
        end = old.size - (old.same_end(file) if file is not None else 0)
    offset = 0
    for number, line in enumerate(old.lines(0, old.size), 1):
        # The byte before a line must be the same too, or it may be the end of a longer one.
        yield number, line, new.same_bytes <= offset <= end
        offset += len(line)


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
    old: CsvFile | None,
    position: Position,
    new: NewFile,
) -> str:
    """Give the new file its name; what was done, for people."""
    path, rows = target.path.resolve(), amount(new.rows, "row")
    if old is not None and old.size == new.size == new.same_bytes:
        new.path.unlink()
        done, mark = _("{rows} as before").format(rows=rows), old.mark(new.checksum)
    else:
        save_state(database, target.name, State(state.position, _intent_of(new, position)))
        done = _("{rows} written").format(rows=rows)
        if old is not None and new.same_bytes < old.size:
            text = _("{rows} written; the old file is kept as {path}")
            done = text.format(rows=rows, path=keep_old(path))
        new.path.replace(path)
        disk.sync(path.parent)
        mark = _mark(path, new.checksum)
    save_state(database, target.name, State(replace(position, mark=mark)))
    return done


def _mark(path: Path, checksum: int) -> Mark:
    with CsvFile.open(path, write=False) or nullcontext() as file:
        if file is None:
            raise ExportError(_("was moved away while it was being rebuilt"))
        return file.mark(checksum)
