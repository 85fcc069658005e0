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
from dataclasses import replace
from gettext import gettext as _
from gettext import ngettext
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.export import checks, refusals
from flask10x.export.file import NOTHING, CsvFile, fresh_path
from flask10x.export.files import Intent, Position, State, mark_of
from flask10x.export.outcome import FileOutcome, for_each, missing_rows, unusable
from flask10x.export.rows import FileRows, endpoints_of, live
from flask10x.export.target import Piece, Target, rename, save_state, station_of, target_of
from flask10x.readings.csv_lines import time_of
from flask10x.readings.stations import Station
from flask10x.readings.times import local_text
from flask10x.system import disk
from flask10x.system.wording import amount

# Rows appended under one intent: some 6 MB. A night's rows are one piece, and a backlog of
# millions costs two commits and two syncs a piece, with one piece at a time in memory.
PIECE_ROWS = 100_000


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
        try:
            outcomes += _of_former_stations(settings, database)
        except DBAPIError as error:
            outcomes.append(FileOutcome(settings.csv_dir, unusable(error), failed=True))
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
    is_rebuilt = target.finish_rebuild()
    with CsvFile.open(target.path, write=True) or nullcontext() as file:
        run = _FileExport(database, target, file, is_rebuilt=is_rebuilt)
        checks.check_owner(target, file, run.before.position)
        run.resolve()
        run.close_intent()
        run.look()
        run.save_news()
        new_file, rows = "", 0
        if run.written is not target:
            rows, path = run.append_dropped(), target.archived_path()
            run.set_aside(path)
            # Go on behind it.
            position = checks.first_position(target, run.position.last_id)
            run.file, run.position = None, target.with_file(position)
            new_file = _(
                "started a new file, as the station's columns have changed; the old file is {path}"
            )
            new_file = new_file.format(path=path)
        rows += run.append(target)
    text = run.summary(_("{rows} appended"), rows, new_file)
    return FileOutcome(target.path, "; ".join(filter(None, (text, *handed_over))), rows)


def _dry_run_file(database: Database, target: Target) -> FileOutcome:
    former = target.of_its_station()
    if former is not target:
        text = _("it would be ended, and a new one begun for /{endpoint}")
        outcome = _dry_run_file(database, former)
        text = f"{outcome.text}; {text.format(endpoint=target.station.endpoint)}"
        return replace(outcome, text=text)
    is_rebuilt = target.is_rebuilt_beside()
    path = fresh_path(target.path) if is_rebuilt else target.path
    with CsvFile.open(path, write=False) or nullcontext() as file:
        run, new_file = _FileExport(database, target, file, is_rebuilt=is_rebuilt), ""
        checks.check_owner(target, file, run.before.position)
        run.resolve()
        if run.cut_to is None:
            run.look()
    if run.written is not target:
        text = _(
            "would start a new file, as the station's columns have changed; the old file: {path}"
        )
        new_file = text.format(path=target.archived_path())
    rows = target.rows.count(target.rows.new(run.position.last_id))
    text = run.summary(_("{rows} would be appended"), rows, new_file)
    return FileOutcome(target.path, text, rows)


