"""Derived values of a reading in SQL, for conditions that compare them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Float, and_, case, func, null

from flask10x.readings.derived.functions import Functions
from flask10x.readings.derived.registry import RESULT_DIGITS, Derived


class _Sql:
    """Of SQLite's mathematical functions (https://www.sqlite.org/lang_mathfunc.html)."""

    def ln(self, value: Any, /) -> Any:
        return func.ln(value, type_=Float)

    def exp(self, value: Any, /) -> Any:
        return func.exp(value, type_=Float)

    def below(self, value: Any, pieces: Sequence[tuple[float, Any]], otherwise: Any, /) -> Any:
        return case(*((value < limit, piece) for limit, piece in pieces), else_=otherwise)


SQL: Functions = _Sql()


def derived_value(one: Derived, inputs: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    """The value of a reading, NULL as `Derived.of_inputs` has None; only of those of a reading."""
    if one.kind.formula is None:
        raise ValueError(f"{one.name} is not of one reading")
    altitude = [one.altitude_m] if one.kind.needs_altitude else []
    value = func.round(one.kind.formula(*inputs, *altitude, SQL), RESULT_DIGITS, type_=Float)
    pairs = zip(inputs, one.kind.limits, strict=True)
    # Within the first CASE, for the logarithm of what is beyond them may be none.
    held = case((and_(*(each.between(*limits) for each, limits in pairs)), value), else_=null())
    return case((held.between(*one.kind.result), held), else_=null())
