"""The database for commands, and what they say while another command uses it."""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from gettext import gettext as _
from pathlib import Path
from typing import NoReturn

import click
from sqlalchemy.exc import DBAPIError

from flask10x.commands.options import remark
from flask10x.config.settings import Settings
from flask10x.database import engines, schema
from flask10x.database.database import Database
from flask10x.database.error_codes import reason_of
from flask10x.database.paths import shown_name
from flask10x.database.station_columns import missing_columns
from flask10x.errors import PARTLY_DONE_STATUS, LockTimeout, SchemaError
from flask10x.runtime.removal import BRIEF
from flask10x.system.locks import FileLock, lock_path
from flask10x.system.wording import amount

# The exit status that says that nothing is wrong, and that another command was faster.
ALREADY_RUNNING_STATUS = 3
# Removing a piece takes a fraction of a second; the first one of a file with years of older rows
# takes as long as reading the file.
BRIEF_SEC = 60.0


@contextmanager
def opened(config: Settings) -> Iterator[Database]:
    """Open the database of these settings for the block.

    Raises Flask10xError when it does not exist, is older or newer than this program or lacks the
    column of a station, and OSError when its folder can't be written.
    """
    engines.engine_of(config).require()
    with closing(Database(config)) as database:
        missing: list[str] = []
        # An error of the database is raised later.
        with suppress(DBAPIError), database.reader.begin() as connection:
            schema.require_newest(config, connection)
            # Without a file no column can be missing.
            missing = missing_columns(connection, config.stations) if config.stations.file else []
        if missing:
            text = _(
                "{database} lacks columns that {file} names: {columns}; reload or restart the"
                " service, or run: flask10x migrate"
            )
            named = {"database": shown_name(config), "file": config.stations.file}
            raise SchemaError(text.format(columns=", ".join(missing), **named))
        yield database


@contextmanager
def database_errors() -> Iterator[None]:
    """Raise click.ClickException with the reason for an error of the database."""
    try:
        yield
    except DBAPIError as error:
        reason = _("the database cannot be used: {reason}").format(reason=reason_of(error))
        raise click.ClickException(reason) from error


@contextmanager
def opened_alone(config: Settings, *, lock: str, running: str) -> Iterator[Database]:
    """Open the database while holding the lock of this name.

    When another command has the lock, prints `running` and ends the process with
    ALREADY_RUNNING_STATUS. Raises what `opened` raises.
    """
    with closing(FileLock(lock_path(engines.engine_of(config).require(), lock))) as held:
        is_free = held.try_acquire()
        if not is_free and held.line() == BRIEF:
            # The service releases it after removing a piece of old readings.
            with suppress(LockTimeout):
                held.acquire(BRIEF_SEC)
                is_free = True
        if not is_free:
            already_running(running)
        with opened(config) as database:
            yield database


def already_running(message: object) -> NoReturn:
    """Print the message, and end the process with ALREADY_RUNNING_STATUS."""
    remark(message)
    sys.exit(ALREADY_RUNNING_STATUS)


def say_rejected(file: Path, rows: int, path: Path | None) -> int:
    """Say how many rows of a backup could not be taken, and return the exit status."""
    if path is None:
        return 0
    text = _("{rows} of {file} could not be taken: {path} has each with the reason")
    remark(text.format(rows=amount(rows, "row"), file=file, path=path))
    return PARTLY_DONE_STATUS
