"""Pages of readings in the order (received_at, id); their SQL is in `statements.py`.

A page of several stations is one UNION ALL with a branch per station. Each branch walks the index
(endpoint, received_at), whose entries end in the rowid, and SQLite merges them as it goes; so a
page costs its own rows, however deep it lies (docs/decisions/0016). With a filter the page is put
together from the hours that can hold matching rows (`search.py`).
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select

from flask10x.config.settings import Settings
from flask10x.database.cursors import Cursor, Side
from flask10x.database.dialects import last_id
from flask10x.database.engine import Database
from flask10x.database.expressions import unindexed
from flask10x.database.tables import readings
from flask10x.history import search
from flask10x.history.corrections import known
from flask10x.history.corrections.segments import NONE, Corrections
from flask10x.history.query import Query
from flask10x.history.search import RowRequest
from flask10x.history.statements import (
    STATEMENTS,
    Branch,
    columns_of,
    high_end,
    kind_of_end,
    low_end,
    newer_statement,
    parameters_of,
    statement_key,
)
from flask10x.readings.stations import Stations

# How many stored readings one answer to `since` looks through: milliseconds, whatever it filters.
NEWER_SPAN_ROWS = 10_000
# How far back a late reading that is not its station's newest is looked for: a hundred pages of the
# file, a third of a millisecond on a PC.
LATE_SPAN_ROWS = 1000
# A page of a download: a few milliseconds of reading, some hundred kilobytes of memory.
DOWNLOAD_PAGE_ROWS = 2000
# A page of a download whose filter hardly ever holds walks much of the table. People wait for a
# file; but its snapshot must end, because meanwhile the WAL only grows.
DOWNLOAD_TIMES = 10
# Conditions that each hold in most hours but never together make a page look through everything.
# People wait that long; sensors wait behind four such pages; and what is left is a link away.
SEARCH_SEC = 0.5


@dataclass(frozen=True, slots=True)
class Row:
    """One reading."""

    id: int
    endpoint: str
    received_at: int
    """UTC epoch milliseconds."""
    values: tuple[float | None, ...]
    """In the order of the station's measurements; as they are shown, unless they were asked for as
    they were stored."""
    corrected: tuple[str, ...] = ()
    """The columns that are shown otherwise than they were stored, whatever was asked for."""
    hidden: bool = False
    """Whether the reading is one that is not shown, which only a query for raw values has."""


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Rows in the order asked for, and where the pages on either side begin."""

    rows: list[Row]
    next: Cursor | None
    """Further from where the query started: older, or newer with `order=asc`."""
    prev: Cursor | None
    """Back towards the start; None on a page without a cursor."""
    reached: int | None = None
    """How far it was looked, in UTC epoch milliseconds, when that was not far enough for a full
    page nor to the end; the link that leads on has the rest."""


@dataclass(frozen=True, slots=True)
class Newer:
    """Readings that were stored after an id, in the order of ids."""

    rows: list[Row]
    last_id: int
    """How far the log was looked through: the next query's `since`."""


def patience_sec(settings: Settings) -> float:
    """How long a page is searched for: well within what breaks a query off with an error."""
    return min(SEARCH_SEC, settings.query_timeout_sec / 2)


def page(connection: Connection, query: Query, search_sec: float = math.inf) -> HistoryPage:
    """The page that the query asks for; `query.rows` must not be None.

    Rows that arrive later never shift or repeat a row of another page. A search that takes longer
    than `search_sec` ends early: the page is short, or even empty, and says so.
    """
    if query.rows is None:
        raise ValueError("a page needs a limit")
    until_sec = time.monotonic() + search_sec
    forward: Side = "after" if query.order == "asc" else "before"
    side = query.cursor.side if query.cursor else forward
    cursors = [query.cursor] if query.cursor else []
    corrections = known.load(connection)
    found, reached = _fetch(
        connection,
        query,
        corrections,
        cursors,
        query.rows + 1,
        newest_first=side == "before",
        until_sec=until_sec,
    )
    rows = found[: query.rows]
    onward = _at(side, rows[-1]) if len(found) > len(rows) else reached
    back = (
        _back(connection, query, corrections, query.cursor, rows, until_sec)
        if query.cursor
        else None
    )
    if (side == "before") != (query.order == "desc"):
        rows.reverse()
    ends = (onward, back) if side == forward else (back, onward)
    return HistoryPage(
        rows, *ends, reached.received_at if reached and len(rows) < query.rows else None
    )


