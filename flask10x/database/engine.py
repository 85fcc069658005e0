"""What the program asks of a database, whichever engine it is on.

What is here is enough for an engine without a server, whose database has one host: SQLite's
(`sqlite/engine.py`) adds what needs the file, PostgreSQL's (`postgres/engine.py`) also what several
hosts share.
"""

from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from flask10x.config.settings import Settings
from flask10x.database.damage import Damage
from flask10x.database.server import Server
from flask10x.errors import DatabaseMissing
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


class Lease:
    """What one host at a time has; one thread uses it, but any may ask `is_held`.

    Where no other host can be, this one always has it.
    """

    @property
    def is_held(self) -> bool:
        """Whether this host has it, as far as it can know without asking."""
        return True

    def hold(self) -> bool:
        """Take it, or renew it, when it is time to ask; whether this host has it.

        To be called about once a second by the process that holds the lock file. A database that
        does not answer is no error: what is not renewed is lost.
        """
        return True

    def check(self, connection: "Connection") -> None:
        """In a transaction that may only be made by the holder: raise LeaseLost if it is another.

        While the transaction lasts no other host can take it.
        """

    def give_back(self) -> None:
        """Let another host take it at once; harmless where this one does not have it."""


class Hosts:
    """This host among those of its database: the only one, unless an engine says otherwise."""

    name: str | None = None
    """The name of this host; None where it has the database for itself."""

    def lease(self, _database: Transactions, _name: str, _lock: FileLock) -> Lease:
        """What one host at a time has under this name.

        The lock is the one of this host that the process holds which asks for it.
        """
        return Lease()

    def hold_name(self, _database: Transactions, _lock: FileLock) -> Callable[[], None] | None:
        """What holds the name, once each time it is called; None where no other host can be.

        The process holds the lock. It raises HostNameTaken while another host has the name, which
        no two hosts of a database may have at the same time.
        """
        return None

    def check_name(self) -> None:
        """Raise HostNameTaken when another host of this name serves the database.

        One that was killed is waited for. A database that does not answer says nothing.
        """

    def holders(self, _connection: "Connection") -> dict[str, str]:
        """By the name of each lease that a host has the name of that host."""
        return {}


class Connections:
    """The connections of one process to the database, and what is done with them."""

    reader: "Engine"
    writer: "Engine"
    no_answer: str = ""
    """Why the server did not answer when it was asked last; empty when it did."""

    @abstractmethod
    def limit(self, connection: "Connection", timeout_sec: float) -> "AbstractContextManager[None]":
        """Break off what the block runs on the connection once the time is over.

        Raises QueryTooLong then.
        """

    def promptly(self) -> "AbstractContextManager[None]":
        """In the block no server is waited for longer than a program that asks does.

        Raises sqlalchemy.exc.DBAPIError or TimeoutError when it does not answer.
        """
        return nullcontext()

    def by_index(self, connection: "Connection") -> None:
        """Let the transaction read by an index where the planner would read a whole table."""

    def migration(self) -> "AbstractContextManager[Connection]":
        """A write transaction beside which no other commits or migrates; with the commit lock."""
        return self.writer.begin()

    @abstractmethod
    def probe(self) -> None:
        """Take what a commit needs and give it back, without waiting for it."""

    def begin(self, connection: "Connection") -> None:
        """Have a transaction of `writer` begun: no other one commits before its end."""

    def check_commit(self) -> None:
        """Raise CommitNotReplicated when the commit that has just ended is on one machine only."""

    def break_off(self) -> None:
        """End within a second what waits for a server, and so from now on."""

    @abstractmethod
    def close(self, *engines: "Engine") -> None:
        """Close the connections of these engines; the commit lock is held."""

    @abstractmethod
    def leave(self) -> None:
        """Close all without the commit lock."""


class DatabaseEngine:
    """The database of some settings."""

    is_file: bool
    """Whether the database is a file of this machine, whose disk may be away; else it is on a
    server."""
    lack: str
    """What is wrong without a database, as the end of a sentence: `is missing`."""

    commit_delay_max_sec: float = 0.001
    """How long a commit waits at most for readings that senders are about to send: where it takes
    longer, they gather by themselves while it runs."""

    def __init__(self, settings: Settings) -> None:
        """Looks at nothing yet, and asks nothing."""
        self._settings = settings

    @property
    def hosts(self) -> Hosts:
        """What is shared with other hosts."""
        return Hosts()

    @property
    def server(self) -> Server | None:
        """What the server says of itself; None for a file."""
        return None

    def missing(self) -> str:
        """What is missing and what helps, when there was a database and there is none now.

        Empty when there is one, when there never was any, or where only a server knows.
        """
        return ""

    def require_not_missing(self) -> None:
        """Raise DatabaseMissing, with what helps, when there was a database and is none now."""
        if why := self.missing():
            raise DatabaseMissing(why)

    def is_new(self) -> bool:
        """Whether there is no database yet, as far as is known without asking a server."""
        return False

    def remember(self) -> bool:
        """Note that there is a database, for `missing`; whether the note outlives its disk."""
        return True

    @abstractmethod
    def arrival(self) -> Callable[[], bool]:
        """What looks once, each time it is called, whether the database is there and can be used.

        The first looks may say no, until the same was seen for some of them.
        """

    def may_be_there(self) -> bool:
        """Whether the file exists; True for a server, which has to be asked."""
        return True

    @abstractmethod
    def require(self) -> Path:
        """The path beside which a database that was migrated once has its locks.

        Raises SchemaError, DatabaseUnreachable or DatabaseMissing when there is none.
        """

    def prepare_upgrade(self, *, new: bool) -> None:
        """Before the database is made or migrated; without `new` raise DatabaseMissing.

        That is where there has been one and is none now. What such a one has left is set aside.
        """

    @abstractmethod
    def reader(self) -> "AbstractContextManager[Engine]":
        """An engine to read a database that `may_be_there`; each transaction sees one state of it.

        Nothing is made or changed. Its errors are those of the engine.
        """

    def plain_reader(self) -> "AbstractContextManager[Engine]":
        """The same, which also returns a text whose bytes have become no text."""
        return self.reader()

    @abstractmethod
    def connections(self, damage: Damage, busy_timeout_ms: int) -> Connections:
        """The connections of this process, none opened yet; a commit waits so long for others."""
