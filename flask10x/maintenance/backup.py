"""Backups: the database and the files of the house, in one file, made while the service writes.

On either engine a backup is a file of SQLite.

A backup gets its final name only when it is complete, checked and on the disk, as is the SHA-256 of
its bytes beside it. It holds every reading that was answered with 200 before the backup began; see
`_settle`.
"""

import os
import re
import time
from contextlib import closing, suppress
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
from flask10x.database.sqlite.file import copy_into, make_single_file, remove_whole
from flask10x.errors import BackupError, BackupRunning, CopyError, ServiceError
from flask10x.maintenance import copy_check, house_copy, remote_copy
from flask10x.maintenance.copying import fill_whole, of_new_file, snapshots
from flask10x.maintenance.remote_copy import TRIED_BYTES, changed
from flask10x.system import backup_files, disk, disks
from flask10x.system.backup_files import finished, sums_of
from flask10x.system.locks import FileLock
from flask10x.system.progress import Bar, unseen
from flask10x.system.wording import amount, megabytes
from flask10x.translation import chosen

LOCK_NAME = ".flask10x-backup.lock"
UNFINISHED_SUFFIX = ".tmp"
UNFINISHED_NAME = re.compile(r"\.flask10x-backup-[0-9]+\.tmp(-journal|-wal|-shm|\.sha256)?")
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

    Without `keep` as many are kept as FLASK10X_BACKUP_KEEP says.
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
            _remove_leftovers(folder)
            service = running(settings)
            unsettled = _settle(service, settings.commit_interval_sec, began_sec) if service else ""
            unfinished = _unfinished_path(folder)
            try:
                house = house_of(settings, with_secrets=with_secrets)
                contents, digest = _copy(settings, unfinished, house, bar)
                disk.leave_to_owner(unfinished, folder)
                path = _publish(unfinished, digest, settings.zone)
            finally:
                remove_whole(unfinished)
                backup_files.checksum_path(unfinished).unlink(missing_ok=True)
            warnings = [unsettled] if unsettled else []
            warnings += _prune(folder, path, keep or settings.backup_keep)
            seconds = time.monotonic() - began_sec
            secrets = len(house.secrets)
            return Backup(path, contents.rows, disk.size(path), seconds, tuple(warnings), secrets)
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
        if shortage := disk.shortage(folder, disk.size(backup) + disk.SPARE_BYTES):
            raise BackupError(shortage)
        with closing(FileLock(folder / LOCK_NAME)) as lock:
            if not lock.try_acquire():
                text = _("another backup is being copied to {folder}")
                raise BackupRunning(text.format(folder=folder))
            _remove_leftovers(folder)
            unfinished, path = _unfinished_path(folder), folder / backup.name
            try:
                disk.copy(backup, unfinished)
                disk.sync(unfinished)
                # Read back: a stick changes bytes without saying so.
                digest = backup_files.noted_checksum(backup)
                if backup_files.digest_of(unfinished) != digest:
                    raise changed(folder)
                disk.copy(backup_files.checksum_path(backup), backup_files.checksum_path(path))
                disk.sync(backup_files.checksum_path(path))
                unfinished.rename(path)
                disk.sync(folder)
            finally:
                unfinished.unlink(missing_ok=True)
            _prune(folder, path, settings.backup_keep)
            return path
    except OSError as error:
        text = _("cannot copy to {folder}: {reason}")
        raise BackupError(text.format(folder=folder, reason=error.strerror)) from error


def try_folder(settings: Settings, folder: Path) -> str:
    """Write, read back and remove a small file in a folder for copies; return what was seen.

    Raises BackupError with the reason why it is no place for them.
    """
    _check_place(settings, folder)
    if disks.is_remote(folder):
        return remote_copy.try_folder(settings, folder)
    file = folder / f".flask10x-backup-{os.getpid()}{UNFINISHED_SUFFIX}"
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


def _check_room(settings: Settings, folder: Path) -> None:
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
    # What a killed backup has left is removed before the copy is written.
    leftovers = sum(disk.size(path) for path in _unfinished(folder))
    if shortage := disk.shortage(folder, needed - leftovers):
        raise BackupError(shortage)


def _remove_leftovers(folder: Path) -> None:
    """Remove what a backup that was killed has left.

    A sum gets its name before its backup, and loses it after: a kill in between leaves it alone,
    and the copy without its name. Other sums stay: their backups may be elsewhere, and come back.
    """
    for path in _unfinished(folder):
        # One that stays because the copy can't be read does no harm.
        with suppress(OSError):
            for checksum in sums_of(path) if path.suffix == UNFINISHED_SUFFIX else ():
                checksum.unlink()
        path.unlink()


def _unfinished_path(folder: Path) -> Path:
    return folder / f".flask10x-backup-{os.getpid()}{UNFINISHED_SUFFIX}"


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
    settings: Settings, unfinished: Path, house: House, bar: Bar
) -> tuple[copy_check.Contents, str]:
    """Write and check the copy; return what it holds, and the sum of the checked bytes."""
    try:
        write_copy(settings, unfinished, bar)
        house_copy.put(house, unfinished)
        disk.sync(unfinished)
        before = backup_files.digest_of(unfinished)
        contents = copy_check.verify(unfinished, bar)
    except DBAPIError as error:
        text = _("the database cannot be copied: {reason}").format(reason=reason_of(error))
        raise BackupError(text) from error
    except CopyError as error:
        text = _("the copy is no good, look at the database itself: {reason}").format(reason=error)
        raise BackupError(text) from error
    # The check came between the two, so neither is the sum of other bytes.
    if backup_files.digest_of(unfinished) != before:
        text = _(
            "the copy in {folder} changed while it was checked: the disk there, or the memory, is"
            " at fault; no backup was made"
        )
        raise BackupError(text.format(folder=unfinished.parent))
    return contents, before


def _publish(unfinished: Path, digest: str, zone: tzinfo | None) -> Path:
    """Give the copy its final name, which no file has yet, and its sum the name beside it."""
    folder = unfinished.parent
    while True:
        path = folder / f"flask10x-{disk.moment(zone)}.sqlite3"
        if not any(map(os.path.lexists, (path, backup_files.checksum_path(path)))):
            break
        time.sleep(POLL_SEC)
    checksum = backup_files.checksum_path(unfinished)
    with open(checksum, "w", encoding="utf-8", opener=disk.private) as file:
        file.write(backup_files.checksum_line(digest, path.name))
    disk.sync(checksum)
    disk.leave_to_owner(checksum, folder)
    checksum.rename(backup_files.checksum_path(path))
    try:
        # Before the other name: no power cut leaves a backup whose sum is not on the disk.
        disk.sync(folder)
        unfinished.rename(path)
    except OSError:
        backup_files.checksum_path(path).unlink(missing_ok=True)
        raise
    disk.sync(folder)
    return path


def _prune(folder: Path, newest: Path, keep: int) -> list[str]:
    """Remove the oldest backups above `keep`; return a warning of each that could not be removed.

    The one just made counts but is never removed, even when its time is before the others': a Pi
    without a network starts with a clock that is behind.
    """
    backups = [path for path in finished(folder) if path != newest]
    warnings = []
    for path in backups[: max(0, len(backups) - (keep - 1))]:
        try:
            # Without its name first: a kill now leaves what `_remove_leftovers` removes.
            nameless = path.rename(_unfinished_path(folder))
            backup_files.checksum_path(path).unlink(missing_ok=True)
            nameless.unlink()
        except OSError as error:
            text = _("the old backup {path} could not be removed: {reason}")
            warnings.append(text.format(path=path, reason=error.strerror))
    return warnings
