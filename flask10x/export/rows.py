"""The rows of the log that a CSV file holds, and their order.

Live readings are in the order of their ids. Readings that were imported from a file of the
station's name are where that file had them: right after the live reading `imports.after_id`, and
before all of them when that is 0. They are never appended, because they came from there.

A reading whose time is no date, which only damage or a hand can make, has no line: a program that
reads the file could not interpret it. It stops no other one, and each outcome names it.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    false,
    func,
    literal_column,
    or_,
    select,
    union_all,
)
from sqlalchemy.types import REAL

from flask10x.database.database import Database, all_rows
from flask10x.database.dialects import last_id
from flask10x.database.expressions import unindexed
from flask10x.database.insert import HEAD, existing_columns
from flask10x.database.removed import NOTHING_REMOVED, Removed, load_removed
from flask10x.database.tables import imports, measurement, readings
from flask10x.export.files import load_files
from flask10x.readings import csv_lines
from flask10x.readings.csv_lines import LogRow, ParsedLine
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
# The columns of a reading that are no measurements.
ROW_COLUMNS = (readings.c.id.name, *HEAD)


@dataclass(frozen=True, slots=True)
class IdSpan:
    """The station's rows with `after < id <= until`."""

    after: int
    until: int

    def __contains__(self, number: int) -> bool:
        return self.after < number <= self.until

    @property
    def length(self) -> int:
        """How many ids it has, of whatever station."""
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
    size_bytes: int | None = None
    """0 where the station's file did not have these rows when they were imported."""

    def __contains__(self, number: int) -> bool:
        return self.first_id <= number <= self.last_id

    def is_from_file_of(self, station: Station) -> bool:
        """Whether that file has a name of the station's."""
        return csv_lines.is_name_of(station, Path(self.file).name)

    @property
    def span(self) -> IdSpan:
        """Its ids."""
        return IdSpan(self.first_id - 1, self.last_id)


class Log:
    """The end of the log, and what the database has about the files, at one moment.

    The changes of this process keep `files` up to date.
    """

    def __init__(self, connection: Connection) -> None:
        self.read(connection)

    def read(self, connection: Connection) -> None:
        """Read it again."""
        self.head: int = last_id(connection)
        self.files = load_files(connection)
        self.removed: Mapping[str, Removed] = load_removed(connection)
        self.imports = defaultdict[str, list[Import]](list)
        """By station the imports from files of whatever name, in order."""
        columns = (imports.c[field.name] for field in fields(Import))
        query = select(imports.c.endpoint, *columns).order_by(imports.c.id)
        for endpoint, *values in connection.execute(query):
            self.imports[endpoint].append(Import(*values))


def load_undated(connection: Connection, endpoints: Collection[str]) -> dict[str, list[int]]:
    """Return the ids of the stations' readings without a line, as their time is no date."""
    at, ids = readings.c.received_at, defaultdict[str, list[int]](list)
    of_stations = select(readings.c.endpoint, readings.c.id).where(
        readings.c.endpoint.in_(endpoints)
    )
    # Each half is a range of the index; with OR all of its entries would be read.
    halves = of_stations.where(at < FIRST_DATE_MS), of_stations.where(at > LAST_DATE_MS)
    for endpoint, number in sorted(map(tuple, connection.execute(union_all(*halves)))):
        ids[endpoint].append(number)
    return ids


def endpoints_of(connection: Connection) -> list[str]:
    """Return the endpoints that have readings, by one look into the index for each."""
    first = select(func.min(readings.c.endpoint).label("endpoint")).cte("endpoints", recursive=True)
    following = select(func.min(readings.c.endpoint)).where(readings.c.endpoint > first.c.endpoint)
    following = following.correlate(first)
    is_one = first.c.endpoint.is_not(None)
    endpoints = first.union_all(select(following.scalar_subquery()).where(is_one))
    query = select(endpoints.c.endpoint).where(endpoints.c.endpoint.is_not(None))
    return list(connection.execute(query).scalars())


def first_received(connection: Connection, station: Station) -> int | None:
    """Return when the station's first reading was received, by the clock of then."""
    query = select(func.min(readings.c.received_at)).where(readings.c.endpoint == station.endpoint)
    first_ms: int | None = connection.execute(query).scalar_one()
    return first_ms


