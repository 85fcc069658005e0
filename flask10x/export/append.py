"""Each station's new rows appended to its CSV file exactly once, even if the process is killed.

The files of the contract (section 3), one after the other, each in these steps
(docs/decisions/0023):

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
from gettext import ngettext
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.error_codes import reason_of
from flask10x.export import archived, checks, refusals, repair_commands, zone
from flask10x.export.earlier_columns import (
    archived_path,
    as_noted,
    as_written,
    of_its_station,
    of_station,
    set_aside,
    station_of,
    was_renamed,
)
from flask10x.export.file import NOTHING, CsvFile, forget_second_names, fresh_path
from flask10x.export.files import ArchivedFile, Floor, Intent, Position, State, mark_of
from flask10x.export.outcome import FileOutcome, for_each, missing_rows, target_of
from flask10x.export.position import (
    endpoints_of,
    first_line_floor,
    imported_elsewhere,
    rename,
    save_state,
    with_file,
)
from flask10x.export.rows import FileRows, Piece, Target
from flask10x.readings import numbers
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
    """What an open intent has led to: the position, what has to be cut off first, and a note."""

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
    outcomes = for_each(settings, database, stations, _export_file)
    if stations is None or len(stations) == len(settings.stations.all):
        outcomes += _of_former_stations(settings, database)
    return outcomes


def dry_run(
    settings: Settings, database: Database, stations: Sequence[Station] | None = None
) -> list[FileOutcome]:
    """Return what `export` would do; nothing is written."""
    return for_each(settings, database, stations, _dry_run_file)


def _export_file(database: Database, target: Target) -> FileOutcome:
    handed_over = _hand_over(database, target)
    if handed_over:
        # It begins behind the files that the station has had so far.
        target = replace(target, rows=target.rows.of(target.station))
    with CsvFile.open(target.path, write=True) or nullcontext() as file:
        run = _FileExport(database, target, file)
        archived.check_owner(target, file, run.before.position)
        run.resolve()
        run.close_intent()
        run.look()
        run.save_news()
        new_file, rows = "", 0
        if run.written is not target:
            rows, path = run.append_dropped(), archived_path(target)
            run.set_aside(path)
            run.begin_new_file()
            new_file = _(
                "started a new file, as the station's columns have changed; the old file is {path}"
            )
            new_file = new_file.format(path=path)
        rows += run.append(target)
    fresh_path(target.path).unlink(missing_ok=True)
    text = run.summary(_("{rows} appended"), rows, new_file)
    texts = filter(None, (text, *(outcome.text for outcome in handed_over)))
    failed = any(outcome.failed for outcome in handed_over)
    return FileOutcome(target.path, "; ".join(texts), rows, failed)


def _dry_run_file(database: Database, target: Target) -> FileOutcome:
    former = of_its_station(target, target.state.position)
    if former is not target:
        text = _("it would be ended, and a new one begun for /{endpoint}")
        outcome = _dry_run_file(database, former)
        text = f"{outcome.text}; {text.format(endpoint=target.station.endpoint)}"
        return replace(outcome, text=text)
    with CsvFile.open(target.path, write=False) or nullcontext() as file:
        run, new_file = _FileExport(database, target, file), ""
        archived.check_owner(target, file, run.before.position)
        run.resolve()
        if run.resolution.cut_to is None:
            run.look()
    if run.written is not target:
        text = _(
            "would start a new file, as the station's columns have changed; the old file: {path}"
        )
        new_file = text.format(path=archived_path(target))
    rows = target.rows.count(target.rows.new(run.position.last_id))
    return FileOutcome(
        target.path, run.summary(_("{rows} would be appended"), rows, new_file), rows
    )


class _FileExport:
    """The export of one file, or its dry run."""

    def __init__(self, database: Database, target: Target, file: CsvFile | None) -> None:
        self.database = database
        self.target = target
        self.file = file
        self.before = target.state
        """What the database had about the file before."""
        self.position = self.before.position or checks.first_position(target, 0)
        """Where new rows are appended."""
        self.resolution = Resolution(self.before.position)
        self.written = target
        """The target with the columns that the file was written with."""
        self.history = ""

    def resolve(self) -> None:
        """Find out what an open intent has left; only looks.

        Raises ExportError when the file is not what the interrupted export can have left.
        """
        self.resolution = _resolve(self.target, self.file, self.before)
        self.position = self.resolution.position or self.position
        self.written = as_written(self.target, self.file, self.resolution.position)

    def close_intent(self) -> None:
        """Do what the resolution of an open intent says, and commit that it is done."""
        intent, resolution = self.target.state.intent, self.resolution
        if intent is None:
            return
        if self.file is not None:
            if resolution.cut_to is not None:
                self.file.cut(resolution.cut_to)
            else:
                # The killed process may have written or renamed it without waiting for the disk.
                self.file.sync()
            path = self.target.path.resolve()
            disk.sync(path.parent)
            if intent.import_id is not None:
                forget_second_names(path)

        self.save(resolution.position)

    def look(self) -> None:
        """Find the position for new rows.

        Raises ExportError when the file is not as the last export left it, or in another zone.
        """
        position = self.resolution.position
        if self.file is not None and mark_of(position) != NOTHING:
            zone.check(self.written, position)
        position = checks.resume_position(self.written, self.file, position)
        position = zone.with_zone(self.written, self.file, position)
        self.position = position = with_file(self.written, position)
        self.history = checks.check_origin(self.database, self.written, self.file, position)

    def save(
        self,
        position: Position | None,
        *,
        intent: Intent | None = None,
        file: ArchivedFile | None = None,
    ) -> None:
        """Save the position and the intent, and the file that was archived."""
        save_state(self.database, self.target, State(position, intent), file)

    def save_news(self) -> None:
        """Save the position where it says more of the file than was saved before."""
        before, position, former = self.resolution.position, self.position, None
        if before is not None and position.mark == NOTHING:
            # A new file takes the place of the last export's, which may have been moved away.
            place = archived.elsewhere(self.target, before)
            former = archived.archived(self.target, before, place)
        if former or self.history or _is_news(before, position):
            self.save(position, file=former)

    def append_dropped(self) -> int:
        """Append to an old file up to the last new row with a value of a dropped column.

        That is a column of a measurement that was taken out of `stations.toml` before the export:
        the new file has no room for it. Returns the number of rows.
        """
        old = as_noted(self.target, self.file, self.position)
        dropped = set(old.station.columns).difference(self.target.station.columns)
        if old is self.target or old.unknown or not dropped:
            return 0
        last_id = old.rows.last_with(old.rows.new(self.position.last_id), dropped)
        if last_id is None:
            return 0
        rows = self.append(replace(old, rows=old.rows.up_to(last_id)))
        self.position = self.target.state.position or self.position
        return rows

    def set_aside(self, path: Path) -> None:
        """Give the file this name, once the database has what the file is."""
        file = archived.archived(self.target, self.position, path)
        self.save(self.position, file=file)
        set_aside(self.target, path)

    def begin_new_file(self) -> None:
        """Go on behind the file that was set aside."""
        position = checks.first_position(self.target, self.position.last_id)
        position = zone.with_zone(self.target, None, position)
        self.file, self.position = None, with_file(self.target, position)

    def append(self, target: Target) -> int:
        """Append the target's new rows to the file, a piece at a time; return their number.

        The file is created with the first piece if there is none. Killed at any time, the intent
        says which bytes may be in the file.
        """
        position, file, rows = self.position, self.file, 0
        with ExitStack() as created:
            for piece in _pieces(target, position):
                mark = position.mark
                intent = _intent_of(piece, position.last_id, mark.size_bytes)
                self.save(position, intent=intent)
                file = file or created.enter_context(CsvFile.create(target.path))
                file.append(piece.data, mark.size_bytes)
                if mark == NOTHING:
                    disk.sync(file.path.resolve().parent)
                mark = file.mark(zlib.crc32(piece.data, mark.checksum))
                position = replace(position, last_id=piece.last_id, mark=mark)
                if piece.last_received_at is not None:
                    last_time = local_text(piece.last_received_at, target.zone)
                    position = replace(
                        position, last_received_at=piece.last_received_at, last_time=last_time
                    )
                self.save(position)
                rows += piece.rows
        return rows

    def summary(self, result: str, rows: int, new_file: str) -> str:
        """Return the outcome for people: `result` with its `{rows}`, and what else happened.

        `new_file` says why a new file was begun; it is empty where none was, or the old one is
        gone.
        """
        before, mark = self.before.position, self.position.mark
        if mark_of(before) != NOTHING and mark == NOTHING and not new_file:
            new_file = _("started a new file, as that of the last export is gone")
        old_mark = mark_of(self.resolution.position)
        # A zero of the file that got a minus sign has one byte more.
        minus_zeros = 0 if NOTHING in (old_mark, mark) else mark.size_bytes - old_mark.size_bytes
        parts = (
            result.format(rows=amount(rows, "row")),
            new_file,
            zone.changed(self.target, before),
            numbers.minus_zero_note(minus_zeros),
            self.resolution.note,
            self.history,
            self._missing(),
        )
        return "; ".join(filter(None, parts))

    def _missing(self) -> str:
        """Say how many rows were imported under the name of the file, and are not in it."""
        imports = imported_elsewhere(self.target, self.position)
        spans = [each.span for each in imports if Path(each.file).name == self.target.name]
        return missing_rows(self.target.rows.count(spans))


def _is_news(before: Position | None, position: Position) -> bool:
    """Whether the position says more of the file than was saved; not that of a new file."""
    if before is None or position.mark == NOTHING:
        return False
    old, new = ((p.mark, p.path, p.columns) for p in (before, position))
    return old != new


# A file of another station, or of another name: `stations.toml` was changed.


def _hand_over(database: Database, target: Target) -> list[FileOutcome]:
    """End the file that another station has under this name, and those of the station elsewhere.

    Returns the outcome of each such file; its text may be empty. The other station's last rows are
    appended before.
    """
    position = target.state.position
    former = of_its_station(target, position)
    outcomes = []
    if position is not None and former is not target:
        outcomes.append(_end_file(database, former, position))
    for name in target.rows.log.files.names_of(target.station.endpoint):
        if name != target.name:
            text = _leave_file(database, target, name)
            outcomes.append(FileOutcome(target.path.with_name(name), text))
    return outcomes


def _end_file(database: Database, former: Target, position: Position) -> FileOutcome:
    """Append the last rows of the station that had the file before, and set the file aside."""
    if not former.path.exists() and not former.rows.count(former.rows.new(position.last_id)):
        place = archived.elsewhere(former, position)
        save_state(database, former, State(None), archived.archived(former, position, place))
        return FileOutcome(former.path, "")
    missing = _in_no_file(former, position)
    _export_file(database, former)
    run, path = _FileExport(database, former, None), archived_path(former)
    run.set_aside(path)
    run.save(None)
    text = _("a new file was begun, as this was the file of /{endpoint}; that one is {path}")
    text = text.format(endpoint=former.station.endpoint, path=path)
    return FileOutcome(path, "; ".join(filter(None, (text, missing))), failed=bool(missing))


def _in_no_file(former: Target, position: Position) -> str:
    """Say which values of a former station's last rows have no column in its file, if any."""
    readings, columns = former.rows.values_elsewhere(former.rows.new(position.last_id))
    if not readings:
        return ""
    text = ngettext(
        "{n} reading of /{endpoint} has values that are in no CSV file ({columns}): measurements"
        " that were added after the last export. Put the station's entry back and run: {command}",
        "{n} readings of /{endpoint} have values that are in no CSV file ({columns}): measurements"
        " that were added after the last export. Put the station's entry back and run: {command}",
        readings,
    )
    return text.format(
        n=readings,
        endpoint=former.station.endpoint,
        columns=", ".join(columns),
        command=f"flask10x export && {repair_commands.whole(former.path)}",
    )


