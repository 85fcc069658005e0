"""What the state file says: alerts that are active and past, their messages, what is muted."""

import json
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, delete, select, update
from sqlalchemy.dialects.sqlite import insert

from flask10x.alerts import tables
from flask10x.alerts.alert import Alert, AlertMessage
from flask10x.system import clock

_muting = and_(
    tables.mutes.c.rule == tables.alerts.c.rule, tables.mutes.c.subject == tables.alerts.c.subject
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mute:
    """Of a rule and a subject nothing is sent until then (UTC epoch milliseconds)."""

    rule: str
    subject: str
    until_ms: int


def active(connection: Connection, now_ms: int) -> list[Alert]:
    """The alerts that are active, the newest first; `now_ms` decides which mutes still hold."""
    query = _with_mutes().where(tables.alerts.c.ended_ms.is_(None))
    return [_alert(row, now_ms) for row in connection.execute(query)]


def past(connection: Connection, before_id: int | None = None, limit: int = 50) -> list[Alert]:
    """The alerts that have ended, the newest entry first: those with lower ids, so many.

    Of these and of `between` no mute is said.
    """
    query = _with_mutes().where(tables.alerts.c.ended_ms.is_not(None)).limit(limit)
    if before_id is not None:
        query = query.where(tables.alerts.c.id < before_id)
    return [_alert(row) for row in connection.execute(query)]


def between(connection: Connection, start_ms: int, end_ms: int, limit: int = 1000) -> list[Alert]:
    """The alerts that were active at some time of this range, the newest first."""
    ended_ms = tables.alerts.c.ended_ms
    query = (
        _with_mutes()
        .where(tables.alerts.c.since_ms < end_ms)
        .where(ended_ms.is_(None) | (ended_ms > start_ms))
        .limit(limit)
    )
    return [_alert(row) for row in connection.execute(query)]


def by_id(connection: Connection, ids: Collection[int]) -> dict[int, Alert]:
    """Those of these ids that there are; of these no mute is said."""
    query = _with_mutes().where(tables.alerts.c.id.in_(ids))
    return {row.id: _alert(row) for row in connection.execute(query)}


def messages_of(connection: Connection, alert_ids: Sequence[int]) -> dict[int, list[AlertMessage]]:
    """The messages of these alerts, of each in the order in which they were made."""
    found: dict[int, list[AlertMessage]] = {one: [] for one in alert_ids}
    query = select(tables.messages).where(tables.messages.c.alert_id.in_(alert_ids))
    for message in _messages(connection.execute(query.order_by(tables.messages.c.id))):
        if message.alert_id is not None:
            found[message.alert_id].append(message)
    return found


def troubled(connection: Connection, limit: int = 50) -> list[AlertMessage]:
    """The messages that could not be sent so far, or were given up; the newest first."""
    c = tables.messages.c
    failing = and_(c.state == "waiting", c.trouble != "")
    query = select(tables.messages).where(failing | (c.state == "given_up"))
    return list(_messages(connection.execute(query.order_by(c.id.desc()).limit(limit))))


def muted(connection: Connection, now_ms: int) -> list[Mute]:
    """What is muted at this time, also without an alert that is active."""
    c = tables.mutes.c
    query = select(c.rule, c.subject, c.until_ms).where(c.until_ms > now_ms)
    query = query.order_by(c.rule, c.subject)
    return [Mute(**row._mapping) for row in connection.execute(query)]


def _with_mutes() -> Select[Any]:
    return (
        select(tables.alerts, tables.mutes.c.until_ms)
        .outerjoin(tables.mutes, _muting)
        .order_by(tables.alerts.c.id.desc())
    )


def _alert(row: Row[Any], now_ms: int | None = None) -> Alert:
    until_ms = row.until_ms
    is_muted = None not in (until_ms, now_ms) and until_ms > now_ms
    return Alert(
        id=row.id,
        rule=row.rule,
        kind=row.kind,
        subject=row.subject,
        since_ms=row.since_ms,
        entered_ms=row.entered_ms,
        ended_ms=row.ended_ms,
        ended=row.ended,
        facts=_facts(row.facts),
        end_facts=_facts(row.end_facts),
        muted_until_ms=until_ms if is_muted else None,
        reminded_ms=row.reminded_ms,
    )


def _facts(text: str) -> dict[str, Any]:
    """The facts; none where a card has changed a byte, which SQLite does not notice."""
    with suppress(ValueError):
        found = json.loads(text)
        if isinstance(found, dict):
            return found
    return {}


def _messages(rows: Iterable[Row[Any]]) -> Iterable[AlertMessage]:
    return (AlertMessage(**row._mapping) for row in rows)


def mute(connection: Connection, rule: str, subject: str, until_ms: int) -> None:
    """Send nothing of them until then (UTC epoch milliseconds); a former mute of them is over.

    What waits of them is not sent any more; one that is being sent at this moment still may arrive.
    """
    now_ms = clock.now_ms()
    values = {"until_ms": until_ms, "created_ms": now_ms}
    statement = insert(tables.mutes).values(rule=rule, subject=subject, **values)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["rule", "subject"], set_=values)
    )
    alert, message = tables.alerts.c, tables.messages.c
    theirs = select(alert.id).where(alert.rule == rule, alert.subject == subject)
    waiting = message.state == "waiting", message.alert_id.in_(theirs)
    settled = update(tables.messages).where(*waiting)
    connection.execute(settled.values(state="muted", settled_ms=now_ms))


def unmute(connection: Connection, rule: str, subject: str) -> None:
    """Send messages of them again, from the next occasion on."""
    c = tables.mutes.c
    connection.execute(delete(tables.mutes).where(c.rule == rule, c.subject == subject))


def is_muted(connection: Connection, rule: str, subject: str, now_ms: int) -> bool:
    """Whether nothing is sent of them at this time."""
    c = tables.mutes.c
    query = select(c.until_ms).where(c.rule == rule, c.subject == subject, c.until_ms > now_ms)
    return connection.execute(query).first() is not None
