"""For how long a station has sent nothing, and when that is too long; `station_watch.py` warns."""

from flask10x.config.settings import Settings
from flask10x.readings.stations import Station
from flask10x.system.clock import monotonic_ms, now_ms

# Of a station whose interval is known, so that two lost readings in a row are no silence yet.
INTERVALS_MISSED = 3


def silent_after_sec(settings: Settings, station: Station) -> int:
    """After how many seconds without a reading it is silent: INACTIVITY_WARN_SEC or more."""
    return max(settings.inactivity_warn_sec, INTERVALS_MISSED * (station.interval_sec or 0))


def inactive_sec(last_ms: int, received_at: int | None) -> int | None:
    """Whole seconds since a station sent; None when it never did.

    `last_ms` is of CLOCK_MONOTONIC, 0 when it has sent nothing since the service started; then
    `received_at` counts, the wall clock's epoch milliseconds of its newest reading.
    """
    if last_ms:
        return max(0, monotonic_ms() - last_ms) // 1000
    if received_at is None:
        return None
    return max(0, now_ms() - received_at) // 1000
