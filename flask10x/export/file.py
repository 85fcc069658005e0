"""A CSV file on the disk: read, appended to, cut, synced.

This module knows nothing of readings but that -0.0 is 0.0. Whole files are read in blocks, so the
memory stays small whatever a file has.
"""

import os
import shutil
import stat
import zlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from gettext import gettext as _
from itertools import count, takewhile
from pathlib import Path

from flask10x.errors import ExportError
from flask10x.readings.numbers import lines_without_minus_zero
from flask10x.system import disk

BLOCK_BYTES = 1_000_000
# The longest line that we write has some 150 bytes; more than this is not read as one line.
LINE_BYTES = 4096
# SQLite's integers have a sign, some file systems' inode numbers use all 64 bits.
INODE_MASK = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Mark:
    """What a file was at one moment, by which a later change is recognised."""

    size_bytes: int
    checksum: int
    """The CRC-32 of all its bytes."""
    inode: int = 0
    changed_ns: int = 0
    """When its bytes, owner or name changed last (ctime), which no copy and no tool can set."""

    @property
    def content(self) -> tuple[int, int]:
        """Size and checksum, which a copy of the file has, too."""
        return self.size_bytes, self.checksum


NOTHING = Mark(0, 0)
"""The mark of a file that does not exist yet, or is empty."""


@dataclass(slots=True)
class CountedLines:
    """Lines of a file that are alike: their number, and the first of them."""

    rows: int = 0
    number: int = 0
    line: bytes = b""

    def add(self, number: int, line: bytes) -> None:
        """Count a line; the header has number 1."""
        if not self.rows:
            self.number, self.line = number, line
        self.rows += 1