def columns_with_values(connection: Connection, ids: Sequence[int]) -> dict[int, list[str]]:
    """Return the columns of which each of these readings has a value, by their ids."""
    columns = sorted(existing_columns(connection).difference(ROW_COLUMNS))
    query = select(readings.c.id, *map(measurement, columns)).where(readings.c.id.in_(ids))
    return {
        number: [name for name, value in zip(columns, values, strict=True) if value is not None]
        for number, *values in connection.execute(query)
    }


def live(after: int, until: int, ranges: list[Import]) -> Iterator[IdSpan]:
    """Yield the spans of live readings with `after < id <= until`."""
    for imported in sorted(ranges, key=lambda each: each.first_id):
        if imported.last_id <= after or imported.first_id > until:
            continue
        if imported.first_id - 1 > after:
            yield IdSpan(after, imported.first_id - 1)
        after = imported.last_id
    if until > after:
        yield IdSpan(after, until)


def in_file_order(
    first_id: int, last_id: int, import_id: int, ranges: list[Import]
) -> list[IdSpan]:
    """Return the spans of a file that begins after `first_id` and has imports up to `import_id`."""
    spans: list[IdSpan] = []
    after = first_id
    for imported in sorted(ranges, key=lambda each: (each.after_id, each.id)):
        if imported.id <= import_id and (imported.after_id > first_id or first_id == 0):
            spans += [*live(after, imported.after_id, ranges), imported.span]
            after = max(after, imported.after_id)
    return [*spans, *live(after, last_id, ranges)]


def behind(spans: list[IdSpan], last_id: int) -> list[IdSpan]:
    """Return what follows this row in the order of the spans: nothing where none of them has it.

    After 0, which is the floor of a file's first line, all of them follow.
    """
    if not last_id:
        return spans
    for place, span in enumerate(spans):
        if last_id in span:
            return [IdSpan(last_id, span.until), *spans[place + 1 :]]
    return []


