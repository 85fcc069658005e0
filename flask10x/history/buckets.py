"""Buckets of a chart: where they lie in a range of time, their values, and the lines they form."""

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import cached_property
from itertools import pairwise
from statistics import median
from typing import Any

from flask10x.history.local_time import STEPS, Run, Step, runs, step_for
from flask10x.readings.stations import Measurement, Station

# One bucket is not enough: a range may cross the border between any two.
MIN_BUCKETS, MAX_BUCKETS = 2, 600


@dataclass(frozen=True)
class Window:
    """A range of time in milliseconds, both ends inclusive, and the step of its buckets."""

    first_ms: int
    last_ms: int
    step: Step
    zone: tzinfo | None = None
    """The zone that days begin in; None for the system's own."""

    @property
    def bucket_ms(self) -> int:
        """The usual length of a bucket."""
        return self.step.width_ms

    @cached_property
    def starts(self) -> Sequence[int]:
        """The beginnings of the buckets and the end of the last one.

        The first and the last bucket may lie partly outside the range.
        """
        return self.step.starts(self.first_ms, self.last_ms, self.zone)

    @property
    def unequal_starts(self) -> list[int] | None:
        """`starts` when buckets differ in length; None when `bucket_ms` is the length of all."""
        return list(self.starts) if self.step.is_local else None

    def place(self, ms: int) -> int:
        """Return the number of the bucket that an instant of the range lies in, 0 for the first."""
        if isinstance(self.starts, range):
            return (ms - self.starts.start) // self.starts.step
        return bisect_right(self.starts, ms) - 1

    @cached_property
    def _first_days(self) -> list[int]:
        return self.step.first_days(self.first_ms, self.last_ms, self.zone)

    def place_of_day(self, day: int) -> int:
        """Return the number of the bucket that a local day lies in; only for steps of days."""
        return bisect_right(self._first_days, day) - 1

    def runs(self, low_ms: int, high_ms: int) -> Iterator[Run]:
        """Cut a part of the range where the clock changes that the buckets follow.

        Instants of a run with the same `(ms + offset_ms) // step.unit_ms` lie in the same bucket.
        """
        if self.step.is_local:
            return runs(low_ms, high_ms, self.zone, self.step.offset)
        return iter((Run(low_ms, high_ms, 0),))


def window_for(
    first_ms: int,
    last_ms: int,
    buckets: int,
    zone: tzinfo | None,
    steps: Sequence[Step] = STEPS,
) -> Window:
    """Return the range with the shortest step that needs at most that many buckets (2 or more)."""
    return Window(first_ms, last_ms, step_for(first_ms, last_ms, buckets, zone, steps), zone)


@dataclass(slots=True)
class Bucket:
    """The sums of one measurement in one bucket; parts of them can be added one after another."""

    count: int = 0
    total: float = 0.0
    minimum: float | None = None
    maximum: float | None = None

    @property
    def average(self) -> float | None:
        """None when the sum is beyond what a double can hold."""
        average = self.total / self.count
        return average if math.isfinite(average) else None

    def add(
        self, count: int, total: float | None, minimum: float | None, maximum: float | None
    ) -> None:
        """Add the sums of more values; `total` is None when it is no number."""
        self.count += count
        self.total += math.nan if total is None else total
        if minimum is not None:
            self.minimum = minimum if self.minimum is None else min(self.minimum, minimum)
        if maximum is not None:
            self.maximum = maximum if self.maximum is None else max(self.maximum, maximum)


# A sender that leaves out two readings has a gap; one that only hurries or lags has none.
GAP_INTERVALS = 3
# A bucket is whole when it lacks no more than this of what its neighbours have: the average of a
# day that lacks two hours is that of a day.
LACKING = 0.1
# So many buckets before and after say what is usual: enough to outvote a gap, few enough to follow
# a sender whose pace was changed.
NEIGHBOURS = 8
# Fewer do not show what was usual.
LEAST_PACES = 2


