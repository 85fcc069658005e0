"""How completely each station has sent: the share of the expected readings that arrived.

Readings are counted by the roll-ups, which count removed ones, too; those that came since the last
roll-up are counted one by one. A station is expected to send as often as it did with its newest
readings, from its first reading on.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from itertools import pairwise

from sqlalchemy import ColumnElement, Connection, Table, and_, func, literal, or_, select, union_all

from flask10x.database.expressions import unindexed
from flask10x.database.tables import readings, rollup_days, rollups
from flask10x.history.local_time import day_of, day_start
from flask10x.history.periods import Span, neighbours, parts_of
from flask10x.history.rhythm import newest_times, rhythm_of
from flask10x.history.view import View
from flask10x.readings.stations import Station
from flask10x.readings.times import DAY_MS, HOUR_MS, local_text, zone_name_of

DAYS, MONTHS = 30, 12
GAPS_MAX = 3
# Enough for a median; of 40 stations they are read in some milliseconds.
NEWEST_READINGS = 200
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
    """The last 30 days and the last 12 months of the view's stations, in five statements."""
    until_ms = (view.now_ms - SETTLED_MS) // HOUR_MS * HOUR_MS
    firsts = _firsts(view.connection, view.stations.all)
    if not firsts:
        return Uptime(until_ms, [])
    rolled_up = view.rollups
    has_days = rolled_up.zone_of_days == zone_name_of(view.zone)
    if not has_days or rolled_up.progress.is_far_behind:
        return Uptime(until_ms, [], is_prepared=False)
    return Uptime(until_ms, _Reader(view, firsts, until_ms).read())


