"""The local calendar: offsets of a zone's clock, beginnings of days, and steps of charts.

All instants are UTC epoch milliseconds, a day is counted since 1970-01-01 of the local calendar. A
zone is None for the system's own.

A step below two hours has one length and is counted from 1970 in UTC. Longer steps follow the local
clock, so that no bucket mixes the mornings of some days with the evenings of others: multiples of
hours begin at midnight; the others are days, weeks from Monday on, months and years.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from flask10x.readings.times import (
    DAY_MS,
    FIRST_DATE_MS,
    HOUR_MS,
    LAST_DATE_MS,
    LAST_YEAR,
    SECOND_MS,
    utc_offset,
)

# A chart of a year of days needs each of them again a minute later.
DAYS_CACHED = 8192


class Run(NamedTuple):
    """A piece of time, both ends inclusive, without a change of the clock."""

    low_ms: int
    high_ms: int
    offset_ms: int
    """How far the clock is ahead of UTC."""


def offset_ms(ms: int, zone: tzinfo | None) -> int:
    """Return how far the zone's clock is ahead of UTC; beyond the calendar as at its end."""
    within = min(max(ms, FIRST_DATE_MS), LAST_DATE_MS)
    return utc_offset(within // SECOND_MS, zone) * SECOND_MS


def whole_offset_ms(ms: int, zone: tzinfo | None) -> int:
    """Return the offset in whole hours, rounded down; it is the same throughout an hour of UTC."""
    return offset_ms(ms // HOUR_MS * HOUR_MS, zone) // HOUR_MS * HOUR_MS


Offset = Callable[[int, tzinfo | None], int]


def first_showing(wall_ms: int, zone: tzinfo | None, offset: Offset = offset_ms) -> int:
    """Return the first instant at which the local clock shows this time or a later one.

    `wall_ms` is the local time as if it were UTC. When a clock shows a time twice, the first one
    counts; a skipped time is the instant of the change. With two changes within two days the result
    is undefined.
    """
    before, after = offset(wall_ms - DAY_MS, zone), offset(wall_ms + DAY_MS, zone)
    if before == after or offset(wall_ms - before, zone) == before:
        return wall_ms - before
    if offset(wall_ms - after - 1, zone) == after:
        return wall_ms - after
    return _change(wall_ms - max(before, after) - 1, wall_ms - min(before, after), zone, offset)


def day_of(ms: int, zone: tzinfo | None) -> int:
    """Return the day that an instant lies in."""
    day = (ms + offset_ms(ms, zone)) // DAY_MS
    # When the clock is put back over midnight, the day that has begun goes on.
    return day + 1 if first_showing((day + 1) * DAY_MS, zone) <= ms else day


def day_start(day: int, zone: tzinfo | None) -> int:
    """Return the instant at which a day begins; a skipped day begins with the next one."""
    # The system's zone can change (`time.tzset`).
    return first_showing(day * DAY_MS, None) if zone is None else _start_in(day, zone)


@lru_cache(maxsize=DAYS_CACHED)
def _start_in(day: int, zone: tzinfo) -> int:
    return first_showing(day * DAY_MS, zone)


def runs(
    low_ms: int, high_ms: int, zone: tzinfo | None, offset: Offset = offset_ms
) -> Iterator[Run]:
    """Cut the range where the clock changes, by looking at each day.

    Two changes within a day that undo each other are not noticed.
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
    """Return the first instant after `low_ms` with another offset; `high_ms` has another one."""
    before = offset(low_ms, zone)
    while high_ms - low_ms > 1:
        middle = (low_ms + high_ms) // 2
        if offset(middle, zone) == before:
            low_ms = middle
        else:
            high_ms = middle
    return high_ms


# --- Steps of charts -------------------------------------------------------------------------

MINUTE_MS = 60 * SECOND_MS
# 1970-01-01 was a Thursday.
FIRST_MONDAY = -3
WEEK_DAYS = 7
MONTHS = 12
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_LAST_DAY = date(LAST_YEAR, 12, 31).toordinal() - _EPOCH_ORDINAL
_FIRST_DAY = 1 - _EPOCH_ORDINAL


@dataclass(frozen=True, slots=True)
class Step:
    """How long the buckets of a chart are."""

    name: str
    """`10s`, `5m`, `2h`, `day`, `week`, `month`, `year`, `10y`."""
    width_ms: int
    """A bucket's usual length; of a month 30 days, of a year 365."""
    is_local: bool
    """Whether its buckets follow the local clock, so that their lengths differ."""

    @property
    def is_of_days(self) -> bool:
        """Whether each bucket is of whole local days."""
        return self.width_ms >= DAY_MS

    @property
    def is_of_hours(self) -> bool:
        """Whether each bucket is of whole hours or days."""
        return self.width_ms >= HOUR_MS

    @property
    def unit_ms(self) -> int:
        """The unit of the numbers of `runs`: a day for all steps of days."""
        return min(self.width_ms, DAY_MS)

    @property
    def offset(self) -> Offset:
        """The offset of its buckets: below a day in whole hours, as roll-ups are of hours."""
        if not self.is_local:
            return _utc
        return offset_ms if self.is_of_days else whole_offset_ms

    def starts(self, first_ms: int, last_ms: int, zone: tzinfo | None) -> Sequence[int]:
        """Return the beginnings of the buckets of a range, and the end of the last one."""
        if not self.is_local:
            width = self.width_ms
            return range(first_ms // width * width, (last_ms // width + 2) * width, width)
        if self.is_of_days:
            return self._of_days(first_ms, last_ms, zone)
        return self._of_hours(first_ms, last_ms, zone)

    def first_days(self, first_ms: int, last_ms: int, zone: tzinfo | None) -> list[int]:
        """Return the first day of each bucket of a range; only for steps of days."""
        days = self._days(first_ms, last_ms, zone)
        starts = (day_start(day, zone) for day in days)
        later = (day for day, (a, b) in zip(days[1:], pairwise(starts), strict=True) if b > a)
        return [days[0], *later][:-1]

    def count(self, first_ms: int, last_ms: int, zone: tzinfo | None) -> int:
        """Return how many buckets the range touches; one or two too many when the clock changes."""
        if not self.is_of_days:
            first, last = (ms + self.offset(ms, zone) for ms in (first_ms, last_ms))
            return last // self.width_ms - first // self.width_ms + 1
        first, last = (day_of(ms, zone) for ms in (first_ms, last_ms))
        return self.number(last) - self.number(first) + 1

    def number(self, day: int) -> int:
        """Return the number of the bucket that a day lies in; only for steps of days."""
        return _CALENDAR[self.name][0](day)

    def _of_days(self, first_ms: int, last_ms: int, zone: tzinfo | None) -> list[int]:
        return _rising([day_start(day, zone) for day in self._days(first_ms, last_ms, zone)])

    def _days(self, first_ms: int, last_ms: int, zone: tzinfo | None) -> list[int]:
        """Return the first days of the buckets, and of the one after the last."""
        first, last = (self.number(day_of(ms, zone)) for ms in (first_ms, last_ms))
        return [_CALENDAR[self.name][1](number) for number in range(first, last + 2)]

    def _of_hours(self, first_ms: int, last_ms: int, zone: tzinfo | None) -> list[int]:
        # It goes from midnight to midnight, because a bucket always begins there.
        low, high = (
            (ms + whole_offset_ms(ms, zone)) // DAY_MS + days
            for ms, days in ((first_ms, -1), (last_ms, 2))
        )
        walls = range(low * DAY_MS, high * DAY_MS, self.width_ms)
        starts = _rising([first_showing(wall, zone, whole_offset_ms) for wall in walls])
        return starts[bisect_right(starts, first_ms) - 1 : bisect_right(starts, last_ms) + 1]


def _rising(starts: list[int]) -> list[int]:
    """Return the beginnings without those of skipped days, which are empty."""
    return [starts[0], *(later for earlier, later in pairwise(starts) if later > earlier)]


def _utc(_ms: int, _zone: tzinfo | None) -> int:
    return 0


def _date(day: int) -> date:
    return date.fromordinal(min(max(day, _FIRST_DAY), _LAST_DAY) + _EPOCH_ORDINAL)


def _day(year: int, month: int) -> int:
    """Return the first day of a month.

    The last bucket of the calendar is a day longer: in Tokyo the year 10000 begins nine hours
    before the year 9999 of UTC ends.
    """
    if year > LAST_YEAR:
        return _LAST_DAY + 2
    return date(max(year, 1), month, 1).toordinal() - _EPOCH_ORDINAL


def _month(day: int) -> int:
    date = _date(day)
    return date.year * MONTHS + date.month - 1


def _years(times: int) -> tuple[Callable[[int], int], Callable[[int], int]]:
    return lambda day: _date(day).year // times, lambda number: _day(number * times, 1)


# By name of a step: day -> number of its bucket, and number of a bucket -> its first day.
_CALENDAR: dict[str, tuple[Callable[[int], int], Callable[[int], int]]] = {
    "day": (lambda day: day, lambda number: number),
    "week": (
        lambda day: (day - FIRST_MONDAY) // WEEK_DAYS,
        lambda number: number * WEEK_DAYS + FIRST_MONDAY,
    ),
    "month": (_month, lambda number: _day(number // MONTHS, number % MONTHS + 1)),
    "year": _years(1),
}
# A range of the whole calendar in two buckets.
_MANY_YEARS = tuple(base * 10**power for power in range(4) for base in (2, 5, 10))
_CALENDAR |= {f"{years}y": _years(years) for years in _MANY_YEARS}

DAY = Step("day", DAY_MS, True)
HOUR = Step("1h", HOUR_MS, False)
STEPS = (
    *(Step(f"{n}s", n * SECOND_MS, False) for n in (1, 2, 5, 10, 15, 30)),
    *(Step(f"{n}m", n * MINUTE_MS, False) for n in (1, 2, 5, 10, 15, 30)),
    HOUR,
    *(Step(f"{n}h", n * HOUR_MS, True) for n in (2, 3, 6, 12)),
    DAY,
    Step("week", WEEK_DAYS * DAY_MS, True),
    Step("month", 30 * DAY_MS, True),
    Step("year", 365 * DAY_MS, True),
    *(Step(f"{years}y", years * 365 * DAY_MS, True) for years in _MANY_YEARS),
)
BY_NAME = {step.name: step for step in STEPS}
# Fewer parts of a day than these show its ups and downs as a zigzag, and days themselves say more.
LEAST_OF_A_DAY = 8
DRAWN_STEPS = tuple(s for s in STEPS if s.is_of_days or s.width_ms * LEAST_OF_A_DAY <= DAY_MS)


def step_for(
    first_ms: int,
    last_ms: int,
    buckets: int,
    zone: tzinfo | None,
    steps: Sequence[Step] = STEPS,
) -> Step:
    """Return the shortest step that needs at most that many buckets (2 or more) for the range."""
    return next(
        (step for step in steps if step.count(first_ms, last_ms, zone) <= buckets), steps[-1]
    )
