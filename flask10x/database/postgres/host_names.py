"""Each host of a database has a name that no other one has (HOST_NAME).

By it a host knows which notes of queues and which CSV files are its own: two of one name would
forget what the other one has noted, and each would write its part of the readings into files of its
own. So a host holds a lease of its name while it runs, and another one of that name does not start.
It keeps it over a stop until it expires: whoever waits for it would have it at each restart.
"""

import time
from collections.abc import Callable
from contextlib import closing

from sqlalchemy.exc import DBAPIError, TimeoutError

from flask10x.config.settings import PREFIX, Settings
from flask10x.database.engine import Database
from flask10x.database.paths import database_path
from flask10x.database.postgres import leases
from flask10x.database.postgres.leases import HOST, LEASE_SEC, Lease
from flask10x.database.query_limit import QueryTooLong
from flask10x.errors import HostNameTaken
from flask10x.system.locks import FileLock, lock_path

# Of the processes of a host the one that holds it does the duties; its note is the host's token.
LOCK = "monitor"
LOOK_EVERY_SEC = 1.0


class HostName:
    """A duty of one worker of each host."""

    def __init__(self, database: Database, name: str, lock: FileLock) -> None:
        """`lock` is the one of this host that its elected worker holds."""
        self._name = name
        self._lease = Lease(database, HOST + name, name, lock)

    def step(self) -> None:
        """Hold the name; raises HostNameTaken while another host has it."""
        if not self._lease.hold() and self._lease.is_taken:
            raise _taken(self._name)


def check(
    settings: Settings,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Raise HostNameTaken when another host of this name serves the database.

    One that was killed is waited for, until its lease has expired. A database that does not answer
    says nothing: the duty asks it again.
    """
    name = settings.host_name
    deadline_sec = monotonic() + LEASE_SEC + LOOK_EVERY_SEC
    with (
        closing(FileLock(lock_path(database_path(settings), LOCK))) as lock,
        closing(Database(settings)) as database,
    ):
        while not _is_free(database, name, leases.token_of(lock)):
            if monotonic() >= deadline_sec:
                raise _taken(name)
            sleep(LOOK_EVERY_SEC)


def _is_free(database: Database, name: str, token: str) -> bool:
    try:
        with database.query() as connection:
            return leases.is_free(connection, HOST + name, name, token)
    except (DBAPIError, TimeoutError, QueryTooLong):
        return True


def _taken(name: str) -> HostNameTaken:
    return HostNameTaken(
        f"another host that is called {name!r} serves this database: give each a name of its own"
        f" ({PREFIX}HOST_NAME)"
    )
