"""Which rows of the log a CSV file holds, and in which order.

Live readings stand in the order of their ids. Readings that were imported from a file of the
station's name stand where that file had them: right after the live reading `imports.after_id`,
and before all of them when that is 0. They are never appended, because they came from there.

A reading whose time is no date, which only damage or a hand can make, has no line: a program that
reads the file could not tell what it means. It stops no other one, and each outcome names it.
"""

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    case,
    false,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.types import REAL

from flask10x.database import removed
from flask10x.database.database import Database
from flask10x.database.dialects import last_id
from flask10x.database.expressions import unindexed
from flask10x.database.insert import HEAD, existing_columns
from flask10x.database.tables import archived_files, exports, imports, measurement, readings
from flask10x.readings import csv_lines
from flask10x.readings.csv_lines import Lines, LogRow, ParsedLine
from flask10x.readings.stations import Station
from flask10x.readings.times import (
    FIRST_DATE_MS,
    LAST_DATE_MS,
    OFFSETS_SEC,
    QUARTER_SECONDS,
    SECOND_MS,
)
from flask10x.system.progress import Advance

# Rows read in one short transaction: enough to be fast, few enough that neither memory nor a
# checkpoint waits for the export.
PAGE_ROWS = 5000
DATES: tuple[ColumnElement[int], ...] = (
    literal_column(str(FIRST_DATE_MS)),
    literal_column(str(LAST_DATE_MS)),
)


@dataclass(frozen=True, slots=True)
class IdSpan:
    """The station's rows with `after < id <= until`."""

    after: int
    until: int

    def __contains__(self, number: int) -> bool:
        return self.after < number <= self.until

    @property
    def length(self) -> int:
        """How many ids lie in it, of whatever station."""
        return self.until - self.after


@dataclass(frozen=True, slots=True)
class Import:
    """A range of readings that came from a file of the station's name; see `tables.imports`."""

    id: int
    first_id: int
    last_id: int
    after_id: int
    file: str = ""
    """The path of that file."""

    def __contains__(self, number: int) -> bool:
        return self.first_id <= number <= self.last_id


def live(after: int, until: int, ranges: list[Import]) -> Iterator[IdSpan]:
    """The spans of live readings with `after < id <= until`."""
    for taken in sorted(ranges, key=lambda found: found.first_id):
        if taken.last_id <= after or taken.first_id > until:
            continue
        if taken.first_id - 1 > after:
            yield IdSpan(after, taken.first_id - 1)
        after = taken.last_id
    if until > after:
        yield IdSpan(after, until)


def in_file_order(
    first_id: int, last_id: int, import_id: int, ranges: list[Import]
) -> list[IdSpan]:
    """The spans of a file that begins after `first_id` and has imports up to `import_id`."""
    spans: list[IdSpan] = []
    done = first_id
    for placed in sorted(ranges, key=lambda found: (found.after_id, found.id)):
        if placed.id <= import_id and (placed.after_id > first_id or first_id == 0):
            spans += live(done, placed.after_id, ranges)
            spans.append(IdSpan(placed.first_id - 1, placed.last_id))
            done = max(done, placed.after_id)
    return [*spans, *live(done, last_id, ranges)]


def behind(spans: list[IdSpan], last_id: int) -> list[IdSpan]:
    """What follows the row of a floor; all of them behind a floor that is the file's first line."""
    return after_row(spans, last_id) if last_id else spans


def after_row(spans: list[IdSpan], last_id: int) -> list[IdSpan]:
    """What follows this row in the order of these spans; nothing when none of them has it."""
    for place, span in enumerate(spans):
        if last_id in span:
            return [IdSpan(last_id, span.until), *spans[place + 1 :]]
    return []


