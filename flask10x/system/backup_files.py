"""Which files of a folder are finished backups, and which of them are as they were made."""

import re
from pathlib import Path

from flask10x.system import checksum

FINAL_NAME = re.compile(r"flask10x-[0-9]{8}-[0-9]{6}\.sqlite3")


def finished(folder: Path) -> list[Path]:
    """The backups in a folder, by the time in their names, oldest first; raises OSError."""
    files = (path for path in folder.iterdir() if FINAL_NAME.fullmatch(path.name))
    return sorted(path for path in files if path.is_file() and not path.is_symlink())


def sums_of(copy: Path) -> list[Path]:
    """The sums beside a copy without a final name that were noted for it; raises OSError.

    Not one whose backup is there, also under a longer name: it proves that of a compressed one.
    """
    names = [path.name for path in copy.parent.iterdir()]
    sums = []
    for name in names:
        final = name.removesuffix(checksum.SUFFIX)
        if final == name or not FINAL_NAME.fullmatch(final):
            continue
        if not any(other.startswith(final) and other != name for other in names):
            sums.append(copy.with_name(final))
    digest = checksum.digest_of(copy) if sums else ""
    return [checksum.beside(path) for path in sums if checksum.noted(path) == digest]


def newest_unchanged(folder: Path, other_than: Path) -> Path | None:
    """The newest other backup in a folder that has its sum; raises OSError.

    It reads one file, or more where the newest ones have changed.
    """
    for path in reversed(finished(folder)):
        if path != other_than and checksum.is_unchanged(path):
            return path
    return None
