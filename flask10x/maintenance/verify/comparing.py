"""Compares the copies piece by piece; what differs is only noted, `judging.py` says which is wrong.

Each piece is a short transaction, so the service goes on meanwhile and its WAL can be reset. A
comparison can go on from the place at which another process has left it.

Three things look like a difference and are none: readings that RETENTION_DAYS has removed, readings
that a backup has and the table does not (a person has deleted them, or a rescue has lost them), and
a backup of another history of the database, whose ids are those of other readings.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from gettext import gettext as _
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database import csv_owner, dialects, engines, schema
from flask10x.database.database import Database, all_rows
from flask10x.database.dialects import last_id
from flask10x.database.error_codes import reason_of
from flask10x.database.insert import HEAD, existing_columns
from flask10x.database.paths import database_path
from flask10x.database.removed import load_removed
from flask10x.database.sqlite.file import open_read_only
from flask10x.database.tables import measurement, readings, rollup_days, rollups
from flask10x.errors import Flask10xError, ReplicaBroken
from flask10x.export import only_copies, zone
from flask10x.export.checks import find_old_bytes
from flask10x.export.earlier_columns import as_written, of_its_station
from flask10x.export.file import NOTHING, CsvFile
from flask10x.export.files import Position, State, load_files
from flask10x.export.only_copies import LostFile
from flask10x.export.outcome import target_of
from flask10x.export.position import exported_rows, load_state
from flask10x.export.rows import ROW_COLUMNS, IdSpan, Target, behind
from flask10x.history import days
from flask10x.history.rollup_check import (
    BEFORE_ALL_HOURS,
    verify_days_after,
    verify_hours_after,
)
from flask10x.history.sums import stored_sums
from flask10x.maintenance import replica
from flask10x.readings import csv_lines
from flask10x.readings.csv_lines import Lines, LogRow
from flask10x.readings.numbers import lines_without_minus_zero
from flask10x.readings.stations import Station
from flask10x.system import backup_files, disk
from flask10x.system.wording import megabytes

SAVED = ("backup", "replica")
# Ids of one short transaction.
PIECE_IDS = 5000
# A person looks at the first of them; then it is no bit that has changed.
NOTED_MAX = 2000
# So many lines in a row that differ are another file, not one with rotten bits.
OUT_OF_STEP_LINES = 50
# A bit changes one value. A row that differs in more is another reading with the same id.
CHANGED_MAX = 2

Row = dict[str, Any]
"""A reading by its columns; one that the copy lacks is not in it."""


@dataclass(frozen=True, slots=True)
class NotedLine:
    """A line of a station's CSV file that is not what the table gives."""

    station: str
    id: int
    """The reading whose place it is; of a line without a reading the one before it."""
    offset: int
    length: int
    """0: the file has no line for the reading."""
    next_id: int | None = None
    """Of a line without a reading the one behind it."""


@dataclass(slots=True)
class Noted:
    """What a run has compared, and where copies differ."""

    readings: int = 0
    lines: int = 0
    hours: int = 0
    backup_readings: int = 0
    backups: dict[str, bool | None] = field(default_factory=dict)
    """Whether each backup has its SHA-256; None: there is none beside it. The newest is first."""
    other_versions: list[str] = field(default_factory=list)
    """Those of a version from which no migration of this program leads on: none are compared."""
    replica: str = ""
    """The copy of the replica that is compared."""
    replica_place: str = ""
    """Where the replica is, for people; empty where there is none."""
    replica_readings: int = 0
    replica_broken: str = ""
    """Why nothing can be made of the replica, where it is reached."""
    replica_left_out: str = ""
    """Why it was not compared, where that says nothing about the replica itself."""
    ids: list[int] = field(default_factory=list)
    """Readings that the backup, the replica or the index has otherwise."""
    file_lines: list[NotedLine] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    """CSV files whose bytes are not those of the last export."""
    lost: list[LostFile] = field(default_factory=list)
    """CSV files that alone have removed readings, and are not as they were."""
    rollup_hours: list[tuple[str, int]] = field(default_factory=list)
    rollup_days: list[tuple[str, int]] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)
    """Why a comparison could not be made, by its name."""
    is_damaged: bool = False
    """Whether pages of the database are broken, not values: then nothing is repaired."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Why a station's lines were not compared, by its endpoint: a key of `wording.LEFT_OUT`."""

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> "Noted":
        """Return what `as_json` was made of."""
        noted = cls(**{name.name: values[name.name] for name in fields(cls)})
        noted.file_lines = [NotedLine(**line) for line in values["file_lines"]]
        noted.lost = [LostFile(**file) for file in values["lost"]]
        noted.rollup_hours = [(name, number) for name, number in values["rollup_hours"]]
        noted.rollup_days = [(name, number) for name, number in values["rollup_days"]]
        return noted

    def as_json(self) -> dict[str, Any]:
        """Return it as an object of JSON."""
        return asdict(self)

    def add_ids(self, ids: Sequence[int]) -> None:
        """Note these readings, as long as there is room."""
        self.ids += ids[: max(0, NOTED_MAX - len(self.ids))]

    def add_line(self, line: NotedLine) -> None:
        """Note this line, as long as there is room."""
        if len(self.file_lines) < NOTED_MAX:
            self.file_lines.append(line)


