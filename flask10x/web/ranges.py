"""Ranges of time of the history page: the quick ones, the neighbours of one, a wider one."""

from datetime import tzinfo
from urllib.parse import urlencode

from flask import url_for

from flask10x.history.query import Bound, Query
from flask10x.readings.reasons import WrongValue
from flask10x.readings.times import (
    DAY_MS,
    HOUR_MS,
    SECOND_MS,
    is_date,
    iso_text,
    local_text,
    parse_bound,
    span_sec,
)

QUICK: dict[str, str | None] = {
    "1h": "-1h",
    "6h": "-6h",
    "24h": "-24h",
    "7d": "-7d",
    "30d": "-30d",
    "1y": "-365d",
    "all": None,
}
"""Each quick range with its `from`; None for everything."""
_SPAN_MS = {"1h": 1, "6h": 6, "24h": 24, "7d": 168, "30d": 720, "1y": 8760}
LENGTH_MS = {name: hours * HOUR_MS for name, hours in _SPAN_MS.items()}
# Each end of a range that an arrow leads to is a whole second.
ROUNDED_MS = 2 * SECOND_MS


Range = tuple[str, str]
"""`from` and `to` as texts that `parse_bound` reads."""


def quick_name(start: str, end: str) -> str | None:
    """Which quick range the parameters are, however written; None when they are none of them."""
    if end.strip() not in ("", "now"):
        return None
    if not start.strip():
        return "all"
    length_sec = span_sec(start)
    names = (name for name, length in LENGTH_MS.items() if length // SECOND_MS == length_sec)
    return next(names, None)


def name_of_length(since: Bound | None, until: Bound | None) -> str | None:
    """The quick range that is as long as this one between two instants, as after an arrow."""
    if since is None or until is None:
        return None
    length_ms = until.ms - since.ms + 1
    names = (name for name, long_ms in LENGTH_MS.items() if abs(long_ms - length_ms) <= ROUNDED_MS)
    return next(names, None)


def neighbours(
    since: Bound | None, until: Bound | None, now_ms: int, zone: tzinfo | None
) -> tuple[Range | None, Range | None]:
    """The range before and the one after, as long as this one and touching it.

    None where there is nothing: without a start, after now, and beyond the calendar.
    """
    if since is None:
        return None, None
    last_ms = until.ms if until else now_ms
    if last_ms < since.ms:
        return None, None
    length_ms = last_ms - since.ms + 1
    earlier = _range(since.ms - length_ms, since.ms - 1, zone)
    later = _range(last_ms + 1, last_ms + length_ms, zone) if last_ms + 1 < now_ms else None
    return earlier, later


def wider(query: Query, newest_ms: int | None, now_ms: int) -> str | None:
    """The shortest quick range that holds more than the query's and reaches the newest reading.

    None when the query has no limits of time, for then none is wider. For a range that begins after
    now it is one that is at least as long and ends now.
    """
    if query.since is None and query.until is None:
        return None
    if newest_ms is None or query.since is None:
        return "all"
    longer_ms = now_ms - query.since.ms + 1
    if is_future(query, now_ms):
        # Without an end it is as long as anybody likes.
        longer_ms = query.until.ms - query.since.ms if query.until else 0
    needed = max(now_ms - newest_ms, longer_ms)
    return next((name for name, length in LENGTH_MS.items() if length >= needed), "all")


def is_future(query: Query, now_ms: int) -> bool:
    """Whether the query's range begins after now, so that no reading can be in it yet."""
    return query.since is not None and query.since.ms > now_ms


def _range(start_ms: int, end_ms: int, zone: tzinfo | None) -> Range | None:
    """Whole seconds, because an end includes its whole second; None where no bound can be."""
    if start_ms < DAY_MS or not is_date(end_ms):
        return None
    return bound_text(start_ms, zone, end=False), bound_text(end_ms, zone, end=True)


def bound_text(ms: int, zone: tzinfo | None, *, end: bool) -> str:
    """The local time as an end of a range.

    In full where a clock change repeats it, which would mean the other hour, and at the very first
    and last bounds, for which the zone has no date that a bound can be.
    """
    text = local_text(ms, zone)
    try:
        is_meant = parse_bound(text, zone, ms, end=end) // SECOND_MS == ms // SECOND_MS
    except WrongValue:
        is_meant = False
    return text if is_meant else iso_text(ms, zone)


def history_url(since: str, until: str | None = None, **parameters: str | None) -> str:
    """Return the address of the history of this range; None leaves a parameter out."""
    named = {**parameters, "from": since, "to": until}
    pairs = {name: value for name, value in named.items() if value is not None}
    return f"{url_for('history_page.as_page')}?{urlencode(pairs, safe=':')}"
