"""Old CSV files on the disk: their lines in blocks, and the file of the rejected ones."""

import csv
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TextIO

from flask10x.readings.legacy_csv import LONGEST_LINE, Rejection
from flask10x.system import disk

# Also the size of a transaction: some 2,700 rows of the bedroom's file, and no more than 8,000 of
# the shortest. A Pi stores that in a fraction of the second for which the service's writer waits
# (engine.WRITE_BUSY_TIMEOUT_MS).
BLOCK_BYTES = 160 * 1024
# Longer than any line that is read, also when each character takes 4 bytes.
CUT_BYTES = 4 * (LONGEST_LINE + 1)


def first_line(path: Path) -> bytes:
    """Read the header's line with its end, or the beginning of a line that is too long for one."""
    with open(path, "rb") as file:
        return file.readline(LONGEST_LINE)


def blocks(path: Path, start: int, end: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Yield whole lines, together about BLOCK_BYTES, with the offset at which they end.

    From offset `start`, where a line begins, to `end` or the end of the file. Only the last block
    can end without a line end. A line longer than a block is cut short, and still too long to be
    a row.
    """
    rest = b""
    with open(path, "rb") as file:
        file.seek(start)
        while data := file.read(BLOCK_BYTES if end is None else min(BLOCK_BYTES, end - start)):
            start += len(data)
            head, newline, tail = data.rpartition(b"\n")
            if newline:
                yield start - len(tail), rest + head + newline
                rest = tail
            else:
                rest = (rest + tail)[:CUT_BYTES]
    if rest:
        yield start, rest


def same_beginning(path: Path, other: Path) -> int:
    """Return how many bytes of whole lines both files begin with; all of them for one file."""
    if path.samefile(other):
        return path.stat().st_size
    same = 0
    with open(path, "rb") as file, open(other, "rb") as other_file:
        for line, other_line in zip(file, other_file, strict=False):
            if line != other_line or not line.endswith(b"\n"):
                break
            same += len(line)
    return same


class RejectedRows(AbstractContextManager["RejectedRows"]):
    """The lines that could not be read, as a CSV file of line number, reason and line.

    It is beside the old file, or in another folder when that one can't be written, and is created
    with the first line. It is used in `with`; where nothing was rejected, the file of an earlier
    run is removed at the end.
    """

    HEADER = ("line", "reason", "row")

    def __init__(self, path: Path, other_folder: Path) -> None:
        folder = path.parent if os.access(path.parent, os.W_OK) else other_folder
        self.path = folder / f"{path.name}.rejected.csv"
        self.count = 0
        self._file: TextIO | None = None

    def write(self, rejections: Sequence[Rejection]) -> None:
        """Add these; raises OSError when that is impossible."""
        if not rejections:
            return
        if self._file is None:
            self._file = self._begun()
        self.count += len(rejections)
        csv.writer(self._file).writerows((r.line, r.reason, r.raw) for r in rejections)

    def _begun(self) -> TextIO:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
        file = open(self.path, "x", newline="", encoding="utf-8", errors="surrogateescape")  # noqa: SIM115
        disk.leave_to_owner(file.fileno(), self.path.parent)
        csv.writer(file).writerow(self.HEADER)
        return file

    def __exit__(self, _kind: object, error: object, _trace: object) -> None:
        if self._file is not None:
            self._file.close()
        elif error is None:
            self.path.unlink(missing_ok=True)
