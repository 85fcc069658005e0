"""Counts in memory that all workers share: a row for each worker, a column for each count.

Each number has one process that writes it, so nothing is locked. What a worker has counted stays
when it is killed, and whoever gets its row counts on from there: a total never falls.
"""

import mmap

NUMBER_BYTES = 8


class SharedCounts:
    """All at 0; make it before the fork."""

    def __init__(self, rows: int, columns: int) -> None:
        """Memory is only taken for what is written."""
        self._columns = columns
        memory = mmap.mmap(-1, rows * columns * NUMBER_BYTES)
        self._numbers = memoryview(memory).cast("q")

    def add(self, row: int, column: int, amount: int = 1) -> None:
        """Count; only whoever has the row, and one of its threads at a time."""
        self._numbers[row * self._columns + column] += amount

    def total(self, column: int) -> int:
        """What all have counted there."""
        return sum(self._numbers[column :: self._columns])
