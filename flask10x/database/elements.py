"""The elements of statements that each engine says in its own words.

`expressions.py` makes them; `sqlite/compiled.py` and `postgres/compiled.py` say them.
"""

from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Float, Insert, Integer
from sqlalchemy.sql.functions import FunctionElement


class Unindexed(FunctionElement[Any]):
    """The value of a column, of which no use is made in an index."""

    name = "unindexed"
    inherit_cache = True

    def __init__(self, column: ColumnElement[Any]) -> None:
        self.type = column.type
        super().__init__(column)


class Total(FunctionElement[float]):
    """The sum of a column's values, 0.0 of none; NULL where no double can hold it."""

    name = "total"
    type = Float()
    inherit_cache = True


class Greatest(FunctionElement[int]):
    """The greater of two numbers, neither of which is NULL."""

    name = "greatest"
    type = Integer()
    inherit_cache = True


class Least(FunctionElement[int]):
    """The lesser of two numbers, neither of which is NULL."""

    name = "least"
    type = Integer()
    inherit_cache = True


class Adjusted(FunctionElement[float]):
    """A float times another one above 0, plus a third; infinite where no double can hold it."""

    name = "adjusted"
    type = Float()
    inherit_cache = True


class Quotient(FunctionElement[float]):
    """A float divided by a column of whole numbers; NULL where that is 0."""

    name = "quotient"
    type = Float()
    inherit_cache = True


class Rounded(FunctionElement[float]):
    """A number with so many decimals, halves away from 0; the second argument is a literal."""

    name = "rounded"
    type = Float()
    inherit_cache = True


class JsonNumbers(FunctionElement[Any]):
    """The table of the whole numbers in a JSON list, with the column `value`."""

    name = "json_numbers"
    inherit_cache = True


class JsonSpans(FunctionElement[Any]):
    """The table of the lists of three whole numbers in a JSON list; see `spans`."""

    name = "json_spans"
    inherit_cache = True


class InOrder(CompoundSelect[Any]):
    """A UNION ALL in an order and with a limit; see `in_order`."""

    inherit_cache = True


class Upsert(Insert):
    """An INSERT of rows each of which takes the place of the one with its primary key."""

    inherit_cache = True
