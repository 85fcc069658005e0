"""Compares all copies of the readings, and says of each place that differs which one is wrong.

A line of a CSV file that has the checksum of the last export is proven by that checksum: so it was
in the table when it was exported. Else the majority of table, newest sound backup and line is
right, and of the time of a reading the index says it once more. A backup that has the value of the
table counts for no more than the table itself, of which it is a copy, where a proven line says
otherwise. What no two copies decide is said to be so, never guessed.

What is derived (the roll-ups, an index, a file that the table gives) is wrong where it differs from
readings that another copy has, too.

Each piece is a short transaction, so the service goes on meanwhile and its WAL can be reset.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database import dialects, engines
from flask10x.database.database import Database, all_rows
from flask10x.database.error_codes import DAMAGE_ERRORS, code_of, reason_of
from flask10x.database.insert import HEAD, existing_columns
from flask10x.database.removed import Removed, load_removed, removed_of_hour, with_removed
from flask10x.database.sqlite.file import damaged_tables, open_read_only
from flask10x.database.tables import (
    measurement,
    readings,
    removed_hours,
    rollup_days,
    rollups,
)
from flask10x.database.verified import COPIES, Copy, Difference
from flask10x.errors import CopyError, ExportError
from flask10x.export import comparison, only_copies
from flask10x.export.comparison import ComparedFile, OtherLine
from flask10x.export.file import CsvFile
from flask10x.export.files import load_files
from flask10x.export.rows import ROW_COLUMNS
from flask10x.history import days, rollup_check
from flask10x.history import rollups as follower
from flask10x.history.local_time import day_of, day_start
from flask10x.history.rollup_check import BEFORE_ALL_HOURS, agree
from flask10x.history.sums import Ids, ends_of, stored_sums
from flask10x.maintenance import older_backup
from flask10x.maintenance.verify.replica_copy import ReplicaCopy, in_a_line
from flask10x.readings.numbers import lines_without_minus_zero
from flask10x.readings.stations import Station
from flask10x.readings.times import FIRST_DATE_MS, HOUR_MS, LAST_DATE_MS, zone_of
from flask10x.system import backup_files
from flask10x.system.progress import Advance

# Ids of one short transaction.
PIECE_IDS = 5000
# A person looks at the first of them; then it is no bit that has changed.
NOTED_MAX = 2000
# A bit changes one value. A restored backup gives ids again, to readings that differ in more.
CHANGED_MAX = 1
# So many copies have to agree.
COPIES_MIN = 2
# Tables that are made of others, and the copy that each is.
DERIVED: dict[str, Copy] = {rollups.name: "hours", rollup_days.name: "days"}
INDEX = "ix_readings_endpoint_received_at"

Row = dict[str, Any]
"""A reading by its columns."""
Sums = list[dict[str, Any]]
UNKNOWN: Any = object()
"""What a copy has of a reading that it can't have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A difference, and what a repair needs of it."""

    difference: Difference
    stored: Row | None = None
    """The reading as the table has it; None where it has none."""
    right: Row | None = None
    """The reading that is to be put into the table."""
    kept: Sums = field(default_factory=list)
    """The sums of an hour of removed readings as they should be."""
    places: frozenset[tuple[str, int]] = frozenset()
    """The hours of the reading: endpoint and hour."""


@dataclass(slots=True)
class _Saved:
    """The table as a backup or the replica has it."""

    name: Copy
    connection: Connection
    last: int = 0
    """The id of its last reading; 0 where it can't be read."""
    is_foreign: bool = False
    """Whether its last reading is another one than the table's: it is of another history."""
    foreign_from: int = 2**63
    """The first reading that is of that."""
    readings: int = 0
    differing: dict[int, Row | None] = field(default_factory=dict)

    def row(self, number: int, stored: Row | None) -> Any:
        """Return what it has of the reading; None where it should have it and does not."""
        if number in self.differing:
            return self.differing[number]
        return stored if number <= self.last and number < self.foreign_from else UNKNOWN


