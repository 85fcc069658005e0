"""Restore: put a new database with the rows of a copy in the place of the old one, and keep that.

The database's name always leads to a whole file: the old one until a `rename` makes it the new one.
The WAL is the danger: beside another database than its own it would destroy it. So the old database
is first made one file, and where that is impossible because it is damaged, its WAL is moved away
before the rename.
"""

import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import tzinfo
from functools import partial
from gettext import gettext as _
from pathlib import Path

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database import engines
from flask10x.database.database import Database
from flask10x.database.dialects import last_id
from flask10x.database.error_codes import is_busy, reason_of
from flask10x.database.insert import HEAD, Cells, existing_columns, insert_rows
from flask10x.database.paths import JOURNAL, SHARED_MEMORY, WAL, beside, database_path, url_of
from flask10x.database.running_service import running
from flask10x.database.sqlite import litestream, missing, rescued
from flask10x.database.sqlite.file import make_single_file, open_read_only, remove_whole
from flask10x.database.tables import imports, measurement, readings
from flask10x.errors import ExportError, LockTimeout, RestoreError
from flask10x.export.file import CsvFile
from flask10x.export.files import ArchivedFile, Position, forget_current, load_files, put_archived
from flask10x.maintenance import copy_check, copying, house_copy, new_database
from flask10x.maintenance.new_database import NewDatabase
from flask10x.system import disk
from flask10x.system.locks import FairLock, FileLock, lock_path
from flask10x.system.progress import Bar, unseen

REPLACED = ".replaced-"
UNFINISHED_NAME = re.compile(r"\.flask10x-restore-[0-9]+\.tmp(-journal|-wal|-shm)?")
# Others take these for moments only; a process that holds one for longer is at work.
LOCK_TIMEOUT_SEC = 2.0
POLL_SEC = 0.05
# The only other writer is this one; a person in a shell may hold the database for moments.
TRIES = 10
# A backup is written in one piece; row by row the same readings took 3 % more.
SIZE_PERCENT = 110


@dataclass(frozen=True, slots=True)
class Restored:
    """What the database holds now, where the old one is, and what only that one has."""

    contents: NewDatabase
    replaced: Path | None
    """The old database; None when there was none."""
    newer: int | None
    """How many readings were stored after the copy was made; None when that can't be read."""
    has_sum: bool
    """Whether the SHA-256 beside the copy has proven that it is as it was made."""
    used: Path | None = None
    """The new name of a rescued copy that was restored."""


def restore(
    settings: Settings, source: Path, bar: Bar = unseen, *, by_service: bool = False
) -> Restored:
    """Replace the database by a copy; the service must be stopped.

    A new database is made, and the rows of the source are put into it; those that can't be taken
    are named in a file beside the database.

    With `by_service` the parent of its workers, which has ended them, calls it and holds its lock;
    senders wait, so the source, which `renew` has made before, is taken as it is, and is gone.

    Raises RestoreError, and CopyError when `source` is damaged, has changed or is not ours; then
    the database is as it was. Killed at any moment, it leaves the old database or the new one in
    its place.
    """
    path = database_path(settings)
    if not engines.engine_of(settings).is_file:
        text = _(
            "the readings are in {database}, and a backup is a file of SQLite; into an empty"
            " database of the server: flask10x copy --from sqlite:///{file} --to"
            " postgresql+psycopg://…"
        )
        raise RestoreError(text.format(database=url_of(settings), file=source.absolute()))
    try:
        with _locked(settings, path, by_service=by_service):
            _remove_leftovers(path)
            restored = _replace(settings, source.absolute(), path, bar, by_service=by_service)
            missing.remember(settings)
            if by_service:
                # Its name from before would be a second one of the database.
                source.unlink(missing_ok=True)
                return restored
            if source.resolve() in rescued.copies(path):
                return replace(restored, used=rescued.put_aside(source.resolve()))
            return restored
    except LockTimeout as error:
        text = _("the database is in use: {reason}").format(reason=error)
        raise RestoreError(text) from error
    except OSError as error:
        text = _("cannot restore {file} to {database}: {reason}")
        raise RestoreError(text.format(file=source, database=path, reason=error)) from error


def put_newer_back(settings: Settings, replaced: Path) -> int:
    """Store the readings of the replaced database that are newer than all of their station.

    They are what a new installation has received before its backup was restored; what is older may
    be in the backup. Returns how many there were. The database has this program's schema. Raises
    sqlalchemy.exc.DBAPIError or LockTimeout; then none is stored.
    """
    newest_of = select(func.max(readings.c.received_at))
    rows: list[Cells] = []
    with closing(Database(settings)) as database:
        with database.reader.begin() as connection:
            newest = {
                name: connection.execute(newest_of.where(readings.c.endpoint == name)).scalar() or 0
                for name in settings.stations.by_endpoint
            }
        with open_read_only(replaced, immutable=True).connect() as connection:
            present = existing_columns(connection)
            names = [name for name in (*HEAD, *settings.stations.columns) if name in present]
            query = select(*map(measurement, names)).order_by(readings.c.id)
            for row in connection.execute(query):
                cells = {n: value for n, value in zip(names, row, strict=True) if value is not None}
                endpoint = cells["endpoint"]
                if endpoint in newest and cells["received_at"] > newest[endpoint]:
                    rows.append(cells)
        if rows:
            database.commit_change(lambda c: insert_rows(c, settings.stations, rows), TRIES)
    return len(rows)


