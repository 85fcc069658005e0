"""Readings as lines of a chart: least, average and greatest value of each bucket of time.

The database computes the buckets from readings, or from roll-ups and the readings that these lack.
The form of the answer is described in docs/en/reference/http-api.md.
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from typing import Any

from sqlalchemy import ColumnElement, Select, String, cast, func, select

from flask10x.database.cursors import MIN_CURSOR_MS
from flask10x.database.expressions import spans
from flask10x.database.tables import readings, rollup_days, rollups
from flask10x.history import search
from flask10x.history.bucket_sums import SumsRequest, add_sums
from flask10x.history.buckets import MAX_BUCKETS, Line, Window, window_for
from flask10x.history.local_time import DRAWN_STEPS, HOUR, STEPS, day_of
from flask10x.history.newest import newest_hours
from flask10x.history.pages import EndOfRange, end_rows
from flask10x.history.query import Bound, Query
from flask10x.history.statements import rolled_up_in, statement_key
from flask10x.history.view import Extent, RollupProgress, View
from flask10x.readings.stations import Station
from flask10x.readings.times import FIRST_DATE_MS, HOUR_MS, LAST_DATE_MS, zone_name_of

# Enough to see through a pause or two, few enough to follow a sender whose pace was changed.
INTERVAL_ROWS = 101
# A summer and a winter; a day of each four weeks shows both. Nine stations have 585 such rows, not
# 16,000.
USUAL_DAYS = 364
USUAL_STEP_DAYS = 28
FIRST_DATE, LAST_DATE = Bound(FIRST_DATE_MS, "", ""), Bound(LAST_DATE_MS, "", "")


@dataclass(frozen=True, slots=True)
class Chart:
    """All lines of a query; `window` is None when query and readings have no range."""

    window: Window | None
    source: str
    readings: int
    lines: list[Line]


def chart(
    view: View, query: Query, window: Window | None = None, *, has_gaps: bool = True
) -> Chart:
    """Return the lines of every chosen measurement that has a value, in the registry's order.

    They show all readings that match the filters; order, limit and cursor have no effect. Values
    are shown with the corrections unless the query is for raw values. A window replaces the query's
    own range and buckets. Without `has_gaps` the lines have no usual interval.
    """
    window = window or window_of(view, query)
    if window is None:
        return Chart(None, "readings", 0, [])
    return charts(view, [query], window, has_gaps=has_gaps)[0]


def charts(
    view: View, queries: Sequence[Query], window: Window, *, has_gaps: bool = True
) -> list[Chart]:
    """Return the charts of several queries in one window, read together.

    The queries have the same filters, and no station in common.
    """
    if not queries:
        return []
    query = queries[0]
    is_rolled_up = has_rollups(view, query, window)
    keys = [statement_key(each, view.corrections) for each in queries]
    branches = {branch.endpoint: branch for key in keys for branch in key[0]}
    stations = [view.stations.by_endpoint[endpoint] for endpoint in branches]
    reach = extents(view, stations, raw=query.raw)
    usual_ms = intervals(view, stations, window.last_ms) if has_gaps else {}
    lines_of = [
        [
            Line(station, measurement, usual_ms.get(station.endpoint))
            for station in (view.stations.by_endpoint[branch.endpoint] for branch in key[0])
            for measurement in station.measurements
            if measurement.column in each.chosen(station)
        ]
        for each, key in zip(queries, keys, strict=True)
    ]
    request = SumsRequest(
        window=window,
        branches=branches,
        filters=keys[0][1],
        values=keys[0][2],
        is_raw=query.raw,
        is_rolled_up=is_rolled_up,
        extents=reach,
    )
    counts = add_sums(view, request, [line for lines in lines_of for line in lines])
    return [
        Chart(
            window,
            "rollups" if is_rolled_up else "readings",
            sum(counts.get(endpoint, 0) for endpoint in {line.station.endpoint for line in lines}),
            [line for line in lines if line.buckets],
        )
        for lines in lines_of
    ]


def waits_for_rollups(view: View, query: Query) -> RollupProgress | None:
    """Return the progress of the roll-ups if the chart has to wait for them, else None.

    It has to when it is to be made of roll-ups that are far behind.
    """
    window = window_of(view, query)
    if window is None or not _is_of_hours(query, window):
        return None
    at = view.rollups.progress
    return at if at.is_far_behind else None


def has_rollups(view: View, query: Query, window: Window) -> bool:
    """Return whether roll-ups can take the place of readings."""
    if not _is_of_hours(query, window):
        return False
    return view.rollups.fits and not view.rollups.progress.is_far_behind


def _is_of_hours(query: Query, window: Window) -> bool:
    return window.step.is_of_hours and not query.has_conditions


def window_of(view: View, query: Query) -> Window | None:
    """Return the window from bound to bound; without a bound it reaches as far as readings do.

    Readings whose time is no date do not count: they would leave no room for the others.
    """
    ends = held(view, query)
    if ends is None:
        return None
    first, last = ends
    steps = DRAWN_STEPS if query.is_drawn else STEPS
    window = window_for(first, last, query.buckets or MAX_BUCKETS, query.zone, steps)
    if query.has_conditions or window.step.is_of_hours or removed_ms(view, query, window) is None:
        return window
    # Of removed readings only whole hours are left.
    first, last = first // HOUR_MS * HOUR_MS, (last // HOUR_MS + 1) * HOUR_MS - 1
    return replace(window, first_ms=first, last_ms=last, step=HOUR)


def held(view: View, query: Query) -> tuple[int, int] | None:
    """Return the query's range; without a bound it reaches as far as anything that has a date.

    Hours and days of removed readings count, too, unless the query has conditions. None when there
    is nothing. Both ends, UTC epoch milliseconds, are inclusive.
    """
    first = query.since.ms if query.since else _end_of(view, query, newest=False)
    last = query.until.ms if query.until else _end_of(view, query, newest=True)
    if query.since is None and not query.has_conditions and _removed_ms(view, query) is not None:
        first = first_ms(view, query)
    return None if first is None or last is None or first > last else (first, last)


def _end_of(view: View, query: Query, *, newest: bool) -> int | None:
    """Return when the newest or the oldest dated reading of the query's range was received."""
    if query.has_conditions:
        dated = replace(
            query, since=query.since or FIRST_DATE, until=query.until or LAST_DATE, cursor=None
        )
        return search.end_of(view, dated, newest=newest)
    reach = extents(view, _named(query), raw=query.raw)
    ends = [reach[station.endpoint] for station in query.stations]
    if newest:
        return max((extent.last_ms for extent in ends if extent.last_ms is not None), default=None)
    return min((extent.first_ms for extent in ends if extent.first_ms is not None), default=None)


