"""When messages are sent: the order in a channel, the pauses between tries, quiet hours.

The wall clock of a Pi may be wrong at boot, so a pause that seems longer than the longest one is
over.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta, tzinfo

from sqlalchemy import Connection, select

from flask10x.alerts import state_file
from flask10x.alerts.alert import AlertMessage
from flask10x.config.alerts.rules import Alerts, QuietHours, is_between
from flask10x.readings.times import SECOND_MS

# The pauses before the second try, the third and so on; the last one repeats. A router that
# restarts is back within minutes; a service that does not answer gets a request each half hour.
PAUSES_SEC = (10, 30, 60, 120, 300, 900, 1800)
LONGEST_PAUSE_MS = PAUSES_SEC[-1] * SECOND_MS
# After two weeks without a network the messages of the first days are of no use.
GIVEN_UP_AFTER_MS = 7 * 24 * 3600 * SECOND_MS
# These tries take seven hours, so a message is not given up because the clock jumps by a week.
GIVEN_UP_AFTER_TRIES = 20
# The limit of each channel, so that the messages of a removed channel do not hide those of others.
LOOKED_AT = 1000


def day_start_ms(now_ms: int, zone: tzinfo | None) -> int:
    """Return when the day of this moment began in this zone."""
    midnight = datetime.combine(local(now_ms, zone).date(), time(), zone)
    return int(midnight.timestamp() * SECOND_MS)


def pause_ms(tries: int) -> int:
    """Return how long to wait for the next try after this number of tries, at least one."""
    return PAUSES_SEC[min(tries, len(PAUSES_SEC)) - 1] * SECOND_MS


def is_given_up(message: AlertMessage, now_ms: int) -> bool:
    """Whether a message whose try has failed is given up."""
    is_old = now_ms - message.created_ms >= GIVEN_UP_AFTER_MS
    return is_old and message.tries >= GIVEN_UP_AFTER_TRIES


def heads(
    connection: Connection, alerts: Alerts, now_ms: int, zone: tzinfo | None
) -> dict[str, AlertMessage]:
    """Return the next message of each channel that has one, as `head` does."""
    m = state_file.messages.c
    channels = select(m.way).where(m.state == "waiting").distinct().order_by(m.way)
    waiting = {
        channel: state_file.waiting(connection, channel, LOOKED_AT)
        for channel in connection.execute(channels).scalars()
    }
    return {
        channel: message
        for channel, messages in waiting.items()
        if (message := head(messages, alerts, now_ms, zone))
    }


def head(
    messages: Sequence[AlertMessage], alerts: Alerts, now_ms: int, zone: tzinfo | None
) -> AlertMessage | None:
    """Return the next message of a channel, due when it may be tried; None when none waits.

    It is the oldest one, whether or not it is due: a message that is tried again blocks those after
    it. Only one that quiet hours hold lets others pass, but none of its own alert.
    """
    held: AlertMessage | None = None
    held_alerts: set[int | None] = set()
    for message in messages:
        quiet_until_ms = after_quiet_hours_ms(now_ms, message.rule, alerts.quiet_hours, zone)
        is_held = quiet_until_ms > now_ms
        if not is_held and message.alert_id not in held_alerts:
            return replace(message, due_ms=_due_ms(message, now_ms))
        if message.alert_id is not None:
            held_alerts.add(message.alert_id)
        if held is None and is_held:
            held = replace(message, due_ms=quiet_until_ms)
    return held


def _due_ms(message: AlertMessage, now_ms: int) -> int:
    """Quiet hours are checked each time, so a message without a try is due at once."""
    if not message.tries or message.due_ms - now_ms > LONGEST_PAUSE_MS:
        return min(message.due_ms, now_ms)
    return message.due_ms


def after_quiet_hours_ms(
    now_ms: int, rule: str, quiet: QuietHours | None, zone: tzinfo | None
) -> int:
    """Return the earliest time for a message of this rule, in UTC epoch milliseconds.

    It is now, or the end of the quiet hours in this zone (None: that of the system). Quiet hours
    that end when they start are ignored.
    """
    if quiet is None or rule in quiet.urgent:
        return now_ms
    now = local(now_ms, zone)
    if not is_between(now.time(), quiet.start, quiet.end):
        return now_ms
    day = now.date() if now.time() < quiet.end else now.date() + timedelta(days=1)
    # Without a zone it is a time of the system's, as `timestamp` takes it.
    return max(now_ms, int(datetime.combine(day, quiet.end, zone).timestamp() * SECOND_MS))


def local(ms: int, zone: tzinfo | None) -> datetime:
    """Return the moment in this zone; None is that of the system."""
    return datetime.fromtimestamp(ms / SECOND_MS, zone)
