"""What a statement has to know of the engine that its connection leads to.

Each engine's module `statements` has these functions; SQL that differs only in its words is in
`expressions`.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection

from flask10x.database import engines
from flask10x.database.server import Origin


class Statements(Protocol):
    """The functions of `sqlite/statements.py` and `postgres/statements.py`."""

    def sequence(self, connection: Connection, name: str) -> int:
        """Return the number stored under this name, or 0 if there is none."""

    def set_sequence(
        self, connection: Connection, name: str, number: int, host: str | None = None
    ) -> None:
        """Keep this number under the name, as one of this host or of another one."""

    def raise_sequence(self, connection: Connection, name: str, former: int, number: int) -> None:
        """Keep this number, which is higher than `former`, where none above that is kept.

        Else a server does late what was sent long ago, and is to do nothing of it.
        """

    def sequences(self, connection: Connection) -> dict[str, str | None]:
        """By each name under which a number is kept the host whose it is, where one is known."""

    def host_of(self, connection: Connection) -> str | None:
        """Return the name of the host that has the connection; None where there is one host."""

    def forget_sequence(self, connection: Connection, name: str) -> None:
        """Delete the number stored under this name."""

    def origin(self, connection: Connection) -> Origin | None:
        """Return the present history of the database; None where the engine has no such thing."""

    LOCAL_TIME: str
    """The time of a reading as SQL, in the time zone of the session."""
    NAME_BYTES: int | None
    """How long a name may be; None for no limit."""

    def quote(self, name: str) -> str:
        """Return the name as a statement needs it, quoted if necessary."""

    def views(self, connection: Connection) -> dict[str, str]:
        """By the name of each table, view and index the statement by which we have made it.

        It is empty where it can't be one of ours.
        """

    def make_view(
        self, connection: Connection, name: str, statement: str, *, replaces: bool
    ) -> None:
        """Make the view by this statement; `replaces` says that there is another one of ours."""

    def insert_rows(
        self, connection: Connection, names: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
    ) -> None:
        """Insert these readings in their order, each the values of these columns."""

    def waits_briefly(self, connection: Connection, wait_ms: int) -> AbstractContextManager[None]:
        """In the block a statement waits no longer than this for a lock."""

    def file_bytes(self, connection: Connection, path: Path) -> int:
        """How much of the disk of this path the database has in use."""

    def put_rows(
        self,
        connection: Connection,
        into: str,
        names: tuple[str, ...],
        rows: Sequence[tuple[Any, ...]],
    ) -> None:
        """Put whole rows into this table, ids and all, by the quickest way that there is.

        The number that is kept for a table is set apart. Raises sqlalchemy.exc.DBAPIError.
        """

    def attempt(self, connection: Connection) -> AbstractContextManager[None]:
        """A statement of the block that fails leaves the transaction as it was before."""

    def begin_again(self, connection: Connection) -> bool:
        """Begin a transaction again that the engine has undone after an error in it.

        Return whether it has; the commit lock is still held.
        """


def statements_of(connection: Connection) -> Statements:
    """Those of the engine that this connection leads to."""
    return engines.statements_of(connection.dialect.name)


def last_id(connection: Connection, table: str = "readings") -> int:
    """The highest id that a row ever had, also when that row is gone; 0 before the first.

    As no id is used twice or left out, this is the number of rows ever stored.
    """
    return statements_of(connection).sequence(connection, table)
