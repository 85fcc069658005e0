"""When messages go: the order of each channel, the pauses between tries, quiet hours.

Nothing here trusts the wall clock further than it has to: a Pi's may be wrong at boot. A pause
that seems longer than the longest one is over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

from sqlalchemy import Connection, func, select

from flask10x.alerts import state_file
from flask10x.config.alerts.rules import Alerts, QuietHours

SECOND_MS = 1000
# Before the second try, the third and so on; from the last one on always as long. A router that
# restarts is back within minutes; a service that is away gets a request each half hour.
PAUSES_SEC = (10, 30, 60, 120, 300, 900, 1800)
LONGEST_PAUSE_MS = PAUSES_SEC[-1] * SECOND_MS
# Who is away for a fortnight does not want to read of the first days.
GIVEN_UP_AFTER_MS = 7 * 24 * 3600 * SECOND_MS
# So many tries take seven hours: a message is not given up because the clock jumps by a week.
GIVEN_UP_AFTER_TRIES = 20
# Of each channel, so that those of one that is gone hide no other's.
LOOKED_AT = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class WaitingMessage:
    """A message that is to be sent; times are UTC epoch milliseconds."""

    id: int
    alert_id: int | None
    """None for what is said of the daily limit."""
    rule: str
    """The name of the alert's rule; empty without an alert."""
    occasion: str
    channel: str
    created_ms: int
    due_ms: int
    tries: int


@dataclass(frozen=True, slots=True)
class Head:
    """Which of a channel's messages is next, and from when on it may be tried."""

    message: WaitingMessage
    due_ms: int


def day_start_ms(now_ms: int, zone: tzinfo | None) -> int:
    """When the day of this moment began in this zone."""
    midnight = datetime.combine(local(now_ms, zone).date(), time(), zone)
    return int(midnight.timestamp() * SECOND_MS)


def pause_ms(tries: int) -> int:
    """How long to wait after so many tries, at least one, before the next."""
    return PAUSES_SEC[min(tries, len(PAUSES_SEC)) - 1] * SECOND_MS


def is_given_up(message: WaitingMessage, now_ms: int) -> bool:
    """Whether a message that could not be sent just now is tried no more."""
    is_old = now_ms - message.created_ms >= GIVEN_UP_AFTER_MS
    return is_old and message.tries >= GIVEN_UP_AFTER_TRIES


def waiting(connection: Connection) -> dict[str, list[WaitingMessage]]:
    """What is to be sent, by way and in the order in which it was made."""
    m = state_file.messages.c
    channels = select(m.way).where(m.state == "waiting").distinct().order_by(m.way)
    return {
        channel: waiting_of(connection, channel)
        for channel in connection.execute(channels).scalars()
    }


def waiting_of(connection: Connection, channel: str) -> list[WaitingMessage]:
    """The same of one channel; its first LOOKED_AT."""
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
    """The next one of a channel's messages; None when there is none.

    The oldest one, whether or not its time has come: what is tried again blocks those after it.
    Only what quiet hours hold lets others pass, but none of its own alert.
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
    """When the next message of any channel may go; None when none waits. It may be in the past."""
    heads = [head(messages, alerts, now_ms, zone) for messages in waiting(connection).values()]
    return min((found.due_ms for found in heads if found), default=None)


def _held_until(alerts: Alerts, rule: str, now_ms: int, zone: tzinfo | None) -> int | None:
    due_ms = after_quiet_hours_ms(now_ms, rule, alerts.quiet_hours, zone)
    return due_ms if due_ms > now_ms else None


def _due_ms(message: WaitingMessage, now_ms: int) -> int:
    """Quiet hours are looked at each time, so before the first try nothing else counts."""
    if not message.tries or message.due_ms - now_ms > LONGEST_PAUSE_MS:
        return min(message.due_ms, now_ms)
    return message.due_ms


def after_quiet_hours_ms(
    now_ms: int, rule: str, quiet: QuietHours | None, zone: tzinfo | None
) -> int:
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
