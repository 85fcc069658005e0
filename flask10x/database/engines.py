"""The two engines behind one object: the only place where one of them is chosen.

What only one of them knows is in its folder. Nothing of PostgreSQL's is loaded for a database that
is a file, and SQLAlchemy only by what opens a database: the master of the service does not.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from flask10x.config.settings import Settings
from flask10x.database.damage import Damage
from flask10x.database.hosts import Hosts
from flask10x.database.server import Server
from flask10x.errors import SchemaError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine
    from sqlalchemy.exc import DBAPIError

    from flask10x.database.dialects import Statements


class Connections(Protocol):
    """The connections of one process to the database, and what is done with them."""

    reader: "Engine"
    writer: "Engine"
    no_answer: str
    """Why the server did not answer when it was asked last; empty when it did."""

    def limit(self, connection: "Connection", timeout_sec: float) -> "AbstractContextManager[None]":
        """Break off what the block runs on the connection once the time is over.

        Raises QueryTooLong then.
        """

    def promptly(self) -> "AbstractContextManager[None]":
        """In the block no server is waited for longer than a program that asks does.

        Raises sqlalchemy.exc.DBAPIError or TimeoutError when it does not answer.
        """

    def explain(self, error: "DBAPIError") -> None:
        """Add to the error what else can be found out now, and what helps."""

    def migration(self) -> "AbstractContextManager[Connection]":
        """A write transaction beside which no other commits or migrates; with the commit lock."""

    def probe(self) -> None:
        """Take what a commit needs and give it back, without waiting for it."""

    def check_commit(self) -> None:
        """Raise CommitNotReplicated when the commit that has just ended is on one machine only."""

    def break_off(self) -> None:
        """End within a second what waits for a server, and so from now on."""

    def close(self, *engines: "Engine") -> None:
        """Close the connections of these engines; the commit lock is held."""

    def leave(self) -> None:
        """Close all without the commit lock."""


class DatabaseEngine(Protocol):
    """What the program asks of the database of its settings, whichever engine it is on."""

    is_file: bool
    """Whether the database is a file of this machine, whose disk may be away; else it is on a
    server."""
    lack: str
    """What is wrong without a database, as the end of a sentence: `is missing`."""
    unreadable: type[SchemaError]
    """The error of a database that can't be read or written now."""

    @property
    def hosts(self) -> Hosts:
        """What is shared with other hosts."""

    @property
    def server(self) -> Server | None:
        """What the server says of itself; None for a file."""

    def missing(self) -> str:
        """What is missing and what helps, when there was a database and there is none now.

        Empty when there is one, when there never was any, or where only a server could tell.
        """

    def require_not_missing(self) -> None:
        """Raise DatabaseMissing, with what helps, when there was a database and is none now."""

    def is_new(self) -> bool:
        """Whether there is no database yet, as far as is known without asking a server."""

    def remember(self) -> bool:
        """Note that there is a database, so that `missing` can tell; False where nothing can."""

    def arrival(self) -> Callable[[], bool]:
        """What looks once, each time it is called, whether the database is there and can be used.

        The first looks may say no, until the same was seen for some of them.
        """

    def may_be_there(self) -> bool:
        """Whether the file exists; True for a server, which has to be asked."""

    def require(self) -> Path:
        """The path beside which a database that was migrated once has its locks.

        Raises SchemaError, DatabaseUnreachable or DatabaseMissing when there is none.
        """

    def prepare_upgrade(self, *, new: bool) -> None:
        """Before the database is made or migrated; without `new` raise DatabaseMissing.

        That is where there has been one and is none now. What such a one has left is set aside.
        """

    def reader(self) -> "AbstractContextManager[Engine]":
        """An engine to read a database that `may_be_there`; each transaction sees one state of it.

        Nothing is made or changed. Its errors are those of the engine.
        """

    def connections(self, damage: Damage, busy_timeout_ms: int) -> Connections:
        """The connections of this process, none opened yet; a commit waits so long for others."""


def of(settings: Settings) -> DatabaseEngine:
    """The engine of the database of these settings."""
    if settings.on_postgres:
        from flask10x.database.postgres.engine import PostgresEngine  # noqa: PLC0415

        return PostgresEngine(settings)
    from flask10x.database.sqlite.engine import SqliteEngine  # noqa: PLC0415

    return SqliteEngine(settings)


@cache
def statements_of(dialect: str) -> "Statements":
    """Return the `statements` module of the engine that SQLAlchemy calls by this name."""
    if dialect == "sqlite":
        from flask10x.database.sqlite import statements  # noqa: PLC0415

        return statements
    from flask10x.database.postgres import statements as on_postgres  # noqa: PLC0415

    return on_postgres
