"""How long each station's readings are kept."""

from flask10x.config.settings import Settings
from flask10x.readings.stations import Station
from flask10x.readings.times import DAY_MS, HOUR_MS


def days_of(settings: Settings, station: Station) -> int:
    """After how many days the station's readings are removed; 0: never."""
    own = station.retention_days
    return settings.retention_days if own is None else own


def kept_since(days: int, now_ms: int) -> int:
    """Readings received before this, in UTC epoch milliseconds, are old; the start of an hour."""
    return (now_ms - days * DAY_MS) // HOUR_MS * HOUR_MS
