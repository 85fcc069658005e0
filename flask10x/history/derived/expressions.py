"""Derived values of a reading in SQL, for conditions that compare them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Float, and_, case, func, null

from flask10x.database.dialects import of
from flask10x.database.expressions import rounded
from flask10x.readings.derived.functions import Functions
from flask10x.readings.derived.registry import RESULT_DIGITS, Derived


class _Sql:
    """Of mathematical functions that both engines call alike.

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
_NAMES = ("ln", "exp")


def has_functions(connection: Connection) -> bool:
    """Whether the engine has what the formulas need; not every SQLite was built with it."""
    return of(connection).has_functions(connection, _NAMES)


def derived_value(one: Derived, inputs: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    """The value of a reading, NULL as `Derived.of_inputs` has None; only of those of a reading."""
    if one.kind.formula is None:
        raise ValueError(f"{one.name} is not of one reading")
    held = computed(one, inputs)
    return case((held.between(*one.kind.result), held), else_=null())


def computed(one: Derived, inputs: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    """The value, rounded, where its inputs are within their limits; it may be beyond its own.

    One that is not of a reading has two inputs, as `Derived.change`.
    """
    kind = one.kind
    if kind.formula is None:
        value, limits = inputs[0] - inputs[1], kind.limits * 2
    else:
        altitude = [one.altitude_m] if kind.needs_altitude else []
        value, limits = kind.formula(*inputs, *altitude, SQL), kind.limits
    pairs = zip(inputs, limits, strict=True)
    # Within the CASE, for the logarithm of what is beyond them may be none.
    within = and_(*(each.between(*ends) for each, ends in pairs))
    return case((within, rounded(value, RESULT_DIGITS)), else_=null())
