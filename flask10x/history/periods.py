"""Months, years and all years of the installation's zone, and their parts.

A day is as long as in the local calendar: 23 or 25 hours when the clock changes.
"""

import calendar
import re
from dataclasses import dataclass
from datetime import date, tzinfo

from flask10x.readings.reasons import Reason, WrongValue
from flask10x.readings.times import FIRST_YEAR, LAST_YEAR, local_text, parse_bound

ALL = "all"
_PERIOD = re.compile(r"([0-9]{4})(?:-([0-9]{2}))?")
MONTHS = 12


@dataclass(frozen=True, slots=True)
class Span:
    """A day, a month or a year, from its first to its last millisecond (UTC epoch)."""

    name: str
    """`2025-08-24`, `2025-08` or `2025`."""
    first_ms: int
    last_ms: int


def checked(text: str) -> str:
    """Return the period of this name: `2025-08`, `2025` or `all`; raises WrongValue."""
    text = text.strip()
    if text == ALL:
        return text
    match = _PERIOD.fullmatch(text)
    if match is None or not FIRST_YEAR <= int(match[1]) <= LAST_YEAR:
        raise WrongValue(Reason("period_needed"))
    if match[2] and not 1 <= int(match[2]) <= MONTHS:
        raise WrongValue(Reason("period_needed"))
    return text


def month_of(ms: int, zone: tzinfo | None) -> str:
    """Return the month of the local calendar in which an instant lies, as `2025-08`."""
    return local_text(ms, zone)[: len("2025-08")]


def span_of(name: str, zone: tzinfo | None) -> Span:
    """Return the day, the month or the year of this name."""
    first, last = _ends(name)
    return Span(
        name,
        parse_bound(first.isoformat(), zone, 0, end=False),
        parse_bound(last.isoformat(), zone, 0, end=True),
    )


def parts_of(name: str, zone: tzinfo | None) -> list[Span]:
    """Return the days of a month or the months of a year."""
    first, last = _ends(name)
    if _is_month(name):
        names = [f"{name}-{day:02d}" for day in range(first.day, last.day + 1)]
    else:
        names = [f"{name}-{month:02d}" for month in range(1, MONTHS + 1)]
    return [span_of(part, zone) for part in names]


def years_between(first_ms: int, last_ms: int, zone: tzinfo | None) -> list[Span]:
    """Return each year of the local calendar from one instant to another."""
    first, last = (int(local_text(ms, zone)[:4]) for ms in (first_ms, last_ms))
    return [span_of(f"{year:04d}", zone) for year in range(first, last + 1)]


def neighbours(name: str) -> tuple[str | None, str | None]:
    """Return the month or year before this one and the one after it; None beyond the calendar."""
    if name == ALL:
        return None, None
    year, month = int(name[:4]), int(name[5:] or 0)
    if not month:
        return _year(year - 1), _year(year + 1)
    return _month(year * MONTHS + month - 2), _month(year * MONTHS + month)


def _year(year: int) -> str | None:
    return f"{year:04d}" if FIRST_YEAR <= year <= LAST_YEAR else None


def _month(number: int) -> str | None:
    """Return the month of this number, counted from January of the year 0."""
    year = _year(number // MONTHS)
    return f"{year}-{number % MONTHS + 1:02d}" if year else None


def _is_month(name: str) -> bool:
    return len(name) == len("2025-08")


def _ends(name: str) -> tuple[date, date]:
    """Return its first and its last day."""
    numbers = [int(part) for part in name.split("-")]
    if len(numbers) == 1:
        return date(numbers[0], 1, 1), date(numbers[0], MONTHS, 31)
    year, month, *day = numbers
    if day:
        return date(year, month, day[0]), date(year, month, day[0])
    return date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1])
