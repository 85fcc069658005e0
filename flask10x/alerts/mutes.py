"""Mutes: for a time nothing is sent of a rule and a subject; alerts are noted all the same."""

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects.sqlite import insert

from flask10x.alerts import tables
from flask10x.system import clock


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
