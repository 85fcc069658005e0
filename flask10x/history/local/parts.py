"""Pieces of time divided into whole days, whole hours and what is left, for each is read elsewhere.

All pieces are in UTC epoch milliseconds, both ends inclusive.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from flask10x.history.buckets import Window
from flask10x.history.local.offsets import day_of, day_start
from flask10x.readings.times import HOUR_MS


class TimePart(NamedTuple):
    """A part of one of the pieces that were divided."""

    number: int
    """Which of them, 0 for the first."""
    low_ms: int
    high_ms: int


class WholeDays(NamedTuple):
    """Local days that lie in a piece."""

    number: int
    """In which piece, 0 for the first."""
    first: int
    end: int
    """The one after the last."""


@dataclass(slots=True)
class Parts:
    """What pieces of time hold, each in the order of time."""

    days: list[WholeDays] = field(default_factory=list)
    of_days: list[TimePart] = field(default_factory=list)
    """The same as time."""
    hours: list[TimePart] = field(default_factory=list)
    """Whole hours of UTC, each in one bucket."""
    rest: list[TimePart] = field(default_factory=list)
    """What lies within hours that a piece or a bucket ends in."""


def divided(pieces: Sequence[tuple[int, int]], window: Window, *, by_days: bool) -> Parts:
    """The parts of these pieces; days are only looked for where they may be used."""
    # None in most zones.
    cuts = [ms for ms in window.starts if ms % HOUR_MS] if window.step.is_of_days else []
    parts = Parts()
    for number, (low_ms, high_ms) in enumerate(pieces):
        piece = TimePart(number, low_ms, high_ms)
        for one in _without_days(parts, piece, window) if by_days else (piece,):
            _divide_hours(parts, one, cuts)
    return parts


def _without_days(parts: Parts, piece: TimePart, window: Window) -> tuple[TimePart, ...]:
    number, low_ms, high_ms = piece
    zone = window.zone
    first = day_of(low_ms, zone)
    first, end = first + (day_start(first, zone) < low_ms), day_of(high_ms + 1, zone)
    if first >= end:
        return (piece,)
    start_ms, end_ms = day_start(first, zone), day_start(end, zone)
    parts.days.append(WholeDays(number, first, end))
    parts.of_days.append(TimePart(number, start_ms, end_ms - 1))
    return TimePart(number, low_ms, start_ms - 1), TimePart(number, end_ms, high_ms)


def _divide_hours(parts: Parts, piece: TimePart, cuts: list[int]) -> None:
    number, begin_ms, high_ms = piece
    for cut_ms in (*(ms for ms in cuts if begin_ms < ms <= high_ms), high_ms + 1):
        start_ms, end_ms = -(-begin_ms // HOUR_MS) * HOUR_MS, cut_ms // HOUR_MS * HOUR_MS
        if start_ms >= end_ms:
            found = [TimePart(number, begin_ms, cut_ms - 1)]
        else:
            parts.hours.append(TimePart(number, start_ms, end_ms - 1))
            found = [TimePart(number, begin_ms, start_ms - 1), TimePart(number, end_ms, cut_ms - 1)]
        parts.rest += [one for one in found if one.low_ms <= one.high_ms]
        begin_ms = cut_ms
