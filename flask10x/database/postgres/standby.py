"""Reading from a standby (DATABASE_READ_URL) that is proven to be late by no more than it may be.

How late a standby is, no clock says: its last transaction is old where none was made, too, and a
standby that was cut off knows nothing of what came since. So the primary is asked once a second for
its place in the log (the LSN) and its clock. A standby that has replayed as much has everything
that was committed before the primary was asked. Else it has what was committed before the newest
transaction that it has replayed, whose time is of the primary's clock.

Places in the log can be compared on one timeline of one cluster only: after a failover a standby
that has not followed may be further than the new primary, with commits that never were. The
timeline that it receives it says to roles with pg_monitor; without it the primary answers.
"""

import logging
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from time import monotonic, sleep
from typing import Any, NamedTuple

import psycopg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, TimeoutError

from flask10x.database.error_codes import reason_of
from flask10x.database.postgres import driver
from flask10x.database.server import DELAY_MAX_SEC, ReadServer

log = logging.getLogger(__name__)

LOOK_EVERY_SEC = 1.0
# After so long without a page nothing is asked any more.
LOOK_FOR_SEC = 60.0
# How long the standby may take to say where it is; a page waits for that.
ANSWER_WITHIN_SEC = 1.0
# How often a backup looks whether the standby has what it needs.
CATCH_UP_PAUSE_SEC = 0.1
# By so much a clock of the primary may be set back without a delay that is said too short.
AHEAD_MAX_SEC = 1.0
# More than a delay that is allowed has.
POSITIONS = 16

# What one database is, whichever server it is asked from.
_IDENTITY = "(SELECT system_identifier FROM pg_control_system())::text, current_database()"
# A commit that has returned ends before the place of insertions. Its timeline is that of the name
# of its file (`statements.origin`).
_PRIMARY = f"""
SELECT {_IDENTITY},
       ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::bigint,
       pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint,
       extract(epoch FROM clock_timestamp())::float8
"""  # noqa: S608
_STANDBY = f"""
SELECT {_IDENTITY}, pg_is_in_recovery(),
       (SELECT count(*) FROM pg_stat_wal_receiver),
       (SELECT received_tli FROM pg_stat_wal_receiver)::bigint,
       (CASE WHEN pg_is_in_recovery()
             THEN pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0') END)::bigint,
       extract(epoch FROM pg_last_xact_replay_timestamp())::float8,
       host(inet_server_addr()), inet_server_port()
"""  # noqa: S608


class Position(NamedTuple):
    """Where the primary was when it was asked."""

    system_identifier: str
    database: str
    timeline: int
    lsn: int
    clock_sec: float
    asked_sec: float
    """By this process's own clock, before it was asked."""

    @property
    def history(self) -> tuple[str, str, int]:
        """On which places can be compared."""
        return self[:3]


class Replayed(NamedTuple):
    """Where a standby says that it is; None where that is unknown."""

    system_identifier: str
    database: str
    is_standby: bool
    receivers: int
    timeline: int | None
    lsn: int | None
    last_commit_sec: float | None
    """When the newest transaction that it has was committed, by the primary's clock."""
    host: str | None
    port: int | None


@dataclass(frozen=True, slots=True)
class Look:
    """What was found at some time by this process's own clock."""

    server: ReadServer
    at_sec: float


