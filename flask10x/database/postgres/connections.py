"""What only PostgreSQL knows of connections: time limits, one commit at a time, warnings.

Everything of a session is set for a transaction only, so that PgBouncer may give each transaction
another connection (https://www.pgbouncer.org/features.html, transaction pooling).
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from gettext import gettext as _
from math import inf
from typing import Any, Literal

from sqlalchemy import (
    Connection,
    Engine,
    ExceptionContext,
    create_engine,
    event,
    inspect,
    make_url,
)
from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database.engine import Connections
from flask10x.database.error_codes import (
    WRITE_BUSY_TIMEOUT_MS,
    QueryTooLong,
    code_of,
    reason_of,
)
from flask10x.database.paths import shown_name
from flask10x.database.postgres import driver, server
from flask10x.database.postgres.statements import HOST, READS_CATALOG
from flask10x.database.tables import log
from flask10x.errors import CommitNotReplicated, SchemaError

Mode = Literal["read", "write"]

# How long the server may say nothing after a statement: what a commit runs takes parts of a second,
# and a COMMIT also waits for the standby.
WRITE_SILENCE_SEC = 30.0
# How long one may do nothing in a transaction that commits: a host that hangs, or is cut
# off, must not keep the others from it. It is the server that ends it. A healthy host takes
# milliseconds between two statements, and one that was ended for nothing tries once more.
IDLE_MS = 3_000
# The same where no commit waits: a backup or an export writes to a slow disk between two
# statements, and a migration that was ended has to start again.
READ_IDLE_MS = 3_600_000
MIGRATION_IDLE_MS = 30_000
IDLE_LIMIT = "idle_in_transaction_session_timeout"
# PostgreSQL knows `transaction_timeout` from this version on; an older one refuses its name
# (https://www.postgresql.org/docs/17/runtime-config-client.html#GUC-TRANSACTION-TIMEOUT).
TRANSACTION_TIMEOUT_SINCE = 170_000
# What has no limit of its own may take minutes: a check, hours that are recomputed.
READ_SILENCE_SEC = 600.0
# The limit is the server's; this is for one that does not answer.
BEYOND_LIMIT_SEC = 5.0
# A table that is changed may be a large one.
MIGRATION_SILENCE_SEC = 3600.0
# How long one of several hosts may take to answer before the next one is tried.
CONNECT_TIMEOUT_SEC = 5
# A host that is gone says nothing. The first question comes after so long, further ones follow, and
# after the last the connection is given up: 11 seconds at most (libpq's `keepalives_*`).
KEEPALIVES = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
# What was sent and never acknowledged ends a connection after so long, at the latest.
TCP_USER_TIMEOUT_MS = 11_000
# SQLSTATE of a statement that took longer than it may, or was cancelled.
CANCELED = "57014"
# The row that each commit locks (`database/tables.py`): the lock is let go only after the commit
# can be seen, so the next one sees all of the one before.
# Where the row is missing that no setting has this name is the error: what follows is sent without
# waiting for an answer, and must not be done.
TURN_LOST = "flask10x.turn_lost"
TAKE_THE_TURN = (
    "SELECT coalesce((SELECT last_id FROM log WHERE name = 'readings' FOR UPDATE),"  # noqa: S608
    f" CAST(current_setting('{TURN_LOST}') AS BIGINT))"
)
TAKE_THE_TURN_NOW = TAKE_THE_TURN.replace("FOR UPDATE", "FOR UPDATE NOWAIT")
# A role or a database may have another level by default; one that only reads is meant to be so.
BEGIN = {
    "read": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    "write": "BEGIN ISOLATION LEVEL READ COMMITTED",
}
# A warning before the COMMIT isn't about the COMMIT, so it is not sent.
BEFORE_COMMIT = "SET LOCAL client_min_messages = error"
COMMIT = "SET LOCAL client_min_messages = warning; COMMIT"
# How to put it back: ids are not used twice, also those of rows that were removed.
PUT_BACK = (
    "INSERT INTO log (name, last_id) SELECT 'readings', greatest(max(id), (SELECT max(last_id)"
    " FROM csv_files), (SELECT max(last_id) FROM followers), (SELECT max(last_id) FROM removed), 0)"
    " FROM readings"
)
NO_WAIT_NAME = "flask10x_no_wait"
NO_WAIT = {NO_WAIT_NAME: True}
# Of a migration, which makes the table with that row. A number of an advisory lock is shared with
# all other programs of the database, so it is one that hardly another has: the bytes of `flask10x`.
TAKE_THE_MIGRATION = f"SELECT pg_advisory_xact_lock({int.from_bytes(b'flask10x', 'big')})"
# An autovacuum of a large table is in the way for minutes. PostgreSQL ends it for one who waits
# longer than `deadlock_timeout`, a second: who gives up then never gets there.
BEYOND_AUTOVACUUM = 1.5
# How long one host waits for the migration of another one.
MIGRATION_TIMEOUT_MS = 60_000
# What decides how a statement is run: parallel workers are for one who asks much once, not for many
# pages at once, and to compile a page's statement takes longer than the statement. And a float has
# to come as it was stored, whatever the server's own setting says.
PLANNING: dict[str, object] = {
    "max_parallel_workers_per_gather": 0,
    "jit": "off",
    "extra_float_digits": 1,
}
# What pages ask for lies in ranges of an index. Of ranges that come as a list the planner knows
# nothing, and would rather read the whole table, or the whole of an index to join it.
BY_INDEX = dict.fromkeys(("enable_seqscan", "enable_hashjoin", "enable_mergejoin"), "off")

# Who asks how the service is waits no longer for a server, all in all: Prometheus, a proxy and a
# person give up soon after.
PROMPT_SEC = 1.5


class PostgresConnections(Connections):
    """The connections of one process to PostgreSQL: an engine to read and one to write."""

    def __init__(self, settings: Settings, busy_timeout_ms: int = WRITE_BUSY_TIMEOUT_MS) -> None:
        """Opens none yet. A commit waits so long for another host."""
        self._settings = settings
        self._warnings: list[str] = []
        self._commits = False
        self._patience = driver.Patience()
        self.reader = _engine(settings, "read")
        self.writer = _engine(settings, "write")
        self._is_closed = False
        self._answering = driver.Answering(self._ask_nothing)
        self._connect_to_what_answers()
        for engine in (self.reader, self.writer):
            driver.use(engine, self._patience)
            driver.send_together(engine)
            self._note_answers(engine)
        synchronous = "on" if settings.commits_synchronously else "off"
        self._synchronous = {"synchronous_commit": synchronous}
        self._busy_timeout_ms = busy_timeout_ms
        self._hear(self.writer)

        def begin_reading(connection: Connection) -> None:
            begin = (BEGIN["read"], _set(_settings(connection, READ_IDLE_MS)))
            driver.connection_of(connection).begin(begin, then_silence_max_sec=READ_SILENCE_SEC)

        event.listen(self.reader, "begin", begin_reading)

        @event.listens_for(self.writer, "begin")
        def begin_writing(connection: Connection) -> None:
            no_wait = connection.get_execution_options().get(NO_WAIT_NAME)
            driver.connection_of(connection).allow_silence(WRITE_SILENCE_SEC)
            take = TAKE_THE_TURN_NOW if no_wait else TAKE_THE_TURN
            waits = {"lock_timeout": busy_timeout_ms}
            settings = _settings(connection, IDLE_MS) | self._synchronous | waits
            driver.connection_of(connection).begin(
                (BEGIN["write"], _set(settings), BEFORE_COMMIT, take)
            )

    @contextmanager
    def limit(self, connection: Connection, timeout_sec: float) -> Iterator[None]:
        """Break off what the block runs on the connection once the time is over.

        To be called within a transaction. Raises QueryTooLong then; half of the time later, at the
        latest.
        """
        session = driver.connection_of(connection)
        try:
            session.limit(timeout_sec, _set(BY_INDEX))
            session.allow_silence(timeout_sec + BEYOND_LIMIT_SEC)
            yield
        except DBAPIError as error:
            if code_of(error) == CANCELED:
                raise QueryTooLong(timeout_sec) from error
            raise
        finally:
            session.limit(inf)

    def by_index(self, connection: Connection) -> None:
        """Let the transaction read by an index where the planner would read a whole table."""
        driver.connection_of(connection).add(_set({"enable_seqscan": "off"}))

    @contextmanager
    def promptly(self) -> Iterator[None]:
        """In the block no server is waited for longer than a program that asks does.

        Raises sqlalchemy.exc.DBAPIError or TimeoutError when it does not answer.
        """
        self._answering.require(PROMPT_SEC)
        with driver.impatient(PROMPT_SEC):
            yield

    def _ask_nothing(self) -> None:
        pool = self.reader.pool
        with self.reader.begin() as connection:
            driver.send(connection)
        if self._is_closed:
            # The answer came after the other connections were closed. A connection goes back to the
            # pool that it came from, and closing has given the engine another pool.
            pool.dispose()
            self.reader.dispose()

    @contextmanager
    def migration(self) -> Iterator[Connection]:
        """A write transaction while no other host migrates, and none commits if any can.

        Raises SchemaError when the database does not keep all texts.
        """
        engine = _engine(self._settings, "write")
        setattr(engine.dialect, READS_CATALOG, True)
        driver.use(engine, self._patience)
        self._note_answers(engine)
        self._hear(engine)
        try:
            with engine.begin() as connection:
                driver.connection_of(connection).allow_silence(MIGRATION_SILENCE_SEC)
                longer = {"lock_timeout": MIGRATION_TIMEOUT_MS}
                settings = _settings(connection, MIGRATION_IDLE_MS) | self._synchronous | longer
                begin = (BEGIN["write"], _set(settings), BEFORE_COMMIT, TAKE_THE_MIGRATION)
                driver.connection_of(connection).begin(begin)
                driver.send(connection)
                # A change of a table waits for its readers, and all other sessions wait behind it.
                waits_ms = self._busy_timeout_ms * BEYOND_AUTOVACUUM
                connection.exec_driver_sql(_set({"lock_timeout": round(waits_ms)}))
                encoding = server.encoding(connection)
                if encoding != server.ENCODING:
                    text = _(
                        "the database {path} is in {encoding}, which lacks letters of texts; make"
                        " one by createdb --encoding {wanted} --locale C.UTF-8 --template template0"
                    )
                    named = {"encoding": encoding, "wanted": server.ENCODING}
                    raise SchemaError(text.format(path=shown_name(self._settings), **named))
                if inspect(connection).has_table(log.name):
                    connection.exec_driver_sql(TAKE_THE_TURN)
                yield connection
        finally:
            engine.dispose()

    def probe(self) -> None:
        """Take what a commit needs and give it back, without waiting for it."""
        connections = self.writer.connect().execution_options(**NO_WAIT)
        with connections as connection, connection.begin() as transaction:
            driver.send(connection)
            transaction.rollback()

    def begin(self, connection: Connection) -> None:
        """Have the transaction begun, and the turn taken, before anything else is done."""
        driver.connection_of(connection).allow_silence(driver.ANSWER_WITHIN_SEC)
        driver.send(connection)
        driver.connection_of(connection).allow_silence(WRITE_SILENCE_SEC)

    def check_commit(self) -> None:
        """Raise CommitNotReplicated when the commit that has just ended is on one machine only.

        PostgreSQL says so by a warning of the COMMIT, which succeeds
        (https://www.postgresql.org/docs/17/warm-standby.html#SYNCHRONOUS-REPLICATION).
        """
        if self._warnings:
            raise CommitNotReplicated("; ".join(self._warnings))

    def break_off(self) -> None:
        """End what waits for the server within a second, here and from now on."""
        self._patience.max_sec = driver.ENDING_SEC

    def close(self, *engines: Engine) -> None:
        """Close the connections of these engines."""
        self._is_closed = self._is_closed or self.reader in engines
        for engine in engines:
            engine.dispose()

    def leave(self) -> None:
        """Close all."""
        self.close(self.reader, self.writer)

    def _note_answers(self, engine: Engine) -> None:
        """Note in `no_answer` whether the server has answered its last question."""

        @event.listens_for(engine, "handle_error")
        def failed(context: ExceptionContext) -> None:
            if context.connection is None or context.is_disconnect:
                self.no_answer = reason_of(context.original_exception)
            if TURN_LOST in str(context.original_exception):
                text = _(
                    "the table log has lost its row 'readings', and nothing is stored before it is"
                    " back; as the owner of the tables: {statement}"
                )
                lost = driver.TurnLost(text.format(statement=PUT_BACK))
                raise DBAPIError("", None, lost) from context.original_exception

        @event.listens_for(engine, "after_cursor_execute")
        def answered(*_arguments: object) -> None:
            self.no_answer = ""

    def _connect_to_what_answers(self) -> None:
        """Once the server was lost, only the thread that asks whether it answers waits for it.

        A new connection waits for each of several hosts, and few threads answer pages: while all of
        them wait, the question whether the service is ready would wait behind them. A command reads
        in its main thread, which connects by itself.
        """
        # Before the listener of `driver.use`, which connects: none is called after it.

        @event.listens_for(self.reader, "do_connect")
        def require(*_arguments: object) -> None:
            waits = threading.current_thread() is not threading.main_thread()
            if waits and self.no_answer and not self._answering.is_asking:
                self._answering.require(PROMPT_SEC)

        @event.listens_for(self.reader, "invalidate")
        def lost(_driver: object, _record: object, error: BaseException | None) -> None:
            if error is not None:
                self.no_answer = reason_of(error.__cause__ or error)

    def _hear(self, engine: Engine) -> None:
        """Note the warnings that come with a COMMIT, for `check_commit`."""

        def notice(notice: Any) -> None:
            # Whatever its language: nothing else warns when a transaction is committed.
            if self._commits and notice.severity_nonlocalized == "WARNING":
                self._warnings.append(str(notice.message_primary))

        @event.listens_for(engine, "connect")
        def hear(driver: Any, _record: object) -> None:
            driver.add_notice_handler(notice)
            driver.end = COMMIT

        @event.listens_for(engine, "begin")
        def begin(_connection: Connection) -> None:
            self._commits = False
            self._warnings.clear()

        @event.listens_for(engine, "commit")
        def commit(_connection: Connection) -> None:
            self._commits = True


def _settings(connection: Connection, idle_ms: int) -> dict[str, object]:
    """Return the settings with which a transaction begins.

    Limits of time are ours alone: an administrator sets those of a role or a database for people
    who forget a session, and they would end a backup.
    """
    limits: dict[str, object] = {"statement_timeout": 0, IDLE_LIMIT: idle_ms}
    if driver.connection_of(connection).info.server_version >= TRANSACTION_TIMEOUT_SINCE:
        limits["transaction_timeout"] = 0
    return PLANNING | limits


def _set(values: Mapping[str, object]) -> str:
    """Return `SET LOCAL` statements as one string (twice as fast as set_config())."""
    return "; ".join(f"SET LOCAL {name} = {value}" for name, value in values.items())


def _engine(settings: Settings, mode: Mode) -> Engine:
    url = make_url(settings.database_url)
    arguments: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT_SEC,
        "tcp_user_timeout": TCP_USER_TIMEOUT_MS,
        **KEEPALIVES,
        # So that who looks for the session that others wait for finds its host.
        "application_name": f"flask10x {settings.host_name}",
        # Else a database in SQL_ASCII answers with bytes, and cannot be refused for what it is.
        "client_encoding": "UTF8",
        "cursor_factory": driver.TextCursor,
    }
    # There are several in a list, or in a text with commas between them.
    hosts = url.query.get("host", "")
    if "," in hosts if isinstance(hosts, str) else hosts:
        # Whichever of them is the one that is written to.
        arguments["target_session_attrs"] = "read-write"
    for name in arguments.keys() & (url.query.keys() - {"client_encoding"}):
        # The operator's own value counts; but what is sent is in UTF-8.
        del arguments[name]
    return create_engine(
        url,
        connect_args=arguments,
        execution_options={HOST: settings.host_name},
        # As those of SQLite: one connection writes.
        pool_size=settings.threads + 6 if mode == "read" else 1,
        max_overflow=0,
        # The one that was used last was heard a moment ago.
        pool_use_lifo=True,
    )
