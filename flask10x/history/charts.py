"""Readings as lines of a chart: least, average and greatest value of each bucket of time.

SQLite computes the buckets, from readings, or from roll-ups and what they lack. What the answer
looks like is in docs/en/reference/http-api.md.
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from sqlalchemy import Connection, bindparam, func, select

from flask10x.database import tables
from flask10x.database.retention import removed
from flask10x.database.station_columns import rollups_fit
from flask10x.database.tables import readings
from flask10x.history import days, pages, rollups
from flask10x.history.buckets import MAX_BUCKETS, Window, window_for
from flask10x.history.corrections import known
from flask10x.history.corrections.segments import Corrections
from flask10x.history.line_sums import Filler, LineRequest, RolledUp, ShownLine
from flask10x.history.lines import Line
from flask10x.history.local.steps import HOUR
from flask10x.history.query import Bound, Query
from flask10x.history.rollups import RollupProgress
from flask10x.history.statements import statement_key
from flask10x.readings.stations import Station
from flask10x.readings.times import FIRST_DATE_MS, HOUR_MS, LAST_DATE_MS

# Enough to see through a pause or two, few enough to follow a sender whose pace was changed.
INTERVAL_ROWS = 101
# What is not rolled up yet is read one by one, of all times and stations; beyond this, as after the
# import of an old file, reading the range itself is quicker.
MOST_ROWS_BEHIND = 100_000
FIRST_DATE, LAST_DATE = Bound(FIRST_DATE_MS, "", ""), Bound(LAST_DATE_MS, "", "")


@dataclass(frozen=True, slots=True)
class Chart:
    """All lines of a query; `window` is None when neither it nor the readings give a range."""

    window: Window | None
    source: str
    readings: int
    lines: list[Line]


def chart(
    connection: Connection,
    query: Query,
    corrections: Corrections | None = None,
    window: Window | None = None,
) -> Chart:
    """The lines of every chosen measurement that has a value, in the registry's order.

    They show all readings that the filters let through; order, limit and cursor mean nothing here.
    Values are shown as the corrections say, by default those that count for the query (`raw`). A
    window stands for the query's own range and buckets.
    """
    if corrections is None:
        corrections = known.of_query(connection, query)
    window = window or _window(connection, query)
    if window is None:
        return Chart(None, "readings", 0, [])
    kept = rolled_up(connection, query, window)
    branches, filters, values = statement_key(query, corrections)
    count, lines = 0, []
    for branch in branches:
        request = LineRequest(branch, filters, values)
        own = _lines(connection, query, query.known.by_endpoint[branch.endpoint], window)
        if not own:
            # Only derived values were asked for (`derived/lines.py`).
            continue
        shown = [ShownLine(line, ()) for line in own]
        count += _fill(Filler(connection, request, window, kept, shown), corrections)
        lines += [line for line in own if line.buckets]
    return Chart(window, "readings" if kept is None else "rollups", count, lines)


def waits_for_rollups(connection: Connection, query: Query) -> RollupProgress | None:
    """How far the roll-ups are when the chart is to be made of them, but they are far behind.

    Else None: the chart takes no longer now than later.
    """
    window = _window(connection, query)
    if window is None or not _is_of_hours(query, window):
        return None
    at = rollups.progress(connection)
    return at if at.behind > MOST_ROWS_BEHIND else None


def uses_rollups(connection: Connection, query: Query, window: Window) -> bool:
    """Whether a chart of this window is made of roll-ups."""
    return rolled_up(connection, query, window) is not None


def rolled_up(connection: Connection, query: Query, window: Window) -> RolledUp | None:
    """What can stand for the readings; None when the roll-ups can't be used."""
    if not (_is_of_hours(query, window) and rollups_fit(connection, query.known)):
        return None
    at = rollups.progress(connection)
    if at.behind > MOST_ROWS_BEHIND:
        return None
    return RolledUp(at.done, at.behind == 0, days.are_of(connection, query.zone))


def _is_of_hours(query: Query, window: Window) -> bool:
    return window.step.is_of_hours and not (query.filters or query.incomplete)


def _window(connection: Connection, query: Query) -> Window | None:
    """From bound to bound; where there is none, as far as there are readings that have a date.

    One whose time is none has no place on the axis, and would leave no room for the others.
    """
    ends = held(connection, query)
    if ends is None:
        return None
    first, last = ends
    is_of_all = not (query.filters or query.incomplete)
    window = window_for(first, last, query.buckets or MAX_BUCKETS, query.zone)
    if not is_of_all or window.step.is_of_hours or removed_ms(connection, query, window) is None:
        return window
    # Hours are the finest that is left, and only whole ones are.
    first, last = first // HOUR_MS * HOUR_MS, (last // HOUR_MS + 1) * HOUR_MS - 1
    return replace(window, first_ms=first, last_ms=last, step=HOUR)


