"""Searches for the rows of a page, some hours at a time, so that a search can end early.

Roll-ups cover the readings up to the follower's position and show which hours have none of the
rows: an hour whose greatest value is 900 has no reading above 1000. One statement goes through the
hours in the order of a key and returns the next ones that can have rows; another one reads these,
each a range of the index. So nothing is sorted, and nothing is read beyond the last row. Later
readings are the last few rows of the table and are all looked at; both results are merged.
"""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, case, exists, func, select

from flask10x.database.cursors import MAX_CURSOR_ID, MAX_CURSOR_MS, MIN_CURSOR_MS, Cursor
from flask10x.database.expressions import listed, unindexed
from flask10x.database.tables import readings, rollups
from flask10x.history.corrections import Corrections
from flask10x.history.query import OPERATORS, HourValues, Query
from flask10x.history.statements import (
    STATEMENTS,
    Branch,
    End,
    FilterShape,
    PageShape,
    Statement,
    conditions_of,
    ends_of,
    filter_value,
    later_rows,
    limits,
    merged,
    page_statement,
    parameters_of,
    select_branch,
    statement_key,
    with_values,
)
from flask10x.history.sums import ends_of as ends_of_hour
from flask10x.history.view import View
from flask10x.readings.times import HOUR_MS

# The ends of an hour; the first and the last hour are cut short (`ends_of`), because PostgreSQL has
# no numbers beyond.
_HOUR = rollups.c.hour
_FIRST_MS = case((_HOUR <= MIN_CURSOR_MS // HOUR_MS, MIN_CURSOR_MS), else_=_HOUR * HOUR_MS)
_LAST_MS = case((_HOUR >= MAX_CURSOR_MS // HOUR_MS, MAX_CURSOR_MS), else_=(_HOUR + 1) * HOUR_MS - 1)


@lru_cache(maxsize=STATEMENTS)
def hours_statement(shape: PageShape) -> Statement:
    """Return the statement for at most `:most` pairs of endpoint and hour that can have rows.

    The hours are from `:first` to `:last`, in their order; a pair may be repeated. Each station
    must have a condition that roll-ups can decide in part.
    """
    selects = [_possible_hours(branch, shape.filters) for branch in shape.branches]
    return merged(selects, ("hour",), shape.newest_first, "most")


@lru_cache(maxsize=STATEMENTS)
def rows_statement(shape: PageShape) -> Statement:
    """Return the statement for at most `:rows` rows of `:hours_ENDPOINT`, up to `:position`."""
    at = readings.c.received_at
    conditions = [unindexed(readings.c.id) <= bindparam("position"), *limits(shape, unindexed(at))]
    selects = [
        select_branch(shape.branches)
        .add_columns(rollups.c.hour)
        # The list has no order, but the key of the roll-ups has.
        .where(rollups.c.endpoint == branch.endpoint, rollups.c.measurement == branch.columns[0])
        .where(rollups.c.hour.in_(listed(f"hours_{branch.endpoint}")))
        .where(readings.c.endpoint == branch.endpoint, at >= _FIRST_MS, at <= _LAST_MS)
        .where(*conditions, *conditions_of(branch, shape.filters))
        for branch in shape.branches
    ]
    names = ("hour", "received_at", "id")
    rows = merged(selects, names, shape.newest_first, "rows")
    return with_values(rows, shape)


@lru_cache(maxsize=STATEMENTS)
def later_statement(shape: PageShape) -> Statement:
    """Return the statement for at most `:rows` rows with an id above `:position`."""
    return merged([later_rows(shape)], ("received_at", "id"), shape.newest_first, "rows")


def _possible_hours(branch: Branch, filters: tuple[FilterShape, ...]) -> Select[Any]:
    """Return what selects a station and its hours that can have rows."""
    missing = branch.missing
    query = select(rollups.c.endpoint, rollups.c.hour).where(
        rollups.c.endpoint == branch.endpoint,
        rollups.c.hour >= bindparam("first"),
        rollups.c.hour <= bindparam("last"),
    )
    # A measurement that the station does not have is missing in each reading.
    columns = dict.fromkeys(column for column, *_ in filters if column in branch.columns)
    # Each reading has a row of its first measurement, so these are all hours.
    if not branch.fits_rollups:
        return query.where(rollups.c.measurement == branch.columns[0])
    if branch.derived and not columns:
        columns = {branch.columns[0]: None}
    if not columns:
        # There is an index of these hours alone, in their order; so not by the measurement.
        lacking = rollups.c.count < rollups.c.readings
        return query.where(lacking, unindexed(rollups.c.measurement).in_(missing))
    base, *others = columns
    query = query.where(rollups.c.measurement == base, *_of_values(rollups, base, filters))
    for column in others:
        other = rollups.alias()
        values = _of_values(other, column, filters)
        query = query.where(_same_hour(other, other.c.measurement == column, *values))
    if missing:
        other = rollups.alias()
        lacking = other.c.count < other.c.readings
        query = query.where(_same_hour(other, other.c.measurement.in_(missing), lacking))
    return query


def _of_values(
    table: Any, column: str, filters: tuple[FilterShape, ...]
) -> list[ColumnElement[bool]]:
    hour = HourValues(table.c.readings, table.c["count"], table.c.minimum, table.c.maximum)
    return [
        OPERATORS[key].hour(hour, filter_value(place) if is_null is None else is_null)
        for place, (name, key, is_null) in enumerate(filters)
        if name == column
    ]


def _same_hour(other: Any, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(
        other.c.endpoint == rollups.c.endpoint, other.c.hour == rollups.c.hour, *conditions
    )


# The follower takes as many at once (`rollups.PIECE_ROWS`). While there are more, as after an
# import or an update, pages do not use roll-ups.
MOST_ROWS_BEHIND = 20_000
# So many hours that can have rows are read before the next look at the clock: about 15 ms on a PC.
PIECE_HOURS = 100
# A look through the roll-ups of ten days takes a fraction of a millisecond, and two more reach over
# a year. At once it would be all hours of a station that has nothing, while the next has it all.
FIRST_LOOK_HOURS, LOOK_FACTOR = 256, 8

# Where a record has its received_at and its id.
_PLACE = itemgetter(2, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class RowRequest:
    """Rows from one end of a window: its newest ones when `newest_first`, else its oldest."""

    branches: tuple[Branch, ...]
    filters: tuple[FilterShape, ...]
    values: dict[str, float]
    low: End
    high: End
    rows: int
    newest_first: bool

    @property
    def shape(self) -> PageShape:
        """The form of its statements."""
        return PageShape(
            branches=self.branches,
            filters=self.filters,
            has_low=self.low is not None,
            has_high=self.high is not None,
            newest_first=self.newest_first,
        )

    @property
    def bound(self) -> dict[str, float]:
        """The values of the parameters of its statements."""
        return self.values | parameters_of(self.low, self.high) | {"rows": self.rows}


def row_request(
    query: Query,
    corrections: Corrections,
    cursors: Sequence[Cursor],
    rows: int,
    *,
    newest_first: bool,
) -> RowRequest | None:
    """Return the request for rows of a query between cursors; None when no station can match."""
    branches, filters, values = statement_key(query, corrections)
    if not branches:
        return None
    low, high = ends_of(query, cursors)
    return RowRequest(
        branches=branches,
        filters=filters,
        values=values,
        low=low,
        high=high,
        rows=rows,
        newest_first=newest_first,
    )


def end_of(view: View, query: Query, *, newest: bool) -> int | None:
    """Return when the newest or the oldest reading of the query was received; None without one."""
    request = row_request(query, view.corrections, [], 1, newest_first=newest)
    records = find(view, request)[0] if request else []
    return _PLACE(records[0])[0] if records else None


def find(
    view: View, request: RowRequest, until_sec: float = math.inf
) -> tuple[list[Any], Cursor | None]:
    """Return the rows of the request, each its id, endpoint, received_at and values.

    The search ends early when the monotonic clock passes `until_sec`, but covers some hours in any
    case. Then the cursor says where it has to go on, else it is None.
    """
    shape, low, high = request.shape, request.low, request.high
    if not shape.filters and not any(branch.missing for branch in shape.branches):
        return [*view.connection.execute(page_statement(shape), request.bound).all()], None
    # Reading a short window costs less than looking for possible hours.
    is_short = low is not None and high is not None and high[0] - low[0] < HOUR_MS // 2
    can_narrow = all(
        branch.missing
        or branch.derived
        or any(column in branch.columns for column, *_ in shape.filters)
        for branch in shape.branches
    )
    if is_short or not can_narrow or not _has_rollups(view):
        return [*view.connection.execute(page_statement(shape), request.bound)], None
    done, later = view.rollups.progress.done, list[Any]()
    request = replace(request, values=request.values | {"position": done})
    if view.rollups.progress.behind:
        later = [*view.connection.execute(later_statement(shape), request.bound)]
    if len(later) == request.rows:
        # Nothing counts that lies beyond the last one.
        place = _PLACE(later[-1])
        request = replace(request, **{"low" if request.newest_first else "high": place})
    rolled_up, reached = _of_hours(view, request, until_sec) if done else ([], None)
    if reached is not None:
        # What was not searched lies on the cursor's side.
        start, is_before = (reached.received_at, reached.id), reached.side == "before"
        later = [record for record in later if (_PLACE(record) > start) == is_before]
    both = sorted([*rolled_up, *later], key=_PLACE, reverse=request.newest_first)
    return both[: request.rows], reached if len(both) < request.rows else None


def _has_rollups(view: View) -> bool:
    return view.rollups.progress.behind <= MOST_ROWS_BEHIND and view.rollups.fits


def _of_hours(view: View, request: RowRequest, until_sec: float) -> tuple[list[Any], Cursor | None]:
    """Return the rows of rolled-up hours, and where to go on if the search ended early."""
    shape, bound = request.shape, request.bound
    hours, size, records = _hours(view, request), FIRST_LOOK_HOURS, list[Any]()
    while hours:
        piece = hours[:size]
        first, last = sorted((piece[0], piece[-1]))
        ends = {"first": first, "last": last, "most": PIECE_HOURS}
        possible: Sequence[Any] = view.connection.execute(
            hours_statement(shape), bound | ends
        ).all()
        if len(possible) == PIECE_HOURS:
            piece = hours[: hours.index(possible[-1].hour) + 1]
        else:
            size *= LOOK_FACTOR
        if possible:
            # The last hour is read for all stations, because the list may end before the pair of
            # another one.
            chosen = {branch.endpoint: {possible[-1].hour} for branch in shape.branches}
            for endpoint, hour in possible:
                chosen[endpoint].add(hour)
            texts = {f"hours_{name}": json.dumps([*numbers]) for name, numbers in chosen.items()}
            rest = {"rows": request.rows - len(records)}
            records += view.connection.execute(rows_statement(shape), bound | texts | rest)
        hours = hours[len(piece) :]
        if len(records) == request.rows:
            break
        if hours and time.monotonic() >= until_sec:
            first_ms, last_ms = ends_of_hour(hours[0])
            if hours.step > 0:
                return records, Cursor("after", first_ms, 0)
            # The beginning of the hour above would lead here again.
            return records, Cursor("before", last_ms, MAX_CURSOR_ID)
    return records, None


def _hours(view: View, request: RowRequest) -> range:
    """Return the hours of the window from the stations' first to last reading, in page order."""
    times = [ms for ms in view.connection.execute(_ends(request.branches)).one() if ms is not None]
    if not times:
        return range(0)
    first_ms, last_ms = min(times), max(times)
    first_ms = max(first_ms, request.low[0]) if request.low else first_ms
    last_ms = min(last_ms, request.high[0]) if request.high else last_ms
    hours = range(first_ms // HOUR_MS, last_ms // HOUR_MS + 1)
    return hours[::-1] if request.newest_first else hours


@lru_cache(maxsize=STATEMENTS)
def _ends(branches: tuple[Branch, ...]) -> Select[Any]:
    """Return the statement for the times of each station's oldest and newest reading."""
    return select(
        *(
            select(end(readings.c.received_at))
            .where(readings.c.endpoint == branch.endpoint)
            .scalar_subquery()
            for branch in branches
            for end in (func.min, func.max)
        )
    )
