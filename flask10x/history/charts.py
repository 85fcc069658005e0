"""Readings as lines of a chart: least, average and greatest value of each bucket of time.

The buckets are computed by SQLite; what the answer looks like is in docs/en/reference/http-api.md.
"""

from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from sqlalchemy import Connection, bindparam, select

from flask10x.database.tables import readings
from flask10x.history import pages, rollups, sums
from flask10x.history.buckets import MAX_BUCKETS, Window, width_ms
from flask10x.history.query import Query
from flask10x.history.statements import statement_key
from flask10x.history.sums import Line, LineRequest
from flask10x.readings.stations import Station
from flask10x.readings.times import HOUR_MS

# Enough to see through a pause or two, few enough to follow a sender whose pace was changed.
INTERVAL_ROWS = 101
# What is not rolled up yet is read one by one, of all times and stations; beyond this, as after the
# import of an old file, reading the range itself is quicker.
MOST_ROWS_BEHIND = 100_000


@dataclass(frozen=True, slots=True)
class Chart:
    """All lines of a question; `window` is None when neither it nor the readings give a range."""

    window: Window | None
    source: str
    readings: int
    lines: list[Line]


def chart(connection: Connection, query: Query) -> Chart:
    """The lines of every chosen measurement that has a value, in the registry's order.

    They show all readings that the filters let through; order, limit and cursor mean nothing here.
    """
    window = _window(connection, query)
    if window is None:
        return Chart(None, "readings", 0, [])
    rolled_up = _rolled_up(connection, query, window)
    branches, shape, values = statement_key(query)
    count, lines = 0, []
    for branch in branches:
        wanted = LineRequest(branch, shape, values)
        own = _lines(connection, query, wanted.station, window)
        if rolled_up is None:
            count += sums.of_readings(connection, wanted, window, own)
        else:
            count += sums.of_rollups(connection, wanted, window, own, rolled_up)
        lines += [line for line in own if line.buckets]
    return Chart(window, "readings" if rolled_up is None else "rollups", count, lines)


def _rolled_up(connection: Connection, query: Query, window: Window) -> int | None:
    """Up to which id the roll-ups can stand for the readings; None when they can't be used."""
    if window.bucket_ms % HOUR_MS or query.filters or query.incomplete:
        return None
    if rollups.behind(connection) > MOST_ROWS_BEHIND:
        return None
    return rollups.position(connection)


def _window(connection: Connection, query: Query) -> Window | None:
    first = query.since.ms if query.since else pages.end_of(connection, query, newest=False)
    last = query.until.ms if query.until else pages.end_of(connection, query, newest=True)
    if first is None or last is None:
        return None
    return Window(first, last, width_ms(first, last, query.buckets or MAX_BUCKETS))


def _lines(connection: Connection, query: Query, station: Station, window: Window) -> list[Line]:
    chosen, interval_ms = query.chosen(station), _interval_ms(connection, station, window)
    return [Line(station, m, interval_ms) for m in station.measurements if m.column in chosen]


def _interval_ms(connection: Connection, station: Station, window: Window) -> int | None:
    """The median of the last intervals of the range or, where it is shorter, just before it."""
    parameters = {"endpoint": station.endpoint, "last": window.last_ms, "rows": INTERVAL_ROWS}
    times = connection.execute(_LAST_TIMES, parameters).scalars().all()
    intervals = [later - earlier for later, earlier in pairwise(times)]
    longer = [interval for interval in intervals if interval > 0]
    return round(median(longer)) if longer else None


_LAST_TIMES = (
    select(readings.c.received_at)
    .where(
        readings.c.endpoint == bindparam("endpoint"), readings.c.received_at <= bindparam("last")
    )
    .order_by(readings.c.received_at.desc())
    .limit(bindparam("rows"))
)
