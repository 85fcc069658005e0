"""The state file of alerts, an SQLite file of its own.

It never waits for the commit of a reading, no reading waits for it, and it can be used while the
database is damaged. It is small and may be deleted, also under a running service: then the messages
of each active alert are sent once more.
"""

import json
import logging
import os
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    QueuePool,
    Table,
    Text,
    UnaryExpression,
    and_,
    create_engine,
    delete,
    false,
    select,
    true,
    update,
)

from flask10x.alerts.alert import Alert, AlertMessage
from flask10x.config.settings import Settings
from flask10x.database.error_codes import reason_of
from flask10x.database.expressions import upsert
from flask10x.database.paths import JOURNAL, SHARED_MEMORY, WAL, beside
from flask10x.database.sqlite import driver
from flask10x.system import clock, disk

log = logging.getLogger(__name__)

# The tables of `alerts.sqlite3` in the data folder. All times are UTC epoch milliseconds. A change
# of these tables needs a new `VERSION`.

VERSION = 2
metadata = MetaData()

alerts = Table(
    "alerts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("rule", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("since_ms", Integer, nullable=False),
    Column("entered_ms", Integer, nullable=False),
    # NULL while it is active.
    Column("ended_ms", Integer),
    Column("ended", Text),
    # JSON objects.
    Column("facts", Text, nullable=False),
    Column("end_facts", Text, nullable=False, server_default="{}"),
    # The time of the last reminder, or else when the alert fired.
    Column("reminded_ms", Integer, nullable=False),
    sqlite_strict=True,
    sqlite_autoincrement=True,
)
# A rule and a subject have at most one active alert, also when two processes create one.
Index(
    "ux_alerts_active",
    alerts.c.rule,
    alerts.c.subject,
    unique=True,
    sqlite_where=alerts.c.ended_ms.is_(None),
)

# Each page reads the active alerts, and thousands may have ended.
Index("ix_alerts_ended", alerts.c.ended_ms)

