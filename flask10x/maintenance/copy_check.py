"""Copies of a database, files that nobody has open: are they whole, are they ours?"""

import shlex
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, func, inspect, select
from sqlalchemy.exc import DBAPIError

from flask10x.database import schema
from flask10x.database.engine import JOURNAL, WAL, beside, last_id
from flask10x.database.error_codes import reason_of
from flask10x.database.file import STEPS_OF_A_READING, damages, open_read_only
from flask10x.database.tables import readings
from flask10x.errors import CopyError
from flask10x.system import disk
from flask10x.system.progress import Bar, unseen

SHOWN_DAMAGES = 3


@dataclass(frozen=True, slots=True)
class Contents:
    """What a copy holds: readings, the highest id that one ever had, the schema's revision."""

    rows: int
    last_id: int
    revision: str


def verify(path: Path, bar: Bar = unseen) -> Contents:
    """Check every page of a copy, and that this program can use it.

    Raises CopyError when it is damaged, no database of Flask10X's, or made by a newer version.
    """
    try:
        with open_read_only(path, immutable=True).connect() as connection:
            return _contents(connection, path, bar)
    except DBAPIError as error:
        raise CopyError(f"{path} cannot be read: {reason_of(error)}") from None


def check_complete(path: Path) -> None:
    """Raises CopyError when a WAL or a journal with rows that the file lacks lies beside it."""
    for suffix in (WAL, JOURNAL):
        rest = beside(path, suffix)
        if disk.size(rest):
            raise CopyError(
                f"{path} is not complete without {rest.name} beside it; make it one file first:"
                f" sqlite3 {shlex.quote(str(path))} 'PRAGMA journal_mode=DELETE'"
            )


def _contents(connection: Connection, path: Path, bar: Bar) -> Contents:
    found = _damages(connection, bar)
    if found:
        raise CopyError(f"{path} is damaged: {'; '.join(found[:SHOWN_DAMAGES])}")
    tables = inspect(connection).get_table_names()
    if not {"alembic_version", readings.name} <= set(tables):
        raise CopyError(f"{path} is no database of Flask10X's: it has no table of readings")
    revision = schema.current(connection)
    if revision not in schema.known():
        raise CopyError(
            f"{path} has the schema {revision}, which this version of Flask10X does not know;"
            f" the newest it knows is {schema.known()[-1]}"
        )
    rows = connection.execute(select(func.count()).select_from(readings)).scalar_one()
    return Contents(rows, last_id(connection), revision)


def _damages(connection: Connection, bar: Bar) -> list[str]:
    with bar("check", _steps(connection)) as advance:
        return damages(connection, full=True, advance=advance)


def _steps(connection: Connection) -> int:
    """About how many steps the check will take; what can't be read is for the check to find."""
    try:
        return last_id(connection) * STEPS_OF_A_READING
    except DBAPIError:
        return 0