class _FileExport:
    """The export of one file, or its dry run."""

    def __init__(
        self, database: Database, target: Target, file: CsvFile | None, *, is_rebuilt: bool = False
    ) -> None:
        self.database = database
        self.target = target
        self.file = file
        self.before = target.state
        """What the database had about the file before."""
        self.resolved = self.before.position
        """The same once an open intent is resolved."""
        self.position = self.resolved or checks.first_position(target, 0)
        """Where new rows are appended."""
        self.cut_to: int | None = None
        """Where the file has to be cut, because an interrupted export has left a part of a row."""
        self.note = self.history = ""
        if is_rebuilt:
            self.note = _("an interrupted rebuild was found to be complete")
        self.zone_note = target.changed_zone()
        self.written = target
        """The target with the columns that the file was written with."""

    # The open intent was committed before the file was touched, so the file has all, some or none
    # of the intended bytes. All: the position is moved. Some: they are cut off, to be appended
    # again. Anything else comes from another program, and nothing is touched.

    def resolve(self) -> None:
        """Find out what an open intent has left; only looks.

        Raises ExportError when the file is not what the interrupted export can have left.
        """
        intent, position = self.before.intent, self.before.position
        if intent is not None and position is not None:
            target = self.target.as_written(self.file, position)
            self._resolve_append(target, intent, position)
        self.position = self.resolved or self.position
        self.written = self.target.as_written(self.file, self.resolved)

    def _resolve_append(self, target: Target, intent: Intent, position: Position) -> None:
        file = self.file
        if file is None:
            if intent.start_offset:
                raise refusals.moved_midway(target.path)
            return
        checks.check_zone(target, position)
        position = replace(position, mark=checks.check_old_bytes(target, file, position))
        self.resolved, start = position, position.mark.size_bytes
        tail = file.read(start, intent.length)
        # Ids never change their rows, so the bytes can be made again.
        spans = [*live(intent.from_id, intent.to_id, target.rows.imports)]
        if not tail:
            return
        if hashlib.sha256(tail).hexdigest() == intent.sha256:
            mark = file.mark_up_to(start + intent.length)
            self.resolved = replace(position, last_id=intent.to_id, mark=mark)
            if (row := target.rows.last(spans)) is not None:
                last_time = time_of(tail.removesuffix(b"\r\n").rpartition(b"\n")[2])
                self.resolved = replace(self.resolved, last_received_at=row[1], last_time=last_time)
            self.note = _("an interrupted export was found to be complete")
            return
        intended = b"" if intent.start_offset else target.header
        intended += b"".join(piece.data for piece in target.pieces(spans))
        if hashlib.sha256(intended).hexdigest() != intent.sha256:
            raise refusals.not_reproducible(target.path, start)
        if file.size > start + len(tail) or not intended.startswith(tail):
            raise refusals.not_ours(target.path, tail, start)
        self.cut_to = start
        self.note = _("{n} bytes of an interrupted export cut off").format(n=len(tail))

    def close_intent(self) -> None:
        """Do what the resolution of an open intent says, and commit that it is done."""
        intent = self.before.intent
        if intent is None:
            return
        if self.file is not None:
            if self.cut_to is not None:
                self.file.cut(self.cut_to)
            else:
                # The killed process may have written or renamed it without waiting for the disk.
                self.file.sync()
            disk.sync(self.target.path.resolve().parent)
        save_state(self.database, self.target, State(self.resolved))

    def look(self) -> None:
        """Find the position for new rows.

        Raises ExportError when the file is not as the last export left it, or in another zone.
        """
        position = checks.resume_position(self.written, self.file, self.resolved)
        self.position = position = self.written.with_file(position)
        self.history = checks.check_origin(self.database, self.written, self.file, position)

    def save_news(self) -> None:
        """Save the position where it says more of the file than was saved before."""
        before, position, former = self.resolved, self.position, None
        if before is not None and position.mark == NOTHING:
            # A new file takes the place of the last export's, which may have been moved away.
            former = self.target.archived(before)
        old, new = ((each.mark, each.path, each.columns) for each in (before or position, position))
        is_news = position.mark != NOTHING and old != new
        if former or self.history or is_news:
            save_state(self.database, self.target, State(position), former)

    def append_dropped(self) -> int:
        """Append to an old file up to the last new row with a value of a dropped column.

        That is a column of a measurement that was taken out of `stations.toml` before the export:
        the new file has no room for it. Returns the number of rows.
        """
        old = self.written
        dropped = set(old.station.columns).difference(self.target.station.columns)
        if not dropped:
            return 0
        last_id = old.rows.last_with(old.rows.new(self.position.last_id), dropped)
        if last_id is None:
            return 0
        rows = self.append(old, last_id)
        self.position = self.target.state.position or self.position
        return rows

    def set_aside(self, path: Path) -> None:
        """Give the file this name, durably, once the database has what the file is."""
        file = self.target.archived(self.position, path)
        save_state(self.database, self.target, State(self.position), file)
        self.target.path.resolve().rename(path)
        disk.sync(path.parent)

    def append(self, target: Target, until: int | None = None) -> int:
        """Append the target's new rows to the file, up to one of them; return their number.

        They come a piece at a time. The file is created with the first piece if there is none.
        Killed at any time, the intent says which bytes may be in the file.
        """
        position, file, rows = self.position, self.file, 0
        with ExitStack() as created:
            for piece in _pieces(target, position, until):
                mark = position.mark
                intent = Intent(
                    from_id=position.last_id,
                    to_id=piece.last_id,
                    start_offset=mark.size_bytes,
                    length=len(piece.data),
                    sha256=hashlib.sha256(piece.data).hexdigest(),
                )
                save_state(self.database, self.target, State(position, intent))
                file = file or created.enter_context(CsvFile.create(target.path))
                file.append(piece.data, mark.size_bytes)
                if mark == NOTHING:
                    disk.sync(file.path.resolve().parent)
                mark = file.mark(zlib.crc32(piece.data, mark.checksum))
                position = replace(position, last_id=piece.last_id, mark=mark)
                if (last_ms := piece.last_received_at) is not None:
                    last_time = local_text(last_ms, target.zone)
                    position = replace(position, last_received_at=last_ms, last_time=last_time)
                save_state(self.database, self.target, State(position))
                rows += piece.rows
        return rows

    def summary(self, result: str, rows: int, new_file: str) -> str:
        """Return the outcome for people: `result` with its `{rows}`, and what else happened.

        `new_file` says why a new file was begun; it is empty where none was, or the old one is
        gone.
        """
        before, mark, target = self.before.position, self.position.mark, self.target
        if mark_of(before) != NOTHING and mark == NOTHING and not new_file:
            new_file = _("started a new file, as that of the last export is gone")
        imports = target.imported_elsewhere(self.position)
        missing = [each.span for each in imports if Path(each.file).name == target.name]
        parts = (
            result.format(rows=amount(rows, "row")),
            new_file,
            self.zone_note,
            self.note,
            self.history,
            missing_rows(target.rows.count(missing)),
        )
        return "; ".join(filter(None, parts))


