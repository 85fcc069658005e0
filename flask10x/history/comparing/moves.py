"""From an instant to the one at which the local clock shows the same on an earlier date, and back.

Yesterday means the same time by the clock, not 24 hours ago; a year ago means the same date.
"""

import calendar
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from flask10x.readings.times import FIRST_DATE_MS, LAST_DATE_MS, SECOND_MS

# Below it calendars are a matter of historians, and no sensor has measured.
FIRST_YEAR = 1900


@dataclass(frozen=True, slots=True)
class Move:
    """How far back the compared time lies, by the calendar."""

    days: int = 0
    years: int = 0


MOVES = {"day": Move(days=1), "week": Move(days=7), "year": Move(years=1)}
"""What `compare` calls each."""


def earlier(move: Move, ms: int, zone: tzinfo | None, *, end: bool = False) -> int | None:
    """The compared instant, for one end of a range; None where there is no such date.

    Of a 29 February it is the border of the two days around it: the end of the 28th for an end,
    else the beginning of the 1st of March.
    """
    wall = _wall(ms, zone)
    if wall.year - move.years < FIRST_YEAR:
        return None
    moved = _moved(wall, -move.days, -move.years)
    if moved is None:
        march = wall.replace(
            year=wall.year - move.years, month=3, day=1, hour=0, minute=0, second=0
        )
        return _instant(march, zone) - end
    return _instant(moved, zone) + ms % SECOND_MS


def later(move: Move, ms: int, zone: tzinfo | None) -> int | None:
    """Where a compared instant lies on the axis of the chart.

    None where the clock never shows it there: in the hour that a clock change skips, on 29
    February of other years, and beyond the calendar.
    """
    wall = _wall(ms, zone)
    moved = _moved(wall, move.days, move.years)
    if moved is None:
        return None
    found = _instant(moved, zone)
    return found + ms % SECOND_MS if _wall(found, zone) == moved else None


def has_leap_day(first_ms: int, last_ms: int, zone: tzinfo | None) -> bool:
    """Whether a 29 February lies in the range, or a part of one; both ends are included."""
    first, last = _wall(first_ms, zone), _wall(last_ms, zone)
    leap_days = (
        (year, 2, 29) for year in range(first.year, last.year + 1) if calendar.isleap(year)
    )
    begin, end = ((at.year, at.month, at.day) for at in (first, last))
    return any(begin <= day <= end for day in leap_days)


def _moved(wall: datetime, days: int, years: int) -> datetime | None:
    """So many days or years later; None for a 29 February or a year that there is not."""
    try:
        later_day = wall + timedelta(days=days)
        return later_day.replace(year=later_day.year + years)
    except (OverflowError, ValueError):
        return None


def _wall(ms: int, zone: tzinfo | None) -> datetime:
    """What the clock shows, to the second; beyond the calendar as at its end."""
    ms = min(max(ms, FIRST_DATE_MS), LAST_DATE_MS)
    return datetime.fromtimestamp(ms // SECOND_MS, zone).replace(tzinfo=None, fold=0)


def _instant(wall: datetime, zone: tzinfo | None) -> int:
    """The first instant at which the clock shows it."""
    return round(wall.replace(tzinfo=zone).timestamp()) * SECOND_MS
