"""Backups: the database and the files of the house, in one file, made while the service writes.

On either engine a backup is a file of SQLite.

A backup gets its final name only when it is complete, checked and on the disk, as is the SHA-256 of
its bytes beside it. It holds every reading that was answered with 200 before the backup began; see
`_settle`.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import tzinfo
from gettext import gettext as _
from hashlib import sha256
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from flask10x.config.house import House, house_of
from flask10x.config.settings import Settings
from flask10x.database import engines, schema
from flask10x.database.database import Database
from flask10x.database.error_codes import reason_of
from flask10x.database.paths import WAL, beside, database_path, protected, shown_name
from flask10x.database.running_service import Running, running
from flask10x.database.sqlite import rescued
from flask10x.database.sqlite.file import (
    copy_into,
    make_single_file,
    open_read_only,
    remove_whole,
)
from flask10x.database.sqlite.snapshot import Snapshot, page_bytes_of
from flask10x.errors import BackupError, BackupRunning, CopyError, LockTimeout, ServiceError
from flask10x.maintenance import copy_check, earlier_backups, house_copy, remote_copy
from flask10x.maintenance.copying import fill_whole, of_new_file, snapshots
from flask10x.maintenance.earlier_backups import Changed, Image, advanced
from flask10x.maintenance.remote_copy import TRIED_BYTES, changed
from flask10x.system import backup_files, disk, disks
from flask10x.system.backup_files import (
    UNFINISHED_NAME,
    UNFINISHED_SUFFIX,
    finished,
    sums_of,
)
from flask10x.system.locks import FileLock
from flask10x.system.progress import Bar, unseen
from flask10x.system.wording import amount, megabytes
from flask10x.translation import chosen

LOCK_NAME = ".flask10x-backup.lock"
# A year: what a season was, and what a mistake has removed that nobody saw for months.
MONTHS_KEPT = 12
# A commit of a full batch takes seconds on a bad card; longer than this is a fault, which the
# service reports itself, and a backup without the newest readings is better than none.
PATIENCE_SEC = 10.0
# A service that does not answer gets this beside its commit interval, to store its readings.
UNASKED_MARGIN_SEC = 1.0
POLL_SEC = 0.05


def source_bytes(settings: Settings) -> int:
    """Return the bytes of the database and of its WAL; a copy is never larger.

    Raises BackupError when the database is missing or does not answer.
    """
    path = database_path(settings)
    if server := engines.engine_of(settings).server:
        try:
            with engines.engine_of(settings).reader() as engine, engine.connect() as connection:
                return server.primary(connection).database_bytes
        except DBAPIError as error:
            text = _("{path} cannot be read: {reason}")
            reason = " ".join(reason_of(error).split())
            raise BackupError(text.format(path=shown_name(settings), reason=reason)) from error
    if not path.exists():
        text = _("there is no database {path}").format(path=path)
        raise BackupError(text + rescued.instead_of(path))
    return disk.size(path) + disk.size(beside(path, WAL))


def write_copy(settings: Settings, target: Path, bar: Bar = unseen) -> None:
    """Write all that is stored at one moment into a new file, which is not yet on the disk.

    Raises OSError, Flask10xError or sqlalchemy.exc.DBAPIError; then the file is worthless.
    """
    if engines.engine_of(settings).is_file:
        copy_into(database_path(settings), target, bar)
        return
    copy = of_new_file(settings, target)
    # One transaction (REPEATABLE READ) reads all of it, while others commit.
    with snapshots(settings) as source, source.begin() as snapshot:
        schema.upgrade(copy)
        with closing(Database(copy)) as database:
            fill_whole(snapshot, database, bar)
    make_single_file(target)


@dataclass(frozen=True, slots=True)
class Backup:
    """A finished backup; `warnings` are sentences for the operator."""

    path: Path
    rows: int
    bytes: int
    seconds: float
    warnings: tuple[str, ...]
    secrets: int = 0
    """How many secrets of channels it holds."""

    def __str__(self) -> str:
        return _("{path}: {rows}, {size}, {seconds} s").format(
            path=self.path,
            rows=amount(self.rows, "row"),
            size=megabytes(self.bytes),
            seconds=f"{self.seconds:.1f}",
        )


def backup(
    settings: Settings,
    folder: Path,
    keep: int | None = None,
    bar: Bar = unseen,
    *,
    with_secrets: bool = False,
) -> Backup:
    """Back the house up into the folder, and keep the newest `keep` backups there.

    Without `keep` as many are kept as FLASK10X_BACKUP_KEEP says; beside them the last of each of
    the MONTHS_KEPT months before. The newest is a plain file, which has been made of the one before
    where possible; of that its changed pages are kept (`earlier_backups.py`).
    A backup has the database and the files of `config/house.py`, their secrets only if asked for.

    Raises BackupError, or BackupRunning when another backup uses the folder; then no file has got
    a final name and none was removed.
    """
    began_sec = time.monotonic()
    folder = folder.absolute()
    engines.engine_of(settings).require_not_missing()
    try:
        _check_room(settings, folder)
        with closing(FileLock(folder / LOCK_NAME)) as lock:
            if not lock.try_acquire():
                text = _("another backup into {folder} is running; this one did nothing")
                raise BackupRunning(text.format(folder=folder))
            # Before the database is read: its WAL grows while a transaction is open.
            with backup_files.held(folder, to_change=True):
                warnings = _remove_leftovers(folder)
                if service := running(settings):
                    warnings += [_settle(service, settings.commit_interval_sec, began_sec)]
                house = house_of(settings, with_secrets=with_secrets)
                path, contents = _copy(settings, folder, house, bar, warnings)
                warnings += _prune(folder, path, keep or settings.backup_keep)
            seconds = time.monotonic() - began_sec
            secrets = len(house.secrets)
            warnings = [*filter(None, warnings)]
            return Backup(path, contents.rows, disk.size(path), seconds, tuple(warnings), secrets)
    except LockTimeout as error:
        raise BackupRunning(str(error)) from error
    except OSError as error:
        text = _("cannot back up into {folder}: {reason}")
        raise BackupError(text.format(folder=folder, reason=error.strerror)) from error


def whole(
    settings: Settings, folder: Path, bar: Bar = unseen, *, with_secrets: bool = False
) -> Backup:
    """Write a plain file of SQLite, without free pages, to carry away; no other is removed.

    Raises BackupError; then no file has got its name.
    """
    began_sec = time.monotonic()
    folder = folder.absolute()
    engines.engine_of(settings).require_not_missing()
    try:
        _check_room(settings, folder, is_whole=True)
        service = running(settings)
        unsettled = _settle(service, settings.commit_interval_sec, began_sec) if service else ""
        house = house_of(settings, with_secrets=with_secrets)
        path = _free_path(folder, settings.zone, "-whole")
        contents = _write_whole(settings, path, house, bar, is_compact=True)
        warnings = (unsettled,) if unsettled else ()
        seconds = time.monotonic() - began_sec
        secrets = len(house.secrets)
        return Backup(path, contents.rows, disk.size(path), seconds, warnings, secrets)
    except OSError as error:
        text = _("cannot back up into {folder}: {reason}")
        raise BackupError(text.format(folder=folder, reason=error.strerror)) from error


def copy_away(settings: Settings, backup: Path) -> Path | None:
    """Copy a backup and its sum to FLASK10X_BACKUP_COPY_DIR, and keep as many there.

    Returns the copy; None if no folder for copies is set. Raises BackupError if the folder is
    missing, on the disk of the readings, or full: an empty mount point is never filled. So it does
    if a remote can't be reached.
    """
    folder = settings.backup_copy_dir
    if folder is None:
        return None
    _check_place(settings, folder)
    if disks.is_remote(folder):
        return remote_copy.copy(settings, folder, backup)
    try:
        folder.mkdir(exist_ok=True)
        with closing(FileLock(folder / LOCK_NAME)) as lock:
            if not lock.try_acquire():
                text = _("another backup is being copied to {folder}")
                raise BackupRunning(text.format(folder=folder))
            with backup_files.held(folder, to_change=True), backup_files.held(backup.parent):
                _remove_leftovers(folder)
                return _copy_of(settings, backup, folder)
    except (LockTimeout, CopyError) as error:
        raise BackupError(str(error)) from error
    except OSError as error:
        text = _("cannot copy to {folder}: {reason}")
        raise BackupError(text.format(folder=folder, reason=error.strerror)) from error


def _copy_of(settings: Settings, backup: Path, folder: Path) -> Path:
    """Make the newest copy in the folder one of this backup, or a new one; return it."""
    path, digest = folder / backup.name, backup_files.noted_checksum(backup) or ""
    try:
        former = _former(settings, folder)
        if former and former != path and page_bytes_of(former) == page_bytes_of(backup):
            source, grown = Image(backup), disk.size(backup) - disk.size(former)
            if shortage := disk.shortage(folder, max(0, grown) + disk.SPARE_BYTES):
                raise BackupError(shortage)
            with advanced(former, path, source, None, lambda _bytes: None) as found:
                if found != digest:
                    raise changed(folder)
                _publish(former, path, digest)
            _prune(folder, path, settings.backup_keep)
            return path
    except Changed:
        # What the stick had is of no use any more; a new copy is.
        pass
    if shortage := disk.shortage(folder, disk.size(backup) + disk.SPARE_BYTES):
        raise BackupError(shortage)
    unfinished = backup_files.unfinished_path(folder)
    try:
        disk.copy(backup, unfinished)
        disk.sync(unfinished)
        # Read back: a stick changes bytes without saying so.
        if backup_files.digest_of(unfinished) != digest:
            raise changed(folder)
        _publish(unfinished, path, digest)
    finally:
        unfinished.unlink(missing_ok=True)
    _prune(folder, path, settings.backup_keep)
    return path


def try_folder(settings: Settings, folder: Path) -> str:
    """Write, read back and remove a small file in a folder for copies; return what was seen.

    Raises BackupError with the reason why it is no place for them.
    """
    _check_place(settings, folder)
    if disks.is_remote(folder):
        return remote_copy.try_folder(settings, folder)
    file = backup_files.unfinished_path(folder)
    try:
        folder.mkdir(exist_ok=True)
        written = os.urandom(TRIED_BYTES)
        file.write_bytes(written)
        disk.sync(file)
        is_same = backup_files.digest_of(file) == sha256(written).hexdigest()
        file.unlink()
        free = megabytes(disk.free_bytes(folder))
    except OSError as error:
        text = _("{folder} cannot be written: {reason}")
        raise BackupError(text.format(folder=folder, reason=error.strerror)) from error
    if not is_same:
        raise changed(folder)
    text = _("{folder}: a file was written, read back and removed; {free} are free")
    return text.format(folder=folder, free=free)


def _check_place(settings: Settings, folder: Path) -> None:
    if trouble := disks.trouble_of(folder, protected(settings)):
        raise BackupError(chosen()(disks.TROUBLES[trouble], folder=folder))


def _check_room(settings: Settings, folder: Path, *, is_whole: bool = False) -> None:
    needed = source_bytes(settings) + disk.SPARE_BYTES
    # Not its parents: they may belong to a USB stick that is not mounted.
    if not folder.parent.exists():
        text = _(
            "cannot back up into {folder}: No such file or directory: {parent};"
            " is the disk mounted? Only the last folder of the path is made"
        )
        raise BackupError(text.format(folder=folder, parent=folder.parent))
    if not folder.is_dir():
        folder.mkdir(exist_ok=True)
        disk.leave_to_owner(folder, folder.parent)
    former = None if is_whole else _former(settings, folder)
    if former:
        # Only what has come since is new.
        needed = max(disk.SPARE_BYTES, needed - disk.size(former))
    # What a killed backup has left is removed before the copy is written.
    leftovers = sum(disk.size(path) for path in _unfinished(folder))
    if shortage := disk.shortage(folder, needed - leftovers):
        raise BackupError(shortage)


def _remove_leftovers(folder: Path) -> list[str]:
    """Remove what a backup that was killed has left; make a file it was changing what it was.

    Returns a warning of each file that can't be made so. A sum gets its name before its backup,
    and loses it after: a kill in between leaves it alone, and the copy without its name. Other sums
    stay: their backups may be elsewhere, and come back.
    """
    warnings = []
    for path in earlier_backups.interrupted(folder):
        try:
            earlier_backups.undo(path)
        except CopyError as error:
            warnings.append(str(error))
            backup_files.pages_path(path).unlink()
    for path in map(backup_files.plain_path, backup_files.earlier(folder)):
        backup_files.checksum_path(path).unlink(missing_ok=True)
    for path in _unfinished(folder):
        # One that stays because the copy can't be read does no harm.
        with suppress(OSError):
            for checksum in sums_of(path) if path.suffix == UNFINISHED_SUFFIX else ():
                checksum.unlink()
        path.unlink()
    return warnings


def _unfinished(folder: Path) -> list[Path]:
    """Return the files that a backup has left that was killed."""
    return [path for path in folder.iterdir() if UNFINISHED_NAME.fullmatch(path.name)]


def _settle(service: Running, commit_interval_sec: float, began_sec: float) -> str:
    """Wait until every reading accepted before the backup began is stored.

    Such a reading is committed within the commit interval unless the service has a fault, so this
    is a short wait. The service says how long the reading that waits longest has waited; when that
    is less than the time since the beginning, all from before are stored. Returns a warning when
    they may not be: the backup is made nevertheless.
    """
    while True:
        elapsed_sec = time.monotonic() - began_sec
        try:
            waited_sec = service.oldest_waiting_sec()
        except ServiceError as error:
            rest_sec = 2 * commit_interval_sec + UNASKED_MARGIN_SEC - elapsed_sec
            time.sleep(max(0.0, rest_sec))
            text = _(
                "could not ask the service whether the newest readings are stored, so a few that"
                " were accepted in the last moments before this backup may be missing: {reason}"
            )
            return text.format(reason=error)
        if waited_sec is None or waited_sec < elapsed_sec:
            return ""
        if elapsed_sec > 2 * commit_interval_sec + PATIENCE_SEC:
            text = _(
                "the service cannot store its newest readings now; those that it accepted in the"
                " last {seconds} s are not in this backup"
            )
            return text.format(seconds=f"{waited_sec:.0f}")
        time.sleep(max(POLL_SEC, commit_interval_sec / 10))


def _copy(
    settings: Settings, folder: Path, house: House, bar: Bar, warnings: list[str]
) -> tuple[Path, copy_check.Contents]:
    """Make the newest backup the next one, or a new file; return it, and what it holds."""
    path = _free_path(folder, settings.zone)
    is_dated = backup_files.FINAL_NAME.fullmatch(path.name)
    if is_dated and (former := _former(settings, folder)):
        try:
            with _translated(), _snapshot(settings) as source:
                # Else this SQLite does not show pages, or the file has others.
                if source is not None and page_bytes_of(former) == source.page_bytes:
                    size = source.count * source.page_bytes
                    with (
                        bar(_("copy"), size) as advance,
                        advanced(former, path, source, house, advance) as digest,
                    ):
                        source.end()
                        contents = copy_check.verify(former, bar)
                        _publish(former, path, digest)
                        return path, contents
        except Changed as error:
            warnings.append(str(error))
        if shortage := disk.shortage(folder, source_bytes(settings) + disk.SPARE_BYTES):
            raise BackupError(shortage)
    return path, _write_whole(settings, path, house, bar, is_compact=False)


def _former(settings: Settings, folder: Path) -> Path | None:
    """Return the newest plain file of the folder, if a backup can make it the next one.

    One with a second name is left alone: somebody keeps it by `cp -l`. So is one without its sum.
    """
    former = (
        finished(folder)[-1] if engines.engine_of(settings).is_file and finished(folder) else None
    )
    is_alone = former and former.stat().st_nlink == 1 and backup_files.noted_checksum(former)
    return former if is_alone else None


@contextmanager
def _snapshot(settings: Settings) -> Iterator[Snapshot | None]:
    """Yield the pages of the database; None if this SQLite does not show them."""
    engine = open_read_only(database_path(settings), snapshots=True)
    with engine.connect() as connection, connection.begin():
        yield Snapshot(connection) if Snapshot.is_possible(connection) else None


@contextmanager
def _translated() -> Iterator[None]:
    """Raise BackupError for what reading and checking the copy raise."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        text = _("the database cannot be copied: {reason}").format(reason=reason_of(error))
        raise BackupError(text) from error
    except Changed:
        raise
    except CopyError as error:
        text = _("the copy is no good, look at the database itself: {reason}").format(reason=error)
        raise BackupError(text) from error


