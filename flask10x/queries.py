"""The only SELECTs for pages: pages of readings in the order (received_at, id).

A page of several stations is one UNION ALL with a branch per station. Each branch walks the index
(endpoint, received_at), whose entries end in the rowid, and SQLite merges them as it goes; so a
page costs its own rows, however deep it lies (docs/history.md).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    func,
    select,
    text,
    tuple_,
    union_all,
)
from sqlalchemy.sql import CompoundSelect

from flask10x.filters import Bound, Cursor, Query, Side
from flask10x.operators import IS_NULL, OPERATORS
from flask10x.sqlite import Database
from flask10x.stations import BY_ENDPOINT, Station, columns_of
from flask10x.tables import readings

# A page of a download: a few milliseconds of reading, some hundred kilobytes of memory.
DOWNLOAD_PAGE_ROWS = 2000
# A page of a download whose filter hardly ever holds walks much of the table. People wait for a
# file; but its snapshot must end, because meanwhile the WAL only grows.
DOWNLOAD_TIMES = 10

Statement = Select[Any] | CompoundSelect[Any]
# What limits one end of the window, and by which kind of value.
End = Bound | Cursor | None
EndKind = Literal["bound", "cursor"] | None
FilterShape = tuple[str, str, bool | None]


@dataclass(frozen=True, slots=True)
class Row:
    """One stored reading."""

    id: int
    endpoint: str
    received_at: int
    """UTC epoch milliseconds."""
    values: tuple[float | None, ...]
    """In the order of the station's measurements."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in the order asked for, and where the pages on either side begin."""

    rows: list[Row]
    next: Cursor | None
    """Further from where the query started: older, or newer with `order=asc`."""
    prev: Cursor | None
    """Back towards the start; None on a page without a cursor."""


def page(connection: Connection, query: Query) -> Page:
    """The page that the query asks for; `query.rows` must not be None.

    Rows that arrive later never shift or repeat a row of another page.
    """
    if query.rows is None:
        raise ValueError("a page needs a limit")
    forward: Side = "after" if query.order == "asc" else "before"
    side = query.cursor.side if query.cursor else forward
    cursors = [query.cursor] if query.cursor else []
    found = _fetch(connection, query, cursors, query.rows + 1, down=side == "before")
    rows = found[: query.rows]
    onward = _at(side, rows[-1]) if len(found) > len(rows) else None
    back = _back(connection, query, query.cursor, rows) if query.cursor else None
    if (side == "before") != (query.order == "desc"):
        rows.reverse()
    return Page(rows, onward, back) if side == forward else Page(rows, back, onward)


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
        with database.query(DOWNLOAD_TIMES) as connection:
            rows = _fetch(
                connection, query, list(cursors.values()), page_rows, down=side == "before"
            )
        if rows:
            cursors[side] = _at(side, rows[-1])
            yield rows
        if len(rows) < page_rows:
            return


def last_received(connection: Connection) -> dict[str, int | None]:
    """Each station of the registry with its newest `received_at`; None when it has no reading."""
    return dict(connection.execute(_LAST_RECEIVED).one()._mapping)


def _back(connection: Connection, query: Query, cursor: Cursor, rows: list[Row]) -> Cursor | None:
    """Where the page on the cursor's far side begins, when a row is there."""
    beyond = cursor.opposite
    start = _at(beyond.side, rows[0]) if rows else beyond
    return start if _fetch(connection, query, [start], 1, down=start.side == "before") else None


def _at(side: Side, row: Row) -> Cursor:
    return Cursor(side, row.received_at, row.id)