def rows_in_pages(
    database: Database, query: Query, page_rows: int = DOWNLOAD_PAGE_ROWS
) -> Iterator[list[Row]]:
    """All rows of the query, a list at a time; oldest first unless the order is `desc`.

    Each list is a short read transaction of its own and no connection is held between two lists,
    so a slow reader never stops a checkpoint. With a limit there is one list, the one of `page`.
    Raises QueryTooLong when one list takes DOWNLOAD_TIMES as long as a page may.
    """
    if query.rows is not None:
        with database.query(DOWNLOAD_TIMES) as connection:
            rows = page(connection, query).rows
        yield rows
        return
    side: Side = "before" if query.order == "desc" else "after"
    cursors = {query.cursor.side: query.cursor} if query.cursor else {}
    while True:
        until_sec = time.monotonic() + SEARCH_SEC
        with database.query(DOWNLOAD_TIMES) as connection:
            rows, cursor = _fetch(
                connection,
                query,
                known.load(connection),
                list(cursors.values()),
                page_rows,
                newest_first=side == "before",
                until_sec=until_sec,
            )
        if rows:
            yield rows
        if len(rows) == page_rows:
            cursor = _at(side, rows[-1])
        if cursor is None:
            return
        cursors[side] = cursor


def newer(connection: Connection, query: Query, newer_than: int) -> Newer:
    """At most `query.rows` readings stored after the id, late ones too; raises as `page` does.

    One answer looks through the ids up to `newer_than` plus NEWER_SPAN_ROWS, so it can be empty
    while there is more: `last_id` stands still only at the end of the log. It is that end, too,
    for an id beyond it, as after a restore.
    """
    if query.rows is None:
        raise ValueError("a page needs a limit")
    last = min(last_id(connection), newer_than + NEWER_SPAN_ROWS)
    corrections = known.load(connection)
    branches, filters, values = statement_key(query, NONE if query.raw else corrections)
    if last <= newer_than or not branches:
        return Newer([], last)
    low, high = kind_of_end(query.since), kind_of_end(query.until)
    values |= parameters_of("low", query.since) | parameters_of("high", query.until)
    values |= {"after_id": newer_than, "last_id": last, "rows": query.rows}
    records = connection.execute(newer_statement(branches, filters, low, high), values).all()
    rows = _rows(records, branches, query, corrections)
    return Newer(rows, rows[-1].id if len(rows) == query.rows else last)


def end_of(connection: Connection, query: Query, *, newest: bool) -> int | None:
    """When the newest or the oldest reading of the query was received; None when there is none."""
    rows, _ = _fetch(connection, query, known.load(connection), [], 1, newest_first=newest)
    return rows[0].received_at if rows else None


def newest_of(stations: Stations, connection: Connection) -> dict[str, int | None]:
    """Each station with its newest `received_at`; None when it has no reading."""
    return _by_station(stations, connection, arrived=False)


def last_received(stations: Stations, connection: Connection) -> dict[str, int | None]:
    """When each station was heard last, in UTC epoch milliseconds; None when it has no reading.

    A late reading counts when it arrived. One that is older than another of its station is only
    found among the last LATE_SPAN_ROWS of all stations.
    """
    found = _by_station(stations, connection, arrived=True)
    recent = connection.execute(
        _RECENT_ARRIVALS, {"after_id": last_id(connection) - LATE_SPAN_ROWS}
    )
    for endpoint, arrived_at in recent:
        if endpoint in found:
            found[endpoint] = max(arrived_at, found[endpoint] or arrived_at)
    return found


