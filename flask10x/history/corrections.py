"""Corrections: values that are shown differently from how they were stored.

Rows hold what was sent, and are corrected when they are read; roll-ups hold what is shown, and are
made again when a correction is written or undone (docs/decisions/0020). A hidden value stays hidden
whatever other corrections say; of several offsets and gains only the last written one counts.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from math import inf, isfinite
from operator import attrgetter
from typing import Literal, NamedTuple

from sqlalchemy import Connection, select

from flask10x.database.tables import FIRST_MS, corrections

# Where a correction ends that is open there. No reading is so late, and the hour after it is still
# a number of SQLite.
LAST_MS = 2**62


Way = tuple[bool, float, float]
"""How a value is shown: whether it is hidden, and its gain and its offset."""
AS_STORED: Way = (False, 1.0, 0.0)


class Segment(NamedTuple):
    """From the first to the last millisecond, both inclusive, a value is gain * stored + offset."""

    first_ms: int
    last_ms: int
    hidden: bool = False
    """Whether nothing of it is shown."""
    gain: float = 1.0
    """Above 0, so that the least value stays the least."""
    offset: float = 0.0

    @property
    def ends(self) -> tuple[int, int]:
        """Its first and its last millisecond."""
        return self[0], self[1]

    @property
    def way(self) -> Way:
        """How values are shown in it."""
        return self[2], self[3], self[4]

    @property
    def is_raw(self) -> bool:
        """Whether it is shown as it was stored."""
        return self.way == AS_STORED


@dataclass(frozen=True, slots=True)
class Corrections:
    """The corrections that count, of all stations."""

    by_measurement: Mapping[tuple[str, str], tuple[Segment, ...]] = field(default_factory=dict)
    """The segments of an endpoint and a column, in the order of time and without overlaps.

    They include those in which the whole station is hidden."""
    whole: Mapping[str, tuple[Segment, ...]] = field(default_factory=dict)
    """The segments in which whole readings of an endpoint are hidden, without overlaps."""

    def __bool__(self) -> bool:
        return bool(self.by_measurement or self.whole)

    def of(self, endpoint: str, column: str) -> tuple[Segment, ...]:
        """Return the corrected segments of this measurement, in the order of time."""
        segments = self.by_measurement.get((endpoint, column))
        return self.whole.get(endpoint, ()) if segments is None else segments

    def segments(self, endpoint: str, column: str, first_ms: int, last_ms: int) -> list[Segment]:
        """Return this whole range in segments, in the order of time; one without corrections."""
        pieces: list[Segment] = []
        after_ms = first_ms
        for segment in within(self.of(endpoint, column), first_ms, last_ms):
            begin_ms, end_ms = max(segment[0], first_ms), min(segment[1], last_ms)
            if after_ms < begin_ms:
                pieces.append(Segment(after_ms, begin_ms - 1))
            pieces.append(Segment(begin_ms, end_ms, *segment.way))
            after_ms = end_ms + 1
        if after_ms <= last_ms:
            pieces.append(Segment(after_ms, last_ms))
        return pieces

    def pieces(
        self, endpoint: str, columns: Sequence[str], first_ms: int, last_ms: int
    ) -> Iterator[tuple[int, int, list[Segment]]]:
        """Yield the pieces of a range in which each of these columns is shown in one way.

        They are in the order of time: both ends, and a segment that tells how, for each column.
        """
        of_columns = [self.of(endpoint, column) for column in columns]
        starts = {first_ms}
        for segments in dict.fromkeys(of_columns):
            for segment in within(segments, first_ms, last_ms):
                starts |= {max(segment[0], first_ms), segment[1] + 1}
        within_range = sorted(start for start in starts if start <= last_ms)
        for begin_ms, after_ms in pairwise([*within_range, last_ms + 1]):
            stored = Segment(begin_ms, after_ms - 1)
            shown = [_at(segments, begin_ms) or stored for segments in of_columns]
            yield begin_ms, after_ms - 1, shown

    def touches(self, endpoint: str, columns: Sequence[str]) -> bool:
        """Return whether a correction affects any of these columns of a station."""
        return endpoint in self.whole or any((endpoint, c) in self.by_measurement for c in columns)

    def hidden_at(self, endpoint: str, at_ms: int) -> Segment | None:
        """Return the segment in which a whole reading of this time is hidden; None without one."""
        return _at(self.whole.get(endpoint, ()), at_ms)

    def shown(self, endpoint: str, column: str, at_ms: int, value: float | None) -> float | None:
        """Return the value of a reading as it is shown; None when it is missing or hidden."""
        segment = _at(self.of(endpoint, column), at_ms)
        if value is None or segment is None:
            return value
        return None if segment.hidden else segment.gain * value + segment.offset


NONE = Corrections()
_FIRST, _LAST = attrgetter("first_ms"), attrgetter("last_ms")


def _at(segments: tuple[Segment, ...], at_ms: int) -> Segment | None:
    place = bisect_left(segments, at_ms, key=_LAST)
    segment = segments[place] if place < len(segments) else None
    return segment if segment and segment.first_ms <= at_ms else None


def within(segments: Sequence[Segment], first_ms: int, last_ms: int) -> Sequence[Segment]:
    """Return those of these segments, in the order of time, that reach into this range."""
    begin = bisect_left(segments, first_ms, key=_LAST)
    return segments[begin : bisect_right(segments, last_ms, key=_FIRST)]


class Correction(NamedTuple):
    """Values of a range of time that are shown differently from how they were stored."""

    endpoint: str
    measurement: str | None
    """None when all measurements of the station are hidden."""
    first_ms: int | None
    last_ms: int | None
    kind: Literal["hide", "adjust"]
    gain: float | None = None
    offset: float | None = None
    reason: str = ""
    written_at: int = 0
    undone_at: int | None = None
    id: int = 0
    """0 while it is not stored."""


COUNTING = (
    select(*(corrections.c[name] for name in Correction._fields))
    .where(corrections.c.undone_at.is_(None))
    .order_by(corrections.c.id)
)
"""The statement for all corrections that count now, by their ids."""


def counting(connection: Connection) -> Corrections:
    """Return the corrections that count now; raises what reading raises."""
    return resolved(tuple(map(Correction._make, connection.execute(COUNTING))))


# The cache is keyed by the rows themselves, so it also serves another database.
@lru_cache(maxsize=4)
def resolved(entries: tuple[Correction, ...]) -> Corrections:
    """Return the segments of these corrections, which are in the order of their ids."""
    whole: dict[str, list[Correction]] = defaultdict(list)
    single: dict[tuple[str, str], list[Correction]] = defaultdict(list)
    for entry in entries:
        if entry.measurement is None:
            whole[entry.endpoint].append(entry)
        else:
            single[entry.endpoint, entry.measurement].append(entry)
    return Corrections(
        {
            (endpoint, column): tuple(_segments([*listed, *whole.get(endpoint, ())]))
            for (endpoint, column), listed in single.items()
        },
        {endpoint: tuple(_segments(listed)) for endpoint, listed in whole.items()},
    )


def _segments(entries: Iterable[Correction]) -> Iterator[Segment]:
    """Yield the segments in the order of time, without overlaps; equal neighbours are joined."""
    last: Segment | None = None
    for piece in _pieces(entries):
        if last and last.last_ms + 1 == piece.first_ms and last.way == piece.way:
            last = last._replace(last_ms=piece.last_ms)
            continue
        if last:
            yield last
        last = piece
    if last:
        yield last


def _pieces(entries: Iterable[Correction]) -> Iterator[Segment]:
    """Yield a segment for each span between two ends of entries in which an entry counts."""
    begin: dict[int, list[Correction]] = defaultdict(list)
    end: dict[int, list[Correction]] = defaultdict(list)
    for entry in entries:
        if not _is_sound(entry):
            continue
        begin[FIRST_MS if entry.first_ms is None else entry.first_ms].append(entry)
        end[(LAST_MS if entry.last_ms is None else entry.last_ms) + 1].append(entry)
    active: dict[int, Correction] = {}
    for first_ms, after_ms in pairwise(sorted({*begin, *end})):
        for entry in end[first_ms]:
            active.pop(entry.id, None)
        active |= {entry.id: entry for entry in begin[first_ms]}
        if active:
            yield _piece(first_ms, after_ms - 1, active)


def _is_sound(entry: Correction) -> bool:
    """Return whether the page could have written it; other rows can come from an SQL shell."""
    first_ms, last_ms = entry.first_ms, entry.last_ms
    ordered = first_ms is None or last_ms is None or first_ms <= last_ms
    gain, offset = 1.0 if entry.gain is None else entry.gain, entry.offset or 0.0
    return ordered and (entry.kind == "hide" or (0 < gain < inf and isfinite(offset)))


def _piece(first_ms: int, last_ms: int, active: dict[int, Correction]) -> Segment:
    if any(entry.kind == "hide" for entry in active.values()):
        return Segment(first_ms, last_ms, hidden=True)
    newest = active[max(active)]
    gain = 1.0 if newest.gain is None else newest.gain
    return Segment(first_ms, last_ms, False, gain, newest.offset or 0.0)
