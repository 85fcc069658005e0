"""Adds the sums of readings, hours and days to the buckets of lines.

The lines of all stations are read together, in the same few statements: days and whole hours from
roll-ups, the rest from readings, and those that are not rolled up yet one by one.
"""

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    ColumnElement,
    CompoundSelect,
    Integer,
    Select,
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
from flask10x.database.tables import (
    NUMBER,
    measurement,
    readings,
    removed_hours,
    rollup_days,
    rollups,
)
from flask10x.history.buckets import Line, Window
from flask10x.history.corrections import NONE, Segment
from flask10x.history.local_time import Run, day_of, day_start
from flask10x.history.statements import (
    STATEMENTS,
    Branch,
    FilterShape,
    Statement,
    conditions_of,
    rolled_up_in,
)
from flask10x.history.sums import as_shown, fours
from flask10x.history.view import Extent, View
from flask10x.readings.times import DAY_MS, HOUR_MS, SECOND_MS, zone_name_of

# SQLite sorts the rows of a statement before it groups them; a month of a station that sends
# every 20 s takes about 10 MB.
PIECE_MS = 30 * DAY_MS
SHORTEST_INTERVAL_MS = 20 * SECOND_MS
MOST_READINGS = PIECE_MS // SHORTEST_INTERVAL_MS
# Of hours; a look at the clock takes a microsecond, and there is one for each day.
YEAR_MS = 366 * DAY_MS
# A row of a measurement's hour has some 50 bytes.
MOST_HOURS = 100_000
# SQLite takes 500 parts of a UNION ALL (https://www.sqlite.org/limits.html). Each station with
# columns or filters of its own is a part. The time grows faster than their number: 400 at once took
# 10 s, twice 200 took 7 s.
MOST_FORMS = 200


@dataclass(frozen=True, slots=True)
class SumsRequest:
    """The readings whose sums are added to lines."""

    window: Window
    branches: Mapping[str, Branch]
    """The stations of the lines, by their endpoints."""
    filters: tuple[FilterShape, ...]
    values: Mapping[str, float]
    """The values that the filters compare with."""
    is_raw: bool
    """Whether values count as they were stored."""
    is_rolled_up: bool
    """Whether roll-ups can take the place of readings."""
    extents: Mapping[str, Extent]


Ends = tuple[int, int]
"""The first and the last millisecond of a piece of time."""


class Parts(NamedTuple):
    """The days, hours and remaining parts of a piece of time, each in the order of time."""

    days: list[tuple[int, int]]
    """The first local day, and the day after the last one."""
    hours: list[Ends]
    """Whole hours of UTC, each in one bucket."""
    rest: list[Ends]
    """The parts of hours in which a piece or a bucket begins or ends."""


@dataclass(eq=False, slots=True)
class _Group:
    """The lines of one station, and the time in which it can have values."""

    endpoint: str
    lines: Mapping[str, Line]
    """By their columns."""
    ends: Ends
    readings: int = 0
    """How many readings its lines are made of."""

    @property
    def counted(self) -> str:
        """The measurement whose rows are counted: each reading has a row of each measurement."""
        return next(iter(self.lines))


_Piece = tuple[_Group, int, int]
"""A group, and the ends of a part of its time."""


class _Span(NamedTuple):
    """A part of the time of a group in which neither the clock nor a correction is changed."""

    group: _Group
    run: Run
    segments: Sequence[Segment]
    """How the values of each of its lines are shown."""


_Form = tuple[tuple[str, ...], Branch | None]
"""The columns of a statement for readings, and the station if its readings have conditions."""


def add_sums(view: View, request: SumsRequest, lines: Sequence[Line]) -> dict[str, int]:
    """Add the values of the window to the lines, as they are shown or were stored.

    Return how many readings the lines of each endpoint are made of.
    """
    by_endpoint: defaultdict[str, dict[str, Line]] = defaultdict(dict)
    for line in lines:
        by_endpoint[line.station.endpoint][line.measurement.column] = line
    groups = [
        _Group(endpoint, of_station, ends)
        for endpoint, of_station in by_endpoint.items()
        if (ends := _ends(request.window, request.extents[endpoint]))
    ]
    _Adder(view, request).add(groups)
    return dict.fromkeys(by_endpoint, 0) | {group.endpoint: group.readings for group in groups}


def _ends(window: Window, extent: Extent) -> Ends | None:
    """Return the first and the last millisecond at which a station can have values in the window.

    None when it has none.
    """
    if extent.ends is None:
        return None
    low_ms, high_ms = max(extent.ends[0], window.first_ms), min(extent.ends[1], window.last_ms)
    if low_ms > high_ms:
        return None
    if window.step.is_of_days:
        # An hour of removed readings counts to the day that it begins in, in which it may be the
        # first one of all.
        low_ms = max(day_start(day_of(low_ms, window.zone), window.zone), window.first_ms)
    return low_ms, high_ms


