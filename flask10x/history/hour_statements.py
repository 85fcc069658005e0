"""Where rows of a page can lie: roll-ups say which hours hold none, so nobody reads those.

An hour of which the greatest value is 900 has no reading above 1000. One statement walks the hours
in the order of a key and says which can hold rows; the other one reads these, each a range of the
index. So nothing is sorted, and nothing read beyond the last row.
"""

from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, bindparam, case, exists, or_, select

from flask10x.database.cursors import MAX_CURSOR_MS, MIN_CURSOR_MS
from flask10x.database.expressions import listed, unindexed
from flask10x.database.tables import readings, rollups
from flask10x.history.corrections.expressions import hour_values, touched_hours, within
from flask10x.history.corrections.segments import Segment
from flask10x.history.operators import OPERATORS
from flask10x.history.statements import (
    STATEMENTS,
    Branch,
    FilterShape,
    PageShape,
    Statement,
    conditions_of,
    filter_clauses,
    limits,
    merged,
    off_index,
    select_branch,
    select_rows,
    with_values,
)
from flask10x.readings.times import HOUR_MS

# The ends of an hour; those of the first and the last one are where numbers of the column end
# (`rollups.ends_of`), for PostgreSQL has none beyond.
_HOUR = rollups.c.hour
_FIRST_MS = case((_HOUR <= MIN_CURSOR_MS // HOUR_MS, MIN_CURSOR_MS), else_=_HOUR * HOUR_MS)
_LAST_MS = case((_HOUR >= MAX_CURSOR_MS // HOUR_MS, MAX_CURSOR_MS), else_=(_HOUR + 1) * HOUR_MS - 1)


def can_narrow(shape: PageShape) -> bool:
    """Whether each station has a condition that roll-ups know something of."""
    return all(
        branch.missing
        or branch.derived
        or any(column in branch.columns for column, *_ in shape.filters)
        for branch in shape.branches
    )


@lru_cache(maxsize=STATEMENTS)
def hours_statement(shape: PageShape) -> Statement:
    """At most `:most` pairs of endpoint and hour, from `:first` to `:last`, that can hold rows.

    By the roll-ups, in the order of hours; a pair may come several times. Only where `can_narrow`.
    """
    selects = [
        select(rollups.c.endpoint, rollups.c.hour).where(
            rollups.c.endpoint == branch.endpoint,
            rollups.c.hour >= bindparam("first"),
            rollups.c.hour <= bindparam("last"),
            *conditions,
        )
        for branch in shape.branches
        for conditions in _possible(branch, shape.filters)
    ]
    return merged(selects, ("hour",), shape.newest_first, "most")


def hours_name(endpoint: str) -> str:
    """The name of the value of `rows_statement` that lists the station's hours, as JSON."""
    return f"hours_{endpoint}"


@lru_cache(maxsize=STATEMENTS)
def rows_statement(shape: PageShape) -> Statement:
    """At most `:rows` rows with an id up to `:position`, of each station's hours (`hours_name`)."""
    at = readings.c.received_at
    conditions = [
        unindexed(readings.c.id) <= bindparam("position"),
        *limits(shape.low, shape.high, unindexed(at)),
    ]
    selects = [
        select_branch(shape.branches)
        .add_columns(rollups.c.hour)
        # A list could not be read in its order, but a key that it picks from can.
        .where(rollups.c.endpoint == branch.endpoint, rollups.c.measurement == branch.columns[0])
        .where(rollups.c.hour.in_(listed(hours_name(branch.endpoint))))
        .where(readings.c.endpoint == branch.endpoint, at >= _FIRST_MS, at <= _LAST_MS)
        .where(*conditions, *conditions_of(branch, shape.filters))
        for branch in shape.branches
    ]
    names = ("hour", "received_at", "id")
    found = merged(selects, names, shape.newest_first, "rows")
    return with_values(found, shape)


@lru_cache(maxsize=STATEMENTS)
def later_statement(shape: PageShape) -> Statement:
    """At most `:rows` rows with an id above `:position`, from the same end of the window."""
    later = (
        select_rows(shape.branches)
        .where(readings.c.id > bindparam("position"), off_index(shape.branches))
        .where(*limits(shape.low, shape.high, unindexed(readings.c.received_at)))
        .where(*filter_clauses(shape.filters, shape.branches))
    )
    return merged([later], ("received_at", "id"), shape.newest_first, "rows")


def _possible(branch: Branch, filters: tuple[FilterShape, ...]) -> list[list[ColumnElement[bool]]]:
    """Conditions on a row of `rollups`: whoever fulfils all of one list is a possible hour."""
    missing = branch.missing
    # A measurement that the station does not have is missing in each reading.
    own = dict.fromkeys(column for column, *_ in filters if column in branch.columns)
    if branch.derived and not own:
        # Each reading has a row of its first measurement: all hours, looked through piece by piece.
        own = {branch.columns[0]: None}
    if not own:
        # By the index that holds no other hours, in their order; so not by the measurement.
        lacking = rollups.c.count < rollups.c.readings
        stored = [lacking, unindexed(rollups.c.measurement).in_(missing)]
        return [stored, *_hidden(branch)]
    base, *others = own
    conditions = [rollups.c.measurement == base, *_of_values(rollups, base, branch, filters)]
    for column in others:
        other = rollups.alias()
        values = _of_values(other, column, branch, filters)
        conditions.append(_same_hour(other, other.c.measurement == column, *values))
    if missing:
        other = rollups.alias()
        lacking = other.c.count < other.c.readings
        some = _same_hour(other, other.c.measurement.in_(missing), lacking)
        touched = _hidden_hours(branch)
        conditions.append(or_(some, within(rollups.c.hour, touched)) if touched else some)
    return [conditions]


def _hidden(branch: Branch) -> list[list[ColumnElement[bool]]]:
    """The same for hours in which a value is hidden, which that index does not know."""
    touched = _hidden_hours(branch)
    # Each reading has a row of its first measurement, also one without a value.
    first = rollups.c.measurement == branch.columns[0]
    return [[first, within(rollups.c.hour, touched)]] if touched else []


def _hidden_hours(branch: Branch) -> list[Segment]:
    segments = (s for column in branch.missing for s in branch.corrected.of(column))
    return touched_hours(s for s in segments if s.hidden)


def _of_values(
    table: Any, column: str, branch: Branch, filters: tuple[FilterShape, ...]
) -> list[ColumnElement[bool]]:
    values, unknown = hour_values(table.c, branch.corrected.of(column))
    conditions = [
        OPERATORS[key].hour(values, bindparam(f"filter{place}") if wanted is None else wanted)
        for place, (name, key, wanted) in enumerate(filters)
        if name == column
    ]
    return conditions if unknown is None else [or_(one, unknown) for one in conditions]


def _same_hour(other: Any, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(
        other.c.endpoint == rollups.c.endpoint, other.c.hour == rollups.c.hour, *conditions
    )
