"""What became of an export that was interrupted: the open intent, resolved.

The intent was committed before the file was touched, so the file has none, some or all of the
intended bytes. All: the position is moved. Some: they are cut off, to be appended again. Anything
else is somebody else's, and nothing is touched.
"""

import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from flask10x.export import refusals
from flask10x.export.checks import Target, check_old_bytes
from flask10x.export.file import CsvFile, Mark
from flask10x.export.position import Intent, Position, State
from flask10x.readings.csv_lines import Lines


@dataclass(frozen=True, slots=True)
class Resolution:
    """Where the file stands, what has to be cut off first, and what to tell people."""

    position: Position | None
    cut_to: int | None = None
    note: str = ""


def resolve(target: Target, file: CsvFile | None, state: State) -> Resolution:
    """What to do about the open intent, if there is one; only looks.

    Raises ExportError when the file is not what the interrupted export can have left.
    """
    if state.intent is None:
        return Resolution(state.position)
    if state.intent.import_id is not None or state.position is None:
        return _replacing(target, file, state.intent, state.position)
    return _appending(target, file, state.intent, state.position)


def intent_of(position: Position, to_id: int, data: bytes) -> Intent:
    """The intent to append `data`, which brings the file to `to_id`."""
    return Intent(
        from_id=position.last_id,
        to_id=to_id,
        start_offset=position.mark.size_bytes if position.mark else 0,
        length=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def take_back(file: CsvFile, start: int, data: bytes) -> None:
    """Cut off what a failed append left of `data`; leaves the file alone when it can't."""
    with suppress(OSError):
        tail = file.read(start, len(data) + 1)
        if tail and data.startswith(tail):
            file.cut(start)


def fresh_path(path: Path) -> Path:
    """Where a rebuilt file is written before it takes the old one's name."""
    real = path.resolve()
    return real.with_name(f".{real.name}.rebuilt")


def _appending(
    target: Target, file: CsvFile | None, intent: Intent, position: Position
) -> Resolution:
    start, mark = intent.start_offset, position.mark
    if file is None:
        if start:
            raise refusals.moved_midway(target.path)
        return Resolution(position)
    if mark is not None:
        check_old_bytes(target, file, mark)
    tail = file.read(start, intent.length)
    if not tail:
        return Resolution(position)
    if hashlib.sha256(tail).hexdigest() == intent.sha256:
        end = start + intent.length
        moved = replace(position, last_id=intent.to_id, mark=_mark(file, end))
        return Resolution(moved, note="an interrupted export was found to be complete")
    _check_beginning(target, intent, file.size, tail)
    return Resolution(position, start, f"{len(tail)} bytes of an interrupted export cut off")


def _check_beginning(target: Target, intent: Intent, size: int, tail: bytes) -> None:
    intended = _intended(target, intent)
    if hashlib.sha256(intended).hexdigest() != intent.sha256:
        raise refusals.not_reproducible(target.path, intent.start_offset)
    if size > intent.start_offset + len(tail) or not intended.startswith(tail):
        raise refusals.not_ours(target.path, tail, intent.start_offset)


def _intended(target: Target, intent: Intent) -> bytes:
    """The bytes of the intent, made again: ids never change their rows."""
    spans, lines = target.rows.between(intent.from_id, intent.to_id), Lines(target.zone)
    begin = b"" if intent.start_offset else target.header
    return begin + b"".join(lines.bytes(page) for page in target.rows.pages(spans))


def _replacing(
    target: Target, file: CsvFile | None, intent: Intent, position: Position | None
) -> Resolution:
    """A rebuilt file: either it has taken the name, or it is thrown away."""
    if file is None or file.size != intent.length or file.sha256() != intent.sha256:
        return Resolution(position, note="an interrupted rebuild was given up")
    done = Position(
        first_id=intent.from_id,
        last_id=intent.to_id,
        import_id=intent.import_id or 0,
        begin_bytes=len(target.header),
        mark=_mark(file, intent.length),
    )
    return Resolution(done, note="an interrupted rebuild was found to be complete")


def _mark(file: CsvFile, end: int) -> Mark:
    """What the file is, as far as `end`."""
    return replace(file.mark(file.checksum(end)), size_bytes=end)