def _leave_file(database: Database, target: Target, name: str) -> str:
    """Go on behind a file that the station had under another name before."""
    former = of_station(target, replace(target.station, csv_name=name))
    former = replace(former, name=name, path=target.path.with_name(name))
    if target.state.position is None and was_renamed(former, target, former.state.position):
        rename(database, former, target.name)
        return ""
    with CsvFile.open(former.path, write=True) or nullcontext() as file:
        run = _FileExport(database, former, file)
        run.resolve()
        run.close_intent()
        if _is_as_left(run):
            run.append_dropped()
    path = None
    if former.path.exists():
        path = archived_path(former)
        run.set_aside(path)
    place = archived.elsewhere(former, run.position)
    run.save(None, file=archived.archived(former, run.position, place))
    text = _("it goes on after {name}, which the station had before; that one is {path}")
    return text.format(name=name, path=path or _("gone"))


def _is_as_left(run: _FileExport) -> bool:
    """Whether the file is what the last export left, in this command's time zone."""
    position = run.position
    if run.file is None or position.mark == NOTHING:
        return False
    is_ours = run.file.size == position.mark.size_bytes
    is_ours = is_ours and not zone.difference(run.target, position)
    return is_ours and checks.find_old_bytes(run.file, position) is not None


def _of_former_stations(settings: Settings, database: Database) -> list[FileOutcome]:
    """Append the last rows of former stations, and name their readings that are in no file."""
    try:
        with database.reader.begin() as connection:
            endpoints = endpoints_of(connection)
        return [
            outcome
            for endpoint in endpoints
            if endpoint not in settings.stations.by_endpoint
            for outcome in _of_former_station(settings, database, endpoint)
        ]
    except DBAPIError as error:
        text = _("the database cannot be used: {reason}").format(reason=reason_of(error))
        return [FileOutcome(settings.csv_dir, text, failed=True)]


