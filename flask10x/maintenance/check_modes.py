"""Can everybody on this machine read what a token should be asked for?

New files are private (`system/disk.PRIVATE_MODE`); copies, and files whose mode somebody has
changed, keep the mode that they have. CSV files are meant to be read by others' scripts.
"""

import shlex
import stat
from collections.abc import Iterator
from gettext import gettext as _
from pathlib import Path

from flask10x.config.settings import PREFIX, Settings
from flask10x.database.paths import database_path
from flask10x.maintenance.findings import Finding
from flask10x.recording.leftover_file import FILES as LEFTOVER_FILES
from flask10x.system import backup_files
from flask10x.system.logs import FILE_NAME as LOG_NAME
from flask10x.system.wording import amount

NAME = "modes"


def check_modes(settings: Settings) -> Finding:
    """Whether database, leftovers, log and backups are private, where reading needs a token."""
    if not settings.read_tokens_file:
        return Finding("ok", NAME, _("reading needs no token"), {"files": []})
    try:
        files = [path for path in sorted(_kept(settings)) if _read_by_everybody(path)]
    except OSError as error:
        text = _("cannot look at the files: {reason}").format(reason=error)
        return Finding("WARN", NAME, text, {"files": []})
    if not files:
        return Finding("ok", NAME, _("nobody reads past the tokens"), {"files": []})
    names = [str(path) for path in files]
    text = _(
        "{setting} is set, and everybody on this machine may read {files}; run: chmod o= {names}"
    )
    shown = text.format(
        setting=f"{PREFIX}READ_TOKENS_FILE",
        files=amount(len(files), "file"),
        names=shlex.join(names),
    )
    return Finding("WARN", NAME, shown, {"files": names})


def _kept(settings: Settings) -> Iterator[Path]:
    database = database_path(settings)
    # With its -wal and -shm, and the copies that a restore keeps.
    yield from database.parent.glob(f"{database.name}*")
    yield from database.parent.glob(LEFTOVER_FILES)
    yield from settings.log_dir.glob(f"{LOG_NAME}*")
    if settings.backup_dir.is_dir():
        yield from backup_files.finished(settings.backup_dir)


def _read_by_everybody(path: Path) -> bool:
    """Whether the file's mode, and that of every folder above it, lets others in."""
    folders = path.resolve().parents
    return bool(path.stat().st_mode & stat.S_IROTH) and all(
        folder.stat().st_mode & stat.S_IXOTH for folder in folders
    )
