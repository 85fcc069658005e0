"""How completely each station has sent: the share that came of the readings that were expected.

Readings are counted by the roll-ups, which count removed ones, too. A station is expected to send
as often as it did with its newest readings, from its first reading on.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from itertools import pairwise

from sqlalchemy import ColumnElement, Connection, Table, and_, func, literal, or_, select, union_all

from flask10x.database.tables import readings, rollup_days, rollups
from flask10x.history import days
from flask10x.history.local_time import day_of, day_start
from flask10x.history.periods import Span, neighbours, parts_of
from flask10x.history.rhythm import rhythm_of
from flask10x.readings.stations import Station
from flask10x.readings.times import DAY_MS, HOUR_MS, local_text

DAYS, MONTHS = 30, 12
GAPS_MAX = 3
# Enough for a median; of 40 stations they are read in some milliseconds.
NEWEST_READINGS = 200
# By then the readings of an hour are in its roll-up.
SETTLED_MS = 5 * 60_000


@dataclass(frozen=True, slots=True)
class Share:
    """A day or a month of a station."""

    name: str
    """`2025-08-24` or `2025-08`."""
    readings: int
    expected: float | None
    """How many its rhythm leads to expect; None when it has none, or nothing was to be expected."""

    @property
    def share(self) -> float | None:
        """From 0 to 1; more readings than expected are 1."""
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
    """Whether the days of this zone are counted; else shares have to wait for it."""


def uptime(
    connection: Connection, stations: Sequence[Station], zone: tzinfo | None, now_ms: int
) -> Uptime:
    """The last 30 days and the last 12 months of these stations, in five statements."""
    until_ms = (now_ms - SETTLED_MS) // HOUR_MS * HOUR_MS
    firsts = _firsts(connection, stations)
    if not firsts:
        return Uptime(until_ms, [])
    if not days.are_of(connection, zone):
        return Uptime(until_ms, [], is_prepared=False)
    return Uptime(until_ms, _Reader(connection, stations, firsts, zone, until_ms).read())


class _Reader:
    """Reads the counts of the stations that have sent."""

    def __init__(
        self,
        connection: Connection,
        stations: Sequence[Station],
        firsts: dict[str, int],
        zone: tzinfo | None,
        until_ms: int,
    ) -> None:
        self._connection, self._zone, self._until_ms = connection, zone, until_ms
        self._stations = [one for one in stations if one.endpoint in firsts]
        self._firsts = firsts
        self._today = day_of(until_ms, zone)

    def read(self) -> list[StationUptime]:
        months = self._months()
        usual_sec = _usual_sec(self._connection, self._stations)
        hours = self._hours()
        counts = self._days(day_of(months[-1].first_ms, self._zone))
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

    def _hours(self) -> dict[str, dict[int, int]]:
        """By endpoint: how many readings each hour of the days has; of full hours."""
        first_hour = day_start(self._today - DAYS + 1, self._zone) // HOUR_MS
        query = (
            select(rollups.c.endpoint, rollups.c.hour, rollups.c.readings)
            .where(_of_first_columns(rollups, self._stations))
            .where(rollups.c.hour >= first_hour, rollups.c.hour < self._until_ms // HOUR_MS)
        )
        hours: dict[str, dict[int, int]] = {one.endpoint: {} for one in self._stations}
        for endpoint, hour, n in self._connection.execute(query):
            hours[endpoint][hour] = n
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
            and_(table.c.endpoint == one.endpoint, table.c.measurement == one.columns[0])
            for one in stations
        )
    )


def _firsts(connection: Connection, stations: Sequence[Station]) -> dict[str, int]:
    """By endpoint: when it first sent; stations that never did are left out."""
    queries = [
        select(
            literal(one.endpoint),
            select(func.min(rollups.c.hour))
            .where(rollups.c.endpoint == one.endpoint, rollups.c.measurement == one.columns[0])
            .scalar_subquery(),
            select(func.min(readings.c.received_at))
            .where(readings.c.endpoint == one.endpoint)
            .scalar_subquery(),
        )
        for one in stations
    ]
    firsts = {}
    for endpoint, hour, received_ms in connection.execute(union_all(*queries)):
        if hour is not None:
            # Of an hour whose readings were removed the roll-up alone is there.
            is_stored = received_ms is not None and received_ms // HOUR_MS == hour
            firsts[endpoint] = received_ms if is_stored else hour * HOUR_MS
    return firsts


def _usual_sec(connection: Connection, stations: Sequence[Station]) -> dict[str, float | None]:
    """By endpoint: the usual interval of its newest readings, else the one of its settings."""
    queries = [
        select(readings.c.endpoint, readings.c.received_at)
        .where(readings.c.endpoint == one.endpoint)
        .order_by(readings.c.received_at.desc())
        .limit(NEWEST_READINGS)
        .subquery()
        for one in stations
    ]
    times: dict[str, list[tuple[int, None]]] = {one.endpoint: [] for one in stations}
    for endpoint, ms in connection.execute(union_all(*map(select, queries))):
        times[endpoint].append((ms, None))
    return {
        one.endpoint: rhythm_of(sorted(times[one.endpoint], reverse=True)).usual_sec
        or one.interval_sec
        for one in stations
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