class StandbyReader:
    """The connections of a process to the standby."""

    def __init__(self, engine: Engine, primary: Engine) -> None:
        """Asks nothing yet."""
        self.engine = engine
        self._primary = primary
        self._positions: deque[Position] = deque(maxlen=POSITIONS)
        self._looked = threading.Condition()
        self._look: Look | None = None
        self._wanted_sec = 0.0
        self._wake = threading.Event()
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def connect(self) -> Connection | None:
        """Return a connection, not in a transaction, to read from; None: the primary has to answer.

        Never waits for a server that was away at the last look.
        """
        self._want()
        if self._look is None or self._look.server.obstacle:
            return None
        connection: Connection | None = None
        try:
            # Also the question whether it leads anywhere, where it was not heard lately.
            with driver.impatient(ANSWER_WITHIN_SEC):
                connection = self.engine.connect()
            server = self._server_of(connection)
        except (DBAPIError, psycopg.Error, TimeoutError) as error:
            server = _away(error)
            if connection is not None:
                connection.invalidate()
        if not server.obstacle:
            return connection
        self._note(server)
        if connection is not None:
            connection.close()
        return None

    def now(self, within_sec: float) -> ReadServer:
        """Return how the standby is, as it was found since this was called if that is so soon."""
        began_sec = monotonic()
        self._want()
        self._wake.set()
        with self._looked:
            self._looked.wait_for(lambda: self._is_newer(began_sec), within_sec)
            if self._look is None:
                return _away(driver.NoAnswer(f"no answer for {within_sec:.0f} s"))
            return self._look.server

    def catches_up(self) -> bool:
        """Whether it has all that is committed now, or will have within DELAY_MAX_SEC."""
        until_sec = monotonic() + DELAY_MAX_SEC
        try:
            self._ask_primary()
            wanted = self._positions[-1].lsn
            while monotonic() < until_sec:
                with self.engine.connect() as connection:
                    replayed = _replayed(connection)
                    server = judged(replayed, [*self._positions], monotonic())
                if server.obstacle not in ("", "late"):
                    break
                if not server.obstacle and (replayed.lsn or 0) >= wanted:
                    return True
                sleep(CATCH_UP_PAUSE_SEC)
        except (DBAPIError, psycopg.Error, TimeoutError) as error:
            server = _away(error)
        log.warning("The primary answers in place of the standby: %s", server)
        return False

    def failed(self, error: BaseException) -> None:
        """Read from the primary until the standby was looked at again."""
        self._note(_away(error))

    def close(self) -> None:
        """Ask nothing any more, and close the connections."""
        self._is_closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self.engine.dispose()

    def _is_newer(self, than_sec: float) -> bool:
        return self._look is not None and self._look.at_sec >= than_sec

    def _want(self) -> None:
        self._wanted_sec = monotonic()
        with self._looked:
            if self._is_closed or (self._thread is not None and self._thread.is_alive()):
                return
            # One that ended may have done so since, and its answer is of long ago.
            self._look = None
            self._thread = threading.Thread(target=self._run, name="standby", daemon=True)
            # Out of threads: the primary answers.
            with suppress(RuntimeError):
                self._thread.start()
                return
            self._thread = None

    def _run(self) -> None:
        while not self._is_closed and monotonic() - self._wanted_sec < LOOK_FOR_SEC:
            self._wake.clear()
            self._look_now()
            self._wake.wait(LOOK_EVERY_SEC)

    def _look_now(self) -> None:
        began_sec = monotonic()
        with suppress(DBAPIError, TimeoutError):
            self._ask_primary()
        try:
            with self.engine.connect() as connection:
                server = self._server_of(connection)
        except (DBAPIError, psycopg.Error, TimeoutError) as error:
            server = _away(error)
        self._note(server, began_sec)

    def _note(self, server: ReadServer, at_sec: float | None = None) -> None:
        before = self._look.server.obstacle if self._look else ""
        if server.obstacle and server.obstacle != before:
            log.warning("The primary answers in place of the standby: %s", server)
        elif before and not server.obstacle:
            log.info("The standby answers again: %s", server)
        with self._looked:
            self._look = Look(server, monotonic() if at_sec is None else at_sec)
            self._looked.notify_all()

    def _ask_primary(self) -> None:
        asked_sec = monotonic()
        with driver.impatient(ANSWER_WITHIN_SEC), self._primary.begin() as connection:
            row: Any = connection.exec_driver_sql(_PRIMARY).one()
        position = Position._make((*row, asked_sec))
        if self._positions and self._positions[-1].history != position.history:
            self._positions.clear()
        self._positions.append(position)

    def _server_of(self, connection: Connection) -> ReadServer:
        return judged(_replayed(connection), [*self._positions], monotonic())


def _replayed(connection: Connection) -> Replayed:
    """Ask outside of a transaction: the one that follows sees as much at least."""
    with driver.impatient(ANSWER_WITHIN_SEC):
        row: Any = driver.of(connection).execute(_STANDBY).fetchone()
    return Replayed._make(row)


def judged(replayed: Replayed, positions: list[Position], now_sec: float) -> ReadServer:
    """Whether what has replayed so much may be read from, where the primary was at `positions`."""
    server = ReadServer(f"{replayed.host}:{replayed.port}" if replayed.host else "")
    newest = positions[-1] if positions else None
    if not replayed.is_standby:
        return replace(server, obstacle="no_standby")
    if newest is None or now_sec - newest.asked_sec > DELAY_MAX_SEC:
        return replace(server, obstacle="primary_away")
    if obstacle := _other_history(replayed, newest):
        return replace(server, obstacle=obstacle)
    delay_sec = _delay_sec(replayed, positions, now_sec)
    late = delay_sec is None or delay_sec > DELAY_MAX_SEC
    return replace(server, delay_sec=delay_sec, obstacle="late" if late else "")


def _other_history(replayed: Replayed, newest: Position) -> str:
    """Why the places of the two can't be compared; empty where they can."""
    if (replayed.system_identifier, replayed.database) != newest.history[:2]:
        return "other_database"
    if not replayed.receivers:
        return "cut_off"
    if replayed.timeline is None:
        return "hidden"
    return "" if replayed.timeline == newest.timeline else "other_timeline"


def _delay_sec(replayed: Replayed, positions: list[Position], now_sec: float) -> float | None:
    delays = [
        now_sec - position.asked_sec
        for position in positions
        if replayed.lsn is not None and replayed.lsn >= position.lsn
    ]
    if replayed.last_commit_sec is not None:
        newest = positions[-1]
        # At least what the primary's clock shows now.
        clock_sec = newest.clock_sec + now_sec - newest.asked_sec
        since_sec = clock_sec - replayed.last_commit_sec
        # One that lies ahead was made before that clock was set back.
        if since_sec >= -AHEAD_MAX_SEC:
            delays.append(max(0.0, since_sec))
    return min(delays, default=None)


def _away(error: BaseException) -> ReadServer:
    return ReadServer("", obstacle="away", reason=" ".join(reason_of(error).split()))
