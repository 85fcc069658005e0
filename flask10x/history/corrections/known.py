"""The corrections that count, read from their table and freed from overlaps.

What is hidden stays hidden, whatever else is written of its time; of several offsets and gains
the one that was written last counts, alone (docs/decisions/0021).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from math import inf, isfinite
from typing import NamedTuple

from sqlalchemy import Connection, select

from flask10x.database.tables import corrections
from flask10x.history.corrections.segments import NONE, Corrections, Segment
from flask10x.history.query import Query

# An end that is left open. No reading is so old or so late, and the hour after it is a number of
# SQLite still.
FIRST_MS, LAST_MS = -(2**62), 2**62


class WrittenCorrection(NamedTuple):
    """A row of the table, a correction that nobody has undone."""

    id: int
    endpoint: str
    measurement: str | None
    first_ms: int | None
    last_ms: int | None
    kind: str
    gain: float | None
    offset: float | None


def load(connection: Connection) -> Corrections:
    """All that count now; raises what reading raises."""
    # The rows themselves say whether they are what was worked out before: also in another file.
    return resolved(tuple(WrittenCorrection(*row) for row in connection.execute(_COUNTING)))


def of_query(connection: Connection, query: Query) -> Corrections:
    """Those that the query's answer is made with: none when it asks for what was stored."""
    return NONE if query.raw else load(connection)


_COUNTING = (
    select(*(corrections.c[name] for name in WrittenCorrection._fields))
    .where(corrections.c.undone_at.is_(None))
    .order_by(corrections.c.id)
)


@lru_cache(maxsize=4)
def resolved(entries: tuple[WrittenCorrection, ...]) -> Corrections:
    """What these rows, in the order of their ids, add up to."""
    whole: dict[str, list[WrittenCorrection]] = defaultdict(list)
    single: dict[tuple[str, str], list[WrittenCorrection]] = defaultdict(list)
    for one in entries:
        if one.measurement is None:
            whole[one.endpoint].append(one)
        else:
            single[one.endpoint, one.measurement].append(one)
    return Corrections(
        {
            (endpoint, column): tuple(_segments([*own, *whole.get(endpoint, ())]))
            for (endpoint, column), own in single.items()
        },
        {endpoint: tuple(_segments(own)) for endpoint, own in whole.items()},
    )


def _segments(entries: Iterable[WrittenCorrection]) -> Iterator[Segment]:
    """In the order of time, without overlaps; pieces that are corrected alike are one."""
    last: Segment | None = None
    for piece in _pieces(entries):
        if last and last.last_ms + 1 == piece.first_ms and _way(last) == _way(piece):
            last = Segment(last.first_ms, piece.last_ms, *_way(last))
            continue
        if last:
            yield last
        last = piece
    if last:
        yield last


def _way(segment: Segment) -> tuple[bool, float, float]:
    return segment.hidden, segment.gain, segment.offset


def _pieces(entries: Iterable[WrittenCorrection]) -> Iterator[Segment]:
    """A piece for each span between two of their ends in which one of them counts."""
    begin: dict[int, list[WrittenCorrection]] = defaultdict(list)
    end: dict[int, list[WrittenCorrection]] = defaultdict(list)
    for one in entries:
        if not _is_sound(one):
            continue
        begin[FIRST_MS if one.first_ms is None else one.first_ms].append(one)
        end[(LAST_MS if one.last_ms is None else one.last_ms) + 1].append(one)
    active: dict[int, WrittenCorrection] = {}
    for first_ms, after_ms in pairwise(sorted({*begin, *end})):
        for one in end[first_ms]:
            active.pop(one.id, None)
        active |= {one.id: one for one in begin[first_ms]}
        if active:
            yield _piece(first_ms, after_ms - 1, active)


def _is_sound(entry: WrittenCorrection) -> bool:
    """Whether it is one that the page writes: somebody with the sqlite3 shell may write others."""
    first_ms, last_ms = entry.first_ms, entry.last_ms
    ordered = first_ms is None or last_ms is None or first_ms <= last_ms
    gain, offset = 1.0 if entry.gain is None else entry.gain, entry.offset or 0.0
    return ordered and (entry.kind == "hide" or (0 < gain < inf and isfinite(offset)))


def _piece(first_ms: int, last_ms: int, active: dict[int, WrittenCorrection]) -> Segment:
    if any(one.kind == "hide" for one in active.values()):
        return Segment(first_ms, last_ms, hidden=True)
    newest = active[max(active)]
    gain = 1.0 if newest.gain is None else newest.gain
    return Segment(first_ms, last_ms, False, gain, newest.offset or 0.0)
