"""The tables of the state file of alerts, `alerts.sqlite3` in the data folder.

All times are UTC epoch milliseconds. A change of these tables is a new `VERSION`.
"""

from sqlalchemy import Column, ForeignKey, Index, Integer, MetaData, Table, Text

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

# What is to be sent, was sent, or was not: a row for each way. Made in the transaction that makes
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

# Who has taken a message that is still waiting: of a way with several receivers each gets it once.
taken = Table(
    "taken",
    metadata,
    Column("message_id", Integer, ForeignKey("messages.id"), primary_key=True),
    # A short hash of the receiver's URL, which is a secret.
    Column("receiver", Text, primary_key=True),
    sqlite_strict=True,
)
