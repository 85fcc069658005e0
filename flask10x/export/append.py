"""Each station's new rows appended to its CSV file exactly once, whatever dies meanwhile.

The files of the contract (section 3), one after the other, each in these steps
(docs/decisions/0035):

1. an open intent is resolved: an export that was interrupted left all, some or none of its bytes;
2. the file must be what the last export left, or nothing is written (`checks`);
3. the new rows come a piece at a time: the intent is committed, whole lines are appended in one
   write and synced, the new position is committed.
"""

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from gettext import gettext as _
from typing import Any

from flask10x.config.settings import Settings
from flask10x.database.engine import Database
from flask10x.export import origin, refusals, zone
from flask10x.export.checks import begun, check_old_bytes, resume_position
from flask10x.export.earlier_columns import as_written, kept_path, set_aside
from flask10x.export.file import NOTHING, CsvFile, forget_kept, fresh_path
from flask10x.export.outcome import FileOutcome, for_each
from flask10x.export.position import Intent, Position, State, load_state, save_state
from flask10x.export.rows import Piece, Target
from flask10x.readings import minus_zero
from flask10x.readings.csv_lines import time_of
from flask10x.readings.stations import Station
from flask10x.readings.times import local_text
from flask10x.system import disk
from flask10x.system.wording import amount

# Rows appended under one intent: some 6 MB. A night's rows are one piece, and a backlog of
# millions costs two commits and two syncs a piece, with one piece at a time in memory.
PIECE_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class Resolution:
    """Where the file stands, what has to be cut off first, and what to tell people."""

    position: Position | None
    cut_to: int | None = None
    note: str = ""


def export(
    settings: Settings, database: Database, stations: Sequence[Station] | None = None
) -> list[FileOutcome]:
    """Bring the files of these stations up to date, by default of all.

    A file that fails does not keep the others from theirs.

    The database must have been opened with `synchronous=FULL`, and the caller holds the lock
    `export`.
    """
    return for_each(settings, database, stations, _export_file)


def dry_run(
    settings: Settings, database: Database, stations: Sequence[Station] | None = None
) -> list[FileOutcome]:
    """What `export` would do; writes nothing."""
    return for_each(settings, database, stations, _dry_run_file)


def _export_file(database: Database, target: Target) -> FileOutcome:
    state = known = load_state(database, target.name)
    with CsvFile.open(target.path, write=True) or nullcontext() as file:
        found = _resolve(as_written(target, file, state.position), file, state)
        if state.intent is not None:
            known = _close_intent(database, target, file, state, found)
        written = as_written(target, file, found.position)
        position = _position(written, file, found.position)
        history = origin.check(database, written, file, state.floor, position)
        is_first = found.position is not None and found.position.zone is None
        if (position.mark is not None and is_first) or history.is_new:
            known = save_state(database, target, known, State(position))
        anew = ""
        if written is not target:
            anew = _("begun anew, as the station's columns have changed; the old file is {path}")
            anew = anew.format(path=set_aside(target))
            position = zone.noted(target, None, begun(target, position.last_id))
        rows = _append_new_rows(database, target, None if anew else file, known, position)
    fresh_path(target.path).unlink(missing_ok=True)
    text = _text(_("{rows} appended"), rows, target, state, position, found, anew, history.note)
    return FileOutcome(target.path, text, rows)


def _dry_run_file(database: Database, target: Target) -> FileOutcome:
    state = load_state(database, target.name)
    with CsvFile.open(target.path, write=False) or nullcontext() as file:
        found = _resolve(as_written(target, file, state.position), file, state)
        written = as_written(target, file, found.position)
        position, anew = found.position, ""
        history = origin.SAME
        if position is None or found.cut_to is None:
            position = _position(written, file, position)
            history = origin.check(database, written, file, state.floor, position)
    if written is not target:
        anew = _("would be begun anew, as the station's columns have changed; the old file: {path}")
        anew = anew.format(path=kept_path(target))
    rows = target.rows.count(target.rows.new(position.last_id))
    note = history.note
    text = _text(_("{rows} would be appended"), rows, target, state, position, found, anew, note)
    return FileOutcome(target.path, text, rows)


def _position(target: Target, file: CsvFile | None, known: Position | None) -> Position:
    """Where to go on, in a file that is as the last export left it and written in this zone."""
    if file is not None and known is not None and known.mark not in (None, NOTHING):
        zone.check(target, known)
    return zone.noted(target, file, resume_position(target, file, known))


def _text(
    result: str,
    rows: int,
    target: Target,
    state: State,
    position: Position,
    found: Resolution,
    anew: str,
    history: str,
) -> str:
    done = result.format(rows=amount(rows, "row"))
    exported = state.position is not None and state.position.mark not in (None, NOTHING)
    if exported and position.mark == NOTHING and not anew:
        anew = _("begun anew, as the last export's file is gone")
    renamed = zone.changed(target, state.position)
    zeros = minus_zero.note(_minus_zeros(found.position, position))
    return "; ".join(part for part in (done, anew, renamed, zeros, found.note, history) if part)


def _minus_zeros(known: Position | None, position: Position) -> int:
    """How many zeros of ours have got the sign minus since the last export."""
    before = known.mark if known else None
    if before in (None, NOTHING) or position.mark in (None, NOTHING):
        return 0
    return position.mark.size_bytes - before.size_bytes


# The open intent. It was committed before the file was touched, so the file has all, some or none
# of the intended bytes. All: the position is moved. Some: they are cut off, to be appended again.
# Anything else is somebody else's, and nothing is touched.


def _resolve(target: Target, file: CsvFile | None, state: State) -> Resolution:
    """What to do about the open intent, if there is one; only looks.

    Raises ExportError when the file is not what the interrupted export can have left.
    """
    intent, position = state.intent, state.position
    if intent is None:
        return Resolution(position)
    if intent.import_id is not None or position is None:
        return _resolve_rebuild(file, intent, position)
    return _resolve_append(target, file, intent, position)