@dataclass(frozen=True, slots=True)
class Copies:
    """All copies of the readings of these settings."""

    settings: Settings
    database: Database
    skipped_backup: str = ""
    """The backup that was made before the last repair: it has what was wrong then."""

    def backup(self, noted: Noted) -> Path | None:
        """Return the newest backup that has its SHA-256, or none beside it; else the newest."""
        left_out = {self.skipped_backup, *noted.other_versions}
        paths = [path for path in noted.backups if path not in left_out]
        # The order of the others stays.
        paths.sort(key=lambda path: noted.backups[path] is False)
        return next((Path(path) for path in paths if Path(path).exists()), None)

    @staticmethod
    def replica(noted: Noted) -> Path | None:
        """Return the copy of the replica; None without one."""
        return Path(noted.replica) if noted.replica and Path(noted.replica).exists() else None


@contextmanager
def opened_backup(path: Path | None) -> Iterator[Connection | None]:
    """A connection that reads this backup, which no process writes."""
    if path is None:
        yield None
        return
    engine = open_read_only(path, immutable=True, plain=True)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


# ----------------------------------------------------------------------------- backups


def compare_backups(copies: Copies, noted: Noted, at: Any) -> Iterator[Any]:
    """Compare each backup with its SHA-256, the newest first."""
    try:
        files = backup_files.finished(copies.settings.backup_dir)
    except FileNotFoundError:
        return
    for path in reversed(files):
        # The place is a name: the service may have made another backup meanwhile.
        if at is not None and path.name >= at:
            continue
        noted.backups[str(path)] = backup_files.is_unchanged(path)
        if _is_of_other_version(path):
            noted.other_versions.append(str(path))
        yield path.name


def _is_of_other_version(path: Path) -> bool:
    """Whether its tables may be others than those that are compared.

    They are the same since the first version from which this program can migrate.
    """
    with suppress(DBAPIError), opened_backup(path) as connection:
        return connection is not None and schema.current(connection) not in schema.all_revisions()
    return False


# ----------------------------------------------------------------------------- the replica


def compare_replica(copies: Copies, noted: Noted, at: Any) -> Iterator[Any]:
    """Make a copy of the replica beside the database, by which Litestream proves its checksums.

    It costs the card one writing of the database, so it is made once for a run, also for one that
    goes on after a power cut; `remove_replica` takes it away.
    """
    if at is not None and copies.replica(noted) is not None:
        return
    remove_replica(copies.settings)
    try:
        source = replica.configured(copies.settings)
        if source is None:
            return
        noted.replica_place = source.shown
        _require_room(copies.settings)
        copy = source.copy(replica.compared_folder(copies.settings))
    except ReplicaBroken as error:
        noted.replica_broken = str(error)
    except (Flask10xError, OSError) as error:
        noted.replica_left_out = in_a_line(error)
    else:
        noted.replica = str(copy)
        yield str(copy)
        return
    remove_replica(copies.settings)


