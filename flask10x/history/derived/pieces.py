"""Which hours of a window SQLite can compute a derived value for, and which not.

It can for whole hours that are rolled up and in each of which every input is corrected in one way.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from sqlalchemy import Connection, bindparam, select

from flask10x.database.expressions import floor_div, unindexed
from flask10x.database.tables import readings
from flask10x.history.buckets import Window
from flask10x.history.corrections.segments import Corrections, Segment
from flask10x.history.line_sums import RolledUp
from flask10x.readings.derived.kinds import TREND_HOURS
from flask10x.readings.derived.registry import Derived
from flask10x.readings.times import HOUR_MS

# A piece takes a millisecond or two, all hours of a year from their averages take a hundred.
PIECES_MAX = 20


@dataclass(frozen=True, slots=True)
class Input:
    """A measurement of a station, at the hour of the value or so many before."""

    endpoint: str
    column: str
    hours_before: int = 0


@dataclass(frozen=True, slots=True)
class HourPiece:
    """Hours of UTC since 1970; those at the ends of a window may be cut by it."""

    first: int
    end: int
    """The one after the last."""
    adjusted: tuple[tuple[float, float], ...] | None
    """Gain and offset of each input; None where SQLite can't compute the value."""


@dataclass(frozen=True, slots=True)
class _Whole:
    """The hours that lie in a segment of an input, by the hour of the value."""

    first: int
    end: int
    segment: Segment


def inputs_of(one: Derived) -> tuple[Input, ...]:
    """What it is computed from, in the order of `expressions.computed`."""
    own = tuple(Input(one.endpoint, column) for column in one.inputs)
    if one.is_of_reading:
        return own
    if one.outside is not None:
        return (*own, Input(*one.outside))
    return (*own, Input(one.endpoint, one.inputs[0], TREND_HOURS))


@dataclass(frozen=True, slots=True)
class PieceFinder:
    """Finds the pieces of one window."""

    connection: Connection
    corrections: Corrections
    window: Window
    rolled_up: RolledUp

    def of(self, one: Derived) -> list[HourPiece] | None:
        """All that can hold a value, in the order of time; None where they are too many."""
        inputs = inputs_of(one)
        wholes = [self._wholes(each) for each in inputs]
        if sum(map(len, wholes)) > PIECES_MAX:
            return None
        late = {hour for each in inputs for hour in self._late(each)}
        low, high = self.window.first_ms // HOUR_MS, self.window.last_ms // HOUR_MS + 1
        cuts = {hour for own in wholes for whole in own for hour in (whole.first, whole.end)}
        cuts |= {low, high} | late | {hour + 1 for hour in late}
        found: list[HourPiece] = []
        for first, end in pairwise(sorted(hour for hour in cuts if low <= hour <= high)):
            segments = [_around(first, end, own) for own in wholes]
            if any(segment is not None and segment.hidden for segment in segments):
                continue
            known = [(s.gain, s.offset) for s in segments if s is not None]
            is_known = first not in late and len(known) == len(segments)
            piece = HourPiece(first, end, tuple(known) if is_known else None)
            if found and (found[-1].end, found[-1].adjusted) == (first, piece.adjusted):
                piece = HourPiece(found.pop().first, end, piece.adjusted)
            found.append(piece)
        return found if len(found) <= PIECES_MAX else None

    def _wholes(self, one: Input) -> list[_Whole]:
        apart = one.hours_before
        ends = (ms - apart * HOUR_MS for ms in (self.window.first_ms, self.window.last_ms))
        return [
            _Whole(-(-s.first_ms // HOUR_MS) + apart, (s.last_ms + 1) // HOUR_MS + apart, s)
            for s in self.corrections.segments(one.endpoint, one.column, *ends)
        ]

    def _late(self, one: Input) -> Iterator[int]:
        """The hours of values that readings go into which are not rolled up yet."""
        if self.rolled_up.is_all:
            return
        apart_ms = one.hours_before * HOUR_MS
        given = {
            "endpoint": one.endpoint,
            "position": self.rolled_up.position,
            "low_ms": self.window.first_ms - apart_ms,
            "high_ms": self.window.last_ms - apart_ms,
        }
        for hour in self.connection.execute(_LATE, given).scalars():
            yield hour + one.hours_before


def _around(first: int, end: int, wholes: list[_Whole]) -> Segment | None:
    """The segment that all these hours lie in."""
    return next((one.segment for one in wholes if one.first <= first and end <= one.end), None)


_LATE = (
    select(floor_div(readings.c.received_at, HOUR_MS))
    .distinct()
    # Not by the index: these are the last few rows of the table.
    .where(unindexed(readings.c.endpoint) == bindparam("endpoint"))
    .where(readings.c.id > bindparam("position"))
    .where(readings.c.received_at >= bindparam("low_ms"))
    .where(readings.c.received_at <= bindparam("high_ms"))
)
