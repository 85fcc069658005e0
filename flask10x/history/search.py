"""Finding the rows of a page, a number of hours at a time, so that it can end early and say so.

Roll-ups hold the readings up to the follower's position (`hour_statements.py`). The later ones are
the last few rows of the table and are looked through as they are; what comes out is the order of
both.
"""

import json
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Select, func, select

from flask10x.database.cursors import MAX_CURSOR_ID, Cursor
from flask10x.database.dialects import last_id
from flask10x.database.station_columns import rollups_fit
from flask10x.database.tables import readings
from flask10x.history import hour_statements, rollups
from flask10x.history.statements import (
    STATEMENTS,
    Branch,
    End,
    FilterShape,
    PageShape,
    Statement,
    kind_of_end,
    ms_of,
    page_statement,
    parameters_of,
)
from flask10x.readings.stations import Stations
from flask10x.readings.times import HOUR_MS

# The follower takes a longer log at once (an import, an update); until then pages go without.
MOST_ROWS_BEHIND = rollups.PIECE_ROWS
# So many hours that can hold rows are read before the next look at the clock: about 15 ms on a PC.
# A page of the rarest filter needs half of them.
PIECE_HOURS = 100
# A look through the roll-ups of ten days takes a fraction of a millisecond, and two more reach over
# a year. At once it would be all hours of a station that has nothing, while the next has it all.
FIRST_LOOK_HOURS, LOOK_FACTOR = 256, 8

