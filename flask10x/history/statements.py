"""The SELECTs of the history, built from the form of a query; values are bound when they run.

A statement for pages is a UNION ALL with a branch per station, each a range of the one index.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    not_,
    null,
    or_,
    select,
    text,
    tuple_,
)
from sqlalchemy.sql import CompoundSelect

from flask10x.database.cursors import Cursor
from flask10x.database.expressions import in_order, unindexed
from flask10x.database.tables import measurement, readings
from flask10x.history.corrections.expressions import (
    AS_STORED,
    CorrectedStation,
    shown_value,
    value_arms,
    within,
)
from flask10x.history.corrections.segments import NONE, Corrections
from flask10x.history.derived.expressions import derived_value
from flask10x.history.operators import IS_NULL, OPERATORS
from flask10x.history.query import Bound, Query
from flask10x.readings.derived.registry import Derived, derived_by_station
from flask10x.readings.stations import Station

Statement = Select[Any] | CompoundSelect[Any]
# What limits one end of the window, and by which kind of value.
End = Bound | Cursor | None
EndKind = Literal["bound", "cursor"] | None
FilterShape = tuple[str, str, bool | None]
# What a page takes to be prepared grows with its stations times their columns. Beyond this a branch
# finds rows and their values are read once for all branches: 20 stations with 8 measurements each
# took a fifth of a second, and 200 half a minute.
WIDE_CELLS = 200
_HEAD = (readings.c.id, readings.c.endpoint, readings.c.received_at)
# Each of the 200 stations that there can be has statements of its own.
STATEMENTS = 512


class Branch(NamedTuple):
    """A station as a statement knows it: short, for it is the key of the statements."""

    endpoint: str
    columns: tuple[str, ...]
    missing: tuple[str, ...]
    """Those of which one must be missing; none when any reading will do."""
    corrected: CorrectedStation = AS_STORED
    """What makes its readings match by other values than the stored ones."""
    derived: tuple[Derived, ...] = ()
    """What is computed of it among what the filters ask for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PageShape:
    """What the statements of a page differ in; all else is bound when they run."""

    branches: tuple[Branch, ...]
    filters: tuple[FilterShape, ...]
    low: EndKind
    high: EndKind
    newest_first: bool


def statement_key(
    query: Query, corrections: Corrections = NONE
) -> tuple[tuple[Branch, ...], tuple[FilterShape, ...], dict[str, float]]:
    """The stations that can match, the form of the filters, and the values to bind."""
    branches = tuple(
        _branch(query, station, corrections)
        for station in query.stations
        if all(one.can_match(station) for one in query.filters)
    )
    filters = tuple(
        (f.column, f.operator.key, bool(f.value) if f.operator is IS_NULL else None)
        for f in query.filters
    )
    return branches, filters, {f"filter{place}": f.value for place, f in enumerate(query.filters)}


def _branch(query: Query, station: Station, corrections: Corrections) -> Branch:
    endpoint = station.endpoint
    missing = query.needed(station) if query.incomplete else ()
    own = derived_by_station(query.known)[endpoint]
    names = dict.fromkeys(one.column for one in query.filters)
    derived = tuple(own[name] for name in names if name in own)
    inputs = (column for one in derived for column in one.inputs)
    asked = dict.fromkeys([*names, *inputs, *missing])
    found = ((column, corrections.of(endpoint, column)) for column in asked)
    pieces = tuple((column, segments) for column, segments in found if segments)
    corrected = CorrectedStation(corrections.whole.get(endpoint, ()), pieces)
    return Branch(endpoint, station.columns, missing, corrected, derived)


# SQLite takes one lower and one upper limit of a range to the index and only filters by others,
# which would walk all rows between them. A cursor and a bound on the same side say the same once
# the looser one is dropped.
def low_end(since: Bound | None, after: Cursor | None) -> End:
    if since is None or (after is not None and since.ms <= after.received_at):
        return after
    return since


def high_end(until: Bound | None, before: Cursor | None) -> End:
    if until is None or (before is not None and until.ms >= before.received_at):
        return before
    return until


def kind_of_end(end: End) -> EndKind:
    """Which values the end of a statement's window takes."""
    if end is None:
        return None
    return "bound" if isinstance(end, Bound) else "cursor"


def ms_of(end: End) -> int | None:
    """The millisecond of that end, which itself belongs to the window; None for no end."""
    if end is None:
        return None
    return end.ms if isinstance(end, Bound) else end.received_at


def parameters_of(name: str, end: End) -> dict[str, int]:
    """The values of that end, `low` or `high`."""
    if end is None:
        return {}
    if isinstance(end, Bound):
        return {f"{name}_ms": end.ms}
    return {f"{name}_ms": end.received_at, f"{name}_id": end.id}


# Building a statement costs as much as running it, and pages differ in few ways.
@lru_cache(maxsize=STATEMENTS)
def page_statement(shape: PageShape) -> Statement:
    """At most `:rows` rows from the oldest of the window, or from its newest (`newest_first`)."""
    selects = [
        select_branch(shape.branches)
        .where(readings.c.endpoint == branch.endpoint)
        .where(*limits(shape.low, shape.high), *conditions_of(branch, shape.filters))
        for branch in shape.branches
    ]
    found = merged(selects, ("received_at", "id"), shape.newest_first, "rows")
    return with_values(found, shape)


