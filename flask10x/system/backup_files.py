"""Finished backups in a folder, and the SHA-256 beside each, as `sha256sum -c` reads it."""

import errno
import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from gettext import gettext as _
from hashlib import file_digest
from pathlib import Path

from flask10x.errors import LockTimeout
from flask10x.system import disk

CHECKSUM_SUFFIX = ".sha256"
# As sha256sum writes it, of a text or of bytes.
CHECKSUM_LINE = re.compile(rb"([0-9a-fA-F]{64}) [ *][^\n]+\n?")
CHECKSUM_LINE_MAX_BYTES = 4096


def checksum_path(path: Path) -> Path:
    """Return the path of the file with the sum of a file."""
    return path.with_name(path.name + CHECKSUM_SUFFIX)


def checksum_line(digest: str, name: str) -> str:
    """Return the line with the sum of a file of this name in the same folder."""
    return f"{digest}  {name}\n"


def digest_of(path: Path) -> str:
    """Return the sum of a file's bytes on the disk; raises OSError.

    The cache of a file that was just written proves nothing about the disk, so the kernel is asked
    to drop it; it keeps bytes that are not on the disk yet.
    """
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return file_digest(file, "sha256").hexdigest()


def noted_checksum(path: Path) -> str | None:
    """Return the sum that is noted beside a file, None if there is none; raises OSError.

    It is empty if the note is no sum; then the file counts as changed. Only a regular file is read,
    because a pipe may never send a byte.
    """
    try:
        with open(checksum_path(path), "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                text = _("{path} is no regular file, so it has no sum")
                raise OSError(errno.EINVAL, text.format(path=checksum_path(path)))
            match = CHECKSUM_LINE.fullmatch(file.read(CHECKSUM_LINE_MAX_BYTES))
    except FileNotFoundError:
        return None
    return match[1].decode().lower() if match else ""


def _without_waiting(path: str, flags: int) -> int:
    """Open a file without blocking, even if it is a pipe without a writer."""
    return os.open(path, flags | os.O_NONBLOCK)


def is_unchanged(path: Path) -> bool | None:
    """Return whether a file has the sum noted beside it; None without one. Raises OSError."""
    expected = noted_checksum(path)
    return None if expected is None else digest_of(path) == expected


FINAL_NAME = re.compile(r"flask10x-[0-9]{8}-[0-9]{6}\.sqlite3")
PLAIN_SUFFIX, PAGES_SUFFIX = ".sqlite3", ".pages"
UNFINISHED_SUFFIX = ".tmp"
UNFINISHED_NAME = re.compile(r"\.flask10x-backup-[0-9]+\.tmp(-journal|-wal|-shm|\.sha256)?")
# A comparison of ten years with the newest backup takes a Pi half an hour.
READ_WITHIN_SEC = 3600.0
POLL_SEC = 0.05


def plain_path(path: Path) -> Path:
    """Return the name of a backup as a plain file, also of one that is kept by its pages."""
    return path.with_suffix(PLAIN_SUFFIX)


def pages_path(path: Path) -> Path:
    """Return the name of a backup as the pages in which it differs from the next one."""
    return path.with_suffix(PAGES_SUFFIX)


def unfinished_path(folder: Path) -> Path:
    """Return the name of the file that this process is making in the folder."""
    return folder / f".flask10x-backup-{os.getpid()}{UNFINISHED_SUFFIX}"


@contextmanager
def held(
    folder: Path, *, to_change: bool = False, within_sec: float | None = None
) -> Iterator[None]:
    """Let no backup change the files in a folder within the block.

    With `to_change` nobody else holds it. Raises LockTimeout after READ_WITHIN_SEC if no other
    time is given. A file system over the network may have no such locks; then nothing is held.
    """
    kind = fcntl.LOCK_EX if to_change else fcntl.LOCK_SH
    until = time.monotonic() + (READ_WITHIN_SEC if within_sec is None else within_sec)
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while True:
            try:
                fcntl.flock(fd, kind | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    text = _("another program reads or changes the backups in {folder}")
                    raise LockTimeout(text.format(folder=folder)) from None
                time.sleep(POLL_SEC)
            except OSError:
                break
        yield
    finally:
        os.close(fd)


def finished(folder: Path) -> list[Path]:
    """Return the backups in a folder, by the time in their names, oldest first; raises OSError."""
    files = (path for path in folder.iterdir() if FINAL_NAME.fullmatch(path.name))
    return sorted(path for path in files if path.is_file() and not path.is_symlink())


# The name of the newest copy on a remote, which is not asked for it each time.
COPIED = ".flask10x-copied"


def note_copy(folder: Path, copy: Path) -> None:
    """Note in the folder of the backups the copy that was made last; raises OSError."""
    note = folder / COPIED
    # A new file: the link of somebody else is never followed.
    note.unlink(missing_ok=True)
    with open(note, "x", encoding="utf-8", opener=disk.private) as file:
        file.write(f"{copy}\n")
    disk.leave_to_owner(note, folder)


def noted_copy(folder: Path) -> Path | None:
    """Return the copy that was noted in the folder of the backups; raises OSError."""
    try:
        return Path((folder / COPIED).read_text(encoding="utf-8").strip())
    except FileNotFoundError:
        return None


def sums_of(copy: Path) -> list[Path]:
    """Return the files with the sum of a copy that has no final name yet; raises OSError.

    A sum whose backup exists is left out, also if it exists under a longer name: then the sum is
    that of a compressed backup.
    """
    names = [path.name for path in copy.parent.iterdir()]
    sums = []
    for name in names:
        final = name.removesuffix(CHECKSUM_SUFFIX)
        if final == name or not FINAL_NAME.fullmatch(final):
            continue
        if not any(other.startswith(final) and other != name for other in names):
            sums.append(copy.with_name(final))
    digest = digest_of(copy) if sums else ""
    return [checksum_path(path) for path in sums if noted_checksum(path) == digest]


def earlier(folder: Path) -> list[Path]:
    """Return the backups that are kept by their pages, oldest first; raises OSError."""
    files = (path for path in folder.glob(f"flask10x-*{PAGES_SUFFIX}"))
    return sorted(path for path in files if FINAL_NAME.fullmatch(plain_path(path).name))


def restorable(folder: Path) -> list[Path]:
    """Return all backups in a folder, by the time in their names, oldest first; raises OSError."""
    kept = [path for path in earlier(folder) if not plain_path(path).is_file()]
    return sorted([*finished(folder), *kept])


def newest_unchanged(folder: Path, other_than: Path) -> Path | None:
    """Return the newest other backup in a folder that has its sum; raises OSError.

    It reads one file, or more if the newest ones have changed.
    """
    for path in reversed(finished(folder)):
        if path != other_than and is_unchanged(path):
            return path
    return None
