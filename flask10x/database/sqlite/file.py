"""Open, check, copy or complete one database file, also while a service uses it."""

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from gettext import gettext as _
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError

from flask10x.database.error_codes import (
    DAMAGE_ERRORS,
    WRITE_BUSY_TIMEOUT_MS,
    code_of,
    reason_of,
)
from flask10x.database.paths import JOURNAL, SHARED_MEMORY, WAL, beside
from flask10x.database.sqlite.connections import READ_BUSY_TIMEOUT_MS
from flask10x.database.sqlite.driver import Driver, connect, replace_undecodable
from flask10x.database.sqlite.statements import SQLITE
from flask10x.system import disk
from flask10x.system.progress import Advance, Bar, unseen

# How often Python gets to see a Ctrl+C during a statement that runs for minutes.
STEPS_BETWEEN_SIGNALS = 100_000
# What `integrity_check` takes for a reading with its entry in the index and its share of the
# roll-ups: 26 steps in SQLite 3.46. Only the bar on a terminal hangs on it.
STEPS_OF_A_READING = 26

# How a finding names a page that could not be read, `error code=8458` say; the last eight bits
# of such a code are the primary one (https://www.sqlite.org/rescode.html).
CODE_IN_FINDING = re.compile(r"\berror code=([0-9]+)")
PRIMARY_CODE = 0xFF


def open_read_only(
    path: Path, *, immutable: bool = False, snapshots: bool = False, plain: bool = False
) -> Engine:
    """Return an engine whose connections change nothing: closing one never checkpoints the WAL.

    `immutable` is for a file without a WAL that no other process has open: nothing is locked, and
    nothing is written beside it. With `snapshots` each transaction sees the file as it was when it
    began to read; without, each statement does. With `plain` a text that is no UTF-8 is
    returned with escapes.
    """
    query = f"mode=ro{'&immutable=1' if immutable else ''}"

    def opened() -> Driver:
        driver = connect(path, query, READ_BUSY_TIMEOUT_MS / 1000)
        driver.set_progress_handler(lambda: 0, STEPS_BETWEEN_SIGNALS)
        if plain:
            driver.text_factory = replace_undecodable
        return driver

    engine = create_engine(f"{SQLITE}://", creator=opened, poolclass=NullPool)
    if snapshots:

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN")

    return engine


def open_alone(path: Path) -> Engine:
    """Return an engine that writes into a file of its own, which nobody else opens."""

    def opened() -> Driver:
        return connect(path, "mode=rwc", WRITE_BUSY_TIMEOUT_MS / 1000)

    return create_engine(f"{SQLITE}://", creator=opened, poolclass=NullPool)


def copy_into(path: Path, target: Path, bar: Bar = unseen) -> None:
    """Write a consistent copy of a database that others go on using into a new file.

    The copy is one file, defragmented, without a WAL, and not yet on the disk. Until it is
    complete the WAL of the original can't be reused, so it grows with every commit.
    Raises OSError or sqlalchemy.exc.DBAPIError; then the target is worthless.
    """
    # An empty file is as good to SQLite as none (https://www.sqlite.org/lang_vacuum.html).
    disk.make_private(target)
    with open_read_only(path).connect() as connection:
        pages, free, page_bytes = (
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("page_count", "freelist_count", "page_size")
        )
        size_bytes = 0
        with bar(_("copy"), (pages - free) * page_bytes) as advance:

            def look() -> None:
                nonlocal size_bytes
                former_bytes, size_bytes = size_bytes, disk.size(target)
                advance(size_bytes - former_bytes)

            with _looking_on(connection, look):
                connection.exec_driver_sql("VACUUM INTO ?", (str(target),))


def damages(
    connection: Connection, *, full: bool, advance: Advance | None = None, table: str = ""
) -> list[str]:
    """What SQLite's own check finds wrong, a line each; empty when the database is sound.

    `full` also compares each index with its table and takes several times as long. `advance` is
    called with the steps just done, about STEPS_OF_A_READING for each reading. With `table` only
    that one and its indexes are checked.
    Raises sqlalchemy.exc.DBAPIError when it can't be read now.
    """
    if advance is not None:
        with _looking_on(connection, partial(advance, STEPS_BETWEEN_SIGNALS)):
            return damages(connection, full=full, table=table)
    pragma = ("integrity_check" if full else "quick_check") + (f"({table})" if table else "")
    driver: Any = connection.connection.driver_connection
    usual, driver.text_factory = driver.text_factory, replace_undecodable
    try:
        lines = connection.exec_driver_sql(f"PRAGMA {pragma}").scalars().all()
    except DBAPIError as error:
        if not code_of(error).startswith(DAMAGE_ERRORS):
            raise
        return [reason_of(error)]
    finally:
        driver.text_factory = usual
    return [line for line in lines if line != "ok"]


def damaged_tables(connection: Connection) -> dict[str, list[str]]:
    """What SQLite's full check finds wrong by the table; under "" what is of none of them.

    Raises sqlalchemy.exc.DBAPIError when it can't be read now.
    """
    findings = damages(connection, full=True)
    if not findings:
        return {}
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
    try:
        names = connection.exec_driver_sql(query).scalars().all()
    except DBAPIError:
        return {"": findings}
    lines = {name: damages(connection, full=True, table=name) for name in names}
    return {name: found for name, found in lines.items() if found} or {"": findings}


def unread_page(findings: Sequence[str]) -> str:
    """The line of such a check that says that a page could not be read; empty when all could.

    Lines beside it may only follow from it: what a page points to is found nowhere then.
    """
    for line in "\n".join(findings).splitlines():
        code = CODE_IN_FINDING.search(line)
        if code and int(code[1]) & PRIMARY_CODE == sqlite3.SQLITE_IOERR:
            return line
    return ""


@contextmanager
def _looking_on(connection: Connection, look: Callable[[], object]) -> Iterator[None]:
    """Call `look` every STEPS_BETWEEN_SIGNALS of the statements in the block."""
    driver: Any = connection.connection.driver_connection

    def go_on() -> int:
        look()
        return 0

    driver.set_progress_handler(go_on, STEPS_BETWEEN_SIGNALS)
    try:
        yield
    finally:
        # SQLAlchemy closes a connection that a Ctrl+C has met.
        if not connection.invalidated:
            driver.set_progress_handler(lambda: 0, STEPS_BETWEEN_SIGNALS)


def remove_whole(path: Path) -> None:
    """Remove a database file and what SQLite keeps beside it; harmless where it is missing."""
    for suffix in ("", JOURNAL, WAL, SHARED_MEMORY):
        beside(path, suffix).unlink(missing_ok=True)


def make_single_file(path: Path) -> None:
    """Bring the WAL into its database and remove it, so that the file is complete by itself.

    Hold the commit lock. Raises sqlite3.Error and leaves everything as it is: SQLITE_BUSY when
    another connection has the database open.
    """
    driver = connect(path, "mode=rw", WRITE_BUSY_TIMEOUT_MS / 1000)
    try:
        driver.execute("PRAGMA journal_mode = DELETE").fetchone()
    finally:
        driver.close()
