"""Buckets of a chart: how wide they are for a range of time, and what a bucket holds."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from flask10x.readings.times import HOUR_MS, SECOND_MS

# Below an hour the widths that a clock shows; from there on whole hours, for those are kept.
CLOCK_WIDTHS_MS = tuple(
    seconds * SECOND_MS for seconds in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800)
)
# One bucket can't do: a range may lie across the border of any two.
MIN_BUCKETS, MAX_BUCKETS = 2, 600
# SQLite sorts the rows of a statement before it groups them; a month of a station that sends
# every 20 s takes about 10 MB.
PIECE_MS = 30 * 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Window:
    """A range of time and the width of its buckets; all in milliseconds, both ends inclusive.

    Bucket `n` begins at `n * bucket_ms` of the UTC epoch, so that buckets stay where they are
    while the range moves.
    """

    first_ms: int
    last_ms: int
    bucket_ms: int

    def pieces(self) -> Iterator[tuple[int, int]]:
        """The range in pieces of whole buckets, each with both ends inclusive."""
        step = max(PIECE_MS // self.bucket_ms, 1) * self.bucket_ms
        low = self.first_ms
        while low <= self.last_ms:
            high = min(low // step * step + step - 1, self.last_ms)
            yield low, high
            low = high + 1


def width_ms(first_ms: int, last_ms: int, buckets: int) -> int:
    """The narrowest width that needs no more than that many buckets (2 or more) for the range."""
    for width in CLOCK_WIDTHS_MS:
        if last_ms // width - first_ms // width < buckets:
            return width
    # So many never touch more than `buckets` of them, wherever the range begins.
    return max(-((first_ms - last_ms) // ((buckets - 1) * HOUR_MS)), 1) * HOUR_MS


@dataclass(slots=True)
class Bucket:
    """The values of one measurement in one bucket; parts of it can come one after another."""

    count: int = 0
    total: float = 0.0
    minimum: float | None = None
    maximum: float | None = None

    @property
    def average(self) -> float | None:
        """None where the sum is no number any more."""
        average = self.total / self.count
        return average if math.isfinite(average) else None

    def add(
        self, count: int, total: float | None, minimum: float | None, maximum: float | None
    ) -> None:
        """Take in some more values; `total` is None where SQLite can't tell it."""
        self.count += count
        self.total += math.nan if total is None else total
        if minimum is not None:
            self.minimum = minimum if self.minimum is None else min(self.minimum, minimum)
        if maximum is not None:
            self.maximum = maximum if self.maximum is None else max(self.maximum, maximum)
