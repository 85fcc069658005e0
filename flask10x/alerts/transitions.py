"""From verdicts to alerts: each fires, gets its reminders and is resolved once, with its messages.

An alert and its messages to all channels change in one transaction of the state file. So a process
that is killed in between sends none or all of them, and the next one continues from the file.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or

from flask10x.alerts import state_file
from flask10x.alerts.alert import Active, Alert, Facts, MessageState, Occasion, Verdict
from flask10x.alerts.due import after_quiet_hours_ms
from flask10x.alerts.subjects import watched_by
from flask10x.config.alerts.rules import Alerts, Kind
from flask10x.readings.stations import Stations

_alerts, _messages = state_file.alerts.c, state_file.messages.c
# A rule that fires and is resolved every minute makes half a million alerts a year.
KEPT_MAX = 5000
FORGOTTEN_AT_ONCE = 100
# A station that was taken out of use gets a reminder each day, for years.
REMINDERS_KEPT_MS = 30 * 24 * 3_600_000


Change = tuple[Literal["end", "fire", "remind"], Alert]
"""A change to write, with the alert after its end, as it fires, or before its reminder."""


@dataclass(frozen=True, slots=True)
class Routing:
    """The channels of messages, and when they are sent."""

    alerts: Alerts
    zone: tzinfo | None
    """The zone of the quiet hours; None for that of the system."""

    @property
    def all_channels(self) -> tuple[str, ...]:
        """The names of all channels."""
        return tuple(channel.name for channel in self.alerts.channels)

    def channels(self, rule: str) -> tuple[str, ...]:
        """Return the names of the channels for messages of this rule."""
        chosen = self.alerts.by_name[rule].channels if rule in self.alerts.by_name else ()
        return tuple(name for name in chosen or self.all_channels if name in self.all_channels)

    def due_ms(self, now_ms: int, rule: str) -> int:
        """Return the earliest time for a message of this rule."""
        return after_quiet_hours_ms(now_ms, rule, self.alerts.quiet_hours, self.zone)


def changes(
    active: Active,
    verdicts: Iterable[Verdict],
    unwatched: Collection[Alert],
    due: Iterable[Alert],
    now_ms: int,
) -> list[Change]:
    """Return what these verdicts change of the active alerts.

    `unwatched` are the alerts whose rule or station was removed, `due` those whose reminder is due.
    The first of two verdicts of the same rule and subject counts.
    """
    newest: dict[tuple[str, str], Verdict] = {}
    for verdict in verdicts:
        newest.setdefault((verdict.rule.name, verdict.subject), verdict)
    unwatched_keys = {(alert.rule, alert.subject) for alert in unwatched}
    ended = [replace(alert, ended_ms=now_ms, ended="unwatched") for alert in unwatched]
    firing = []
    for key, verdict in newest.items():
        alert = active.get(key)
        if verdict.is_firing and alert is None:
            firing.append(
                Alert(
                    rule=verdict.rule.name,
                    kind=verdict.rule.kind,
                    subject=verdict.subject,
                    # A clock that was set back meanwhile must not let it begin after it fires.
                    since_ms=min(verdict.since_ms, now_ms),
                    firing_since_ms=now_ms,
                    facts=verdict.facts,
                    reminded_ms=now_ms,
                )
            )
        elif verdict.is_firing is False and alert and key not in unwatched_keys:
            facts = verdict.facts
            ended.append(replace(alert, ended_ms=now_ms, ended="recovered", end_facts=facts))
    ended_ids = {alert.id for alert in ended}
    reminded = [alert for alert in due if alert.id not in ended_ids]
    return [
        *(("end", alert) for alert in ended),
        *(("fire", alert) for alert in firing),
        *(("remind", alert) for alert in reminded),
    ]


def watched(alerts: Alerts, stations: Stations) -> frozenset[tuple[str, Kind, str]]:
    """Return the rule, kind and subject of every alert that these settings can have."""
    return frozenset(
        (rule.name, rule.kind, subject)
        for rule in alerts.rules
        for subject in watched_by(rule, stations)
    )


def write(
    connection: Connection, changed: Collection[Change], routing: Routing, now_ms: int
) -> None:
    """Write these changes and their messages, within the transaction of the caller.

    What another process has written meanwhile is not written again, so it is notified once.
    """
    step = _Step(connection, routing, now_ms)
    writing = {"end": step.end, "fire": step.fire, "remind": step.remind}
    for what, alert in changed:
        writing[what](alert)
    if any(what == "fire" for what, _ in changed):
        _forget_oldest(connection)


def notify_again(connection: Connection, alert: Alert, routing: Routing, now_ms: int) -> None:
    """Create the messages that it fires for the channels that have none sent or waiting."""
    step = _Step(connection, routing, now_ms)
    notified = _channels(connection, alert.id, "waiting", "sent")
    channels = [name for name in routing.channels(alert.rule) if name not in notified]
    step.notify(alert.id, alert, "entry", channels)


@dataclass(frozen=True, slots=True)
class _Step:
    """One transaction, which writes alerts with their messages."""

    connection: Connection
    routing: Routing
    now_ms: int

    def fire(self, alert: Alert) -> None:
        """Create an alert, unless another process has created it."""
        row = insert_or(state_file.alerts).values(row_of(alert))
        inserted = self.connection.execute(row.on_conflict_do_nothing().returning(_alerts.id))
        alert_id = inserted.scalar_one_or_none()
        if alert_id is not None:
            self.notify(alert_id, alert, "entry", self.routing.channels(alert.rule))

    def end(self, alert: Alert) -> None:
        """End an alert, unless another process has ended it."""
        alert_id = self._changed(
            alert,
            ended_ms=func.max(self.now_ms, _alerts.entered_ms),
            ended=alert.ended,
            end_facts=_json(alert.end_facts),
        )
        if alert_id is None:
            return
        if alert.ended == "unwatched":
            is_of_it = _messages.alert_id == alert_id
            state_file.settle_waiting(self.connection, "dropped", self.now_ms, is_of_it)
            return
        # The channels that were notified that it fires are notified of its end, whatever channels
        # the rule names since.
        notified = _channels(self.connection, alert_id, "waiting", "sent")
        channels = [channel for channel in self.routing.all_channels if channel in notified]
        self.notify(alert_id, alert, "recovery", channels)

    def remind(self, alert: Alert) -> None:
        """Write a reminder, with its messages unless the alert is muted."""
        alert_id = self._changed(alert, reminded_ms=self.now_ms)
        if alert_id is None or self._is_muted(alert):
            return
        # Without a network the message that waits already says the same.
        waiting = _channels(self.connection, alert_id, "waiting")
        channels = [name for name in self.routing.channels(alert.rule) if name not in waiting]
        self.notify(alert_id, alert, "reminder", channels)
        is_of_it = _messages.alert_id == alert_id, _messages.occasion == "reminder"
        is_old = _messages.created_ms < self.now_ms - REMINDERS_KEPT_MS
        _forget_messages(self.connection, *is_of_it, is_old, _messages.state != "waiting")

    def _changed(self, alert: Alert, **values: Any) -> int | None:
        """Change an active alert and return its id; None if another process has changed it."""
        # Not by its id, which an alert that is not written yet does not have.
        row = update(state_file.alerts).where(
            _alerts.rule == alert.rule,
            _alerts.subject == alert.subject,
            _alerts.ended_ms.is_(None),
            _alerts.reminded_ms == alert.reminded_ms,
        )
        changed = self.connection.execute(row.values(values).returning(_alerts.id))
        return changed.scalar_one_or_none()

    def notify(
        self, alert_id: int, about: Alert, occasion: Occasion, channels: Iterable[str]
    ) -> None:
        """Create a message to each of these channels; it is not sent when the alert is muted."""
        state: MessageState = "muted" if self._is_muted(about) else "waiting"
        for channel in channels:
            self.connection.execute(
                insert(state_file.messages).values(
                    alert_id=alert_id,
                    occasion=occasion,
                    way=channel,
                    created_ms=self.now_ms,
                    due_ms=self.routing.due_ms(self.now_ms, about.rule),
                    state=state,
                    settled_ms=None if state == "waiting" else self.now_ms,
                )
            )

    def _is_muted(self, alert: Alert) -> bool:
        return state_file.is_muted(self.connection, alert.rule, alert.subject, self.now_ms)


def row_of(alert: Alert) -> dict[str, str | int]:
    """Return the columns of an active alert."""
    return {
        "rule": alert.rule,
        "kind": alert.kind,
        "subject": alert.subject,
        "since_ms": alert.since_ms,
        "entered_ms": alert.firing_since_ms,
        "facts": _json(alert.facts),
        "reminded_ms": alert.reminded_ms,
    }


def _json(facts: Facts) -> str:
    return json.dumps(dict(facts), ensure_ascii=False)


def _channels(connection: Connection, alert_id: int, *states: MessageState) -> set[str]:
    """Return the channels that have a message of the alert in one of these states."""
    query = select(_messages.way).where(_messages.alert_id == alert_id, _messages.state.in_(states))
    return set(connection.execute(query).scalars())


def _forget_messages(connection: Connection, *which: ColumnElement[bool]) -> None:
    ids = select(_messages.id).where(*which)
    connection.execute(delete(state_file.taken).where(state_file.taken.c.message_id.in_(ids)))
    connection.execute(delete(state_file.messages).where(*which))


def _forget_oldest(connection: Connection) -> None:
    """Delete past alerts beyond the newest KEPT_MAX, unless messages of them wait."""
    newest = select(func.max(_alerts.id)).scalar_subquery()
    unsent = select(_messages.alert_id).where(
        _messages.state == "waiting", _messages.alert_id.is_not(None)
    )
    old = select(_alerts.id).where(
        _alerts.id <= newest - KEPT_MAX, _alerts.ended_ms.is_not(None), _alerts.id.not_in(unsent)
    )
    ids = connection.execute(old.limit(FORGOTTEN_AT_ONCE)).scalars().all()
    _forget_messages(connection, _messages.alert_id.in_(ids))
    connection.execute(delete(state_file.alerts).where(_alerts.id.in_(ids)))