class CsvFile(AbstractContextManager["CsvFile"]):
    """An open file. Close it, or use it in `with`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._reader = os.fdopen(descriptor, "rb")

    @classmethod
    def open(cls, path: Path, *, write: bool) -> "CsvFile | None":
        """Open the file; return None when there is none.

        Raises ExportError when it is no regular file, OSError when it can't be opened.
        """
        try:
            # A pipe would keep us waiting for its other end.
            if not stat.S_ISREG(path.stat().st_mode):
                raise ExportError(_("is no regular file"))
            flags = os.O_RDWR | os.O_APPEND if write else os.O_RDONLY
            return cls(path, os.open(path, flags | os.O_CLOEXEC))
        except FileNotFoundError:
            return None

    @classmethod
    def create(cls, path: Path) -> "CsvFile":
        """Create an empty file, and its folder if that is missing.

        A link is followed, as its file may have been archived; the folder that it leads to must
        exist. Raises FileExistsError when another process was faster.
        """
        make_folder(path.parent)
        path = path.resolve()
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        file = cls(path, os.open(path, flags, 0o666))
        disk.leave_to_owner(file._descriptor, path.parent)
        return file

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it; nothing is synced."""
        self._reader.close()

    @property
    def size(self) -> int:
        """The current size of the file in bytes."""
        return os.fstat(self._descriptor).st_size

    def mark(self, checksum: int) -> Mark:
        """Return what the file is now; `checksum` is that of all its bytes."""
        status = os.fstat(self._descriptor)
        return Mark(status.st_size, checksum, status.st_ino & INODE_MASK, status.st_ctime_ns)

    def mark_up_to(self, end: int) -> Mark:
        """Return what the file is now up to `end`, whatever follows; reads all of that."""
        return replace(self.mark(self.checksum(end)), size_bytes=end)

    def read(self, offset: int, length: int) -> bytes:
        """Read up to `length` bytes from `offset` on, fewer at the end of the file."""
        self._reader.seek(offset)
        return self._reader.read(length)

    def line(self, offset: int) -> bytes:
        """Read the line that begins there, or its first LINE_BYTES."""
        self._reader.seek(offset)
        return self._reader.readline(LINE_BYTES)

    def line_before(self, end: int) -> bytes:
        """Read the line that ends there, or its last LINE_BYTES."""
        start = max(0, end - LINE_BYTES)
        data = self.read(start, end - start)
        return data[data[:-1].rfind(b"\n") + 1 :]

    def lines(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the lines from `start` to `end`; a line longer than LINE_BYTES comes in pieces."""
        self._reader.seek(start)
        while start < end:
            line = self._reader.readline(min(LINE_BYTES, end - start))
            if not line:
                return
            yield line
            start += len(line)

    def count_lines(self, start: int, end: int) -> int:
        """Return how many line ends there are from `start` to `end`."""
        return sum(block.count(b"\n") for block in self.blocks(start, end))

    def end_of_lines(self) -> int:
        """Return the offset at which the last whole line ends."""
        end = self.size
        while end > 0:
            start = max(0, end - LINE_BYTES)
            newline = self.read(start, end - start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            end = start
        return 0

    def blocks(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to `end` (or the end of the file) in blocks."""
        while start < end:
            block = self.read(start, min(BLOCK_BYTES, end - start))
            if not block:
                return
            yield block
            start += len(block)

    def checksum(self, end: int) -> int:
        """Return the CRC-32 of the bytes up to `end`."""
        value = 0
        for block in self.blocks(0, end):
            value = zlib.crc32(block, value)
        return value

    def begins_with(self, content: tuple[int, int]) -> bool:
        """Check that it begins with so many bytes that have this CRC-32."""
        size, checksum = content
        return self.size >= size and self.checksum(size) == checksum

    def has_line(self, line: bytes, start: int) -> bool:
        """Whether the file has the whole line behind `start`, itself the end of a line.

        Its zeros may have a minus sign there.
        """
        whole_line, before = b"\n" + line, b""
        longest = len(line) + line.count(b",")
        for block in self.blocks(start - 1, self.size):
            if whole_line in lines_without_minus_zero(before + block):
                return True
            before = (before + block)[-longest:]
        return False

    def same_end(self, other: "CsvFile") -> int:
        """Return how many bytes at the end are the same in both files."""
        same = 0
        while length := min(BLOCK_BYTES, self.size - same, other.size - same):
            blocks = [file.read(file.size - same - length, length) for file in (self, other)]
            if blocks[0] != blocks[1]:
                pairs = zip(*map(reversed, blocks), strict=True)
                return same + len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
            same += length
        return same

    def append(self, data: bytes, start: int) -> None:
        """Write `data` at the end, which is at `start`, in one call, and wait for the disk.

        Raises OSError when that fails; then the file is as it was, if it can still be cut. Raises
        ExportError when something else wrote meanwhile; then nothing is cut off.
        """
        try:
            try:
                written = os.write(self._descriptor, data)
                while written < len(data):
                    written += os.write(self._descriptor, data[written:])
            finally:
                # The write has moved the descriptor under the reader, which would go on there.
                self._reader.seek(0, os.SEEK_END)
            if self.size != start + len(data):
                raise ExportError(_("something else wrote into it at the same moment"))
            self.sync()
        except OSError:
            with suppress(OSError):
                tail = self.read(start, len(data) + 1)
                if tail and data.startswith(tail):
                    self.cut(start)
            raise

    def cut(self, size: int) -> None:
        """Cut it to this size, durably."""
        os.ftruncate(self._descriptor, size)
        self.sync()

    def sync(self) -> None:
        """Wait until its bytes are on the disk."""
        os.fsync(self._descriptor)


def make_folder(folder: Path) -> None:
    """Make the folder if it is missing, and sync its name to the disk."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        disk.leave_to_owner(folder, folder.parent)
        disk.sync(folder.parent)


def fresh_path(path: Path) -> Path:
    """Return where a new file is written before it takes the name of this one."""
    # `resolve` has no answer for a link that leads to itself.
    real = Path(os.path.realpath(path))
    return real.with_name(f".{real.name}.rebuilt")


def write_beside(path: Path, blocks: Iterable[bytes], former: Path | None = None) -> Mark:
    """Write and sync a new file beside this one, or beside its place; return what it is.

    It has mode and owner of the `former` file, and without one those of a new file of the folder.
    Raises OSError and what `blocks` raises; then nothing is left of it.
    """
    fresh, size, checksum = fresh_path(path), 0, 0
    make_folder(fresh.parent)
    fresh.unlink(missing_ok=True)
    try:
        with open(fresh, "xb") as file:
            if former is not None:
                disk.leave_to_same_owner(file.fileno(), former.stat())
            else:
                disk.leave_to_owner(file.fileno(), fresh.parent)
            for data in blocks:
                file.write(data)
                size, checksum = size + len(data), zlib.crc32(data, checksum)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    return Mark(size, checksum)


def put_in_place(path: Path) -> Path | None:
    """Give the file that was written beside this one its name, durably.

    Unless it begins with all bytes of this one, this one keeps another name, which is returned.
    Killed at any time, this can be done again.
    """
    path, fresh, kept = path.resolve(), fresh_path(path), None
    with (
        CsvFile.open(path, write=False) or nullcontext() as old,
        CsvFile.open(fresh, write=False) or nullcontext() as new,
    ):
        if old and new and not new.begins_with(old.mark_up_to(old.size).content):
            kept = keep_old(path)
    take_name(path)
    return kept


def take_name(path: Path) -> None:
    """Give the file that was written beside this one its name, durably."""
    path = path.resolve()
    fresh_path(path).replace(path)
    disk.sync(path.parent)


def keep_old(path: Path) -> Path:
    """Give the file a second name, `.old` or the next free one like it, before it loses its own."""
    for number in count(1):
        second = path.with_name(f"{path.name}.old" + (f"-{number}" if number > 1 else ""))
        try:
            second.hardlink_to(path)
        except FileExistsError:
            if not second.samefile(path):
                continue
        except OSError:
            # A file system without second names, as on USB sticks.
            with open(path, "rb") as source, open(second, "xb") as copy:
                shutil.copyfileobj(source, copy)
                copy.flush()
                os.fsync(copy.fileno())
        return second
    raise AssertionError("unreachable")
