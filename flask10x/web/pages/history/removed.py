"""Where the table ends because older readings were removed."""

from collections.abc import Mapping

from flask10x.config.settings import Settings
from flask10x.database.retention.removed import Removed
from flask10x.history.pages import HistoryPage
from flask10x.history.query import Query
from flask10x.runtime.retention.rule import days_of


def removed_days(
    settings: Settings, query: Query, page: HistoryPage, gone: Mapping[str, Removed]
) -> int | None:
    """After how many days, where the page has the oldest readings there are of a longer range.

    None on any other page. Of several stations the longest; 0 where none are removed any more.
    """
    is_end = page.next is None if query.order == "desc" else page.prev is None
    if not is_end or page.reached is not None:
        return None
    since_ms = query.since.ms if query.since else None
    days = [
        days_of(settings, station)
        for station in query.stations
        if (last_ms := gone.get(station.endpoint, Removed()).last_ms) is not None
        and (since_ms is None or last_ms >= since_ms)
    ]
    return max(days, default=None)
