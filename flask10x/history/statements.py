"""The statements of the history, built from the form of a query.

A statement for pages is a UNION ALL with a branch for each station, each a range of the index. The
values of a query are parameters. Where readings are filtered or summed up as they are shown, their
corrections are part of the statement, so it is built again when one is written or undone.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    BindParameter,
    Column,
    ColumnElement,
    Float,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    func,
    literal,
    literal_column,
    not_,
    null,
    or_,
    select,
    text,
    tuple_,
)
from sqlalchemy.sql import CompoundSelect

from flask10x.database.cursors import MAX_CURSOR_ID, Cursor
from flask10x.database.expressions import adjusted, in_order, rounded, unindexed
from flask10x.database.tables import measurement, readings
from flask10x.history.corrections import AS_STORED, NONE, Corrections, Segment, Way
from flask10x.history.query import IS_NULL, OPERATORS, Query
from flask10x.readings.derived import RESULT_DIGITS, Derived, Functions, derived_by_station
from flask10x.readings.stations import Station


def shown_value(
    value: ColumnElement[Any], at: ColumnElement[Any], segments: Sequence[Segment]
) -> ColumnElement[Any]:
    """Return the shown value of a reading that was received `at`; NULL when it is hidden."""
    numbers = {AS_STORED: 0}
    pieces = [(*s.ends, numbers.setdefault(s.way, len(numbers))) for s in segments]
    shown = {number: _adjusted(value, way) for way, number in numbers.items()}
    return case(shown, value=_number_of(at, pieces)) if pieces else value


def within(at: ColumnElement[Any], pieces: Iterable[tuple[int, int]]) -> ColumnElement[bool]:
    """Return the condition that `at`, not NULL, lies in one of these ranges, ends included."""
    joined: list[tuple[int, int, int]] = []
    for first, last in sorted(pieces):
        if joined and first <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], last), 1
        else:
            joined.append((first, last, 1))
    return _number_of(at, joined) == 1


def _number_of(
    at: ColumnElement[Any], pieces: Sequence[tuple[int, int, int]]
) -> ColumnElement[int]:
    """Return the number of the piece that `at` lies in; 0 outside all of them.

    The pieces, each with its ends and a number, are in order and do not overlap. A search tree
    finds one of 1,000 in ten comparisons. The tree is text, because SQLAlchemy would go through the
    elements and parameters of every piece whenever the statement runs.
    """
    steps = [(-math.inf, 0)]
    for first, last, number in pieces:
        if steps[-1][0] == first:
            steps.pop()
        steps += [(first, number), (last + 1, 0)]
    different = [steps[0], *(new for old, new in pairwise(steps) if new[1] != old[1])]
    return literal_column(f"({_tree(str(at), different)})", Integer)


def _tree(at: str, steps: Sequence[tuple[float, int]]) -> str:
    if len(steps) == 1:
        return str(steps[0][1])
    middle = len(steps) // 2
    before, after = _tree(at, steps[:middle]), _tree(at, steps[middle:])
    return f"CASE WHEN {at} < {steps[middle][0]} THEN {before} ELSE {after} END"


def _adjusted(value: ColumnElement[Any], way: Way) -> ColumnElement[Any]:
    hidden, gain, offset = way
    if way == AS_STORED:
        return value
    # In the order of `Corrections.shown`, so that both are the same number.
    return null() if hidden else adjusted(value, literal(gain, Float), literal(offset, Float))


class _Sql:
    """Mathematical functions with the same name in both engines.

    (https://www.sqlite.org/lang_mathfunc.html,
    https://www.postgresql.org/docs/17/functions-math.html)
    """

    def ln(self, value: Any, /) -> Any:
        return func.ln(value, type_=Float)

    def exp(self, value: Any, /) -> Any:
        return func.exp(value, type_=Float)

    def below(self, value: Any, pieces: Sequence[tuple[float, Any]], otherwise: Any, /) -> Any:
        return case(*((value < limit, piece) for limit, piece in pieces), else_=otherwise)


SQL: Functions = _Sql()


def derived_value(derived: Derived, inputs: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    """Return a derived value of one reading; NULL where `Derived.of_inputs` returns None."""
    kind = derived.kind
    if kind.formula is None:
        raise ValueError(f"{derived.name} is not of one reading")
    altitude = [derived.altitude_m] if kind.needs_altitude else []
    value = rounded(kind.formula(*inputs, *altitude, SQL), RESULT_DIGITS)
    pairs = zip(inputs, kind.limits, strict=True)
    # Inside the CASE, because a logarithm of values beyond the limits may not exist.
    held = case((and_(*(each.between(*ends) for each, ends in pairs)), value), else_=null())
    return case((held.between(*kind.result), held), else_=null())


Statement = Select[Any] | CompoundSelect[Any]
# The time and the id of a place beyond which the window lies; None where it has no end.
End = tuple[int, int] | None
FilterShape = tuple[str, str, bool | None]
# The time to prepare a page grows with its stations times their columns. Beyond this number
# branches only find rows, and values are read once for all branches: 20 stations with 8
# measurements each took a fifth of a second, and 200 half a minute.
WIDE_CELLS = 200
_HEAD = (readings.c.id, readings.c.endpoint, readings.c.received_at)
# Each of the 200 stations that there can be has statements of its own.
STATEMENTS = 512


class Branch(NamedTuple):
    """A station in a statement; a part of the key of cached statements."""

    endpoint: str
    columns: tuple[str, ...]
    missing: tuple[str, ...]
    """Columns of which one must be missing; empty when all readings match."""
    hidden: tuple[Segment, ...] = ()
    """The segments in which whole readings are hidden."""
    corrected: tuple[tuple[str, tuple[Segment, ...]], ...] = ()
    """The corrected columns among those that the statement needs, each with its segments."""
    derived: tuple[Derived, ...] = ()
    """The derived values of the filters."""
    fits_rollups: bool = True
    """Whether its roll-ups are of the values that are compared; not where stored ones are, and some
    are corrected."""

    def segments_of(self, column: str) -> tuple[Segment, ...]:
        """Return the segments in which this column is corrected."""
        return dict(self.corrected).get(column, ())


@dataclass(frozen=True, kw_only=True, slots=True)
class PageShape:
    """The form of the statements of a page; all else is a parameter."""

    branches: tuple[Branch, ...]
    filters: tuple[FilterShape, ...]
    has_low: bool
    has_high: bool
    newest_first: bool


def statement_key(
    query: Query, corrections: Corrections = NONE
) -> tuple[tuple[Branch, ...], tuple[FilterShape, ...], dict[str, float]]:
    """Return the stations that can match, the form of the filters, and their values.

    The corrections are those that count; a query for raw values compares what was stored.
    """
    branches = tuple(
        _branch(query, station, corrections)
        for station in query.stations
        if all(each.can_match(station) for each in query.filters)
    )
    filters = tuple(
        (f.column, f.operator.key, bool(f.value) if f.operator is IS_NULL else None)
        for f in query.filters
    )
    return branches, filters, {f"filter{place}": f.value for place, f in enumerate(query.filters)}


def _branch(query: Query, station: Station, corrections: Corrections) -> Branch:
    endpoint = station.endpoint
    missing = query.needed(station) if query.incomplete else ()
    derived_of_station = derived_by_station(query.registry)[endpoint]
    names = dict.fromkeys(each.column for each in query.filters)
    derived = tuple(derived_of_station[name] for name in names if name in derived_of_station)
    inputs = (column for each in derived for column in each.inputs)
    columns = dict.fromkeys([*names, *inputs, *missing])
    branch = Branch(endpoint, station.columns, missing, derived=derived)
    corrected = tuple((c, found) for c in columns if (found := corrections.of(endpoint, c)))
    if not query.raw:
        return branch._replace(hidden=corrections.whole.get(endpoint, ()), corrected=corrected)
    return branch._replace(fits_rollups=not corrected)


def rolled_up_in(ranges: CTE, number: Column[int]) -> ColumnElement[bool]:
    """The condition that a roll-up is of the measurement and the numbers of a span.

    `number` is the hour or the day of the table of roll-ups; the span ends before its second one.
    """
    return and_(
        number.table.c.endpoint == ranges.c.endpoint,
        number.table.c.measurement == ranges.c.measurement,
        number >= ranges.c.first,
        number < ranges.c.second,
    )


# SQLite takes one lower and one upper limit of a range to the index and only filters by others,
# which would walk all rows between them. So a window has one end on each side, the nearest one.
def ends_of(query: Query, cursors: Iterable[Cursor]) -> tuple[End, End]:
    """Return the ends of the query's window between these cursors. Ids begin at 1."""
    low = [(cursor.received_at, cursor.id) for cursor in cursors if cursor.side == "after"]
    high = [(cursor.received_at, cursor.id) for cursor in cursors if cursor.side == "before"]
    low += [(query.since.ms, 0)] if query.since else []
    high += [(query.until.ms, MAX_CURSOR_ID)] if query.until else []
    return max(low, default=None), min(high, default=None)


def parameters_of(low: End, high: End) -> dict[str, int]:
    """Return the parameters of the ends of a window."""
    ends = (("low", low), ("high", high))
    parts = ((f"{name}_{part}", end) for name, end in ends if end for part in ("ms", "id"))
    return {name: end[name.endswith("id")] for name, end in parts}


# Building a statement costs as much as running it, and pages differ in few ways.
@lru_cache(maxsize=STATEMENTS)
def page_statement(shape: PageShape) -> Statement:
    """Return the statement for at most `:rows` rows from one end of the window."""
    selects = [
        select_branch(shape.branches)
        .where(readings.c.endpoint == branch.endpoint)
        .where(*limits(shape), *conditions_of(branch, shape.filters))
        for branch in shape.branches
    ]
    rows = merged(selects, ("received_at", "id"), shape.newest_first, "rows")
    return with_values(rows, shape)


def select_branch(branches: tuple[Branch, ...]) -> Select[Any]:
    """Return what a branch of a UNION ALL selects: rows, or only their heads (`with_values`)."""
    return select(*_HEAD) if _is_wide(branches) else select_rows(branches)


def with_values(rows: Statement, shape: PageShape) -> Statement:
    """Return the rows in their order, with the values of all stations if these are missing."""
    if not _is_wide(shape.branches):
        return rows
    heads = rows.subquery("heads")
    order = (readings.c.received_at, readings.c.id)
    return (
        select_rows(shape.branches)
        .join_from(heads, readings, readings.c.id == heads.c.id)
        .order_by(*(part.desc() if shape.newest_first else part for part in order))
    )


def _is_wide(branches: tuple[Branch, ...]) -> bool:
    return len(branches) * len(columns_of(branches)) > WIDE_CELLS


def merged(
    selects: Sequence[Select[Any]], names: tuple[str, ...], newest_first: bool, most: str
) -> Statement:
    """Return the first rows of all selects in the order of the named columns, or backwards.

    The parameter `most` is their number.
    """
    order = [text(f"{name} DESC" if newest_first else name) for name in names]
    number = bindparam(most, type_=Integer)
    if len(selects) == 1:
        return selects[0].order_by(*order).limit(number)
    return in_order(selects, order, number)


@lru_cache(maxsize=STATEMENTS)
def newer_statement(shape: PageShape) -> Select[Any]:
    """Return the statement for at most `:rows` rows with ids above `:position` up to `:last_id`."""
    number = readings.c.id
    newer = later_rows(shape).where(number <= bindparam("last_id"))
    return newer.order_by(number).limit(bindparam("rows"))


def later_rows(shape: PageShape) -> Select[Any]:
    """Select the rows of the window with ids above `:position`.

    No use is made of the index: a range of ids is short, a station's range of time is not.
    """
    endpoint, branches = unindexed(readings.c.endpoint), shape.branches
    of_stations = or_(
        *(and_(endpoint == b.endpoint, *conditions_of(b, shape.filters)) for b in branches)
    )
    return (
        select_rows(branches)
        .where(readings.c.id > bindparam("position"), of_stations)
        .where(*limits(shape, unindexed(readings.c.received_at)))
    )


def columns_of(branches: tuple[Branch, ...]) -> tuple[str, ...]:
    """Return the columns of all branches, each once."""
    return tuple(dict.fromkeys(column for branch in branches for column in branch.columns))


def select_rows(branches: tuple[Branch, ...]) -> Select[Any]:
    """Select id, endpoint and received_at of readings, then all measurements of the stations."""
    return select(*_HEAD, *map(measurement, columns_of(branches)))


def conditions_of(
    branch: Branch, filters: tuple[FilterShape, ...] = ()
) -> list[ColumnElement[bool]]:
    """Return the conditions on a reading: that it is not hidden, filters, a missing value.

    They compare values as they are shown, with the parameters `filter0`, `filter1` and so on.
    """
    hidden, missing = branch.hidden, branch.missing
    return [
        *([not_(within(readings.c.received_at, (s.ends for s in hidden)))] if hidden else []),
        *(
            OPERATORS[key].clause(
                shown_of(column, branch), filter_value(place) if is_null is None else is_null
            )
            for place, (column, key, is_null) in enumerate(filters)
        ),
        *([or_(*(shown_of(name, branch).is_(None) for name in missing))] if missing else []),
    ]


def limits(
    shape: PageShape, at: ColumnElement[Any] = readings.c.received_at
) -> list[ColumnElement[bool]]:
    """Return the conditions of the window of time."""
    place = tuple_(at, readings.c.id)
    low = place > tuple_(bindparam("low_ms"), bindparam("low_id"))
    high = place < tuple_(bindparam("high_ms"), bindparam("high_id"))
    return [*([low] if shape.has_low else []), *([high] if shape.has_high else [])]


def filter_value(place: int) -> BindParameter[float]:
    """The parameter of a filter's value, which is a float whatever it is compared with."""
    return bindparam(f"filter{place}", type_=Float)


def shown_of(column: str, branch: Branch) -> ColumnElement[Any]:
    """Return the shown value of a reading of this station."""
    for derived in branch.derived:
        if derived.name == column:
            return derived_value(derived, [shown_of(name, branch) for name in derived.inputs])
    return shown_value(measurement(column), readings.c.received_at, branch.segments_of(column))
