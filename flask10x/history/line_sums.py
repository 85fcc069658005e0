"""Lines filled with sums: of readings, of roll-ups of hours, of roll-ups of days."""

import json
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, func, select

from flask10x.database.expressions import floor_div, spans, sums_of, total, unindexed
from flask10x.database.tables import measurement, readings, rollup_days, rollups
from flask10x.history.buckets import Bucket, Window
from flask10x.history.corrections.segments import Segment
from flask10x.history.lines import Line
from flask10x.history.local.offsets import Run, day_of, day_start
from flask10x.history.local.parts import TimePart, WholeDays, divided
from flask10x.history.statements import (
    STATEMENTS,
    Branch,
    FilterShape,
    conditions_of,
)
from flask10x.history.sums import fours
from flask10x.readings.times import DAY_MS, HOUR_MS

# SQLite sorts the rows of a statement before it groups them; a month of a station that sends
# every 20 s takes about 10 MB.
PIECE_MS = 30 * DAY_MS
# Of hours; a look at the clock takes a microsecond, and there is one for each day.
YEAR_MS = 366 * DAY_MS


@dataclass(frozen=True, slots=True)
class LineRequest:
    """One station's part of a query."""

    branch: Branch
    filters: tuple[FilterShape, ...]
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class RolledUp:
    """What can stand for readings."""

    position: int
    """Up to this id they are in the roll-ups of hours."""
    is_all: bool
    """Whether there are no readings beyond it."""
    has_days: bool
    """Whether there are roll-ups of the zone's days."""


class ShownLine(NamedTuple):
    """A line, and how its values are shown in each of the pieces that it is filled with."""

    line: Line
    segments: Sequence[Segment]

    def add(self, number: int, place: int, sums: Sequence[Any]) -> None:
        """Take in stored values of that piece, in the bucket at that place."""
        segment = self.segments[number]
        if segment.is_raw:
            self.line.add(place, *sums)
            return
        stored = Bucket()
        stored.add(*sums)
        self.line.add(place, *stored.adjusted(segment.gain, segment.offset))

    def add_all(self, number: int, parts: Iterable[tuple[int, Sequence[Any]]]) -> None:
        """The same of many: a place, and count, total, least and greatest there."""
        if self.segments[number].is_raw:
            self.line.add_all(parts)
            return
        for place, sums in parts:
            self.add(number, place, sums)


class PartRun(NamedTuple):
    """A part of a piece in which the clock is not changed."""

    number: int
    """Of which piece, 0 for the first."""
    run: Run


