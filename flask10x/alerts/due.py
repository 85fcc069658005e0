"""When messages are sent: the order in a channel, the pauses between tries, quiet hours.

The wall clock of a Pi may be wrong at boot, so a pause that seems longer than the longest one is
over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

from sqlalchemy import Connection, func, select

from flask10x.alerts import state_file
from flask10x.config.alerts.rules import Alerts, QuietHours
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


@dataclass(frozen=True, kw_only=True, slots=True)
class WaitingMessage:
    """A message that waits to be sent; times are UTC epoch milliseconds."""

    id: int
    alert_id: int | None
    """None for the message about the daily limit."""
    rule: str
    """The name of the rule of the alert; empty without an alert."""
    occasion: str
    channel: str
    created_ms: int
    due_ms: int
    tries: int


@dataclass(frozen=True, slots=True)
class Head:
    """The next message of a channel, and the earliest time at which it may be tried."""

    message: WaitingMessage
    due_ms: int


def day_start_ms(now_ms: int, zone: tzinfo | None) -> int:
    """Return when the day of this moment began in this zone."""
    midnight = datetime.combine(local(now_ms, zone).date(), time(), zone)
    return int(midnight.timestamp() * SECOND_MS)


def pause_ms(tries: int) -> int:
    """Return how long to wait for the next try after this number of tries, at least one."""
    return PAUSES_SEC[min(tries, len(PAUSES_SEC)) - 1] * SECOND_MS


def is_given_up(message: WaitingMessage, now_ms: int) -> bool:
    """Whether a message whose try has failed is given up."""
    is_old = now_ms - message.created_ms >= GIVEN_UP_AFTER_MS
    return is_old and message.tries >= GIVEN_UP_AFTER_TRIES


def waiting(connection: Connection) -> dict[str, list[WaitingMessage]]:
    """Return the waiting messages by channel, in the order in which they were created."""
    m = state_file.messages.c
    channels = select(m.way).where(m.state == "waiting").distinct().order_by(m.way)
    return {
        channel: waiting_of(connection, channel)
        for channel in connection.execute(channels).scalars()
    }


def waiting_of(connection: Connection, channel: str) -> list[WaitingMessage]:
    """Return the waiting messages of one channel, the first LOOKED_AT."""
    m, a = state_file.messages.c, state_file.alerts.c
    query = (
        select(
            *(
                m.id,
                m.alert_id,
                m.occasion,
                m.way.label("channel"),
                m.created_ms,
                m.due_ms,
                m.tries,
            ),
            func.coalesce(a.rule, "").label("rule"),
        )
        .outerjoin_from(state_file.messages, state_file.alerts, m.alert_id == a.id)
        .where(m.state == "waiting", m.way == channel)
        .order_by(m.id)
        .limit(LOOKED_AT)
    )
    return [WaitingMessage(**row._mapping) for row in connection.execute(query)]


def head(
    messages: Sequence[WaitingMessage], alerts: Alerts, now_ms: int, zone: tzinfo | None
) -> Head | None:
    """Return the next message of a channel, or None when none waits.

    It is the oldest one, whether or not it is due: a message that is tried again blocks those after
    it. Only one that quiet hours hold lets others pass, but none of its own alert.
    """
    held: Head | None = None
    held_alerts: set[int | None] = set()
    for message in messages:
        until_ms = _held_until(alerts, message.rule, now_ms, zone)
        if until_ms is None and message.alert_id not in held_alerts:
            return Head(message, _due_ms(message, now_ms))
        if message.alert_id is not None:
            held_alerts.add(message.alert_id)
        if held is None and until_ms is not None:
            held = Head(message, until_ms)
    return held


def next_due_ms(
    connection: Connection, alerts: Alerts, now_ms: int, zone: tzinfo | None
) -> int | None:
    """Return when the next message of any channel is due, or None when none waits.

    It may be in the past.
    """
    heads = [head(messages, alerts, now_ms, zone) for messages in waiting(connection).values()]
    return min((queued.due_ms for queued in heads if queued), default=None)


def _held_until(alerts: Alerts, rule: str, now_ms: int, zone: tzinfo | None) -> int | None:
    due_ms = after_quiet_hours_ms(now_ms, rule, alerts.quiet_hours, zone)
    return due_ms if due_ms > now_ms else None


def _due_ms(message: WaitingMessage, now_ms: int) -> int:
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
    if not _is_within(now.time(), quiet):
        return now_ms
    day = now.date() if now.time() < quiet.end else now.date() + timedelta(days=1)
    end = datetime.combine(day, quiet.end)
    # Without a zone it is a time of the system's, as `astimezone` takes it.
    end = end.replace(tzinfo=zone) if zone else end.astimezone()
    return max(now_ms, int(end.timestamp() * 1000))


def local(ms: int, zone: tzinfo | None) -> datetime:
    """Return the moment in this zone; None is that of the system."""
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone)


def _is_within(now: time, quiet: QuietHours) -> bool:
    if quiet.start <= quiet.end:
        return quiet.start <= now < quiet.end
    return now >= quiet.start or now < quiet.end
