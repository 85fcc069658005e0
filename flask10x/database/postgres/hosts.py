"""Leases: what one of several hosts does for all of them, until it ends or is not heard any more.

Each host has a name that no other one has (HOST_NAME). By it a host knows which notes of queues and
which CSV files are its own: two of one name would forget what the other one has noted, and each
would write its part of the readings into files of its own. So a host holds a lease of its name
while it runs, and another one of that name does not start. It keeps it over a stop until it
expires: another host that waits for it would have it at each restart.

A lease is a row of the table `leases` that expires by the database's clock; one that lies further
ahead than a lease can last is expired, for the clock has gone back since. It is taken and renewed
in a commit, and commits are made one after the other, whichever host makes them: so a transaction
in which `check` has found the lease to be its own ends before another host can have it. A host that
was frozen and goes on later finds it gone.

The process that asks for a lease holds the lock file of the same name on its host. That file has
the token of the lease, so that the next process of the host continues it at once. The boot id of
the machine belongs to the token: a clone of its card has the same name and the same file.
"""

import logging
import secrets
import time
from collections.abc import Callable
from contextlib import closing, suppress

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, TimeoutError

from flask10x.config.settings import PREFIX, Settings
from flask10x.database.engine import MONITOR, Hosts, Lease, Transactions
from flask10x.database.error_codes import QueryTooLong
from flask10x.database.paths import database_path
from flask10x.database.postgres.connections import PostgresConnections
from flask10x.errors import CommitNotReplicated, HostNameTaken, LeaseLost, LockTimeout
from flask10x.system.clock import boot_id
from flask10x.system.locks import FileLock, lock_path

log = logging.getLogger(__name__)

# So long after a host was killed another one does what it did, at the latest, and the next look.
LEASE_SEC = 15.0
# Two renewals may fail.
RENEW_EVERY_SEC = 5.0
# How soon another host sees that a lease was given back: a look-up by a key.
LOOK_EVERY_SEC = 2.0
# How long its holder goes by it without having renewed it, by its own clock from before it asked:
# shorter, so that no two hosts hold it if one of their clocks is slow.
TRUSTED_SEC = 12.0
# How much further ahead a lease may end than one lasts: the clocks of two servers, of which one
# takes over, may differ by that. What ends later was made before the clock went back.
CLOCKS_DIFFER_SEC = 5.0
TOKEN_BYTES = 8
# How the lease of a host's name begins, which no other host may have.
HOST = "host "
# How often a host that starts looks whether its name is free.
CHECK_EVERY_SEC = 1.0
# All connections may be in use, too.
_NO_ANSWER = (DBAPIError, TimeoutError, LockTimeout, CommitNotReplicated)

_NOW = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
_LATEST_MS = int((LEASE_SEC + CLOCKS_DIFFER_SEC) * 1000)
_HOLDS = f"(leases.expires_at > {_NOW} AND leases.expires_at <= {_NOW} + {_LATEST_MS})"
_IS_OURS = "leases.host = :host AND leases.token = :token"
_FIND = text(
    f"SELECT host, token, {_HOLDS} AS holds FROM leases WHERE name = :name"  # noqa: S608
)
_TAKE = text(
    "INSERT INTO leases (name, host, token, expires_at)"  # noqa: S608
    f" VALUES (:name, :host, :token, {_NOW} + :lease_ms)"
    " ON CONFLICT (name) DO UPDATE SET"
    " host = excluded.host, token = excluded.token, expires_at = excluded.expires_at"
    f" WHERE ({_IS_OURS}) OR NOT {_HOLDS} RETURNING name"
)
_CHECK = text(f"SELECT 1 FROM leases WHERE name = :name AND {_IS_OURS}")  # noqa: S608
_GIVE_BACK = text(f"DELETE FROM leases WHERE name = :name AND {_IS_OURS}")  # noqa: S608
_HOLDERS = text(f"SELECT name, host FROM leases WHERE {_HOLDS} ORDER BY name")  # noqa: S608


def is_free(connection: Connection, name: str, host: str, token: str) -> bool:
    """Whether this host, with this token, would get the lease."""
    row = connection.execute(_FIND, {"name": name}).first()
    return row is None or not row.holds or (row.host, row.token) == (host, token)


def token_of(lock: FileLock) -> str:
    """Return the token of this host's leases under the lock; empty before the first lease."""
    note = lock.line()
    return f"{note} {boot_id()}" if note else ""