def _pieces(target: Target, position: Position, until: int | None) -> Iterator[Piece]:
    """Yield what is to be appended: a header for a new file, PIECE_ROWS or a few more each."""
    parts = [target.header] if position.mark == NOTHING else []
    last_id, rows, last_received_at = position.last_id, 0, None
    for piece in target.pieces(target.rows.new(last_id, until)):
        parts.append(piece.data)
        last_id, rows, last_received_at = piece.last_id, rows + piece.rows, piece.last_received_at
        if rows >= PIECE_ROWS:
            yield Piece(b"".join(parts), last_id, rows, last_received_at)
            parts, rows = [], 0
    if parts:
        yield Piece(b"".join(parts), last_id, rows, last_received_at)


# A file of another station, or of another name: `stations.toml` was changed.


def _hand_over(database: Database, target: Target) -> list[str]:
    """End the file that another station has under this name, and those of the station elsewhere.

    Returns what was done with each such file, for people; it may be empty. The other station's
    last rows are appended before.
    """
    former = target.of_its_station()
    texts = [_end_file(database, former)] if former is not target else []
    return texts + leave_files(database, target)


def _end_file(database: Database, former: Target) -> str:
    """Append the last rows of the station that had the file before, and set the file aside."""
    if not former.path.exists() and not former.rows.count(former.waiting()):
        archived = former.archived(former.state.position)
        save_state(database, former, State(None), archived)
        return ""
    _export_file(database, former)
    run, path = _FileExport(database, former, None), former.archived_path()
    run.set_aside(path)
    save_state(database, former, State(None))
    text = _("a new file was begun, as this was the file of /{endpoint}; that one is {path}")
    return text.format(endpoint=former.station.endpoint, path=path)


def leave_files(database: Database, target: Target, *, lost: bool = True) -> list[str]:
    """End the files that the station has under other names; return what was done, for people.

    With `lost` also those that are gone.
    """
    texts = []
    for name in target.rows.log.files.names_of(target.station.endpoint):
        former = target.of_station(replace(target.station, csv_name=name))
        former = replace(former, name=name, path=target.path.with_name(name))
        if name != target.name and (lost or former.path.exists() or former.was_renamed(target)):
            texts.append(_leave_file(database, target, former))
    return texts


def _leave_file(database: Database, target: Target, former: Target) -> str:
    """Go on behind a file that the station had under another name before."""
    if target.state.position is None and former.was_renamed(target):
        rename(database, former, target.name)
        return ""
    former.finish_rebuild()
    with CsvFile.open(former.path, write=True) or nullcontext() as file:
        run = _FileExport(database, former, file)
        run.resolve()
        run.close_intent()
        position, mark = run.position, run.position.mark
        is_whole = file is not None and mark != NOTHING and file.size == mark.size_bytes
        is_ours = is_whole and not former.other_zone(position)
        # It is what the last export left, in this command's time zone.
        if file is not None and is_ours and position.is_in(file):
            run.append_dropped()
    path = None
    if former.path.exists():
        path = former.archived_path()
        run.set_aside(path)
    save_state(database, former, State(None), former.archived(run.position))
    text = _("it goes on after {name}, which the station had before; that one is {path}")
    return text.format(name=former.name, path=path or _("gone"))


def _of_former_stations(settings: Settings, database: Database) -> Iterator[FileOutcome]:
    """Append the last rows of former stations, and name their readings that are in no file."""
    with database.reader.begin() as connection:
        endpoints = endpoints_of(connection)
    for endpoint in endpoints:
        if endpoint not in settings.stations.by_endpoint:
            yield from _of_former_station(settings, database, endpoint)


def _of_former_station(
    settings: Settings, database: Database, endpoint: str
) -> Iterator[FileOutcome]:
    """Yield the outcome of one of them, none where its file is up to date."""
    station = station_of(endpoint, f"{endpoint}.csv", "")
    rows = FileRows(database, station)
    names_of_now = {each.csv_name for each in settings.stations.all}
    for name, position in rows.log.files.positions.items():
        if position.endpoint == endpoint and name not in names_of_now:
            station = station_of(endpoint, name, position.columns or "")
            target = target_of(settings, database, station, rows.log)
            if target.rows.count(target.waiting()):
                text = _("the station /{endpoint} is no longer in stations.toml")
                (outcome,) = for_each(settings, database, [station], _export_file)
                text = f"{outcome.text}; {text.format(endpoint=endpoint)}"
                yield replace(outcome, text=text)
            return
    if waiting := rows.count([*live(rows.archived_to, rows.head, rows.all_imports)]):
        text = ngettext(
            "{n} reading of /{endpoint} is in no CSV file, and no station of that name is in"
            " stations.toml. Put its entry back, run flask10x export, and take it away again",
            "{n} readings of /{endpoint} are in no CSV file, and no station of that name is in"
            " stations.toml. Put its entry back, run flask10x export, and take it away again",
            waiting,
        )
        text = text.format(n=waiting, endpoint=endpoint)
        yield FileOutcome(settings.csv_dir / station.csv_name, text, failed=True)
