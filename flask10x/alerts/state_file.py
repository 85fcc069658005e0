"""The state file of alerts: an SQLite file of its own, so that it never waits for a reading's
commit, and no reading waits for it; and so that it can be used while the database is damaged.

It is small and may be deleted, also under a running service: then each alert that is active is
notified of once more.
"""

import json
import logging
import os
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    QueuePool,
    Row,
    Select,
    Table,
    Text,
    and_,
    create_engine,
    delete,
    event,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert

from flask10x.alerts.alert import Alert, AlertMessage
from flask10x.config.settings import Settings
from flask10x.database.error_codes import reason_of
from flask10x.database.paths import JOURNAL, SHARED_MEMORY, WAL, beside
from flask10x.database.sqlite import driver
from flask10x.system import clock, disk

# The tables of the state file of alerts, `alerts.sqlite3` in the data folder.
#
# All times are UTC epoch milliseconds. A change of these tables is a new `VERSION`.

VERSION = 1
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
    # When the last reminder was made, or the entry.
    Column("reminded_ms", Integer, nullable=False),
    sqlite_strict=True,
    sqlite_autoincrement=True,
)
# Of one rule and subject only one can be active: of two processes one makes it.
Index(
    "ux_alerts_active",
    alerts.c.rule,
    alerts.c.subject,
    unique=True,
    sqlite_where=alerts.c.ended_ms.is_(None),
)

# Each page asks for those that are active, and thousands may be over.
Index("ix_alerts_ended", alerts.c.ended_ms)

# Of a rule and a subject nothing is sent until then.
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
    # NULL for a test and for what is said of the daily limit.
    Column("alert_id", Integer, ForeignKey("alerts.id")),
    # entry, recovery, reminder, limit, test
    Column("occasion", Text, nullable=False),
    Column("way", Text, nullable=False),
    Column("created_ms", Integer, nullable=False),
    # Not before this: quiet hours, or the next try.
    Column("due_ms", Integer, nullable=False),
    Column("tries", Integer, nullable=False, server_default="0"),
    # waiting, sent, given_up, muted, over_limit, dropped
    Column("state", Text, nullable=False, server_default="waiting"),
    # When it got a state other than waiting.
    Column("settled_ms", Integer),
    # Why the last try failed; empty: none has.
    Column("trouble", Text, nullable=False, server_default=""),
    sqlite_strict=True,
    sqlite_autoincrement=True,
)
Index("ix_messages_state_due", messages.c.state, messages.c.due_ms)
Index("ix_messages_alert", messages.c.alert_id)

# One row: by which clock the times above were written. See `clock_jumps.py`.
clocks = Table(
    "clocks",
    metadata,
    Column("boot", Text, primary_key=True),
    # How far the wall clock is ahead of CLOCK_MONOTONIC.
    Column("ahead_ms", Integer, nullable=False),
    sqlite_strict=True,
)

# The receivers that have taken a message that is still waiting, so that each of the receivers of a
# channel gets it once.
taken = Table(
    "taken",
    metadata,
    Column("message_id", Integer, ForeignKey("messages.id"), primary_key=True),
    # A short hash of the receiver's URL, which is a secret.
    Column("receiver", Text, primary_key=True),
    sqlite_strict=True,
)


NAME = "alerts.sqlite3"
# Transactions last milliseconds; the sync of a slow card may take seconds.
BUSY_TIMEOUT_SEC = 10.0


def path_of(settings: Settings) -> Path:
    """Where the state file of these settings is."""
    return settings.data_dir / NAME


