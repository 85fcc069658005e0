"""How long a station is usually silent, learned from its last days; from when on that is too long.

What counts is when readings arrived: a board that keeps its readings for an hour and sends them
together is silent for that hour. The days end with the newest reading and not now, so a station
that has fallen silent keeps what was learned of it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import nlargest
from typing import Any

from sqlalchemy import Connection, Select, func, select

from flask10x.database.tables import readings
from flask10x.readings.stations import SILENT_INTERVALS, Station
from flask10x.readings.times import DAY_MS, SECOND_MS

LEARNED_DAYS = 7
# A week of a reading each 30 s; of whoever sends more often the last days are enough.
READINGS_MAX = 20_000
# A silence is usual when it comes on so many days: one of every night does, an outage does not.
USUAL_DAYS = 3
# Room for a night that gets longer, and for a bad hour of the Wi-Fi.
MARGIN = 1.5
# A router that starts anew takes some minutes, and nobody at home can do anything sooner.
LEAST_SEC = 600
# Fewer pauses say nothing of what is usual.
PAUSES_MIN = 5
# Of a station that is new, at least.
UNKNOWN_SEC = 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class UsualSilence:
    """What was learned of one station."""

    pauses: int
    """How many pauses between two arrivals it is learned from."""
    usual_sec: int | None
    """The median pause; None when there are too few."""
    longest_sec: int | None
    """The longest pause that came on USUAL_DAYS days or, while there are fewer days, so many times;
    None when there are too few."""
    missed_after_sec: int
    """After so many seconds without a reading it is missed."""


def usual_silence(connection: Connection, station: Station) -> UsualSilence:
    """That of the station. Looks at up to READINGS_MAX readings: some hundredths of a second."""
    newest: int = connection.execute(_newest(station.endpoint)).scalar_one_or_none() or 0
    rows = connection.execute(_pauses(station.endpoint, newest - LEARNED_DAYS * DAY_MS))
    return usual_silence_of(station, ((row.sec, row.day, row.times) for row in rows))


def has_sent(connection: Connection, station: Station) -> bool:
    """Whether it has a reading; without one there is nothing to learn."""
    return connection.execute(_newest(station.endpoint)).first() is not None


def usual_silence_of(station: Station, pauses: Iterable[tuple[int, int, int]]) -> UsualSilence:
    """The same of these: whole seconds, the day on which the pause ended, how many there were."""
    times: Counter[int] = Counter()
    longest: defaultdict[int, int] = defaultdict(int)
    for sec, day, number in pauses:
        times[sec] += number
        longest[day] = max(longest[day], sec)
    own_sec = SILENT_INTERVALS * (station.interval_sec or 0)
    count = times.total()
    if count < PAUSES_MIN:
        # It may send once a day.
        known_sec = max(times, default=0)
        return UsualSilence(
            pauses=count,
            usual_sec=None,
            longest_sec=None,
            missed_after_sec=max(own_sec or UNKNOWN_SEC, LEAST_SEC, SILENT_INTERVALS * known_sec),
        )
    usual_sec = _median(times)
    # Of the longest of each day or, while there are fewer days, of all.
    candidates = longest.values() if len(longest) >= USUAL_DAYS else times.elements()
    longest_sec = nlargest(USUAL_DAYS, candidates)[-1]
    missed_after_sec = max(
        LEAST_SEC, own_sec, SILENT_INTERVALS * usual_sec, int(MARGIN * longest_sec)
    )
    return UsualSilence(
        pauses=count,
        usual_sec=usual_sec,
        longest_sec=longest_sec,
        missed_after_sec=missed_after_sec,
    )


def _median(times: Counter[int]) -> int:
    half = times.total() / 2
    passed = 0
    for sec in sorted(times):
        passed += times[sec]
        if passed >= half:
            return sec
    return 0


def _newest(endpoint: str) -> Select[Any]:
    at = readings.c.received_at
    return select(at).where(readings.c.endpoint == endpoint).order_by(at.desc()).limit(1)


def _pauses(endpoint: str, from_ms: int) -> Select[Any]:
    """Seconds and day of the pauses between arrivals; those of one batch have none between."""
    came = func.coalesce(readings.c.arrived_at, readings.c.received_at)
    arrivals = (
        select(came.label("at"))
        .where(readings.c.endpoint == endpoint, readings.c.received_at >= from_ms)
        .order_by(readings.c.received_at.desc())
        .limit(READINGS_MAX)
        .subquery()
    )
    before = func.lag(arrivals.c.at).over(order_by=arrivals.c.at)
    pauses = select(arrivals.c.at, (arrivals.c.at - before).label("ms")).subquery()
    sec, day = (pauses.c.ms // SECOND_MS).label("sec"), (pauses.c.at // DAY_MS).label("day")
    return (
        select(sec, day, func.count().label("times"))
        .where(pauses.c.ms >= SECOND_MS)
        .group_by(sec, day)
    )
