"""A backup with the tables of this version, whichever version has made it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from gettext import gettext as _
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database import schema
from flask10x.database.error_codes import reason_of
from flask10x.database.paths import database_path
from flask10x.database.sqlite.file import make_single_file, open_read_only, remove_whole
from flask10x.errors import CopyError, SchemaError
from flask10x.maintenance.copying import of_new_file
from flask10x.system import disk

# A run that was killed leaves it; the next one removes it first.
COPY = ".flask10x-migrated-backup.tmp"


@contextmanager
def migrated(settings: Settings, backup: Path) -> Iterator[Path]:
    """Yield a file with the rows of a backup in the tables of this version.

    It is the backup itself, or a copy beside the database, migrated, which is removed behind the
    block. The backup is never written. One process at a time calls it: the caller holds the lock
    `verify`.

    Raises CopyError, which says why, when this program cannot read or migrate the backup, and
    OSError when the disk has no room for the copy.
    """
    copy = database_path(settings).with_name(COPY)
    remove_whole(copy)
    try:
        yield copy if _migrate(settings, backup, copy) else backup
    finally:
        remove_whole(copy)


def _migrate(settings: Settings, backup: Path, copy: Path) -> bool:
    """Make a migrated copy; return False where the backup is of this version."""
    try:
        with open_read_only(backup, immutable=True).connect() as connection:
            version = schema.current(connection)
        schema.require_known(version, str(backup))
        newest = schema.all_revisions()[-1]
        if version == newest:
            return False
        if shortage := disk.shortage(copy.parent, disk.size(backup) + disk.SPARE_BYTES):
            raise OSError(shortage)
        disk.copy(backup, copy)
        schema.make(of_new_file(settings, copy), newest)
        make_single_file(copy)
    except (DBAPIError, sqlite3.Error) as error:
        text = _("{path} cannot be read: {reason}").format(path=backup, reason=reason_of(error))
        raise CopyError(text) from error
    except SchemaError as error:
        raise CopyError(str(error)) from error
    return True
