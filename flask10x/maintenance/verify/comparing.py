"""Compares all copies of the readings, piece by piece.

The files come first: SQLite's own check, checksums. Then readings are compared with the newest
sound backup, in both directions, and with the CSV files; `judging.py` says which copy is wrong.
What is derived of readings comes last (`totals.py`).

Each piece is a short transaction, so the service goes on meanwhile and its WAL can be reset.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from gettext import gettext as _
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database import dialects, engines
from flask10x.database.database import Database, all_rows
from flask10x.database.error_codes import DAMAGE_ERRORS, code_of, reason_of
from flask10x.database.paths import database_path
from flask10x.database.removed import Removed, load_removed
from flask10x.database.sqlite.file import damaged_tables, open_read_only
from flask10x.database.sqlite.index import readings_out_of_index
from flask10x.database.tables import readings, rollup_days, rollups
from flask10x.database.verified import Copy, Difference
from flask10x.errors import CopyError, ExportError, Flask10xError, ReplicaBroken
from flask10x.export import comparison, only_copies
from flask10x.export.file import CsvFile
from flask10x.export.files import load_files
from flask10x.maintenance import older_backup, replica
from flask10x.maintenance.verify.findings import (
    NOTED_MAX,
    Comparison,
    Saved,
    columns_of,
    in_a_line,
    row_of,
    rows_query,
)
from flask10x.maintenance.verify.judging import INDEX, judge_readings
from flask10x.maintenance.verify.totals import compare_days, compare_hours
from flask10x.readings.stations import Station
from flask10x.system import backup_files, disk
from flask10x.system.progress import Advance
from flask10x.system.wording import megabytes

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
        backup = _compare_backups(result, stack)
        advance(1)
        copied = stack.enter_context(_copied_replica(result))
        advance(1)
        copies: dict[Copy, Path | None] = {"backup": backup, "replica": copied}
        for copy, path in copies.items():
            if path is not None:
                # No process writes it.
                engine = open_read_only(path, immutable=True, plain=True)
                stack.callback(engine.dispose)
                result.saved[copy] = Saved(copy, stack.enter_context(engine.connect()))
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
    return 4 + 2 * len(settings.stations.all)


@contextmanager
def _noting(result: Comparison, name: str) -> Iterator[None]:
    """Note that what is compared in the block could not be read."""
    try:
        yield
    except (DBAPIError, OSError, ExportError, ValueError) as error:
        _note_unreadable(result, name, error)
        result.is_damaged |= code_of(error).startswith(DAMAGE_ERRORS)


def _note_unreadable(result: Comparison, name: str, error: Exception) -> None:
    reason = " ".join(reason_of(error).split())
    result.add(Difference(kind="unreadable", path=name, values={"table": reason}))


# ----------------------------------------------------------------------------- files first


def _compare_backups(result: Comparison, stack: ExitStack) -> Path | None:
    """Compare each backup with its SHA-256; return the newest one as it is to be compared.

    That one has its SHA-256, or none beside it, and the tables of this version, if necessary in a
    copy. One that can't be made so is named, and the next one takes its place.
    """
    folder, newest = result.settings.backup_dir, None
    for path in reversed(backup_files.finished(folder) if folder.is_dir() else []):
        if backup_files.is_unchanged(path) is False:
            result.add(Difference(kind="backup", wrong=("backup",), path=str(path)))
        elif newest is None:
            try:
                newest = stack.enter_context(older_backup.migrated(result.settings, path))
                result.backup = str(path)
            except (CopyError, OSError) as error:
                result.left_out[str(path)] = in_a_line(error)
    return newest


@contextmanager
def _copied_replica(result: Comparison) -> Iterator[Path | None]:
    """Copy the replica beside the database, where it can be compared, for the block.

    A copy costs the card one writing of the database. Litestream proves its checksums by that. What
    keeps it from being copied is noted: the network or the disk says nothing about the replica.
    """
    settings, path = result.settings, None
    with ExitStack() as stack:
        if engines.engine_of(settings).is_file:
            folder = replica.compared_folder(settings)
            shutil.rmtree(folder, ignore_errors=True)
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            if (source := replica.configured(settings)) is not None:
                result.replica = source.shown
                _require_room(settings)
                path = source.copy(replica.compared_folder(settings))
        except ReplicaBroken as error:
            result.add(
                Difference(
                    kind="replica",
                    wrong=("replica",),
                    path=result.replica,
                    values={"replica": str(error)},
                )
            )
        except (Flask10xError, OSError) as error:
            result.replica_left_out = in_a_line(error)
        yield path


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


def _compare_trees(result: Comparison) -> None:
    """Note which tables and indexes are out of order, as SQLite's own check finds."""
    if not engines.engine_of(result.settings).is_file:
        return
    with (
        engines.engine_of(result.settings).plain_reader() as reader,
        reader.connect() as connection,
    ):
        found = damaged_tables(connection)
    for name, lines in found.items():
        if name in DERIVED:
            result.add(Difference(kind="tree", wrong=(DERIVED[name],), path=name))
        elif name != readings.name or not all(INDEX in line for line in lines):
            values = {"table": "; ".join(lines[:3])}
            result.add(Difference(kind="unreadable", path=name or "database", values=values))
            result.is_damaged = True