class TimedLease(Lease):
    """A lease as one host has it, for some seconds each time."""

    def __init__(
        self,
        database: Transactions,
        name: str,
        host: str,
        lock: FileLock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Asks for nothing yet. The process holds `lock` before it asks for the lease."""
        self.name = name
        self._database = database
        self._host = host
        self._lock = lock
        self._monotonic = monotonic
        self._token = ""
        self._trusted_to_sec = 0.0
        self.is_taken = False
        """Whether another one had it when it was asked for last and the database answered."""
        self._ask_at_sec = 0.0

    @property
    def is_held(self) -> bool:
        """Whether this host has it, as far as it can know without asking."""
        return self._monotonic() < self._trusted_to_sec

    def hold(self) -> bool:
        """Take it, or renew it, when it is time to ask; whether this host has it.

        To be called about once a second by who holds the lock file. A database that does not answer
        is no error: what is not renewed is lost.
        """
        if self._monotonic() >= self._ask_at_sec:
            had_it = self.is_held
            with suppress(*_NO_ANSWER):
                self._ask()
            pause_sec = RENEW_EVERY_SEC if self.is_held else LOOK_EVERY_SEC
            self._ask_at_sec = self._monotonic() + pause_sec
            if self.is_held and not had_it:
                log.info("This host has the lease '%s' now", self.name)
        return self.is_held

    def check(self, connection: Connection) -> None:
        """In a transaction that may only be made by the holder: raise LeaseLost if it is another.

        While the transaction lasts no other host can take it.
        """
        if not connection.execute(_CHECK, self._holder()).first():
            self._trusted_to_sec = 0.0
            raise LeaseLost(f"another host has the lease '{self.name}'")

    def give_back(self) -> None:
        """Let another host take it at once; harmless where this one does not have it."""
        if not self.is_held:
            return
        self._trusted_to_sec = 0.0
        # It expires by itself.
        with suppress(*_NO_ANSWER), self._database.commit() as connection:
            connection.execute(_GIVE_BACK, self._holder())

    def _ask(self) -> None:
        asked_sec = self._monotonic()
        owner = self._holder()
        # First without a commit, so that a host that waits for it delays no commit.
        with self._database.reader.begin() as connection:
            has_it = is_free(connection, **owner)
        if has_it:
            with self._database.commit() as connection:
                rows = connection.execute(_TAKE, owner | {"lease_ms": int(LEASE_SEC * 1000)})
                has_it = rows.first() is not None
        self.is_taken = not has_it
        if not has_it and self.is_held:
            log.warning("Another host has the lease '%s' now", self.name)
        self._trusted_to_sec = asked_sec + TRUSTED_SEC if has_it else 0.0

    def _holder(self) -> dict[str, str]:
        if not self._token:
            new = secrets.token_hex(TOKEN_BYTES)
            if not self._lock.line():
                # On a full disk the next process has another one, and waits until this one expires.
                with suppress(OSError):
                    self._lock.note(new)
            self._token = token_of(self._lock) or new
        return {"name": self.name, "host": self._host, "token": self._token}


class LeasedName:
    """The name of this host: a periodic task of one of its workers."""

    def __init__(self, database: Transactions, name: str, lock: FileLock) -> None:
        """`lock` is the one of this host that its elected worker holds."""
        self._name = name
        self._lease = TimedLease(database, HOST + name, name, lock)

    def step(self) -> None:
        """Hold the name; raises HostNameTaken while another host has it."""
        if not self._lease.hold() and self._lease.is_taken:
            raise _name_taken(self._name)


class SeveralHosts(Hosts):
    """This host among those that may share the database."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.name: str = settings.host_name

    def lease(self, database: Transactions, name: str, lock: FileLock) -> TimedLease:
        """Return the lease of this name."""
        return TimedLease(database, name, self.name, lock)

    def hold_name(self, database: Transactions, lock: FileLock) -> Callable[[], None]:
        """Return a callable that renews the lease of this host's name."""
        return LeasedName(database, self.name, lock).step

    def check_name(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Raise HostNameTaken when another host of this name serves the database.

        One that was killed is waited for, until its lease has expired. A database that does not
        answer says nothing: the periodic task asks it again.
        """
        deadline_sec = monotonic() + LEASE_SEC + CHECK_EVERY_SEC
        with closing(FileLock(lock_path(database_path(self._settings), MONITOR))) as lock:
            while not _is_free(self._settings, self.name, token_of(lock)):
                if monotonic() >= deadline_sec:
                    raise _name_taken(self.name)
                sleep(CHECK_EVERY_SEC)

    def holders(self, connection: Connection) -> dict[str, str]:
        """By the name of each lease that any host may have the name of the one that has it."""
        rows = connection.execute(_HOLDERS)
        return {row.name: row.host for row in rows if not row.name.startswith(HOST)}


def _is_free(settings: Settings, name: str, token: str) -> bool:
    connections = PostgresConnections(settings)
    try:
        with (
            connections.reader.begin() as connection,
            connections.limit(connection, settings.query_timeout_sec),
        ):
            return is_free(connection, HOST + name, name, token)
    except (DBAPIError, TimeoutError, QueryTooLong):
        return True
    finally:
        connections.leave()


def _name_taken(name: str) -> HostNameTaken:
    return HostNameTaken(
        f"another host that is called {name!r} serves this database: give each a name of its own"
        f" ({PREFIX}HOST_NAME)"
    )
