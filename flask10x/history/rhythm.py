"""How a station sends: how often, how evenly, with which gaps, and how exact its clock is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter

from sqlalchemy import Connection, select, union_all

from flask10x.database.tables import readings
from flask10x.readings.stations import Station

# The newest readings that are looked at: a day with a reading every 45 s.
READINGS_MAX = 2000
SPAN_MS = 24 * 3_600_000
# The usual intervals that make a gap: one lost or late reading is none.
GAP_INTERVALS = 3
# The fewest intervals that can show what is usual.
INTERVALS_MIN = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Rhythm:
    """The intervals between the readings of a day, by the times at which they were measured."""

    readings: int
    """How many readings there are, at most READINGS_MAX."""
    since_ms: int | None
    """When the oldest of READINGS_MAX readings was measured, in UTC epoch milliseconds.

    None when all readings of the day are included.
    """
    usual_sec: float | None
    """The median interval; None when there are too few."""
    low_sec: float | None
    high_sec: float | None
    """Eight of ten intervals are between `low_sec` and `high_sec`."""
    gaps: int
    """How many pauses are over three usual intervals long."""
    longest_gap_sec: float | None
    lag_sec: float | None
    """The shortest time from a reading's own time to its arrival; None when none had its own.

    A board that buffers has longer ones, too. The shortest one is how far its clock is behind
    that of the server, or ahead when it is negative.
    """


def rhythms(connection: Connection, stations: Sequence[Station], now_ms: int) -> dict[str, Rhythm]:
    """The rhythm of each station in the 24 hours before `now_ms` (UTC epoch milliseconds)."""
    queries = [
        select(
            select(readings.c.endpoint, readings.c.received_at, readings.c.arrived_at)
            .where(readings.c.endpoint == station.endpoint)
            .where(readings.c.received_at >= now_ms - SPAN_MS)
            .order_by(readings.c.received_at.desc())
            .limit(READINGS_MAX)
            .subquery()
        )
        for station in stations
    ]
    times: dict[str, list[tuple[int, int | None]]] = {one.endpoint: [] for one in stations}
    for endpoint, measured_ms, arrived_ms in connection.execute(union_all(*queries)):
        times[endpoint].append((measured_ms, arrived_ms))
    return {
        endpoint: rhythm_of(sorted(pairs, key=itemgetter(0), reverse=True))
        for endpoint, pairs in times.items()
    }


def rhythm_of(times: Sequence[tuple[int, int | None]]) -> Rhythm:
    """The rhythm of readings by their times in epoch milliseconds, the newest first.

    Each is when a reading was measured, and when it arrived, if that is not the same.
    """
    intervals = sorted((late - early) / 1000 for (late, _), (early, _) in pairwise(times))
    lags = [(arrived - measured) / 1000 for measured, arrived in times if arrived is not None]
    has_enough = len(intervals) >= INTERVALS_MIN
    low_sec, usual_sec, high_sec = (
        _quantile(intervals, share) if has_enough else None for share in (0.1, 0.5, 0.9)
    )
    gap_sec = math.inf if usual_sec is None else GAP_INTERVALS * usual_sec
    gaps = [interval for interval in intervals if interval > gap_sec]
    return Rhythm(
        readings=len(times),
        since_ms=times[-1][0] if len(times) >= READINGS_MAX else None,
        usual_sec=usual_sec,
        low_sec=low_sec,
        high_sec=high_sec,
        gaps=len(gaps),
        longest_gap_sec=max(gaps, default=None),
        lag_sec=min(lags, default=None),
    )


def _quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which that share of the sorted values lies."""
    return values[round(share * (len(values) - 1))]