class FileRows:
    """The rows of one station, as its file wants them; a view of the log at one moment."""

    def __init__(self, database: Database, station: Station) -> None:
        """Reads how long the log is and what was imported."""
        self._database = database
        self.station = station
        with database.reader.begin() as connection:
            self.head = last_id(connection)
            query = select(imports).where(imports.c.endpoint == station.endpoint)
            found = connection.execute(query.order_by(imports.c.id)).all()
            self.removed = removed.removed_of_station(connection, station.endpoint)
            self.archived_to = _archived_to(connection, station)
        self.all_imports = [
            Import(row.id, row.first_id, row.last_id, row.after_id, row.file) for row in found
        ]
        """Those of files of other names, too, whose readings are exported like any."""
        self.imports = [
            found
            for found in self.all_imports
            if csv_lines.is_name_of(station, Path(found.file).name)
        ]

    @property
    def import_id(self) -> int:
        """The newest import."""
        return max((found.id for found in self.imports), default=0)

    def of(self, station: Station) -> "FileRows":
        """The rows of the station with these columns."""
        return FileRows(self._database, station)

    def new(self, last_id: int) -> list[IdSpan]:
        """What is to be appended to a file that has come to `last_id`."""
        return list(live(last_id, self.head, self.imports))

    def received(self, last_id: int) -> list[IdSpan]:
        """What came after this row and was not imported, from a file of whatever name."""
        return list(live(last_id, self.head, self.all_imports))

    def between(self, from_id: int, to_id: int) -> list[IdSpan]:
        """What one append took."""
        return list(live(from_id, to_id, self.imports))

    def of_file(self, first_id: int, last_id: int, import_id: int) -> list[IdSpan]:
        """What a file holds, in its order."""
        return in_file_order(first_id, last_id, import_id, self.imports)

    def imported(self, after_import: int) -> list[IdSpan]:
        """What was imported after that import."""
        return [
            IdSpan(found.first_id - 1, found.last_id)
            for found in self.imports
            if found.id > after_import
        ]

    def pages(
        self, spans: list[IdSpan], advance: Advance = lambda _: None
    ) -> Iterator[list[LogRow]]:
        """The rows of the spans: lists of (id, received_at, values...), none empty.

        `advance` is called with the number of ids just gone through.
        """
        for span in spans:
            after = span.after
            while page := self._page(after, span.until):
                yield page
                if len(page) < PAGE_ROWS:
                    break
                advance(page[-1][0] - after)
                after = page[-1][0]
            advance(span.until - after)

    def count(self, spans: list[IdSpan]) -> int:
        """How many rows the spans have."""
        query = _of_station(self.station, (func.count(),))
        with self._database.reader.begin() as connection:
            return sum(
                connection.execute(query, {"after": s.after, "until": s.until}).scalar_one()
                for s in spans
            )

    def undated(self) -> list[int]:
        """The ids of the station's readings that are left out, because their time is no date."""
        with self._database.reader.begin() as connection:
            return list(connection.execute(_undated_of(self.station)).scalars())

    def first(self, spans: list[IdSpan]) -> LogRow | None:
        """The first row of the spans: (id, received_at, values...)."""
        return next((page[0] for page in self.pages(spans)), None)

    def last(self, spans: list[IdSpan]) -> LogRow | None:
        """The last row of the spans: (id, received_at, values...)."""
        return next(iter(self.newest(spans, 1)), None)

    def has(self, last_id: int, received_at: int | None) -> bool:
        """Whether a file that has come to `last_id` can have these as its last rows.

        `received_at` is when its last row was received; without it that row has the last id.
        """
        last = readings.c.id == last_id
        if received_at is not None:
            last = and_(readings.c.id <= last_id, readings.c.received_at == received_at)
        query = select(readings.c.id).where(readings.c.endpoint == self.station.endpoint, last)
        with self._database.reader.begin() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def up_to(self, last_id: int) -> "FileRows":
        """The same rows without those that came after this one."""
        shorter = copy.copy(self)
        shorter.head = last_id
        return shorter

    def last_with(self, spans: list[IdSpan], columns: Iterable[str]) -> int | None:
        """The id of the last row of the spans that has a value in one of these columns."""
        has_value = or_(false(), *(measurement(name).is_not(None) for name in columns))
        query = _of_station(self.station, (readings.c.id,)).where(has_value)
        last = query.order_by(readings.c.id.desc()).limit(1)
        with self._database.reader.begin() as connection:
            for span in reversed(spans):
                between = {"after": span.after, "until": span.until}
                number: int | None = connection.execute(last, between).scalar_one_or_none()
                if number is not None:
                    return number
        return None

    def values_elsewhere(self, spans: list[IdSpan]) -> tuple[int, list[str]]:
        """How many rows of the spans have values in columns of no measurement of the station.

        And which columns these are.
        """
        with self._database.reader.begin() as connection:
            own = {readings.c.id.name, *HEAD, *self.station.columns}
            columns = sorted(existing_columns(connection).difference(own))
            if not columns:
                return 0, []
            values = [measurement(name).is_not(None) for name in columns]
            counts = (func.count(case((value, 1))) for value in (or_(*values), *values))
            query, rows, with_values = _of_station(self.station, tuple(counts)), 0, set[str]()
            for span in spans:
                between = {"after": span.after, "until": span.until}
                number, *numbers = connection.execute(query, between).one()
                rows += number
                with_values.update(name for name, n in zip(columns, numbers, strict=True) if n)
        return rows, sorted(with_values)

    def newest(self, spans: list[IdSpan], rows_max: int) -> list[LogRow]:
        """So many of the last rows of the spans, the last one first."""
        query, found = _last_of(self.station), list[LogRow]()
        with self._database.reader.begin() as connection:
            for span in reversed(spans):
                if len(found) == rows_max:
                    break
                between = {"after": span.after, "until": span.until, "rows": rows_max - len(found)}
                found += map(tuple, connection.execute(query, between))
        return found

    def columns_with_values(self, ids: Sequence[int]) -> dict[int, list[str]]:
        """By the ids of these readings: the columns of which each has a value."""
        with self._database.reader.begin() as connection:
            columns = sorted(existing_columns(connection).difference(HEAD, (readings.c.id.name,)))
            query = select(readings.c.id, *map(measurement, columns))
            rows = connection.execute(query.where(readings.c.id.in_(ids))).all()
        return {
            number: [name for name, value in zip(columns, values, strict=True) if value is not None]
            for number, *values in rows
        }

    def columns_in_table(self) -> set[str]:
        """All columns that the table of readings has."""
        with self._database.reader.begin() as connection:
            return existing_columns(connection)

    def first_received(self) -> int | None:
        """When the station's first reading was received, by the clock of then."""
        query = select(func.min(readings.c.received_at)).where(
            readings.c.endpoint == self.station.endpoint
        )
        with self._database.reader.begin() as connection:
            first: int | None = connection.execute(query).scalar_one()
        return first

    def find(self, written: ParsedLine) -> list[int]:
        """The ids of the readings that a line speaks of."""
        query, span = _at_a_time(self.station), (written.earliest_ms, written.latest_ms)
        with self._database.reader.begin() as connection:
            found = connection.execute(query, {"earliest": span[0], "latest": span[1]}).all()
        return [number for number, *values in found if tuple(values) == written.values]

    def in_other_zone(self, written: ParsedLine, offset_sec: int | None) -> list[tuple[int, int]]:
        """The id and the time of receipt of readings that a line speaks of in another zone.

        `written` is what the line says read as UTC; `offset_sec` is how far that zone is ahead of
        UTC, None for any zone.
        """
        low, high = OFFSETS_SEC if offset_sec is None else (offset_sec, offset_sec)
        second = written.earliest_ms // SECOND_MS
        given = dict(zip(self.station.columns, written.values, strict=True))
        span = {
            "second": second,
            "earliest": (second - high) * SECOND_MS,
            "latest": (second - low) * SECOND_MS + SECOND_MS - 1,
        }
        with self._database.reader.begin() as connection:
            found = connection.execute(_in_other_zone(self.station), given | span)
            return [(row.id, row.received_at) for row in found]

    def _page(self, after: int, until: int) -> list[LogRow]:
        query = _page_of(self.station, PAGE_ROWS)
        with self._database.reader.begin() as connection:
            result = connection.execute(query, {"after": after, "until": until})
            # The driver's own tuples: SQLAlchemy's rows cost a tenth of an export's time.
            return list(result.cursor.fetchall()) if result.cursor else []


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows as a file has them: their bytes, the last one, how many they are."""

    data: bytes
    last_id: int
    rows: int
    last_received_at: int | None
    """Of the last one; None where there are none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A station's file, and the rows that belong into it."""

    station: Station
    name: str
    """The file's name, under which the database knows it."""
    path: Path
    zone: tzinfo | None
    zone_name: str
    header: bytes
    """The first line."""
    rows: FileRows
    unknown: tuple[str, ...] = ()
    """Columns of the file that the station has no more (`earlier_columns`)."""
    host: str | None = None
    """This one, where several share the database and one of them has the files; else None."""

    def pieces(self, spans: list[IdSpan], advance: Advance = lambda _: None) -> Iterator[Piece]:
        """The rows of the spans as lines, PAGE_ROWS or less at a time; `advance` as in `pages`."""
        lines = Lines(self.zone)
        for page in self.rows.pages(spans, advance):
            last_id, last_received_at, *_ = page[-1]
            yield Piece(lines.bytes(page), last_id, len(page), last_received_at)

    def next_line(self, last_id: int) -> bytes | None:
        """The line that would be appended to a file that has come to `last_id`."""
        for page in self.rows.pages(self.rows.new(last_id)):
            return Lines(self.zone).bytes(page[:1])
        return None


