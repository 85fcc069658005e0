"""Pages of readings in the order (received_at, id); their SQL is in `statements.py`.

A page of several stations is one UNION ALL with a branch per station. Each branch walks the index
(endpoint, received_at), whose entries end in the rowid, and SQLite merges them as it goes; so a
page costs its own rows, however deep it lies (docs/decisions/0016). With a filter the page is put
together from the hours that can hold matching rows (`search.py`).
"""

import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, case, select

from flask10x.config.settings import Settings
from flask10x.database.cursors import MAX_CURSOR_MS, MIN_CURSOR_MS, Cursor, Side
from flask10x.database.database import Database
from flask10x.database.expressions import spans
from flask10x.database.tables import measurement, readings
from flask10x.history import search
from flask10x.history.corrections import NONE, Corrections
from flask10x.history.query import Query
from flask10x.history.search import RowRequest
from flask10x.history.statements import (
    STATEMENTS,
    Branch,
    columns_of,
    newer_statement,
)
from flask10x.history.view import View
from flask10x.readings.derived import Derived
from flask10x.readings.stations import Station

# How many stored readings one answer to `since` looks through: milliseconds, whatever it filters.
NEWER_SPAN_ROWS = 10_000
# A page of a download: a few milliseconds of reading, some hundred kilobytes of memory.
DOWNLOAD_PAGE_ROWS = 2000
# A page of a download whose filter hardly ever holds walks much of the table. People wait for a
# file; but its snapshot must end, because meanwhile the WAL only grows.
DOWNLOAD_TIMES = 10
# Conditions that each hold in most hours but never together make a page look through everything.
# People wait that long, sensors wait behind four such pages, and a link leads to the rest.
SEARCH_SEC = 0.5


@dataclass(frozen=True, slots=True)
class Row:
    """One reading."""

    id: int
    endpoint: str
    received_at: int
    """UTC epoch milliseconds."""
    values: tuple[float | None, ...]
    """In the order of the station's measurements; as they are shown, or as they were stored if the
    query is for raw values."""
    corrected: tuple[str, ...] = ()
    """The columns that are shown differently from how they were stored, also in a raw row."""
    hidden: bool = False
    """Whether the reading is hidden; only a query for raw values has such rows."""


def derived_values(
    row: Row, station: Station, chosen: Sequence[Derived]
) -> dict[str, float | None]:
    """Return derived values by their names, computed from the shown values of the row."""
    values = dict(zip(station.columns, row.values, strict=True))
    return {derived.name: derived.of(values) for derived in chosen}


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Rows in the requested order, and the cursors of the pages on either side."""

    rows: list[Row]
    next: Cursor | None
    """Further from where the query started: older, or newer with `order=asc`."""
    prev: Cursor | None
    """Back towards the start; None on a page without a cursor."""
    reached: int | None = None
    """Up to when the search has come, in UTC epoch milliseconds, if it ended before the page was
    full; None otherwise. The next page has the rest."""


@dataclass(frozen=True, slots=True)
class Newer:
    """Readings that were stored after an id, in the order of ids."""

    rows: list[Row]
    last_id: int
    """The id up to which the log was searched: the next query's `since`."""


def patience_sec(settings: Settings) -> float:
    """Return how long a search for a page may take: half of the limit for a query at most."""
    return min(SEARCH_SEC, settings.query_timeout_sec / 2)


def page(view: View, query: Query, search_sec: float = math.inf) -> HistoryPage:
    """Return the page of the query; `query.rows` must not be None.

    Rows that arrive later never shift or repeat a row of another page. A search that takes longer
    than `search_sec` ends early: the page is short, or even empty, and says so.
    """
    if query.rows is None:
        raise ValueError("a page needs a limit")
    until_sec = time.monotonic() + search_sec
    forward: Side = "after" if query.order == "asc" else "before"
    side = query.cursor.side if query.cursor else forward
    cursors = [query.cursor] if query.cursor else []
    request = search.row_request(
        query, view.corrections, cursors, query.rows + 1, newest_first=side == "before"
    )
    one_more, reached = _fetch(view, query, request, until_sec)
    back = _back(view, query, query.cursor, one_more, until_sec) if query.cursor else None
    rows = one_more[: query.rows]
    onward = _at(side, rows[-1]) if len(one_more) > len(rows) else reached
    if (side == "before") != (query.order == "desc"):
        rows.reverse()
    ends = (onward, back) if side == forward else (back, onward)
    return HistoryPage(
        rows, *ends, reached.received_at if reached and len(rows) < query.rows else None
    )


