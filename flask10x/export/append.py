"""Each station's new rows appended to its CSV file exactly once, whatever dies meanwhile.

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
from itertools import chain, repeat
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.dialects import of
from flask10x.database.error_codes import reason_of
from flask10x.export import archived, refusals, repair_commands, zone
from flask10x.export.archived import ArchivedFile
from flask10x.export.checks import (
    begun,
    check_old_bytes,
    check_station,
    find_old_bytes,
    resume_position,
)
from flask10x.export.earlier_columns import (
    as_noted,
    as_written,
    kept_path,
    of_its_station,
    of_station,
    set_aside,
    station_of,
    was_renamed,
)
from flask10x.export.file import NOTHING, CsvFile, forget_kept, fresh_path
from flask10x.export.outcome import FileOutcome, for_each, target_of
from flask10x.export.position import (
    Floor,
    Intent,
    Owner,
    Position,
    State,
    endpoints_of,
    first_line_floor,
    load_state,
    names_of,
    noted,
    owners_of,
    rename,
    save_floor,
    save_state,
)
from flask10x.export.rows import FileRows, Piece, Target, behind
from flask10x.readings import numbers
from flask10x.readings.csv_lines import Lines, time_of
from flask10x.readings.numbers import lines_without_minus_zero
from flask10x.readings.stations import Station
from flask10x.readings.times import local_text
from flask10x.system import disk
from flask10x.system.wording import amount

# Has the database lost readings that a CSV file has? After a failover only the file can tell.
#
# A standby that is promoted without the last commits gives their ids to other readings, and what
# the database knows of the file may be from before them. So it is noted with each file of which
# history of the database its rows are: the cluster, and the timeline, which counts promotions.
# While that is the same, nothing was lost. When it is another one, the last rows of the file are
# compared with the database. What a failover loses are the newest commits, and readings are
# committed in the order of their ids: if the last row is there, all are.

# One would do; but a reading that was lost may have been sent again, alone.
LAST_ROWS = 1000


@dataclass(frozen=True, slots=True)
class History:
    """What was found out."""

    is_new: bool
    """Whether it is another one than was noted, and not noted yet."""
    note: str = ""
    """For people."""


SAME = History(is_new=False)


def check_origin(
    database: Database,
    target: Target,
    file: CsvFile | None,
    floor: Floor | None,
    position: Position,
) -> History:
    """Whether the database is of the history that was noted with the file; looks only.

    The file is as `position` says. Raises ExportError when it has a row that the database has not.
    """
    if target.host is None or position.mark is None:
        return SAME
    with database.reader.begin() as connection:
        now = of(connection).origin(connection)
        noted = of(connection).noted_origin(connection, target.name)
    if noted is None or noted == now:
        return SAME
    values = {"before": noted, "now": now}
    if file is None or position.mark == NOTHING:
        text = _("the database has another history now ({now}, it was {before})")
        return History(is_new=True, note=text.format(**values))
    _compare_last(target, file, floor, position)
    text = _(
        "the database has another history now ({now}, it was {before}), in which no row of the file"
        " is missing"
    )
    return History(is_new=True, note=text.format(**values))


def _compare_last(target: Target, file: CsvFile, floor: Floor | None, position: Position) -> None:
    """Raises ExportError unless the last of our rows in the file are those of the database."""
    if target.unknown or position.mark is None:
        # With columns that the station has no more: they can't be made again.
        return
    spans = target.rows.of_file(position.first_id, position.last_id, position.import_id)
    begin, end = position.begin_bytes, position.mark.size_bytes
    if floor is not None:
        begin, spans = floor.size_bytes, behind(spans, floor.last_id)
    rows = target.rows.newest(spans, LAST_ROWS)
    expected = (text.encode() for text in Lines(target.zone).texts(rows))
    nothing = repeat(b"") if len(rows) < LAST_ROWS else ()
    for wanted in chain(expected, nothing):
        line = file.line_before(end) if end > begin else b""
        if lines_without_minus_zero(line) != wanted:
            raise refusals.lost_rows(target.path, line, wanted)
        if not line:
            return
        end -= len(line)


# Rows appended under one intent: some 6 MB. A night's rows are one piece, and a backlog of
# millions costs two commits and two syncs a piece, with one piece at a time in memory.
PIECE_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class Resolution:
    """Where the file stands, what has to be cut off first, and what to tell people."""

    position: Position | None
    cut_to: int | None = None
    note: str = ""
    floor: Floor | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """What an export has found and done in a file, or would do, for people."""

    target: Target
    state: State
    """As it was noted before."""
    resolution: Resolution
    position: Position
    """Where new rows are appended."""
    anew: str
    """Why the file was begun anew; empty where it was not, or where it was gone."""
    history: str
    """What is to be said of the history of the database."""

    def in_words(self, result: str, rows: int) -> str:
        """The text; `result` says what was done with so many `{rows}`."""
        done, anew, before = result.format(rows=amount(rows, "row")), self.anew, self.state.position
        exported = before is not None and before.mark not in (None, NOTHING)
        if exported and self.position.mark == NOTHING and not anew:
            anew = _("started a new file, as that of the last export is gone")
        renamed = zone.changed(self.target, before)
        zeros = numbers.minus_zero_note(_minus_zeros(self.resolution.position, self.position))
        parts = (done, anew, renamed, zeros, self.resolution.note, self.history)
        return "; ".join(filter(None, parts))


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
    """What `export` would do; writes nothing."""
    return for_each(settings, database, stations, _dry_run_file)


def _export_file(database: Database, target: Target) -> FileOutcome:
    handed_over = _hand_over(database, target)
    if handed_over:
        # It begins behind the files that the station has had so far.
        target = replace(target, rows=target.rows.of(target.station))
    state = known = load_state(database, target.name)
    with CsvFile.open(target.path, write=True) or nullcontext() as file:
        archived.check_owner(database, target, file, state.position)
        found = _resolve(as_noted(target, file, state.position), file, state)
        if state.intent is not None:
            known = _close_intent(database, target, file, state, found)
        written = as_written(target, file, found.position)
        position = _position(written, file, found.floor, found.position)
        history = check_origin(database, written, file, found.floor, position)
        gone = _gone(target, found, position)
        if gone or history.is_new or _is_news(found.position, position):
            known = save_state(
                database, target, known, State(position), lambda c: archived.record(c, gone)
            )
        anew, ended = "", 0
        if written is not target:
            ended, known = _append_dropped(database, target, file, known, position)
            position = known.position if ended and known.position else position
            kept = kept_path(target)
            anew = _(
                "started a new file, as the station's columns have changed; the old file is {path}"
            )
            anew = anew.format(path=kept)
            known = _set_aside(database, target, known, State(position, None, found.floor), kept)
            position = noted(
                target, zone.noted(target, None, None, begun(target, position.last_id))
            )
        rows, _known = _append_new_rows(database, target, None if anew else file, known, position)
        rows += ended
    fresh_path(target.path).unlink(missing_ok=True)
    summary = Summary(target, state, found, position, anew, history.note)
    text = summary.in_words(_("{rows} appended"), rows)
    texts = filter(None, (text, *(one.text for one in handed_over)))
    return FileOutcome(target.path, "; ".join(texts), rows, any(one.failed for one in handed_over))


def _dry_run_file(database: Database, target: Target) -> FileOutcome:
    state = load_state(database, target.name)
    whose = of_its_station(target, state.position)
    if whose is not target:
        text = _("it would be ended, and a new one begun for /{endpoint}")
        done = _dry_run_file(database, whose)
        text = f"{done.text}; {text.format(endpoint=target.station.endpoint)}"
        return replace(done, text=text)
    with CsvFile.open(target.path, write=False) or nullcontext() as file:
        archived.check_owner(database, target, file, state.position)
        found = _resolve(as_noted(target, file, state.position), file, state)
        written = as_written(target, file, found.position)
        position, anew = found.position, ""
        history = SAME
        if position is None or found.cut_to is None:
            position = _position(written, file, found.floor, position)
            history = check_origin(database, written, file, found.floor, position)
    if written is not target:
        anew = _(
            "would start a new file, as the station's columns have changed; the old file: {path}"
        )
        anew = anew.format(path=kept_path(target))
    rows = target.rows.count(target.rows.new(position.last_id))
    summary = Summary(target, state, found, position, anew, history.note)
    text = summary.in_words(_("{rows} would be appended"), rows)
    return FileOutcome(target.path, text, rows)


def _position(
    target: Target, file: CsvFile | None, floor: Floor | None, known: Position | None
) -> Position:
    """Where to go on, in a file that is as the last export left it and written in this zone."""
    is_begun = file is not None and known is not None and known.mark not in (None, NOTHING)
    if is_begun:
        zone.check(target, known)
    position = zone.noted(target, file, floor, resume_position(target, file, known))
    if file is not None and is_begun and position.endpoint is None:
        check_station(target, file, floor, position)
    return noted(target, position)


def _is_news(known: Position | None, position: Position) -> bool:
    """Whether the position says more of the file than was noted; not that of a new file."""
    if known is None or position.mark in (None, NOTHING):
        return False
    before, now = (
        (one.mark, one.zone is None, one.endpoint, one.path, one.columns)
        for one in (known, position)
    )
    return before != now


def _gone(target: Target, found: Resolution, position: Position) -> ArchivedFile | None:
    """The file of the last export, where a new one takes its place: it may be moved away."""
    known = found.position
    if known is None or position.mark != NOTHING:
        return None
    return archived.archived(target, known, found.floor, archived.elsewhere(target, known))


def _set_aside(database: Database, target: Target, known: State, state: State, kept: Path) -> State:
    """Give the file this name, once it is kept what the file is."""
    file = archived.archived(target, state.position, state.floor, kept)
    before = State(state.position)
    known = save_state(database, target, known, before, lambda c: archived.record(c, file))
    set_aside(target, kept)
    return known


def _append_dropped(
    database: Database, target: Target, file: CsvFile | None, known: State, position: Position
) -> tuple[int, State]:
    """Append to the old file up to the last new row with a value that the new file has no room for.

    That is one of a measurement that was taken out of `stations.toml` before the export. How many
    rows that are, and what the database knows of the file then.
    """
    old = as_noted(target, file, position)
    dropped = set(old.station.columns).difference(target.station.columns)
    if old is target or old.unknown or not dropped:
        return 0, known
    last_id = old.rows.last_with(old.rows.new(position.last_id), dropped)
    if last_id is None:
        return 0, known
    old = replace(old, rows=old.rows.up_to(last_id))
    return _append_new_rows(database, old, file, known, position)


def _append_dropped_as_left(
    database: Database, left: Target, file: CsvFile | None, state: State
) -> None:
    """The same for a file that the station goes on from, if it is what the last export left."""
    position = state.position
    if file is None or position is None or position.mark in (None, NOTHING):
        return
    is_ours = file.size == position.mark.size_bytes and not zone.difference(left, position)
    if is_ours and find_old_bytes(file, position, position.mark) is not None:
        _append_dropped(database, left, file, State(position), position)


# A file of another station, or of another name: `stations.toml` was changed.


def _hand_over(database: Database, target: Target) -> list[FileOutcome]:
    """End the file that another station has under this name, and those of the station elsewhere.

    What became of each such file; the text may be empty. The other station's last rows are
    appended before.
    """
    state = load_state(database, target.name)
    whose = of_its_station(target, state.position)
    outcomes = [] if whose is target else [_end_file(database, target, whose)]
    with database.reader.begin() as connection:
        names = names_of(connection, target.station.endpoint)
    for name in names:
        if name != target.name:
            text = _leave_file(database, target, name)
            outcomes.append(FileOutcome(target.path.with_name(name), text))
    return outcomes


def _end_file(database: Database, target: Target, whose: Target) -> FileOutcome:
    """Append the last rows of the other station, and set its file aside."""
    state = load_state(database, target.name)
    if state.position is None or state.position.columns is None:
        raise refusals.no_columns(target.path, whose.station.endpoint)
    if not target.path.exists() and not whose.rows.count(whose.rows.new(state.position.last_id)):
        place = archived.elsewhere(whose, state.position)
        gone = archived.archived(whose, state.position, state.floor, place)
        save_state(database, target, state, State(None), lambda c: archived.record(c, gone))
        return FileOutcome(whose.path, "")
    missing = _in_no_file(whose, state.position)
    _export_file(database, whose)
    state, kept = load_state(database, target.name), kept_path(target)
    known = _set_aside(database, whose, State(state.position), state, kept)
    save_state(database, target, known, State(None))
    text = _("a new file was begun, as this was the file of /{endpoint}; that one is {path}")
    text = text.format(endpoint=whose.station.endpoint, path=kept)
    return FileOutcome(kept, "; ".join(filter(None, (text, missing))), failed=bool(missing))


def _in_no_file(whose: Target, position: Position) -> str:
    """Values of a former station's last rows that its file has no column for; empty for none."""
    spans = whose.rows.new(position.last_id)
    readings, columns = whose.rows.values_elsewhere(spans)
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
        endpoint=whose.station.endpoint,
        columns=", ".join(columns),
        command=f"flask10x export && {repair_commands.whole(whose.path)}",
    )


