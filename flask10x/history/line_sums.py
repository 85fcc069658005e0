"""Lines filled with sums: of readings, of roll-ups of hours, of roll-ups of days."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, select

from flask10x.database.expressions import floor_div, sums_of, unindexed
from flask10x.database.tables import measurement, readings, rollup_days, rollups
from flask10x.history.buckets import Window
from flask10x.history.lines import Line
from flask10x.history.local.offsets import day_of, day_start
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


@dataclass(frozen=True, slots=True)
class Filler:
    """Adds what a piece of the window holds to the lines of one station.

    All pieces are in milliseconds, both ends inclusive.
    """

    connection: Connection
    request: LineRequest
    window: Window
    rolled_up: RolledUp | None
    """None where only the readings themselves will do."""
    lines: Sequence[Line]

    def held(self) -> tuple[int, int]:
        """From when to when the station has anything in the window; the end first where nothing."""
        given = {
            "endpoint": self._endpoint,
            "measurement": self.lines[0].measurement.column,
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
        return max(low_ms, self.window.first_ms), min(high_ms, self.window.last_ms)

    def fill(self, low_ms: int, high_ms: int) -> int:
        """Add all that the piece holds, by the quickest way; how many readings it has."""
        if self.rolled_up is None:
            return self._readings(low_ms, high_ms)
        if not self.rolled_up.has_days or not self.window.step.is_of_days:
            return self._hours(low_ms, high_ms)
        first, end = self._whole_days(low_ms, high_ms)
        if first >= end:
            return self._hours(low_ms, high_ms)
        start_ms, end_ms = (day_start(day, self.window.zone) for day in (first, end))
        return (
            self._hours(low_ms, start_ms - 1)
            + self._days(first, end)
            + self._later(start_ms, end_ms - 1)
            + self._hours(end_ms, high_ms)
        )

    def _whole_days(self, low_ms: int, high_ms: int) -> tuple[int, int]:
        """The first day that lies in the piece, and the one after the last."""
        zone = self.window.zone
        first = day_of(low_ms, zone)
        return first + (day_start(first, zone) < low_ms), day_of(high_ms + 1, zone)

    def _days(self, first: int, end: int) -> int:
        columns = [*self._by_column]
        given = {"endpoint": self._endpoint, "columns": columns, "first": first, "end": end}
        found = self.connection.execute(_SUMS_OF_DAYS, given).all()
        place_of = {day: self.window.place_of_day(day) for day in {row[1] for row in found}}
        for column, rows in groupby(found, _BY_COLUMN):
            self._by_column[column].add_all((place_of[row[1]], row[3:]) for row in rows if row[3])
        return sum(row[2] for row in found if row[0] == columns[0])

    def _hours(self, low_ms: int, high_ms: int) -> int:
        """By roll-ups of hours, and by readings where the piece or a bucket ends within an hour."""
        count, begin_ms = 0, low_ms
        for cut_ms in (*self._cuts(low_ms, high_ms), high_ms + 1):
            count += self._whole_hours(begin_ms, cut_ms - 1)
            begin_ms = cut_ms
        return count

    def _cuts(self, low_ms: int, high_ms: int) -> list[int]:
        """Where buckets begin within an hour; none in most zones."""
        if not self.window.step.is_of_days:
            return []
        return [ms for ms in self.window.starts if ms % HOUR_MS and low_ms < ms <= high_ms]

    def _whole_hours(self, low_ms: int, high_ms: int) -> int:
        first, end = -(-low_ms // HOUR_MS), (high_ms + 1) // HOUR_MS
        if first >= end:
            return self._readings(low_ms, high_ms)
        start_ms, end_ms = first * HOUR_MS, end * HOUR_MS
        return (
            self._readings(low_ms, start_ms - 1)
            + self._rolled_hours(start_ms, end_ms - 1)
            + self._later(start_ms, end_ms - 1)
            + self._readings(end_ms, high_ms)
        )

    def _rolled_hours(self, low_ms: int, high_ms: int) -> int:
        lines, unit_ms = self._by_column, self.window.step.unit_ms
        counted, count = self.lines[0].measurement.column, 0
        spans = self._spans(low_ms, high_ms, YEAR_MS, self._next_hour)
        for run in (run for span in spans for run in self.window.runs(*span)):
            given = {
                "endpoint": self._endpoint,
                "columns": [*lines],
                # An hour belongs to where it begins.
                "first": -(-run.low_ms // HOUR_MS),
                "end": -(-(run.high_ms + 1) // HOUR_MS),
                "offset_ms": run.offset_ms,
                "unit_ms": unit_ms,
            }
            for column, number, rows, *sums in self.connection.execute(_SUMS_OF_HOURS, given).all():
                if sums[0]:
                    place = self.window.place(max(number * unit_ms - run.offset_ms, run.low_ms))
                    lines[column].add(place, *sums)
                if column == counted:
                    count += rows
        return count

    def _later(self, low_ms: int, high_ms: int) -> int:
        """What is not rolled up yet of a piece that is taken from roll-ups."""
        if self.rolled_up is None or self.rolled_up.is_all:
            return 0
        return self._read(low_ms, high_ms, self.rolled_up.position)

    def _readings(self, low_ms: int, high_ms: int) -> int:
        return self._read(low_ms, high_ms, None)

    def _read(self, low_ms: int, high_ms: int, after: int | None) -> int:
        columns = tuple(self._by_column)
        statement = _sums(self.request.branch, columns, self.request.filters, after is not None)
        unit_ms, count = self.window.step.unit_ms, 0
        spans = self._spans(low_ms, high_ms, PIECE_MS, self._next_reading)
        for run in (run for span in spans for run in self.window.runs(*span)):
            given: dict[str, float] = {
                "low_ms": run.low_ms,
                "high_ms": run.high_ms,
                "offset_ms": run.offset_ms,
                "unit_ms": unit_ms,
            }
            given |= self.request.values | ({} if after is None else {"after_id": after})
            for number, rows, *sums in self.connection.execute(statement, given).all():
                count += rows
                place = self.window.place(max(number * unit_ms - run.offset_ms, run.low_ms))
                for line, part in zip(self.lines, fours(sums), strict=True):
                    if part[0]:
                        line.add(place, *part)
        return count

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
        of = self.lines[0].measurement.column
        given = {"endpoint": self._endpoint, "measurement": of, "first": low_ms // HOUR_MS}
        hour: int | None = self.connection.execute(_NEXT_HOUR, given).scalar_one()
        return None if hour is None else hour * HOUR_MS

    @property
    def _endpoint(self) -> str:
        return self.request.branch.endpoint

    @property
    def _by_column(self) -> dict[str, Line]:
        return {line.measurement.column: line for line in self.lines}


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
_BY_COLUMN = itemgetter(0)
# Of the bucket. SQLite would group by a column of this name, which a measurement can't have.
_NUMBER = "_number"


def _number(at: ColumnElement[Any]) -> ColumnElement[Any]:
    return floor_div(at + bindparam("offset_ms"), bindparam("unit_ms")).label(_NUMBER)


@lru_cache(maxsize=STATEMENTS)
def _sums(
    branch: Branch, columns: tuple[str, ...], filters: tuple[FilterShape, ...], only_new: bool
) -> Select[Any]:
    at = readings.c.received_at
    endpoint: ColumnElement[str] = readings.c.endpoint
    limits: list[ColumnElement[bool]] = []
    if only_new:
        # Not by the index: these are the last few rows of the table.
        endpoint = unindexed(readings.c.endpoint)
        limits = [readings.c.id > bindparam("after_id")]
    parts = (part for column in columns for part in sums_of(measurement(column)))
    return (
        select(_number(at), func.count(), *parts)
        .where(endpoint == branch.endpoint, *limits)
        .where(at >= bindparam("low_ms"), at <= bindparam("high_ms"))
        .where(*conditions_of(branch, filters))
        .group_by(_NUMBER)
    )


_SUMS_OF_HOURS = (
    select(
        rollups.c.measurement,
        _number(rollups.c.hour * HOUR_MS),
        func.sum(rollups.c.readings),
        func.sum(rollups.c.count),
        func.total(rollups.c.total),
        func.min(rollups.c.minimum),
        func.max(rollups.c.maximum),
    )
    .where(rollups.c.endpoint == bindparam("endpoint"))
    .where(rollups.c.measurement.in_(bindparam("columns", expanding=True)))
    .where(rollups.c.hour >= bindparam("first"), rollups.c.hour < bindparam("end"))
    .group_by(rollups.c.measurement, _NUMBER)
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