@dataclass(slots=True)
class Line:
    """One measurement of one station."""

    station: Station
    measurement: Measurement
    interval_ms: int | None
    """The usual time between two readings of the station; None when it is unknown."""
    buckets: dict[int, Bucket] = field(default_factory=dict)
    """The buckets that have a value, by their place in the window, 0 for the first."""

    @property
    def names(self) -> tuple[str, str]:
        """The endpoint and the column."""
        return self.station.endpoint, self.measurement.column

    @property
    def gap_ms(self) -> int | None:
        """The longest time without a reading that is no gap; None when it is unknown."""
        return None if self.interval_ms is None else GAP_INTERVALS * self.interval_ms

    def add(
        self,
        place: int,
        count: int,
        total: float | None,
        minimum: float | None,
        maximum: float | None,
    ) -> None:
        """Add sums to the bucket at a place; `total` is None when it is no number."""
        if place in self.buckets:
            self.buckets[place].add(count, total, minimum, maximum)
        else:
            number = math.nan if total is None else total
            self.buckets[place] = Bucket(count, number, minimum, maximum)

    def add_all(self, parts: Iterable[tuple[int, Sequence[Any]]]) -> None:
        """Add the sums of many buckets: each a place, and count, total, least and greatest."""
        buckets = self.buckets
        for place, sums in parts:
            if place in buckets or sums[1] is None:
                self.add(place, *sums)
            else:
                buckets[place] = Bucket(*sums)

    @property
    def places(self) -> list[int]:
        """The places of its buckets, in the order of time."""
        return sorted(self.buckets)


def gaps_before(line: Line, window: Window, *, has_begun: bool) -> list[int]:
    """Return the numbers of the line's buckets that come after a gap, 0 for the first.

    A gap is at least three times as long as the time between two values was around it; before and
    after it, the slower counts. The first bucket has one only where the line `has_begun` before the
    window.
    """
    places, starts = line.places, window.starts
    # The time for each value of a bucket, up to the next bucket.
    paces = [
        (starts[later] - starts[place]) / line.buckets[place].count
        for place, later in pairwise(places)
    ]

    def is_gap(number: int, empty_ms: int) -> bool:
        before = paces[max(0, number - 1 - NEIGHBOURS) : max(0, number - 1)]
        sides = before, paces[number : number + NEIGHBOURS]
        usual_ms = [median(side) for side in sides if len(side) >= LEAST_PACES]
        if not usual_ms and line.interval_ms is not None:
            usual_ms = [line.interval_ms]
        return bool(usual_ms) and empty_ms >= GAP_INTERVALS * max(usual_ms)

    late = [0] * (has_begun and is_gap(0, starts[places[0]] - window.first_ms))
    return late + [
        number
        for number, (place, later) in enumerate(pairwise(places), 1)
        if later > place + 1 and is_gap(number, starts[later] - starts[place + 1])
    ]


def partial_places(line: Line, window: Window, now_ms: int | None) -> list[int]:
    """Return the places of the line's incomplete buckets, in the order of time.

    Such a bucket is cut by an end of the window or by now, or has far fewer values than those
    around it: the station began or stopped in it, or had a gap.
    """
    places = line.places
    return sorted({*_cut(line, window, now_ms, places), *_thin(line, window, places)})


def _cut(line: Line, window: Window, now_ms: int | None, places: list[int]) -> Iterator[int]:
    starts, end_ms = window.starts, window.last_ms + 1
    if now_ms is not None:
        end_ms = min(end_ms, now_ms)
    # The reading after the last one need not have come yet.
    allowed_ms = min(line.gap_ms or 0, int(window.bucket_ms * LACKING))
    for place in (*places[:1], *places[-2:]):
        before_ms, after_ms = window.first_ms - starts[place], starts[place + 1] - end_ms
        if max(before_ms, after_ms) > allowed_ms:
            yield place


def _thin(line: Line, window: Window, places: list[int]) -> Iterator[int]:
    if line.gap_ms is None or line.gap_ms >= window.bucket_ms:
        return
    starts, counts = window.starts, [line.buckets[place].count for place in places]
    # Most lines lack nothing anywhere.
    enough = max(counts, default=0) * (1 - max(LACKING, line.gap_ms / window.bucket_ms))
    for number, place in enumerate(places):
        if counts[number] >= enough:
            continue
        width = starts[place + 1] - starts[place]
        around = range(max(number - NEIGHBOURS, 0), min(number + NEIGHBOURS + 1, len(places)))
        usual = median(
            counts[n] / (starts[places[n] + 1] - starts[places[n]]) * width for n in around
        )
        lacking = 1 - counts[number] / usual
        if lacking > LACKING and lacking * width > line.gap_ms:
            yield place