# ----------------------------------------------------------------------------- readings


def _compare_rows(result: Comparison) -> None:
    """Compare the table with its index, the newest backup and the replica, in order of the ids."""
    with engines.engine_of(result.settings).plain_reader() as table:
        with table.begin() as connection:
            end, names = dialects.last_id(connection), columns_of(connection)
            for saved in [*result.saved.values()]:
                _meet(result, saved, connection)
        for after in range(0, end, PIECE_IDS):
            _compare_piece(result, table, names, after, min(after + PIECE_IDS, end))


def _meet(result: Comparison, saved: Saved, table: Connection) -> None:
    """Find out what a copy has of the table, and whether it is of another history.

    An error of the table is raised: it says nothing about the copy.
    """
    query = select(func.max(readings.c.id))
    with _reading(result, saved):
        saved.last = saved.connection.execute(query).scalar_one() or 0
        saved.columns = columns_of(table, saved.connection)
    if saved.name not in result.saved:
        return
    last = table.execute(query.where(readings.c.id <= saved.last)).scalar_one() or 0
    own = row_of(table, last)
    with _reading(result, saved):
        other = row_of(saved.connection, last) if own else None
        if own and other:
            pair = [[row[column] for column in saved.columns] for row in (own, other)]
            saved.is_foreign = _changed(*pair) > CHANGED_MAX


@contextmanager
def _reading(result: Comparison, saved: Saved) -> Iterator[None]:
    """Note an error in the block as one of this copy, which is left out from then on."""
    try:
        yield
    except DBAPIError as error:
        _note_unreadable(result, saved.name, error)
        del result.saved[saved.name]


def _compare_piece(
    result: Comparison, table: Engine, names: list[str], after: int, until: int
) -> None:
    with table.begin() as connection:
        rows = all_rows(connection, rows_query(names, after, until))
        out = readings_out_of_index(connection, after, until)
        removed = load_removed(connection)
    result.readings += len(rows)
    result.out_of_index.update(out[: max(0, NOTED_MAX - len(result.out_of_index))])
    for saved in [*result.saved.values()]:
        if after >= saved.last:
            continue
        with _reading(result, saved):
            of_copy = all_rows(saved.connection, rows_query(saved.columns, after, until))
            saved.readings += len(of_copy)
            of_table = rows
            if saved.columns != names:
                places = [0, *(1 + names.index(column) for column in saved.columns)]
                of_table = [tuple(row[place] for place in places) for row in rows]
            if of_copy != of_table:
                _note_differing(saved, of_table, of_copy, removed)


def _changed(row: Sequence[Any], other: Sequence[Any]) -> int:
    """Return how many values of a row differ."""
    return sum(a != b for a, b in zip(row, other, strict=True))


def _note_differing(
    saved: Saved,
    of_table: Sequence[tuple[Any, ...]],
    of_copy: Sequence[tuple[Any, ...]],
    removed: Mapping[str, Removed],
) -> None:
    """Note the readings of a piece that only one of both has, or has otherwise."""
    ours, theirs = ({row[0]: row for row in each} for each in (of_table, of_copy))
    for number in sorted({*ours, *theirs}):
        own, other = ours.get(number), theirs.get(number)
        if own == other or number > saved.last or len(saved.differing) >= NOTED_MAX:
            continue
        is_other = not (own and other) or _changed(own, other) > CHANGED_MAX
        if saved.is_foreign and is_other:
            saved.foreign_from = min(saved.foreign_from, number)
        gone = removed.get(other[1]) if other and not own else None
        if number < saved.foreign_from and (gone is None or number > gone.last_id):
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