def _leave_file(database: Database, target: Target, name: str) -> str:
    """Go on from a file that the station had under another name before."""
    left = of_station(target, replace(target.station, csv_name=name))
    left = replace(left, name=name, path=target.path.with_name(name))
    state = load_state(database, name)
    is_new = load_state(database, target.name).position is None
    if is_new and was_renamed(left, target, state.position):
        rename(database, left, state, target.name)
        return ""
    with CsvFile.open(left.path, write=True) or nullcontext() as file:
        found = _resolve(as_noted(left, file, state.position), file, state)
        if state.intent is not None:
            _close_intent(database, left, file, state, found)
        state = load_state(database, name)
        _append_dropped_as_left(database, left, file, state)
    state = load_state(database, name)
    known, kept = State(state.position), None
    if left.path.exists():
        kept = kept_path(left)
        known = _set_aside(database, left, known, state, kept)
    place = archived.elsewhere(left, state.position) if state.position else None
    file_gone = archived.archived(left, state.position, state.floor, place)
    save_state(database, left, known, State(None), lambda c: archived.record(c, file_gone))
    text = _("it goes on after {name}, which the station had before; that one is {path}")
    return text.format(name=name, path=kept or _("gone"))


def _minus_zeros(known: Position | None, position: Position) -> int:
    """How many zeros of ours have got the sign minus since the last export."""
    before = known.mark if known else None
    if before in (None, NOTHING) or position.mark in (None, NOTHING):
        return 0
    return position.mark.size_bytes - before.size_bytes


