"""From verdicts to alerts: each fires, is resolved and reminded of once, with its messages.

What changes is written in one transaction of the state file: the alert together with a message for
each channel. So a process that is killed in between has notified of nothing or will notify of all,
and the next one goes on from what is written.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import tzinfo

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or

from flask10x.alerts import state_file
from flask10x.alerts.alert import Active, Alert, Ended, MessageState, Occasion, Verdict
from flask10x.alerts.due import after_quiet_hours_ms
from flask10x.config.alerts.rules import Alerts, Rate, Rule, Threshold
from flask10x.readings.stations import Stations

_alerts, _messages = state_file.alerts.c, state_file.messages.c
# A rule that goes to and fro every minute makes half a million a year.
KEPT_MAX = 5000
FORGOTTEN_AT_ONCE = 100
# A station that was put away is reminded of each day, for years.
REMINDERS_KEPT_MS = 30 * 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be written now."""

    firing: tuple[Verdict, ...] = ()
    ended: tuple[tuple[Alert, Ended, Verdict | None], ...] = ()
    reminders: tuple[Alert, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.firing or self.ended or self.reminders)


@dataclass(frozen=True, slots=True)
class Routing:
    """By which channels messages go, and when."""

    alerts: Alerts
    zone: tzinfo | None
    """That of the quiet hours; None for the system's."""

    @property
    def all_channels(self) -> tuple[str, ...]:
        """The names of the channels that there are."""
        return tuple(channel.name for channel in self.alerts.channels)

    def channels(self, rule: str) -> tuple[str, ...]:
        """The names of those that messages of this rule go."""
        chosen = self.alerts.by_name[rule].channels if rule in self.alerts.by_name else ()
        return tuple(name for name in chosen or self.all_channels if name in self.all_channels)

    def due_ms(self, now_ms: int, rule: str) -> int:
        """When a message of this rule may go out at the earliest."""
        return after_quiet_hours_ms(now_ms, rule, self.alerts.quiet_hours, self.zone)


def changes(
    active: Active, verdicts: Iterable[Verdict], gone: Iterable[Alert], due: Iterable[Alert]
) -> Changes:
    """What these verdicts change of the alerts that are active.

    `gone` are those that nothing watches any more, `due` those of which a reminder is due. Of two
    verdicts of one rule and subject the first counts.
    """
    newest: dict[tuple[str, str], Verdict] = {}
    for verdict in verdicts:
        newest.setdefault((verdict.rule, verdict.subject), verdict)
    unwatched = {(alert.rule, alert.subject): alert for alert in gone}
    ended: list[tuple[Alert, Ended, Verdict | None]] = []
    ended += [(alert, "unwatched", None) for alert in unwatched.values()]
    firing = []
    for key, verdict in newest.items():
        alert = active.get(key)
        if verdict.is_firing and alert is None:
            firing.append(verdict)
        elif verdict.is_firing is False and alert is not None and key not in unwatched:
            ended.append((alert, "recovered", verdict))
    over = {alert.id for alert, _, _ in ended}
    return Changes(tuple(firing), tuple(ended), tuple(a for a in due if a.id not in over))


def is_watched(alert: Alert, alerts: Alerts, stations: Stations) -> bool:
    """Whether its rule and its station are still there, and belong together."""
    rule = alerts.by_name.get(alert.rule)
    if rule is None or rule.kind != alert.kind:
        return False
    if not alert.subject:
        return True
    endpoint, _, column = alert.subject.partition(".")
    station = stations.by_endpoint.get(endpoint)
    if station is None or (column and column not in station.columns):
        return False
    return _is_of(rule, endpoint, column)


def _is_of(rule: Rule, endpoint: str, column: str) -> bool:
    if isinstance(rule, Threshold | Rate):
        return (rule.station, rule.column) == (endpoint, column)
    stations: tuple[str, ...] = getattr(rule, "stations", ())
    return not stations or endpoint in stations


def after(active: Active, found: Changes, now_ms: int) -> dict[tuple[str, str], Alert]:
    """What is active after these changes, also where they can't be written now (with id 0)."""
    left = dict(active)
    for alert, _, _ in found.ended:
        del left[alert.rule, alert.subject]
    for alert in found.reminders:
        left[alert.rule, alert.subject] = replace(alert, reminded_ms=now_ms)
    for verdict in found.firing:
        left[verdict.rule, verdict.subject] = Alert(
            id=0,
            rule=verdict.rule,
            kind=verdict.kind,
            subject=verdict.subject,
            since_ms=min(verdict.since_ms, now_ms),
            firing_since_ms=now_ms,
            ended_ms=None,
            ended=None,
            facts=verdict.facts,
            end_facts={},
            muted_until_ms=None,
            reminded_ms=now_ms,
        )
    return left


def write(connection: Connection, found: Changes, routing: Routing, now_ms: int) -> None:
    """Write them; the caller's transaction makes it one step.

    What another process has written meanwhile stays, and is notified of once.
    """
    step = _Step(connection, routing, now_ms)
    for alert, ended, verdict in found.ended:
        step.end(alert, ended, verdict)
    for verdict in found.firing:
        step.fire(verdict)
    for alert in found.reminders:
        step.remind(alert)
    if found.firing:
        _forget_oldest(connection)


