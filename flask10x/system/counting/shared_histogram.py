"""A histogram that all workers fill: how many values were at most so large, and their sum."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from flask10x.system.counting.shared_counts import SharedCounts


@dataclass(frozen=True, slots=True)
class Histogram:
    """What was observed since the service started."""

    bounds: tuple[int, ...]
    """The upper bounds, rising; each belongs to what it bounds."""
    at_most: tuple[int, ...]
    """How many values each bound holds; at the end one more number, that of all values."""
    sum: int
    """All values added up."""


class SharedHistogram:
    """Of whole numbers; make it before the fork."""

    def __init__(self, rows: int, bounds: Sequence[int]) -> None:
        """A row for each worker; `bounds` as in `Histogram`."""
        self._bounds = tuple(bounds)
        self._sum = len(self._bounds) + 1
        self._counts = SharedCounts(rows, self._sum + 1)

    def observe(self, row: int, value: int) -> None:
        """Count a value; only whoever has the row, and one of its threads at a time."""
        self._counts.add(row, bisect_left(self._bounds, value))
        self._counts.add(row, self._sum, value)

    def read(self) -> Histogram:
        """What all workers have observed, as one."""
        counts = [self._counts.total(column) for column in range(self._sum)]
        return Histogram(self._bounds, tuple(accumulate(counts)), self._counts.total(self._sum))