def select_branch(branches: tuple[Branch, ...]) -> Select[Any]:
    """What a branch of a UNION ALL selects: rows, or only their heads (`with_values`)."""
    return select(*_HEAD) if _is_wide(branches) else select_rows(branches)


def with_values(found: Statement, shape: PageShape) -> Statement:
    """The found rows in their order; with the values of all stations, if they have none yet."""
    if not _is_wide(shape.branches):
        return found
    heads = found.subquery("heads")
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
    """The first rows of all of them in the order of the named columns, or backwards.

    As many as the parameter `most` says.
    """
    order = [text(f"{name} DESC" if newest_first else name) for name in names]
    number = bindparam(most, type_=Integer)
    if len(selects) == 1:
        return selects[0].order_by(*order).limit(number)
    return in_order(selects, order, number)


@lru_cache(maxsize=STATEMENTS)
def newer_statement(
    branches: tuple[Branch, ...], filters: tuple[FilterShape, ...], low: EndKind, high: EndKind
) -> Statement:
    """At most `:rows` rows with an id above `:after_id` and up to `:last_id`, by id."""
    number = readings.c.id
    return (
        select_rows(branches)
        .where(number > bindparam("after_id"), number <= bindparam("last_id"))
        .where(off_index(branches))
        .where(*limits(low, high), *filter_clauses(filters, branches))
        .order_by(number)
        .limit(bindparam("rows"))
    )


def off_index(branches: tuple[Branch, ...]) -> ColumnElement[bool]:
    """The condition that a reading is of one of the branches, for a range of ids.

    A range of ids is short, a station's range of time is not.
    """
    endpoint = unindexed(readings.c.endpoint)
    return or_(*(and_(endpoint == b.endpoint, *conditions_of(b)) for b in branches))


def columns_of(branches: tuple[Branch, ...]) -> tuple[str, ...]:
    """The columns of them all, each once."""
    return tuple(dict.fromkeys(column for branch in branches for column in branch.columns))


def select_rows(branches: tuple[Branch, ...]) -> Select[Any]:
    """Id, endpoint and received_at of readings, then all measurements of the stations."""
    return select(*_HEAD, *map(measurement, columns_of(branches)))


def conditions_of(
    branch: Branch, filters: tuple[FilterShape, ...] = ()
) -> list[ColumnElement[bool]]:
    """The conditions on a reading of this station: not hidden, the filters, what must be missing.

    All of what is shown, not of what is stored, if that is another value.
    """
    hidden, missing = branch.corrected.hidden, branch.missing
    return [
        *([not_(within(readings.c.received_at, hidden))] if hidden else []),
        *filter_clauses(filters, (branch,)),
        *([or_(*(_shown(name, (branch,)).is_(None) for name in missing))] if missing else []),
    ]


def limits(
    low: EndKind, high: EndKind, at: ColumnElement[Any] = readings.c.received_at
) -> list[ColumnElement[bool]]:
    """The conditions of the window of time."""
    place = tuple_(at, readings.c.id)
    clauses: list[ColumnElement[bool]] = []
    if low == "bound":
        clauses.append(at >= bindparam("low_ms"))
    if low == "cursor":
        clauses.append(place > tuple_(bindparam("low_ms"), bindparam("low_id")))
    if high == "bound":
        clauses.append(at <= bindparam("high_ms"))
    if high == "cursor":
        clauses.append(place < tuple_(bindparam("high_ms"), bindparam("high_id")))
    return clauses


def filter_clauses(
    filters: tuple[FilterShape, ...], branches: tuple[Branch, ...]
) -> list[ColumnElement[bool]]:
    """The conditions on values; the numbers are bound as `filter0`, `filter1` and so on."""
    return [
        OPERATORS[key].clause(
            _shown(column, branches), bindparam(f"filter{place}") if missing is None else missing
        )
        for place, (column, key, missing) in enumerate(filters)
    ]


def _shown(column: str, branches: tuple[Branch, ...]) -> ColumnElement[Any]:
    """The value of a reading of one of these stations as it is shown."""
    if any(one.name == column for branch in branches for one in branch.derived):
        return _computed(column, branches)
    value, at = measurement(column), readings.c.received_at
    if len(branches) == 1:
        return shown_value(value, at, branches[0].corrected.of(column))
    arms = [
        (and_(readings.c.endpoint == branch.endpoint, condition), shown)
        for branch in branches
        for condition, shown in value_arms(value, at, branch.corrected.of(column))
    ]
    return case(*arms, else_=value) if arms else value


def _computed(name: str, branches: tuple[Branch, ...]) -> ColumnElement[Any]:
    """A derived value of a reading; NULL of stations that don't have it."""
    arms = []
    for branch in branches:
        for one in branch.derived:
            if one.name == name:
                inputs = [_shown(column, (branch,)) for column in one.inputs]
                is_of = readings.c.endpoint == branch.endpoint
                arms.append((is_of, derived_value(one, inputs)))
    return case(*arms, else_=null())
