"""How far a zone's clock is ahead, when its days begin, and where it is changed.

All instants are UTC epoch milliseconds, a day is counted since 1970-01-01 of the local calendar. A
zone is None for the system's own.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import tzinfo
from functools import lru_cache

from flask10x.readings.times import (
    DAY_MS,
    FIRST_DATE_MS,
    HOUR_MS,
    LAST_DATE_MS,
    SECOND_MS,
    utc_offset,
)

# A chart of a year of days asks for each again a minute later.
DAYS_KNOWN = 8192


@dataclass(frozen=True, slots=True)
class Run:
    """A piece of time, both ends inclusive, in which the clock is not changed."""

    low_ms: int
    high_ms: int
    offset_ms: int
    """How far the clock is ahead of UTC."""


def offset_ms(ms: int, zone: tzinfo | None) -> int:
    """How far the zone's clock is ahead of UTC; where the calendar ends, as at its end."""
    within = min(max(ms, FIRST_DATE_MS), LAST_DATE_MS)
    return utc_offset(within // SECOND_MS, zone) * SECOND_MS


def whole_offset_ms(ms: int, zone: tzinfo | None) -> int:
    """The same in whole hours, rounded down, and the same throughout an hour of UTC."""
    return offset_ms(ms // HOUR_MS * HOUR_MS, zone) // HOUR_MS * HOUR_MS


Offset = Callable[[int, tzinfo | None], int]


def first_showing(wall_ms: int, zone: tzinfo | None, offset: Offset = offset_ms) -> int:
    """The first instant at which the clock on the wall shows this or later.

    `wall_ms` counts as UTC would. A clock that is put back shows a time twice, the first counts;
    what it skips is the instant of the change. Of two changes within two days nothing is promised.
    """
    before, after = offset(wall_ms - DAY_MS, zone), offset(wall_ms + DAY_MS, zone)
    if before == after or offset(wall_ms - before, zone) == before:
        return wall_ms - before
    if offset(wall_ms - after - 1, zone) == after:
        return wall_ms - after
    return _change(wall_ms - max(before, after) - 1, wall_ms - min(before, after), zone, offset)


def day_of(ms: int, zone: tzinfo | None) -> int:
    """The day that an instant lies in."""
    day = (ms + offset_ms(ms, zone)) // DAY_MS
    # Where the clock was put back over midnight, the day that had begun goes on.
    return day + 1 if first_showing((day + 1) * DAY_MS, zone) <= ms else day


def day_start(day: int, zone: tzinfo | None) -> int:
    """The instant at which a day begins; a day that a zone has skipped begins with the next."""
    # The system's zone can become another one (`time.tzset`).
    return first_showing(day * DAY_MS, None) if zone is None else _known_start(day, zone)


@lru_cache(maxsize=DAYS_KNOWN)
def _known_start(day: int, zone: tzinfo) -> int:
    return first_showing(day * DAY_MS, zone)


def runs(
    low_ms: int, high_ms: int, zone: tzinfo | None, offset: Offset = offset_ms
) -> Iterator[Run]:
    """The range cut where the clock is changed; it looks at each day.

    Of two changes within a day that undo each other nothing is seen.
    """
    start, at = low_ms, low_ms
    current = offset(low_ms, zone)
    while at < high_ms:
        following = min(at + DAY_MS, high_ms)
        if offset(following, zone) != current:
            change = _change(at, following, zone, offset)
            yield Run(start, change - 1, current)
            # Two changes within a day are two runs.
            start, following = change, change
            current = offset(change, zone)
        at = following
    yield Run(start, high_ms, current)


def _change(low_ms: int, high_ms: int, zone: tzinfo | None, offset: Offset) -> int:
    """The first instant after `low_ms` with another offset than there; `high_ms` has another."""
    before = offset(low_ms, zone)
    while high_ms - low_ms > 1:
        middle = (low_ms + high_ms) // 2
        if offset(middle, zone) == before:
            low_ms = middle
        else:
            high_ms = middle
    return high_ms