def notify_again(connection: Connection, alert: Alert, routing: Routing, now_ms: int) -> None:
    """Make messages that it fires by those channels for which none was sent, or is to be."""
    step = _Step(connection, routing, now_ms)
    others = _channels(connection, alert.id, ("waiting", "sent"))
    step.notify(
        alert.id, alert, "entry", [w for w in routing.channels(alert.rule) if w not in others]
    )


@dataclass(frozen=True, slots=True)
class _Step:
    """One transaction: the alerts that fire, end and last, each with its messages."""

    connection: Connection
    routing: Routing
    now_ms: int

    def fire(self, verdict: Verdict) -> None:
        """Begin an alert, unless another process has begun it."""
        row = insert_or(state_file.alerts).values(
            rule=verdict.rule,
            kind=verdict.kind,
            subject=verdict.subject,
            # A clock that was set back meanwhile must not let it begin after it fires.
            since_ms=min(verdict.since_ms, self.now_ms),
            entered_ms=self.now_ms,
            facts=json.dumps(dict(verdict.facts), ensure_ascii=False),
            reminded_ms=self.now_ms,
        )
        made = self.connection.execute(row.on_conflict_do_nothing().returning(_alerts.id))
        alert_id = made.scalar_one_or_none()
        if alert_id is not None:
            self.notify(alert_id, verdict, "entry", self.routing.channels(verdict.rule))

    def end(self, alert: Alert, ended: Ended, verdict: Verdict | None) -> None:
        """End an alert, unless another process has ended it."""
        facts = dict(verdict.facts) if verdict else {}
        ending = (
            update(state_file.alerts)
            .where(*_is_active(alert))
            .values(
                ended_ms=func.max(self.now_ms, _alerts.entered_ms),
                ended=ended,
                end_facts=json.dumps(facts, ensure_ascii=False),
            )
            .returning(_alerts.id)
        )
        alert_id = self.connection.execute(ending).scalar_one_or_none()
        if alert_id is None:
            return
        if ended == "unwatched":
            _drop_waiting(self.connection, alert_id, self.now_ms)
            return
        # A channel that was not notified that it fires is not notified of its end; one that was is,
        # whatever channels the rule names since.
        notified = _channels(self.connection, alert_id, ("waiting", "sent"))
        channels = [channel for channel in self.routing.all_channels if channel in notified]
        self.notify(alert_id, alert, "recovery", channels)

    def remind(self, alert: Alert) -> None:
        """Note a reminder, with its messages unless it is muted."""
        reminded = (
            update(state_file.alerts).where(*_is_active(alert)).values(reminded_ms=self.now_ms)
        )
        alert_id = self.connection.execute(reminded.returning(_alerts.id)).scalar_one_or_none()
        if alert_id is None or self._is_muted(alert):
            return
        # Where the network is away the message that waits says the same.
        unsent: tuple[MessageState, ...] = ("waiting",)
        waiting = _channels(self.connection, alert_id, unsent)
        channels = [
            channel for channel in self.routing.channels(alert.rule) if channel not in waiting
        ]
        self.notify(alert_id, alert, "reminder", channels)
        _forget_reminders(self.connection, alert_id, self.now_ms)

    def notify(
        self, alert_id: int, about: Alert | Verdict, occasion: Occasion, channels: Iterable[str]
    ) -> None:
        """Make a message by each of these channels; of what is muted it is not sent."""
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

    def _is_muted(self, about: Alert | Verdict) -> bool:
        return state_file.is_muted(self.connection, about.rule, about.subject, self.now_ms)


def _is_active(alert: Alert) -> tuple[ColumnElement[bool], ...]:
    # Not by its id: it has none yet while it could not be written.
    return (
        _alerts.rule == alert.rule,
        _alerts.subject == alert.subject,
        _alerts.ended_ms.is_(None),
        _alerts.reminded_ms == alert.reminded_ms,
    )


def _drop_waiting(connection: Connection, alert_id: int, now_ms: int) -> None:
    """What waits of an alert that nothing watches any more is not sent."""
    waiting = _messages.alert_id == alert_id, _messages.state == "waiting"
    dropped = update(state_file.messages).where(*waiting)
    connection.execute(dropped.values(state="dropped", settled_ms=now_ms))


def _channels(connection: Connection, alert_id: int, states: Collection[MessageState]) -> set[str]:
    """The channels for which there is a message of the alert in one of these states."""
    query = select(_messages.way).where(_messages.alert_id == alert_id, _messages.state.in_(states))
    return set(connection.execute(query).scalars())


def _forget_reminders(connection: Connection, alert_id: int, now_ms: int) -> None:
    """Those of an alert that goes on; a new one has just been made, or waits."""
    is_old = _messages.created_ms < now_ms - REMINDERS_KEPT_MS, _messages.state != "waiting"
    of_it = _messages.alert_id == alert_id, _messages.occasion == "reminder"
    _forget_messages(connection, and_(*of_it, *is_old))


def _forget_messages(connection: Connection, which: ColumnElement[bool]) -> None:
    taken = select(_messages.id).where(which)
    connection.execute(delete(state_file.taken).where(state_file.taken.c.message_id.in_(taken)))
    connection.execute(delete(state_file.messages).where(which))


def _forget_oldest(connection: Connection) -> None:
    """Of past alerts so many of the newest are kept, and each whose messages are on their way."""
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
