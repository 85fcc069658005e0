"""Copies of a database, files that nobody has open: are they whole, are they ours?"""

import shlex
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path

from sqlalchemy import Connection, func, inspect, select
from sqlalchemy.exc import DBAPIError

from flask10x.database import schema
from flask10x.database.dialects import last_id
from flask10x.database.error_codes import reason_of
from flask10x.database.paths import JOURNAL, WAL, beside
from flask10x.database.sqlite.file import STEPS_OF_A_READING, damages, open_read_only
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
        text = _("{path} cannot be read: {reason}").format(path=path, reason=reason_of(error))
        raise CopyError(text) from None


def check_complete(path: Path) -> None:
    """Raises CopyError when a WAL or a journal with rows that the file lacks lies beside it."""
    for suffix in (WAL, JOURNAL):
        rest = beside(path, suffix)
        if disk.size(rest):
            text = _(
                "{path} is not complete without {name} beside it; make it one file first:"
                " sqlite3 {quoted} 'PRAGMA journal_mode=DELETE'"
            )
            quoted = shlex.quote(str(path))
            raise CopyError(text.format(path=path, name=rest.name, quoted=quoted))


def _contents(connection: Connection, path: Path, bar: Bar) -> Contents:
    found = _damages(connection, bar)
    if found:
        text = _("{path} is damaged: {damages}")
        raise CopyError(text.format(path=path, damages="; ".join(found[:SHOWN_DAMAGES])))
    tables = inspect(connection).get_table_names()
    if not {"alembic_version", readings.name} <= set(tables):
        text = _("{path} is no database of Flask10X's: it has no table of readings")
        raise CopyError(text.format(path=path))
    revision = schema.current(connection)
    if revision not in schema.known():
        text = _(
            "{path} has the schema {schema}, which this version of Flask10X does not know;"
            " the newest it knows is {newest}"
        )
        raise CopyError(text.format(path=path, schema=revision, newest=schema.known()[-1]))
    rows = connection.execute(select(func.count()).select_from(readings)).scalar_one()
    return Contents(rows, last_id(connection), revision)


def _damages(connection: Connection, bar: Bar) -> list[str]:
    with bar(_("check"), _steps(connection)) as advance:
        return damages(connection, full=True, advance=advance)


def _steps(connection: Connection) -> int:
    """About how many steps the check will take; what can't be read is for the check to find."""
    try:
        return last_id(connection) * STEPS_OF_A_READING
    except DBAPIError:
        return 0
