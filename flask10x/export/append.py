"""The CSV files of the contract (section 3): a follower of the log for each station.

New rows are appended exactly once, whatever dies meanwhile (docs/decisions/0035): the intent
is committed, whole lines are appended in one write and synced, the new position is committed.
"""

import zlib
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from flask10x.config.settings import Settings
from flask10x.database.engine import Database
from flask10x.export import intents
from flask10x.export import position as positions
from flask10x.export.checks import NOTHING, Target, resume_position
from flask10x.export.file import CsvFile, forget_kept, make_folder
from flask10x.export.intents import Resolution, fresh_path
from flask10x.export.outcome import FileOutcome, for_each
from flask10x.export.position import Intent, Position, State
from flask10x.readings.csv_lines import Lines
from flask10x.readings.stations import STATIONS, Station
from flask10x.system import disk
from flask10x.system.wording import amount

# Rows appended under one intent: some 6 MB. A night's rows are one piece, and a backlog of
# millions costs two commits and two syncs a piece, with one piece at a time in memory.
PIECE_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes to append, and the id that the file has come to with them."""

    data: bytes
    last_id: int
    rows: int


def export(
    settings: Settings, database: Database, stations: Sequence[Station] = STATIONS
) -> list[FileOutcome]:
    """Bring every file up to date; a file that fails does not keep the others from theirs.

    The database must have been opened with `synchronous=FULL`, and the caller holds the lock
    `export`.
    """
    return for_each(settings, database, stations, _follow)


def dry_run(
    settings: Settings, database: Database, stations: Sequence[Station] = STATIONS
) -> list[FileOutcome]:
    """What `export` would do; writes nothing."""
    return for_each(settings, database, stations, _foresee)


def _follow(database: Database, target: Target) -> FileOutcome:
    """Mend what an interrupted export left, then append the new rows."""
    state = positions.load(database, target.name)
    with CsvFile.open(target.path, write=True) or nullcontext() as file:
        found = intents.resolve(target, file, state)
        if state.intent is not None:
            _mend(database, target, file, found, state.intent)
        position = resume_position(target, file, found.position)
        rows = _append_all(database, target, file, position)
    fresh_path(target.path).unlink(missing_ok=True)
    return FileOutcome(
        target.path, _text(f"{amount(rows, 'row')} appended", state, position, found), rows
    )


def _foresee(database: Database, target: Target) -> FileOutcome:
    state = positions.load(database, target.name)
    with CsvFile.open(target.path, write=False) or nullcontext() as file:
        found = intents.resolve(target, file, state)
        position = found.position
        if position is None or found.cut_to is None:
            position = resume_position(target, file, position)
    rows = target.rows.count(target.rows.new(position.last_id))
    text = _text(f"{amount(rows, 'row')} would be appended", state, position, found)
    return FileOutcome(target.path, text, rows)


def _mend(
    database: Database, target: Target, file: CsvFile | None, found: Resolution, intent: Intent
) -> None:
    """Do what was found out about an open intent, and close it."""
    if file is not None:
        if found.cut_to is not None:
            file.cut(found.cut_to)
        else:
            # Whoever died may have written or renamed it without waiting for the disk.
            file.sync()
        path = target.path.resolve()
        disk.sync(path.parent)
        if intent.import_id is not None:
            forget_kept(path)
    positions.save(database, target.name, State(found.position))


def _append_all(
    database: Database, target: Target, file: CsvFile | None, position: Position
) -> int:
    """Append what is new, a piece at a time; the number of rows."""
    rows, created = 0, None
    try:
        for piece in _pieces(target, position):
            intent = intents.intent_of(position, piece.last_id, piece.data)
            positions.save(database, target.name, State(position, intent))
            file = file or (created := _created(target.path))
            position = _append(file, position, piece)
            positions.save(database, target.name, State(position))
            rows += piece.rows
    finally:
        if created is not None:
            created.close()
    return rows


def _created(path: Path) -> CsvFile:
    make_folder(path.parent)
    # Behind a link: its file may have been archived.
    return CsvFile.create(path.resolve())


def _append(file: CsvFile, position: Position, piece: Piece) -> Position:
    """Bring the piece onto the disk, or leave the file as it was; the position after it."""
    mark = position.mark or NOTHING
    try:
        file.append(piece.data, mark.size_bytes)
        file.sync()
    except OSError:
        intents.take_back(file, mark.size_bytes, piece.data)
        raise
    if mark == NOTHING:
        disk.sync(file.path.resolve().parent)
    checksum = zlib.crc32(piece.data, mark.checksum)
    return replace(position, last_id=piece.last_id, mark=file.mark(checksum))


def _pieces(target: Target, position: Position) -> Iterator[Piece]:
    lines = Lines(target.zone)
    parts = [target.header] if position.mark == NOTHING else []
    last_id, rows = position.last_id, 0
    for page in target.rows.pages(target.rows.new(last_id)):
        parts.append(lines.bytes(page))
        last_id, rows = page[-1][0], rows + len(page)
        if rows >= PIECE_ROWS:
            yield Piece(b"".join(parts), last_id, rows)
            parts, rows = [], 0
    if parts:
        yield Piece(b"".join(parts), last_id, rows)


def _text(result: str, state: State, position: Position, found: Resolution) -> str:
    exported = state.position is not None and state.position.mark not in (None, NOTHING)
    gone = exported and position.mark == NOTHING
    anew = "begun anew, as the last export's file is gone" if gone else ""
    return "; ".join(part for part in (result, anew, found.note) if part)