class _Reader:
    """Reads the counts of the stations that have ever sent."""

    def __init__(self, view: View, firsts: dict[str, int], until_ms: int) -> None:
        self._connection, self._zone, self._until_ms = view.connection, view.zone, until_ms
        self._stations = [station for station in view.stations.all if station.endpoint in firsts]
        self._firsts = firsts
        self._rolled_up_id = view.rollups.progress.done
        self._today = day_of(until_ms, view.zone)

    def read(self) -> list[StationUptime]:
        months = self._months()
        usual_sec = _usual_sec(self._connection, self._stations)
        first_day = day_of(months[-1].first_ms, self._zone)
        counts = self._days(first_day)
        hours = self._hours(first_day, counts)
        return [
            self._of_station(
                station, months, usual_sec[station.endpoint], hours[station.endpoint], counts
            )
            for station in self._stations
        ]

    def _of_station(
        self,
        station: Station,
        months: list[Span],
        usual_sec: float | None,
        hours: dict[int, int],
        counts: dict[tuple[str, int], int],
    ) -> StationUptime:
        first_ms, zone = self._firsts[station.endpoint], self._zone
        start_ms = day_start(self._today, zone)
        by_day = {day: n for (endpoint, day), n in counts.items() if endpoint == station.endpoint}
        # The roll-up of this day has readings of the hour that is not full yet.
        by_day[self._today] = sum(n for hour, n in hours.items() if hour * HOUR_MS >= start_ms)
        by_month: defaultdict[str, int] = defaultdict(int)
        for day, n in by_day.items():
            by_month[_name(day)[:7]] += n
        spans = [
            Span(_name(day), day_start(day, zone), day_start(day + 1, zone) - 1)
            for day in range(self._today, self._today - DAYS, -1)
        ]
        named = {_name(day): n for day, n in by_day.items()}
        return StationUptime(
            station=station,
            first_ms=first_ms,
            usual_sec=usual_sec,
            days=[self._share(s, named.get(s.name, 0), first_ms, usual_sec) for s in spans],
            months=[self._share(s, by_month[s.name], first_ms, usual_sec) for s in months],
            gaps=_gaps(hours, max(first_ms, spans[-1].first_ms), self._until_ms),
        )

    def _share(self, span: Span, n: int, first_ms: int, usual_sec: float | None) -> Share:
        begin_ms, end_ms = max(span.first_ms, first_ms), min(span.last_ms + 1, self._until_ms)
        if usual_sec is None or begin_ms >= end_ms:
            return Share(span.name, n, None)
        return Share(span.name, n, (end_ms - begin_ms) / 1000 / usual_sec)

    def _months(self) -> list[Span]:
        """The newest first."""
        name: str | None = local_text(self._until_ms, self._zone)[:7]
        spans: list[Span] = []
        while name is not None and len(spans) < MONTHS:
            parts = parts_of(name, self._zone)
            spans.append(Span(name, parts[0].first_ms, parts[-1].last_ms))
            name, _ = neighbours(name)
        return spans

    def _hours(
        self, first_day: int, counts: dict[tuple[str, int], int]
    ) -> dict[str, dict[int, int]]:
        """By endpoint: how many readings each hour of the days has; of full hours.

        Adds to the counts of the days before today what is not rolled up yet.
        """
        first_hour = day_start(self._today - DAYS + 1, self._zone) // HOUR_MS
        rolled_up = (
            select(rollups.c.endpoint, rollups.c.hour, rollups.c.readings, literal(0))
            .where(_of_first_columns(rollups, self._stations))
            .where(rollups.c.hour >= first_hour, rollups.c.hour < self._until_ms // HOUR_MS)
        )
        hour = readings.c.received_at // HOUR_MS
        # Not by the index: these are the last rows of the table.
        endpoint_of_row = unindexed(readings.c.endpoint)
        later = (
            select(endpoint_of_row, hour, func.count(), literal(1))
            .where(readings.c.id > self._rolled_up_id)
            .group_by(endpoint_of_row, hour)
        )
        hours: dict[str, dict[int, int]] = {station.endpoint: {} for station in self._stations}
        start_ms, today_ms = (day_start(day, self._zone) for day in (first_day, self._today))
        for endpoint, at, n, is_later in self._connection.execute(union_all(rolled_up, later)):
            if endpoint not in hours:
                continue
            if first_hour <= at < self._until_ms // HOUR_MS:
                hours[endpoint][at] = hours[endpoint].get(at, 0) + n
            if is_later and start_ms <= at * HOUR_MS < today_ms:
                key = endpoint, day_of(at * HOUR_MS, self._zone)
                counts[key] = counts.get(key, 0) + n
        return hours

    def _days(self, first_day: int) -> dict[tuple[str, int], int]:
        query = (
            select(rollup_days.c.endpoint, rollup_days.c.day, rollup_days.c.readings)
            .where(_of_first_columns(rollup_days, self._stations))
            .where(rollup_days.c.day >= first_day, rollup_days.c.day < self._today)
        )
        return {(endpoint, day): n for endpoint, day, n in self._connection.execute(query)}


def _of_first_columns(table: Table, stations: Sequence[Station]) -> ColumnElement[bool]:
    """Each measurement has a row with the count of all readings; the first one's is taken."""
    return or_(
        *(
            and_(table.c.endpoint == station.endpoint, table.c.measurement == station.columns[0])
            for station in stations
        )
    )


def _firsts(connection: Connection, stations: Sequence[Station]) -> dict[str, int]:
    """By endpoint: when it first sent; stations that never did are left out."""
    queries = [
        select(
            literal(station.endpoint),
            select(func.min(rollups.c.hour))
            .where(
                rollups.c.endpoint == station.endpoint, rollups.c.measurement == station.columns[0]
            )
            .scalar_subquery(),
            select(func.min(readings.c.received_at))
            .where(readings.c.endpoint == station.endpoint)
            .scalar_subquery(),
        )
        for station in stations
    ]
    firsts = {}
    for endpoint, hour, received_ms in connection.execute(union_all(*queries)):
        # Of an hour whose readings were removed the roll-up alone is there, and of the newest
        # hour it may be that no reading is rolled up yet.
        if received_ms is not None and (hour is None or received_ms // HOUR_MS <= hour):
            firsts[endpoint] = received_ms
        elif hour is not None:
            firsts[endpoint] = hour * HOUR_MS
    return firsts


def _usual_sec(connection: Connection, stations: Sequence[Station]) -> dict[str, float | None]:
    """By endpoint: the usual interval of its newest readings, else the one of its settings."""
    times = newest_times(connection, stations, NEWEST_READINGS)
    return {
        station.endpoint: rhythm_of(times[station.endpoint]).usual_sec or station.interval_sec
        for station in stations
    }


def _gaps(hours: dict[int, int], first_ms: int, until_ms: int) -> list[Gap]:
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