@contextmanager
def _locked(settings: Settings, path: Path, *, by_service: bool) -> Iterator[None]:
    """Hold the locks of all that write; raises RestoreError or LockTimeout."""
    if not by_service and (service := running(settings)):
        text = _(
            "the service (process {pid}) uses {path};"
            " stop it first: sudo systemctl stop flask10x.socket flask10x, or Ctrl+C where it was"
            " started by hand"
        )
        raise RestoreError(text.format(pid=service.pid or _("unknown"), path=path))
    if (replica := litestream.replica_of(path)) and replica.is_running:
        text = _(
            "Litestream has {path} open, and would mix the old and the new database in the"
            " replica; stop it first: sudo systemctl stop flask10x-litestream"
        )
        raise RestoreError(text.format(path=path))
    with ExitStack() as stack:
        locks: list[FileLock | FairLock] = [
            FileLock(lock_path(path, "export")),
            FairLock(lock_path(path, "commit")),
        ]
        if not by_service:
            locks.insert(0, FileLock(lock_path(path, "service")))
        for lock in locks:
            stack.callback(lock.close)
            lock.acquire(LOCK_TIMEOUT_SEC)
        yield


def _remove_leftovers(path: Path) -> None:
    """Remove what a restore that was killed has left."""
    for file in path.parent.iterdir():
        # It has a replaced database's name and is the one in use, as before the rename.
        is_second_name = (
            file.name.startswith(f"{path.name}{REPLACED}")
            and path.exists()
            and file.samefile(path)
            and not beside(file, WAL).exists()
        )
        if is_second_name or UNFINISHED_NAME.fullmatch(file.name):
            file.unlink()


def _replace(
    settings: Settings, source: Path, path: Path, bar: Bar, *, by_service: bool
) -> Restored:
    if path.exists() and source.samefile(path):
        raise RestoreError(_("{path} is the database itself").format(path=source))
    copy_check.check_kind(source)
    unfinished = path.with_name(f".flask10x-restore-{os.getpid()}.tmp")
    try:
        if by_service:
            contents, has_sum = _linked(source, unfinished), False
        else:
            contents, has_sum = _made(settings, source, unfinished, bar)
        _adopt(unfinished, path)
        disk.sync(unfinished)
        if path.exists():
            _close_up(path)
        _note_archived(settings, path, unfinished)
        newer = None
        with suppress(DBAPIError), open_read_only(path, immutable=True).connect() as connection:
            newer = max(0, last_id(connection) - contents.last_id)
        replaced = _keep(path, settings.zone)
        unfinished.rename(path)
        disk.sync(path.parent)
    finally:
        remove_whole(unfinished)
    return Restored(contents, replaced, newer, has_sum)


def _check_room(source: Path, folder: Path) -> None:
    needed = source.stat().st_size * SIZE_PERCENT // 100 + disk.SPARE_BYTES
    if shortage := disk.shortage(folder, needed):
        raise RestoreError(shortage)


def renew(settings: Settings, file: Path, bar: Bar = unseen) -> NewDatabase:
    """Make a file that was sent a database of ours, with the rows that can be taken.

    `restore` with `by_service` then takes no longer than a rename. Raises RestoreError, CopyError
    or OSError; then the file is as it was sent.
    """
    renewed = file.with_name(f"{file.name}.new")
    try:
        made, _has_sum = _made(settings, file, renewed, bar)
        disk.sync(renewed)
        house_copy.put_beside(file)
        renewed.rename(file)
    finally:
        remove_whole(renewed)
    return made


def _linked(source: Path, unfinished: Path) -> NewDatabase:
    """Give a file that `renew` has made a second name; copy it from another disk."""
    copy_check.check_complete(source)
    try:
        os.link(source, unfinished)
    except OSError:
        _check_room(source, unfinished.parent)
        disk.copy(source, unfinished)
        disk.sync(unfinished)
    return new_database.contents_of(unfinished)


