"""A checked query of the history, its filters, and its query string."""

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import tzinfo
from decimal import Decimal
from typing import Any, Literal, NamedTuple
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, and_

from flask10x.database.cursors import Cursor
from flask10x.readings.derived import Derived, derived_by_station
from flask10x.readings.reasons import Reason, WrongValue
from flask10x.readings.stations import Station, Stations, columns_of


class HourValues(NamedTuple):
    """The values of an hour in the table `rollups`."""

    readings: ColumnElement[Any]
    values: ColumnElement[Any]
    """How many of the readings have a value."""
    minimum: ColumnElement[Any]
    maximum: ColumnElement[Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Operator:
    """One way to filter a measurement, written `<column>__<key>=<value>`."""

    key: str
    label: str
    """Its sign or its name."""
    parse: Callable[[str], float | bool]
    """Takes the text of the parameter and returns its value; raises WrongValue."""
    clause: Callable[[ColumnElement[Any], Any], ColumnElement[bool]]
    """Takes the column and the value, or a parameter for it, and returns the condition."""
    hour: Callable[[HourValues, Any], ColumnElement[bool]]
    """Takes an hour and the value and returns the condition that a value of it can match."""
    in_form: bool = False
    """Whether the form offers it for every measurement."""


def _switch(text: str) -> bool:
    words = {"1": True, "true": True, "0": False, "false": False}
    if text.lower() not in words:
        raise WrongValue(Reason("switch_needed"))
    return words[text.lower()]


def number(text: str) -> float:
    """Return the number in a text; raises WrongValue."""
    if re.fullmatch(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)", text) and math.isfinite(float(text)):
        return float(text)
    raise WrongValue(Reason("number_needed"))


def _is_null(column: ColumnElement[Any], is_missing: bool) -> ColumnElement[bool]:
    return column.is_(None) if is_missing else column.is_not(None)


def _some_null(hours: HourValues, is_missing: bool) -> ColumnElement[bool]:
    return hours.values < hours.readings if is_missing else hours.values > 0


def _around(hours: HourValues, value: Any) -> ColumnElement[bool]:
    return and_(hours.minimum <= value, hours.maximum >= value)


def _comparison(
    key: str,
    label: str,
    clause: Callable[[ColumnElement[Any], Any], ColumnElement[bool]],
    hour: Callable[[HourValues, Any], ColumnElement[bool]],
    *,
    in_form: bool = False,
) -> Operator:
    return Operator(key=key, label=label, parse=number, clause=clause, hour=hour, in_form=in_form)


_ALL = (
    _comparison("gt", ">", operator.gt, lambda hours, value: hours.maximum > value),
    _comparison("gte", "≥", operator.ge, lambda hours, value: hours.maximum >= value, in_form=True),
    _comparison("lt", "<", operator.lt, lambda hours, value: hours.minimum < value),
    _comparison("lte", "≤", operator.le, lambda hours, value: hours.minimum <= value, in_form=True),
    _comparison("eq", "=", operator.eq, _around),
    Operator(
        key="isnull",
        label="is missing",
        parse=_switch,
        clause=_is_null,
        hour=_some_null,
        in_form=True,
    ),
)
OPERATORS: dict[str, Operator] = {each.key: each for each in _ALL}
# The only operator with a value of yes or no, and the only one that NULL can match.
IS_NULL = OPERATORS["isnull"]


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition on a measurement; `value` is a bool for `isnull`, else a finite float."""

    column: str
    operator: Operator
    value: float | bool
    unit: str
    """The unit of the column."""
    endpoints: frozenset[str] | None = None
    """The stations that have the derived value; None for a column."""

    @property
    def name(self) -> str:
        """The parameter's name."""
        return f"{self.column}__{self.operator.key}"

    @property
    def text(self) -> str:
        """The parameter's value, as `parse_query` reads it back."""
        if self.operator is IS_NULL:
            return "1" if self.value else "0"
        return f"{Decimal(repr(self.value)):f}".removesuffix(".0")

    def can_match(self, station: Station) -> bool:
        """Return False when the station lacks the column and the condition never holds for NULL."""
        if self.endpoints is not None:
            return station.endpoint in self.endpoints
        return self.column in station.columns or (self.operator is IS_NULL and bool(self.value))


# `latest` is the order of the old server: the newest readings, the oldest of them first.
Order = Literal["latest", "asc", "desc"]


@dataclass(frozen=True, slots=True)
class Move:
    """How far back the compared time is in the calendar."""

    days: int = 0
    years: int = 0


MOVES = {"day": Move(days=1), "week": Move(days=7), "year": Move(years=1)}
"""By value of the parameter `compare`."""


@dataclass(frozen=True, slots=True)
class Bound:
    """One end of the range of time, inclusive."""

    ms: int
    text: str
    """As written; a relative time is replaced by its instant, so that links stay valid."""
    phrase: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """A checked query; parameters that were left out are None or empty."""

    registry: Stations
    """The stations of the installation."""
    endpoints: tuple[str, ...] = ()
    measurements: tuple[str, ...] = ()
    """Columns of the table `readings`, in the registry's order; empty means all, if
    `derived` is empty too."""
    derived: tuple[str, ...] = ()
    """Names of derived values, in the order of their registry; no others are shown."""
    since: Bound | None = None
    until: Bound | None = None
    filters: tuple[Filter, ...] = ()
    incomplete: bool = False
    """Only readings in which a chosen measurement of their station is missing."""
    order: Order = "latest"
    limit: int | None = None
    cursor: Cursor | None = None
    newer_than: int | None = None
    """Only readings stored after this id, in the order of ids (the parameter `since`)."""
    bom: bool = False
    """Whether a CSV begins with a byte order mark."""
    raw: bool = False
    """Whether values are shown as they were stored, without corrections."""
    buckets: int | None = None
    """The most buckets of a chart's line."""
    is_drawn: bool = False
    """Whether people see the chart: then no day has too few buckets to show its ups and downs."""
    zone: tzinfo | None = None
    """The zone that days begin in; None for the system's own."""
    now_ms: int | None = None
    """The time of the request."""
    compare: str = ""
    """A key of `MOVES` or an endpoint with which the chart is compared."""
    default_limit: int | None = None
    """How many rows answer a query without `limit`; None means all of them."""

    @property
    def stations(self) -> tuple[Station, ...]:
        """The requested stations that have a chosen measurement, in the registry's order."""
        named = (s for s in self.registry.all if not self.endpoints or s.endpoint in self.endpoints)
        return tuple(s for s in named if self.chosen(s) or self.chosen_derived(s))

    @property
    def has_conditions(self) -> bool:
        """Whether it leaves out readings of its stations and its time."""
        return bool(self.filters) or self.incomplete

    @property
    def narrowed(self) -> bool:
        """Whether only some measurements or derived values were requested."""
        return bool(self.measurements or self.derived)

    def chosen(self, station: Station) -> tuple[str, ...]:
        """Return the chosen columns of the station, in the registry's order."""
        if not self.narrowed:
            return station.columns
        return tuple(column for column in station.columns if column in self.measurements)

    def chosen_derived(self, station: Station) -> tuple[Derived, ...]:
        """Return the chosen derived values of the station."""
        derived = derived_by_station(self.registry)[station.endpoint]
        return tuple(derived[name] for name in self.derived if name in derived)

    def needed(self, station: Station) -> tuple[str, ...]:
        """Return the chosen columns of the station and the inputs of its chosen derived values."""
        inputs = (column for derived in self.chosen_derived(station) for column in derived.inputs)
        return tuple(dict.fromkeys([*self.chosen(station), *inputs]))

    def of_readings(self) -> "Query":
        """Return the query with the inputs instead of derived values that need several readings."""
        others = [
            derived
            for station in self.stations
            for derived in self.chosen_derived(station)
            if not derived.is_of_reading
        ]
        if not others:
            return self
        inputs = {column for derived in others for column in derived.inputs} | {*self.measurements}
        names = {derived.name for derived in others}
        return replace(
            self,
            measurements=tuple(c for c in self.registry.columns if c in inputs),
            derived=tuple(name for name in self.derived if name not in names),
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The chosen columns of all requested stations, each once."""
        columns = columns_of(self.stations)
        return tuple(c for c in columns if not self.narrowed or c in self.measurements)

    @property
    def rows(self) -> int | None:
        """The most rows that the answer holds; None means no limit."""
        return self.limit if self.limit is not None else self.default_limit

    def query_string(
        self,
        cursor: Cursor | None = None,
        *,
        limit: bool = True,
        order: bool = True,
        compare: bool = True,
    ) -> str:
        """Return the canonical query string of this query, continued at `cursor`.

        `limit=False`, `order=False` and `compare=False` leave those out.
        """
        pairs = [("endpoint", endpoint) for endpoint in self.endpoints]
        pairs += [("measurement", column) for column in (*self.measurements, *self.derived)]
        pairs += [("from", self.since.text)] if self.since else []
        pairs += [("to", self.until.text)] if self.until else []
        pairs += [(each.name, each.text) for each in self.filters]
        pairs += [("incomplete", "1")] if self.incomplete else []
        pairs += [("order", self.order)] if order and self.order != "latest" else []
        pairs += [("limit", str(self.limit))] if limit and self.limit is not None else []
        pairs += [("cursor", str(cursor))] if cursor else []
        pairs += [("bom", "1")] if self.bom else []
        pairs += [("raw", "1")] if self.raw else []
        pairs += [("buckets", str(self.buckets))] if self.buckets is not None else []
        pairs += [("compare", self.compare)] if compare and self.compare else []
        return urlencode(pairs, safe=":")
