"""Where rows of a page can lie: roll-ups tell which hours hold none, so nobody reads those.

An hour of which the greatest value is 900 has no reading above 1000. One statement walks the hours
in the order of a key and says which can hold rows; the other one reads these, each a range of the
index. So nothing is sorted, and nothing read beyond the last row.
"""

from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, exists, select, text, union_all

from flask10x.database.expressions import listed, unindexed
from flask10x.database.tables import readings
from flask10x.database.tables import rollups as hours_of
from flask10x.history.operators import IS_NULL, OPERATORS
from flask10x.history.statements import (
    Branch,
    EndKind,
    FilterShape,
    Statement,
    filter_clauses,
    limits,
    missing_clause,
    off_index,
    select_rows,
)
from flask10x.readings.stations import Station
from flask10x.readings.times import HOUR_MS


def can_narrow(branches: tuple[Branch, ...], filters: tuple[FilterShape, ...]) -> bool:
    """Whether each station has a condition that roll-ups know something of."""
    return all(
        missing or any(column in station.columns for column, *_ in filters)
        for station, missing in branches
    )


@lru_cache(maxsize=256)
def hours_statement(
    branches: tuple[Branch, ...], filters: tuple[FilterShape, ...], newest_first: bool
) -> Statement:
    """At most `:most` pairs of endpoint and hour, from `:first` to `:last`, that can hold rows.

    By the roll-ups, in the order of hours; a pair may come several times. Only where `can_narrow`.
    """
    selects = [
        select(hours_of.c.endpoint, hours_of.c.hour).where(
            hours_of.c.endpoint == station.endpoint,
            hours_of.c.hour >= bindparam("first"),
            hours_of.c.hour <= bindparam("last"),
            *_possible(station, missing, filters),
        )
        for station, missing in branches
    ]
    return _merged(selects, ("hour",), newest_first).limit(bindparam("most"))


def hours_name(station: Station) -> str:
    """The name of the value of `rows_statement` that lists the station's hours, as JSON."""
    return f"hours_{station.endpoint}"


@lru_cache(maxsize=256)
def rows_statement(
    branches: tuple[Branch, ...],
    filters: tuple[FilterShape, ...],
    low: EndKind,
    high: EndKind,
    newest_first: bool,
) -> Statement:
    """At most `:rows` rows with an id up to `:position`, of each station's hours (`hours_name`)."""
    at, start = readings.c.received_at, hours_of.c.hour * HOUR_MS
    conditions = [
        unindexed(readings.c.id) <= bindparam("position"),
        *limits(low, high, unindexed(at)),
        *filter_clauses(filters),
    ]
    selects = [
        select_rows(branches)
        .add_columns(hours_of.c.hour)
        # A list could not be read in its order, but a key that it picks from can.
        .where(
            hours_of.c.endpoint == station.endpoint, hours_of.c.measurement == station.columns[0]
        )
        .where(hours_of.c.hour.in_(listed(hours_name(station))))
        .where(readings.c.endpoint == station.endpoint, at >= start, at < start + HOUR_MS)
        .where(*conditions, *missing_clause(missing))
        for station, missing in branches
    ]
    return _merged(selects, ("hour", "received_at", "id"), newest_first).limit(bindparam("rows"))


@lru_cache(maxsize=256)
def later_statement(
    branches: tuple[Branch, ...],
    filters: tuple[FilterShape, ...],
    low: EndKind,
    high: EndKind,
    newest_first: bool,
) -> Statement:
    """At most `:rows` rows with an id above `:position`, from the same end of the window."""
    later = (
        select_rows(branches)
        .where(readings.c.id > bindparam("position"), off_index(branches))
        .where(*limits(low, high, unindexed(readings.c.received_at)), *filter_clauses(filters))
    )
    return _merged([later], ("received_at", "id"), newest_first).limit(bindparam("rows"))


def _merged(selects: list[Select[Any]], names: tuple[str, ...], newest_first: bool) -> Statement:
    whole: Statement = selects[0] if len(selects) == 1 else union_all(*selects)
    return whole.order_by(*(text(f"{name} DESC" if newest_first else name) for name in names))


def _possible(
    station: Station, missing: tuple[str, ...], filters: tuple[FilterShape, ...]
) -> list[ColumnElement[bool]]:
    # A measurement that the station does not have is missing in each reading.
    own = dict.fromkeys(column for column, *_ in filters if column in station.columns)
    if not own:
        # By the index that holds no other hours, in their order; so not by the measurement.
        return [IS_NULL.hour(hours_of, True), unindexed(hours_of.c.measurement).in_(missing)]
    base, *others = own
    conditions = [hours_of.c.measurement == base, *_of_values(hours_of, base, filters)]
    for column in others:
        other = hours_of.alias()
        values = _of_values(other, column, filters)
        conditions.append(_same_hour(other, other.c.measurement == column, *values))
    if missing:
        other = hours_of.alias()
        some = other.c.measurement.in_(missing), IS_NULL.hour(other, True)
        conditions.append(_same_hour(other, *some))
    return conditions


def _of_values(
    table: Any, column: str, filters: tuple[FilterShape, ...]
) -> list[ColumnElement[bool]]:
    return [
        OPERATORS[key].hour(table, bindparam(f"filter{place}") if wanted is None else wanted)
        for place, (name, key, wanted) in enumerate(filters)
        if name == column
    ]


def _same_hour(other: Any, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(
        other.c.endpoint == hours_of.c.endpoint, other.c.hour == hours_of.c.hour, *conditions
    )
