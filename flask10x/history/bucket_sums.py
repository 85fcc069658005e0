"""Adds the sums of readings, hours and days to the buckets of lines.

The lines of all stations are read together, in the same few statements.
"""

import json
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
    CorrectedStation,
    FilterShape,
    Statement,
    conditions_of,
    rolled_up_in,
    shown_of,
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
# SQLite takes 500 parts of a UNION ALL (https://www.sqlite.org/limits.html), and each station whose
# columns or corrections differ from those of the others is a part.
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
    """The readings whose sums are added to lines."""

    window: Window
    branches: Mapping[str, Branch]
    """The stations of the lines, by their endpoints."""
    filters: tuple[FilterShape, ...]
    values: Mapping[str, float]
    """The values that the filters compare with."""
    is_raw: bool
    """Whether values count as they were stored."""
    rolled_up: RolledUp | None
    """None when the answer can only be made of readings."""
    extents: Mapping[str, Extent]


Ends = tuple[int, int]
"""The first and the last millisecond of a piece of time."""


@dataclass(slots=True)
class Parts:
    """The days, hours and remaining parts of pieces of time, each in the order of time."""

    days: list[tuple[int, int]] = field(default_factory=list)
    """The first local day, and the day after the last one."""
    of_days: list[Ends] = field(default_factory=list)
    """The same days as pieces of time."""
    hours: list[Ends] = field(default_factory=list)
    """Whole hours of UTC, each in one bucket."""
    rest: list[Ends] = field(default_factory=list)
    """The parts of hours in which a piece or a bucket begins or ends."""


@dataclass(frozen=True, slots=True)
class _Group:
    """The lines of one station, and the time in which it can have values."""

    endpoint: str
    lines: Mapping[str, Line]
    """By their columns."""
    columns: tuple[str, ...]
    """Those of its lines, in their order."""
    ends: Ends
    hidden: tuple[Segment, ...]
    """Where the values of all its lines are hidden, so that no reading counts."""

    @property
    def counted(self) -> str:
        """The measurement whose rows are counted: each reading has a row of each measurement."""
        return self.columns[0]

    @property
    def interval_ms(self) -> int:
        """The shortest expected time between two readings."""
        usual_ms = self.lines[self.counted].interval_ms or SHORTEST_INTERVAL_MS
        return max(usual_ms, SHORTEST_INTERVAL_MS)


class _Part(NamedTuple):
    """A part of the time of a group."""

    group: int
    low_ms: int
    high_ms: int


class _Span(NamedTuple):
    """A part of the time of a group in which the clock is not changed."""

    group: int
    run: Run
    is_later: bool = False
    """Whether only readings that are not rolled up yet count."""


class _Form(NamedTuple):
    """The properties in which the statements for readings of stations differ."""

    is_rolled_up: bool
    """Whether all readings count; otherwise those that are not rolled up yet."""
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
        _Group(endpoint, of_station, columns, ends, _hidden(corrections, endpoint, columns, ends))
        for endpoint, of_station in by_endpoint.items()
        if (ends := _ends(request.window, request.extents[endpoint]))
        for columns in (tuple(of_station),)
    ]
    adder = _Adder(view, request, groups)
    adder.add()
    pairs = zip(groups, adder.counts, strict=True)
    return dict.fromkeys(by_endpoint, 0) | {group.endpoint: count for group, count in pairs}


def _ends(window: Window, extent: Extent) -> Ends | None:
    """Return the first and the last millisecond at which a station can have values in the window.

    None when it has none.
    """
    starts = [ms for ms in (extent.first_ms, extent.first_hour_ms) if ms is not None]
    ends = [ms for ms in (extent.last_ms, extent.last_hour_ms) if ms is not None]
    if not starts or not ends:
        return None
    low_ms, high_ms = max(min(starts), window.first_ms), min(max(ends), window.last_ms)
    if low_ms > high_ms:
        return None
    if window.step.is_of_days:
        # An hour of removed readings counts to the day that it begins in, in which it may be the
        # first one of all.
        low_ms = max(day_start(day_of(low_ms, window.zone), window.zone), window.first_ms)
    return low_ms, high_ms


