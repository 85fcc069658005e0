"""Old CSV files on the disk: their lines in blocks."""

from collections.abc import Iterator
from pathlib import Path

from flask10x.readings.legacy_csv import LONGEST_LINE

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