def rows_in_pages(
    database: Database, query: Query, page_rows: int = DOWNLOAD_PAGE_ROWS
) -> Iterator[list[Row]]:
    """Yield all rows of the query in lists; oldest first unless the order is `desc`.

    Each list is a short read transaction of its own and no connection is held between two lists,
    so a slow reader never stops a checkpoint. With a limit there is one list, the one of `page`.
    Raises QueryTooLong when one list takes DOWNLOAD_TIMES as long as a page may.
    """
    if query.rows is not None:
        with database.query(DOWNLOAD_TIMES) as connection:
            rows = page(View(connection, query.registry), query).rows
        yield rows
        return
    side: Side = "before" if query.order == "desc" else "after"
    cursors = {query.cursor.side: query.cursor} if query.cursor else {}
    while True:
        with database.query(DOWNLOAD_TIMES) as connection:
            until_sec = time.monotonic() + SEARCH_SEC
            view, listed = View(connection, query.registry), list(cursors.values())
            request = search.row_request(
                query, view.corrections, listed, page_rows, newest_first=query.order == "desc"
            )
            rows, cursor = _fetch(view, query, request, until_sec)
        if rows:
            yield rows
        if len(rows) == page_rows:
            cursor = _at(side, rows[-1])
        if cursor is None:
            return
        cursors[side] = cursor


def newer(view: View, query: Query, newer_than: int) -> Newer:
    """Return at most `query.rows` readings stored after the id, late ones too.

    One answer covers the ids up to `newer_than` plus NEWER_SPAN_ROWS, so it can be empty while
    there is more: `last_id` stays the same only at the end of the log. For an id beyond that end,
    as after a restore, it is the end. Raises what `page` raises.
    """
    if query.rows is None:
        raise ValueError("a page needs a limit")
    last = min(view.last_id, newer_than + NEWER_SPAN_ROWS)
    request = search.row_request(query, view.corrections, [], query.rows, newest_first=False)
    if last <= newer_than or request is None:
        return Newer([], last)
    values = request.bound | {"position": newer_than, "last_id": last}
    records = view.connection.execute(newer_statement(request.shape), values).all()
    rows = _rows(records, request.branches, view.corrections, raw=query.raw)
    return Newer(rows, rows[-1].id if len(rows) == query.rows else last)


class EndOfRange(NamedTuple):
    """Asks for the newest, or the oldest, shown reading of a station in a range of time."""

    endpoint: str
    first_ms: int = MIN_CURSOR_MS
    last_ms: int = MAX_CURSOR_MS
    """UTC epoch milliseconds, both ends inclusive."""
    newest: bool = True


def end_rows(view: View, ends: Sequence[EndOfRange], *, raw: bool = False) -> list[Row | None]:
    """Return the row of each end, None when the range has none.

    It takes one statement, and another one where a row is found that is hidden: it looks beyond.
    With `raw` readings are as they were stored, and hidden ones count, too.
    """
    rows: list[Row | None] = [None] * len(ends)
    waiting = [*enumerate(ends)]
    while waiting:
        listed = [
            (end.endpoint, None, end.first_ms, end.last_ms, int(end.newest)) for _, end in waiting
        ]
        hidden: list[tuple[int, EndOfRange]] = []
        for number, row in _rows_of(view, listed, raw=raw):
            place, end = waiting[number]
            if raw or not row.hidden:
                rows[place] = row
            elif (rest := _beyond(view, end, row)) is not None:
                hidden.append((place, rest))
        waiting = hidden
    return rows


def _beyond(view: View, end: EndOfRange, hidden: Row) -> EndOfRange | None:
    """Return the rest of the range beyond what hides this row; None where nothing is left."""
    segment = view.corrections.hidden_at(hidden.endpoint, hidden.received_at)
    if segment is None:
        return None
    if end.newest:
        rest = end._replace(last_ms=segment.first_ms - 1)
    else:
        rest = end._replace(first_ms=segment.last_ms + 1)
    return rest if rest.first_ms <= rest.last_ms else None


def row_of(view: View, number: int) -> Row | None:
    """Return the reading of this id as it is shown, also a hidden one; None when there is none."""
    stations = view.stations.all
    branches = tuple(Branch(station.endpoint, station.columns, ()) for station in stations)
    record = view.connection.execute(_row_of(columns_of(branches)), {"id": number}).first()
    if record is None or record.endpoint not in view.stations.by_endpoint:
        return None
    # What was stored is told, too, so hidden values must not be missing.
    return _rows([record], branches, view.corrections, raw=True)[0]


@lru_cache(maxsize=STATEMENTS)
def _row_of(columns: tuple[str, ...]) -> Select[Any]:
    row = readings.c
    head = (row.id, row.endpoint, row.received_at)
    return select(*head, *map(measurement, columns)).where(row.id == bindparam("id"))


def extreme_id(
    view: View, end: EndOfRange, column: str, *, highest: bool, raw: bool = False
) -> int | None:
    """Return the id of the reading with the highest, or the lowest, shown value in a range.

    None where no value is shown there. With `raw` values are as they were stored.
    """
    corrections = NONE if raw else view.corrections
    shown: list[tuple[float, int]] = []
    statement = _extreme(column, highest)
    for segment in corrections.segments(end.endpoint, column, end.first_ms, end.last_ms):
        if segment.hidden:
            continue
        ends = {"endpoint": end.endpoint, "first": segment.first_ms, "last": segment.last_ms}
        # A gain is above 0, so within a segment the order is that of the stored values.
        for number, stored in view.connection.execute(statement, ends):
            shown.append((segment.gain * stored + segment.offset, int(number)))
    if not shown:
        return None
    return (max if highest else min)(shown, key=lambda pair: pair[0])[1]