class _Adder:
    """Adds what groups hold to their lines, and counts the readings of each group."""

    def __init__(self, view: View, request: SumsRequest) -> None:
        self._view, self._request = view, request
        self._window, self._unit_ms = request.window, request.window.step.unit_ms
        self._corrections = NONE if request.is_raw else view.corrections
        # Each change of the clock is looked for once for all stations.
        self._runs = cache(lambda low_ms, high_ms: [*request.window.runs(low_ms, high_ms)])

    def add(self, groups: Sequence[_Group]) -> None:
        """Add everything: days and hours from roll-ups where these can be used, else readings."""
        window, zone_of_days = self._window, None
        if self._request.is_rolled_up and window.step.is_of_days:
            zone_of_days = self._view.rollups.zone_of_days
        by_days = zone_of_days == zone_name_of(window.zone)
        days: list[_Piece] = []
        hours: list[_Piece] = []
        hidden: list[_Piece] = []
        rest: list[_Piece] = []
        later: dict[str, tuple[_Group, list[Ends]]] = {}
        for group in groups:
            # Roll-ups are of values as they are shown.
            is_apart = self._request.is_raw and self._view.corrections.touches(
                group.endpoint, [*group.lines]
            )
            if is_apart or not self._request.is_rolled_up:
                rest.append((group, *group.ends))
                continue
            parts = divided(group.ends, window, by_days=by_days)
            days += [(group, *ends) for ends in parts.days]
            hours += [(group, *ends) for ends in parts.hours]
            rest += [(group, *ends) for ends in parts.rest]
            later[group.endpoint] = group, parts.rest
            # Of an hour that is hidden in part removed readings stay counted.
            hidden += [
                (group, max(low_ms, first_ms), min(high_ms, last_ms))
                for first_ms, last_ms, segments in self._pieces(group, *group.ends)
                if all(segment.hidden for segment in segments)
                for low_ms, high_ms in _between(group.ends, sorted(parts.rest))
                if low_ms <= last_ms and first_ms <= high_ms
            ]
        self._add_rolled_up(days, hours, hidden)
        if later and self._view.rollups.progress.behind:
            self._add_later(later)
        self._add_rest(rest)

    def _pieces(
        self, group: _Group, low_ms: int, high_ms: int
    ) -> Iterator[tuple[int, int, list[Segment]]]:
        return self._corrections.pieces(group.endpoint, [*group.lines], low_ms, high_ms)

    def _add_rolled_up(
        self, days: Sequence[_Piece], hours: Sequence[_Piece], hidden: Sequence[_Piece]
    ) -> None:
        """Add days and hours from their roll-ups, without the readings of hidden pieces.

        The days and these come with the first batch of hours.
        """
        of_days = [
            (group, column, first, end) for group, first, end in days for column in group.lines
        ]
        of_hours = [
            (group, column, run)
            for group, low_ms, high_ms in hours
            for ends in self._filled(group, low_ms, high_ms, of_hours=True)
            for run in self._runs(*ends)
            for column in group.lines
        ]
        longest_ms = max((run.high_ms - run.low_ms for *_, run in of_hours), default=0)
        size = max(1, MOST_HOURS * HOUR_MS // max(longest_ms, 1))
        for first in range(0, len(of_hours) or len(of_days[:1]), size):
            batch = of_hours[first : first + size]
            values = {
                "days": json.dumps([(group.endpoint, *line, 0) for group, *line in of_days]),
                "hours": json.dumps(
                    [
                        (
                            *(group.endpoint, column, -(-run.low_ms // HOUR_MS)),
                            *(-(-(run.high_ms + 1) // HOUR_MS), run.offset_ms),
                        )
                        for group, column, run in batch
                    ]
                ),
                "hidden": json.dumps([(g.endpoint, g.counted, *ends, 0) for g, *ends in hidden]),
                "last_id": self._view.rollups.progress.done,
                "unit_ms": self._unit_ms,
            }
            rows = self._view.connection.execute(_ROLLED_UP, values).all()
            self._add_days(of_days, [row for row in rows if row[0] == _DAYS])
            for kind, place, step, count, *sums in rows:
                if kind == _HIDDEN:
                    hidden[place][0].readings -= count
                elif kind == _HOURS and count:
                    # An hour belongs to where it begins.
                    group, column, run = batch[place]
                    if sums[0]:
                        group.lines[column].add(self._place(run, step), *sums)
                    if column == group.counted:
                        group.readings += count
            of_days, hidden = [], []

    def _add_days(self, lines: Sequence[tuple[_Group, str, int, int]], rows: Sequence[Any]) -> None:
        place_of = {day: self._window.place_of_day(day) for day in {row[2] for row in rows}}
        # In the order of time, so that sums of buckets are the same each time.
        for number, of_line in groupby(sorted(rows, key=itemgetter(1, 2)), itemgetter(1)):
            (group, column, *_), days = lines[number], list(of_line)
            group.lines[column].add_all((place_of[row[2]], row[4:]) for row in days if row[4])
            if column == group.counted:
                group.readings += sum(row[3] for row in days)

    def _add_later(self, groups: Mapping[str, tuple[_Group, list[Ends]]]) -> None:
        """Add the readings that are not rolled up yet, but for those of the rest of each group."""
        columns = tuple(sorted({column for group, _ in groups.values() for column in group.lines}))
        ends = {"low_ms": self._window.first_ms, "high_ms": self._window.last_ms}
        values = ends | {"after_id": self._view.rollups.progress.done}
        rows = self._view.connection.execute(_later(columns), values).all()
        # Those of a station stay in the order of ids.
        for endpoint, of_station in groupby(sorted(rows, key=itemgetter(0)), itemgetter(0)):
            group, rest = groups.get(endpoint, (None, []))
            if group is None:
                continue
            new = [
                row for row in of_station if not any(low <= row[1] <= high for low, high in rest)
            ]
            if new:
                self._add_readings(group, columns, new)

    def _add_readings(self, group: _Group, columns: Sequence[str], rows: Sequence[Any]) -> None:
        """Add readings of a group one by one: endpoint, time and these columns of each."""
        times = [row[1] for row in rows]
        # Corrections are looked up once, not for each reading.
        starts, shown_of = list[int](), list[list[tuple[Line, int, Segment]]]()
        for begin_ms, _end_ms, segments in self._pieces(group, min(times), max(times)):
            of_columns = zip(group.lines.items(), segments, strict=True)
            starts.append(begin_ms)
            shown_of.append(
                [(line, 2 + columns.index(c), s) for (c, line), s in of_columns if not s.hidden]
            )
        for row in rows:
            shown = shown_of[bisect_right(starts, row[1]) - 1]
            if not shown:
                continue
            group.readings += 1
            place = self._window.place(row[1])
            for line, number, segment in shown:
                if (stored := row[number]) is not None:
                    value = segment.gain * stored + segment.offset
                    line.add(place, 1, value, value, value)

    def _add_rest(self, pieces: Sequence[_Piece]) -> None:
        """Add all readings of these pieces."""
        for batch in self._batches(pieces):
            by_form: defaultdict[_Form, list[_Span]] = defaultdict(list)
            for endpoint, of_group in groupby(batch, lambda span: span.group.endpoint):
                spans_of_group, branch = [*of_group], self._request.branches[endpoint]
                has_conditions = self._request.filters or branch.missing
                # The spans have no hidden readings, which would be looked for with each reading.
                corrected = tuple(each for each in branch.corrected if each[1] != branch.hidden)
                branch = branch._replace(hidden=(), corrected=corrected)
                columns = tuple(spans_of_group[0].group.lines)
                by_form[columns, branch if has_conditions else None] += spans_of_group
            forms = [*by_form]
            for first in range(0, len(forms), MOST_FORMS):
                some = tuple(forms[first : first + MOST_FORMS])
                self._add_forms(some, [by_form[form] for form in some])

    def _add_forms(self, forms: tuple[_Form, ...], spans_of: Sequence[Sequence[_Span]]) -> None:
        """Add the spans of each of some forms with one statement."""
        values: dict[str, Any] = {"unit_ms": self._unit_ms, **self._request.values}
        for number, of_form in enumerate(spans_of):
            listed = [
                (group.endpoint, None, run.low_ms, run.high_ms, run.offset_ms)
                for group, run, _ in of_form
            ]
            values[f"spans{number}"] = json.dumps(listed)
        statement = _sums(forms, self._request.filters)
        rows: Sequence[Any] = self._view.connection.execute(statement, values).all()
        for form, place, step, count, *sums in sorted(rows, key=itemgetter(0)):
            if not count:
                continue
            group, run, segments = spans_of[form][place]
            group.readings += count
            bucket = self._place(run, step)
            parts = zip(group.lines.values(), fours(sums), segments, strict=False)
            for line, stored, segment in parts:
                if (shown := as_shown(stored, segment))[0]:
                    line.add(bucket, *shown)

    def _filled(
        self, group: _Group, low_ms: int, high_ms: int, *, of_hours: bool = False
    ) -> Iterator[Ends]:
        """Yield a piece of time in shorter ones, and leave out times without any row."""
        length_ms = YEAR_MS if of_hours else PIECE_MS
        while low_ms <= high_ms:
            yield low_ms, (last_ms := min(low_ms + length_ms - 1, high_ms))
            low_ms = last_ms + 1
            if low_ms > high_ms:
                return
            values: dict[str, Any] = {"endpoint": group.endpoint}
            if of_hours:
                values |= {"measurement": group.counted, "hour": low_ms // HOUR_MS}
            else:
                values |= {"low_ms": low_ms}
            statement = _NEXT_HOUR if of_hours else _NEXT
            next_ms = self._view.connection.execute(statement, values).scalar_one()
            low_ms = high_ms + 1 if next_ms is None else max(low_ms, next_ms)

    def _place(self, run: Run, step: int) -> int:
        return self._window.place(max(step * self._unit_ms - run.offset_ms, run.low_ms))

    def _batches(self, pieces: Iterable[_Piece]) -> Iterator[list[_Span]]:
        """Yield the pieces as lists of spans, each list with at most about MOST_READINGS rows."""
        batch: list[_Span] = []
        rows = 0
        for group, low_ms, high_ms in pieces:
            usual_ms = group.lines[group.counted].interval_ms or 0
            for first_ms, last_ms in self._filled(group, low_ms, high_ms):
                more = (last_ms - first_ms + 1) // max(usual_ms, SHORTEST_INTERVAL_MS)
                if rows + more > MOST_READINGS and batch:
                    yield batch
                    batch, rows = [], 0
                rows += more
                batch += [
                    _Span(group, run, segments)
                    for *ends, segments in self._pieces(group, first_ms, last_ms)
                    if not all(segment.hidden for segment in segments)
                    for run in self._runs(*ends)
                ]
        if batch:
            yield batch


def _between(ends: Ends, apart: Sequence[Ends]) -> list[Ends]:
    """Return the pieces of a time outside of other pieces of it, which are in order."""
    starts = [ends[0], *(last + 1 for _, last in apart)]
    lasts = [*(first - 1 for first, _ in apart), ends[1]]
    return [(low, high) for low, high in zip(starts, lasts, strict=True) if low <= high]


def divided(ends: Ends, window: Window, *, by_days: bool) -> Parts:
    """Divide a piece of time into days, hours and the rest; into days only where `by_days`."""
    # Most zones have none.
    cuts = [ms for ms in window.starts if ms % HOUR_MS] if window.step.is_of_days else []
    parts, zone, (low_ms, high_ms) = Parts([], [], []), window.zone, ends
    without_days = [ends]
    if by_days:
        first, end = day_of(low_ms, zone), day_of(high_ms + 1, zone)
        first += day_start(first, zone) < low_ms
        if first < end:
            parts.days.append((first, end))
            before, after = (low_ms, day_start(first, zone) - 1), (day_start(end, zone), high_ms)
            without_days = [before, after]
    for begin_ms, last_ms in without_days:
        _divide_hours(parts, begin_ms, last_ms, cuts)
    return parts


def _divide_hours(parts: Parts, begin_ms: int, last_ms: int, cuts: list[int]) -> None:
    for cut_ms in (*(ms for ms in cuts if begin_ms < ms <= last_ms), last_ms + 1):
        start_ms, end_ms = -(-begin_ms // HOUR_MS) * HOUR_MS, cut_ms // HOUR_MS * HOUR_MS
        if start_ms >= end_ms:
            rest = [(begin_ms, cut_ms - 1)]
        else:
            parts.hours.append((start_ms, end_ms - 1))
            rest = [(begin_ms, start_ms - 1), (end_ms, cut_ms - 1)]
        parts.rest.extend(ends for ends in rest if ends[0] <= ends[1])
        begin_ms = cut_ms


# The kinds of rows of the statement for roll-ups: days, hours in buckets, hidden readings.
_DAYS, _HOURS, _HIDDEN = range(3)
# The column of the bucket's number. SQLite would group by a column of the table with the same
# name, which no measurement can have.
_NUMBER = "_number"
_NEXT = select(func.min(readings.c.received_at)).where(
    readings.c.endpoint == bindparam("endpoint"), readings.c.received_at >= bindparam("low_ms")
)
_NEXT_HOUR = select(func.min(rollups.c.hour) * HOUR_MS).where(
    rollups.c.endpoint == bindparam("endpoint"),
    rollups.c.measurement == bindparam("measurement"),
    rollups.c.hour >= bindparam("hour"),
)


def _number(at: ColumnElement[Any], ranges: CTE) -> ColumnElement[Any]:
    return floor_div(at + ranges.c.third, bindparam("unit_ms")).label(_NUMBER)


@lru_cache(maxsize=STATEMENTS)
def _sums(forms: tuple[_Form, ...], filters: tuple[FilterShape, ...]) -> Statement:
    """Return the statement for the counts and sums of each bucket of each span, form by form.

    They are of the stored values. All forms have as many columns as the widest one.
    """
    width = max(len(columns) for columns, _ in forms)
    selects = [_sums_of(place, form, filters, width) for place, form in enumerate(forms)]
    return selects[0] if len(selects) == 1 else union_all(*selects)


def _sums_of(place: int, form: _Form, filters: tuple[FilterShape, ...], width: int) -> Any:
    ranges, (columns, branch) = spans(f"spans{place}"), form
    at, number = readings.c.received_at, _number(readings.c.received_at, ranges)
    conditions = [readings.c.endpoint == ranges.c.endpoint]
    conditions += [at >= ranges.c.first, at <= ranges.c.second]
    conditions += conditions_of(branch, filters) if branch else []
    sums = [part for column in columns for part in sums_of(measurement(column))]
    lacking = [cast(null(), Integer), *(cast(null(), NUMBER) for _ in range(3))]
    return (
        select(
            literal_column(str(place)).label("form"),
            *(ranges.c.place, number, func.count(readings.c.id)),
            *sums,
            *(lacking * (width - len(columns))),
        )
        .select_from(ranges.outerjoin(readings, and_(*conditions)))
        .group_by(ranges.c.place, _NUMBER)
    )


@lru_cache(maxsize=STATEMENTS)
def _later(columns: tuple[str, ...]) -> Select[Any]:
    """Return the statement for the readings that are not rolled up yet, in the order of ids.

    They are the last few rows of the table, so no index is of use.
    """
    at = unindexed(readings.c.received_at)
    return (
        select(readings.c.endpoint, readings.c.received_at, *map(measurement, columns))
        .where(readings.c.id > bindparam("after_id"))
        .where(at >= bindparam("low_ms"), at <= bindparam("high_ms"))
        .order_by(readings.c.id)
    )


def _rolled_up_statement() -> CompoundSelect[Any]:
    """Return the statement for the sums of days (0), of hours in buckets (1), and hidden numbers.

    Those (2) are of the readings of spans, and of removed ones.
    """
    days, of_day = spans("days"), rollup_days.c
    hours, rolled_up = spans("hours"), rollups.c
    hidden, at, of_hour = spans("hidden"), readings.c.received_at, removed_hours.c
    none, no_sums = cast(null(), Integer), [cast(null(), NUMBER) for _ in range(3)]
    is_stored = and_(
        readings.c.endpoint == hidden.c.endpoint,
        *(at >= hidden.c.first, at <= hidden.c.second),
        readings.c.id <= bindparam("last_id"),
    )
    is_removed = and_(
        of_hour.endpoint == hidden.c.endpoint,
        of_hour.measurement == hidden.c.measurement,
        of_hour.hour >= floor_div(hidden.c.first + (HOUR_MS - 1), HOUR_MS),
        of_hour.hour < floor_div(hidden.c.second + 1, HOUR_MS),
    )
    number = func.count(readings.c.id)
    return union_all(
        select(
            *(literal_column("0").label("kind"), days.c.place, of_day.day),
            *(of_day.readings, of_day.count, of_day.total, of_day.minimum, of_day.maximum),
        ).join_from(days, rollup_days, rolled_up_in(days, of_day.day)),
        select(
            *(literal_column("1"), hours.c.place, _number(rolled_up.hour * HOUR_MS, hours)),
            *(func.sum(rolled_up.readings), func.sum(rolled_up["count"]), total(rolled_up.total)),
            *(func.min(rolled_up.minimum), func.max(rolled_up.maximum)),
        )
        .select_from(hours.outerjoin(rollups, rolled_up_in(hours, rolled_up.hour)))
        .group_by(hours.c.place, _NUMBER),
        select(literal_column("2"), hidden.c.place, none, number, none, *no_sums)
        .join_from(hidden, readings, is_stored)
        .group_by(hidden.c.place),
        select(
            *(literal_column("2"), hidden.c.place, none, of_hour.readings, none, *no_sums),
        ).join_from(hidden, removed_hours, is_removed),
    )


_ROLLED_UP = _rolled_up_statement()
