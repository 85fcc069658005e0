"""A range of time in pieces in each of which a measurement is corrected in one way.

Rows and roll-ups hold what was sent; a correction is applied when they are read, so it can be
undone at once and the raw value is always there (docs/decisions/0079).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Segment:
    """From the first to the last millisecond, both inclusive, a value is gain * stored + offset."""

    first_ms: int
    last_ms: int
    hidden: bool = False
    """Whether nothing of it is shown."""
    gain: float = 1.0
    """Above 0, so that the least value stays the least."""
    offset: float = 0.0

    @property
    def is_raw(self) -> bool:
        """Whether it is shown as it was stored."""
        return not self.hidden and self.gain == 1.0 and self.offset == 0.0


@dataclass(frozen=True, slots=True)
class Corrections:
    """The corrections that count, of all stations."""

    by_measurement: Mapping[tuple[str, str], tuple[Segment, ...]] = field(default_factory=dict)
    """Of an endpoint and a column, in the order of time; they don't overlap."""

    def __bool__(self) -> bool:
        return bool(self.by_measurement)

    def segments(self, endpoint: str, column: str, first_ms: int, last_ms: int) -> list[Segment]:
        """All of this range, in the order of time; one piece where nothing is corrected."""
        own = [
            Segment(max(s.first_ms, first_ms), min(s.last_ms, last_ms), s.hidden, s.gain, s.offset)
            for s in self.by_measurement.get((endpoint, column), ())
            if s.first_ms <= last_ms and s.last_ms >= first_ms
        ]
        return list(_filled(own, first_ms, last_ms))

    def shown(self, endpoint: str, column: str, at_ms: int, value: float | None) -> float | None:
        """The value of a reading as it is shown; None when it is missing or hidden."""
        segment = self.segments(endpoint, column, at_ms, at_ms)[0]
        if value is None or segment.hidden:
            return None
        return value if segment.is_raw else segment.gain * value + segment.offset


NONE = Corrections()


def _filled(own: list[Segment], first_ms: int, last_ms: int) -> Iterator[Segment]:
    """These, and what lies before, between and behind them."""
    ends = [Segment(first_ms - 1, first_ms - 1), *own, Segment(last_ms + 1, last_ms + 1)]
    for one, following in pairwise(ends):
        if one in own:
            yield one
        if one.last_ms + 1 < following.first_ms:
            yield Segment(one.last_ms + 1, following.first_ms - 1)
