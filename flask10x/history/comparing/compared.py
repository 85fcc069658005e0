"""The lines of another time, or of another station, moved onto the axis of a chart."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from flask10x.history.buckets import Window
from flask10x.history.charts import Chart
from flask10x.history.comparing.moves import MOVES, Move, earlier, has_leap_day, later
from flask10x.history.corrections.segments import NONE, Corrections
from flask10x.history.derived import lines as derived
from flask10x.history.lines import Line
from flask10x.history.query import Bound, Query
from flask10x.readings.stations import Station


@dataclass(frozen=True, slots=True)
class ComparedLine:
    """A line on the axis of another chart; all lists have an entry for each of its buckets."""

    line: Line
    times_ms: list[int]
    """Where each bucket begins on the axis."""
    own_ms: list[int]
    """When it began."""
    averages: list[float | None]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a chart is compared with."""

    by: str
    """`day`, `week`, `year` or the endpoint of a station."""
    bucket_ms: int | None
    """The usual length of a bucket; None when there are no lines."""
    has_leap_day: bool
    """Whether one of the two years has a 29 February in the range, which the other has not."""
    lines: list[ComparedLine]


def compared(
    connection: Connection,
    query: Query,
    chart: Chart,
    until_ms: int,
    corrections: Corrections = NONE,
) -> Comparison | None:
    """What `query.compare` asks for beside the chart, up to `until_ms` on its axis.

    None when it asks for nothing. Yesterday's line stands where the clock shows the same time;
    what the clock never shows on the axis is left out.
    """
    if not query.compare:
        return None
    if chart.window is None:
        return Comparison(query.compare, None, False, [])
    window = replace(chart.window, last_ms=max(chart.window.last_ms, until_ms))
    if move := MOVES.get(query.compare):
        return _of_time(connection, query, move, window, corrections)
    station = query.known.by_endpoint[query.compare]
    return _of_station(connection, query, chart, station, window, corrections)


def _of_time(
    connection: Connection, query: Query, move: Move, window: Window, corrections: Corrections
) -> Comparison:
    zone, ends = window.zone, (window.first_ms, window.last_ms)
    first_ms, last_ms = earlier(move, ends[0], zone), earlier(move, ends[1], zone, end=True)
    if first_ms is None or last_ms is None or first_ms > last_ms:
        return Comparison(query.compare, None, False, [])
    leaps = has_leap_day(*ends, zone) or has_leap_day(first_ms, last_ms, zone)
    moved = replace(window, first_ms=first_ms, last_ms=last_ms)
    there = derived.chart(connection, _within(query, moved), corrections)
    lines = list(_moved(there, lambda ms: later(move, ms, zone)))
    return Comparison(query.compare, _bucket_ms(there), move.years > 0 and leaps, lines)


def _of_station(
    connection: Connection,
    query: Query,
    chart: Chart,
    station: Station,
    window: Window,
    corrections: Corrections,
) -> Comparison:
    """The station's measurements of what the chart shows, without the lines that it has."""
    quantities = {line.measurement.quantity for line in chart.lines}
    shown = {line.measurement.column for line in chart.lines if line.station == station}
    of_these = (m.column for m in station.measurements if m.quantity in quantities)
    wanted = tuple(column for column in of_these if column not in shown)
    if not wanted:
        return Comparison(query.compare, None, False, [])
    asked = replace(query, endpoints=(station.endpoint,), measurements=wanted, derived=())
    there = derived.chart(connection, _within(asked, window), corrections)
    return Comparison(query.compare, _bucket_ms(there), False, list(_moved(there, lambda ms: ms)))


def _within(query: Query, window: Window) -> Query:
    since, until = (Bound(ms, "", "") for ms in (window.first_ms, window.last_ms))
    return replace(query, since=since, until=until, compare="")


def _bucket_ms(chart: Chart) -> int | None:
    return chart.window.bucket_ms if chart.window and chart.lines else None


def _moved(chart: Chart, moved: Callable[[int], int | None]) -> Iterator[ComparedLine]:
    """The lines with what has a place on the axis; of two buckets in one place the first."""
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