def _of_former_station(settings: Settings, database: Database, endpoint: str) -> list[FileOutcome]:
    """Return the outcome of one of them, none where its file is up to date."""
    station = station_of(endpoint, f"{endpoint}.csv", "")
    rows = FileRows(database, station)
    names_of_now = {each.csv_name for each in settings.stations.all}
    for name, position in rows.log.files.positions.items():
        if position.endpoint == endpoint and name not in names_of_now:
            station = station_of(endpoint, name, position.columns or "")
            target = target_of(settings, database, station, rows.log)
            if not target.rows.count(target.rows.new(position.last_id)):
                return []
            text = _("the station /{endpoint} is no longer in stations.toml")
            text, missing = text.format(endpoint=endpoint), _in_no_file(target, position)
            (outcome,) = for_each(settings, database, [station], _export_file)
            text = "; ".join(filter(None, (outcome.text, text, missing)))
            return [replace(outcome, text=text, failed=outcome.failed or bool(missing))]
    waiting = rows.count(rows.received(rows.archived_to))
    if not waiting:
        return []
    text = ngettext(
        "{n} reading of /{endpoint} is in no CSV file, and no station of that name is in"
        " stations.toml. Put its entry back, run flask10x export, and take it away again",
        "{n} readings of /{endpoint} are in no CSV file, and no station of that name is in"
        " stations.toml. Put its entry back, run flask10x export, and take it away again",
        waiting,
    )
    text = text.format(n=waiting, endpoint=endpoint)
    return [FileOutcome(settings.csv_dir / station.csv_name, text, failed=True)]