def in_a_line(error: Exception) -> str:
    """Return what it says, for a sentence that goes on."""
    return " ".join(str(error).split()).rstrip(".")


def _require_room(settings: Settings) -> None:
    """Raise OSError where the disk has no room for another database, or the machine no memory.

    Half of the memory is left to the service and the rest.
    """
    path = database_path(settings)
    if shortage := disk.shortage(path.parent, disk.size(path) + disk.SPARE_BYTES):
        raise OSError(shortage)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    needed = disk.size(path) // replica.MEMORY_OF_SIZE
    if needed > memory // 2:
        text = _("not enough memory for Litestream: it takes {needed} of {memory}")
        raise OSError(text.format(needed=megabytes(needed), memory=megabytes(memory)))


def remove_replica(settings: Settings) -> None:
    """Remove the copy that was compared."""
    if engines.of(settings).is_file:
        shutil.rmtree(replica.compared_folder(settings), ignore_errors=True)


# ----------------------------------------------------------------------------- readings


def rows_query(names: Sequence[str], after: int, until: int) -> Any:
    """Return the statement for the readings with `after < id <= until`: the id, these columns."""
    columns = [readings.c[name] if name in HEAD else measurement(name) for name in names]
    query = select(readings.c.id, *columns)
    return query.where(readings.c.id > after, readings.c.id <= until).order_by(readings.c.id)


def columns_of(*connections: Connection) -> list[str]:
    """Return the columns of `readings` without the id that all of these databases have."""
    names = [existing_columns(connection) for connection in connections]
    return [*HEAD, *sorted(set.intersection(*names).difference(ROW_COLUMNS))]


def compare_rows(copies: Copies, noted: Noted, at: Any) -> Iterator[Any]:
    """Compare the table with its index, the newest backup and the replica, in order of the ids."""
    after = at or 0
    with ExitStack() as stack:
        table = stack.enter_context(engines.of(copies.settings).plain_reader())
        opened = zip(SAVED, stack.enter_context(_opened_copies(copies, noted)), strict=True)
        saved = [_Saved(name, copy, noted) for name, copy in opened if copy is not None]
        with table.begin() as connection:
            end = last_id(connection)
            readable = [each.connection for each in saved if each.is_readable()]
            names = columns_of(connection, *readable)
        for each in saved:
            each.look_for_last()
        while after < end:
            until = min(after + PIECE_IDS, end)
            piece = _Piece(table, names, after, until)
            _compare_piece(piece, [each.rows(piece) for each in saved], noted)
            after = until
            yield after


@dataclass(frozen=True, slots=True)
class _Piece:
    table: Engine
    names: Sequence[str]
    after: int
    until: int

    def query(self) -> Any:
        return rows_query(self.names, self.after, self.until)


@dataclass(slots=True)
class _Saved:
    """The table as a backup or the replica has it."""

    name: str
    connection: Connection
    noted: Noted
    last: int = 0
    """The id of its last reading; 0 where it can't be read."""

    def is_readable(self) -> bool:
        """Whether its schema can be read."""
        try:
            return bool(existing_columns(self.connection))
        except DBAPIError:
            return False

    def look_for_last(self) -> None:
        rows = self._read(select(func.max(readings.c.id)))
        self.last = rows[0][0] or 0 if rows else 0

    def rows(self, piece: _Piece) -> list[tuple[Any, ...]] | None:
        """Return its rows of the piece, counted; None where it has none, or can't be read."""
        if piece.after >= self.last:
            return None
        rows = self._read(piece.query())
        if rows is None:
            self.last = 0
        elif self.name == "backup":
            self.noted.backup_readings += len(rows)
        else:
            self.noted.replica_readings += len(rows)
        return rows

    def _read(self, query: Any) -> list[tuple[Any, ...]] | None:
        try:
            return all_rows(self.connection, query)
        except DBAPIError as error:
            # A backup that has changed since it was made is named anyway.
            if self.name != "backup" or False not in self.noted.backups.values():
                self.noted.unread[self.name] = unreadable(error)
            return None


