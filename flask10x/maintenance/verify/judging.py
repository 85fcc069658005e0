"""Says which copy is wrong where copies differ; what can't be said is said to be so, never guessed.

Copies are not equal witnesses. A backup that has the value of the table says no more than that the
table was so when it was made; one that has another value, and its SHA-256, proves that the table
has changed. A replica is proven by its own checksums when it is fetched, but its copy then lies on
the same card, and it may have been carried since the table has changed. A CSV file with the
checksum of the last export is what the table was then, and where its checksum is that of the export
once a line is replaced, that line was so. The roll-ups of an hour were made when the reading came,
and those of its day add up to them.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DBAPIError

from flask10x.database import dialects, engines
from flask10x.database.database import all_rows
from flask10x.database.removed import removed_of_hour, with_removed
from flask10x.database.tables import measurement, readings, rollup_days, rollups
from flask10x.database.verified import Copy, Difference
from flask10x.export.file import CsvFile
from flask10x.history import days
from flask10x.history import rollups as follower
from flask10x.history.local_time import day_of, day_start
from flask10x.history.rollup_check import agree
from flask10x.history.sums import ends_of, stored_sums
from flask10x.maintenance.verify.comparing import (
    CHANGED_MAX,
    Copies,
    Noted,
    NotedLine,
    OpenFile,
    Row,
    columns_of,
    is_removed,
    open_file,
    opened_backup,
    parsed,
    rows_query,
    saved_sums,
    unreadable,
)
from flask10x.readings.csv_lines import Lines
from flask10x.readings.numbers import lines_without_minus_zero
from flask10x.readings.stations import Station
from flask10x.readings.times import FIRST_DATE_MS, HOUR_MS, LAST_DATE_MS, zone_of

# What a copy weighs in a vote; see the head of this module.
VOTE = 1.0
# A replica weighs as a backup where it has the value of the table, and else a vote.
SAME_BACKUP, SOUND_BACKUP, CHANGED_BACKUP = 0.5, 1.5, 0.25
INTACT_FILE = 2.0
# Each reads a whole CSV file for each of the readings that it may have been.
PROOFS_MAX = 50

Sums = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """A difference, and what a repair needs of it."""

    difference: Difference
    stored: Row = field(default_factory=dict)
    """The reading as the table has it."""
    right: Row | None = None
    """The reading as it should be; None where it can't be said."""
    line: NotedLine | None = None
    """The line of the CSV file that is wrong."""
    entry: tuple[str, int] | None = None
    """What the index has of the reading, where it has one entry."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """Bytes of a CSV file that are to be replaced."""

    offset: int
    length: int
    text: bytes


def checksum_with(file: CsvFile, end: int, replaced: Iterable[Replacement]) -> tuple[int, int]:
    """Return the CRC-32 and the size of the file up to `end` with these bytes replaced."""
    checksum, size, offset = 0, 0, 0
    for part in (*sorted(replaced, key=lambda each: each.offset), Replacement(end, 0, b"")):
        for block in file.blocks(offset, part.offset):
            checksum, size = zlib.crc32(block, checksum), size + len(block)
        checksum, size = zlib.crc32(part.text, checksum), size + len(part.text)
        offset = part.offset + part.length
    return checksum, size


class Judge:
    """Looks at all copies of what was noted; close it, or use it in `with`."""

    def __init__(self, copies: Copies, noted: Noted) -> None:
        self._copies, self._noted = copies, noted
        self._stations = copies.settings.stations.by_endpoint
        self._stack = ExitStack()
        self._table: Engine = self._stack.enter_context(engines.of(copies.settings).plain_reader())
        self._backups: dict[str, Connection | None] = {}
        self._files: dict[str, OpenFile | None] = {}
        self._lines = {(line.station, line.id): line for line in noted.file_lines
                       if line.next_id is None}  # fmt: skip
        self._lost = [line for line in noted.file_lines if line.next_id is not None]
        self._rows: dict[int, Row | None] = {}
        self._alternatives: dict[int, Row] = {}
        self._entries: dict[int, tuple[str, int] | None] = {}
        self._proofs = 0

    def __enter__(self) -> "Judge":
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def judgements(self) -> list[Judgement]:
        """Return one for each reading, hour, day and file that differs.

        An index with a wrong entry is not in order, so that readings of other hours are not found,
        either: then no hour can be judged before the entry is repaired.
        """
        of_readings = [*self._readings()]
        is_in_order = not any("index" in each.difference.wrong for each in of_readings)
        of_rollups = self.of_rollups(of_readings) if is_in_order else []
        return [*of_readings, *of_rollups, *self._of_files(of_readings)]

    def of_rollups(self, of_readings: Sequence[Judgement] = ()) -> list[Judgement]:
        """Return one for each hour and day that differs, beside these readings."""
        of_hours = [*self._hours(of_readings)]
        return [*of_hours, *self._days(of_hours)]

    # ------------------------------------------------------------------------- readings

    def _readings(self) -> Iterator[Judgement]:
        ids = dict.fromkeys([*self._noted.ids, *(line.id for line in self._lines.values())])
        for lost in self._lost:
            ids |= dict.fromkeys(self._without_line(lost))
        with self._table.begin() as connection:
            for number in sorted(ids):
                self._rows[number] = self._row(connection, number)
        for number, row in self._rows.items():
            saved = (self._saved(number) or (None, None))[1]
            for other in (self._in_replica(number), saved):
                if row is not None and other is not None and row | other != row:
                    self._alternatives[number] = row | other
        for number, row in self._rows.items():
            judgement = None if row is None else self._judge_readable(number, row)
            if judgement is not None:
                yield judgement

    def _row(self, connection: Connection, number: int) -> Row | None:
        names = columns_of(connection)
        rows = all_rows(connection, rows_query(names, number - 1, number))
        return dict(zip(names, rows[0][1:], strict=True)) if rows else None

    def _without_line(self, lost: NotedLine) -> Iterator[int]:
        """Yield the reading that a line is of which the station's rows do not have."""
        opened = self._file(lost.station)
        if opened is None or is_removed(self._copies, lost.station, lost.id + 1):
            return
        line = opened.file.read(lost.offset, lost.length)
        with self._table.begin() as connection:
            last = dialects.last_id(connection)
            names, end = columns_of(connection), min(lost.next_id or last, last)
            for number, *values in all_rows(connection, rows_query(names, lost.id, end)):
                row = dict(zip(names, values, strict=True))
                if row["endpoint"] != lost.station:
                    moved = row | {"endpoint": lost.station}
                    if self._text(moved) == line:
                        self._lines[lost.station, number] = lost
                        yield number
                        return

    def _judge_readable(self, number: int, stored: Row) -> Judgement | None:
        try:
            return self._judge(number, stored)
        except DBAPIError as error:
            self._noted.unread[f"reading {number}"] = unreadable(error)
            return None

    def _judge(self, number: int, stored: Row) -> Judgement | None:
        candidates = self._candidates(number, stored)
        entry = self._entry(number)
        if len(candidates) == 1 and self._has_line(number, stored) is not False:
            return None
        votes = self._votes(number, stored, candidates)
        right = _winner(candidates, votes)
        if right is None and (proven := self._proven(number, candidates)) is not None:
            right = proven
        saved, replica = self._newest(number), self._in_replica(number)
        wrong: list[Copy] = []
        if right is not None:
            wrong += ["table"] if right != stored else []
            wrong += (
                ["index"] if entry and entry != (right["endpoint"], right["received_at"]) else []
            )
            wrong += ["csv"] if self._has_line(number, right) is False else []
            wrong += ["backup"] if saved and right | saved != right else []
            wrong += ["replica"] if replica and right | replica != right else []
            if not wrong:
                return None
        station = (right or stored)["endpoint"]
        difference = Difference(
            kind="reading",
            wrong=tuple(wrong),
            station=station,
            number=number,
            at_ms=_date((right or stored)["received_at"]),
            values=self._values(number, stored, candidates),
            right="" if right is None else _shown(right, _differing(candidates)),
        )
        line = self._lines.get((station, number)) if "csv" in wrong else None
        return Judgement(difference=difference, stored=stored, right=right, line=line, entry=entry)

    def _candidates(self, number: int, stored: Row) -> list[Row]:
        """Return the different readings that the copies have for this id."""
        rows = [stored]
        of_backup = (self._saved(number) or (None, None))[1]
        for saved in (self._newest(number), of_backup, self._in_replica(number)):
            if saved is not None:
                rows.append(stored | saved)
        if entry := self._entry(number):
            rows.append(stored | {"endpoint": entry[0], "received_at": entry[1]})
        for (station, _id), line in self._lines.items():
            if _id == number:
                rows += self._said(station, line, rows)
        unique: list[Row] = []
        for row in rows:
            if row not in unique:
                unique.append(row)
        return unique

    def _said(self, station: str, line: NotedLine, rows: Sequence[Row]) -> list[Row]:
        """Return the readings that the line may be of; it has the second, not the millisecond."""
        opened = self._file(station)
        said = parsed(opened.target, opened.file.read(line.offset, line.length)) if opened else None
        if opened is None or said is None:
            return []
        values = dict(zip(opened.target.station.columns, said.values, strict=True))
        return [
            row | values | {"endpoint": station}
            for row in rows
            if said.earliest_ms <= row["received_at"] <= said.latest_ms
        ]

    def _votes(self, number: int, stored: Row, candidates: Sequence[Row]) -> list[float]:
        fits = [self._sums_fit(number, row) for row in candidates]
        entry, saved = self._entry(number), self._saved(number)
        replica = self._in_replica(number)
        votes = []
        for row, has_sums in zip(candidates, fits, strict=True):
            vote = VOTE if row == stored else 0.0
            if entry is not None and entry == (row["endpoint"], row["received_at"]):
                vote += VOTE
            if has_sums and not all(fits):
                vote += VOTE
            if self._has_line(number, row):
                vote += INTACT_FILE if self._is_intact(row["endpoint"]) else VOTE
            if saved is not None and row | saved[1] == row:
                weights = {True: SOUND_BACKUP, None: VOTE, False: CHANGED_BACKUP}
                is_same = stored | saved[1] == stored
                vote += SAME_BACKUP if is_same else weights[self._noted.backups[saved[0]]]
            if replica is not None and row | replica == row:
                vote += SAME_BACKUP if stored | replica == stored else VOTE
            votes.append(vote)
        return votes

    def _proven(self, number: int, candidates: Sequence[Row]) -> Row | None:
        """Return the only reading with whose line the file has the checksum of the last export."""
        self._proofs += 1
        if self._proofs > PROOFS_MAX:
            return None
        proven = [row for row in candidates if self._is_proven(number, row)]
        return proven[0] if len(proven) == 1 else None

    def _is_proven(self, number: int, row: Row) -> bool:
        line, opened = self._lines.get((row["endpoint"], number)), self._file(row["endpoint"])
        text = self._text(row)
        if line is None or opened is None or text is None:
            return False
        others = [self._from_table(other) for other in self._lines.values()
                  if other.station == line.station and other is not line]  # fmt: skip
        replaced = [Replacement(line.offset, line.length, text), *filter(None, others)]
        mark = opened.position.mark
        end = max(opened.end, line.offset + line.length)
        return checksum_with(opened.file, end, replaced) == (mark.checksum, mark.size_bytes)

    def _from_table(self, line: NotedLine) -> Replacement | None:
        row = self._rows.get(line.id)
        text = self._text(row) if row is not None else None
        return None if text is None else Replacement(line.offset, line.length, text)

    # ------------------------------------------------------------------------- what copies have

    def _entry(self, number: int) -> tuple[str, int] | None:
        """Return what the index has of the reading; None where it can't be asked."""
        if number not in self._entries:
            self._entries[number] = self._read_entry(number)
        return self._entries[number]

    def _read_entry(self, number: int) -> tuple[str, int] | None:
        row = self._rows.get(number)
        if row is None or not engines.of(self._copies.settings).is_file:
            return None
        with self._table.begin() as connection:
            statements = dialects.of(connection)
            if statements.readings_out_of_index(connection, number - 1, number):
                return statements.entry_of_index(connection, number)
        return row["endpoint"], row["received_at"]

    def _newest(self, number: int) -> Row | None:
        """Return the columns of the reading in the newest backup; None where it has none."""
        path = self._copies.backup(self._noted)
        return None if path is None else self._in_backup(str(path), number)

    def _saved(self, number: int) -> tuple[str, Row] | None:
        """Return the oldest sound backup that has the reading, else the newest, and its columns.

        The oldest was made first after the reading had come.
        """
        for path in reversed([*self._noted.backups]):
            if self._noted.backups[path] and (row := self._in_backup(path, number)) is not None:
                return path, row
        newest = self._copies.backup(self._noted)
        row = self._newest(number)
        return None if newest is None or row is None else (str(newest), row)

    def _in_replica(self, number: int) -> Row | None:
        """Return the columns of the reading in the replica; None where it has none."""
        path = self._copies.replica(self._noted)
        return None if path is None else self._in_backup(str(path), number)

    def _in_backup(self, path: str, number: int) -> Row | None:
        stored = self._rows.get(number)
        try:
            connection = self._backup(path)
            row = None if connection is None else self._row(connection, number)
        except DBAPIError:
            return None
        if stored is None or row is None:
            return row
        own = {name: value for name, value in row.items() if name in stored}
        changed = sum(stored[name] != value for name, value in own.items())
        # Another reading with the same id, of another history of the database.
        return own if changed <= CHANGED_MAX else None

    def _backup(self, path: str) -> Connection | None:
        if path not in self._backups:
            exists = Path(path).exists()
            opened = opened_backup(Path(path)) if exists else opened_backup(None)
            self._backups[path] = self._stack.enter_context(opened)
        return self._backups[path]

    def _file(self, station: str) -> OpenFile | None:
        if station not in self._files:
            opened = None
            if station in self._stations and station not in self._noted.left_out:
                file = open_file(self._copies, self._stations[station], self._noted)
                opened = self._stack.enter_context(file)
            self._files[station] = opened
        return self._files[station]

    def _is_intact(self, station: str) -> bool:
        opened = self._file(station)
        return opened is not None and str(opened.target.path) not in self._noted.files

    def _text(self, row: Row) -> bytes | None:
        """Return the line of the reading, as the exporter writes it; None where it has none."""
        opened = self._file(row["endpoint"])
        if opened is None or not FIRST_DATE_MS <= row["received_at"] <= LAST_DATE_MS:
            return None
        values = (row[name] for name in opened.target.station.columns)
        return Lines(opened.target.zone).bytes([(0, row["received_at"], *values)])

    def _has_line(self, number: int, row: Row) -> bool | None:
        """Whether the CSV file has the line of this reading; None where it has no line of it."""
        station = row["endpoint"]
        opened = self._file(station)
        if opened is None:
            return None
        line = self._lines.get((station, number))
        if line is not None:
            text = opened.file.read(line.offset, line.length)
            return lines_without_minus_zero(text) == self._text(row)
        if any(number in span for span in opened.rows()[1]):
            stored = self._rows[number]
            # The line was compared, and is that of the table.
            same = stored is not None and stored["endpoint"] == station
            return self._text(row) == self._text(stored) if same and stored else None
        return None

    def _sums_fit(self, number: int, row: Row) -> bool:
        """Whether the roll-ups are those of the readings, were this one so."""
        places = {
            (each["endpoint"], each["received_at"] // HOUR_MS)
            for each in (row, self._rows[number] or row, self._alternatives.get(number, row))
            if each["endpoint"] in self._stations
        }
        with self._copies.database.reader.begin() as connection:
            last = follower.position(connection)
            if number > last:
                return False
            others = {n: None for n in self._rows if n != number}
            return all(
                self._fits(connection, place, last, {number: row}, others) for place in places
            )

    def _fits(
        self,
        connection: Connection,
        place: tuple[str, int],
        last: int,
        rows: Mapping[int, Row],
        others: Mapping[int, None],
    ) -> bool:
        station = self._stations[place[0]]
        stored = stored_sums(connection, station, rollups.c.hour, place[1])
        stated = self._sums(connection, station, place[1], last, rows)
        if agree(stored, stated):
            return True
        # Another reading of the hour may be wrong, too.
        alternatives = {n: row for n, row in self._alternatives.items() if n in others}
        if not alternatives:
            return False
        return agree(
            stored, self._sums(connection, station, place[1], last, alternatives | dict(rows))
        )

    def _sums(
        self,
        connection: Connection,
        station: Station,
        hour: int,
        last: int,
        instead: Mapping[int, Row],
    ) -> list[Sums]:
        """Return the roll-ups of the hour, were these readings so."""
        low_ms, high_ms = ends_of(hour)
        columns = station.columns
        at = readings.c.received_at
        query = select(readings.c.id, at, *map(measurement, columns)).where(
            readings.c.endpoint == station.endpoint, at >= low_ms, at <= high_ms
        )
        rows = [tuple(row) for row in connection.execute(query) if row[0] not in instead]
        rows += [
            (number, row["received_at"], *(row[name] for name in columns))
            for number, row in instead.items()
            if row["endpoint"] == station.endpoint and low_ms <= row["received_at"] <= high_ms
        ]
        rows = sorted((row for row in rows if row[0] <= last), key=lambda row: (row[1], row[0]))
        removed = removed_of_hour(connection, station.endpoint, hour)
        if not rows:
            return [removed[name] for name in columns if name in removed]
        sums = [
            _sums_of(station.endpoint, name, hour, [row[place] for row in rows])
            for place, name in enumerate(columns, 2)
        ]
        return [
            with_removed(removed[each["measurement"]], each) if removed else each for each in sums
        ]

    def _values(self, number: int, stored: Row, candidates: Sequence[Row]) -> dict[str, str]:
        """Return what each copy has where they differ."""
        names = _differing(candidates)
        values = {"table": _shown(stored, names)}
        if (entry := self._entry(number)) and {"endpoint", "received_at"} & {*names}:
            of_index = {"endpoint": entry[0], "received_at": entry[1]}
            values["index"] = _shown(of_index, [name for name in names if name in of_index])
        for (station, _id), line in self._lines.items():
            opened = self._file(station) if _id == number else None
            if opened is not None:
                text = opened.file.read(line.offset, line.length)
                values["csv"] = text.decode(errors="backslashreplace").rstrip()
        if saved := self._newest(number):
            values["backup"] = _shown(stored | saved, names)
        if saved := self._in_replica(number):
            values["replica"] = _shown(stored | saved, names)
        return values

    # ------------------------------------------------------------------------- roll-ups

    def _hours(self, of_readings: Sequence[Judgement]) -> Iterator[Judgement]:
        for endpoint, hour in dict.fromkeys(self._noted.rollup_hours):
            if (station := self._stations.get(endpoint)) is not None:
                look = partial(self._hour, station=station, hour=hour, of_readings=of_readings)
                if (difference := self._look(look)) is not None:
                    yield Judgement(difference=difference)

    def _look(self, look: Callable[[Connection], Difference | None]) -> Difference | None:
        try:
            with self._copies.database.reader.begin() as connection:
                return look(connection)
        except DBAPIError as error:
            self._noted.unread["roll-ups"] = unreadable(error)
            return None

    def _hour(
        self,
        connection: Connection,
        station: Station,
        hour: int,
        of_readings: Sequence[Judgement],
    ) -> Difference | None:
        last = follower.position(connection)
        stored = stored_sums(connection, station, rollups.c.hour, hour)
        stated = follower.computed(station, connection, hour, last)
        place = (station.endpoint, hour)
        of_hour = [each for each in of_readings if place in _hours_of(each)]
        right = {
            each.difference.number: each.right
            for each in of_readings
            if each.right is not None and {"table", "index"} & {*each.difference.wrong}
        }
        is_explained = bool(right) and agree(
            stored, self._sums(connection, station, hour, last, right)
        )
        if stored == stated or is_explained:
            return None
        wrong: tuple[Copy, ...] = ()
        is_clear = not any(
            not each.difference.wrong or {"table", "index"} & {*each.difference.wrong}
            for each in of_hour
        )
        if is_clear:
            for_stored, for_stated = self._votes_of_hour(connection, station, stored, stated, last)
            wrong = ("hours",) if for_stated > for_stored else ()
        return Difference(
            kind="hour",
            wrong=wrong,
            station=station.endpoint,
            number=hour,
            at_ms=hour * HOUR_MS,
            values={"hours": _short(stored, stated), "table": _short(stated, stored)},
            right=_short(stated, stored) if wrong else "",
        )

    def _votes_of_hour(
        self,
        connection: Connection,
        station: Station,
        stored: list[Sums],
        stated: list[Sums],
        last: int,
    ) -> tuple[float, float]:
        """Return what speaks for the stored roll-ups, and for those that the readings give."""
        hour = int((stored or stated)[0]["hour"])
        for_stored, for_stated = VOTE, VOTE
        path = self._copies.backup(self._noted)
        backup = None if path is None else self._backup(str(path))
        saved = saved_sums(backup, station, hour)
        if saved and saved in (stored, stated):
            is_stored = saved == stored
            for_stored, for_stated = for_stored + is_stored, for_stated + (not is_stored)
        path = self._copies.replica(self._noted)
        replica = saved_sums(self._backup(str(path)) if path else None, station, hour)
        if replica and replica in (stored, stated):
            for_stored += SAME_BACKUP * (replica == stored)
            for_stated += VOTE * (replica == stated)
        if not removed_of_hour(connection, station.endpoint, hour):
            for_stated += self._covered(connection, station, hour, last)
        if _has_same_totals(stored, stated):
            for_stated += VOTE
        made = days.made(connection)
        zone = None if made is None or not made.are_all else zone_of(made.zone)
        if zone is None:
            return for_stored, for_stated
        day = day_of(hour * HOUR_MS, zone)
        of_day = stored_sums(connection, station, rollup_days.c.day, day)
        maker = days.DayMaker(connection, zone, last)
        has_stored = agree(of_day, maker.rows(station, day))
        has_stated = agree(of_day, maker.rows(station, day, {hour: stated}))
        if has_stored != has_stated:
            for_stored, for_stated = for_stored + has_stored, for_stated + has_stated
        return for_stored, for_stated

    def _covered(self, connection: Connection, station: Station, hour: int, last: int) -> float:
        """Return what copies of all readings of the hour weigh that are those of the table."""
        low_ms, high_ms = ends_of(hour)
        at = readings.c.received_at
        query = select(readings.c.id).where(
            readings.c.endpoint == station.endpoint, at >= low_ms, at <= high_ms
        )
        ids = [number for number in connection.execute(query).scalars() if number <= last]
        weight = 0.0
        if ids and self._in_newest(max(ids)):
            weight += SAME_BACKUP
        opened = self._file(station.endpoint)
        if ids and opened is not None:
            spans = opened.rows()[1]
            if all(any(number in span for span in spans) for number in ids):
                weight += SAME_BACKUP
        return weight

    def _in_newest(self, number: int) -> bool:
        path = self._copies.backup(self._noted)
        connection = None if path is None else self._backup(str(path))
        try:
            return connection is not None and self._row(connection, number) is not None
        except DBAPIError:
            return False

    def _days(self, of_hours: Sequence[Judgement]) -> Iterator[Judgement]:
        for endpoint, day in dict.fromkeys(self._noted.rollup_days):
            if (station := self._stations.get(endpoint)) is not None:
                look = partial(self._day, station=station, day=day, of_hours=of_hours)
                if (difference := self._look(look)) is not None:
                    yield Judgement(difference=difference)

    def _day(
        self, connection: Connection, station: Station, day: int, of_hours: Sequence[Judgement]
    ) -> Difference | None:
        made = days.made(connection)
        zone = None if made is None or not made.are_all else zone_of(made.zone)
        if zone is None:
            return None
        last = follower.position(connection)
        stored = stored_sums(connection, station, rollup_days.c.day, day)
        of_day = {
            each.difference.number: each.difference
            for each in of_hours
            if each.difference.station == station.endpoint
            and day_of(each.difference.number * HOUR_MS, zone) == day
        }
        newer = {
            hour: follower.computed(station, connection, hour, last)
            for hour, difference in of_day.items()
            if difference.wrong
        }
        stated = days.DayMaker(connection, zone, last).rows(station, day, newer)
        if stored == stated or (newer and agree(stored, stated)):
            return None
        is_clear = len(newer) == len(of_day)
        return Difference(
            kind="day",
            wrong=("days",) if is_clear else (),
            station=station.endpoint,
            number=day,
            at_ms=day_start(day, zone),
            values={"days": _short(stored, stated), "hours": _short(stated, stored)},
            right=_short(stated, stored) if is_clear else "",
        )

    # ------------------------------------------------------------------------- files

    def _of_files(self, of_readings: Sequence[Judgement]) -> Iterator[Judgement]:
        for path in dict.fromkeys(self._noted.files):
            station = next(
                (each for each in self._stations
                 if (opened := self._file(each)) and str(opened.target.path) == path),
                "",
            )  # fmt: skip
            replaced = self.replacements(station, of_readings) if station else None
            lines = [each.line for each in of_readings if each.line is not None]
            if replaced is not None:
                # It may have been repaired since it was compared.
                if replaced and station not in [line.station for line in lines]:
                    yield _of_file(path, station, "the first line")
                continue
            yield _of_file(path, station, "")
        for lost in self._noted.lost:
            difference = Difference(
                kind="lost",
                wrong=("csv",),
                station=lost.endpoint,
                at_ms=lost.last_ms,
                path=lost.path,
                values={"trouble": lost.trouble, "first_ms": str(lost.first_ms)},
            )
            yield Judgement(difference=difference)
        for path, is_unchanged in self._noted.backups.items():
            if is_unchanged is False:
                yield Judgement(difference=Difference(kind="backup", wrong=("backup",), path=path))
        if reason := self._noted.replica_broken:
            place = self._noted.replica_place
            values = {"replica": reason}
            difference = Difference(kind="replica", wrong=("replica",), path=place, values=values)
            yield Judgement(difference=difference)
        for name, reason in self._noted.unread.items():
            yield Judgement(
                difference=Difference(kind="unreadable", path=name, values={"table": reason})
            )

    def row(self, number: int) -> Row | None:
        """Return the reading as the table has it now."""
        with self._table.begin() as connection:
            return self._row(connection, number)

    def path_of(self, station: str) -> Path:
        """Return the path of the station's CSV file, which is there."""
        opened = self._file(station)
        if opened is None:
            raise FileNotFoundError(station)
        return opened.target.path

    def replacements(
        self, station: str, judgements: Sequence[Judgement]
    ) -> list[Replacement] | None:
        """Return what makes the station's file that of the last export, by its checksum.

        None where nothing does that is known.
        """
        opened = self._file(station)
        if opened is None:
            return None
        replaced = []
        for each in judgements:
            if each.line is not None and each.line.station == station and each.right is not None:
                text = self._text(each.right)
                if text is not None:
                    replaced.append(Replacement(each.line.offset, each.line.length, text))
        first, header = opened.file.read(0, len(opened.target.header)), opened.target.header
        if first != header:
            replaced.append(Replacement(0, len(first), header))
        mark = opened.position.mark
        written = checksum_with(opened.file, opened.file.size, replaced)
        return replaced if written == (mark.checksum, mark.size_bytes) else None


def _of_file(path: str, station: str, right: str) -> Judgement:
    difference = Difference(kind="file", wrong=("csv",), station=station, path=path, right=right)
    return Judgement(difference=difference)


def _winner(candidates: Sequence[Row], votes: Sequence[float]) -> Row | None:
    """Return the reading with the most votes; None where two have as many."""
    most = max(votes)
    first = [row for row, vote in zip(candidates, votes, strict=True) if vote == most]
    return first[0] if len(first) == 1 else None


def _hours_of(judgement: Judgement) -> set[tuple[str, int]]:
    rows = filter(None, (judgement.stored, judgement.right))
    places = {(row["endpoint"], row["received_at"] // HOUR_MS) for row in rows}
    if judgement.entry is not None:
        places.add((judgement.entry[0], judgement.entry[1] // HOUR_MS))
    return places


def _sums_of(endpoint: str, name: str, hour: int, values: Sequence[float | None]) -> Sums:
    present = [value for value in values if value is not None]
    return {
        "endpoint": endpoint,
        "measurement": name,
        "hour": hour,
        "readings": len(values),
        "count": len(present),
        "total": float(sum(present)),
        "minimum": min(present, default=None),
        "maximum": max(present, default=None),
    }


def _has_same_totals(stored: Sequence[Sums], stated: Sequence[Sums]) -> bool:
    """Whether no reading can have changed: that would have changed the total of its hour.

    A value of 0 that is gone would not, so no value may be missing that was counted.
    """
    others = {row["measurement"]: row for row in stored}
    for row in stated:
        other = others.get(row["measurement"])
        if other is None or None in (row["total"], other["total"]):
            return False
        same = ("readings", "count", "minimum", "maximum")
        if not agree([other | {name: row[name] for name in same}], [row]):
            return False
        if row["count"] < min(other["count"], row["readings"]):
            return False
    return bool(stated)


def _differing(candidates: Sequence[Row]) -> list[str]:
    return [name for name in candidates[0] if len({row[name] for row in candidates}) > 1]


def _shown(row: Row, names: Sequence[str]) -> str:
    return ", ".join(f"{name} {row[name]}" for name in names)


def _short(rows: list[Sums], other: list[Sums]) -> str:
    """Return the sums that differ: measurement, count, total, least and greatest value."""
    different = [row for row in rows if row not in other]
    names = ("measurement", "readings", "count", "total", "minimum", "maximum")
    return "; ".join(" ".join(str(row[name]) for name in names) for row in different)


def _date(ms: int) -> int | None:
    return ms if FIRST_DATE_MS <= ms <= LAST_DATE_MS else None
