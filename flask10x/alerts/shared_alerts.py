"""Alerts of several hosts: their tables in the database, and how each state file follows them.

The host that has the lease of the alerts writes here before it writes to its state file, and the
other hosts follow, so that the messages of each alert are sent once. On SQLite there is one host,
and these tables do not exist.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select, tuple_, update

from flask10x.alerts import state_file, transitions
from flask10x.alerts.alert import Alert
from flask10x.alerts.state_file import Mute
from flask10x.alerts.transitions import Change, Routing
from flask10x.config.alerts.rules import Kind
from flask10x.database.tables import active_alerts

# The kinds of rules that are about the database, and not about one host.
KINDS: frozenset[Kind] = frozenset(
    ("silence", "threshold", "rate", "stuck", "failed_sensor", "rejected", "export")
)
_alerts, _messages = state_file.alerts.c, state_file.messages.c
Key = tuple[str, str]
"""A rule and its subject."""


SharedAlert = Row[Any]
"""A row of `active_alerts`: an alert that is active, or whose end is not notified yet.

`facts` has a JSON object, `ways` a JSON array of the channels that were notified; it is empty while
messages wait.
"""


def load(connection: Connection) -> dict[Key, SharedAlert]:
    """Return all of them, by rule and subject."""
    rows = connection.execute(select(active_alerts).where(active_alerts.c.kind.in_(KINDS)))
    return {(row.rule, row.subject): row for row in rows}


def is_settled(alert: SharedAlert) -> bool:
    """Return whether all messages of it are sent."""
    return bool(alert.ways) and alert.ended_ms is None


def put(connection: Connection, changed: Iterable[Change], now_ms: int) -> None:
    """Store these changes; an alert that is stored already stays."""
    for what, alert in changed:
        which = _is(alert.rule, alert.subject)
        row = update(active_alerts).where(*which)
        if what == "remind":
            connection.execute(row.values(reminded_ms=now_ms))
        elif what == "end" and alert.ended == "recovered":
            connection.execute(row.values(ended_ms=now_ms))
        elif what == "end":
            connection.execute(delete(active_alerts).where(*which))
        else:
            # One that has ended, and whose last messages wait, makes room.
            has_ended = active_alerts.c.ended_ms.is_not(None)
            connection.execute(delete(active_alerts).where(*which, has_ended))
            if connection.execute(select(active_alerts.c.rule).where(*which)).first() is None:
                values = transitions.row_of(alert) | {"ways": ""}
                connection.execute(active_alerts.insert().values(values))


def settle(connection: Connection, alert: SharedAlert, channels: Collection[str]) -> None:
    """Note that all messages of it are sent; `channels` were notified that it fires."""
    which = *_is(alert.rule, alert.subject), active_alerts.c.entered_ms == alert.entered_ms
    if alert.ended_ms is not None:
        connection.execute(delete(active_alerts).where(*which))
        return
    settled = update(active_alerts).where(*which).values(ways=json.dumps(sorted(channels)))
    connection.execute(settled)


def _is(rule: str, subject: str) -> tuple[ColumnElement[bool], ...]:
    return active_alerts.c.rule == rule, active_alerts.c.subject == subject


# How the state file of this host follows them


def follow(
    connection: Connection, shared: Mapping[Key, SharedAlert], now_ms: int, *, takes_over: bool
) -> bool:
    """Make the alerts that are active here those of all hosts; whether anything has changed.

    The host that has the lease sends the messages: those that wait here are not sent, except where
    this host takes over and no host has sent them.
    """
    local = _local(connection, now_ms)
    changed = False
    for key, alert in local.items():
        if key not in shared:
            ending = update(state_file.alerts).where(_alerts.id == alert.id)
            ended_ms = max(now_ms, alert.firing_since_ms)
            connection.execute(ending.values(ended_ms=ended_ms, ended="recovered"))
            changed = True
    for key, common in shared.items():
        has_ended = key not in local and common.ended_ms is not None
        # A host that takes over has to notify of the end, unless it has had the alert already.
        if has_ended and (not takes_over or _has(connection, common)):
            continue
        alert_id = local[key].id if key in local else _insert(connection, common)
        if key not in local or local[key].reminded_ms != common.reminded_ms:
            row = update(state_file.alerts).where(_alerts.id == alert_id)
            connection.execute(row.values(reminded_ms=common.reminded_ms))
            changed = True
        _note_notified(connection, alert_id, common, now_ms)
    unsettled = [key for key, common in shared.items() if takes_over and not is_settled(common)]
    elsewhere = tuple_(_alerts.rule, _alerts.subject).not_in(unsettled)
    of_shared = select(_alerts.id).where(_alerts.kind.in_(KINDS), elsewhere)
    is_of_shared = _messages.alert_id.in_(of_shared)
    state_file.settle_waiting(connection, "dropped", now_ms, is_of_shared)
    return changed


def take_over(
    connection: Connection, shared: Mapping[Key, SharedAlert], routing: Routing, now_ms: int
) -> None:
    """Create the messages that the host that had the lease before has not noted as sent."""
    for key, alert in _local(connection, now_ms).items():
        if key in shared and not shared[key].ways:
            transitions.notify_again(connection, alert, routing, now_ms)


def follow_mutes(connection: Connection, shared: Iterable[Mute], now_ms: int) -> bool:
    """Make the mutes of this host those of all hosts; whether anything has changed."""
    local, common = (
        {(mute.rule, mute.subject): mute.until_ms for mute in mutes}
        for mutes in (state_file.muted(connection, now_ms), shared)
    )
    for key, until_ms in common.items():
        if local.get(key) != until_ms:
            state_file.mute(connection, *key, until_ms)
    for key in local.keys() - common.keys():
        state_file.unmute(connection, *key)
    return local != common


def notified_channels(connection: Connection, alert: SharedAlert) -> set[str] | None:
    """Return the channels that were notified that it fires, or None while a message waits."""
    which = _alerts.rule == alert.rule, _alerts.subject == alert.subject
    newest = select(func.max(_alerts.id)).where(*which).scalar_subquery()
    query = select(_messages.way, _messages.occasion, _messages.state)
    rows = connection.execute(query.where(_messages.alert_id == newest)).all()
    ended = select(_alerts.ended_ms).where(_alerts.id == newest)
    has_ended = connection.execute(ended).scalar_one_or_none() is not None
    if has_ended != (alert.ended_ms is not None) or any(row.state == "waiting" for row in rows):
        return None
    return {row.way for row in rows if (row.occasion, row.state) == ("entry", "sent")}


def _local(connection: Connection, now_ms: int) -> dict[Key, Alert]:
    active = state_file.active(connection, now_ms)
    return {(alert.rule, alert.subject): alert for alert in active if alert.kind in KINDS}


def _insert(connection: Connection, alert: SharedAlert) -> int:
    values = dict(alert._mapping)
    del values["ended_ms"], values["ways"]
    row = insert(state_file.alerts).values(values)
    number: int = connection.execute(row.returning(_alerts.id)).scalar_one()
    return number


def _note_notified(connection: Connection, alert_id: int, alert: SharedAlert, now_ms: int) -> None:
    """Note which channels were notified of it, so that any host notifies them of its end."""
    query = select(_messages.way).where(
        _messages.alert_id == alert_id, _messages.occasion == "entry", _messages.state == "sent"
    )
    noted: Collection[str] = set(connection.execute(query).scalars())
    fired_ms = alert.entered_ms
    for channel in json.loads(alert.ways or "[]"):
        if channel not in noted:
            values = {"alert_id": alert_id, "occasion": "entry", "way": channel, "state": "sent"}
            times = {"created_ms": fired_ms, "due_ms": fired_ms, "settled_ms": now_ms}
            connection.execute(insert(state_file.messages).values(**values, **times))


def _has(connection: Connection, alert: SharedAlert) -> bool:
    query = select(_alerts.id).where(_alerts.rule == alert.rule, _alerts.subject == alert.subject)
    query = query.where(_alerts.entered_ms == alert.entered_ms)
    return connection.execute(query).first() is not None
