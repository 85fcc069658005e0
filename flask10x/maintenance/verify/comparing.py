"""Compares all copies of the readings, piece by piece.

The files come first: SQLite's own check, checksums. Then readings are compared with the newest
sound backup, in both directions, and with the CSV files; `judging.py` says which copy is wrong.
What is derived of readings comes last (`totals.py`).

Each piece is a short transaction, so the service goes on meanwhile and its WAL can be reset.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from gettext import gettext as _
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database import dialects, engines
from flask10x.database.database import Database, all_rows
from flask10x.database.error_codes import DAMAGE_ERRORS, code_of, reason_of
from flask10x.database.removed import Removed, load_removed
from flask10x.database.sqlite.file import damaged_tables, open_read_only
from flask10x.database.sqlite.index import readings_out_of_index
from flask10x.database.tables import readings, rollup_days, rollups
from flask10x.database.verified import Copy, Difference
from flask10x.errors import CopyError, ExportError
from flask10x.export import comparison, only_copies
from flask10x.export.file import CsvFile
from flask10x.export.files import load_files
from flask10x.maintenance import older_backup
from flask10x.maintenance.verify.findings import (
    NOTED_MAX,
    Comparison,
    SavedReadings,
    columns_of,
    row_of,
    rows_query,
)
from flask10x.maintenance.verify.judging import INDEX, judge_readings
from flask10x.maintenance.verify.totals import compare_days, compare_hours
from flask10x.readings.stations import Station
from flask10x.system import backup_files
from flask10x.system.progress import Advance

# Ids of one short transaction.
PIECE_IDS = 5000
# A bit changes one value. A restored backup gives ids again, to readings that differ in more.
CHANGED_MAX = 1
# Tables that are made of others, and the copy that each is.
DERIVED: dict[str, Copy] = {rollups.name: "hours", rollup_days.name: "days"}


def compare(settings: Settings, database: Database, advance: Advance) -> Comparison:
    """Compare everything; `advance` is called with 1 after each of the `steps`.

    What can't be read is a difference of the result. Raises OSError or DBAPIError for what no
    reading can be compared without.
    """
    result = Comparison(settings, database)
    with ExitStack() as stack:
        _compare_trees(result)
        _compare_backups(result, stack)
        advance(1)
        with _noting(result, "readings"):
            _compare_rows(result)
        advance(1)
        for station in settings.stations.all:
            with _noting(result, f"lines of {station.csv_name}"):
                _compare_file(result, station)
            advance(1)
        with _noting(result, "archived files"):
            _compare_archived(result)
        with _noting(result, "readings"):
            judge_readings(result)
        advance(1)
        is_in_order = not result.is_damaged and not {"hours", "index"} & result.out_of_order
        for station in settings.stations.all:
            if is_in_order:
                with _noting(result, f"hours of {station.endpoint}"):
                    compare_hours(result, station)
            if is_in_order and "days" not in result.out_of_order:
                with _noting(result, f"days of {station.endpoint}"):
                    compare_days(result, station)
            advance(1)
    return result


def steps(settings: Settings) -> int:
    """Return how often `compare` advances."""
    return 3 + 2 * len(settings.stations.all)


@contextmanager
def _noting(result: Comparison, name: str) -> Iterator[None]:
    """Note that what is compared in the block could not be read."""
    try:
        yield
    except (DBAPIError, OSError, ExportError, ValueError) as error:
        _note_unreadable(result, name, error)
        result.is_damaged |= code_of(error).startswith(DAMAGE_ERRORS)


@contextmanager
def _of_backup(result: Comparison) -> Iterator[None]:
    """Note an error in the block as one of the backup, which is left out from then on."""
    try:
        yield
    except DBAPIError as error:
        _note_unreadable(result, "backup", error)
        result.saved = None


def _note_unreadable(result: Comparison, name: str, error: Exception) -> None:
    reason = " ".join(reason_of(error).split())
    result.add(Difference(kind="unreadable", path=name, values={"table": reason}))


# ----------------------------------------------------------------------------- files first


def _compare_trees(result: Comparison) -> None:
    """Note which tables and indexes are out of order, as SQLite's own check finds."""
    engine = engines.engine_of(result.settings)
    if not engine.is_file:
        return
    with engine.plain_reader() as reader, reader.connect() as connection:
        found = damaged_tables(connection)
    for name, lines in found.items():
        if name in DERIVED:
            result.add(Difference(kind="tree", wrong=(DERIVED[name],), path=name))
        elif name != readings.name or not all(INDEX in line for line in lines):
            values = {"table": "; ".join(lines[:3])}
            result.add(Difference(kind="unreadable", path=name or "database", values=values))
            result.is_damaged = True


