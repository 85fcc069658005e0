"""What a backup is made of: one file of SQLite, whichever engine the readings are on."""

from contextlib import closing
from dataclasses import dataclass, replace
from gettext import gettext as _
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database import engines, schema
from flask10x.database.engine import Database
from flask10x.database.error_codes import reason_of
from flask10x.database.paths import WAL, beside, database_path, shown_name
from flask10x.database.server import Server
from flask10x.database.sqlite import rescued
from flask10x.database.sqlite.file import copy_into, make_single_file
from flask10x.errors import BackupError
from flask10x.maintenance.copying.ends import snapshots
from flask10x.maintenance.copying.fill import fill_sequences, fill_whole
from flask10x.system import disk
from flask10x.system.progress import Bar, unseen


@dataclass(frozen=True, slots=True)
class SourceSizes:
    """The bytes of the database that is copied."""

    database: int
    wal: int

    @property
    def needed(self) -> int:
        """The room that a backup needs: a copy is never larger than the database with its WAL."""
        return self.database + self.wal + disk.SPARE_BYTES


def sizes(settings: Settings) -> SourceSizes:
    """How large the database is; raises BackupError when there is none, or it does not answer."""
    path = database_path(settings)
    if server := engines.of(settings).server:
        return SourceSizes(_bytes_on(server, settings), 0)
    if not path.exists():
        text = _("there is no database {path}").format(path=path)
        raise BackupError(text + rescued.instead_of(path))
    return sizes_of_file(path)


def sizes_of_file(path: Path) -> SourceSizes:
    """Those of a file of SQLite, 0 of one that there is not."""
    return SourceSizes(disk.size(path), disk.size(beside(path, WAL)))


def write(settings: Settings, target: Path, bar: Bar = unseen) -> None:
    """Write all that is stored at one moment into a new file, which is not yet on the disk.

    Raises OSError, Flask10xError or sqlalchemy.exc.DBAPIError; then the file is worthless.
    """
    if engines.of(settings).is_file:
        copy_into(database_path(settings), target, bar)
    else:
        _write_from_server(settings, target, bar)


def _write_from_server(settings: Settings, target: Path, bar: Bar) -> None:
    """Of one REPEATABLE READ transaction, while others commit."""
    # What a power cut may take of it is written anew: only a whole file gets its final name.
    own = replace(
        settings, database_url=f"sqlite:///{target}", commit_lock=False, synchronous="NORMAL"
    )
    with snapshots(settings) as there, there.begin() as snapshot:
        schema.upgrade(own)
        with closing(Database(own)) as database:
            fill_whole(snapshot, database, bar)
            with database.commit() as connection:
                fill_sequences(snapshot, connection)
    make_single_file(target)


def _bytes_on(server: Server, settings: Settings) -> int:
    try:
        with engines.of(settings).reader() as engine, engine.connect() as connection:
            return server.primary(connection).database_bytes
    except DBAPIError as error:
        text = _("{path} cannot be read: {reason}")
        reason = " ".join(reason_of(error).split())
        raise BackupError(text.format(path=shown_name(settings), reason=reason)) from error