def removed_ms(view: View, query: Query, window: Window | None) -> int | None:
    """Return up to when readings of the window were removed, in UTC epoch milliseconds.

    Only their hours and days are left. None when none of the query's stations has lost readings.
    """
    last_ms = _removed_ms(view, query)
    return last_ms if window and last_ms is not None and last_ms >= window.first_ms else None


def _removed_ms(view: View, query: Query) -> int | None:
    gone = view.removed
    ends = (gone[s.endpoint].last_ms for s in query.stations if s.endpoint in gone)
    return max((ms for ms in ends if ms is not None), default=None)


def first_ms(view: View, query: Query) -> int | None:
    """Return when the first reading or hour of the query's stations was, in UTC epoch milliseconds.

    The range and the conditions of the query have no effect. None when there is nothing. Hours are
    kept when readings are removed.
    """
    firsts, _, first_hours, _ = zip(*extents(view, _named(query)).values(), strict=True)
    first, first_hour = (
        min((ms for ms in column if ms is not None), default=None)
        for column in (firsts, first_hours)
    )
    return Extent(first, None, first_hour, None).begin_ms


def begun_before(view: View, query: Query, chart: Chart) -> set[tuple[str, str]]:
    """Return the names of the lines that begin later than the window and have values before it.

    By whole hours. A derived value has as long as its station has readings, and so have all while
    roll-ups lack.
    """
    late = [line for line in chart.lines if 0 not in line.buckets]
    if chart.window is None or not late:
        return set()
    first_ms, state = chart.window.first_ms, view.rollups
    reach = extents(view, {line.station for line in late}, raw=query.raw)
    begun = {
        line.names
        for line in late
        if (extent := reach[line.station.endpoint])
        and min(extent.first_ms or first_ms, extent.first_hour_ms or first_ms) < first_ms
    }
    before = MIN_CURSOR_MS // HOUR_MS, first_ms // HOUR_MS
    measured = {
        line.names: before
        for line in late
        if line.names in begun and line.measurement.column in line.station.columns
    }
    if not measured or not state.fits or state.progress.is_far_behind:
        return begun
    return begun - (measured.keys() - newest_hours(view, measured).keys())