class StateFile:
    """One process's way to the state file. Nothing is opened before the first use.

    Never carry one across a fork. Several threads may use it.
    """

    def __init__(self, path: Path, busy_timeout_sec: float = BUSY_TIMEOUT_SEC) -> None:
        """The file need not exist; the first use makes it, private, in a folder that exists.

        A use waits no longer than `busy_timeout_sec` for another process that writes.
        """
        self.path = path
        self._busy_timeout_sec = busy_timeout_sec
        self._engine: Engine | None = None
        # Of threads that use it first at once, one opens it.
        self._opening = threading.Lock()
        self._identity: tuple[int, int] | None = None

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A write transaction; raises sqlalchemy.exc.DBAPIError, and then nothing is stored."""
        with self._opened().connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            connection.exec_driver_sql("COMMIT")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One state of the file; raises sqlalchemy.exc.DBAPIError."""
        with self._opened().connect() as connection:
            connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                connection.exec_driver_sql("ROLLBACK")

    def is_replaced(self) -> bool:
        """Whether what is open is not the file of that name any more: deleted, or another one."""
        return self._engine is not None and _identity_of(self.path) != self._identity

    def close(self) -> None:
        """Close it; the next use opens it again."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _opened(self) -> Engine:
        with self._opening:
            if self._engine is None:
                self._engine = self._open()
            return self._engine

    def _open(self) -> Engine:
        _make(self.path)
        engine = create_engine(
            "sqlite://",
            creator=lambda: driver.connect(self.path, "mode=rwc", self._busy_timeout_sec),
            isolation_level="AUTOCOMMIT",
            # By its URL it would be a database in memory, of which each thread has one.
            poolclass=QueuePool,
            pool_size=1,
            max_overflow=-1,
        )
        event.listen(engine, "connect", _prepare)
        try:
            with engine.connect() as connection:
                _make_tables(connection)
        except BaseException:
            engine.dispose()
            raise
        self._identity = _identity_of(self.path)
        return engine


def _make(path: Path) -> None:
    """Make an empty file unless there is one; what is in the way SQLite says itself."""
    # Only a new one is opened here: closing another one would drop SQLite's locks in this process
    # (https://www.sqlite.org/howtocorrupt.html, 2.2).
    with suppress(OSError):
        made = disk.private(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        disk.leave_to_owner(made, path.parent)
        os.close(made)


def _make_tables(connection: Connection) -> None:
    version = "PRAGMA user_version"
    # Setting it writes to the card also when it is the same.
    if connection.exec_driver_sql(version).scalar_one() == VERSION:
        return
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    metadata.create_all(connection)
    connection.exec_driver_sql(f"{version} = {VERSION}")
    connection.exec_driver_sql("COMMIT")


def _identity_of(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _prepare(connection: driver.Driver, _record: object) -> None:
    # As of the database: a lone commit writes whole pages, to a card (docs/decisions/0006). It only
    # takes effect when the file is made.
    connection.execute("PRAGMA page_size = 512")
    connection.execute("PRAGMA journal_mode = WAL")
    # A message that was sent and is forgotten in a power cut would be sent again.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


log = logging.getLogger(__name__)


def put_aside(file: StateFile, error: BaseException, moment: str) -> Path:
    """Rename a broken state file, with what SQLite keeps beside it; where it is now.

    Alerts that are active are notified of once more. Raises OSError when it can't be renamed.
    """
    file.close()
    aside = file.path.with_name(f"{file.path.name}.damaged-{moment}")
    # The file last: as long as it is there by its name, the next try does the rest.
    for suffix in (JOURNAL, WAL):
        if beside(file.path, suffix).exists():
            beside(file.path, suffix).rename(beside(aside, suffix))
    beside(file.path, SHARED_MEMORY).unlink(missing_ok=True)
    file.path.rename(aside)
    log.error("The state of alerts was broken (%s): it is now %s", reason_of(error), aside)
    return aside


_muting = and_(mutes.c.rule == alerts.c.rule, mutes.c.subject == alerts.c.subject)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mute:
    """Of a rule and a subject nothing is sent until then (UTC epoch milliseconds)."""

    rule: str
    subject: str
    until_ms: int


def active(connection: Connection, now_ms: int) -> list[Alert]:
    """The alerts that are active, the newest first; `now_ms` decides which mutes still hold."""
    query = _with_mutes().where(alerts.c.ended_ms.is_(None))
    return [_alert(row, now_ms) for row in connection.execute(query)]


def past(connection: Connection, before_id: int | None = None, limit: int = 50) -> list[Alert]:
    """The alerts that have ended, the newest entry first: those with lower ids, so many.

    Of these and of `between` no mute is said.
    """
    query = _with_mutes().where(alerts.c.ended_ms.is_not(None)).limit(limit)
    if before_id is not None:
        query = query.where(alerts.c.id < before_id)
    return [_alert(row) for row in connection.execute(query)]


def between(connection: Connection, start_ms: int, end_ms: int, limit: int = 1000) -> list[Alert]:
    """The alerts that were active at some time of this range, the newest first."""
    ended_ms = alerts.c.ended_ms
    query = (
        _with_mutes()
        .where(alerts.c.since_ms < end_ms)
        .where(ended_ms.is_(None) | (ended_ms > start_ms))
        .limit(limit)
    )
    return [_alert(row) for row in connection.execute(query)]


def by_id(connection: Connection, ids: Collection[int]) -> dict[int, Alert]:
    """Those of these ids that there are; of these no mute is said."""
    query = _with_mutes().where(alerts.c.id.in_(ids))
    return {row.id: _alert(row) for row in connection.execute(query)}


def messages_of(connection: Connection, alert_ids: Sequence[int]) -> dict[int, list[AlertMessage]]:
    """The messages of these alerts, of each in the order in which they were made."""
    found: dict[int, list[AlertMessage]] = {one: [] for one in alert_ids}
    query = select(messages).where(messages.c.alert_id.in_(alert_ids))
    for message in _messages(connection.execute(query.order_by(messages.c.id))):
        if message.alert_id is not None:
            found[message.alert_id].append(message)
    return found


def troubled(connection: Connection, limit: int = 50) -> list[AlertMessage]:
    """The messages that could not be sent so far, or were given up; the newest first."""
    c = messages.c
    failing = and_(c.state == "waiting", c.trouble != "")
    query = select(messages).where(failing | (c.state == "given_up"))
    return list(_messages(connection.execute(query.order_by(c.id.desc()).limit(limit))))


def muted(connection: Connection, now_ms: int) -> list[Mute]:
    """What is muted at this time, also without an alert that is active."""
    c = mutes.c
    query = select(c.rule, c.subject, c.until_ms).where(c.until_ms > now_ms)
    query = query.order_by(c.rule, c.subject)
    return [Mute(**row._mapping) for row in connection.execute(query)]


def _with_mutes() -> Select[Any]:
    return select(alerts, mutes.c.until_ms).outerjoin(mutes, _muting).order_by(alerts.c.id.desc())


def _alert(row: Row[Any], now_ms: int | None = None) -> Alert:
    until_ms = row.until_ms
    is_muted = None not in (until_ms, now_ms) and until_ms > now_ms
    return Alert(
        id=row.id,
        rule=row.rule,
        kind=row.kind,
        subject=row.subject,
        since_ms=row.since_ms,
        firing_since_ms=row.entered_ms,
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


def _messages(rows: Iterable[Row[Any]]) -> Iterator[AlertMessage]:
    for row in rows:
        values = dict(row._mapping)
        yield AlertMessage(channel=values.pop("way"), **values)


def mute(connection: Connection, rule: str, subject: str, until_ms: int) -> None:
    """Send nothing of them until then (UTC epoch milliseconds); a former mute of them is over.

    What waits of them is not sent any more; one that is being sent at this moment still may arrive.
    """
    now_ms = clock.now_ms()
    values = {"until_ms": until_ms, "created_ms": now_ms}
    statement = insert(mutes).values(rule=rule, subject=subject, **values)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["rule", "subject"], set_=values)
    )
    alert, message = alerts.c, messages.c
    theirs = select(alert.id).where(alert.rule == rule, alert.subject == subject)
    waiting = message.state == "waiting", message.alert_id.in_(theirs)
    settled = update(messages).where(*waiting)
    connection.execute(settled.values(state="muted", settled_ms=now_ms))


def unmute(connection: Connection, rule: str, subject: str) -> None:
    """Send messages of them again, from the next occasion on."""
    c = mutes.c
    connection.execute(delete(mutes).where(c.rule == rule, c.subject == subject))


def is_muted(connection: Connection, rule: str, subject: str, now_ms: int) -> bool:
    """Whether nothing is sent of them at this time."""
    c = mutes.c
    query = select(c.until_ms).where(c.rule == rule, c.subject == subject, c.until_ms > now_ms)
    return connection.execute(query).first() is not None
