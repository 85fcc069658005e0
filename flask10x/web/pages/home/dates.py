"""A day in words, as both languages say it; Python's own would be those of the system's locale."""

from datetime import date, tzinfo

from flask10x.readings.times import is_date, local_text
from flask10x.web.texts.catalog import Texts


def in_words(ms: int, zone: tzinfo | None, t: Texts) -> str:
    """`Thursday, 26 November`, `11月26日（木）`; empty for an instant that is no date."""
    if not is_date(ms):
        return ""
    day = date.fromisoformat(local_text(ms, zone)[:10])
    return t(
        "home.date",
        weekday=t("home.weekdays").split()[day.weekday()],
        day=day.day,
        month=t("home.months").split()[day.month - 1],
    )