def _write_whole(
    settings: Settings, path: Path, house: House, bar: Bar, *, is_compact: bool
) -> copy_check.Contents:
    """Write a new file, check it, and give it its name; return what it holds.

    Without `is_compact` its pages are those of the database, so that the next backup can be made of
    it.
    """
    unfinished = backup_files.unfinished_path(path.parent)
    try:
        with _translated():
            if is_compact or not _write_pages(settings, unfinished, bar):
                write_copy(settings, unfinished, bar)
            house_copy.put(house, unfinished)
            disk.sync(unfinished)
            before = backup_files.digest_of(unfinished)
            contents = copy_check.verify(unfinished, bar)
        # The check came between the two, so neither is the sum of other bytes.
        if backup_files.digest_of(unfinished) != before:
            text = _(
                "the copy in {folder} changed while it was checked: the disk there, or the memory,"
                " is at fault; no backup was made"
            )
            raise BackupError(text.format(folder=unfinished.parent))
        disk.leave_to_owner(unfinished, path.parent)
        _publish(unfinished, path, before)
    finally:
        remove_whole(unfinished)
    return contents


def _write_pages(settings: Settings, target: Path, bar: Bar) -> bool:
    """Write the pages of the database; return False if it is no file, or shows none."""
    if not engines.engine_of(settings).is_file:
        return False
    with _snapshot(settings) as source:
        if source is None:
            return False
        with (
            bar(_("copy"), source.count * source.page_bytes) as advance,
            open(target, "wb", opener=disk.private) as file,
        ):
            for block in source.blocks():
                file.write(block)
                advance(len(block))
    return True


