"""Alerts of several hosts: what the database knows of them, so that each is told once.

Whoever has the lease of the alerts writes here before he writes to his state file, and the other
hosts follow. On SQLite there is one host, and these tables are not there.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, select, update

from flask10x.alerts.stored_alerts import Mute
from flask10x.alerts.transitions import Changes
from flask10x.config.alerts.rules import Kind
from flask10x.database.expressions import upsert
from flask10x.database.postgres.tables import active_alerts, alert_mutes
from flask10x.system import clock

# What is true of the database, and not of one host.
KINDS: frozenset[Kind] = frozenset(
    ("silence", "threshold", "rate", "failed_sensor", "refused", "export")
)
Key = tuple[str, str]
"""A rule and its subject."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedAlert:
    """One that is active, or over and not told yet; times are UTC epoch milliseconds."""

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
    """A JSON array of the ways that were told of it; empty while that is under way."""

    @property
    def key(self) -> Key:
        return self.rule, self.subject

    @property
    def told(self) -> list[str]:
        """The ways that have been told of it."""
        found: list[str] = json.loads(self.ways or "[]")
        return found

    @property
    def is_settled(self) -> bool:
        """Whether nothing of it is still to be told."""
        return bool(self.ways) and self.ended_ms is None


def load(connection: Connection) -> dict[Key, SharedAlert]:
    """All of them."""
    rows = connection.execute(select(active_alerts)).mappings()
    return {(row["rule"], row["subject"]): SharedAlert(**row) for row in rows}


def put(connection: Connection, found: Changes, now_ms: int) -> None:
    """Note these changes; what is noted already stays."""
    for alert, ended, _ in found.ends:
        which = _is(alert.rule, alert.subject)
        if ended == "recovered":
            connection.execute(update(active_alerts).where(*which).values(ended_ms=now_ms))
        else:
            connection.execute(delete(active_alerts).where(*which))
    for verdict in found.entries:
        which = _is(verdict.rule, verdict.subject)
        # One that is over, and of which somebody is just being told so, makes room.
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


def settle(connection: Connection, alert: SharedAlert, ways: Collection[str]) -> None:
    """Nothing of it is to be told any more; `ways` are those that were told that it began."""
    which = *_is(alert.rule, alert.subject), active_alerts.c.entered_ms == alert.entered_ms
    if alert.ended_ms is not None:
        connection.execute(delete(active_alerts).where(*which))
        return
    told = update(active_alerts).where(*which).values(ways=json.dumps(sorted(ways)))
    connection.execute(told)


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