def _compare_piece(
    piece: _Piece, copies: Sequence[list[tuple[Any, ...]] | None], noted: Noted
) -> None:
    with piece.table.begin() as connection:
        rows = all_rows(connection, piece.query())
        out = dialects.of(connection).readings_out_of_index(connection, piece.after, piece.until)
    noted.readings += len(rows)
    differing = dict.fromkeys(out)
    for saved in copies:
        if saved is not None and saved != rows[: len(saved)]:
            differing |= dict.fromkeys(_changed(rows, saved))
    noted.add_ids([*differing])


def _changed(rows: Sequence[tuple[Any, ...]], saved: Sequence[tuple[Any, ...]]) -> Iterator[int]:
    """Yield the readings of the table that the copy has otherwise."""
    of_table = {row[0]: row for row in rows}
    for row in saved:
        other = of_table.get(row[0], row)
        if 0 < sum(a != b for a, b in zip(row, other, strict=True)) <= CHANGED_MAX:
            yield row[0]


# ----------------------------------------------------------------------------- lines of CSV files


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A station's CSV file as the last export left it, and its rows."""

    target: Target
    state: State
    position: Position
    file: CsvFile

    @property
    def is_intact(self) -> bool:
        """Whether its bytes are those of the last export; reads all of them."""
        return find_old_bytes(self.file, self.position) is not None

    @property
    def end(self) -> int:
        """Where the bytes of the last export end."""
        if self.file.checksum(self.position.mark.size_bytes) == self.position.mark.checksum:
            return self.position.mark.size_bytes
        old = find_old_bytes(self.file, self.position)
        return (old or self.position.mark).size_bytes

    def rows(self) -> tuple[int, list[IdSpan]]:
        """Return where the rows begin that the table has, too, and which they are."""
        return exported_rows(self.target, self.position, self.state.floor)


@contextmanager
def open_file(copies: Copies, station: Station, noted: Noted) -> Iterator[OpenFile | None]:
    """Open the station's file where an export of this host has written it.

    None where there is nothing to compare; `noted.left_out` says why, if that is unusual.
    """
    settings, database = copies.settings, copies.database
    target = target_of(settings, database, station)
    state = load_state(database, target.name)
    position = state.position
    with database.reader.begin() as connection:
        is_elsewhere = csv_owner.is_elsewhere(settings, connection)
    if is_elsewhere or position is None or position.mark == NOTHING:
        yield None
        return
    target = of_its_station(target, position)
    file = CsvFile.open(target.path, write=False)
    if file is None:
        # Archived by a person, or moved away: the next export begins a new one.
        yield None
        return
    with closing(file):
        if state.intent is not None:
            noted.left_out[station.endpoint] = "interrupted"
            yield None
        else:
            yield OpenFile(as_written(target, file, position), state, position, file)


def compare_lines(
    copies: Copies, station: Station, noted: Noted, at: Any
) -> Iterator[dict[str, Any]]:
    """Compare the station's CSV file with the table, and with the checksum of the last export."""
    with open_file(copies, station, noted) as opened:
        if opened is None:
            return
        path = str(opened.target.path)
        is_intact = opened.is_intact
        if not is_intact and path not in noted.files:
            noted.files.append(path)
        if why := _why_not(opened):
            noted.left_out[station.endpoint] = why
            return
        yield from _LineComparison(opened, noted, station).pieces(at, is_intact=is_intact)


def _why_not(opened: OpenFile) -> str:
    if opened.target.unknown:
        return "columns"
    if zone.difference(opened.target, opened.position):
        return "zone"
    return ""


