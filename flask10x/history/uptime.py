"""How completely each station has sent: the share of the expected readings that arrived.

Readings are counted by the roll-ups, which count removed ones, too; those that came since the last
roll-up are counted one by one. A station is expected to send as often as it did with its newest
readings, from its first reading on.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC
from itertools import pairwise

from sqlalchemy import ColumnElement, Table, and_, func, literal, or_, select, union_all

from flask10x.database.expressions import unindexed
from flask10x.database.tables import readings, rollup_days, rollups
from flask10x.history import charts
from flask10x.history.local_time import day_of, day_start
from flask10x.history.periods import Span, neighbours, parts_of
from flask10x.history.view import View
from flask10x.readings.stations import Station
from flask10x.readings.times import DAY_MS, HOUR_MS, SECOND_MS, local_text, zone_name_of

DAYS, MONTHS = 30, 12
GAPS_MAX = 3
# Fewer readings of a year can't show what is usual.
READINGS_MIN = 6
# So long after its end the readings of an hour are stored.
SETTLED_MS = 5 * 60_000


@dataclass(frozen=True, slots=True)
class Share:
    """A day or a month of a station."""

    name: str
    """`2025-08-24` or `2025-08`."""
    readings: int
    expected: float | None
    """How many are expected by its rhythm; None when it has none or nothing was expected."""

    @property
    def share(self) -> float | None:
        """From 0 to 1; it is 1 when there are more readings than expected."""
        return None if self.expected is None else min(self.readings / self.expected, 1.0)


@dataclass(frozen=True, slots=True)
class Gap:
    """Full hours of the clock without a reading, in UTC epoch milliseconds; the end is excluded."""

    first_ms: int
    end_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class StationUptime:
    """The shares of a station, the newest first, and its longest gaps within the days."""

    station: Station
    first_ms: int
    usual_sec: float | None
    days: Sequence[Share]
    months: Sequence[Share]
    gaps: Sequence[Gap]


@dataclass(frozen=True, slots=True)
class Uptime:
    """Of all stations that have ever sent, up to the end of the last full hour."""

    until_ms: int
    stations: Sequence[StationUptime]
    is_prepared: bool = True
    """Whether the days of this zone are rolled up; until then there are no shares."""


def uptime(view: View) -> Uptime:
    """Return the last 30 days and the last 12 months of the view's stations.

    It takes five statements.
    """
    until_ms = (view.now_ms - SETTLED_MS) // HOUR_MS * HOUR_MS
    extents = charts.extents(view, view.stations.all, raw=True)
    firsts = {e: ms for e, extent in extents.items() if (ms := extent.begin_ms) is not None}
    if not firsts:
        return Uptime(until_ms, [])
    has_days = view.rollups.zone_of_days == zone_name_of(view.zone)
    if not has_days or view.rollups.progress.is_far_behind:
        return Uptime(until_ms, [], is_prepared=False)
    zone, today = view.zone, day_of(until_ms, view.zone)
    # The newest first.
    months: list[Span] = []
    name: str | None = local_text(until_ms, zone)[:7]
    while name is not None and len(months) < MONTHS:
        parts = parts_of(name, zone)
        months.append(Span(name, parts[0].first_ms, parts[-1].last_ms))
        name, _ = neighbours(name)
    days = [
        Span(_name(day), day_start(day, zone), day_start(day + 1, zone) - 1)
        for day in range(today, today - DAYS, -1)
    ]
    stations = [station for station in view.stations.all if station.endpoint in firsts]
    usual_ms = charts.intervals(view, stations)
    first_day = day_of(months[-1].first_ms, zone)
    hours, counts = _counts(view, stations, until_ms, range(first_day, today))

    def share(span: Span, n: int, first_ms: int, usual_sec: float | None) -> Share:
        begin_ms, end_ms = max(span.first_ms, first_ms), min(span.last_ms + 1, until_ms)
        if usual_sec is None or begin_ms >= end_ms:
            return Share(span.name, n, None)
        return Share(span.name, n, (end_ms - begin_ms) / 1000 / usual_sec)

    def of_station(station: Station) -> StationUptime:
        endpoint, of_hours = station.endpoint, hours[station.endpoint]
        first_ms = firsts[endpoint]
        # The roll-up of this day has readings of the hour that is not full yet.
        of_today = sum(n for hour, n in of_hours.items() if hour * HOUR_MS >= days[0].first_ms)
        of_days = {**counts[endpoint], today: of_today}
        interval_ms = usual_ms[endpoint] if sum(of_days.values()) >= READINGS_MIN else None
        usual_sec = station.interval_sec if interval_ms is None else interval_ms / SECOND_MS
        by_name: Counter[str] = Counter()
        for day, n in of_days.items():
            by_name[_name(day)] += n
            by_name[_name(day)[:7]] += n
        return StationUptime(
            station=station,
            first_ms=first_ms,
            usual_sec=usual_sec,
            days=[share(span, by_name[span.name], first_ms, usual_sec) for span in days],
            months=[share(span, by_name[span.name], first_ms, usual_sec) for span in months],
            gaps=_gaps(of_hours, max(first_ms, days[-1].first_ms), until_ms),
        )

    return Uptime(until_ms, [of_station(station) for station in stations])


def _counts(
    view: View, stations: Sequence[Station], until_ms: int, days: range
) -> tuple[dict[str, Counter[int]], dict[str, Counter[int]]]:
    """Return by endpoint how many readings the full hours of the last DAYS days and the days have.

    Days are counted without today, and both with what is not rolled up yet.
    """
    first_hour, end_hour = (
        day_start(days.stop - DAYS + 1, view.zone) // HOUR_MS,
        until_ms // HOUR_MS,
    )
    hour = readings.c.received_at // HOUR_MS
    # Not by the index: these are the last rows of the table.
    endpoint_of_row = unindexed(readings.c.endpoint)
    rolled_up = (
        select(rollups.c.endpoint, rollups.c.hour, rollups.c.readings, literal(0))
        .where(_of_first_columns(rollups, stations))
        .where(rollups.c.hour >= first_hour, rollups.c.hour < end_hour)
    )
    later = (
        select(endpoint_of_row, hour, func.count(), literal(1))
        .where(readings.c.id > view.rollups.progress.done)
        .group_by(endpoint_of_row, hour)
    )
    of_days = (
        select(rollup_days.c.endpoint, rollup_days.c.day, rollup_days.c.readings)
        .where(_of_first_columns(rollup_days, stations))
        .where(rollup_days.c.day >= days.start, rollup_days.c.day < days.stop)
    )
    by_hour: dict[str, Counter[int]] = {station.endpoint: Counter() for station in stations}
    by_day: dict[str, Counter[int]] = {station.endpoint: Counter() for station in stations}
    for endpoint, day, n in view.connection.execute(of_days):
        by_day[endpoint][day] += n
    start_ms, today_ms = day_start(days.start, view.zone), day_start(days.stop, view.zone)
    for endpoint, at, n, is_later in view.connection.execute(union_all(rolled_up, later)):
        if endpoint not in by_hour:
            continue
        if first_hour <= at < end_hour:
            by_hour[endpoint][at] += n
        if is_later and start_ms <= at * HOUR_MS < today_ms:
            by_day[endpoint][day_of(at * HOUR_MS, view.zone)] += n
    return by_hour, by_day


def _of_first_columns(table: Table, stations: Sequence[Station]) -> ColumnElement[bool]:
    """Each measurement has a row with the count of all readings; the first one's is taken."""
    return or_(
        *(
            and_(table.c.endpoint == station.endpoint, table.c.measurement == station.columns[0])
            for station in stations
        )
    )


def _gaps(hours: Iterable[int], first_ms: int, until_ms: int) -> list[Gap]:
    """The longest runs of full hours without a reading, the longest first."""
    ends = [-(-first_ms // HOUR_MS) - 1, *sorted(hours), until_ms // HOUR_MS]
    gaps = [
        Gap((early + 1) * HOUR_MS, late * HOUR_MS)
        for early, late in pairwise(ends)
        if late > early + 1
    ]
    return sorted(gaps, key=lambda gap: (gap.first_ms - gap.end_ms, gap.first_ms))[:GAPS_MAX]


def _name(day: int) -> str:
    """`2025-08-24` for a day of the local calendar since 1970."""
    return local_text(day * DAY_MS, UTC)[:10]