def usual_ranges(view: View) -> Mapping[tuple[str, str], tuple[float, float]]:
    """Return where the values of each endpoint and column usually are, as the two ends.

    They lie half of its usual daily span below and above its average of the USUAL_DAYS before
    today. A measurement without a day there is left out, and so are all of them while days are
    being made.
    """
    if not view.rollups.fits or view.rollups.zone_of_days != zone_name_of(view.zone):
        return {}
    # Today has not had its warmest or its coldest hour.
    today = day_of(view.now_ms, view.zone)
    listed = [
        (station.endpoint, column, day, day + 1, 0)
        for station in view.stations.all
        for column in station.columns
        for day in range(today - 1, today - 1 - USUAL_DAYS, -USUAL_STEP_DAYS)
    ]
    usual = view.connection.execute(_USUAL, {"days": json.dumps(listed)})
    return {
        (endpoint, column): (average - span / 2, average + span / 2)
        for endpoint, column, average, span in usual
        # Of numbers near the greatest one there may be no sum and no span.
        if None not in (average, span) and math.isfinite(average) and math.isfinite(span)
    }


def _usual() -> Select[Any]:
    listed, of_day = spans("days"), rollup_days.c
    return (
        select(
            *(of_day.endpoint, of_day.measurement),
            func.sum(of_day.total) / func.sum(of_day["count"]),
            func.avg(of_day.maximum - of_day.minimum),
        )
        .join_from(listed, rollup_days, rolled_up_in(listed, of_day.day))
        .where(of_day["count"] > 0)
        .group_by(of_day.endpoint, of_day.measurement)
    )


_USUAL = _usual()


def _named(query: Query) -> list[Station]:
    """Return the stations that the query names, also those without a chosen measurement."""
    return [s for s in query.registry.all if not query.endpoints or s.endpoint in query.endpoints]


def extents(view: View, stations: Iterable[Station], *, raw: bool = False) -> Mapping[str, Extent]:
    """Return the extent of each station; with `raw` hidden readings count, too."""
    endpoints = [station.endpoint for station in stations]
    _read_extents(view, [e for e in endpoints if (e, True) not in view.extents])
    if raw or not view.corrections.whole:
        return {endpoint: view.extents[endpoint, True] for endpoint in endpoints}
    beyond: list[EndOfRange] = []
    for endpoint in endpoints:
        if (endpoint, False) in view.extents:
            continue
        stored = view.extents[endpoint, False] = view.extents[endpoint, True]
        first, last = (
            None if ms is None else view.corrections.hidden_at(endpoint, ms)
            for ms in (stored.first_ms, stored.last_ms)
        )
        if first:
            beyond.append(EndOfRange(endpoint, first.last_ms + 1, LAST_DATE_MS, newest=False))
        if last:
            beyond.append(EndOfRange(endpoint, FIRST_DATE_MS, last.first_ms - 1))
    for end, row in zip(beyond, end_rows(view, beyond), strict=True):
        shown = {"last_ms" if end.newest else "first_ms": None if row is None else row.received_at}
        view.extents[end.endpoint, False] = view.extents[end.endpoint, False]._replace(**shown)
    return {endpoint: view.extents[endpoint, False] for endpoint in endpoints}


