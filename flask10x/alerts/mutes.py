"""Mutes: for a time nothing is sent of a rule and a subject; alerts are noted all the same."""

from sqlalchemy import Connection, delete
from sqlalchemy.dialects.sqlite import insert

from flask10x.alerts import tables


def mute(connection: Connection, rule: str, subject: str, until_ms: int) -> None:
    """Send nothing of them until then (UTC epoch milliseconds); a former mute of them is over."""
    statement = insert(tables.mutes).values(rule=rule, subject=subject, until_ms=until_ms)
    replaced = statement.on_conflict_do_update(
        index_elements=["rule", "subject"], set_={"until_ms": until_ms}
    )
    connection.execute(replaced)


def unmute(connection: Connection, rule: str, subject: str) -> None:
    """Send messages of them again, from the next occasion on."""
    c = tables.mutes.c
    connection.execute(delete(tables.mutes).where(c.rule == rule, c.subject == subject))