def held(connection: Connection, query: Query) -> tuple[int, int] | None:
    """The query's range; where a bound lacks, as far as there is anything that has a date.

    Of removed readings there are hours and days, which only conditions don't see. None where
    nothing is there. Both ends, UTC epoch milliseconds, are inclusive.
    """
    dated = replace(query, since=query.since or FIRST_DATE, until=query.until or LAST_DATE)
    first = query.since.ms if query.since else pages.end_of(connection, dated, newest=False)
    last = query.until.ms if query.until else pages.end_of(connection, dated, newest=True)
    is_of_all = not (query.filters or query.incomplete)
    if query.since is None and is_of_all and _removed_ms(connection, query) is not None:
        first = first_ms(connection, query)
    return None if first is None or last is None or first > last else (first, last)


def removed_ms(connection: Connection, query: Query, window: Window | None) -> int | None:
    """Up to when readings of the window were removed, so that only their hours and days are there.

    None where none of the query's stations has lost any in it. UTC epoch milliseconds.
    """
    last_ms = _removed_ms(connection, query)
    return last_ms if window and last_ms is not None and last_ms >= window.first_ms else None


def _removed_ms(connection: Connection, query: Query) -> int | None:
    gone = removed.load(connection)
    ends = (gone[s.endpoint].last_ms for s in query.stations if s.endpoint in gone)
    return max((ms for ms in ends if ms is not None), default=None)


def first_ms(connection: Connection, query: Query) -> int | None:
    """Since when there is anything of the query's stations, whatever its range and conditions.

    Hours and days are kept longer than readings may be. In UTC epoch milliseconds; None where
    nothing is there.
    """
    dated = Query(
        known=query.known, endpoints=query.endpoints, since=FIRST_DATE, until=LAST_DATE, order="asc"
    )
    first = pages.end_of(connection, dated, newest=False)
    for station in dated.stations:
        for column in station.columns:
            chosen = {"endpoint": station.endpoint, "measurement": column}
            hour = connection.execute(_FIRST_HOUR, chosen).scalar()
            if hour is not None and (first is None or hour < first // HOUR_MS):
                first = hour * HOUR_MS
    return first


def _lines(connection: Connection, query: Query, station: Station, window: Window) -> list[Line]:
    chosen, usual_ms = query.chosen(station), interval_ms(connection, station, window)
    return [Line(station, m, usual_ms) for m in station.measurements if m.column in chosen]


def interval_ms(connection: Connection, station: Station, window: Window) -> int | None:
    """The median of the last intervals of the range or, where it is shorter, just before it."""
    parameters = {"endpoint": station.endpoint, "last": window.last_ms, "rows": INTERVAL_ROWS}
    times = connection.execute(_LAST_TIMES, parameters).scalars().all()
    intervals = [later - earlier for later, earlier in pairwise(times)]
    longer = [interval for interval in intervals if interval > 0]
    return round(median(longer)) if longer else None


def _fill(filler: Filler, corrections: Corrections) -> int:
    """Add the window to the lines, each as it is shown; how many readings they are made of.

    Where lines of a station are corrected differently, the number is that of the fullest.
    """
    first_ms, last_ms = filler.held()
    if first_ms > last_ms:
        return 0
    alike: defaultdict[tuple[tuple[int, int], ...], list[ShownLine]] = defaultdict(list)
    for line, _ in filler.lines:
        column = line.measurement.column
        found = corrections.segments(line.station.endpoint, column, first_ms, last_ms)
        shown = [segment for segment in found if not segment.hidden]
        pieces = tuple((segment.first_ms, segment.last_ms) for segment in shown)
        alike[pieces].append(ShownLine(line, shown))
    return max(replace(filler, lines=own).fill(pieces) for pieces, own in alike.items())


_FIRST_HOUR = select(func.min(tables.rollups.c.hour)).where(
    tables.rollups.c.endpoint == bindparam("endpoint"),
    tables.rollups.c.measurement == bindparam("measurement"),
    # Of a damaged clock there may be hours that are no date.
    tables.rollups.c.hour >= FIRST_DATE_MS // HOUR_MS,
)

_LAST_TIMES = (
    select(readings.c.received_at)
    .where(
        readings.c.endpoint == bindparam("endpoint"), readings.c.received_at <= bindparam("last")
    )
    .order_by(readings.c.received_at.desc())
    .limit(bindparam("rows"))
)
