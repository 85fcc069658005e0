"""A chart beside that of another day, week or year, or of another station, on the same axis.

Yesterday means the same time by the clock, not 24 hours ago; a year ago means the same date.
"""

import calendar
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo

from flask10x.history import derived_lines
from flask10x.history.buckets import Line, Window
from flask10x.history.charts import Chart
from flask10x.history.query import MOVES, Bound, Move, Query
from flask10x.history.view import View
from flask10x.readings.stations import Station
from flask10x.readings.times import FIRST_DATE_MS, LAST_DATE_MS, SECOND_MS

# No sensor has measured before.
FIRST_YEAR = 1900


def earlier(move: Move, ms: int, zone: tzinfo | None, *, end: bool = False) -> int | None:
    """Return the compared instant for one end of a range; None when there is no such date.

    For a 29 February it is the border of the two days around it: the end of 28 February for an
    end, else the beginning of 1 March.
    """
    wall = _wall(ms, zone)
    if wall.year - move.years < FIRST_YEAR:
        return None
    moved = _moved_wall(wall, -move.days, -move.years)
    if moved is None:
        march = wall.replace(
            year=wall.year - move.years, month=3, day=1, hour=0, minute=0, second=0
        )
        return _instant(march, zone) - end
    return _instant(moved, zone) + ms % SECOND_MS


def later(move: Move, ms: int, zone: tzinfo | None) -> int | None:
    """Return where a compared instant lies on the axis of the chart.

    None when the clock never shows that time: in the hour that a clock change skips, on 29 February
    of other years, and beyond the calendar.
    """
    wall = _wall(ms, zone)
    moved = _moved_wall(wall, move.days, move.years)
    if moved is None:
        return None
    at = _instant(moved, zone)
    return at + ms % SECOND_MS if _wall(at, zone) == moved else None


def has_leap_day(first_ms: int, last_ms: int, zone: tzinfo | None) -> bool:
    """Return whether the range has any part of a 29 February; both ends are included."""
    first, last = _wall(first_ms, zone), _wall(last_ms, zone)
    leap_days = (
        (year, 2, 29) for year in range(first.year, last.year + 1) if calendar.isleap(year)
    )
    begin, end = ((at.year, at.month, at.day) for at in (first, last))
    return any(begin <= day <= end for day in leap_days)


def _moved_wall(wall: datetime, days: int, years: int) -> datetime | None:
    """Return the time so many days or years later; None when that date does not exist."""
    try:
        later_day = wall + timedelta(days=days)
        return later_day.replace(year=later_day.year + years)
    except (OverflowError, ValueError):
        return None


def _wall(ms: int, zone: tzinfo | None) -> datetime:
    """Return the time on the wall, to the second; beyond the calendar that of its end."""
    ms = min(max(ms, FIRST_DATE_MS), LAST_DATE_MS)
    return datetime.fromtimestamp(ms // SECOND_MS, zone).replace(tzinfo=None, fold=0)


def _instant(wall: datetime, zone: tzinfo | None) -> int:
    """Return the first instant at which the clock shows this time."""
    return round(wall.replace(tzinfo=zone).timestamp()) * SECOND_MS


@dataclass(frozen=True, slots=True)
class ComparedLine:
    """A line on the axis of another chart; all lists have an entry for each of its buckets."""

    line: Line
    times_ms: list[int]
    """The beginning of each bucket on the axis."""
    own_ms: list[int]
    """The actual beginning of each bucket."""
    averages: list[float | None]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The lines that a chart is compared with."""

    by: str
    """`day`, `week`, `year` or the endpoint of a station."""
    bucket_ms: int | None
    """The usual length of a bucket; None without lines."""
    has_leap_day: bool
    """Whether one of the two years has a 29 February in the range that the other lacks."""
    lines: list[ComparedLine]


def compared(view: View, query: Query, chart: Chart, until_ms: int) -> Comparison | None:
    """Return what `query.compare` asks for, up to `until_ms` on the axis of the chart.

    None when it asks for nothing. A line of another time is drawn where the clock shows the same
    time; times that the clock never shows on the axis are left out.
    """
    if not query.compare:
        return None
    if chart.window is None:
        return Comparison(query.compare, None, False, [])
    window = replace(chart.window, last_ms=max(chart.window.last_ms, until_ms))
    if move := MOVES.get(query.compare):
        return _of_time(view, query, move, window)
    station = query.registry.by_endpoint[query.compare]
    return _of_station(view, query, chart, station, window)


def _of_time(view: View, query: Query, move: Move, window: Window) -> Comparison:
    zone, ends = window.zone, (window.first_ms, window.last_ms)
    first_ms, last_ms = earlier(move, ends[0], zone), earlier(move, ends[1], zone, end=True)
    if first_ms is None or last_ms is None or first_ms > last_ms:
        return Comparison(query.compare, None, False, [])
    leaps = has_leap_day(*ends, zone) or has_leap_day(first_ms, last_ms, zone)
    moved = replace(window, first_ms=first_ms, last_ms=last_ms)
    there = derived_lines.chart(view, _within(query, moved))
    lines = list(_moved(there, lambda ms: later(move, ms, zone)))
    return Comparison(query.compare, _bucket_ms(there), move.years > 0 and leaps, lines)


def _of_station(
    view: View, query: Query, chart: Chart, station: Station, window: Window
) -> Comparison:
    """Return a station's lines of the quantities of the chart, except those it already has."""
    quantities = {line.measurement.quantity for line in chart.lines}
    shown = {line.measurement.column for line in chart.lines if line.station == station}
    of_these = (m.column for m in station.measurements if m.quantity in quantities)
    columns = tuple(column for column in of_these if column not in shown)
    if not columns:
        return Comparison(query.compare, None, False, [])
    other = replace(query, endpoints=(station.endpoint,), measurements=columns, derived=())
    there = derived_lines.chart(view, _within(other, window))
    return Comparison(query.compare, _bucket_ms(there), False, list(_moved(there, lambda ms: ms)))


def _within(query: Query, window: Window) -> Query:
    since, until = (Bound(ms, "", "") for ms in (window.first_ms, window.last_ms))
    return replace(query, since=since, until=until, compare="")


def _bucket_ms(chart: Chart) -> int | None:
    return chart.window.bucket_ms if chart.window and chart.lines else None


def _moved(chart: Chart, moved: Callable[[int], int | None]) -> Iterator[ComparedLine]:
    """Yield the lines with the buckets that have a place on the axis.

    Of two buckets in the same place the first one counts.
    """
    starts = chart.window.starts if chart.window else ()
    for line in chart.lines:
        places: dict[int, int] = {}
        for place in line.places:
            at = moved(starts[place])
            if at is not None:
                places.setdefault(at, place)
        times = sorted(places)
        yield ComparedLine(
            line=line,
            times_ms=times,
            own_ms=[starts[places[at]] for at in times],
            averages=[line.buckets[places[at]].average for at in times],
        )
