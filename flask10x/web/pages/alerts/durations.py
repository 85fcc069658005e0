"""For how long an alert can be muted from the page."""

from datetime import time
from typing import Literal

from flask10x.config.settings import Settings
from flask10x.readings.times import DAY_MS, HOUR_MS, local_text, parse_bound

Duration = Literal["1h", "morning", "1d", "1w"]
DURATIONS: tuple[Duration, ...] = ("1h", "morning", "1d", "1w")
LENGTH_MS: dict[Duration, int] = {"1h": HOUR_MS, "1d": DAY_MS, "1w": 7 * DAY_MS}
# When people get up, where no quiet hours say it.
MORNING = time(7, 0)
# Who mutes at five "until the morning" does not mean two hours.
LEAST_MS = 3 * HOUR_MS


def until_ms(duration: Duration, now_ms: int, settings: Settings) -> int:
    """When a mute of this length that begins now ends, in UTC epoch milliseconds.

    The morning is the end of the quiet hours, or 7 o'clock, in the service's zone: the next one
    that is three hours away at least.
    """
    if duration in LENGTH_MS:
        return now_ms + LENGTH_MS[duration]
    quiet, earliest_ms = settings.alerts.quiet_hours, now_ms + LEAST_MS
    clock = (quiet.end if quiet else MORNING).isoformat("seconds")
    mornings = (
        parse_bound(
            f"{local_text(day_ms, settings.zone)[:10]} {clock}", settings.zone, 0, end=False
        )
        # A day may have 25 hours.
        for day_ms in (earliest_ms, earliest_ms + DAY_MS, earliest_ms + 2 * DAY_MS)
    )
    return next(ms for ms in mornings if ms >= earliest_ms)
