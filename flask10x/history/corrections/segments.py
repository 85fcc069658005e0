"""A range of time in pieces in each of which a measurement is corrected in one way.

Rows and roll-ups hold what was sent; a correction is applied when they are read, so it can be
undone at once and the raw value is always there (docs/decisions/0021).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter


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
    """Of an endpoint and a column, in the order of time; they don't overlap, and those of a column
    hold what is hidden of the whole station, too."""
    whole: Mapping[str, tuple[Segment, ...]] = field(default_factory=dict)
    """When whole readings of an endpoint are hidden; they don't overlap either."""

    def __bool__(self) -> bool:
        return bool(self.by_measurement or self.whole)

    def of(self, endpoint: str, column: str) -> tuple[Segment, ...]:
        """The corrected pieces of this measurement, in the order of time."""
        own = self.by_measurement.get((endpoint, column))
        return self.whole.get(endpoint, ()) if own is None else own

    def segments(self, endpoint: str, column: str, first_ms: int, last_ms: int) -> list[Segment]:
        """All of this range, in the order of time; one piece where nothing is corrected."""
        found = self.of(endpoint, column)
        first = bisect_left(found, first_ms, key=_LAST)
        own = [
            Segment(max(s.first_ms, first_ms), min(s.last_ms, last_ms), s.hidden, s.gain, s.offset)
            for s in found[first : bisect_right(found, last_ms, key=_FIRST)]
        ]
        return list(_filled(own, first_ms, last_ms))

    def touches(self, endpoint: str, columns: Sequence[str]) -> bool:
        """Whether any reading of this station may be shown otherwise in these columns."""
        return endpoint in self.whole or any((endpoint, c) in self.by_measurement for c in columns)

    def hides(self, endpoint: str, at_ms: int) -> bool:
        """Whether the whole reading that was received then is hidden."""
        return _at(self.whole.get(endpoint, ()), at_ms) is not None

    def shown(self, endpoint: str, column: str, at_ms: int, value: float | None) -> float | None:
        """The value of a reading as it is shown; None when it is missing or hidden."""
        segment = _at(self.of(endpoint, column), at_ms)
        if value is None or segment is None:
            return value
        return None if segment.hidden else segment.gain * value + segment.offset


NONE = Corrections()
_FIRST, _LAST = attrgetter("first_ms"), attrgetter("last_ms")


def _at(segments: tuple[Segment, ...], at_ms: int) -> Segment | None:
    place = bisect_left(segments, at_ms, key=_LAST)
    found = segments[place] if place < len(segments) else None
    return found if found and found.first_ms <= at_ms else None


def _filled(own: list[Segment], first_ms: int, last_ms: int) -> Iterator[Segment]:
    """These, and what lies before, between and behind them."""
    after_ms = first_ms
    for one in own:
        if after_ms < one.first_ms:
            yield Segment(after_ms, one.first_ms - 1)
        yield one
        after_ms = one.last_ms + 1
    if after_ms <= last_ms:
        yield Segment(after_ms, last_ms)
