"""The reserve: room on the disk that is kept for what a stop cannot store when the disk is full.

A file for each worker beside the database. Its blocks are set aside, nothing is written to it;
whoever needs the room renames it, so of two that need it at once each gets one of its own.
"""

import os
from contextlib import suppress
from pathlib import Path

from flask10x.system import disk

# While there is not room for so many of them, the database needs it more.
SPARE_FILES = 2


def set_aside(folder: Path, files: int, each_bytes: int) -> None:
    """See to it that there are so many; what fails now is left to the next call."""
    for path in _paths(folder, files):
        with suppress(OSError):
            if disk.size(path) >= each_bytes:
                continue
            if disk.free_bytes(folder) >= SPARE_FILES * each_bytes:
                _make(path, each_bytes)


def take(folder: Path, files: int, name: Path) -> bool:
    """Give one of them this name, in place of a file that may have it; False when there is none."""
    for path in _paths(folder, files):
        with suppress(FileNotFoundError):
            path.rename(name)
            return True
    return False


def _paths(folder: Path, files: int) -> list[Path]:
    return [folder / f"leftover.reserve-{number}" for number in range(files)]


def _make(path: Path, each_bytes: int) -> None:
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        with open(temporary, "wb", opener=disk.private) as file:
            os.posix_fallocate(file.fileno(), 0, each_bytes)
        temporary.rename(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