class FileRows:
    """The rows of a station, as its file has them; a view of the log at one moment."""

    def __init__(self, database: Database, station: Station, log: Log | None = None) -> None:
        if log is None:
            with database.reader.begin() as connection:
                log = Log(connection)
        self._database = database
        self.log = log
        self.station = station
        self.head = log.head
        self.all_imports = log.imports.get(station.endpoint, [])
        """All imports, also those of files of other names, whose readings are exported."""
        self.removed = log.removed.get(station.endpoint, NOTHING_REMOVED)
        self.imports = [each for each in self.all_imports if each.is_from_file_of(station)]

    @property
    def archived_to(self) -> int:
        """The last reading that another file of the station has than the one of its name."""
        files, endpoint = self.log.files, self.station.endpoint
        names = set(files.names_of(endpoint)) - {self.station.csv_name}
        return files.last_id(endpoint, *names)

    @property
    def import_id(self) -> int:
        """The newest import."""
        return max((each.id for each in self.imports), default=0)

    def of(self, station: Station) -> "FileRows":
        """Return the rows of this station at the same moment."""
        return FileRows(self._database, station, self.log)

    def new(self, last_id: int, until: int | None = None) -> list[IdSpan]:
        """Return what is to be appended, up to a row, to a file that has come to `last_id`."""
        if not last_id and self.first_received() is None:
            # Else each export would read the whole log for a station that has never sent.
            return []
        return list(live(last_id, until or self.head, self.imports))

    def imported(self, after_import: int) -> list[IdSpan]:
        """Return what was imported after that import."""
        return [each.span for each in self.imports if each.id > after_import]

    def pages(
        self, spans: list[IdSpan], advance: Advance = lambda _: None
    ) -> Iterator[list[LogRow]]:
        """Yield the rows of the spans: lists of (id, received_at, values...), none empty.

        `advance` is called with the number of ids just passed.
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
        """Return how many rows the spans have."""
        if not spans:
            return 0
        query = _of_station(self.station, (func.count(),))
        with self._database.reader.begin() as connection:
            return sum(connection.execute(query, asdict(span)).scalar_one() for span in spans)

    def first(self, spans: list[IdSpan]) -> LogRow | None:
        """Return the first row of the spans: (id, received_at, values...)."""
        return next((page[0] for page in self.pages(spans)), None)

    def last(self, spans: list[IdSpan]) -> LogRow | None:
        """Return the last row of the spans: (id, received_at, values...)."""
        return next(iter(self.newest(spans, 1)), None)

    def last_with(self, spans: list[IdSpan], columns: Iterable[str]) -> int | None:
        """Return the id of the last row of the spans that has a value in one of these columns."""
        has_value = or_(false(), *(measurement(name).is_not(None) for name in columns))
        query = _of_station(self.station, (readings.c.id,)).where(has_value)
        last = query.order_by(readings.c.id.desc()).limit(1)
        rows = (row for span in reversed(spans) for row in self._all(last, asdict(span)))
        return next((row.id for row in rows), None)

    def newest(self, spans: list[IdSpan], rows_max: int) -> list[LogRow]:
        """Return up to `rows_max` of the last rows of the spans, the last one first."""
        query, rows = _last_of(self.station), list[LogRow]()
        for span in reversed(spans):
            if len(rows) < rows_max:
                limit = {"rows": rows_max - len(rows)}
                rows += map(tuple, self._all(query, asdict(span) | limit))
        return rows

    def columns_with_values(self, ids: Sequence[int]) -> dict[int, list[str]]:
        """Return the columns of which each of these readings has a value, by their ids."""
        with self._database.reader.begin() as connection:
            return columns_with_values(connection, ids)

    def first_received(self) -> int | None:
        """Return when the station's first reading was received, by the clock of then."""
        with self._database.reader.begin() as connection:
            return first_received(connection, self.station)

    def find(self, written: ParsedLine) -> list[int]:
        """Return the ids of the readings that a line may be of."""
        span = {"earliest": written.earliest_ms, "latest": written.latest_ms}
        rows = self._all(_at_a_time(self.station), span)
        return [number for number, *values in rows if tuple(values) == written.values]

    def in_other_zone(self, written: ParsedLine) -> list[int]:
        """Return when readings were received that a line may be of in some zone of the world.

        `written` is the line read as UTC.
        """
        low, high = OFFSETS_SEC
        second = written.earliest_ms // SECOND_MS
        values: dict[str, Any] = dict(zip(self.station.columns, written.values, strict=True))
        span = {
            "second": second,
            "earliest": (second - high) * SECOND_MS,
            "latest": (second - low) * SECOND_MS + SECOND_MS - 1,
        }
        rows = self._all(_in_other_zone(self.station), values | span)
        return [row.received_at for row in rows]

    def _all(self, query: Select[Any], values: Mapping[str, Any] | None = None) -> Sequence[Any]:
        with self._database.reader.begin() as connection:
            return connection.execute(query, values).all()

    def _page(self, after: int, until: int) -> list[LogRow]:
        query = _page_of(self.station, PAGE_ROWS)
        with self._database.range_query() as connection:
            return [*all_rows(connection, query, {"after": after, "until": until})]


def _of_station(station: Station, columns: tuple[Any, ...]) -> Select[Any]:
    # Or SQLite would read all of the station's entries in the index and sort them, instead of
    # going on from `after`.
    return select(*columns).where(
        unindexed(readings.c.endpoint) == station.endpoint,
        readings.c.id > bindparam("after"),
        readings.c.id <= bindparam("until"),
        readings.c.received_at.between(DATES[0], DATES[1]),
    )


def _log_rows(station: Station) -> Select[Any]:
    return _of_station(station, (readings.c.id, readings.c.received_at, *_values(station)))


@lru_cache(maxsize=16)
def _page_of(station: Station, rows: int) -> Select[Any]:
    return _log_rows(station).order_by(readings.c.id).limit(rows)


@lru_cache(maxsize=16)
def _last_of(station: Station) -> Select[Any]:
    return _log_rows(station).order_by(readings.c.id.desc()).limit(bindparam("rows"))


@lru_cache(maxsize=16)
def _at_a_time(station: Station) -> Select[Any]:
    return select(readings.c.id, *_values(station)).where(
        readings.c.endpoint == station.endpoint,
        readings.c.received_at.between(bindparam("earliest"), bindparam("latest")),
    )


@lru_cache(maxsize=16)
def _in_other_zone(station: Station) -> Select[Any]:
    second = readings.c.received_at.op("/")(SECOND_MS)
    return select(readings.c.received_at).where(
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
