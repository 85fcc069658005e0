"""Which files of a folder are finished backups."""

import re
from pathlib import Path

FINAL_NAME = re.compile(r"flask10x-[0-9]{8}-[0-9]{6}\.sqlite3")


def finished(folder: Path) -> list[Path]:
    """The backups in a folder, by the time in their names, oldest first; raises OSError."""
    files = (path for path in folder.iterdir() if FINAL_NAME.fullmatch(path.name))
    return sorted(path for path in files if path.is_file() and not path.is_symlink())
