"""Adds the sums of readings, hours and days to the buckets of lines.

The lines of all stations are read together, in the same few statements.
"""

import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    ColumnElement,
    Integer,
    and_,
    bindparam,
    cast,
    func,
    literal_column,
    null,
    select,
    union_all,
)

from flask10x.database.expressions import floor_div, spans, sums_of, total, unindexed
from flask10x.database.tables import NUMBER, measurement, readings, rollup_days, rollups
from flask10x.history.buckets import Bucket, Line, Window
from flask10x.history.corrections import AS_STORED, Corrections, Way
from flask10x.history.local_time import Run, day_of, day_start
from flask10x.history.statements import (
    STATEMENTS,
    Branch,
    CorrectedStation,
    FilterShape,
    Statement,
    conditions_of,
    rolled_up_in,
)
from flask10x.history.sums import fours
from flask10x.history.view import Extent, View
from flask10x.readings.times import DAY_MS, HOUR_MS, SECOND_MS

# SQLite sorts the rows of a statement before it groups them; a month of a station that sends
# every 20 s takes about 10 MB.
PIECE_MS = 30 * DAY_MS
SHORTEST_INTERVAL_MS = 20 * SECOND_MS
MOST_READINGS = PIECE_MS // SHORTEST_INTERVAL_MS
# Of hours; a look at the clock takes a microsecond, and there is one for each day.
YEAR_MS = 366 * DAY_MS
# A row of a measurement's hour has some 50 bytes.
MOST_HOURS = 100_000
# SQLite takes 500 parts of a UNION ALL (https://www.sqlite.org/limits.html). With a filter each
# column that is corrected at other times than the rest of its station is a part.
MOST_FORMS = 200


@dataclass(frozen=True, slots=True)
class RolledUp:
    """Which roll-ups can take the place of readings."""

    has_later: bool
    """Whether there are readings that are not in the roll-ups of hours."""
    has_days: bool
    """Whether there are roll-ups of the zone's days."""


@dataclass(frozen=True, slots=True)
class SumsRequest:
    """The readings whose sums are added to lines, and how their values are shown."""

    window: Window
    branches: Mapping[str, Branch]
    """The stations of the lines, by their endpoints."""
    filters: tuple[FilterShape, ...]
    values: Mapping[str, float]
    """The values that the filters compare with."""
    corrections: Corrections
    rolled_up: RolledUp | None
    """None when the answer can only be made of readings."""
    extents: Mapping[str, Extent]


class ShownLine(NamedTuple):
    """A line, and how its values are shown in each of the pieces that it is filled with."""

    line: Line
    ways: Sequence[Way]

    def add(self, number: int, place: int, sums: Sequence[Any]) -> None:
        """Add the sums of stored values of a piece to the bucket at a place."""
        way = self.ways[number]
        if way != AS_STORED:
            stored = Bucket()
            stored.add(*sums)
            sums = stored.adjusted(*way[1:])
        self.line.add(place, *sums)

    def add_all(self, number: int, parts: Iterable[tuple[int, Sequence[Any]]]) -> None:
        """Add the sums of many buckets: each a place, and count, total, least and greatest."""
        if self.ways[number] == AS_STORED:
            self.line.add_all(parts)
            return
        for place, sums in parts:
            self.add(number, place, sums)


class TimePart(NamedTuple):
    """A part of a divided piece of time."""

    number: int
    """The number of the piece, 0 for the first."""
    low_ms: int
    high_ms: int


class WholeDays(NamedTuple):
    """The local days that lie in a piece of time."""

    number: int
    """The number of the piece, 0 for the first."""
    first: int
    end: int
    """The day after the last one."""