@dataclass(slots=True)
class Comparison:
    """What was compared, and where copies differ."""

    settings: Settings
    database: Database
    readings: int = 0
    lines: int = 0
    hours: int = 0
    backup: str = ""
    replica: str = ""
    replica_left_out: str = ""
    left_out: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    files: dict[str, ComparedFile] = field(default_factory=dict)
    """By the endpoints."""
    saved: dict[str, _Saved] = field(default_factory=dict)
    is_damaged: bool = False
    """Whether pages of the database are broken, not values: then nothing is repaired."""
    out_of_index: set[int] = field(default_factory=set)

    def saved_readings(self, name: Copy) -> int:
        """Return how many readings of this copy were compared."""
        return self.saved[name].readings if name in self.saved else 0

    @property
    def out_of_order(self) -> set[Copy]:
        """The derived tables that are to be made again as a whole."""
        trees = (each.difference for each in self.findings if each.difference.kind == "tree")
        return {name for each in trees for name in each.wrong}

    def _add(self, difference: Difference, **of_repair: Any) -> None:
        if len(self.findings) < NOTED_MAX:
            self.findings.append(Finding(difference=difference, **of_repair))


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
        fetched = stack.enter_context(ReplicaCopy(settings))
        result.replica, result.replica_left_out = fetched.shown, fetched.left_out
        if fetched.broken:
            values = {"replica": fetched.broken}
            result._add(
                Difference(kind="replica", wrong=("replica",), path=fetched.shown, values=values)
            )
        advance(1)
        for name, path in (("backup", backup), ("replica", fetched.path)):
            if path is not None:
                connection = stack.enter_context(_opened(path))
                result.saved[name] = _Saved(name, connection)  # type: ignore[arg-type]
        with _noting(result, "readings"):
            _compare_rows(result)
        advance(1)
        for station in settings.stations.all:
            with _noting(result, f"lines of {station.csv_name}"):
                compared = comparison.compare(settings, database, station)
                if compared is not None:
                    _note_file(result, station, compared)
            advance(1)
        with _noting(result, "archived files"):
            _compare_archived(result)
        with _noting(result, "readings"):
            _judge_readings(result)
        advance(1)
        is_in_order = not result.is_damaged and not {"hours", "index"} & result.out_of_order
        for station in settings.stations.all:
            if is_in_order:
                with _noting(result, f"hours of {station.endpoint}"):
                    _compare_hours(result, station)
            if is_in_order and "days" not in result.out_of_order:
                with _noting(result, f"days of {station.endpoint}"):
                    _compare_days(result, station)
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


@contextmanager
def _opened(path: Path) -> Iterator[Connection]:
    """A connection that reads this copy, which no process writes."""
    engine = open_read_only(path, immutable=True, plain=True)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


# ----------------------------------------------------------------------------- files first


def _compare_backups(result: Comparison, stack: ExitStack) -> Path | None:
    """Compare each backup with its SHA-256; return the newest one as it is to be compared.

    That one has its SHA-256, or none beside it, and the tables of this version, if necessary in a
    copy. One that can't be made so is named, and the next one takes its place.
    """
    folder, newest = result.settings.backup_dir, None
    for path in reversed(backup_files.finished(folder) if folder.is_dir() else []):
        if backup_files.is_unchanged(path) is False:
            result._add(Difference(kind="backup", wrong=("backup",), path=str(path)))
        elif newest is None:
            try:
                newest = stack.enter_context(older_backup.migrated(result.settings, path))
                result.backup = str(path)
            except (CopyError, OSError) as error:
                result.left_out[str(path)] = in_a_line(error)
    return newest


def _compare_trees(result: Comparison) -> None:
    """Note which tables and indexes are out of order, as SQLite's own check finds."""
    if not engines.of(result.settings).is_file:
        return
    with engines.of(result.settings).plain_reader() as reader, reader.connect() as connection:
        found = damaged_tables(connection)
    for name, lines in found.items():
        if name in DERIVED:
            result._add(Difference(kind="tree", wrong=(DERIVED[name],), path=name))
        elif name != readings.name or not all(INDEX in line for line in lines):
            values = {"table": "; ".join(lines[:3])}
            result._add(Difference(kind="unreadable", path=name or "database", values=values))
            result.is_damaged = True


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