@dataclass(frozen=True, slots=True)
class Filler:
    """Adds what pieces of the window hold to the lines of one station.

    All pieces are in milliseconds, both ends inclusive. However many there are, they are read in
    few statements.
    """

    connection: Connection
    request: LineRequest
    window: Window
    rolled_up: RolledUp | None
    """None where only the readings themselves will do."""
    lines: Sequence[ShownLine]

    def held(self) -> tuple[int, int]:
        """From when to when the station has anything in the window; the end first where nothing."""
        given = {
            "endpoint": self._endpoint,
            "measurement": self._counted,
            "low_ms": self.window.first_ms,
            "high_ms": self.window.last_ms,
            "first": self.window.first_ms // HOUR_MS,
            "last": self.window.last_ms // HOUR_MS,
        }
        oldest, newest, first, last = self.connection.execute(_HELD, given).one()
        starts = [oldest, None if first is None else first * HOUR_MS]
        ends = [newest, None if last is None else (last + 1) * HOUR_MS - 1]
        low_ms = min((ms for ms in starts if ms is not None), default=self.window.last_ms + 1)
        high_ms = max((ms for ms in ends if ms is not None), default=self.window.last_ms)
        if self.window.step.is_of_days and low_ms <= high_ms:
            # An hour of removed readings counts to the day that it begins in, in which it may be
            # the first one of all.
            low_ms = day_start(day_of(low_ms, self.window.zone), self.window.zone)
        return max(low_ms, self.window.first_ms), min(high_ms, self.window.last_ms)

    def fill(self, pieces: Sequence[tuple[int, int]]) -> int:
        """Add all that the pieces hold, by the quickest way; how many readings they have."""
        if self.rolled_up is None:
            return self._read([TimePart(number, *piece) for number, piece in enumerate(pieces)])
        by_days = self.rolled_up.has_days and self.window.step.is_of_days
        parts = divided(pieces, self.window, by_days=by_days)
        return (
            self._days(parts.days)
            + self._hours(parts.hours)
            + self._later([*parts.of_days, *parts.hours])
            + self._read(parts.rest)
        )

    def _days(self, pieces: Sequence[WholeDays]) -> int:
        if not pieces:
            return 0
        ends = {"first": pieces[0].first, "end": pieces[-1].end}
        given = {"endpoint": self._endpoint, "columns": [*self._by_column], **ends}
        found = self.connection.execute(_SUMS_OF_DAYS, given).all()
        place_of = {day: self.window.place_of_day(day) for day in {row[1] for row in found}}
        count = 0
        for column, rows in groupby(found, _BY_COLUMN):
            own, shown = list(rows), self._by_column[column]
            for number, first, end in pieces:
                of_piece = own[bisect_left(own, first, key=_BY_DAY) :]
                of_piece = of_piece[: bisect_left(of_piece, end, key=_BY_DAY)]
                shown.add_all(number, ((place_of[row[1]], row[3:]) for row in of_piece if row[3]))
                count += sum(row[2] for row in of_piece) if column == self._counted else 0
        return count

    def _hours(self, pieces: Sequence[TimePart]) -> int:
        lines, unit_ms, count = self._by_column, self.window.step.unit_ms, 0
        for batch in self._batches(pieces, YEAR_MS, self._next_hour):
            # An hour belongs to where it begins.
            hours = [
                (-(-run.low_ms // HOUR_MS), -(-(run.high_ms + 1) // HOUR_MS), run.offset_ms)
                for _, run in batch
            ]
            given = {"endpoint": self._endpoint, "columns": [*lines], "unit_ms": unit_ms}
            given |= {"spans": json.dumps(hours)}
            for column, span, step, rows, *sums in self.connection.execute(_SUMS_OF_HOURS, given):
                if sums[0]:
                    lines[column].add(batch[span].number, self._place(batch[span].run, step), sums)
                if column == self._counted:
                    count += rows
        return count

    def _later(self, pieces: Sequence[TimePart]) -> int:
        """What is not rolled up yet of pieces that are taken from roll-ups."""
        if self.rolled_up is None or self.rolled_up.is_all:
            return 0
        given = {"endpoint": self._endpoint, "after_id": self.rolled_up.position}
        first_ms, last_ms = self.connection.execute(_LATER, given).one()
        if first_ms is None:
            return 0
        cut = (TimePart(n, max(low, first_ms), min(high, last_ms)) for n, low, high in pieces)
        return self._read([p for p in cut if p.low_ms <= p.high_ms], self.rolled_up.position)

    def _read(self, pieces: Sequence[TimePart], after: int | None = None) -> int:
        columns = tuple(self._by_column)
        statement = _sums(self.request.branch, columns, self.request.filters, after is not None)
        given: dict[str, Any] = {"unit_ms": self.window.step.unit_ms, **self.request.values}
        given |= {} if after is None else {"after_id": after}
        count = 0
        for batch in self._batches(pieces, PIECE_MS, self._next_reading):
            given["spans"] = json.dumps([(r.low_ms, r.high_ms, r.offset_ms) for _, r in batch])
            for span, step, rows, *sums in self.connection.execute(statement, given):
                if not rows:
                    continue
                count += rows
                place = self._place(batch[span].run, step)
                for shown, part in zip(self.lines, fours(sums), strict=True):
                    if part[0]:
                        shown.add(batch[span].number, place, part)
        return count

    def _place(self, run: Run, step: int) -> int:
        return self.window.place(max(step * self.window.step.unit_ms - run.offset_ms, run.low_ms))

    def _batches(
        self, pieces: Sequence[TimePart], most_ms: int, following: Callable[[int], int | None]
    ) -> Iterator[list[PartRun]]:
        """The pieces in spans, so many at a time as are not longer than that altogether."""
        batch: list[PartRun] = []
        length_ms = 0
        for number, low_ms, high_ms in pieces:
            for piece in self._spans(low_ms, high_ms, most_ms, following):
                for run in self.window.runs(*piece):
                    length_ms += run.high_ms - run.low_ms + 1
                    if length_ms > most_ms and batch:
                        yield batch
                        batch, length_ms = [], run.high_ms - run.low_ms + 1
                    batch.append(PartRun(number, run))
        if batch:
            yield batch

    def _spans(
        self, low_ms: int, high_ms: int, most_ms: int, following: Callable[[int], int | None]
    ) -> Iterator[tuple[int, int]]:
        """The piece cut into shorter ones; where nothing is for long, it goes on behind that."""
        while low_ms <= high_ms:
            reach_ms = min(low_ms + most_ms - 1, high_ms)
            yield low_ms, reach_ms
            low_ms = reach_ms + 1
            if low_ms <= high_ms:
                next_ms = following(low_ms)
                low_ms = high_ms + 1 if next_ms is None else max(low_ms, next_ms)

    def _next_reading(self, low_ms: int) -> int | None:
        given = {"endpoint": self._endpoint, "low_ms": low_ms}
        found: int | None = self.connection.execute(_NEXT, given).scalar_one()
        return found

    def _next_hour(self, low_ms: int) -> int | None:
        of_all = {"endpoint": self._endpoint, "measurement": self._counted}
        given = of_all | {"first": low_ms // HOUR_MS}
        hour: int | None = self.connection.execute(_NEXT_HOUR, given).scalar_one()
        return None if hour is None else hour * HOUR_MS

    @property
    def _endpoint(self) -> str:
        return self.request.branch.endpoint

    @property
    def _counted(self) -> str:
        """Each reading has a row of each measurement; these are counted."""
        return self.lines[0].line.measurement.column

    @property
    def _by_column(self) -> dict[str, ShownLine]:
        return {one.line.measurement.column: one for one in self.lines}


_OF_STATION = readings.c.endpoint == bindparam("endpoint")
_IN_WINDOW = (
    readings.c.received_at >= bindparam("low_ms"),
    readings.c.received_at <= bindparam("high_ms"),
)
_HOURS_HELD = (
    rollups.c.endpoint == bindparam("endpoint"),
    rollups.c.measurement == bindparam("measurement"),
    rollups.c.hour >= bindparam("first"),
    rollups.c.hour <= bindparam("last"),
)
# Each a step in an index.
_HELD = select(
    *(
        select(end(readings.c.received_at)).where(_OF_STATION, *_IN_WINDOW).scalar_subquery()
        for end in (func.min, func.max)
    ),
    *(
        select(end(rollups.c.hour)).where(*_HOURS_HELD).scalar_subquery()
        for end in (func.min, func.max)
    ),
)
_NEXT = select(func.min(readings.c.received_at)).where(
    _OF_STATION, readings.c.received_at >= bindparam("low_ms")
)
_NEXT_HOUR = select(func.min(rollups.c.hour)).where(
    rollups.c.endpoint == bindparam("endpoint"),
    rollups.c.measurement == bindparam("measurement"),
    rollups.c.hour >= bindparam("first"),
)
_LATER = select(func.min(readings.c.received_at), func.max(readings.c.received_at)).where(
    # Not by the index: these are the last few rows of the table.
    unindexed(readings.c.endpoint) == bindparam("endpoint"),
    readings.c.id > bindparam("after_id"),
)
_BY_COLUMN, _BY_DAY = itemgetter(0), itemgetter(1)
# From, to, and how far the clock is ahead; read once, not for each row.
_SPANS = spans("spans")
# Of the bucket. SQLite would group by a column of this name, which a measurement can't have.
_NUMBER = "_number"


def _number(at: ColumnElement[Any]) -> ColumnElement[Any]:
    return floor_div(at + _SPANS.c.third, bindparam("unit_ms")).label(_NUMBER)


@lru_cache(maxsize=STATEMENTS)
def _sums(
    branch: Branch, columns: tuple[str, ...], filters: tuple[FilterShape, ...], only_new: bool
) -> Select[Any]:
    at, endpoint = readings.c.received_at, readings.c.endpoint
    conditions = [at >= _SPANS.c.first, at <= _SPANS.c.second, *conditions_of(branch, filters)]
    if only_new:
        conditions += [
            unindexed(endpoint) == branch.endpoint,
            readings.c.id > bindparam("after_id"),
        ]
    else:
        conditions += [endpoint == branch.endpoint]
    parts = (part for column in columns for part in sums_of(measurement(column)))
    return (
        select(_SPANS.c.place, _number(at), func.count(readings.c.id), *parts)
        .select_from(_SPANS.outerjoin(readings, and_(*conditions)))
        .group_by(_SPANS.c.place, _NUMBER)
    )


_SUMS_OF_HOURS = (
    select(
        rollups.c.measurement,
        _SPANS.c.place,
        _number(rollups.c.hour * HOUR_MS),
        func.sum(rollups.c.readings),
        func.sum(rollups.c.count),
        total(rollups.c.total),
        func.min(rollups.c.minimum),
        func.max(rollups.c.maximum),
    )
    .select_from(
        _SPANS.outerjoin(
            rollups,
            and_(
                rollups.c.endpoint == bindparam("endpoint"),
                rollups.c.measurement.in_(bindparam("columns", expanding=True)),
                rollups.c.hour >= _SPANS.c.first,
                rollups.c.hour < _SPANS.c.second,
            ),
        )
    )
    .group_by(rollups.c.measurement, _SPANS.c.place, _NUMBER)
)
_SUMS_OF_DAYS = (
    select(
        *(rollup_days.c.measurement, rollup_days.c.day, rollup_days.c.readings),
        *(rollup_days.c.count, rollup_days.c.total),
        *(rollup_days.c.minimum, rollup_days.c.maximum),
    )
    .where(rollup_days.c.endpoint == bindparam("endpoint"))
    .where(rollup_days.c.measurement.in_(bindparam("columns", expanding=True)))
    .where(rollup_days.c.day >= bindparam("first"), rollup_days.c.day < bindparam("end"))
    .order_by(rollup_days.c.measurement, rollup_days.c.day)
)
