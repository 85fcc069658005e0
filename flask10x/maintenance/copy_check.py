"""Checks of copies of a database: whether they are whole, unchanged, and of Flask10X."""

import shlex
import stat
from contextlib import suppress
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path

from sqlalchemy import Connection, func, inspect, select
from sqlalchemy.exc import DBAPIError

from flask10x.database import schema
from flask10x.database.error_codes import reason_of
from flask10x.database.paths import JOURNAL, WAL, beside
from flask10x.database.sqlite import missing
from flask10x.database.sqlite.file import STEPS_OF_A_READING, damages, open_read_only
from flask10x.database.tables import readings
from flask10x.errors import CopyError
from flask10x.system import backup_files, disk
from flask10x.system.progress import Bar, unseen

SHOWN_DAMAGES = 3
# How files begin that may be taken for a backup.
GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"
HEAD_BYTES = 512


@dataclass(frozen=True, slots=True)
class Contents:
    """What a copy holds: how many readings, and the schema's revision."""

    rows: int
    revision: str


def verify(path: Path, bar: Bar = unseen) -> Contents:
    """Check every page of a copy, and that this program can use it.

    Raises CopyError when it is damaged, no database of Flask10X, or made by a newer version.
    """
    try:
        with open_read_only(path, immutable=True).connect() as connection:
            with bar(_("check"), _steps(connection)) as advance:
                lines = damages(connection, full=True, advance=advance)
            if lines:
                text = _("{path} is damaged: {damages}")
                raise CopyError(text.format(path=path, damages="; ".join(lines[:SHOWN_DAMAGES])))
            return _contents(connection, path)
    except DBAPIError as error:
        text = _("{path} cannot be read: {reason}").format(path=path, reason=reason_of(error))
        raise CopyError(text) from None


def check_kind(path: Path) -> None:
    """Raise CopyError, which says what it is, for anything but a file of SQLite; or OSError.

    A device or a pipe is not read: it may never end.
    """
    mode = path.stat().st_mode
    if stat.S_ISFIFO(mode):
        kind = _("it is a pipe; write what comes from it into a file first")
    elif not stat.S_ISREG(mode):
        kind = _("it is a device or a socket, not a file")
    else:
        with open(path, "rb") as file:
            head = file.read(HEAD_BYTES)
        if head.startswith(missing.MAGIC):
            return
        kind = kind_of_bytes(head)
    text = _("{path} is no backup: {kind}")
    raise CopyError(text.format(path=path, kind=kind) + _other_backup(path))


def check_unchanged(path: Path, copy: Path) -> bool:
    """Return whether there is a sum beside `path`; `copy` has the bytes of `path`.

    Raises CopyError when the copy has another sum, or OSError.
    """
    expected = backup_files.noted_checksum(path)
    if expected is None:
        return False
    if backup_files.digest_of(copy) == expected:
        return True
    text = _(
        "{path} has changed since it was made: its SHA-256 is not the one in {sum}{other}. Where"
        " that file is what is wrong, delete it, and {path} is taken as it is"
    )
    named = {
        "path": path,
        "sum": backup_files.checksum_path(path).name,
        "other": _other_backup(path),
    }
    raise CopyError(text.format(**named))


def kind_of_bytes(head: bytes) -> str:
    """Return what a file is that is not one of SQLite, for people."""
    if not head:
        return _("the file is empty")
    if head.startswith(GZIP):
        return _("it is compressed by gzip; unpack it first (gunzip)")
    if head.startswith(ZIP):
        return _("it is a zip file; unpack it first (unzip)")
    if head.lstrip(b"\xef\xbb\xbf").startswith(b"current_time,"):
        return _("it is a CSV file; flask10x import takes those")
    if head.isascii() and b"\0" not in head:
        return _("it is a text file")
    return _("its first bytes are not those of a database of SQLite")


def _other_backup(path: Path) -> str:
    """Name another backup, behind a sentence; empty where there is none with its sum."""
    with suppress(OSError):
        if other := backup_files.newest_unchanged(path.parent, path):
            text = _("; the newest backup there that has its SHA-256 is {other}")
            return text.format(other=other)
    return ""


def check_complete(path: Path) -> None:
    """Raise CopyError when a WAL or a journal beside the file has rows that it lacks."""
    for suffix in (WAL, JOURNAL):
        rest = beside(path, suffix)
        if disk.size(rest):
            text = _(
                "{path} is not complete without {name} beside it; make it one file first:"
                " sqlite3 {quoted} 'PRAGMA journal_mode=DELETE'"
            )
            quoted = shlex.quote(str(path))
            raise CopyError(text.format(path=path, name=rest.name, quoted=quoted))


def _contents(connection: Connection, path: Path) -> Contents:
    tables = inspect(connection).get_table_names()
    if not {"alembic_version", readings.name} <= set(tables):
        text = _("{path} is no database of Flask10X's: it has no table of readings")
        raise CopyError(text.format(path=path))
    revision = schema.current(connection)
    if revision is not None and (old := schema.too_old(revision, str(path))):
        raise CopyError(old)
    if revision not in schema.all_revisions():
        text = _(
            "{path} has the schema {schema}, which this version of Flask10X does not know;"
            " the newest it knows is {newest}"
        )
        raise CopyError(text.format(path=path, schema=revision, newest=schema.all_revisions()[-1]))
    rows = connection.execute(select(func.count()).select_from(readings)).scalar_one()
    return Contents(rows, revision)


def _steps(connection: Connection) -> int:
    """Return about how many steps the check takes, 0 where that can't be read."""
    try:
        highest = connection.execute(select(func.max(readings.c.id))).scalar_one()
    except DBAPIError:
        return 0
    return highest * STEPS_OF_A_READING if isinstance(highest, int) else 0