def _hidden(
    corrections: Corrections, endpoint: str, columns: tuple[str, ...], ends: Ends
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
        self._connection, self._window = view.connection, request.window
        self._corrections = NONE if request.is_raw else view.corrections
        self._unit_ms = request.window.step.unit_ms
        self._runs: dict[int, list[Run]] = {}
        self.counts = [0] * len(groups)

    def add(self) -> None:
        """Add everything: days and hours from roll-ups where these can be used, else readings."""
        rolled_up = self._request.rolled_up
        if rolled_up is None:
            self._add_readings([], self._parts([[group.ends] for group in self._groups]))
            return
        by_days = rolled_up.has_days and self._window.step.is_of_days
        # Roll-ups are of values as they are shown.
        corrected = [
            self._corrected_hours(group) if self._request.is_raw else [] for group in self._groups
        ]
        divisions = [
            divided(_between(group.ends, hours), self._window, by_days=by_days)
            for group, hours in zip(self._groups, corrected, strict=True)
        ]
        self._add_rolled_up(divisions)
        self._add_removed(self._parts(corrected))
        later: list[_Part] = []
        if rolled_up.has_later:
            of_rollups = [[*parts.of_days, *parts.hours] for parts in divisions]
            later = [*self._later(self._parts(of_rollups))]
        rest = [[*parts.rest, *hours] for parts, hours in zip(divisions, corrected, strict=True)]
        self._add_readings(later, self._parts(rest))

    def _parts(self, of_groups: Sequence[Sequence[Ends]]) -> list[_Part]:
        return [
            _Part(place, *ends) for place, of_group in enumerate(of_groups) for ends in of_group
        ]

    def _corrected_hours(self, group: _Group) -> list[Ends]:
        """Return the hours in which a value of the lines is shown otherwise than it was stored."""
        corrections, (low_ms, high_ms) = self._view.corrections, group.ends
        joined: list[Ends] = []
        for first, last in sorted(
            (segment.first_ms // HOUR_MS * HOUR_MS, (segment.last_ms // HOUR_MS + 1) * HOUR_MS - 1)
            for column in group.columns
            for segment in within(corrections.of(group.endpoint, column), low_ms, high_ms)
        ):
            if joined and first <= joined[-1][1] + 1:
                joined[-1] = joined[-1][0], max(joined[-1][1], last)
            else:
                joined.append((first, last))
        return [(max(first, low_ms), min(last, high_ms)) for first, last in joined]

    def _later(self, parts: Iterable[_Part]) -> Iterator[_Part]:
        """Yield the ranges of these parts with readings that are not rolled up yet."""
        for place, low_ms, high_ms in parts:
            ends = self._view.later.get(self._groups[place].endpoint)
            if ends is not None:
                cut = _Part(place, max(low_ms, ends[0]), min(high_ms, ends[1]))
                if cut.low_ms <= cut.high_ms:
                    yield cut

    def _add_rolled_up(self, divisions: Sequence[Parts]) -> None:
        """Add days and hours from their roll-ups, the days with the first batch of hours."""
        lines = [
            (place, column, *days)
            for place, parts in enumerate(divisions)
            for days in parts.days
            for column in self._groups[place].columns
        ]
        hours = self._parts([parts.hours for parts in divisions])
        batches = self._batches(hours, YEAR_MS, MOST_HOURS, self._hours_in, self._next_hour)
        batch = next(batches, [])
        if lines or batch:
            hidden = self._hidden_in(divisions)
            of_days, of_hours, of_hidden = self._rolled_up(lines, batch, hidden)
            self._add_days(lines, of_days)
            self._add_hours(batch, of_hours)
            for _, number, _, count, *_ in of_hidden:
                self.counts[hidden[number][0]] -= count
        for batch in batches:
            self._add_hours(batch, self._rolled_up([], batch, [])[1])

    def _rolled_up(
        self,
        lines: Sequence[tuple[int, str, int, int]],
        batch: Sequence[_Span],
        hidden: Sequence[tuple[int, int, int]],
    ) -> list[list[Any]]:
        """Return the rows of days, those of hours, and the numbers of hidden readings."""
        days = [(self._groups[place].endpoint, *rest, 0) for place, *rest in lines]
        spans_of_hidden = [
            (self._groups[place].endpoint, self._groups[place].counted, *ends, 0)
            for place, *ends in hidden
        ]
        values = {
            "days": json.dumps(days),
            "hidden": json.dumps(spans_of_hidden),
            "last_id": self._view.rollups.progress.done,
            "unit_ms": self._unit_ms,
        }
        rows = self._view.rows((_ROLLED_UP, values | self._hours_of(batch)))
        return [[row for row in rows if row[0] == kind] for kind in (0, 1, 2)]

    def _hours_of(self, batch: Sequence[_Span]) -> dict[str, str]:
        hours = [
            (
                *(self._groups[span.group].endpoint, column),
                *(-(-span.run.low_ms // HOUR_MS), -(-(span.run.high_ms + 1) // HOUR_MS)),
                span.run.offset_ms,
            )
            for span in batch
            for column in self._groups[span.group].columns
        ]
        return {"hours": json.dumps(hours)}

    def _add_days(self, lines: Sequence[tuple[int, str, int, int]], rows: Sequence[Any]) -> None:
        place_of = {day: self._window.place_of_day(day) for day in {row[2] for row in rows}}
        # In the order of time, so that sums of buckets are the same each time.
        for number, of_line in groupby(sorted(rows, key=itemgetter(1, 2)), itemgetter(1)):
            place, column, *_ = lines[number]
            group, days = self._groups[place], list(of_line)
            group.lines[column].add_all((place_of[row[2]], row[4:]) for row in days if row[4])
            if column == group.counted:
                self.counts[place] += sum(row[3] for row in days)

    def _add_hours(self, batch: Sequence[_Span], rows: Sequence[Any]) -> None:
        # An hour belongs to where it begins.
        lines = [(span, column) for span in batch for column in self._groups[span.group].columns]
        for _, number, step, readings_of_hours, *sums in rows:
            if not readings_of_hours:
                continue
            span, column = lines[number]
            group = self._groups[span.group]
            if sums[0]:
                group.lines[column].add(self._place(span.run, step), *sums)
            if column == group.counted:
                self.counts[span.group] += readings_of_hours

    def _add_removed(self, parts: Sequence[_Part]) -> None:
        """Add what is left of removed readings of whole hours, as they were stored."""
        gone = [
            _Part(part.group, -(-part.low_ms // HOUR_MS) * HOUR_MS, end_ms - 1)
            for part in parts
            if self._groups[part.group].endpoint in self._view.removed
            and (end_ms := (part.high_ms + 1) // HOUR_MS * HOUR_MS) > part.low_ms
        ]
        batch = [*self._spans_of(gone, YEAR_MS, self._next_hour)]
        if batch:
            values = {"unit_ms": self._unit_ms} | self._hours_of(batch)
            self._add_hours(batch, self._view.rows((_REMOVED, values)))

    def _hidden_in(self, divisions: Sequence[Parts]) -> list[tuple[int, int, int]]:
        """Return where no line shows anything of what roll-ups count: group and ends.

        Of an hour that is hidden in part removed readings stay counted.
        """
        return [
            (place, max(segment[0], low_ms), min(segment[1], high_ms))
            for place, (group, parts) in enumerate(zip(self._groups, divisions, strict=True))
            for low_ms, high_ms in ((*parts.of_days, *parts.hours) if group.hidden else ())
            for segment in within(group.hidden, low_ms, high_ms)
        ]

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
        for (place, is_later), alike in groupby(batch, attrgetter("group", "is_later")):
            of_group = [*alike]
            by_form[self._form(self._groups[place], of_group, is_later)] += of_group
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
                    line.add(bucket, *part)

    def _listed(self, span: _Span) -> tuple[str, None, int, int, int]:
        run = span.run
        return self._groups[span.group].endpoint, None, run.low_ms, run.high_ms, run.offset_ms

    def _form(self, group: _Group, batch: Sequence[_Span], is_later: bool) -> _Form:
        """Return the form of these spans of a group, with the corrections that reach into them."""
        branch = self._request.branches[group.endpoint]
        hidden = self._reaching(group.hidden, batch)
        names = dict.fromkeys([*group.columns, *(name for name, _ in branch.corrected.columns)])
        columns = (
            (name, self._reaching(self._corrections.of(group.endpoint, name), batch))
            for name in names
        )
        # What all lines hide is left out anyway.
        different = tuple(each for each in columns if each[1] != hidden)
        is_plain = not (self._request.filters or branch.missing or hidden or different)
        corrected = branch._replace(corrected=CorrectedStation(hidden, different), touched=())
        return _Form(not is_later, group.columns, None if is_plain else corrected)

    def _reaching(
        self, segments: tuple[Segment, ...], batch: Sequence[_Span]
    ) -> tuple[Segment, ...]:
        reaching = (within(segments, span.run.low_ms, span.run.high_ms) for span in batch)
        return tuple(dict.fromkeys(segment for each in reaching for segment in each))

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
        for place, first_ms, high_ms in parts:
            low_ms = first_ms
            while low_ms <= high_ms:
                reach_ms = min(low_ms + piece_ms - 1, high_ms)
                for run in self._runs_of(low_ms, reach_ms):
                    for part in self._halves(run):
                        yield _Span(place, part)
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


_BY_FORM = itemgetter(0)
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


def _between(ends: Ends, apart: Sequence[Ends]) -> list[Ends]:
    """Return the pieces of a time outside of other pieces of it, which are in order."""
    starts = [ends[0], *(last + 1 for _, last in apart)]
    lasts = [*(first - 1 for first, _ in apart), ends[1]]
    return [(low, high) for low, high in zip(starts, lasts, strict=True) if low <= high]


def divided(pieces: Sequence[Ends], window: Window, *, by_days: bool) -> Parts:
    """Divide pieces of time into days, hours and the rest; into days only where `by_days`."""
    # Most zones have none.
    cuts = [ms for ms in window.starts if ms % HOUR_MS] if window.step.is_of_days else []
    parts = Parts()
    for piece in pieces:
        for part in _without_days(parts, piece, window) if by_days else (piece,):
            _divide_hours(parts, part, cuts)
    return parts


def _without_days(parts: Parts, piece: Ends, window: Window) -> tuple[Ends, ...]:
    (low_ms, high_ms), zone = piece, window.zone
    first = day_of(low_ms, zone)
    first, end = first + (day_start(first, zone) < low_ms), day_of(high_ms + 1, zone)
    if first >= end:
        return (piece,)
    start_ms, end_ms = day_start(first, zone), day_start(end, zone)
    parts.days.append((first, end))
    parts.of_days.append((start_ms, end_ms - 1))
    return (low_ms, start_ms - 1), (end_ms, high_ms)


def _divide_hours(parts: Parts, piece: Ends, cuts: list[int]) -> None:
    begin_ms, high_ms = piece
    for cut_ms in (*(ms for ms in cuts if begin_ms < ms <= high_ms), high_ms + 1):
        start_ms, end_ms = -(-begin_ms // HOUR_MS) * HOUR_MS, cut_ms // HOUR_MS * HOUR_MS
        if start_ms >= end_ms:
            rest = [(begin_ms, cut_ms - 1)]
        else:
            parts.hours.append((start_ms, end_ms - 1))
            rest = [(begin_ms, start_ms - 1), (end_ms, cut_ms - 1)]
        parts.rest += [(low_ms, high_ms) for low_ms, high_ms in rest if low_ms <= high_ms]
        begin_ms = cut_ms