def _of_former_stations(settings: Settings, database: Database) -> list[FileOutcome]:
    """The last rows of stations that are no longer there, and readings that are in no file."""
    try:
        with database.reader.begin() as connection:
            owners, endpoints = owners_of(connection), endpoints_of(connection)
        names = {station.csv_name for station in settings.stations.all}
        former = {name: owner for name, owner in owners.items() if name not in names}
        return [
            outcome
            for endpoint in endpoints
            if endpoint not in settings.stations.by_endpoint
            for outcome in _of_former_station(settings, database, endpoint, former)
        ]
    except DBAPIError as error:
        text = _("the database cannot be used: {reason}").format(reason=reason_of(error))
        return [FileOutcome(settings.csv_dir, text, failed=True)]


def _of_former_station(
    settings: Settings, database: Database, endpoint: str, former: dict[str, Owner]
) -> list[FileOutcome]:
    """Those of one of them; `former` are the files that no station has now. None is up to date."""
    for name, owner in former.items():
        if owner.endpoint == endpoint and owner.columns is not None:
            station = station_of(endpoint, name, owner.columns)
            position = load_state(database, name).position
            if position is None or not _waiting(database, station, position.last_id):
                return []
            text = _("the station /{endpoint} is no longer in stations.toml")
            text = text.format(endpoint=endpoint)
            missing = _in_no_file(target_of(settings, database, station), position)
            (done,) = for_each(settings, database, [station], _export_file)
            text = "; ".join(filter(None, (done.text, text, missing)))
            return [replace(done, text=text, failed=done.failed or bool(missing))]
    station = station_of(endpoint, f"{endpoint}.csv", "")
    rows = FileRows(database, station)
    unknown = [name for name, owner in former.items() if owner.endpoint is None]
    if any(_has_last_row(database, rows, name) for name in unknown):
        # A version before this one has written its file, and has not noted whose it is.
        return []
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