def row_of(connection: Connection, number: int) -> Row | None:
    """Return the reading as the table has it."""
    names = columns_of(connection)
    rows = all_rows(connection, rows_query(names, number - 1, number))
    return dict(zip(names, rows[0][1:], strict=True)) if rows else None


def _compare_rows(result: Comparison) -> None:
    """Compare the table with its index, the newest backup and the replica, in order of the ids."""
    for name, saved in [*result.saved.items()]:
        try:
            query = select(func.max(readings.c.id))
            saved.last = saved.connection.execute(query).scalar_one() or 0
        except DBAPIError as error:
            _note_unreadable(result, name, error)
            del result.saved[name]
    with engines.of(result.settings).plain_reader() as table:
        with table.begin() as connection:
            end = dialects.last_id(connection)
            columns = {}
            for name, saved in result.saved.items():
                columns[name] = columns_of(connection, saved.connection)
                query = select(func.max(readings.c.id)).where(readings.c.id <= saved.last)
                last = connection.execute(query).scalar_one() or 0
                own, other = row_of(connection, last), row_of(saved.connection, last)
                if own and other:
                    pair = [[row[column] for column in columns[name]] for row in (own, other)]
                    saved.is_foreign = _changed(*pair) > CHANGED_MAX
        for after in range(0, end, PIECE_IDS):
            _compare_piece(result, table, columns, after, min(after + PIECE_IDS, end))


def _note_unreadable(result: Comparison, name: str, error: Exception) -> None:
    reason = " ".join(reason_of(error).split())
    result._add(Difference(kind="unreadable", path=name, values={"table": reason}))


def _compare_piece(
    result: Comparison, table: Engine, columns: dict[str, list[str]], after: int, until: int
) -> None:
    with table.begin() as connection:
        names = columns_of(connection)
        rows = all_rows(connection, rows_query(names, after, until))
        out = dialects.of(connection).readings_out_of_index(connection, after, until)
        removed = load_removed(connection)
    result.readings += len(rows)
    result.out_of_index.update(out[: max(0, NOTED_MAX - len(result.out_of_index))])
    for name, saved in [*result.saved.items()]:
        if after >= saved.last:
            continue
        try:
            of_copy = all_rows(saved.connection, rows_query(columns[name], after, until))
        except DBAPIError as error:
            _note_unreadable(result, name, error)
            del result.saved[name]
            continue
        saved.readings += len(of_copy)
        places = [0, *(1 + names.index(column) for column in columns[name])]
        is_same = places == [*range(len(names) + 1)]
        of_table = rows if is_same else [tuple(row[place] for place in places) for row in rows]
        if of_copy == of_table:
            continue
        _note_differing(saved, of_table, of_copy, columns[name], removed)


def _changed(row: Sequence[Any], other: Sequence[Any]) -> int:
    """Return how many values of a row differ."""
    return sum(a != b for a, b in zip(row, other, strict=True))