@dataclass(slots=True)
class Parts:
    """The days, hours and remaining parts of pieces of time, each in the order of time."""

    days: list[WholeDays] = field(default_factory=list)
    of_days: list[TimePart] = field(default_factory=list)
    """The days as parts of the pieces."""
    hours: list[TimePart] = field(default_factory=list)
    """Whole hours of UTC, each in one bucket."""
    rest: list[TimePart] = field(default_factory=list)
    """The parts of hours in which a piece or a bucket begins or ends."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Lines of one station that are corrected in the same pieces of time.

    Pieces are in milliseconds, both ends inclusive.
    """

    endpoint: str
    lines: Mapping[str, ShownLine]
    """By their columns."""
    pieces: Sequence[tuple[int, int]]

    columns: tuple[str, ...]
    """Those of its lines, in their order."""

    @property
    def counted(self) -> str:
        """The measurement whose rows are counted: each reading has a row of each measurement."""
        return self.columns[0]

    @property
    def interval_ms(self) -> int:
        """The shortest expected time between two readings."""
        usual_ms = self.lines[self.counted].line.interval_ms or SHORTEST_INTERVAL_MS
        return max(usual_ms, SHORTEST_INTERVAL_MS)


class _Part(NamedTuple):
    """A part of one of the pieces of a group."""

    group: int
    time: TimePart


class _Span(NamedTuple):
    """A part of a piece of a group in which the clock is not changed."""

    group: int
    number: int
    """The number of the piece, 0 for the first."""
    run: Run
    is_later: bool = False
    """Whether only readings that are not rolled up yet count."""


class _Form(NamedTuple):
    """The properties in which the statements for readings of stations differ."""

    is_rolled_up: bool
    """Whether all readings count; otherwise those that are not rolled up yet."""
    columns: tuple[str, ...]
    branch: Branch | None
    """None when all readings of a station count."""
    is_of_one: bool = False
    """Whether each span lies in one step of the buckets."""


def add_sums(view: View, request: SumsRequest, lines: Sequence[Line]) -> dict[str, int]:
    """Add the values of the window to the lines, as they are shown.

    Return how many readings the lines of each endpoint are made of. When lines of an endpoint are
    corrected differently, it is the number of the fullest line.
    """
    by_endpoint: defaultdict[str, list[Line]] = defaultdict(list)
    for line in lines:
        by_endpoint[line.station.endpoint].append(line)
    groups = [
        group
        for endpoint, of_station in by_endpoint.items()
        for group in _alike(request, endpoint, of_station)
    ]
    adder = _Adder(view, request, groups)
    adder.add()
    counts = dict.fromkeys(by_endpoint, 0)
    for group, count in zip(groups, adder.counts, strict=True):
        counts[group.endpoint] = max(counts[group.endpoint], count)
    return counts


def _alike(request: SumsRequest, endpoint: str, lines: Sequence[Line]) -> Iterator[_Group]:
    """Yield the lines of a station in groups that are shown in the same pieces of time.

    A station without anything in the window has no group.
    """
    first_ms, last_ms = _ends(request.window, request.extents[endpoint])
    if first_ms > last_ms:
        return
    by_pieces: defaultdict[tuple[tuple[int, int], ...], dict[str, ShownLine]] = defaultdict(dict)
    for line in lines:
        column = line.measurement.column
        segments = request.corrections.segments(endpoint, column, first_ms, last_ms)
        shown = [segment for segment in segments if not segment.hidden]
        pieces = tuple([segment.ends for segment in shown])
        by_pieces[pieces][column] = ShownLine(line, [segment.way for segment in shown])
    for pieces, of_columns in by_pieces.items():
        yield _Group(endpoint, of_columns, pieces, tuple(of_columns))


def _ends(window: Window, extent: Extent) -> tuple[int, int]:
    """Return the first and the last millisecond at which a station can have values in the window.

    The first one is after the last one when it has none.
    """
    starts = [ms for ms in (extent.first_ms, extent.first_hour_ms) if ms is not None]
    ends = [ms for ms in (extent.last_ms, extent.last_hour_ms) if ms is not None]
    if not starts or not ends:
        return window.last_ms + 1, window.last_ms
    low_ms, high_ms = max(min(starts), window.first_ms), min(max(ends), window.last_ms)
    if window.step.is_of_days and low_ms <= high_ms:
        # An hour of removed readings counts to the day that it begins in, in which it may be the
        # first one of all.
        low_ms = max(day_start(day_of(low_ms, window.zone), window.zone), window.first_ms)
    return low_ms, high_ms


