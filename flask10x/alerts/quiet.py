"""Quiet hours: messages of the night wait for the morning."""

from datetime import UTC, datetime, time, timedelta, tzinfo

from flask10x.config.alerts.rules import QuietHours


def due_ms(now_ms: int, rule: str, quiet: QuietHours | None, zone: tzinfo | None) -> int:
    """When a message of this rule may go out at the earliest; UTC epoch milliseconds.

    Now, or the end of the quiet hours in this zone (None: the system's). Quiet hours whose end is
    their start are none.
    """
    if quiet is None or rule in quiet.urgent:
        return now_ms
    # A time of the clock, without a date: what is asked is where it lies between two others.
    now = local(now_ms, zone)
    if not _is_within(now.time(), quiet):
        return now_ms
    day = now.date() if now.time() < quiet.end else now.date() + timedelta(days=1)
    end = datetime.combine(day, quiet.end)
    # Without a zone of its own it is the system's, in which `astimezone` takes it.
    end = end.replace(tzinfo=zone) if zone else end.astimezone()
    return max(now_ms, int(end.timestamp() * 1000))


def local(ms: int, zone: tzinfo | None) -> datetime:
    """The moment in this zone, None being the system's."""
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone)


def _is_within(now: time, quiet: QuietHours) -> bool:
    if quiet.start <= quiet.end:
        return quiet.start <= now < quiet.end
    return now >= quiet.start or now < quiet.end
