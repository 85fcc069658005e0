"""What an error of PostgreSQL means for an operator of the service, and what helps against it.

The server's own words name a lock that was not to be had, a right or a statement. Who holds the
lock, which GRANT is missing, and that the server is a standby, has to be asked for.
"""

import re
from collections.abc import Callable
from gettext import gettext as _
from math import ceil
from typing import Any

from sqlalchemy import URL, Connection
from sqlalchemy import text as sql

from flask10x.database.error_codes import code_of
from flask10x.database.postgres.statements import quote

Question = Callable[[Connection], str]
Ask = Callable[[Question], str]

# SQLSTATE (https://www.postgresql.org/docs/17/errcodes-appendix.html).
NOT_GRANTED, READ_ONLY, NO_LOCK = "42501", "25006", "55P03"
# Without USAGE on a schema its tables look as if they were not there, and none can be made.
NO_TABLE, NO_SCHEMA = "42P01", "3F000"
# The reason of a connection that is refused comes without a code, in the server's language; the
# name of the right is in each of them.
NO_CONNECT = "CONNECT"
# All that is shown of another session's statement. The rest may hold a password, in a literal,
# between dollars or in a comment, and `/readyz` shows the reason to all who reach it.
KEYWORD = re.compile(r"\s*([A-Za-z]+)")
# What the question reads may be locked, too.
ASK_MS = 200

_IS_STANDBY = sql("SELECT pg_is_in_recovery()")
_SEES_SCHEMA = sql("SELECT current_schema() IS NOT NULL")
# The schema as it would be if the role might use it.
_WHO_AND_WHERE = sql("SELECT current_user, coalesce(current_schema(), 'public')")
_WAIT_BRIEFLY = sql(f"SET LOCAL lock_timeout = {ASK_MS}")
_SESSIONS = """
SELECT DISTINCT session.pid, session.usename, session.application_name,
       host(session.client_addr) AS address, session.state, session.xact_start,
       extract(epoch FROM clock_timestamp() - session.xact_start)::float8 AS since_sec,
       session.query
FROM pg_locks AS held JOIN pg_stat_activity AS session ON session.pid = held.pid
WHERE held.granted AND held.pid <> pg_backend_pid() AND {which} ORDER BY session.xact_start
"""
# A table that is changed, or that a person has locked: what a commit does has to wait.
_HOLD_A_TABLE = sql(
    _SESSIONS.format(
        which="""held.locktype = 'relation'
AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND held.relation IN (SELECT oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace)
AND held.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')"""
    )
)
# A lock of a row is not in `pg_locks`, so that `pg_blocking_pids` knows it only while one waits:
# the row names the transaction that has locked it, and that one holds a lock of itself.
_HOLD_THE_TURN = sql(
    _SESSIONS.format(
        which="""held.locktype = 'transactionid'
AND held.transactionid = (SELECT xmax FROM log WHERE name = 'readings')"""
    )
)


def advice(error: BaseException, url: URL, ask: Ask) -> str:
    """What helps, in one line; empty where the server's own words say it.

    `ask` answers by another connection than the one with the error, and may raise
    sqlalchemy.exc.DBAPIError.
    """
    code = code_of(error)
    questions = {
        NO_LOCK: holder,
        READ_ONLY: _why_read_only,
        NOT_GRANTED: _missing_rights,
        NO_TABLE: _missing_schema,
        NO_SCHEMA: _missing_schema,
    }
    if code in questions:
        return ask(questions[code])
    if NO_CONNECT in str(getattr(error, "orig", "")):
        text = _("the role may not connect; as the owner of the database: {grant}")
        role = quote(url.username) if url.username else "flask10x"
        grant = f"GRANT CONNECT ON DATABASE {quote(url.database or '')} TO {role}"
        return text.format(grant=grant)
    return ""


def holder(connection: Connection) -> str:
    """Return which session blocks commits at this moment; empty where it is unknown."""
    connection.execute(_WAIT_BRIEFLY)
    for question in (_HOLD_A_TABLE, _HOLD_THE_TURN):
        if row := connection.execute(question).first():
            return _in_words(row)
    return ""


def _in_words(row: Any) -> str:
    # A role that may not see others' sessions sees that they are there, and whose.
    details = [_("process {pid}").format(pid=row.pid)]
    if row.address:
        details.append(row.address)
    if row.since_sec is not None:
        details.append(_("for {sec} s").format(sec=ceil(row.since_sec)))
    if row.state:
        details.append(row.state)
    words = _("held by {name} ({details})").format(
        name=row.application_name or row.usename, details=", ".join(details)
    )
    keyword = KEYWORD.match(row.query or "") if row.state else None
    return f"{words}: {keyword[1]}" if keyword else words


def _why_read_only(connection: Connection) -> str:
    if connection.execute(_IS_STANDBY).scalar_one():
        return _(
            "this server is a standby, which takes no writes: name the primary in"
            " FLASK10X_DATABASE_URL, or all servers of the cluster"
        )
    return _("the role or the database is read-only (default_transaction_read_only)")


def _missing_rights(connection: Connection) -> str:
    role, schema = connection.execute(_WHO_AND_WHERE).one()
    grants = (
        f"GRANT USAGE, CREATE ON SCHEMA {quote(schema)} TO {quote(role)};"
        " GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA"
        f" {quote(schema)} TO {quote(role)}"
    )
    text = _("the role lacks a right; as the owner of the tables: {grants}")
    return text.format(grants=grants)


def _missing_schema(connection: Connection) -> str:
    """Empty where the schema is seen, and only the table is not there."""
    return "" if connection.execute(_SEES_SCHEMA).scalar_one() else _missing_rights(connection)
