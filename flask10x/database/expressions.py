"""The expressions that only SQLite understands, or that only its planner needs."""

from typing import Any

from sqlalchemy import (
    CTE,
    BindParameter,
    ColumnElement,
    Integer,
    Select,
    Subquery,
    bindparam,
    case,
    func,
    select,
)
from sqlalchemy.sql.expression import UnaryExpression
from sqlalchemy.sql.operators import custom_op


def unindexed(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The column's value, of which SQLite makes no use in an index.

    (https://www.sqlite.org/optoverview.html#uplus)
    """
    return UnaryExpression(column, operator=custom_op("+"), type_=column.type)


def floor_div(value: ColumnElement[Any], width: int | BindParameter[int]) -> ColumnElement[Any]:
    """The number of the step of this width, 2 or more, that a whole number lies in.

    SQLite's own division rounds towards 0: what lies just before 1970 would be in the first hour
    of 1970 (https://www.sqlite.org/lang_expr.html#operators).
    """
    return value // width - case((value % width < 0, 1), else_=0)


def sums_of(column: ColumnElement[Any]) -> tuple[ColumnElement[Any], ...]:
    """Count, total, least and greatest of a column's values; NULLs are left out.

    (`total` is 0.0 where SQL's `sum` is NULL: https://www.sqlite.org/lang_aggfunc.html#sumunc)
    """
    return (func.count(column), func.total(column), func.min(column), func.max(column))


def listed(name: str) -> Select[Any]:
    """The numbers of a JSON list, the parameter of this name.

    (https://www.sqlite.org/json1.html#jeach)
    """
    numbers = func.json_each(bindparam(name)).table_valued("value")
    return select(numbers.c.value)


def by_itself(statement: Select[Any]) -> Subquery:
    """A subquery that SQLite computes row by row, each of its columns once.

    Without the limit, which limits nothing, a column's expression would be put into the outer
    statement wherever that names it (https://www.sqlite.org/optoverview.html#flattening).
    """
    return statement.limit(-1).subquery()


def spans(name: str) -> CTE:
    """The lists of three whole numbers in a JSON list, the parameter of this name.

    With the columns `place` (in the list, 0 for the first), `first`, `second` and `third`. A table
    that is joined to it by an outer join is looked into once for each of them.
    """
    found = func.json_each(bindparam(name)).table_valued("key", "value")
    parts = (
        func.json_extract(found.c.value, f"$[{place}]", type_=Integer).label(part)
        for place, part in enumerate(("first", "second", "third"))
    )
    # Else the JSON would be taken apart for each row.
    return select(found.c.key.label("place"), *parts).cte("span").prefix_with("MATERIALIZED")
