"""Adds the sums of readings, hours and days to the buckets of lines.

The lines of all stations are read together, in the same few statements.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    ColumnElement,
    CompoundSelect,
    Integer,
    Select,
    Table,
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
from flask10x.history.corrections import NONE, Corrections, Segment, within
from flask10x.history.local_time import Run, day_of, day_start
from flask10x.history.statements import (
    STATEMENTS,
    Branch,
    FilterShape,
    Statement,
    conditions_of,
    rolled_up_in,
    shown_of,
)
from flask10x.history.sums import fours
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
# columns or corrections of its own is a part. The time grows faster than their number: 400 at once
# took 10 s, twice 200 took 7 s.
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
    """The days, hours and remaining parts of pieces of time, each in the order of time."""

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
    hidden: tuple[Segment, ...]
    """Where the values of all its lines are hidden, so that no reading counts."""
    readings: int = 0
    """How many readings its lines are made of."""

    @property
    def counted(self) -> str:
        """The measurement whose rows are counted: each reading has a row of each measurement."""
        return next(iter(self.lines))


_Piece = tuple[_Group, int, int]
"""A group, and the ends of a part of its time."""


class _Span(NamedTuple):
    """A part of the time of a group in which the clock is not changed."""

    group: _Group
    run: Run
    is_later: bool = False
    """Whether only readings that are not rolled up yet count."""


class _Form(NamedTuple):
    """The properties in which the statements for readings of stations differ."""

    is_later: bool
    """Whether only readings that are not rolled up yet count."""
    columns: tuple[str, ...]
    branch: Branch | None
    """None when all readings of a station count as they were stored."""
    is_of_one: bool = False
    """Whether each span lies in one step of the buckets."""


def add_sums(view: View, request: SumsRequest, lines: Sequence[Line]) -> dict[str, int]:
    """Add the values of the window to the lines, as they are shown or were stored.

    Return how many readings the lines of each endpoint are made of.
    """
    by_endpoint: defaultdict[str, dict[str, Line]] = defaultdict(dict)
    for line in lines:
        by_endpoint[line.station.endpoint][line.measurement.column] = line
    corrections = NONE if request.is_raw else view.corrections
    groups = [
        _Group(endpoint, of_station, ends, _hidden(corrections, endpoint, of_station, ends))
        for endpoint, of_station in by_endpoint.items()
        if (ends := _ends(request.window, request.extents[endpoint]))
    ]
    _Adder(view, request, groups).add()
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


def _hidden(
    corrections: Corrections, endpoint: str, columns: Iterable[str], ends: Ends
) -> tuple[Segment, ...]:
    """Return the segments of a time in which all of these columns are hidden."""
    pieces = [Segment(*ends)]
    # Columns without corrections of their own are hidden with their station, in the same segments.
    for segments in dict.fromkeys(corrections.of(endpoint, column) for column in columns):
        pieces = [
            Segment(max(piece[0], segment[0]), min(piece[1], segment[1]), hidden=True)
            for piece in pieces
            for segment in within(segments, *piece.ends)
            if segment.hidden
        ]
    return tuple(pieces)


class _Adder:
    """Adds what groups hold to their lines, and counts the readings of each group."""

    def __init__(self, view: View, request: SumsRequest, groups: Sequence[_Group]) -> None:
        self._view, self._request, self._groups = view, request, groups
        self._window, self._unit_ms = request.window, request.window.step.unit_ms
        self._corrections = NONE if request.is_raw else view.corrections
        self._runs: dict[int, list[Run]] = {}

    def add(self) -> None:
        """Add everything: days and hours from roll-ups where these can be used, else readings."""
        if not self._request.is_rolled_up:
            self._add_readings([], [(group, *group.ends) for group in self._groups])
            return
        zone_of_days = self._view.rollups.zone_of_days
        by_days = self._window.step.is_of_days and zone_of_days == zone_name_of(self._window.zone)
        days: list[tuple[_Group, int, int]] = []
        hours: list[_Piece] = []
        rolled_up: list[_Piece] = []
        corrected: list[_Piece] = []
        rest: list[_Piece] = []
        for group in self._groups:
            # Roll-ups are of values as they are shown.
            apart = self._corrected_hours(group) if self._request.is_raw else []
            parts = divided(_between(group.ends, apart), self._window, by_days=by_days)
            days += [(group, *ends) for ends in parts.days]
            hours += [(group, *ends) for ends in parts.hours]
            of_readings = [*parts.rest, *apart]
            rolled_up += [(group, *ends) for ends in _between(group.ends, sorted(of_readings))]
            corrected += [(group, *ends) for ends in apart]
            rest += [(group, *ends) for ends in of_readings]
        # Of an hour that is hidden in part removed readings stay counted.
        hidden = [
            (group, max(segment.first_ms, low_ms), min(segment.last_ms, high_ms))
            for group, low_ms, high_ms in rolled_up
            for segment in within(group.hidden, low_ms, high_ms)
        ]
        self._add_rolled_up(days, hours, hidden)
        self._add_removed(corrected)
        later = [
            (group, max(low_ms, ends[0]), min(high_ms, ends[1]))
            for group, low_ms, high_ms in rolled_up
            if (ends := self._view.later.get(group.endpoint))
            and low_ms <= ends[1]
            and ends[0] <= high_ms
        ]
        self._add_readings(later, rest)

    def _corrected_hours(self, group: _Group) -> list[Ends]:
        """Return the hours in which a value of the lines is shown otherwise than it was stored."""
        corrections, (low_ms, high_ms) = self._view.corrections, group.ends
        joined: list[Ends] = []
        for first, last in sorted(
            (segment.first_ms // HOUR_MS * HOUR_MS, (segment.last_ms // HOUR_MS + 1) * HOUR_MS - 1)
            for column in group.lines
            for segment in within(corrections.of(group.endpoint, column), low_ms, high_ms)
        ):
            if joined and first <= joined[-1][1] + 1:
                joined[-1] = joined[-1][0], max(joined[-1][1], last)
            else:
                joined.append((first, last))
        return [(max(first, low_ms), min(last, high_ms)) for first, last in joined]

    def _add_rolled_up(
        self, days: Sequence[_Piece], hours: Sequence[_Piece], hidden: Sequence[_Piece]
    ) -> None:
        """Add days and hours from their roll-ups, without the readings of hidden pieces.

        The days and these come with the first batch of hours.
        """
        lines = [
            (group, column, first, end) for group, first, end in days for column in group.lines
        ]
        batches = [*self._batches(hours, of_hours=True)]
        for batch in batches or ([[]] if lines else []):
            values = {
                "days": json.dumps([(group.endpoint, *line, 0) for group, *line in lines]),
                "hidden": json.dumps([(g.endpoint, g.counted, *ends, 0) for g, *ends in hidden]),
                "last_id": self._view.rollups.progress.done,
                "unit_ms": self._unit_ms,
            }
            rows = self._view.connection.execute(_ROLLED_UP, values | self._hours_of(batch)).all()
            self._add_days(lines, [row for row in rows if row[0] == _DAYS])
            self._add_hours(batch, [row for row in rows if row[0] == _HOURS])
            for kind, number, _, count, *_ in rows:
                if kind == _HIDDEN:
                    hidden[number][0].readings -= count
            lines, hidden = [], []

    def _hours_of(self, batch: Sequence[_Span]) -> dict[str, str]:
        hours = [
            (
                *(group.endpoint, column),
                *(-(-run.low_ms // HOUR_MS), -(-(run.high_ms + 1) // HOUR_MS), run.offset_ms),
            )
            for group, run, _ in batch
            for column in group.lines
        ]
        return {"hours": json.dumps(hours)}

    def _add_days(self, lines: Sequence[tuple[_Group, str, int, int]], rows: Sequence[Any]) -> None:
        place_of = {day: self._window.place_of_day(day) for day in {row[2] for row in rows}}
        # In the order of time, so that sums of buckets are the same each time.
        for number, of_line in groupby(sorted(rows, key=itemgetter(1, 2)), itemgetter(1)):
            (group, column, *_), days = lines[number], list(of_line)
            group.lines[column].add_all((place_of[row[2]], row[4:]) for row in days if row[4])
            if column == group.counted:
                group.readings += sum(row[3] for row in days)

    def _add_hours(self, batch: Sequence[_Span], rows: Sequence[Any]) -> None:
        # An hour belongs to where it begins.
        lines = [(group, column, run) for group, run, _ in batch for column in group.lines]
        for _, number, step, readings_of_hours, *sums in rows:
            if not readings_of_hours:
                continue
            group, column, run = lines[number]
            if sums[0]:
                group.lines[column].add(self._place(run, step), *sums)
            if column == group.counted:
                group.readings += readings_of_hours

    def _add_removed(self, pieces: Sequence[_Piece]) -> None:
        """Add what is left of removed readings of whole hours, as they were stored."""
        gone = [
            (group, -(-low_ms // HOUR_MS) * HOUR_MS, end_ms - 1)
            for group, low_ms, high_ms in pieces
            if group.endpoint in self._view.removed
            and (end_ms := (high_ms + 1) // HOUR_MS * HOUR_MS) > low_ms
        ]
        batch = [*self._spans_of(gone, self._next_hour)]
        if batch:
            values = {"unit_ms": self._unit_ms} | self._hours_of(batch)
            self._add_hours(batch, self._view.connection.execute(_REMOVED, values).all())

    def _add_readings(self, later: Sequence[_Piece], all_of: Sequence[_Piece]) -> None:
        """Add the readings of `later` that are not rolled up yet, and all those of the others."""
        spans_of_later = self._spans_of(later, self._next_reading)
        first = [span._replace(is_later=True) for span in spans_of_later]
        for batch in self._batches(all_of):
            self._add_batch([*first, *batch])
            first = []
        if first:
            self._add_batch(first)

    def _add_batch(self, batch: Sequence[_Span]) -> None:
        """Add the spans, by the forms of their statements. Those of later readings come first."""
        by_form: defaultdict[_Form, list[_Span]] = defaultdict(list)
        for (group, is_later), alike in groupby(batch, attrgetter("group", "is_later")):
            of_group = [*alike]
            by_form[self._form(group, of_group, is_later)] += of_group
        listed = [*by_form.items()]
        for first in range(0, len(listed), MOST_FORMS):
            self._add_forms(listed[first : first + MOST_FORMS])

    def _add_forms(self, by_form: Sequence[tuple[_Form, Sequence[_Span]]]) -> None:
        """Add the spans of some forms with one statement."""
        forms = [
            form._replace(
                is_of_one=all(
                    self._step(span.run, span.run.low_ms) == self._step(span.run, span.run.high_ms)
                    for span in of_form
                )
            )
            for form, of_form in by_form
        ]
        values: dict[str, Any] = {"unit_ms": self._unit_ms, **self._request.values}
        if forms[0].is_later:
            values["after_id"] = self._view.rollups.progress.done
        for place, (_, of_form) in enumerate(by_form):
            values[f"spans{place}"] = json.dumps(
                [
                    (group.endpoint, None, run.low_ms, run.high_ms, run.offset_ms)
                    for group, run, _ in of_form
                ]
            )
        statement = _sums(tuple(forms), self._request.filters)
        rows: Sequence[Any] = self._view.connection.execute(statement, values).all()
        for place, number, step, count, *sums in sorted(rows, key=itemgetter(0)):
            if not count:
                continue
            group, run, _ = by_form[place][1][number]
            group.readings += count
            bucket = self._window.place(run.low_ms) if step is None else self._place(run, step)
            for line, part in zip(group.lines.values(), fours(sums), strict=False):
                if part[0]:
                    line.add(bucket, *part)

    def _form(self, group: _Group, batch: Sequence[_Span], is_later: bool) -> _Form:
        """Return the form of these spans of a group, with the corrections that reach into them."""

        def reaching(segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
            of_spans = (within(segments, span.run.low_ms, span.run.high_ms) for span in batch)
            return tuple(dict.fromkeys(segment for of_span in of_spans for segment in of_span))

        branch, hidden = self._request.branches[group.endpoint], reaching(group.hidden)
        names = dict.fromkeys([*group.lines, *(name for name, _ in branch.corrected)])
        columns = ((name, reaching(self._corrections.of(group.endpoint, name))) for name in names)
        # What all lines hide is left out anyway.
        different = tuple(column for column in columns if column[1] != hidden)
        is_plain = not (self._request.filters or branch.missing or hidden or different)
        corrected = branch._replace(hidden=hidden, corrected=different, touched=())
        return _Form(is_later, tuple(group.lines), None if is_plain else corrected)

    def _step(self, run: Run, ms: int) -> int:
        return (ms + run.offset_ms) // self._unit_ms

    def _place(self, run: Run, step: int) -> int:
        return self._window.place(max(step * self._unit_ms - run.offset_ms, run.low_ms))

    def _batches(
        self, pieces: Sequence[_Piece], *, of_hours: bool = False
    ) -> Iterator[list[_Span]]:
        """Yield the pieces as lists of spans, each list with at most about so many rows."""
        most, following = MOST_READINGS, self._next_reading
        if of_hours:
            most, following = MOST_HOURS, self._next_hour
        batch: list[_Span] = []
        rows = 0
        for span in self._spans_of(pieces, following, YEAR_MS if of_hours else PIECE_MS):
            group, length_ms = span.group, span.run.high_ms - span.run.low_ms + 1
            usual_ms = group.lines[group.counted].interval_ms or 0
            if of_hours:
                more = length_ms // HOUR_MS * len(group.lines)
            else:
                more = length_ms // max(usual_ms, SHORTEST_INTERVAL_MS)
            if rows + more > most and batch:
                yield batch
                batch, rows = [], 0
            batch.append(span)
            rows += more
        if batch:
            yield batch

    def _spans_of(
        self,
        pieces: Iterable[_Piece],
        following: Callable[[_Group, int], int | None],
        piece_ms: int = YEAR_MS,
    ) -> Iterator[_Span]:
        """Yield the pieces in shorter spans; `following` finds the end of a time without rows."""
        for group, first_ms, high_ms in pieces:
            low_ms = first_ms
            while low_ms <= high_ms:
                reach_ms = min(low_ms + piece_ms - 1, high_ms)
                for run in self._runs_of(low_ms, reach_ms):
                    # A short run is cut where a step ends, so that a statement need not tell steps
                    # apart.
                    border_ms = self._step(run, run.high_ms) * self._unit_ms - run.offset_ms
                    if run.low_ms < border_ms <= run.low_ms + self._unit_ms:
                        yield _Span(group, run._replace(high_ms=border_ms - 1))
                        yield _Span(group, run._replace(low_ms=border_ms))
                    else:
                        yield _Span(group, run)
                low_ms = reach_ms + 1
                if low_ms <= high_ms:
                    next_ms = following(group, low_ms)
                    low_ms = high_ms + 1 if next_ms is None else max(low_ms, next_ms)

    def _runs_of(self, low_ms: int, high_ms: int) -> Iterator[Run]:
        """Yield the window's runs of a time. Each change of the clock is looked for once."""
        runs: list[Run] = []
        for block in range(low_ms // PIECE_MS, high_ms // PIECE_MS + 1):
            if block not in self._runs:
                ends = block * PIECE_MS, (block + 1) * PIECE_MS - 1
                self._runs[block] = [*self._window.runs(*ends)]
            for run in self._runs[block]:
                if runs and runs[-1].offset_ms == run.offset_ms:
                    runs[-1] = runs[-1]._replace(high_ms=run.high_ms)
                else:
                    runs.append(run)
        for run in runs:
            if run.low_ms <= high_ms and run.high_ms >= low_ms:
                yield Run(max(run.low_ms, low_ms), min(run.high_ms, high_ms), run.offset_ms)

    def _next_reading(self, group: _Group, low_ms: int) -> int | None:
        values = {"endpoint": group.endpoint, "low_ms": low_ms}
        next_ms: int | None = self._view.connection.execute(_NEXT, values).scalar_one()
        return next_ms

    def _next_hour(self, group: _Group, low_ms: int) -> int | None:
        of_all = {"endpoint": group.endpoint, "measurement": group.counted}
        values = of_all | {"first": low_ms // HOUR_MS}
        hour: int | None = self._view.connection.execute(_NEXT_HOUR, values).scalar_one()
        return None if hour is None else hour * HOUR_MS


def _between(ends: Ends, apart: Sequence[Ends]) -> list[Ends]:
    """Return the pieces of a time outside of other pieces of it, which are in order."""
    starts = [ends[0], *(last + 1 for _, last in apart)]
    lasts = [*(first - 1 for first, _ in apart), ends[1]]
    return [(low, high) for low, high in zip(starts, lasts, strict=True) if low <= high]


def divided(pieces: Sequence[Ends], window: Window, *, by_days: bool) -> Parts:
    """Divide pieces of time into days, hours and the rest; into days only where `by_days`."""
    # Most zones have none.
    cuts = [ms for ms in window.starts if ms % HOUR_MS] if window.step.is_of_days else []
    parts, zone = Parts([], [], []), window.zone
    for low_ms, high_ms in pieces:
        without_days = [(low_ms, high_ms)]
        if by_days:
            first, end = day_of(low_ms, zone), day_of(high_ms + 1, zone)
            first += day_start(first, zone) < low_ms
            if first < end:
                parts.days.append((first, end))
                before, after = (
                    (low_ms, day_start(first, zone) - 1),
                    (day_start(end, zone), high_ms),
                )
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
    if form.is_later:
        conditions += [unindexed(endpoint) == ranges.c.endpoint]
        conditions += [readings.c.id > bindparam("after_id")]
    else:
        conditions += [endpoint == ranges.c.endpoint]
    shown = [
        shown_of(column, (form.branch,)) if form.branch else measurement(column)
        for column in form.columns
    ]
    sums = [part for value in shown for part in sums_of(value)]
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


def _hours_statement(table: Table) -> Select[Any]:
    """Return the statement for the sums of hours in buckets, of `rollups` or `removed_hours`."""
    hours, of_hour = spans("hours"), table.c
    return (
        select(
            *(literal_column("1"), hours.c.place, _number(of_hour.hour * HOUR_MS, hours)),
            *(func.sum(of_hour.readings), func.sum(of_hour["count"]), total(of_hour.total)),
            *(func.min(of_hour.minimum), func.max(of_hour.maximum)),
        )
        .select_from(hours.outerjoin(table, rolled_up_in(hours, of_hour.hour)))
        .group_by(hours.c.place, _NUMBER)
    )


def _rolled_up_statement() -> CompoundSelect[Any]:
    """Return the statement for the sums of days (0), of hours in buckets (1), and hidden numbers.

    Those (2) are of the readings of spans, and of removed ones.
    """
    days, of_day = spans("days"), rollup_days.c
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
        _hours_statement(rollups),
        select(literal_column("2"), hidden.c.place, none, number, none, *no_sums)
        .join_from(hidden, readings, is_stored)
        .group_by(hidden.c.place),
        select(
            *(literal_column("2"), hidden.c.place, none, of_hour.readings, none, *no_sums),
        ).join_from(hidden, removed_hours, is_removed),
    )


_ROLLED_UP, _REMOVED = _rolled_up_statement(), _hours_statement(removed_hours)
