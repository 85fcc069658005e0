"""Alerts of several hosts: what the database knows of them, and how each state file follows it.

The host that has the lease of the alerts writes here before it writes to its state file, and the
other hosts follow, so that each alert is notified of once. On SQLite there is one host, and these
tables are not there.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, tuple_, update

from flask10x.alerts import state_file, transitions
from flask10x.alerts.alert import Alert
from flask10x.alerts.state_file import Mute
from flask10x.alerts.transitions import Changes, Routing
from flask10x.config.alerts.rules import Kind
from flask10x.database.expressions import upsert
from flask10x.database.tables import active_alerts, alert_mutes
from flask10x.system import clock

# What is true of the database, and not of one host.
KINDS: frozenset[Kind] = frozenset(
    ("silence", "threshold", "rate", "failed_sensor", "refused", "export")
)
_alerts, _messages = state_file.alerts.c, state_file.messages.c
Key = tuple[str, str]
"""A rule and its subject."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedAlert:
    """An alert that is active, or over and not notified of yet; times are UTC milliseconds."""

    rule: str
    kind: Kind
    subject: str
    since_ms: int
    entered_ms: int
    reminded_ms: int
    ended_ms: int | None
    facts: str
    """A JSON object."""
    ways: str
    """A JSON array of the channels that were notified of it; empty while that is under way."""

    @property
    def key(self) -> Key:
        return self.rule, self.subject

    @property
    def notified(self) -> list[str]:
        """The channels that were notified of it."""
        found: list[str] = json.loads(self.ways or "[]")
        return found

    @property
    def is_settled(self) -> bool:
        """Whether all messages of it are sent."""
        return bool(self.ways) and self.ended_ms is None


def load(connection: Connection) -> dict[Key, SharedAlert]:
    """All of them."""
    rows = connection.execute(select(active_alerts)).mappings()
    return {(row["rule"], row["subject"]): SharedAlert(**row) for row in rows}


def put(connection: Connection, found: Changes, now_ms: int) -> None:
    """Note these changes; what is noted already stays."""
    for alert, ended, _ in found.ended:
        which = _is(alert.rule, alert.subject)
        if ended == "recovered":
            connection.execute(update(active_alerts).where(*which).values(ended_ms=now_ms))
        else:
            connection.execute(delete(active_alerts).where(*which))
    for verdict in found.firing:
        which = _is(verdict.rule, verdict.subject)
        # One that is over, and whose last messages are under way, makes room.
        connection.execute(
            delete(active_alerts).where(*which, active_alerts.c.ended_ms.is_not(None))
        )
        if connection.execute(select(active_alerts.c.rule).where(*which)).first() is None:
            values = {
                "rule": verdict.rule,
                "kind": verdict.kind,
                "subject": verdict.subject,
                "since_ms": min(verdict.since_ms, now_ms),
                "entered_ms": now_ms,
                "reminded_ms": now_ms,
                "facts": json.dumps(dict(verdict.facts), ensure_ascii=False),
                "ways": "",
            }
            connection.execute(active_alerts.insert().values(values))
    for alert in found.reminders:
        which = _is(alert.rule, alert.subject)
        connection.execute(update(active_alerts).where(*which).values(reminded_ms=now_ms))


def settle(connection: Connection, alert: SharedAlert, channels: Collection[str]) -> None:
    """All messages of it are sent; `ways` are those that were notified that it fires."""
    which = *_is(alert.rule, alert.subject), active_alerts.c.entered_ms == alert.entered_ms
    if alert.ended_ms is not None:
        connection.execute(delete(active_alerts).where(*which))
        return
    settled = update(active_alerts).where(*which).values(ways=json.dumps(sorted(channels)))
    connection.execute(settled)


def muted(connection: Connection, now_ms: int) -> list[Mute]:
    """What is muted on all hosts at this time."""
    c = alert_mutes.c
    query = select(c.rule, c.subject, c.until_ms).where(c.until_ms > now_ms)
    return [Mute(**row) for row in connection.execute(query).mappings()]


def mute(connection: Connection, rule: str, subject: str, until_ms: int) -> None:
    """Mute it on all hosts; each sees it some seconds later."""
    values = {"until_ms": until_ms, "created_ms": clock.now_ms()}
    connection.execute(upsert(alert_mutes).values(rule=rule, subject=subject, **values))


def unmute(connection: Connection, rule: str, subject: str) -> None:
    """End that."""
    c = alert_mutes.c
    connection.execute(delete(alert_mutes).where(c.rule == rule, c.subject == subject))


def _is(rule: str, subject: str) -> tuple[ColumnElement[bool], ...]:
    return active_alerts.c.rule == rule, active_alerts.c.subject == subject


# The state file of this host


