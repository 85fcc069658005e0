"""A rescued copy: made by a connection that is still open, and compared with the database."""

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import tzinfo
from gettext import gettext as _
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from flask10x.database.paths import JOURNAL, beside
from flask10x.database.sqlite import rescued
from flask10x.database.sqlite.driver import Driver
from flask10x.database.sqlite.file import damages, open_read_only
from flask10x.database.sqlite.statements import sequence
from flask10x.database.tables import readings
from flask10x.errors import CopyError
from flask10x.system import disk

UNFINISHED_NAME = re.compile(r"\.flask10x-rescue-[0-9]+\.tmp(-journal)?")
# For the service's user, and to be read by its group, as the database.
MODE = 0o640


@dataclass(frozen=True, slots=True)
class Richer:
    """A rescued copy, and how many readings it holds that the database lacks."""

    copy: Path
    more: int

    def __str__(self) -> str:
        text = _(
            "{copy} holds readings that the database lacks ({n}): {way_out}; or move that file away"
        )
        way_out = rescued.way_out(self.copy)
        return text.format(copy=self.copy.name, n=self.more, way_out=way_out)


def richer(database: Path) -> Richer | None:
    """The newest rescued copy that holds more readings than the database; None when none does.

    A copy that can't be read counts as none. Raises OSError when the folder can't be read.
    """
    waiting = rescued.copies(database)
    stored = _last_id(database, immutable=False) if waiting else 0
    for copy in reversed(waiting):
        more = _last_id(copy, immutable=True) - stored
        if more > 0:
            return Richer(copy, more)
    return None


def make(source: Driver, database: Path, zone: tzinfo | None) -> tuple[Path, int]:
    """Copy all that the connection reads to beside the database; the copy, and its last id.

    It gets its name when it is whole, checked and on the disk. Raises CopyError, OSError,
    sqlite3.Error or sqlalchemy.exc.DBAPIError; then there is no copy.
    """
    folder = database.parent
    for leftover in folder.iterdir():
        if UNFINISHED_NAME.fullmatch(leftover.name):
            leftover.unlink(missing_ok=True)
    (pages,) = source.execute("PRAGMA page_count").fetchone()
    (page_bytes,) = source.execute("PRAGMA page_size").fetchone()
    if shortage := disk.shortage(folder, pages * page_bytes):
        raise CopyError(shortage)
    unfinished = folder / f".flask10x-rescue-{os.getpid()}.tmp"
    try:
        os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE))
        source.execute("VACUUM INTO ?", (str(unfinished),))
        with open_read_only(unfinished, immutable=True).connect() as connection:
            if findings := damages(connection, full=False):
                text = _("what is still read is damaged: {finding}")
                raise CopyError(text.format(finding=findings[0]))
            last = sequence(connection, readings.name)
        disk.leave_to_owner(unfinished, folder)
        disk.sync(unfinished)
        copy = rescued.free_name(database, zone)
        unfinished.rename(copy)
        disk.sync(folder)
    finally:
        unfinished.unlink(missing_ok=True)
        beside(unfinished, JOURNAL).unlink(missing_ok=True)
    return copy, last


def _last_id(path: Path, *, immutable: bool) -> int:
    """Return the last id; 0 if the file can't be read."""
    engine = open_read_only(path, immutable=immutable)
    with suppress(DBAPIError), engine.connect() as connection:
        return sequence(connection, readings.name)
    return 0