class _LineComparison:
    """Compares what an export has written with the rows of the table, line by line where needed."""

    def __init__(self, opened: OpenFile, noted: Noted, station: Station) -> None:
        self._opened, self._noted, self._station = opened, noted, station.endpoint
        self._file, self._end = opened.file, opened.end
        self._differing_lines = 0

    def pieces(self, at: Any, *, is_intact: bool) -> Iterator[dict[str, Any]]:
        """Yield the place after each piece."""
        target, file = self._opened.target, self._file
        offset, spans = self._opened.rows()
        # What a place depends on: an append leaves it, a rebuild does not.
        of_file = [self._opened.position.first_id, self._opened.position.import_id, offset]
        if at is not None and at["file"] == of_file:
            offset, spans = at["offset"], behind(spans, at["after"])
        elif not is_intact:
            self._compare_imported(offset)
        lines = Lines(target.zone)
        pages = target.rows.pages(spans)
        page, last = next(pages, None), 0
        while page is not None:
            following = next(pages, None)
            texts = [text.encode() for text in lines.texts(page)]
            expected = b"".join(texts)
            if file.read(offset, min(len(expected), self._end - offset)) == expected:
                offset += len(expected)
            else:
                beyond = lines.texts(following[:1])[0].encode() if following else None
                place = self._compare_texts(page, [*texts, beyond], offset)
                if place is None:
                    self._noted.left_out[self._station] = "out_of_step"
                    return
                offset = place
            self._noted.lines += len(page)
            last = page[-1][0]
            yield {"file": of_file, "after": last, "offset": offset}
            page = following
        self._note_rest(offset, last)

    def _note_rest(self, offset: int, last: int) -> None:
        while offset < self._end and (line := self._file.line(offset)):
            self._note(last, offset, len(line), next_id=2**62)
            offset += len(line)
            if self._differing_lines > OUT_OF_STEP_LINES:
                return

    def _compare_texts(
        self, page: Sequence[LogRow], texts: Sequence[bytes | None], offset: int
    ) -> int | None:
        """Compare line by line, and return where the lines end; None when they are out of step.

        A bit that has changed in the file leaves the length of the line, one in the table may
        change it; so the next line shows where this one ends.
        """
        before = 0
        for place, (row, following) in enumerate(zip(page, texts[1:], strict=False)):
            number, expected = row[0], texts[place] or b""
            line = self._line(offset)
            if lines_without_minus_zero(line) == expected:
                offset += len(line)
                self._differing_lines = 0
            elif self._follows(offset + len(expected), following):
                self._note(number, offset, len(expected))
                offset += len(expected)
            elif line and self._follows(offset + len(line), following):
                self._note(number, offset, len(line))
                offset += len(line)
            elif line and self._has(offset + len(line), expected):
                self._note(before, offset, len(line), next_id=number)
                offset += len(line) + len(expected)
            elif following and self._has(offset, following):
                self._note(number, offset, 0)
            else:
                is_in_step = self._is_in_step(offset, texts[place:])
                length = len(expected) if is_in_step else len(line)
                self._note(number, offset, length)
                offset += length
            if self._differing_lines > OUT_OF_STEP_LINES:
                return None
            before = number
        return offset

    def _line(self, offset: int) -> bytes:
        return self._file.line(offset)[: max(0, self._end - offset)]

    def _has(self, offset: int, text: bytes) -> bool:
        return offset + len(text) <= self._end and self._file.read(offset, len(text)) == text

    def _follows(self, offset: int, following: bytes | None) -> bool:
        return offset == self._end if following is None else self._has(offset, following)

    def _is_in_step(self, offset: int, texts: Sequence[bytes | None]) -> bool:
        """Whether one of the next lines is where it would be if no length had changed."""
        for text in texts[:OUT_OF_STEP_LINES]:
            if text is None:
                return offset == self._end
            if self._has(offset, text):
                return True
            offset += len(text)
        return False

    def _note(self, number: int, offset: int, length: int, next_id: int | None = None) -> None:
        self._differing_lines += 1
        self._noted.add_line(NotedLine(self._station, number, offset, length, next_id))

    def _compare_imported(self, end: int) -> None:
        """Note lines from before Flask10X that are an imported row but for one byte.

        Such a file may have rows that were never imported, and other notations.
        """
        target, offset = self._opened.target, len(self._file.line(0))
        if self._opened.state.floor is not None and self._opened.state.floor.last_id:
            return
        spans = target.rows.imported(self._opened.position.import_id)
        lines = Lines(target.zone)
        rows = (
            (row[0], text.encode())
            for page in target.rows.pages(spans)
            for row, text in zip(page, lines.texts(page), strict=True)
        )
        number, text = next(rows, (0, b""))
        while text and offset < end:
            line = self._file.read(offset, len(text))
            if line != text and _differing_bytes(line, text) != 1:
                line = self._file.line(offset)
            else:
                if line != text:
                    self._note(number, offset, len(text))
                number, text = next(rows, (0, b""))
            offset += len(line)