def _resolve_append(
    target: Target, file: CsvFile | None, intent: Intent, position: Position
) -> Resolution:
    start = intent.start_offset
    if file is None:
        if start:
            raise refusals.moved_midway(target.path)
        return Resolution(position)
    zone.check(target, position)
    if position.mark is not None:
        position = replace(position, mark=check_old_bytes(target, file, position, position.mark))
        start = position.mark.size_bytes if position.mark else start
    tail = file.read(start, intent.length)
    if not tail:
        return Resolution(position)
    if hashlib.sha256(tail).hexdigest() == intent.sha256:
        mark = file.mark_up_to(start + intent.length)
        moved = replace(position, last_id=intent.to_id, mark=mark, **_last(target, intent, tail))
        return Resolution(moved, note=_("an interrupted export was found to be complete"))
    _check_beginning(target, intent, start, file.size, tail)
    note = _("{n} bytes of an interrupted export cut off").format(n=len(tail))
    return Resolution(position, start, note)


def _last(target: Target, intent: Intent, tail: bytes) -> dict[str, Any]:
    """Of the last row that the whole intent has written: when it was received, and its time."""
    row = target.rows.last(target.rows.between(intent.from_id, intent.to_id))
    if row is None:
        return {}
    last = tail.removesuffix(b"\r\n").rpartition(b"\n")[2]
    return {"last_received_at": row[1], "last_time": time_of(last)}


def _check_beginning(target: Target, intent: Intent, start: int, size: int, tail: bytes) -> None:
    """Raises ExportError unless the file ends with a beginning of the intended bytes."""
    intended = _intended(target, intent)
    if hashlib.sha256(intended).hexdigest() != intent.sha256:
        raise refusals.not_reproducible(target.path, start)
    if size > start + len(tail) or not intended.startswith(tail):
        raise refusals.not_ours(target.path, tail, start)


def _intended(target: Target, intent: Intent) -> bytes:
    """The bytes of the intent, made again: ids never change their rows."""
    begin = b"" if intent.start_offset else target.header
    spans = target.rows.between(intent.from_id, intent.to_id)
    return begin + b"".join(piece.data for piece in target.pieces(spans))


def _resolve_rebuild(file: CsvFile | None, intent: Intent, position: Position | None) -> Resolution:
    """Either the rebuilt file has taken the name, or it is thrown away."""
    if file is None or file.size != intent.length or file.sha256() != intent.sha256:
        return Resolution(position, note=_("an interrupted rebuild was given up"))
    rebuilt = Position(
        first_id=intent.from_id,
        last_id=intent.to_id,
        import_id=intent.import_id or 0,
        begin_bytes=len(file.line(0)),
        mark=file.mark_up_to(intent.length),
    )
    return Resolution(rebuilt, note=_("an interrupted rebuild was found to be complete"))


def _close_intent(
    database: Database, target: Target, file: CsvFile | None, state: State, found: Resolution
) -> State:
    """Do what was found out about the open intent, and commit that it is done."""
    intent = state.intent
    if file is not None:
        if found.cut_to is not None:
            file.cut(found.cut_to)
        else:
            # Whoever died may have written or renamed it without waiting for the disk.
            file.sync()
        path = target.path.resolve()
        disk.sync(path.parent)
        if intent is not None and intent.import_id is not None:
            forget_kept(path)
    return save_state(database, target, state, State(found.position))


# The new rows. Whatever dies in between, the intent says which bytes may stand in the file.


def _append_new_rows(
    database: Database, target: Target, file: CsvFile | None, known: State, position: Position
) -> int:
    """Append what is new, a piece at a time, to a file that is as `position` says.

    `known` is what the database knows of it. The number of rows. The file is created with the first
    piece if there is none.
    """
    rows = 0
    with ExitStack() as created:
        for piece in _pieces(target, position):
            mark = position.mark or NOTHING
            intent = _intent_of(piece, position.last_id, mark.size_bytes)
            known = save_state(database, target, known, State(position, intent))
            file = file or created.enter_context(CsvFile.create(target.path))
            file.append(piece.data, mark.size_bytes)
            if mark == NOTHING:
                disk.sync(file.path.resolve().parent)
            mark = file.mark(zlib.crc32(piece.data, mark.checksum))
            position = replace(position, last_id=piece.last_id, mark=mark)
            if piece.last_received_at is not None:
                written = local_text(piece.last_received_at, target.zone)
                position = replace(
                    position, last_received_at=piece.last_received_at, last_time=written
                )
            known = save_state(database, target, known, State(position))
            rows += piece.rows
    return rows


def _pieces(target: Target, position: Position) -> Iterator[Piece]:
    """What is to be appended: for a new file the header, then PIECE_ROWS or a few more each."""
    parts = [target.header] if position.mark == NOTHING else []
    last_id, rows, last_received_at = position.last_id, 0, None
    for piece in target.pieces(target.rows.new(last_id)):
        parts.append(piece.data)
        last_id, rows, last_received_at = piece.last_id, rows + piece.rows, piece.last_received_at
        if rows >= PIECE_ROWS:
            yield Piece(b"".join(parts), last_id, rows, last_received_at)
            parts, rows = [], 0
    if parts:
        yield Piece(b"".join(parts), last_id, rows, last_received_at)


def _intent_of(piece: Piece, from_id: int, start_offset: int) -> Intent:
    return Intent(
        from_id=from_id,
        to_id=piece.last_id,
        start_offset=start_offset,
        length=len(piece.data),
        sha256=hashlib.sha256(piece.data).hexdigest(),
    )