def _fetch(
    connection: Connection, query: Query, cursors: Sequence[Cursor], rows: int, *, down: bool
) -> list[Row]:
    """At most `rows` rows from the start of the window: its newest when `down`, else its oldest."""
    stations = tuple(s for s in query.stations if all(f.can_match(s) for f in query.filters))
    if not stations:
        return []
    of_side = {cursor.side: cursor for cursor in cursors}
    low, high = _low(query.since, of_side.get("after")), _high(query.until, of_side.get("before"))
    shape = tuple(
        (f.column, f.operator.key, bool(f.value) if f.operator is IS_NULL else None)
        for f in query.filters
    )
    statement = _statement(stations, shape, _kind(low), _kind(high), down)
    values = {f"filter{place}": f.value for place, f in enumerate(query.filters)}
    parameters = values | _parameters("low", low) | _parameters("high", high) | {"rows": rows}
    records: Sequence[Any] = connection.execute(statement, parameters).all()
    cells = _cells(stations)
    return [
        Row(number, endpoint, received_at, tuple([values[place] for place in cells[endpoint]]))
        for number, endpoint, received_at, *values in records
    ]


# SQLite takes one lower and one upper limit of a range to the index and only filters by others,
# which would walk all rows between them. A cursor and a bound on the same side say the same once
# the looser one is dropped.
def _low(since: Bound | None, after: Cursor | None) -> End:
    if since is None or (after is not None and since.ms <= after.received_at):
        return after
    return since


def _high(until: Bound | None, before: Cursor | None) -> End:
    if until is None or (before is not None and until.ms >= before.received_at):
        return before
    return until


def _kind(end: End) -> EndKind:
    if end is None:
        return None
    return "bound" if isinstance(end, Bound) else "cursor"


def _parameters(name: str, end: End) -> dict[str, int]:
    if end is None:
        return {}
    if isinstance(end, Bound):
        return {f"{name}_ms": end.ms}
    return {f"{name}_ms": end.received_at, f"{name}_id": end.id}


# Building a statement costs as much as running it, and pages differ in few ways.
@lru_cache(maxsize=256)
def _statement(
    stations: tuple[Station, ...],
    filters: tuple[FilterShape, ...],
    low: EndKind,
    high: EndKind,
    down: bool,
) -> Statement:
    conditions = [*_limits(low, high), *_filter_clauses(filters)]
    branches = [_branch(station, stations, conditions) for station in stations]
    whole: Statement = branches[0] if len(branches) == 1 else union_all(*branches)
    names = ("received_at DESC", "id DESC") if down else ("received_at", "id")
    return whole.order_by(*map(text, names)).limit(bindparam("rows"))


def _branch(
    station: Station, stations: tuple[Station, ...], conditions: list[ColumnElement[bool]]
) -> Select[Any]:
    columns = [readings.c[column] for column in columns_of(stations)]
    head = (readings.c.id, readings.c.endpoint, readings.c.received_at)
    return select(*head, *columns).where(readings.c.endpoint == station.endpoint, *conditions)


def _limits(low: EndKind, high: EndKind) -> list[ColumnElement[bool]]:
    at, place = readings.c.received_at, tuple_(readings.c.received_at, readings.c.id)
    clauses: list[ColumnElement[bool]] = []
    if low == "bound":
        clauses.append(at >= bindparam("low_ms"))
    if low == "cursor":
        clauses.append(place > tuple_(bindparam("low_ms"), bindparam("low_id")))
    if high == "bound":
        clauses.append(at <= bindparam("high_ms"))
    if high == "cursor":
        clauses.append(place < tuple_(bindparam("high_ms"), bindparam("high_id")))
    return clauses


def _filter_clauses(filters: tuple[FilterShape, ...]) -> list[ColumnElement[bool]]:
    return [
        OPERATORS[key].clause(
            readings.c[column], bindparam(f"filter{place}") if missing is None else missing
        )
        for place, (column, key, missing) in enumerate(filters)
    ]


@lru_cache(maxsize=64)
def _cells(stations: tuple[Station, ...]) -> dict[str, list[int]]:
    """Where each station's values lie among the columns of them all."""
    columns = columns_of(stations)
    return {s.endpoint: [columns.index(column) for column in s.columns] for s in stations}


_LAST_RECEIVED = select(
    *(
        select(func.max(readings.c.received_at))
        .where(readings.c.endpoint == endpoint)
        .scalar_subquery()
        .label(endpoint)
        for endpoint in BY_ENDPOINT
    )
)