def _by_station(
    stations: Stations, connection: Connection, *, arrived: bool
) -> dict[str, int | None]:
    endpoints = tuple(stations.by_endpoint)
    return dict(zip(endpoints, connection.execute(_newest(endpoints, arrived)).one(), strict=True))


def _back(
    connection: Connection,
    query: Query,
    corrections: Corrections,
    cursor: Cursor,
    rows: list[Row],
    until_sec: float,
) -> Cursor | None:
    """Where the page on the cursor's far side begins, unless no row is there."""
    beyond = cursor.opposite
    start = _at(beyond.side, rows[0]) if rows else beyond
    # A link was made from the row that it begins behind, which is mostly still there.
    near = Cursor(cursor.side, beyond.received_at, cursor.id + (1 if start.side == "after" else -1))
    for cursors in ([beyond, near], [start]):
        found, reached = _fetch(
            connection,
            query,
            corrections,
            cursors,
            1,
            newest_first=start.side == "before",
            until_sec=until_sec,
        )
        if found or reached:
            return start
    return None


def _at(side: Side, row: Row) -> Cursor:
    return Cursor(side, row.received_at, row.id)


def _fetch(
    connection: Connection,
    query: Query,
    corrections: Corrections,
    cursors: Sequence[Cursor],
    rows: int,
    *,
    newest_first: bool,
    until_sec: float = math.inf,
) -> tuple[list[Row], Cursor | None]:
    """At most `rows` rows from one end of the window: its newest when `newest_first`, else its
    oldest.

    And where a search that ended early has to go on.
    """
    branches, filters, values = statement_key(query, NONE if query.raw else corrections)
    if not branches:
        return [], None
    of_side = {cursor.side: cursor for cursor in cursors}
    request = RowRequest(
        stations=query.known,
        branches=branches,
        filters=filters,
        values=values,
        low=low_end(query.since, of_side.get("after")),
        high=high_end(query.until, of_side.get("before")),
        rows=rows,
        newest_first=newest_first,
    )
    found = search.find(connection, request, until_sec)
    return _rows(found.records, branches, query, corrections), found.reached


def _rows(
    records: Sequence[Any], branches: tuple[Branch, ...], query: Query, corrections: Corrections
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
        _shown(row, touched[row.endpoint], query, corrections) if row.endpoint in touched else row
        for row in rows
    ]


def _shown(row: Row, columns: tuple[str, ...], query: Query, corrections: Corrections) -> Row:
    endpoint, at = row.endpoint, row.received_at
    pairs = zip(columns, row.values, strict=True)
    shown = tuple(corrections.shown(endpoint, column, at, value) for column, value in pairs)
    hidden = corrections.hides(endpoint, at)
    if shown == row.values and not hidden:
        return row
    changed = zip(columns, row.values, shown, strict=True)
    return replace(
        row,
        values=row.values if query.raw else shown,
        corrected=tuple(column for column, stored, now in changed if stored != now),
        hidden=hidden,
    )


@lru_cache(maxsize=STATEMENTS)
def _cells(branches: tuple[Branch, ...]) -> dict[str, list[int]]:
    """Where each station's values lie among the columns of them all."""
    columns = columns_of(branches)
    return {b.endpoint: [columns.index(column) for column in b.columns] for b in branches}


@lru_cache
def _newest(endpoints: tuple[str, ...], arrived: bool) -> Select[Any]:
    """When each station's newest reading was measured, or has arrived; a step into the index."""
    time = readings.c.received_at
    value = _ARRIVAL if arrived else time
    return select(
        *(
            select(value)
            .where(readings.c.endpoint == endpoint)
            .order_by(time.desc())
            .limit(1)
            .scalar_subquery()
            for endpoint in endpoints
        )
    )


_ARRIVAL = func.coalesce(readings.c.arrived_at, readings.c.received_at)
# In the order of the index it would read all of it.
_ENDPOINT = unindexed(readings.c.endpoint)
_RECENT_ARRIVALS = (
    select(_ENDPOINT, func.max(_ARRIVAL))
    .where(readings.c.id > bindparam("after_id"))
    .group_by(_ENDPOINT)
)
