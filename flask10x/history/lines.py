"""The lines of a chart: the buckets of a measurement, and which of them are not whole."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from flask10x.history.buckets import Bucket, Window
from flask10x.readings.stations import Measurement, Station

# A sender that leaves out two readings has a gap; one that only hurries or lags has none.
GAP_INTERVALS = 3
# A bucket is whole when it lacks no more than this of what its neighbours have: the average of a
# day that lacks two hours is that of a day.
LACKING = 0.1
# So many buckets before and after say what is usual: enough to outvote a gap, few enough to follow
# a sender whose pace was changed.
NEIGHBOURS = 8


@dataclass(slots=True)
class Line:
    """One measurement of one station."""

    station: Station
    measurement: Measurement
    interval_ms: int | None
    """The usual time between two of the station's readings; None when that can't be told."""
    buckets: dict[int, Bucket] = field(default_factory=dict)
    """By their place in the window, 0 for the first; those without a value are left out."""

    @property
    def gap_ms(self) -> int | None:
        """A longer time without a reading is a gap."""
        return None if self.interval_ms is None else GAP_INTERVALS * self.interval_ms

    def add(
        self,
        place: int,
        count: int,
        total: float | None,
        minimum: float | None,
        maximum: float | None,
    ) -> None:
        """Take in values of the bucket at that place; `total` is None where it is no number."""
        if place in self.buckets:
            self.buckets[place].add(count, total, minimum, maximum)
        else:
            known = math.nan if total is None else total
            self.buckets[place] = Bucket(count, known, minimum, maximum)

    def add_all(self, parts: Iterable[tuple[int, Sequence[Any]]]) -> None:
        """The same of many: a place, and count, total, least and greatest there."""
        buckets = self.buckets
        for place, sums in parts:
            if place in buckets or sums[1] is None:
                self.add(place, *sums)
            else:
                buckets[place] = Bucket(*sums)

    @property
    def places(self) -> list[int]:
        """Those of its buckets, in the order of time."""
        return sorted(self.buckets)


def partial_places(line: Line, window: Window, now_ms: int | None) -> list[int]:
    """The places of the line's buckets that are not whole, in the order of time.

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