class _Adder:
    """Adds what the pieces of groups hold to their lines, and counts the readings of each group."""

    def __init__(self, view: View, request: SumsRequest, groups: Sequence[_Group]) -> None:
        self._view, self._request, self._groups = view, request, groups
        self._connection, self._window = view.connection, request.window
        self._unit_ms = request.window.step.unit_ms
        self._runs: dict[int, list[Run]] = {}
        self.counts = [0] * len(groups)

    def add(self) -> None:
        """Add everything: days and hours from roll-ups where these can be used, else readings."""
        rolled_up = self._request.rolled_up
        if rolled_up is None:
            self._add_readings([], [*self._parts(_pieces)])
            return
        by_days = rolled_up.has_days and self._window.step.is_of_days
        divisions = [divided(group.pieces, self._window, by_days=by_days) for group in self._groups]
        self._add_rolled_up(divisions)
        later: list[_Part] = []
        if rolled_up.has_later:
            of_rollups = self._parts(
                lambda place, _: [*divisions[place].of_days, *divisions[place].hours]
            )
            later = [*self._later(of_rollups)]
        self._add_readings(later, [*self._parts(lambda place, _: divisions[place].rest)])

    def _parts(self, of: Callable[[int, _Group], Iterable[TimePart]]) -> Iterator[_Part]:
        for place, group in enumerate(self._groups):
            for part in of(place, group):
                yield _Part(place, part)

    def _later(self, parts: Iterable[_Part]) -> Iterator[_Part]:
        """Yield the ranges of these parts with readings that are not rolled up yet."""
        for place, (number, low_ms, high_ms) in parts:
            ends = self._view.later.get(self._groups[place].endpoint)
            if ends is not None:
                cut = TimePart(number, max(low_ms, ends[0]), min(high_ms, ends[1]))
                if cut.low_ms <= cut.high_ms:
                    yield _Part(place, cut)

    def _add_rolled_up(self, divisions: Sequence[Parts]) -> None:
        """Add days and hours from their roll-ups, the days with the first batch of hours."""
        lines = [
            (place, column, parts.days[0].first, parts.days[-1].end)
            for place, parts in enumerate(divisions)
            if parts.days
            for column in self._groups[place].columns
        ]
        hours = [*self._parts(lambda place, _: divisions[place].hours)]
        batches = self._batches(hours, YEAR_MS, MOST_HOURS, self._hours_in, self._next_hour)
        batch = next(batches, [])
        if lines or batch:
            days = [(self._groups[place].endpoint, *rest, 0) for place, *rest in lines]
            of_days, of_hours = self._rolled_up(days, batch)
            self._add_days(divisions, lines, of_days)
            self._add_hours(batch, of_hours)
        for batch in batches:
            self._add_hours(batch, self._rolled_up([], batch)[1])

    def _rolled_up(
        self, days: Sequence[tuple[Any, ...]], batch: Sequence[_Span]
    ) -> tuple[list[Any], list[Any]]:
        """Return the rows of days, in the order of their lines, and those of hours."""
        hours = [
            (
                *(self._groups[span.group].endpoint, column),
                *(-(-span.run.low_ms // HOUR_MS), -(-(span.run.high_ms + 1) // HOUR_MS)),
                span.run.offset_ms,
            )
            for span in batch
            for column in self._groups[span.group].columns
        ]
        values = {"days": json.dumps(days), "hours": json.dumps(hours), "unit_ms": self._unit_ms}
        rows = self._view.rows((_ROLLED_UP, values))
        of_days, of_hours = ([row for row in rows if row[0] == kind] for kind in (0, 1))
        return sorted(of_days, key=itemgetter(1, 2)), of_hours

    def _add_days(
        self,
        divisions: Sequence[Parts],
        lines: Sequence[tuple[int, str, int, int]],
        rows: Sequence[Any],
    ) -> None:
        place_of = {day: self._window.place_of_day(day) for day in {row[2] for row in rows}}
        for number, of_line in groupby(rows, itemgetter(1)):
            place, column, *_ = lines[number]
            group, days_of_line = self._groups[place], list(of_line)
            for piece, first, end in divisions[place].days:
                of_piece = days_of_line[bisect_left(days_of_line, first, key=_BY_DAY) :]
                of_piece = of_piece[: bisect_left(of_piece, end, key=_BY_DAY)]
                parts = ((place_of[row[2]], row[4:]) for row in of_piece if row[4])
                group.lines[column].add_all(piece, parts)
                if column == group.counted:
                    self.counts[place] += sum(row[3] for row in of_piece)

    def _add_hours(self, batch: Sequence[_Span], rows: Sequence[Any]) -> None:
        # An hour belongs to where it begins.
        lines = [(span, column) for span in batch for column in self._groups[span.group].columns]
        for _, number, step, readings_of_hours, *sums in rows:
            if not readings_of_hours:
                continue
            span, column = lines[number]
            group = self._groups[span.group]
            if sums[0]:
                group.lines[column].add(span.number, self._place(span.run, step), sums)
            if column == group.counted:
                self.counts[span.group] += readings_of_hours

    def _add_readings(self, later: Sequence[_Part], all_of: Sequence[_Part]) -> None:
        batches = self._batches(
            all_of, PIECE_MS, MOST_READINGS, self._readings_in, self._next_reading
        )
        of_later = self._spans_of(later, YEAR_MS, self._next_reading)
        first = [span._replace(is_later=True) for span in of_later]
        for batch in batches:
            self._add_batch([*first, *batch])
            first = []
        if first:
            self._add_batch(first)

    def _add_batch(self, batch: Sequence[_Span]) -> None:
        by_form: defaultdict[_Form, list[_Span]] = defaultdict(list)
        # The key of a form holds all corrections of a station.
        for (place, is_later), alike in groupby(batch, attrgetter("group", "is_later")):
            by_form[self._form(self._groups[place], is_later)] += alike
        # Readings that are not rolled up yet come first, so that sums keep their last bits.
        forms = sorted(by_form, key=itemgetter(0))
        for first in range(0, len(forms), MOST_FORMS):
            some = forms[first : first + MOST_FORMS]
            self._add_forms({form: by_form[form] for form in some})

    def _add_forms(self, by_form: Mapping[_Form, Sequence[_Span]]) -> None:
        """Add the spans of some forms; those for readings that are not rolled up yet come first."""
        forms = [
            form._replace(is_of_one=all(self._is_of_one(span.run) for span in spans_of_form))
            for form, spans_of_form in by_form.items()
        ]
        listed = list(by_form.values())
        values: dict[str, Any] = {"unit_ms": self._unit_ms, **self._request.values}
        if not forms[0].is_rolled_up:
            values["after_id"] = self._view.rollups.progress.done
        for place, spans_of_form in enumerate(listed):
            values[f"spans{place}"] = json.dumps([*map(self._listed, spans_of_form)])
        rows = self._view.rows((_sums(tuple(forms), self._request.filters), values))
        for place, number, step, count, *sums in sorted(rows, key=_BY_FORM):
            if not count:
                continue
            span = listed[place][number]
            group = self._groups[span.group]
            self.counts[span.group] += count
            run = span.run
            bucket = self._window.place(run.low_ms) if step is None else self._place(run, step)
            for line, part in zip(group.lines.values(), fours(sums), strict=False):
                if part[0]:
                    line.add(span.number, bucket, part)

    def _listed(self, span: _Span) -> tuple[str, None, int, int, int]:
        run = span.run
        return self._groups[span.group].endpoint, None, run.low_ms, run.high_ms, run.offset_ms

    def _form(self, group: _Group, is_later: bool) -> _Form:
        # Pieces leave out what is hidden.
        branch = self._request.branches[group.endpoint]
        has_conditions = self._request.filters or branch.missing
        hidden, columns = branch.corrected
        corrected = CorrectedStation((), tuple(each for each in columns if each[1] != hidden))
        shown = branch._replace(corrected=corrected) if has_conditions else None
        return _Form(not is_later, group.columns, shown)

    def _is_of_one(self, run: Run) -> bool:
        return self._step(run, run.low_ms) == self._step(run, run.high_ms)

    def _step(self, run: Run, ms: int) -> int:
        return (ms + run.offset_ms) // self._unit_ms

    def _place(self, run: Run, step: int) -> int:
        return self._window.place(max(step * self._unit_ms - run.offset_ms, run.low_ms))

    def _batches(
        self,
        parts: Sequence[_Part],
        piece_ms: int,
        most: int,
        rows_in: Callable[[_Span], int],
        following: Callable[[_Group, int], int | None],
    ) -> Iterator[list[_Span]]:
        """Yield the parts as lists of spans, each list with at most about `most` rows."""
        batch: list[_Span] = []
        rows = 0
        for span in self._spans_of(parts, piece_ms, following):
            more = rows_in(span)
            if rows + more > most and batch:
                yield batch
                batch, rows = [], 0
            batch.append(span)
            rows += more
        if batch:
            yield batch

    def _spans_of(
        self,
        parts: Iterable[_Part],
        piece_ms: int,
        following: Callable[[_Group, int], int | None],
    ) -> Iterator[_Span]:
        """Yield the parts in shorter spans; `following` finds the end of a time without rows."""
        for place, (number, first_ms, high_ms) in parts:
            low_ms = first_ms
            while low_ms <= high_ms:
                reach_ms = min(low_ms + piece_ms - 1, high_ms)
                for run in self._runs_of(low_ms, reach_ms):
                    for part in self._halves(run):
                        yield _Span(place, number, part)
                low_ms = reach_ms + 1
                if low_ms <= high_ms:
                    next_ms = following(self._groups[place], low_ms)
                    low_ms = high_ms + 1 if next_ms is None else max(low_ms, next_ms)

    def _halves(self, run: Run) -> tuple[Run, ...]:
        """Cut a short run where a step ends, so that a statement need not tell steps apart."""
        border_ms = self._step(run, run.high_ms) * self._unit_ms - run.offset_ms
        if run.low_ms < border_ms <= run.low_ms + self._unit_ms:
            return run._replace(high_ms=border_ms - 1), run._replace(low_ms=border_ms)
        return (run,)

    def _runs_of(self, low_ms: int, high_ms: int) -> Iterator[Run]:
        """Yield the window's runs of a time. Each change of the clock is looked for once."""
        runs: list[Run] = []
        for block in range(low_ms // PIECE_MS, high_ms // PIECE_MS + 1):
            for run in self._runs_in(block):
                if runs and runs[-1].offset_ms == run.offset_ms:
                    runs[-1] = runs[-1]._replace(high_ms=run.high_ms)
                else:
                    runs.append(run)
        for run in runs:
            if run.low_ms <= high_ms and run.high_ms >= low_ms:
                yield Run(max(run.low_ms, low_ms), min(run.high_ms, high_ms), run.offset_ms)

    def _runs_in(self, block: int) -> list[Run]:
        if block not in self._runs:
            ends = block * PIECE_MS, (block + 1) * PIECE_MS - 1
            self._runs[block] = [*self._window.runs(*ends)]
        return self._runs[block]

    def _readings_in(self, span: _Span) -> int:
        length_ms = span.run.high_ms - span.run.low_ms + 1
        return length_ms // self._groups[span.group].interval_ms

    def _hours_in(self, span: _Span) -> int:
        length_ms = span.run.high_ms - span.run.low_ms + 1
        return length_ms // HOUR_MS * len(self._groups[span.group].lines)

    def _next_reading(self, group: _Group, low_ms: int) -> int | None:
        values = {"endpoint": group.endpoint, "low_ms": low_ms}
        next_ms: int | None = self._connection.execute(_NEXT, values).scalar_one()
        return next_ms

    def _next_hour(self, group: _Group, low_ms: int) -> int | None:
        of_all = {"endpoint": group.endpoint, "measurement": group.counted}
        values = of_all | {"first": low_ms // HOUR_MS}
        hour: int | None = self._connection.execute(_NEXT_HOUR, values).scalar_one()
        return None if hour is None else hour * HOUR_MS


def _pieces(_place: int, group: _Group) -> list[TimePart]:
    return [TimePart(number, *piece) for number, piece in enumerate(group.pieces)]


_BY_FORM, _BY_DAY = itemgetter(0), itemgetter(2)
# The column of the bucket's number. SQLite would group by a column of the table with the same
# name, which no measurement can have.
_NUMBER = "_number"
_NEXT = select(func.min(readings.c.received_at)).where(
    readings.c.endpoint == bindparam("endpoint"), readings.c.received_at >= bindparam("low_ms")
)
_NEXT_HOUR = select(func.min(rollups.c.hour)).where(
    rollups.c.endpoint == bindparam("endpoint"),
    rollups.c.measurement == bindparam("measurement"),
    rollups.c.hour >= bindparam("first"),
)


def _number(at: ColumnElement[Any], ranges: CTE) -> ColumnElement[Any]:
    return floor_div(at + ranges.c.third, bindparam("unit_ms")).label(_NUMBER)


@lru_cache(maxsize=STATEMENTS)
def _sums(forms: tuple[_Form, ...], filters: tuple[FilterShape, ...]) -> Statement:
    """Return the statement for the counts and sums of each bucket of each span, form by form.

    All forms have as many columns as the widest one.
    """
    width = max(len(form.columns) for form in forms)
    selects = [_sums_of(place, form, filters, width) for place, form in enumerate(forms)]
    return selects[0] if len(selects) == 1 else union_all(*selects)


def _sums_of(place: int, form: _Form, filters: tuple[FilterShape, ...], width: int) -> Any:
    ranges = spans(f"spans{place}")
    at, endpoint = readings.c.received_at, readings.c.endpoint
    conditions = [at >= ranges.c.first, at <= ranges.c.second]
    conditions += conditions_of(form.branch, filters) if form.branch else []
    if form.is_rolled_up:
        conditions += [endpoint == ranges.c.endpoint]
    else:
        conditions += [unindexed(endpoint) == ranges.c.endpoint]
        conditions += [readings.c.id > bindparam("after_id")]
    sums = [part for column in form.columns for part in sums_of(measurement(column))]
    lacking = [cast(null(), Integer), *(cast(null(), NUMBER) for _ in range(3))]
    # SQLite sorts the readings by what they are grouped by.
    number = [] if form.is_of_one else [_number(at, ranges)]
    return (
        select(
            literal_column(str(place)).label("form"),
            *(ranges.c.place, *(number or [cast(null(), Integer)]), func.count(readings.c.id)),
            *sums,
            *(lacking * (width - len(form.columns))),
        )
        .select_from(ranges.outerjoin(readings, and_(*conditions)))
        .group_by(ranges.c.place, *number)
    )


def _rolled_up_statement() -> Statement:
    """Return the statement for the sums of days (0), and of hours in buckets (1)."""
    days, hours, of_day = spans("days"), spans("hours"), rollup_days.c
    return union_all(
        select(
            *(literal_column("0").label("is_of_hours"), days.c.place, of_day.day),
            *(of_day.readings, of_day.count, of_day.total, of_day.minimum, of_day.maximum),
        ).join_from(days, rollup_days, rolled_up_in(days, of_day.day)),
        select(
            *(literal_column("1"), hours.c.place, _number(rollups.c.hour * HOUR_MS, hours)),
            *(func.sum(rollups.c.readings), func.sum(rollups.c.count), total(rollups.c.total)),
            *(func.min(rollups.c.minimum), func.max(rollups.c.maximum)),
        )
        .select_from(hours.outerjoin(rollups, rolled_up_in(hours, rollups.c.hour)))
        .group_by(hours.c.place, _NUMBER),
    )


_ROLLED_UP = _rolled_up_statement()


def divided(pieces: Sequence[tuple[int, int]], window: Window, *, by_days: bool) -> Parts:
    """Divide pieces of time into days, hours and the rest; into days only where `by_days`."""
    # Most zones have none.
    cuts = [ms for ms in window.starts if ms % HOUR_MS] if window.step.is_of_days else []
    parts = Parts()
    for number, (low_ms, high_ms) in enumerate(pieces):
        piece = TimePart(number, low_ms, high_ms)
        for part in _without_days(parts, piece, window) if by_days else (piece,):
            _divide_hours(parts, part, cuts)
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
            rest = [TimePart(number, begin_ms, cut_ms - 1)]
        else:
            parts.hours.append(TimePart(number, start_ms, end_ms - 1))
            rest = [TimePart(number, begin_ms, start_ms - 1), TimePart(number, end_ms, cut_ms - 1)]
        parts.rest += [part for part in rest if part.low_ms <= part.high_ms]
        begin_ms = cut_ms