def _free_path(folder: Path, zone: tzinfo | None, kind: str = "") -> Path:
    """Return the name of a backup that is made now, which no file has yet."""
    while True:
        path = folder / f"flask10x-{disk.moment(zone)}{kind}{backup_files.PLAIN_SUFFIX}"
        names = (path, backup_files.pages_path(path), backup_files.checksum_path(path))
        if not any(map(os.path.lexists, names)):
            return path
        time.sleep(POLL_SEC)


def _publish(file: Path, path: Path, digest: str) -> None:
    """Give a file that is on the disk its final name, and its sum the name beside it."""
    folder = path.parent
    checksum = backup_files.checksum_path(backup_files.unfinished_path(folder))
    try:
        with open(checksum, "w", encoding="utf-8", opener=disk.private) as noted:
            noted.write(backup_files.checksum_line(digest, path.name))
        disk.sync(checksum)
        disk.leave_to_owner(checksum, folder)
        checksum.rename(backup_files.checksum_path(path))
    finally:
        checksum.unlink(missing_ok=True)
    try:
        # Before the other name: no power cut leaves a backup whose sum is not on the disk.
        disk.sync(folder)
        file.rename(path)
    except OSError:
        backup_files.checksum_path(path).unlink(missing_ok=True)
        raise
    # That of the backup which this was.
    backup_files.checksum_path(file).unlink(missing_ok=True)
    disk.sync(folder)


