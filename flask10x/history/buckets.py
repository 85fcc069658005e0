"""Buckets of a chart: where they lie in a range of time, and what a bucket holds."""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from functools import cached_property

from flask10x.history.local.offsets import Run, runs
from flask10x.history.local.steps import Step, step_for

# One bucket can't do: a range may lie across the border of any two.
MIN_BUCKETS, MAX_BUCKETS = 2, 600


@dataclass(frozen=True)
class Window:
    """A range of time in milliseconds, both ends inclusive, and the step of its buckets."""

    first_ms: int
    last_ms: int
    step: Step
    zone: tzinfo | None = None
    """In which midnight is looked for; None for the system's own."""

    @property
    def bucket_ms(self) -> int:
        """The usual length of a bucket."""
        return self.step.width_ms

    @cached_property
    def starts(self) -> Sequence[int]:
        """Where each bucket begins, and where the last one ends: one more than there are buckets.

        The first and the last bucket may lie partly outside the range.
        """
        return self.step.starts(self.first_ms, self.last_ms, self.zone)

    @property
    def unequal_starts(self) -> list[int] | None:
        """`starts` where the buckets differ in length; None where `bucket_ms` says all."""
        return list(self.starts) if self.step.is_local else None

    def place(self, ms: int) -> int:
        """Which bucket an instant of the range lies in, 0 for the first."""
        if isinstance(self.starts, range):
            return (ms - self.starts.start) // self.starts.step
        return bisect_right(self.starts, ms) - 1

    @cached_property
    def _first_days(self) -> list[int]:
        return self.step.first_days(self.first_ms, self.last_ms, self.zone)

    def place_of_day(self, day: int) -> int:
        """Which bucket a local day of the range lies in; only for steps of days."""
        return bisect_right(self._first_days, day) - 1

    def runs(self, low_ms: int, high_ms: int) -> Iterator[Run]:
        """That part of the range, cut where the clock is changed that its buckets go by.

        Instants of a run with one `(ms + offset_ms) // step.unit_ms` lie in one bucket.
        """
        if self.step.is_local:
            return runs(low_ms, high_ms, self.zone, self.step.offset)
        return iter((Run(low_ms, high_ms, 0),))


def window_for(first_ms: int, last_ms: int, buckets: int, zone: tzinfo | None) -> Window:
    """The range with the shortest step that needs no more than that many buckets (2 or more)."""
    return Window(first_ms, last_ms, step_for(first_ms, last_ms, buckets, zone), zone)


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

    def adjusted(self, gain: float, offset: float) -> tuple[int, float, float | None, float | None]:
        """Its count, total, least and greatest when each value is gain (above 0) times it + offset.

        (`add` takes them.)
        """
        least, greatest = (
            None if one is None else gain * one + offset for one in (self.minimum, self.maximum)
        )
        return self.count, gain * self.total + offset * self.count, least, greatest
