"""A day in words, as both languages say it; Python's own would be those of the system's locale."""

from datetime import date, tzinfo

from flask10x.readings.times import is_date, local_text
from flask10x.translation import N_, Translation

WEEKDAYS = (
    N_("Monday"),
    N_("Tuesday"),
    N_("Wednesday"),
    N_("Thursday"),
    N_("Friday"),
    N_("Saturday"),
    N_("Sunday"),
)
MONTHS = (
    N_("January"),
    N_("February"),
    N_("March"),
    N_("April"),
    N_("May"),
    N_("June"),
    N_("July"),
    N_("August"),
    N_("September"),
    N_("October"),
    N_("November"),
    N_("December"),
)


def in_words(ms: int, zone: tzinfo | None, t: Translation) -> str:
    """`Thursday, 26 November`, `11月26日（木）`; empty for an instant that is no date."""
    if not is_date(ms):
        return ""
    day = date.fromisoformat(local_text(ms, zone)[:10])
    return t(
        "{weekday}, {day} {month}",
        weekday=t(WEEKDAYS[day.weekday()]),
        day=day.day,
        month=t(MONTHS[day.month - 1]),
    )