def _differing_bytes(line: bytes, text: bytes) -> int:
    if len(line) != len(text):
        return len(text)
    return sum(a != b for a, b in zip(line, text, strict=True))


def compare_archived(copies: Copies, noted: Noted, at: Any) -> Iterator[Any]:
    """Compare each archived CSV file whose place is known with its checksum.

    Before them the files that alone have removed readings are looked at, archived or not.
    """
    with copies.database.reader.begin() as connection:
        archived = [file.position for file in load_files(connection).archived]
        only = only_copies.load(copies.settings, connection)
    if at is None:
        noted.lost = only_copies.lost(only, read=True)
    lost = {each.path for each in noted.lost}
    noted.files = [path for path in noted.files if path not in lost]
    for path, mark in sorted((file.path, file.mark) for file in archived if file.path):
        if path in lost or (at is not None and path <= at):
            continue
        opened = CsvFile.open(Path(path), write=False)
        if opened is not None:
            with closing(opened):
                if opened.checksum(mark.size_bytes) != mark.checksum:
                    noted.files.append(path)
        yield path


# ----------------------------------------------------------------------------- roll-ups


def compare_hours(copies: Copies, station: Station, noted: Noted, at: Any) -> Iterator[Any]:
    """Compare the roll-ups of hours with the readings."""
    after = BEFORE_ALL_HOURS if at is None else at
    with _opened_copies(copies, noted) as saved:
        while after is not None:
            look, after = verify_hours_after(station, copies.database, after)
            noted.hours += look.hours
            hours = [each.hour for each in look.differences]
            # Within rounding a bit may have changed, or another SQLite has added the values.
            hours += [
                each.hour
                for each in look.rounded
                if each.computed in [saved_sums(copy, station, each.hour[1]) for copy in saved]
            ]
            noted.rollup_hours += hours[: max(0, NOTED_MAX - len(noted.rollup_hours))]
            yield after


def compare_days(copies: Copies, station: Station, noted: Noted, at: Any) -> Iterator[Any]:
    """Compare the roll-ups of days with those of their hours."""
    after = days.BEFORE_ALL if at is None else at
    with _opened_copies(copies, noted) as saved:
        while after is not None:
            look, after = verify_days_after(station, copies.database, after)
            noted.hours += look.days
            numbers = [each.day for each in look.differences]
            numbers += [
                each.day
                for each in look.rounded
                if each.computed
                in [saved_sums(copy, station, each.day, of_days=True) for copy in saved]
            ]
            room = max(0, NOTED_MAX - len(noted.rollup_days))
            noted.rollup_days += [(station.endpoint, day) for day in numbers[:room]]
            yield after


@contextmanager
def _opened_copies(copies: Copies, noted: Noted) -> Iterator[list[Connection | None]]:
    """Connections that read what `SAVED` names: the newest backup, and the replica."""
    paths = (copies.backup(noted), copies.replica(noted))
    with ExitStack() as stack:
        yield [stack.enter_context(opened_backup(path)) for path in paths]


def saved_sums(
    backup: Connection | None, station: Station, number: int, *, of_days: bool = False
) -> list[dict[str, Any]]:
    """Return the roll-ups of an hour or a day as a backup has them; empty where it has none."""
    if backup is None:
        return []
    try:
        key = rollup_days.c.day if of_days else rollups.c.hour
        return stored_sums(backup, station, key, number)
    except DBAPIError:
        return []


def is_removed(copies: Copies, station: str, number: int) -> bool:
    """Whether RETENTION_DAYS has removed this reading, perhaps a moment ago."""
    with copies.database.reader.begin() as connection:
        gone = load_removed(connection).get(station)
    return gone is not None and number <= gone.last_id


def unreadable(error: Exception) -> str:
    """Return the reason why a copy can't be read."""
    return " ".join(reason_of(error).split())


def parsed(target: Target, line: bytes) -> csv_lines.ParsedLine | None:
    """Return what a line says; None for one that is no line of the station any more."""
    return csv_lines.read(target.station, line, target.zone) if line else None
