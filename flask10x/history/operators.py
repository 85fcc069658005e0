"""The operators that filter a measurement: one table for the SQL, the form and the caption."""

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, and_

from flask10x.history.corrections.expressions import HourValues
from flask10x.readings.reasons import Reason, WrongValue
from flask10x.readings.stations import Station


@dataclass(frozen=True, kw_only=True, slots=True)
class Operator:
    """One way to filter a measurement, written `<column>__<key>=<value>`."""

    key: str
    label: str
    """What the form calls it."""
    read: Callable[[str], float | bool]
    """The parameter's text -> its value; raises WrongValue with the reason."""
    phrase: Callable[[str], str]
    """The value's text with its unit -> how a caption goes on after the measurement's name."""
    clause: Callable[[ColumnElement[Any], Any], ColumnElement[bool]]
    """The column and the value, or a bound parameter for it -> the condition."""
    hour: Callable[[HourValues, Any], ColumnElement[bool]]
    """What is known of an hour and the same value -> whether a value of it can fulfil it."""
    in_form: bool = False
    """Whether the form offers it for every measurement."""


def _switch(text: str) -> bool:
    words = {"1": True, "true": True, "0": False, "false": False}
    if text.lower() not in words:
        raise WrongValue(Reason("switch_needed"))
    return words[text.lower()]


def number(text: str) -> float:
    """The number that a reader writes; raises WrongValue."""
    if re.fullmatch(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)", text) and math.isfinite(float(text)):
        return float(text)
    raise WrongValue(Reason("number_needed"))


def _is_null(column: ColumnElement[Any], wanted: bool) -> ColumnElement[bool]:
    return column.is_(None) if wanted else column.is_not(None)


def _some_null(hours: HourValues, wanted: bool) -> ColumnElement[bool]:
    return hours.values < hours.readings if wanted else hours.values > 0


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
    phrase = f"{label} {{}}".format
    return Operator(
        key=key, label=label, read=number, phrase=phrase, clause=clause, hour=hour, in_form=in_form
    )


_ALL = (
    _comparison("gt", ">", operator.gt, lambda hours, value: hours.maximum > value),
    _comparison("gte", "≥", operator.ge, lambda hours, value: hours.maximum >= value, in_form=True),
    _comparison("lt", "<", operator.lt, lambda hours, value: hours.minimum < value),
    _comparison("lte", "≤", operator.le, lambda hours, value: hours.minimum <= value, in_form=True),
    _comparison("eq", "=", operator.eq, _around),
    Operator(
        key="isnull",
        label="is missing",
        read=_switch,
        phrase={"1": "is missing", "0": "is present"}.__getitem__,
        clause=_is_null,
        hour=_some_null,
        in_form=True,
    ),
)
OPERATORS: dict[str, Operator] = {one.key: one for one in _ALL}
# The one operator whose value is yes or no, and the only one that a NULL can satisfy.
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
    """Of a derived value the stations that have it; None for a column."""

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

    @property
    def phrase(self) -> str:
        """`co2 ≥ 1000 ppm`."""
        unit = "" if self.operator is IS_NULL else self.unit
        return f"{self.column} {self.operator.phrase(f'{self.text} {unit}'.rstrip())}"

    def can_match(self, station: Station) -> bool:
        """False when the station lacks the column and the condition never holds for a NULL."""
        if self.endpoints is not None:
            return station.endpoint in self.endpoints
        return self.column in station.columns or (self.operator is IS_NULL and bool(self.value))