def _made(settings: Settings, source: Path, unfinished: Path, bar: Bar) -> tuple[NewDatabase, bool]:
    """Make a new database of what the source holds.

    Returns what it is, and whether a sum has proven that the source is as it was made.
    """
    _check_room(source, unfinished.parent)
    copy_check.check_complete(source)
    has_sum = copy_check.check_unchanged(source, source)
    try:
        return new_database.fill(settings, source, unfinished, bar), has_sum
    except (DBAPIError, sqlite3.Error) as error:
        text = _("cannot restore {file} to {database}: {reason}")
        named = {"file": source, "database": database_path(settings), "reason": reason_of(error)}
        raise RestoreError(text.format(**named)) from error


def _adopt(new: Path, old: Path) -> None:
    """Give the file the owner and mode of the one it replaces, as root may restore for another."""
    if not old.exists():
        disk.leave_to_owner(new, old.parent)
        return
    status = old.stat()
    if os.geteuid() == 0:
        os.chown(new, status.st_uid, status.st_gid)
    new.chmod(status.st_mode & 0o666)


def _close_up(path: Path) -> None:
    """Make the old database one file if it can be; raises RestoreError when it is open."""
    try:
        make_single_file(path)
    except sqlite3.Error as error:
        if is_busy(error):
            text = _("another program has {path} open, a sqlite3 shell perhaps; end it first")
            raise RestoreError(text.format(path=path)) from error
        # Damaged, which may be why it is replaced: its files are kept as they are.


def _note_archived(settings: Settings, before: Path, unfinished: Path) -> None:
    """Note in the new database the CSV files that exports have archived since the copy was made.

    Only the database that is replaced knows them. The next export would write their rows again,
    into the files that have followed them.
    """
    files: list[ArchivedFile] = []
    current: dict[str, Position] = {}
    with (
        suppress(DBAPIError),
        open_read_only(before, immutable=True).connect() as old,
        open_read_only(unfinished, immutable=True).connect() as new,
    ):
        files = list(_archived_since(old, new))
        current = load_files(new).positions
    if not files:
        return
    with closing(Database(copying.of_new_file(settings, unfinished))) as database:
        for file in files:
            database.commit_change(partial(put_archived, file=file), TRIES)
            position = current.get(file.name)
            # The new database may have it as the file that is written now, of an earlier moment.
            begin = (file.endpoint, file.position.first_id)
            if position is None or (position.endpoint, position.first_id) != begin:
                continue
            if not _is_in_place(replace(position, path=str(settings.csv_dir / file.name))):
                database.commit_change(partial(forget_current, name=file.name), TRIES)
    make_single_file(unfinished)
    disk.sync(unfinished)


def _archived_since(old: Connection, new: Connection) -> Iterator[ArchivedFile]:
    """Yield the archived files that only the old database has, with their readings in the new one.

    None where the databases have different readings under one id. A file that is not where it was,
    or has changed, is left out: other CSV files may have been put back.
    """
    last = last_id(new)
    columns = (readings.c.id, readings.c.endpoint, readings.c.received_at)
    common = select(*columns).where(readings.c.id <= last).order_by(readings.c.id.desc()).limit(1)
    row = old.execute(common).one_or_none()
    if row is None or new.execute(select(*columns).where(columns[0] == row.id)).first() != row:
        return
    last_import = new.execute(select(func.max(imports.c.id))).scalar_one() or 0
    known = load_files(new).archived
    for file in load_files(old).archived:
        position, floor = file.position, file.floor
        is_known = any(file.is_same(other) for other in known)
        if is_known or position.first_id >= last or not _is_in_place(position):
            continue
        position = replace(
            position,
            last_id=min(position.last_id, last),
            import_id=min(position.import_id, last_import),
            floor=floor if floor and floor.last_id <= last else None,
        )
        yield replace(file, position=position)


def _is_in_place(position: Position) -> bool:
    """Return whether an archived file is what it was; also one whose place nobody has named."""
    if position.path is None:
        return True
    size, checksum = position.mark.size_bytes, position.mark.checksum
    try:
        with CsvFile.open(Path(position.path), write=False) or nullcontext() as file:
            return file is not None and (file.size, file.checksum(file.size)) == (size, checksum)
    except (OSError, ExportError):
        return False


def _keep(path: Path, zone: tzinfo | None) -> Path | None:
    """Give the old files second names, and remove the first names of WAL and journal.

    Returns the new name of the old database, which nothing had yet; None if there was none.
    """
    while list(path.parent.glob(f"{(name := f'{path.name}{REPLACED}{disk.moment(zone)}')}*")):
        time.sleep(POLL_SEC)
    replaced = path.with_name(name)
    for suffix in ("", WAL, JOURNAL):
        if beside(path, suffix).exists():
            os.link(beside(path, suffix), beside(replaced, suffix))
    disk.sync(path.parent)
    for suffix in (WAL, JOURNAL, SHARED_MEMORY):
        beside(path, suffix).unlink(missing_ok=True)
    # Before the rename, or a power cut could leave the new database with the old WAL.
    disk.sync(path.parent)
    return replaced if replaced.exists() else None
