"""What several hosts share that store into one database: names, and what one of them does for all.

A database that is a file has one host (`sqlite/engine.py`); one on a server may have several
(`postgres/hosts.py`).
"""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from flask10x.system.locks import FileLock

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

# Of the processes of a host the one that holds this lock does the host's tasks.
MONITOR = "monitor"


class Transactions(Protocol):
    """What a lease needs of a `Database`."""

    reader: "Engine"

    def commit(self) -> "AbstractContextManager[Connection]":
        """A write transaction."""


class Lease(Protocol):
    """What one host at a time has; one thread uses it, but any may ask `is_held`."""

    @property
    def is_held(self) -> bool:
        """Whether this host has it, as far as it can know without asking."""

    def hold(self) -> bool:
        """Take it, or renew it, when it is time to ask; whether this host has it.

        To be called about once a second by who holds the lock file. A database that does not answer
        is no error: what is not renewed is lost.
        """

    def check(self, connection: "Connection") -> None:
        """In a transaction that may only be made by the holder: raise LeaseLost if it is another.

        While the transaction lasts no other host can take it.
        """

    def give_back(self) -> None:
        """Let another host take it at once; harmless where this one does not have it."""


class HostName(Protocol):
    """The name of this host, which no other host of the database may have at the same time."""

    def step(self) -> None:
        """Hold the name; raises HostNameTaken while another host has it."""


class Hosts(Protocol):
    """This host among those of its database."""

    name: str | None
    """The name of this host; None where it has the database for itself."""

    def lease(self, database: Transactions, name: str, lock: FileLock) -> Lease:
        """What one host at a time has under this name.

        `lock` is the one of this host that the process holds which asks for it.
        """

    def hold_name(self, database: Transactions, lock: FileLock) -> HostName | None:
        """The name, held by the process that holds the lock; None where no other host can be."""

    def check_name(self) -> None:
        """Raise HostNameTaken when another host of this name serves the database.

        One that was killed is waited for. A database that does not answer says nothing.
        """

    def holders(self, connection: "Connection") -> dict[str, str]:
        """By the name of each lease that a host has the name of that host."""