# Until then no message about a rule and a subject is sent.
mutes = Table(
    "mutes",
    metadata,
    Column("rule", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("until_ms", Integer, nullable=False),
    Column("created_ms", Integer, nullable=False, server_default="0"),
    sqlite_strict=True,
)

# The messages, a row for each channel. They are made in the transaction that makes
# or ends the alert.
messages = Table(
    "messages",
    metadata,
    Column("id", Integer, primary_key=True),
    # NULL for a test and for the message about the daily limit.
    Column("alert_id", Integer, ForeignKey("alerts.id")),
    # entry, recovery, reminder, limit, test
    Column("occasion", Text, nullable=False),
    Column("way", Text, nullable=False),
    Column("created_ms", Integer, nullable=False),
    # The earliest time at which it is sent: the end of quiet hours, or the next try.
    Column("due_ms", Integer, nullable=False),
    Column("tries", Integer, nullable=False, server_default="0"),
    # waiting, sent, given_up, muted, over_limit, dropped
    Column("state", Text, nullable=False, server_default="waiting"),
    # When its state became other than waiting.
    Column("settled_ms", Integer),
    # Why the last try failed; empty where none has.
    Column("trouble", Text, nullable=False, server_default=""),
    sqlite_strict=True,
    sqlite_autoincrement=True,
)
Index("ix_messages_state_due", messages.c.state, messages.c.due_ms)
Index("ix_messages_alert", messages.c.alert_id)

# The receivers that have taken a message that is still waiting, so that each of the receivers of a
# channel gets it once.
taken = Table(
    "taken",
    metadata,
    Column("message_id", Integer, ForeignKey("messages.id"), primary_key=True),
    # A short hash of the URL of the receiver, which is a secret.
    Column("receiver", Text, primary_key=True),
    sqlite_strict=True,
)


NAME = "alerts.sqlite3"
# Transactions last milliseconds; the sync of a slow card may take seconds.
BUSY_TIMEOUT_SEC = 10.0


def path_of(settings: Settings) -> Path:
    """Return the path of the state file."""
    return settings.data_dir / NAME


class StateFile:
    """The connections of one process to the state file, opened at the first use.

    It must not be used across a fork. Several threads may use it.
    """

    def __init__(self, path: Path, busy_timeout_sec: float = BUSY_TIMEOUT_SEC) -> None:
        """The first use creates the file, readable by its owner only; its folder has to exist.

        A transaction waits at most `busy_timeout_sec` for another process that writes.
        """
        self.path = path
        self._busy_timeout_sec = busy_timeout_sec
        self._engine: Engine | None = None
        # Only one of several threads opens it.
        self._opening = threading.Lock()
        self._identity: tuple[int, int] | None = None

    def writing(self) -> AbstractContextManager[Connection]:
        """Begin a write transaction; raises sqlalchemy.exc.DBAPIError, and then stores nothing."""
        return self._transaction("BEGIN IMMEDIATE")

    def reading(self) -> AbstractContextManager[Connection]:
        """Begin a read transaction; raises sqlalchemy.exc.DBAPIError."""
        return self._transaction("BEGIN")

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        with self._opened().connect() as connection:
            connection.exec_driver_sql(begin)
            try:
                yield connection
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            connection.exec_driver_sql("COMMIT")

    def is_replaced(self) -> bool:
        """Whether the open file was deleted or replaced."""
        return self._engine is not None and _identity_of(self.path) != self._identity

    def close(self) -> None:
        """Close the connections; the next use opens them again."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _opened(self) -> Engine:
        with self._opening:
            if self._engine is None:
                self._engine = self._open()
            return self._engine

    def _open(self) -> Engine:
        # Only a new file is opened here: closing another one would drop SQLite's locks in this
        # process (https://www.sqlite.org/howtocorrupt.html, 2.2). SQLite raises other errors later.
        with suppress(OSError):
            descriptor = disk.private(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            disk.leave_to_owner(descriptor, self.path.parent)
            os.close(descriptor)
        engine = create_engine(
            "sqlite://",
            creator=self._connect,
            isolation_level="AUTOCOMMIT",
            # The URL is that of a database in memory, for which each thread would get its own.
            poolclass=QueuePool,
            pool_size=1,
            max_overflow=-1,
        )
        try:
            with engine.connect() as connection:
                version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
                # Setting it to the same value writes to the card, too.
                if version != VERSION:
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                    metadata.create_all(connection)
                    # The name of a rule in version 1.
                    for column in (alerts.c.rule, alerts.c.kind, mutes.c.rule):
                        renamed = update(column.table).where(column == "refused")
                        renamed = renamed.prefix_with("OR IGNORE").values({column: "rejected"})
                        connection.execute(renamed)
                    connection.exec_driver_sql(f"PRAGMA user_version = {VERSION}")
                    connection.exec_driver_sql("COMMIT")
        except BaseException:
            engine.dispose()
            raise
        self._identity = _identity_of(self.path)
        return engine

    def _connect(self) -> driver.Driver:
        connection = driver.connect(self.path, "mode=rwc", self._busy_timeout_sec)
        try:
            # As in the database: a lone commit writes whole pages (docs/decisions/0006). It only
            # takes effect when the file is created.
            connection.execute("PRAGMA page_size = 512")
            connection.execute("PRAGMA journal_mode = WAL")
            # A message whose state is lost in a power cut would be sent again.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            # The pool closes only what it was given.
            connection.close()
            raise
        return connection


def _identity_of(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def put_aside(file: StateFile, error: BaseException, moment: str) -> Path:
    """Rename a broken state file and its journals, and return the new path.

    The messages of active alerts are sent once more. Raises OSError when it can't be renamed.
    """
    file.close()
    aside = file.path.with_name(f"{file.path.name}.damaged-{moment}")
    # The file comes last: while it has its name, the next try continues.
    for suffix in (JOURNAL, WAL):
        if beside(file.path, suffix).exists():
            beside(file.path, suffix).rename(beside(aside, suffix))
    beside(file.path, SHARED_MEMORY).unlink(missing_ok=True)
    file.path.rename(aside)
    log.error("The state of alerts was broken (%s): it is now %s", reason_of(error), aside)
    return aside


@dataclass(frozen=True, kw_only=True, slots=True)
class Mute:
    """No message about a rule and a subject is sent until then (UTC epoch milliseconds)."""

    rule: str
    subject: str
    until_ms: int


def active(connection: Connection, now_ms: int) -> list[Alert]:
    """Return the active alerts, the newest first, with the mutes that hold at `now_ms`."""
    return _alerts(connection, alerts.c.ended_ms.is_(None), now_ms=now_ms)


def past(connection: Connection, before_id: int | None = None, limit: int = 50) -> list[Alert]:
    """Return the newest alerts that have ended, with ids below `before_id`.

    They have no mutes here, nor do those of `between` and `by_id`.
    """
    is_before = true() if before_id is None else alerts.c.id < before_id
    return _alerts(connection, alerts.c.ended_ms.is_not(None), is_before, limit=limit)


def between(connection: Connection, start_ms: int, end_ms: int, limit: int = 1000) -> list[Alert]:
    """Return the alerts that were active within this range, the newest first."""
    ended_ms = alerts.c.ended_ms
    is_within = alerts.c.since_ms < end_ms, ended_ms.is_(None) | (ended_ms > start_ms)
    return _alerts(connection, *is_within, limit=limit)


def by_id(connection: Connection, ids: Collection[int]) -> dict[int, Alert]:
    """Return the alerts that exist among these ids."""
    return {alert.id: alert for alert in _alerts(connection, alerts.c.id.in_(ids))}


def _alerts(
    connection: Connection,
    *which: ColumnElement[bool],
    now_ms: int | None = None,
    limit: int | None = None,
) -> list[Alert]:
    is_same = and_(mutes.c.rule == alerts.c.rule, mutes.c.subject == alerts.c.subject)
    holds = false() if now_ms is None else mutes.c.until_ms > now_ms
    query = select(alerts, mutes.c.until_ms.label("muted_until_ms"))
    query = query.outerjoin(mutes, is_same & holds).where(*which)
    rows = connection.execute(query.order_by(alerts.c.id.desc()).limit(limit)).mappings()
    return [
        Alert(
            firing_since_ms=row.pop("entered_ms"),
            facts=_facts(row.pop("facts")),
            end_facts=_facts(row.pop("end_facts")),
            **row,
        )
        for row in map(dict, rows)
    ]


def _facts(text: str) -> dict[str, Any]:
    """The facts; none where a card has changed a byte, which SQLite does not notice."""
    with suppress(ValueError):
        facts = json.loads(text)
        if isinstance(facts, dict):
            return facts
    return {}


def messages_of(connection: Connection, alert_ids: Sequence[int]) -> dict[int, list[AlertMessage]]:
    """Return the messages of each of these alerts, in the order in which they were created."""
    by_alert: dict[int, list[AlertMessage]] = {number: [] for number in alert_ids}
    is_of_them = messages.c.alert_id.in_(alert_ids)
    for message in _messages(connection, is_of_them, order=messages.c.id.asc()):
        by_alert[message.alert_id or 0].append(message)
    return by_alert


def troubled(connection: Connection, limit: int = 50) -> list[AlertMessage]:
    """Return the messages whose last try failed or that were given up, the newest first."""
    c = messages.c
    has_failed = and_(c.state == "waiting", c.trouble != "") | (c.state == "given_up")
    return _messages(connection, has_failed, order=c.id.desc(), limit=limit)


def waiting(connection: Connection, channel: str, limit: int) -> list[AlertMessage]:
    """Return the first waiting messages of a channel, in the order in which they were created."""
    c = messages.c
    is_waiting = and_(c.state == "waiting", c.way == channel)
    return _messages(connection, is_waiting, order=c.id.asc(), limit=limit)


def _messages(
    connection: Connection,
    which: ColumnElement[bool],
    *,
    order: UnaryExpression[int],
    limit: int | None = None,
) -> list[AlertMessage]:
    query = select(messages, alerts.c.rule).outerjoin(alerts, alerts.c.id == messages.c.alert_id)
    rows = connection.execute(query.where(which).order_by(order).limit(limit)).mappings()
    return [
        AlertMessage(channel=row.pop("way"), rule=row.pop("rule") or "", **row)
        for row in map(dict, rows)
    ]


def settle_waiting(
    connection: Connection,
    state: Literal["muted", "dropped"],
    now_ms: int,
    *which: ColumnElement[bool],
) -> None:
    """Give the waiting messages that meet these conditions a state in which they are not sent."""
    waiting = update(messages).where(messages.c.state == "waiting", *which)
    connection.execute(waiting.values(state=state, settled_ms=now_ms))


def muted(connection: Connection, now_ms: int, table: Table = mutes) -> list[Mute]:
    """Return the mutes that hold at this time, also those without an active alert.

    `table` is this one or that of all hosts, which has the same columns.
    """
    c = table.c
    query = select(c.rule, c.subject, c.until_ms).where(c.until_ms > now_ms)
    rows = connection.execute(query.order_by(c.rule, c.subject))
    return [Mute(**row._mapping) for row in rows]


def mute(
    connection: Connection, rule: str, subject: str, until_ms: int, table: Table = mutes
) -> None:
    """Send no message about them until then (UTC epoch milliseconds), instead of a former mute.

    Waiting messages are not sent any more; one that is being sent at this moment may still arrive.
    With the mutes of all hosts as `table` only those change: each state file follows them.
    """
    now_ms = clock.now_ms()
    values = {"rule": rule, "subject": subject, "until_ms": until_ms, "created_ms": now_ms}
    connection.execute(upsert(table).values(values))
    if table is mutes:
        alert = alerts.c
        muted_alerts = select(alert.id).where(alert.rule == rule, alert.subject == subject)
        is_muted = messages.c.alert_id.in_(muted_alerts)
        settle_waiting(connection, "muted", now_ms, is_muted)


def unmute(connection: Connection, rule: str, subject: str, table: Table = mutes) -> None:
    """Send messages about them again, from the next occasion on."""
    connection.execute(delete(table).where(table.c.rule == rule, table.c.subject == subject))


def is_muted(connection: Connection, rule: str, subject: str, now_ms: int) -> bool:
    """Whether messages about them are muted at this time."""
    c = mutes.c
    query = select(c.until_ms).where(c.rule == rule, c.subject == subject, c.until_ms > now_ms)
    return connection.execute(query).first() is not None