def _note_differing(
    saved: _Saved,
    of_table: Sequence[tuple[Any, ...]],
    of_copy: Sequence[tuple[Any, ...]],
    columns: Sequence[str],
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
            values = None if other is None else dict(zip(columns, other[1:], strict=True))
            saved.differing[number] = values


# ----------------------------------------------------------------------------- CSV files


def _note_file(result: Comparison, station: Station, compared: ComparedFile) -> None:
    result.files[station.endpoint] = compared
    result.lines += compared.rows
    if compared.left_out:
        result.left_out[station.endpoint] = compared.left_out
    if not compared.is_intact:
        result._add(
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
        result._add(
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
                    result._add(Difference(kind="file", wrong=("csv",), path=path))


# ----------------------------------------------------------------------------- which is right


def _judge_readings(result: Comparison) -> None:
    """Say of each reading that copies have otherwise which is right."""
    lines = {
        (endpoint, other.number): other
        for endpoint, compared in result.files.items()
        for other in compared.others
        if other.has_reading
    }
    loose = {
        endpoint: [other for other in compared.others if not other.has_reading]
        for endpoint, compared in result.files.items()
    }
    numbers = {number for saved in result.saved.values() for number in saved.differing}
    numbers |= {number for _endpoint, number in lines} | result.out_of_index
    with engines.of(result.settings).plain_reader() as table, table.begin() as connection:
        gone = load_removed(connection)
        judge = _Judge(result, connection, gone, lines, loose)
        for number in sorted(numbers):
            judge.judge(number)
        if judge.is_index_wrong:
            result._add(Difference(kind="tree", wrong=("index",), path=INDEX))
        for endpoint, others in loose.items():
            removed, compared = gone.get(endpoint), result.files[endpoint]
            for other in others if compared.is_intact else ():
                if removed is not None and other.number < removed.last_id:
                    continue
                number = other.number + 1
                # The ids between may be readings of other stations.
                while row_of(connection, number) is not None:
                    number += 1
                times = compared.times_of(other.line)
                difference = Difference(
                    kind="line",
                    station=endpoint,
                    number=number,
                    at_ms=times[0] if times else None,
                    path=str(compared.target.path),
                    values={"csv": _said(other)},
                )
                places = frozenset((endpoint, ms // HOUR_MS) for ms in times or ())
                result._add(difference, places=places)


def _said(other: OtherLine) -> str:
    return other.line.decode(errors="backslashreplace").rstrip()


@dataclass(slots=True)
class _Judge:
    result: Comparison
    table: Connection
    removed: Mapping[str, Removed]
    lines: dict[tuple[str, int], OtherLine]
    loose: dict[str, list[OtherLine]]
    """Lines without a reading, by the endpoint; those of a judged reading are taken out."""
    is_index_wrong: bool = False

    def judge(self, number: int) -> None:
        """Compare what each copy has of a reading."""
        stored = row_of(self.table, number)
        saved = {name: copy.row(number, stored) for name, copy in self.result.saved.items()}
        backup = saved.get("backup", UNKNOWN)
        candidates: list[Row | None] = [stored]
        if backup is not UNKNOWN:
            candidates.append(None if backup is None else (stored or {}) | backup)
        rows = [row for row in candidates if row is not None]
        for (endpoint, of_line), other in self.lines.items():
            if of_line == number:
                candidates += self.result.files[endpoint].reading_of(other.line, rows)
        candidates = [row for n, row in enumerate(candidates) if row not in candidates[:n]]
        gone = [self.removed.get(row["endpoint"]) for row in rows]
        if stored is None and any(each and number <= each.last_id for each in gone):
            # It was removed meanwhile.
            return
        right, is_clear = self._right(number, stored, candidates, backup)
        differing = [
            name for name, row in saved.items() if row is not UNKNOWN and not _is_same(right, row)
        ]
        is_missed = number in self.result.out_of_index
        if is_clear:
            wrong = ["table"] if right != stored else []
            wrong += ["csv"] if right and self._line(number, stored, right) is False else []
            wrong += differing
            self.is_index_wrong |= is_missed and right == stored
            if wrong:
                self._add(number, stored, right, candidates, saved, wrong)
        elif not (is_missed and self.is_index_wrong and len(candidates) == 1):
            # Else it is only missed, as others are by an index that is out of order.
            self._add(number, stored, None, candidates, saved, [])

    def _right(
        self, number: int, stored: Row | None, candidates: list[Row | None], backup: Any
    ) -> tuple[Row | None, bool]:
        """Return the right reading, and whether it can be said."""
        has_line = [row and self._line(number, stored, row) for row in candidates]
        proven = [
            row
            for row, has in zip(candidates, has_line, strict=True)
            if row and has and self.result.files[row["endpoint"]].is_intact
        ]
        pool = proven or candidates
        if len(pool) == 1 and proven:
            return pool[0], True
        times = {(row["endpoint"], row["received_at"]) for row in candidates if row}
        votes = []
        for row in pool:
            vote = int(row == stored) + (backup is not UNKNOWN and _is_same(row, backup))
            vote += bool(row and has_line[candidates.index(row)])
            if row and (len(times) > 1 or number in self.result.out_of_index):
                vote += dialects.of(self.table).is_in_index(
                    self.table, number, row["endpoint"], row["received_at"]
                )
            votes.append(vote)
        most = max(votes)
        if most < COPIES_MIN or votes.count(most) > 1:
            return None, False
        return pool[votes.index(most)], True

    def _line(self, number: int, stored: Row | None, row: Row) -> bool | None:
        """Whether the CSV file has the line of this reading; None where it has no line of it."""
        endpoint = row["endpoint"]
        compared = self.result.files.get(endpoint)
        if compared is None or compared.left_out:
            return None
        text = compared.text_of(row)
        if (other := self.lines.get((endpoint, number))) is not None:
            return lines_without_minus_zero(other.line) == text
        if stored is not None and stored["endpoint"] == endpoint:
            return compared.text_of(stored) == text if number in compared else None
        has = any(lines_without_minus_zero(other.line) == text for other in self.loose[endpoint])
        return has if has or number in compared else None

    def _add(
        self,
        number: int,
        stored: Row | None,
        right: Row | None,
        candidates: list[Row | None],
        saved: dict[str, Any],
        wrong: Sequence[str],
    ) -> None:
        rows = [row for row in candidates if row is not None]
        rows = rows or [row for row in saved.values() if isinstance(row, dict)]
        shown = right or rows[0]
        names = [name for name in shown if len({row.get(name) for row in rows}) > 1]
        names = names if names and None not in candidates else [*shown]
        values: dict[str, str] = {"table": _shown(stored, names)}
        of_reading = [other for key, other in self.lines.items() if key[1] == number]
        if of_reading:
            values["csv"] = _said(of_reading[-1])
        for row in rows:
            others = self.loose.get(row["endpoint"], [])
            text = self.result.files[row["endpoint"]].text_of(row) if others else None
            for other in [*others]:
                if lines_without_minus_zero(other.line) == text:
                    values["csv"] = _said(other)
                    others.remove(other)
        for name, row in saved.items():
            if row is not UNKNOWN:
                values[name] = _shown(row, names)
        at_ms = shown["received_at"]
        difference = Difference(
            kind="reading",
            wrong=tuple(name for name in COPIES if name in wrong),
            station=shown["endpoint"],
            number=number,
            at_ms=at_ms if FIRST_DATE_MS <= at_ms <= LAST_DATE_MS else None,
            values=values,
            right=_shown(right, names) if right else "",
        )
        places = frozenset((row["endpoint"], row["received_at"] // HOUR_MS) for row in rows)
        right = right if "table" in wrong else None
        self.result._add(difference, stored=stored, right=right, places=places)


def _is_same(row: Row | None, other: Row | None) -> bool:
    """Whether a copy, which may have fewer columns, has this reading."""
    if row is None or other is None:
        return row is other
    return {name: row.get(name) for name in other} == other


def _shown(row: Row | None, names: Sequence[str]) -> str:
    if row is None:
        return "–"
    return ", ".join(f"{name} {row[name]}" for name in names if row.get(name) is not None)


# ----------------------------------------------------------------------------- roll-ups


def _compare_hours(result: Comparison, station: Station) -> None:
    """Compare the roll-ups of hours with the readings, those of removed ones with the backup."""
    after: int | None = BEFORE_ALL_HOURS
    saved = result.saved.get("backup")
    differing = {place for each in result.findings for place in each.places}
    while after is not None:
        look, after = rollup_check.verify_hours_after(station, result.database, after)
        result.hours += look.hours
        # Within rounding a bit may have changed, or another SQLite has added the values.
        rounded = [
            each
            for each in look.rounded
            if saved and each.computed == _saved_sums(saved, station, rollups.c.hour, each.hour[1])
        ]
        for each in (*look.differences, *rounded):
            if each.hour not in differing:
                with result.database.reader.begin() as connection:
                    _judge_hour(result, connection, station, each.hour[1])


def _judge_hour(result: Comparison, connection: Connection, station: Station, hour: int) -> None:
    last = follower.position(connection)
    stored = stored_sums(connection, station, rollups.c.hour, hour)
    stated = follower.computed(station, connection, hour, last)
    if stored == stated:
        return
    places = frozenset({(station.endpoint, hour)})
    difference = Difference(
        kind="hour",
        station=station.endpoint,
        number=hour,
        at_ms=hour * HOUR_MS,
        values={"hours": _short(stored, stated), "table": _short(stated, stored)},
    )
    of_hour = removed_of_hour(connection, station.endpoint, hour)
    kept = [of_hour[name] for name in station.columns if name in of_hour]
    if not kept:
        is_wrong = _are_elsewhere(result, connection, station, hour)
        is_wrong = is_wrong or _has_day(connection, station, hour, stated)
    else:
        # No reading is left to compute them from.
        saved = result.saved.get("backup")
        of_backup = [] if saved is None else _saved_sums(saved, station, removed_hours.c.hour, hour)
        is_wrong = of_backup == kept
        columns, ids = station.columns, Ids(last)
        left = follower.of_readings(station.endpoint, columns, connection, hour, ids)
        by_name = {row["measurement"]: row for row in of_backup}
        pairs = [(by_name.get(row["measurement"]), row) for row in left]
        whole = [with_removed(other, row) for other, row in pairs if other is not None]
        if of_backup and not is_wrong and agree(stored, whole or of_backup):
            right = _short(of_backup, kept)
            values = {**difference.values, "backup": right}
            difference = replace(
                difference, kind="kept", wrong=("table",), values=values, right=right
            )
            result._add(difference, kept=of_backup, places=places)
            return
    if is_wrong:
        difference = replace(difference, wrong=("hours",), right=_short(stated, stored))
    result._add(difference, places=places)


def _are_elsewhere(result: Comparison, connection: Connection, station: Station, hour: int) -> bool:
    """Whether another copy has each reading of the hour; none of them differs."""
    low_ms, high_ms = ends_of(hour)
    at = readings.c.received_at
    query = select(readings.c.id).where(
        readings.c.endpoint == station.endpoint, at >= low_ms, at <= high_ms
    )
    backup = result.saved.get("backup")
    compared = result.files.get(station.endpoint)
    return all(
        (backup is not None and number <= backup.last and number < backup.foreign_from)
        or (compared is not None and not compared.left_out and number in compared)
        for number in connection.execute(query).scalars()
    )


def _has_day(connection: Connection, station: Station, hour: int, stated: Sums) -> bool:
    """Whether the day adds up with the sums of the readings: then none of these has changed."""
    made = days.made(connection)
    zone = None if made is None or not made.are_all else zone_of(made.zone)
    if zone is None:
        return False
    day = day_of(hour * HOUR_MS, zone)
    maker = days.DayMaker(connection, zone, follower.position(connection))
    of_day = stored_sums(connection, station, rollup_days.c.day, day)
    return bool(of_day) and agree(of_day, maker.rows(station, day, {hour: stated}))


def _compare_days(result: Comparison, station: Station) -> None:
    """Compare the roll-ups of days with those of their hours."""
    after: int | None = days.BEFORE_ALL
    saved = result.saved.get("backup")
    with result.database.reader.begin() as connection:
        made = days.made(connection)
    zone = None if made is None else zone_of(made.zone)
    if zone is None:
        return
    # They are compared once their hours are right.
    differing = {
        day_of(hour * HOUR_MS, zone)
        for each in result.findings
        for endpoint, hour in each.places
        if endpoint == station.endpoint
    }
    while after is not None:
        look, after = rollup_check.verify_days_after(station, result.database, after)
        result.hours += look.days
        rounded = [
            each
            for each in look.rounded
            if saved and each.computed == _saved_sums(saved, station, rollup_days.c.day, each.day)
        ]
        for each in (*look.differences, *rounded):
            if each.day not in differing:
                result._add(
                    Difference(
                        kind="day",
                        wrong=("days",),
                        station=station.endpoint,
                        number=each.day,
                        at_ms=day_start(each.day, zone),
                        values={
                            "days": _short(each.stored, each.computed),
                            "hours": _short(each.computed, each.stored),
                        },
                        right=_short(each.computed, each.stored),
                    )
                )


def _saved_sums(saved: _Saved, station: Station, key: Any, number: int) -> Sums:
    """Return the sums of an hour or a day as a backup has them; empty where it has none."""
    try:
        return stored_sums(saved.connection, station, key, number)
    except DBAPIError:
        return []


def _short(rows: Sums, other: Sums) -> str:
    """Return the sums that differ: measurement, count, total, least and greatest value."""
    different = [row for row in rows if row not in other]
    names = ("measurement", "readings", "count", "total", "minimum", "maximum")
    return "; ".join(" ".join(str(row[name]) for name in names) for row in different)