# Where a record has its received_at and its id.
_PLACE = itemgetter(2, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class RowRequest:
    """Rows from one end of a window: its newest ones when `newest_first`, else its oldest."""

    stations: Stations
    """All of the installation: with the roll-ups of others it is not looked for hours."""
    branches: tuple[Branch, ...]
    filters: tuple[FilterShape, ...]
    values: dict[str, float]
    low: End
    high: End
    rows: int
    newest_first: bool

    @property
    def shape(self) -> PageShape:
        """What its statements are built from."""
        return PageShape(
            branches=self.branches,
            filters=self.filters,
            low=kind_of_end(self.low),
            high=kind_of_end(self.high),
            newest_first=self.newest_first,
        )

    @property
    def bound(self) -> dict[str, float]:
        """The values to bind in them."""
        ends = parameters_of("low", self.low) | parameters_of("high", self.high)
        return self.values | ends | {"rows": self.rows}


@dataclass(frozen=True, slots=True)
class Found:
    """Records of id, endpoint, received_at and values, in the order of the page."""

    records: list[Any]
    reached: Cursor | None
    """From where the search has to go on when it ended early; None when nothing is left out."""


def find(connection: Connection, request: RowRequest, until_sec: float = math.inf) -> Found:
    """The rows of the request, all from one snapshot if `connection` has one.

    Not all of them when the monotonic clock is beyond `until_sec` meanwhile; but some hours are
    looked through each time.
    """
    shape = request.shape
    if _is_short(request) or not hour_statements.can_narrow(shape):
        return Found(_records(connection, page_statement(shape), request), None)
    end, position = last_id(connection), rollups.position(connection)
    if end - position > MOST_ROWS_BEHIND or not rollups_fit(connection, request.stations):
        return Found(_records(connection, page_statement(shape), request), None)
    request = replace(request, values=request.values | {"position": position})
    later: list[Any] = []
    if end > position:
        later = _records(connection, hour_statements.later_statement(shape), request)
    if len(later) == request.rows:
        request = _up_to(request, later[-1])
    rolled_up, reached = _of_hours(connection, request, until_sec)
    both = sorted([*rolled_up, *_within(later, reached)], key=_PLACE, reverse=request.newest_first)
    return Found(both[: request.rows], reached if len(both) < request.rows else None)


def _is_short(request: RowRequest) -> bool:
    """Whether reading the window costs less than asking where to read."""
    first, last = ms_of(request.low), ms_of(request.high)
    return first is not None and last is not None and last - first < HOUR_MS // 2


def _records(connection: Connection, statement: Statement, request: RowRequest) -> list[Any]:
    return list(connection.execute(statement, request.bound))


def _up_to(request: RowRequest, record: Any) -> RowRequest:
    """What lies beyond the record is not read any more."""
    at, number = _PLACE(record)
    if request.newest_first:
        return replace(request, low=Cursor("after", at, number))
    return replace(request, high=Cursor("before", at, number))


def _within(records: Iterable[Any], reached: Cursor | None) -> list[Any]:
    """Those that lie where the search has been, so not on the cursor's side."""
    if reached is None:
        return [*records]
    start, newest_first = (reached.received_at, reached.id), reached.side == "before"
    return [record for record in records if (_PLACE(record) > start) == newest_first]


def _of_hours(
    connection: Connection, request: RowRequest, until_sec: float
) -> tuple[list[Any], Cursor | None]:
    """The rows of rolled-up hours, and how far it got when it did not get to the end."""
    shape, bound = request.shape, request.bound
    hours_statement = hour_statements.hours_statement(shape)
    rows_statement = hour_statements.rows_statement(shape)
    hours = _hours(connection, request)
    found: list[Any] = []
    size = FIRST_LOOK_HOURS
    while hours:
        piece = hours[:size]
        first, last = sorted((piece[0], piece[-1]))
        ends = {"first": first, "last": last, "most": PIECE_HOURS}
        possible = connection.execute(hours_statement, bound | ends).all()
        if len(possible) == PIECE_HOURS:
            piece = hours[: hours.index(possible[-1].hour) + 1]
        else:
            size *= LOOK_FACTOR
        if possible:
            rest = {"rows": request.rows - len(found)}
            found += connection.execute(rows_statement, bound | _listed(request, possible) | rest)
        hours = hours[len(piece) :]
        if len(found) == request.rows:
            break
        if hours and time.monotonic() >= until_sec:
            return found, _start_of(hours)
    return found, None


def _listed(request: RowRequest, possible: Sequence[Any]) -> dict[str, str]:
    """The hours that `hour_statements.rows_statement` reads of each station.

    The last hour is every station's, for it may have been cut off before the pair of another one.
    """
    hours = {branch.endpoint: {possible[-1].hour} for branch in request.branches}
    for endpoint, hour in possible:
        hours[endpoint].add(hour)
    return {
        hour_statements.hours_name(endpoint): json.dumps([*listed])
        for endpoint, listed in hours.items()
    }


def _start_of(hours: range) -> Cursor:
    """The cursor from which these hours are read, in their order."""
    first_ms, last_ms = rollups.ends_of(hours[0])
    if hours.step > 0:
        return Cursor("after", first_ms, 0)
    # Not the beginning of the hour above, which would be looked at again and lead here again.
    return Cursor("before", last_ms, MAX_CURSOR_ID)


def _hours(connection: Connection, request: RowRequest) -> range:
    """The hours of the window that the stations have readings in or between, as the page goes."""
    times = [ms for ms in connection.execute(_ends(request.branches)).one() if ms is not None]
    if not times:
        return range(0)
    low_ms, high_ms = ms_of(request.low), ms_of(request.high)
    first_ms = min(times) if low_ms is None else max(low_ms, min(times))
    last_ms = max(times) if high_ms is None else min(high_ms, max(times))
    hours = range(first_ms // HOUR_MS, last_ms // HOUR_MS + 1)
    return hours[::-1] if request.newest_first else hours


@lru_cache(maxsize=STATEMENTS)
def _ends(branches: tuple[Branch, ...]) -> Select[Any]:
    """When the oldest and the newest reading of each station was received; a step each."""
    return select(
        *(
            select(end(readings.c.received_at))
            .where(readings.c.endpoint == branch.endpoint)
            .scalar_subquery()
            for branch in branches
            for end in (func.min, func.max)
        )
    )