def follow(
    connection: Connection, shared: Mapping[Key, SharedAlert], now_ms: int, *, takes_over: bool
) -> bool:
    """Make the alerts that are active here those of all hosts, without messages; any change?

    The host that has the lease notifies of them: what waits here of them is not sent, except where
    this host takes over and no host has notified of it.
    """
    local = _local(connection, now_ms)
    changed = False
    for key, alert in local.items():
        if key not in shared:
            _end(connection, alert, now_ms)
            changed = True
    for key, one in shared.items():
        is_over = key not in local and one.ended_ms is not None
        # A host that takes over has to notify of the end, unless it had the alert already.
        if is_over and (not takes_over or _knew(connection, one)):
            continue
        alert_id = local[key].id if key in local else _enter(connection, one)
        if key not in local or local[key].reminded_ms != one.reminded_ms:
            own = update(state_file.alerts).where(_alerts.id == alert_id)
            connection.execute(own.values(reminded_ms=one.reminded_ms))
            changed = True
        _note_notified(connection, alert_id, one, now_ms)
    unsettled = [one for one in shared.values() if not one.is_settled] if takes_over else ()
    _drop_waiting(connection, unsettled, now_ms)
    return changed


def take_over(
    connection: Connection, shared: Mapping[Key, SharedAlert], routing: Routing, now_ms: int
) -> None:
    """Notify of what the host that had the lease before has not, as far as it has noted."""
    for key, alert in _local(connection, now_ms).items():
        if key in shared and not shared[key].ways:
            transitions.notify_again(connection, alert, routing, now_ms)


def follow_mutes(connection: Connection, shared: Iterable[Mute], now_ms: int) -> bool:
    """Mute here what is muted on all hosts, and nothing else; whether anything has changed."""
    own = {(one.rule, one.subject): one.until_ms for one in state_file.muted(connection, now_ms)}
    wanted = {(one.rule, one.subject): one.until_ms for one in shared}
    for key, until_ms in wanted.items():
        if own.get(key) != until_ms:
            state_file.mute(connection, *key, until_ms)
    for key in own.keys() - wanted.keys():
        state_file.unmute(connection, *key)
    return own != wanted


def notified_channels(connection: Connection, alert: SharedAlert) -> set[str] | None:
    """The channels that were notified that it fires; None while a message of it waits."""
    which = _alerts.rule == alert.rule, _alerts.subject == alert.subject
    newest = select(func.max(_alerts.id)).where(*which).scalar_subquery()
    query = select(_messages.way, _messages.occasion, _messages.state)
    rows = connection.execute(query.where(_messages.alert_id == newest)).all()
    ended = select(_alerts.ended_ms).where(_alerts.id == newest)
    is_over = connection.execute(ended).scalar_one_or_none() is not None
    if is_over != (alert.ended_ms is not None) or any(row.state == "waiting" for row in rows):
        return None
    return {row.way for row in rows if (row.occasion, row.state) == ("entry", "sent")}


def _local(connection: Connection, now_ms: int) -> dict[Key, Alert]:
    active = state_file.active(connection, now_ms)
    return {(one.rule, one.subject): one for one in active if one.kind in KINDS}


def _end(connection: Connection, alert: Alert, now_ms: int) -> None:
    ended_ms = max(now_ms, alert.firing_since_ms)
    over = update(state_file.alerts).where(_alerts.id == alert.id)
    connection.execute(over.values(ended_ms=ended_ms, ended="recovered"))


def _enter(connection: Connection, one: SharedAlert) -> int:
    entry = insert(state_file.alerts).values(
        rule=one.rule,
        kind=one.kind,
        subject=one.subject,
        since_ms=one.since_ms,
        entered_ms=one.entered_ms,
        reminded_ms=one.reminded_ms,
        facts=one.facts,
    )
    number: int = connection.execute(entry.returning(_alerts.id)).scalar_one()
    return number


def _note_notified(connection: Connection, alert_id: int, one: SharedAlert, now_ms: int) -> None:
    """Note which channels were notified of it, so that any host notifies them of its end."""
    query = select(_messages.way).where(
        _messages.alert_id == alert_id, _messages.occasion == "entry", _messages.state == "sent"
    )
    known: Collection[str] = set(connection.execute(query).scalars())
    for channel in one.notified:
        if channel not in known:
            values = {"alert_id": alert_id, "occasion": "entry", "way": channel, "state": "sent"}
            times = {"created_ms": one.entered_ms, "due_ms": one.entered_ms, "settled_ms": now_ms}
            connection.execute(insert(state_file.messages).values(**values, **times))


def _knew(connection: Connection, one: SharedAlert) -> bool:
    query = select(_alerts.id).where(_alerts.rule == one.rule, _alerts.subject == one.subject)
    query = query.where(_alerts.entered_ms == one.entered_ms)
    return connection.execute(query).first() is not None


def _drop_waiting(connection: Connection, but: Iterable[SharedAlert], now_ms: int) -> None:
    kept = [one.key for one in but]
    shared = select(_alerts.id).where(
        _alerts.kind.in_(KINDS), tuple_(_alerts.rule, _alerts.subject).not_in(kept)
    )
    waiting = _messages.state == "waiting", _messages.alert_id.in_(shared)
    dropped = update(state_file.messages).where(*waiting)
    connection.execute(dropped.values(state="dropped", settled_ms=now_ms))