def _read_extents(view: View, endpoints: Iterable[str]) -> None:
    """Read the extents of stored readings, and of the hours of all measurements."""
    # A damaged clock may have left hours that are no date.
    hours = FIRST_DATE_MS // HOUR_MS, LAST_DATE_MS // HOUR_MS
    listed = [
        (endpoint, column, *ends, 0)
        for endpoint in endpoints
        for column, ends in (
            (None, (FIRST_DATE_MS, LAST_DATE_MS)),
            *((column, hours) for column in view.stations.by_endpoint[endpoint].columns),
        )
    ]

    if not listed:
        return
    ends: defaultdict[str, list[Any]] = defaultdict(list)
    for endpoint, *row in view.connection.execute(_EXTENTS, {"ends": json.dumps(listed)}).all():
        ends[endpoint].append(row)
    for endpoint, each in ends.items():
        times = [[ms for ms in column if ms is not None] for column in zip(*each, strict=True)]
        first, first_hour = (min(times[place], default=None) for place in (0, 2))
        last, last_hour = (max(times[place], default=None) for place in (1, 3))
        view.extents[endpoint, True] = Extent(
            first,
            last,
            None if first_hour is None else first_hour * HOUR_MS,
            None if last_hour is None else (last_hour + 1) * HOUR_MS - 1,
        )


def intervals(
    view: View, stations: Sequence[Station], last_ms: int = LAST_DATE_MS
) -> Mapping[str, int | None]:
    """Return the usual time between two readings of each station, in milliseconds.

    It is the median of the last INTERVAL_ROWS readings up to a time; None when there are too few.
    """
    until: dict[str, int] = {}
    for endpoint, extent in extents(view, stations, raw=True).items():
        # One is the same for all times after the last reading.
        is_earlier = extent.last_ms is not None and last_ms < extent.last_ms
        until[endpoint] = last_ms if is_earlier else LAST_DATE_MS
    lacking = {place: ms for place, ms in until.items() if (place, ms) not in view.intervals}
    if lacking:
        listed = [(endpoint, None, 0, ms, 0) for endpoint, ms in lacking.items()]
        for endpoint, times in view.connection.execute(
            _LAST_TIMES, {"ends": json.dumps(listed)}
        ).all():
            view.intervals[endpoint, lacking[endpoint]] = _median(times)
    return {place: view.intervals[place, ms] for place, ms in until.items()}


def _median(times: str | None) -> int | None:
    received = sorted(map(int, times.split(","))) if times else []
    longer = [later - earlier for earlier, later in pairwise(received) if later > earlier]
    return round(median(longer)) if longer else None


def _last_times() -> Select[Any]:
    ends = spans("ends")
    last = (
        select(readings.c.received_at)
        .where(readings.c.endpoint == ends.c.endpoint, readings.c.received_at <= ends.c.second)
        .order_by(readings.c.received_at.desc())
        .limit(INTERVAL_ROWS)
        .correlate(ends)
        .subquery()
    )
    times = select(func.aggregate_strings(cast(last.c.received_at, String), ","))
    return select(ends.c.endpoint, times.correlate(ends).scalar_subquery())


def _extents() -> Select[Any]:
    """Return the statement for the first and the last reading and hour of each span.

    Each is one step in an index.
    """
    ends = spans("ends")

    def end(of: ColumnElement[Any], *conditions: ColumnElement[bool]) -> Any:
        within = of >= ends.c.first, of <= ends.c.second, *conditions
        return [
            select(choose(of)).where(*within).correlate(ends).scalar_subquery()
            for choose in (func.min, func.max)
        ]

    return select(
        ends.c.endpoint,
        *end(
            readings.c.received_at,
            readings.c.endpoint == ends.c.endpoint,
            ends.c.measurement.is_(None),
        ),
        *end(
            rollups.c.hour,
            rollups.c.endpoint == ends.c.endpoint,
            rollups.c.measurement == ends.c.measurement,
        ),
    )


_LAST_TIMES, _EXTENTS = _last_times(), _extents()
