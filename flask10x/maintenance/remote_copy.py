"""Copies of backups away from the house, by rclone: SFTP, WebDAV, or any storage that it knows.

Addresses and passwords are in rclone's own configuration: `rclone.conf` in the data folder, or the
one that rclone finds itself (https://rclone.org/docs/#config-config-file).
"""

import os
import re
import shutil
import subprocess
from contextlib import suppress
from gettext import gettext as _
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile

from flask10x.config.settings import Settings
from flask10x.errors import BackupError
from flask10x.system import backup_files

CONFIG = "rclone.conf"
"""The configuration in the data folder, which the service's user can read and rclone renew."""
# What a page of a file system holds many times.
TRIED_BYTES = 65_536
# Before each line that rclone writes, with the kind of some.
_STAMP = re.compile(r"^[0-9/]+ [0-9:]+ (?:[A-Z]+ *: )?")


def copy(settings: Settings, folder: Path, backup: Path) -> Path:
    """Copy a backup to a remote, read it back, then copy its sum; keep BACKUP_KEEP there.

    Returns the copy, as rclone names it. Raises BackupError.
    """
    target, digest = folder / backup.name, backup_files.noted_checksum(backup)
    _write(settings, backup, target, digest or "")
    # A copy that was interrupted has no sum.
    sum_of = backup_files.checksum_path
    _rclone(settings, "copyto", str(sum_of(backup)), str(sum_of(target)))
    listed = _rclone(settings, "lsf", "--files-only", str(folder)).split("\n")
    others = sorted({*filter(backup_files.FINAL_NAME.fullmatch, listed)} - {backup.name})
    for name in others[: max(0, len(others) - (settings.backup_keep - 1))]:
        # Its sum last, so that a copy without one is never a whole one.
        for path in (folder / name, sum_of(folder / name)):
            with suppress(BackupError):
                _rclone(settings, "deletefile", str(path))
    backup_files.note_copy(backup.parent, target)
    return target


def try_folder(settings: Settings, folder: Path) -> str:
    """Write, read back and remove a small file in a remote folder; return what was seen.

    Raises BackupError.
    """
    with NamedTemporaryFile() as file:
        written = os.urandom(TRIED_BYTES)
        file.write(written)
        file.flush()
        target = folder / f".flask10x-tried-{os.getpid()}"
        _write(settings, Path(file.name), target, sha256(written).hexdigest())
        _rclone(settings, "deletefile", str(target))
    return _("{folder}: a file was written, read back and removed").format(folder=folder)


def changed(folder: Path) -> BackupError:
    """Return the error for a file in this folder whose bytes have changed when it is read back."""
    text = _(
        "a file read back from {folder} differs from the one written there; the disk is faulty"
    )
    return BackupError(text.format(folder=folder))


def _write(settings: Settings, source: Path, target: Path, digest: str) -> None:
    """Raises BackupError if it can't be written, or has not this sum when it is read back."""
    _rclone(settings, "copyto", str(source), str(target))
    read = _rclone(settings, "hashsum", "sha256", "--download", str(target))
    if read.split(maxsplit=1)[:1] != [digest]:
        with suppress(BackupError):
            _rclone(settings, "deletefile", str(target))
        raise changed(target.parent)


def _rclone(settings: Settings, *words: str) -> str:
    """Return what rclone prints; raises BackupError with its last line if it fails."""
    config = settings.data_dir / CONFIG
    # Without a terminal it would wait for the password of its configuration.
    options = ["--ask-password=false", *(["--config", str(config)] if config.exists() else [])]
    program = shutil.which("rclone") or "rclone"
    try:
        ran = subprocess.run(  # noqa: S603
            [program, *options, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise BackupError(_("rclone cannot be started: {reason}").format(reason=error)) from error
    if ran.returncode:
        lines = [_STAMP.sub("", line) for line in ran.stderr.splitlines() if line.strip()]
        reason = lines[-1] if lines else ran.returncode
        text = _("rclone {command} failed: {reason}")
        raise BackupError(text.format(command=words[0], reason=reason))
    return ran.stdout