def _archived_to(connection: Connection, station: Station) -> int:
    """The last reading that a file of the station has which is not the one of its name now."""
    ends = (
        select(func.max(archived_files.c.last_id)).where(
            archived_files.c.endpoint == station.endpoint
        ),
        select(func.max(exports.c.last_id)).where(
            exports.c.endpoint == station.endpoint, exports.c.name != station.csv_name
        ),
    )
    return max(connection.execute(end).scalar_one() or 0 for end in ends)


def _of_station(station: Station, columns: tuple[Any, ...]) -> Select[Any]:
    # Or SQLite would read all of the station's entries in the index and sort them, instead of
    # going on from `after`.
    return select(*columns).where(
        unindexed(readings.c.endpoint) == station.endpoint,
        readings.c.id > bindparam("after"),
        readings.c.id <= bindparam("until"),
        readings.c.received_at.between(DATES[0], DATES[1]),
    )


@lru_cache(maxsize=16)
def _undated_of(station: Station) -> Select[Any]:
    at = readings.c.received_at
    query = select(readings.c.id).where(readings.c.endpoint == station.endpoint)
    return query.where(or_(at < FIRST_DATE_MS, at > LAST_DATE_MS)).order_by(readings.c.id)


@lru_cache(maxsize=16)
def _page_of(station: Station, rows: int) -> Select[Any]:
    columns = (readings.c.id, readings.c.received_at, *_values(station))
    return _of_station(station, columns).order_by(readings.c.id).limit(rows)


@lru_cache(maxsize=16)
def _last_of(station: Station) -> Select[Any]:
    columns = (readings.c.id, readings.c.received_at, *_values(station))
    return _of_station(station, columns).order_by(readings.c.id.desc()).limit(bindparam("rows"))


@lru_cache(maxsize=16)
def _at_a_time(station: Station) -> Select[Any]:
    return select(readings.c.id, *_values(station)).where(
        readings.c.endpoint == station.endpoint,
        readings.c.received_at.between(bindparam("earliest"), bindparam("latest")),
    )


@lru_cache(maxsize=16)
def _in_other_zone(station: Station) -> Select[Any]:
    second = readings.c.received_at.op("/")(SECOND_MS)
    return select(readings.c.id, readings.c.received_at).where(
        readings.c.endpoint == station.endpoint,
        readings.c.received_at.between(bindparam("earliest"), bindparam("latest")),
        (second - bindparam("second")) % QUARTER_SECONDS == 0,
        *(
            measurement(name).is_not_distinct_from(bindparam(name, type_=REAL))
            for name in station.columns
        ),
    )


def _values(station: Station) -> list[Any]:
    return [measurement(name) for name in station.columns]