def _prune(folder: Path, newest: Path, keep: int) -> list[str]:
    """Remove the oldest backups above `keep`; return a warning of each that could not be removed.

    The one just made counts but is never removed, even when its time is before the others': a Pi
    without a network starts with a clock that is behind. Of those that are kept by their pages the
    last of each month stays for MONTHS_KEPT months.
    """
    backups = [path for path in backup_files.restorable(folder) if path != newest]
    count = max(0, len(backups) - (keep - 1))
    superfluous, warnings = backups[:count], []
    is_last = [
        path.suffix == backup_files.PAGES_SUFFIX and _month(path) != _month(after)
        for path, after in zip(superfluous, [*backups[1:], newest], strict=False)
    ]
    of_months = [path for path, last in zip(superfluous, is_last, strict=True) if last]
    for path in superfluous:
        if path in of_months[-MONTHS_KEPT:]:
            continue
        try:
            _remove(path)
        except (OSError, CopyError) as error:
            text = _("the old backup {path} could not be removed: {reason}")
            reason = error.strerror if isinstance(error, OSError) else str(error)
            warnings.append(text.format(path=path, reason=reason))
    return warnings


def _month(path: Path) -> str:
    """The year and month in its name, `flask10x-202512`."""
    return path.name[: len("flask10x-YYYYMM")]


def _remove(path: Path) -> None:
    if path.suffix == backup_files.PAGES_SUFFIX:
        earlier_backups.drop(path)
        return
    # Without its name first: a kill now leaves what `_remove_leftovers` removes.
    nameless = path.rename(backup_files.unfinished_path(path.parent))
    backup_files.checksum_path(path).unlink(missing_ok=True)
    nameless.unlink()