@lru_cache(maxsize=STATEMENTS)
def _extreme(column: str, highest: bool) -> Select[Any]:
    row, value = readings.c, measurement(column)
    return (
        select(row.id, value)
        .where(row.endpoint == bindparam("endpoint"), value.is_not(None))
        .where(row.received_at >= bindparam("first"), row.received_at <= bindparam("last"))
        .order_by(value.desc() if highest else value, row.received_at, row.id)
        .limit(1)
    )


def _rows_of(
    view: View, listed: Sequence[tuple[str, None, int, int, int]], *, raw: bool
) -> list[tuple[int, Row]]:
    """Return the newest or the oldest row of each span that has one, with the span's place.

    They are in the order of the places.
    """
    if not listed:
        return []
    endpoints = {endpoint for endpoint, *_ in listed}
    branches = tuple(
        Branch(station.endpoint, station.columns, ())
        for station in view.stations.all
        if station.endpoint in endpoints
    )
    statement = _end_rows(columns_of(branches))
    records = sorted(view.connection.execute(statement, {"ends": json.dumps(listed)}))
    rows = _rows([record[1:] for record in records], branches, view.corrections, raw=raw)
    return [(number, row) for (number, *_), row in zip(records, rows, strict=True)]


@lru_cache(maxsize=STATEMENTS)
def _end_rows(columns: tuple[str, ...]) -> Select[Any]:
    ranges, of_range = spans("ends"), readings.alias()
    at, number = of_range.c.received_at, of_range.c.id
    within = (
        select(number)
        .where(of_range.c.endpoint == ranges.c.endpoint)
        .where(at >= ranges.c.first, at <= ranges.c.second)
        .limit(1)
    )
    newest = within.order_by(at.desc(), number.desc()).scalar_subquery()
    oldest = within.order_by(at, number).scalar_subquery()
    row = readings.c
    return select(
        *(ranges.c.place, row.id, row.endpoint, row.received_at), *map(measurement, columns)
    ).join_from(ranges, readings, row.id == case((ranges.c.third == 1, newest), else_=oldest))


def _back(
    view: View,
    query: Query,
    cursor: Cursor,
    rows: list[Row],
    until_sec: float,
) -> Cursor | None:
    """Return the cursor of the page on the far side of the cursor; None when it has no row."""
    beyond = cursor.opposite
    start = _at(beyond.side, rows[0]) if rows else beyond
    # The cursor was made from the row before the page, which is usually still there.
    near = Cursor(cursor.side, beyond.received_at, cursor.id + (1 if start.side == "after" else -1))
    for cursors in ([beyond, near], [start]):
        newest_first = start.side == "before"
        request = search.row_request(query, view.corrections, cursors, 1, newest_first=newest_first)
        beyond_rows, reached = _fetch(view, query, request, until_sec)
        if beyond_rows or reached:
            return start
    return None


def _at(side: Side, row: Row) -> Cursor:
    return Cursor(side, row.received_at, row.id)


def _fetch(
    view: View, query: Query, request: RowRequest | None, until_sec: float
) -> tuple[list[Row], Cursor | None]:
    """Return the rows of a request, and from where a search that ended early has to go on.

    Without a request, which is one that no station can match, there are no rows.
    """
    if request is None:
        return [], None
    records, reached = search.find(view, request, until_sec)
    return _rows(records, request.branches, view.corrections, raw=query.raw), reached


def _rows(
    records: Sequence[Any], branches: tuple[Branch, ...], corrections: Corrections, *, raw: bool
) -> list[Row]:
    cells = _cells(branches)
    rows = [
        Row(number, endpoint, received_at, tuple([values[place] for place in cells[endpoint]]))
        for number, endpoint, received_at, *values in records
    ]
    touched = {b.endpoint: b.columns for b in branches if corrections.touches(*b[:2])}
    if not touched:
        return rows
    return [
        _shown(row, touched[row.endpoint], corrections, raw=raw) if row.endpoint in touched else row
        for row in rows
    ]


def _shown(row: Row, columns: tuple[str, ...], corrections: Corrections, *, raw: bool) -> Row:
    endpoint, at = row.endpoint, row.received_at
    pairs = zip(columns, row.values, strict=True)
    shown = tuple(corrections.shown(endpoint, column, at, value) for column, value in pairs)
    hidden = corrections.hidden_at(endpoint, at) is not None
    if shown == row.values and not hidden:
        return row
    changed = zip(columns, row.values, shown, strict=True)
    return replace(
        row,
        values=row.values if raw else shown,
        corrected=tuple(column for column, stored, now in changed if stored != now),
        hidden=hidden,
    )


@lru_cache(maxsize=STATEMENTS)
def _cells(branches: tuple[Branch, ...]) -> dict[str, list[int]]:
    """Return the places of each station's values among the columns of all stations."""
    columns = columns_of(branches)
    return {b.endpoint: [columns.index(column) for column in b.columns] for b in branches}
