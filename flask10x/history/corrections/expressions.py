"""Values as they are shown, in SQL: what a condition of the history compares.

The corrections stand in the statement as numbers that are bound, so a statement serves until one
is written or undone.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Float, case, false, literal, null, true

from flask10x.database.expressions import adjusted
from flask10x.history.corrections.segments import Segment
from flask10x.readings.times import HOUR_MS


class HourValues(NamedTuple):
    """What a row of the table `rollups` says of an hour."""

    readings: ColumnElement[Any]
    values: ColumnElement[Any]
    """How many of the readings have one."""
    minimum: ColumnElement[Any]
    maximum: ColumnElement[Any]


class CorrectedStation(NamedTuple):
    """What corrects a station's readings in a statement: short, for it is part of its key."""

    hidden: tuple[Segment, ...] = ()
    """When whole readings are hidden."""
    columns: tuple[tuple[str, tuple[Segment, ...]], ...] = ()
    """The corrected ones among the columns that a condition asks for."""

    def of(self, column: str) -> tuple[Segment, ...]:
        """The pieces in which this column is corrected."""
        return dict(self.columns).get(column, ())


AS_STORED = CorrectedStation()
Arm = tuple[ColumnElement[bool], ColumnElement[Any]]


def shown_value(
    value: ColumnElement[Any], at: ColumnElement[Any], segments: Sequence[Segment]
) -> ColumnElement[Any]:
    """The value of a reading that was received `at`; NULL where it is hidden."""
    return _chosen(value_arms(value, at, segments), value)


def value_arms(
    value: ColumnElement[Any], at: ColumnElement[Any], segments: Sequence[Segment]
) -> Iterator[Arm]:
    """Conditions on `at`, and what the value becomes where each holds."""
    for segment, within in _by_way(at, _joined(segments)):
        yield within, null() if segment.hidden else _moved(value, segment)


def within(at: ColumnElement[Any], segments: Sequence[Segment]) -> ColumnElement[bool]:
    """Whether `at`, not NULL, lies in one of these pieces."""
    # A CASE, for a long OR is nested deeper than SQLite allows.
    arms = [(condition, true()) for condition in _conditions(at, segments)]
    return case(*arms, else_=false()) if arms else false()


def hour_values(
    hours: Any, segments: Sequence[Segment]
) -> tuple[HourValues, ColumnElement[bool] | None]:
    """What roll-ups say of an hour, as it is shown, and in which hours that can't be told.

    Those in which a correction begins or ends; None when there are none. `hours` has the columns
    of the table `rollups`.
    """
    stored = HourValues(hours.readings, hours.count, hours.minimum, hours.maximum)
    whole = [one for one in map(_whole_hours, _joined(segments)) if one.first_ms <= one.last_ms]
    shown = stored._replace(
        values=_chosen(
            [(hit, literal(0)) for one, hit in _by_way(hours.hour, whole) if one.hidden],
            hours.count,
        ),
        minimum=shown_value(hours.minimum, hours.hour, whole),
        maximum=shown_value(hours.maximum, hours.hour, whole),
    )
    broken = sorted({hour for segment in segments for hour in _broken_hours(segment)})
    return shown, hours.hour.in_(broken) if broken else None


def touched_hours(segments: Iterable[Segment]) -> list[Segment]:
    """The hours that have any part in these pieces, as pieces of hours."""
    return [Segment(s.first_ms // HOUR_MS, s.last_ms // HOUR_MS) for s in segments]


def _whole_hours(segment: Segment) -> Segment:
    """The hours that lie in it from their first to their last millisecond; maybe none."""
    first, end = -(-segment.first_ms // HOUR_MS), (segment.last_ms + 1) // HOUR_MS
    return Segment(first, end - 1, segment.hidden, segment.gain, segment.offset)


def _broken_hours(segment: Segment) -> Iterator[int]:
    if segment.first_ms % HOUR_MS:
        yield segment.first_ms // HOUR_MS
    if (segment.last_ms + 1) % HOUR_MS:
        yield segment.last_ms // HOUR_MS


def _moved(value: ColumnElement[Any], segment: Segment) -> ColumnElement[Any]:
    # In the order of `Corrections.shown`, so that both are the same number.
    return adjusted(value, literal(segment.gain, Float), literal(segment.offset, Float))


def _joined(segments: Sequence[Segment]) -> list[Segment]:
    """What is hidden, and behind it the others, as one where only hidden ones lie between them.

    Of the arms of a CASE the first that holds counts. An offset that 200 hidden readings divide
    would be 201 pieces, each compared with every reading.
    """
    shown: list[Segment] = []
    is_open, reach_ms = False, 0
    for one in segments:
        is_open = is_open and one.first_ms == reach_ms + 1
        reach_ms = one.last_ms
        if one.hidden:
            continue
        if is_open and (shown[-1].gain, shown[-1].offset) == (one.gain, one.offset):
            shown[-1] = replace(shown[-1], last_ms=one.last_ms)
        else:
            shown.append(one)
        is_open = True
    return [*(one for one in segments if one.hidden), *shown]


def _by_way(
    at: ColumnElement[Any], segments: Sequence[Segment]
) -> Iterator[tuple[Segment, ColumnElement[bool]]]:
    """One of the pieces that are corrected alike, and the condition that `at` is in any of them."""
    alike: dict[tuple[bool, float, float], list[Segment]] = {}
    for one in segments:
        alike.setdefault((one.hidden, one.gain, one.offset), []).append(one)
    for ones in alike.values():
        for condition in _conditions(at, ones):
            yield ones[0], condition


def _conditions(
    at: ColumnElement[Any], segments: Sequence[Segment]
) -> Iterator[ColumnElement[bool]]:
    """That `at` is in one of them: single moments, of which there may be many, at once."""
    moments = [one.first_ms for one in segments if one.first_ms == one.last_ms]
    if moments:
        yield at.in_(moments)
    for one in segments:
        if one.first_ms != one.last_ms:
            yield at.between(one.first_ms, one.last_ms)


def _chosen(arms: Iterable[Arm], otherwise: ColumnElement[Any]) -> ColumnElement[Any]:
    listed = list(arms)
    return case(*listed, else_=otherwise) if listed else otherwise