# The open intent. It was committed before the file was touched, so the file has all, some or none
# of the intended bytes. All: the position is moved. Some: they are cut off, to be appended again.
# Anything else comes from another program, and nothing is touched.


def _resolve(target: Target, file: CsvFile | None, state: State) -> Resolution:
    intent, position = state.intent, state.position
    target = as_noted(target, file, position)
    if intent is None:
        return Resolution(position)
    if intent.import_id is not None or position is None:
        return _resolve_rebuild(target, file, intent, state)
    return _resolve_append(target, file, intent, position)


def _resolve_append(
    target: Target, file: CsvFile | None, intent: Intent, position: Position
) -> Resolution:
    if file is None:
        if intent.start_offset:
            raise refusals.moved_midway(target.path)
        return Resolution(position)
    zone.check(target, position)
    position = replace(position, mark=checks.check_old_bytes(target, file, position))
    start = position.mark.size_bytes
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
    """Return when the last row of the intent was received, and how its time is written."""
    row = target.rows.last(target.rows.between(intent.from_id, intent.to_id))
    if row is None:
        return {}
    last = tail.removesuffix(b"\r\n").rpartition(b"\n")[2]
    return {"last_received_at": row[1], "last_time": time_of(last)}


def _check_beginning(target: Target, intent: Intent, start: int, size: int, tail: bytes) -> None:
    """Raise ExportError unless the file ends with a beginning of the intended bytes."""
    # Ids never change their rows, so the bytes can be made again.
    spans = target.rows.between(intent.from_id, intent.to_id)
    intended = b"" if intent.start_offset else target.header
    intended += b"".join(piece.data for piece in target.pieces(spans))
    if hashlib.sha256(intended).hexdigest() != intent.sha256:
        raise refusals.not_reproducible(target.path, start)
    if size > start + len(tail) or not intended.startswith(tail):
        raise refusals.not_ours(target.path, tail, start)


def _resolve_rebuild(
    target: Target, file: CsvFile | None, intent: Intent, state: State
) -> Resolution:
    """Either the rebuilt file has taken the name, or it is thrown away."""
    before = state.position
    if file is None or not file.is_whole(intent.length, intent.sha256):
        note = _("an interrupted rebuild was given up")
        return Resolution(before, note=note)
    rebuilt = Position(
        first_id=intent.from_id,
        last_id=intent.to_id,
        import_id=intent.import_id or 0,
        begin_bytes=len(file.line(0)),
        mark=file.mark_up_to(intent.length),
        floor=_floor_of_rebuilt(target, before, intent),
    )
    floor = rebuilt.floor
    target = as_written(target, file, rebuilt)
    if before and floor and floor.last_id and file.size == floor.size_bytes:
        # All of it was kept byte for byte: no row of the database shows its time zone.
        rebuilt = replace(
            rebuilt,
            zone=before.zone,
            last_received_at=before.last_received_at,
            last_time=before.last_time,
        )
    else:
        rebuilt = zone.with_zone(target, file, rebuilt)
    note = _("an interrupted rebuild was found to be complete")
    return Resolution(with_file(target, rebuilt), note=note)


def _floor_of_rebuilt(target: Target, before: Position | None, intent: Intent) -> Floor | None:
    """Return the floor that the rebuild kept, or the file's first line where that is archived."""
    if before and before.floor and before.first_id == intent.from_id:
        return before.floor
    if target.rows.removed.last_id > intent.from_id:
        return first_line_floor(target)
    return None


# The new rows.


def _pieces(target: Target, position: Position) -> Iterator[Piece]:
    """Yield what is to be appended: a header for a new file, PIECE_ROWS or a few more each."""
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