def _has_last_row(database: Database, rows: FileRows, name: str) -> bool:
    """Whether the last row of the file of this name is one of these."""
    position = load_state(database, name).position
    return position is not None and rows.has(position.last_id, position.last_received_at)


def _waiting(database: Database, station: Station, last_id: int) -> int:
    """How many readings of the station come after this one and are in no file."""
    rows = FileRows(database, station)
    return rows.count(rows.new(last_id))


# The open intent. It was committed before the file was touched, so the file has all, some or none
# of the intended bytes. All: the position is moved. Some: they are cut off, to be appended again.
# Anything else is somebody else's, and nothing is touched.


def _resolve(target: Target, file: CsvFile | None, state: State) -> Resolution:
    """What to do about the open intent, if there is one; only looks.

    Raises ExportError when the file is not what the interrupted export can have left.
    """
    intent, position = state.intent, state.position
    if intent is None:
        return Resolution(position, floor=state.floor)
    if intent.import_id is not None or position is None:
        return _resolve_rebuild(target, file, intent, state)
    return replace(_resolve_append(target, file, intent, position), floor=state.floor)


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


def _resolve_rebuild(
    target: Target, file: CsvFile | None, intent: Intent, state: State
) -> Resolution:
    """Either the rebuilt file has taken the name, or it is thrown away."""
    before = state.position
    if file is None or file.size != intent.length or file.sha256() != intent.sha256:
        note = _("an interrupted rebuild was given up")
        return Resolution(before, note=note, floor=state.floor)
    rebuilt = Position(
        first_id=intent.from_id,
        last_id=intent.to_id,
        import_id=intent.import_id or 0,
        begin_bytes=len(file.line(0)),
        mark=file.mark_up_to(intent.length),
        endpoint=before.endpoint if before else None,
    )
    floor = _floor_of_rebuilt(target, state, intent)
    if before and floor and floor.last_id and file.size == floor.size_bytes:
        # All of it was kept byte for byte: no row of the database tells in which zone it is.
        rebuilt = replace(
            rebuilt,
            zone=before.zone,
            last_received_at=before.last_received_at,
            last_time=before.last_time,
        )
    note = _("an interrupted rebuild was found to be complete")
    return Resolution(rebuilt, note=note, floor=floor)


def _floor_of_rebuilt(target: Target, state: State, intent: Intent) -> Floor | None:
    """The one that the rebuild kept, or its first line where archived files have what is above."""
    floor = state.floor
    if floor is not None and floor.first_id == intent.from_id:
        return floor
    if target.rows.removed.last_id > intent.from_id:
        return first_line_floor(target, intent.from_id)
    return None


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

    def keep_floor(connection: Connection) -> None:
        if found.position is not None and found.floor is not None:
            save_floor(connection, target.name, found.floor)

    return save_state(database, target, state, State(found.position), keep_floor)


# The new rows. Whatever dies in between, the intent says which bytes may stand in the file.


def _append_new_rows(
    database: Database, target: Target, file: CsvFile | None, known: State, position: Position
) -> tuple[int, State]:
    """Append what is new, a piece at a time, to a file that is as `position` says.

    `known` is what the database knows of it. The number of rows, and what it knows then. The file
    is created with the first piece if there is none.
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
    return rows, known


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
