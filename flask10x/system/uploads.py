"""Files that a browser sends, in the data folder until they are used or the service starts again.

They are written as they come, in pieces, so that neither memory nor the card has much of one to
do at once: a commit waits for what is before it in the queue of the card.
"""

import os
import re
import shutil
from contextlib import closing, suppress
from io import FileIO
from pathlib import Path

from flask10x.system import disk
from flask10x.system.locks import FileLock, note_of_holder

NAME = "uploads"
LOCK = ".lock"
# A card writes so much in a moment; more would lie in memory, and each commit would wait for it.
SYNC_EVERY_BYTES = 4_000_000
# As people call their files; what else a name has may mean something to a shell or a path.
USUAL_NAME = re.compile(r"\w[\w .()+,-]{0,99}")
OTHER_NAME = "upload"
# A name has 255 in a folder, and rejected rows are in a file with a longer one.
NAME_MAX_BYTES = 240


class Uploads:
    """The files of one upload; the next one replaces them. One at a time is received."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / NAME
        self._lock: FileLock | None = None

    @property
    def files(self) -> list[Path]:
        """The files that came, in their order; what was made beside them is not among them."""
        found = []
        with suppress(OSError):
            for folder in self.folder.iterdir():
                if folder.name.isdigit():
                    # Rejected rows are beside the file that came, under a longer name.
                    names = sorted((path.name for path in folder.iterdir()), key=len)
                    found += [(int(folder.name), folder / name) for name in names[:1]]
        return [path for _, path in sorted(found)]

    @property
    def is_receiving(self) -> bool:
        """Whether files are on their way now; raises OSError."""
        return note_of_holder(self.folder / LOCK) is not None

    def begin(self) -> bool:
        """Keep others from sending files; False when some are being received. Raises OSError."""
        if not self.folder.is_dir():
            self.folder.mkdir(mode=0o750)
            disk.leave_to_owner(self.folder, self.folder.parent)
        lock = FileLock(self.folder / LOCK)
        if not lock.try_acquire():
            lock.close()
            return False
        self._lock = lock
        return True

    def discard(self) -> None:
        """Remove all files, by whom receives them. Raises OSError."""
        for path in self.folder.iterdir():
            if path.name.isdigit():
                shutil.rmtree(path)

    def end(self) -> None:
        """Let others send files."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def new_file(self, number: int, name: str) -> "NewFile":
        """Begin a file; each has a folder of its own, so two may have one name. Raises OSError."""
        folder = self.folder / str(number)
        folder.mkdir(mode=0o750)
        disk.leave_to_owner(folder, self.folder)
        return NewFile(folder / safe_name(name))

    def remove(self) -> None:
        """Remove all, unless some are being received. Raises OSError."""
        if self.folder.is_dir():
            with closing(FileLock(self.folder / LOCK)) as lock:
                if lock.try_acquire():
                    self.discard()


def safe_name(name: str) -> str:
    """Return the last part of a name that a browser has sent, or another one in its place."""
    last = re.split(r"[/\\]", name)[-1].strip()
    is_usual = USUAL_NAME.fullmatch(last) and len(last.encode()) <= NAME_MAX_BYTES
    return last if is_usual else OTHER_NAME


class NewFile(FileIO):
    """A file that is being received."""

    _unsynced = 0

    def __init__(self, path: Path) -> None:
        super().__init__(path, "xb", opener=disk.private)
        disk.leave_to_owner(self.fileno(), path.parent)

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Write all of the next bytes; raises OSError."""
        rest = memoryview(data)
        while rest:
            rest = rest[super().write(rest) :]
        self._unsynced += len(data)
        if self._unsynced >= SYNC_EVERY_BYTES:
            self._sync()
        return len(data)

    def close(self) -> None:
        """End the file; raises OSError when it is not on the disk."""
        try:
            if not self.closed:
                self._sync()
        finally:
            super().close()

    def _sync(self) -> None:
        self._unsynced = 0
        os.fdatasync(self.fileno())
        # It is read again much later; memory is for the database.
        os.posix_fadvise(self.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def remove_leftovers(data_dir: Path) -> None:
    """At a start: remove what was sent before, unless a command still works with it."""
    # Only this needs it, at a start.
    from flask10x.system.background import Background  # noqa: PLC0415

    with suppress(OSError):
        if not Background(data_dir).is_running:
            Uploads(data_dir).remove()
