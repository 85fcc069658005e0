"""Where rows of a page can lie: roll-ups tell which hours hold none, so nobody reads those.

An hour of which the greatest value is 900 has no reading above 1000. The roll-ups hold the readings
up to the follower's position; of later ones it is looked up which hours they fall into. What comes
out is always enough: each matching reading lies in a span, and all else that lies there is dropped
by the statement of the page.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import lru_cache
from heapq import merge
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    exists,
    func,
    select,
    text,
    union_all,
)

from flask10x import rollups
from flask10x.buckets import HOUR_MS
from flask10x.operators import IS_NULL, OPERATORS
from flask10x.question import Bound
from flask10x.statements import (
    Branch,
    End,
    FilterShape,
    Statement,
    filter_clauses,
    ms_of,
    off_index,
)
from flask10x.stations import Station
from flask10x.tables import readings
from flask10x.tables import rollups as hours_of

# The follower takes a longer log at once (an import, an update); until then pages go without.
MOST_ROWS_BEHIND = rollups.PIECE_ROWS
# Many filters match in each hour. A first span of a day is read in milliseconds and has a page of
# what 1 in 80 readings match; each further one is twice as long.
FIRST_SPAN_HOURS = 24
# A statement costs as much as half an hour of readings. So many that find nothing double the gap
# that is read across instead of skipped: a page has its rows and a hundred more of them at most.
FRUITLESS_SPANS = 8
# A statement looks through the roll-ups of ten days in a fraction of a millisecond; with the next
# two it is over a year.
FIRST_LOOK_HOURS, LOOK_FACTOR = 256, 8

Span = tuple[End, End]


def spans(
    connection: Connection,
    branches: tuple[Branch, ...],
    filters: tuple[FilterShape, ...],
    values: dict[str, float],
    ends: Span,
    found: Sequence[object],
    *,
    down: bool,
) -> Generator[Span]:
    """The parts of the window that can hold rows, in the order of the page, none across another.

    The whole window when nothing can be ruled out. To be read one after another, `found` filled
    meanwhile, in the transaction of `connection`, and closed at the end.
    """
    statement = _hours(branches, filters, down)
    if statement is None or rollups.behind(connection) > MOST_ROWS_BEHIND:
        yield ends
        return
    first, last = _whole_hours(connection, branches, ends)
    position = rollups.position(connection)
    later = connection.execute(_later(branches, filters), values | {"position": position})
    hours = [hour for hour in later.scalars() if first <= hour <= last]
    with closing(_rolled_up(connection, statement, values, first, last, down)) as others:
        both = merge(sorted(hours, reverse=down), others, reverse=down)
        for begin, end in _together(both, found):
            low, high = min(begin, end), max(begin, end)
            yield (
                ends[0] if low == first else _bound(low * HOUR_MS),
                ends[1] if high == last else _bound((high + 1) * HOUR_MS - 1),
            )


def _whole_hours(
    connection: Connection, branches: tuple[Branch, ...], ends: Span
) -> tuple[int, int]:
    """The first and the last hour of the window that the stations have readings in or between."""
    times = [ms for ms in connection.execute(_ends(branches)).one() if ms is not None]
    if not times:
        return 0, -1
    low_ms, high_ms = ms_of(ends[0]), ms_of(ends[1])
    first_ms = min(times) if low_ms is None else max(low_ms, min(times))
    last_ms = max(times) if high_ms is None else min(high_ms, max(times))
    return first_ms // HOUR_MS, last_ms // HOUR_MS


def _rolled_up(
    connection: Connection,
    statement: Statement,
    values: dict[str, float],
    first: int,
    last: int,
    down: bool,
) -> Generator[int]:
    """The hours of the statement, looked for near the start first and then in longer ranges.

    One statement for all would look through all hours of a measurement that has nothing, although
    the next one fills the page.
    """
    size = FIRST_LOOK_HOURS
    while first <= last:
        low, high = (
            (max(first, last - size + 1), last) if down else (first, min(last, first + size - 1))
        )
        with closing(connection.execute(statement, values | {"first": low, "last": high})) as hours:
            yield from hours.scalars()
        first, last = (first, low - 1) if down else (high + 1, last)
        size *= LOOK_FACTOR


def _together(hours: Iterable[int], found: Sequence[object]) -> Iterator[tuple[int, int]]:
    """Hours that follow one another as spans: the first and the last hour, as they come."""
    given, begin, end = 0, None, 0
    for hour in hours:
        if begin is not None:
            gap = 1 << max(given - len(found), 0) // FRUITLESS_SPANS
            if abs(hour - end) <= gap and abs(hour - begin) < FIRST_SPAN_HOURS << given:
                end = hour
                continue
            yield begin, end
            given += 1
        begin = end = hour
    if begin is not None:
        yield begin, end


def _bound(ms: int) -> Bound:
    return Bound(ms, "", "")


@lru_cache(maxsize=256)
def _hours(
    branches: tuple[Branch, ...], filters: tuple[FilterShape, ...], down: bool
) -> Statement | None:
    """The hours from `:first` to `:last` that can hold rows; None when that is all of them.

    Each select is a range of the table's key, and SQLite merges them as it goes, so that only the
    hours are read which are asked for. One that several stations have comes several times.
    """
    selects: list[Select[Any]] = []
    for station, missing in branches:
        if not missing and not any(column in station.columns for column, *_ in filters):
            return None
        selects += _of_station(station, missing, filters)
    whole = selects[0] if len(selects) == 1 else union_all(*selects)
    return whole.order_by(text("hour DESC" if down else "hour"))


def _of_station(
    station: Station, missing: tuple[str, ...], filters: tuple[FilterShape, ...]
) -> list[Select[Any]]:
    conditions: dict[str, list[int]] = {}
    for place, (column, *_) in enumerate(filters):
        # A measurement that the station does not have is missing in each reading.
        if column in station.columns:
            conditions.setdefault(column, []).append(place)
    if not conditions:
        return [_range(station, column).where(_some_missing(hours_of)) for column in missing]
    base, *others = conditions
    chosen = _range(station, base).where(*_possible(hours_of, filters, conditions[base]))
    for column in others:
        other = hours_of.alias()
        chosen = chosen.where(
            _same_hour(other, (column,), *_possible(other, filters, conditions[column]))
        )
    if missing:
        other = hours_of.alias()
        chosen = chosen.where(_same_hour(other, missing, _some_missing(other)))
    return [chosen]


def _range(station: Station, column: str) -> Select[Any]:
    return select(hours_of.c.hour).where(
        hours_of.c.endpoint == station.endpoint,
        hours_of.c.measurement == column,
        hours_of.c.hour >= bindparam("first"),
        hours_of.c.hour <= bindparam("last"),
    )


def _same_hour(
    other: Any, columns: tuple[str, ...], *conditions: ColumnElement[bool]
) -> ColumnElement[bool]:
    return exists().where(
        other.c.endpoint == hours_of.c.endpoint,
        other.c.measurement.in_(columns),
        other.c.hour == hours_of.c.hour,
        *conditions,
    )


def _possible(
    table: Any, filters: tuple[FilterShape, ...], places: list[int]
) -> list[ColumnElement[bool]]:
    chosen = [(place, *filters[place][1:]) for place in places]
    return [
        OPERATORS[key].hour(table, bindparam(f"filter{place}") if missing is None else missing)
        for place, key, missing in chosen
    ]


def _some_missing(table: Any) -> ColumnElement[bool]:
    return IS_NULL.hour(table, True)


@lru_cache(maxsize=256)
def _later(branches: tuple[Branch, ...], filters: tuple[FilterShape, ...]) -> Select[Any]:
    """The hours that matching readings after the id `:position` fall into."""
    hour = readings.c.received_at // HOUR_MS
    return (
        select(hour.label("hour"))
        .distinct()
        .where(readings.c.id > bindparam("position"), off_index(branches), *filter_clauses(filters))
    )


@lru_cache(maxsize=256)
def _ends(branches: tuple[Branch, ...]) -> Select[Any]:
    """When the oldest and the newest reading of each station was received; a step each."""
    return select(
        *(
            select(end(readings.c.received_at))
            .where(readings.c.endpoint == station.endpoint)
            .scalar_subquery()
            for station, _ in branches
            for end in (func.min, func.max)
        )
    )