def _compare_backups(result: Comparison, stack: ExitStack) -> None:
    """Compare each backup with its SHA-256, and open the newest one as it is to be compared.

    That one has its SHA-256, or none beside it, and the tables of this version, if necessary in a
    copy. One that can't be made so is named, and the next one takes its place.
    """
    folder = result.settings.backup_dir
    if folder.is_dir():
        # The next backup changes it in its place.
        stack.enter_context(backup_files.held(folder))
    for path in reversed(backup_files.finished(folder) if folder.is_dir() else []):
        if backup_files.is_unchanged(path) is False:
            result.add(Difference(kind="backup", wrong=("backup",), path=str(path)))
        elif not result.backup:
            try:
                file = stack.enter_context(older_backup.migrated(result.settings, path))
            except (CopyError, OSError) as error:
                # For a sentence that goes on.
                result.left_out[str(path)] = " ".join(str(error).split()).rstrip(".")
                continue
            # No process writes it.
            engine = open_read_only(file, immutable=True, plain=True)
            stack.callback(engine.dispose)
            result.backup = str(path)
            result.saved = SavedReadings(stack.enter_context(engine.connect()))


# ----------------------------------------------------------------------------- readings


def _compare_rows(result: Comparison) -> None:
    """Compare the table with its index and the newest backup, in order of the ids."""
    with engines.engine_of(result.settings).plain_reader() as table:
        with table.begin() as connection:
            end, names = dialects.last_id(connection), columns_of(connection)
            _meet_backup(result, connection)
        for after in range(0, end, PIECE_IDS):
            until = min(after + PIECE_IDS, end)
            with table.begin() as connection:
                rows = all_rows(connection, rows_query(names, after, until))
                out = readings_out_of_index(connection, after, until)
                removed = load_removed(connection)
            result.readings += len(rows)
            result.out_of_index.update(out[: max(0, NOTED_MAX - len(result.out_of_index))])
            saved = result.saved
            if saved is None or after >= saved.last:
                continue
            if saved.columns != names:
                places = [0, *(1 + names.index(column) for column in saved.columns)]
                rows = [tuple(row[place] for place in places) for row in rows]
            with _of_backup(result):
                of_backup = all_rows(saved.connection, rows_query(saved.columns, after, until))
                saved.compared += len(of_backup)
                if of_backup != rows:
                    _note_differing(saved, rows, of_backup, removed)


def _meet_backup(result: Comparison, table: Connection) -> None:
    """Find out what the backup has of the table; one of another history is left out.

    An error of the table is raised: it says nothing about the backup.
    """
    saved, query = result.saved, select(func.max(readings.c.id))
    if saved is None:
        return
    with _of_backup(result):
        saved.last = saved.connection.execute(query).scalar_one() or 0
        saved.columns = columns_of(table, saved.connection)
    if result.saved is None:
        return
    last = table.execute(query.where(readings.c.id <= saved.last)).scalar_one() or 0
    own = row_of(table, last)
    with _of_backup(result):
        other = row_of(saved.connection, last)
        changed = {n for n in saved.columns if own and other and own[n] != other[n]}
        # Of another history is a row of another time: else bits of this one have changed.
        if len(changed) > CHANGED_MAX and "received_at" in changed:
            text = _("the database was restored since, {path} has other readings")
            result.left_out[result.backup] = text.format(path=result.backup)
            result.backup, result.saved = "", None


def _note_differing(
    saved: SavedReadings,
    of_table: Sequence[tuple[Any, ...]],
    of_backup: Sequence[tuple[Any, ...]],
    removed: Mapping[str, Removed],
) -> None:
    """Note the readings of a piece that only one of both has, or has otherwise."""
    ours, theirs = ({row[0]: row for row in each} for each in (of_table, of_backup))
    for number in sorted({*ours, *theirs}):
        own, other = ours.get(number), theirs.get(number)
        if own == other or number > saved.last or len(saved.differing) >= NOTED_MAX:
            continue
        gone = removed.get(other[1]) if other and not own else None
        if gone is None or number > gone.last_id:
            values = None if other is None else dict(zip(saved.columns, other[1:], strict=True))
            saved.differing[number] = values


# ----------------------------------------------------------------------------- CSV files


def _compare_file(result: Comparison, station: Station) -> None:
    compared = comparison.compare(result.settings, result.database, station)
    if compared is None:
        return
    result.files[station.endpoint] = compared
    result.lines += compared.rows
    if compared.left_out:
        result.left_out[station.endpoint] = compared.left_out
    if not compared.is_intact:
        result.add(
            Difference(
                kind="file",
                wrong=("csv",),
                station=station.endpoint,
                path=str(compared.target.path),
                right="table" if compared.is_of_table else "",
            )
        )


def _compare_archived(result: Comparison) -> None:
    """Compare each archived CSV file whose place is known with its checksum.

    Beside them the files that alone have removed readings are looked at, archived or not.
    """
    with result.database.reader.begin() as connection:
        archived = [file.position for file in load_files(connection).archived]
        lost = only_copies.lost(only_copies.load(result.settings, connection), read=True)
    paths = {each.path for each in lost}
    result.findings = [each for each in result.findings if each.difference.path not in paths]
    for each in lost:
        values = {"trouble": each.trouble, "first_ms": str(each.first_ms)}
        result.add(
            Difference(
                kind="lost",
                wrong=("csv",),
                station=each.endpoint,
                at_ms=each.last_ms,
                path=each.path,
                values=values,
            )
        )
    for file in archived:
        path = file.path or ""
        opened = None if path in {"", *paths} else CsvFile.open(Path(path), write=False)
        if opened is not None:
            with closing(opened):
                if opened.checksum(file.mark.size_bytes) != file.mark.checksum:
                    result.add(Difference(kind="file", wrong=("csv",), path=path))
