"""The files by which this process has the database open, compared with what the names lead to.

A connection goes on with the files that it has opened, also when they are renamed or deleted; what
it writes there is missed by everybody who opens the names, and gone with the last process that has
them open. Nothing is opened here: closing it would free the locks that SQLite holds in this process
(https://www.sqlite.org/howtocorrupt.html).
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from flask10x.database.paths import SHARED_MEMORY, WAL, beside

FileId = tuple[int, int]
"""Device and inode."""
DESCRIPTORS = Path("/proc/self/fd")
# What the kernel adds to the name of a file that has none any more.
DELETED = " (deleted)"


class OpenFiles:
    """The database's file, its WAL and its shared memory, as this process has them open."""

    def __init__(self, database: Path) -> None:
        self._names = {str(path): path for path in _files_of(database)}
        self._held: dict[FileId, Path] = {}

    def lost(self) -> str:
        """Which of them its name leads to no more; empty while all are in place.

        A file that was renamed is known again if it was seen before under its name.
        """
        held = dict(self._descriptors())
        self._held = held
        for file_id, path in held.items():
            try:
                status = path.stat()
            except FileNotFoundError:
                return f"{path} was deleted or moved away while in use"
            except OSError:
                # The disk doesn't answer: no reason to believe that the file is another one.
                continue
            if (status.st_dev, status.st_ino) != file_id:
                return f"{path} was replaced by another file while in use"
        return ""

    def _descriptors(self) -> Iterator[tuple[FileId, Path]]:
        """What each descriptor of this process leads to, of these files."""
        with suppress(OSError):
            for descriptor in DESCRIPTORS.iterdir():
                # Others are opened and closed meanwhile.
                with suppress(OSError):
                    target = descriptor.readlink()
                    status = os.fstat(int(descriptor.name))
                    file_id = status.st_dev, status.st_ino
                    path = self._names.get(str(target).removesuffix(DELETED))
                    if path := path or self._held.get(file_id):
                        yield file_id, path


def _files_of(database: Path) -> list[Path]:
    return [database, beside(database, WAL), beside(database, SHARED_MEMORY)]
