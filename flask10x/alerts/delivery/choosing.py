"""Which message of a way is next, and which are not sent at all."""

from dataclasses import dataclass
from datetime import tzinfo

from sqlalchemy import Connection

from flask10x.alerts import current, due, mutes
from flask10x.alerts.alert import Alert
from flask10x.alerts.delivery import records
from flask10x.alerts.delivery.records import NeverSent
from flask10x.alerts.due import WaitingMessage
from flask10x.config.alerts.rules import Alerts, Way


@dataclass(frozen=True, slots=True)
class Unsent:
    """Why a message is not sent: its new state, and a code of `texts/troubles.py` or nothing."""

    state: NeverSent
    trouble: str = ""


def begin_next(
    connection: Connection, alerts: Alerts, way: str, now_ms: int, zone: tzinfo | None
) -> tuple[WaitingMessage, Alert | None] | None:
    """The message that is to be tried now, noted as tried, with its alert; None for none.

    Settles those before it that are not to be sent.
    """
    known = {known.name: known for known in alerts.ways}.get(way)
    while True:
        found = due.head(due.waiting_of(connection, way), alerts, now_ms, zone)
        if found is None or found.due_ms > now_ms:
            return None
        message = found.message
        number = message.alert_id
        alert = None if number is None else current.by_id(connection, [number]).get(number)
        unsent = _unsent(connection, message, alert, now_ms)
        if unsent is None and known and not message.tries:
            unsent = _over_limit(connection, message, alerts, known, now_ms, zone)
        if unsent is None:
            return (message, alert) if records.begin(connection, message, now_ms) else None
        records.settle_unsent(connection, message.id, unsent.state, unsent.trouble, now_ms)


def _unsent(
    connection: Connection, message: WaitingMessage, alert: Alert | None, now_ms: int
) -> Unsent | None:
    if message.alert_id is None:
        return None
    if alert is None:
        return Unsent("dropped")
    if mutes.is_muted(connection, alert.rule, alert.subject, now_ms):
        return Unsent("muted")
    if message.occasion == "reminder" and records.has_newer(connection, message):
        # After days without a network one reminder is enough, and none of what is over.
        return Unsent("dropped", "outdated")
    if message.occasion == "recovery":
        return _without_entry(records.states_of_others(connection, message))
    return None


def _without_entry(others: dict[str, set[str]]) -> Unsent | None:
    """Nobody is told of the end of what he was not told of."""
    told = others.get("entry", set()) | others.get("reminder", set())
    if "sent" in told:
        return None
    states: tuple[NeverSent, ...] = ("muted", "over_limit", "given_up")
    return Unsent(next((state for state in states if state in told), "dropped"))


def _over_limit(
    connection: Connection,
    message: WaitingMessage,
    alerts: Alerts,
    way: Way,
    now_ms: int,
    zone: tzinfo | None,
) -> Unsent | None:
    """The last message of a day says that it is the last one; what it stands for is not sent."""
    if message.occasion in ("limit", "test"):
        return None
    most = way.daily_max or alerts.daily_max
    start_ms = due.day_start_ms(now_ms, zone)
    is_said = records.is_limit_said(connection, way.name, start_ms)
    if not is_said and records.sent_since(connection, way.name, start_ms) < most - 1:
        return None
    if not is_said:
        records.say_limit(connection, way.name, now_ms)
    return Unsent("over_limit")
