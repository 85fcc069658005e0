"""Expressions whose SQL differs between the engines, or that only a planner needs.

`sqlite/statements.py` and `postgres/statements.py` define the SQL of each.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    BindParameter,
    ColumnElement,
    CompoundSelect,
    Float,
    Insert,
    Integer,
    Select,
    Table,
    Text,
    TextClause,
    bindparam,
    case,
    func,
    literal_column,
    select,
    union_all,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine


class Expression(FunctionElement[Any]):
    """An expression whose SQL each engine defines by its `name`."""

    inherit_cache = True


LATER = "flask10x_later"
"""The option of a statement whose result is not needed. It may be run with the next one, or with
the COMMIT; its error is then an error of that."""
Sql = str | Callable[..., str]
"""The SQL of an expression: a format that takes that of its arguments, or a function of them."""


def define(dialect: str, definitions: Mapping[str, Sql]) -> None:
    """Have SQLAlchemy compile the expressions for this dialect by these, by their names."""

    @compiles(Expression, dialect)
    def compile_(expression: Expression, compiler: SQLCompiler, **kw: Any) -> str:
        arguments = (compiler.process(clause, **kw) for clause in expression.clauses)
        sql = definitions[expression.name]
        return sql(*arguments) if callable(sql) else sql.format(*arguments)


def _expression(name: str, type_: TypeEngine[Any] | None = None) -> type[Expression]:
    attributes = {"name": name, "inherit_cache": True} | ({"type": type_} if type_ else {})
    return type(name, (Expression,), attributes)


_unindexed = _expression("unindexed")
_unindexed_text = _expression("unindexed_text")
_total = _expression("total", Float())
_greatest = _expression("greatest")
_adjusted = _expression("adjusted", Float())
_rounded = _expression("rounded", Float())
_json_numbers = _expression("json_numbers")
_json_spans = _expression("json_spans")
_last_id = _expression("last_id", Integer())


class InOrder(CompoundSelect[Any]):
    """A UNION ALL in an order and with a limit; see `in_order`."""

    inherit_cache = True


class Upsert(Insert):
    """An INSERT of rows each of which takes the place of the one with its primary key."""

    inherit_cache = True


@compiles(Upsert)
def _upsert(element: Upsert, compiler: SQLCompiler, **kw: Any) -> str:
    # https://www.postgresql.org/docs/17/sql-insert.html#SQL-ON-CONFLICT
    table: Any = element.table
    quote = compiler.preparer.quote
    key = ", ".join(quote(column.name) for column in table.primary_key)
    others = (quote(column.name) for column in table.c if not column.primary_key)
    assignments = ", ".join(f"{name} = excluded.{name}" for name in others)
    plain: str = compiler.visit_insert(element, **kw)  # type: ignore[no-untyped-call]
    return f"{plain} ON CONFLICT ({key}) DO UPDATE SET {assignments}"


# The columns of a table of spans, in the order in which a span lists them.
SPAN_TEXTS = ("endpoint", "measurement")
SPAN_NUMBERS = ("first", "second", "third")
# Any number, NULL where a span has none.
SPAN_VALUE = "value"


def upsert(table: Table) -> Insert:
    """An INSERT into this table, in which a row takes the place of the one with its primary key.

    The rows are to have a value for every column.
    """
    return Upsert(table)


def unindexed(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The column's value, of which the engine makes no use in an index.

    (https://www.sqlite.org/optoverview.html#uplus)
    """
    return _of_type(
        column, (_unindexed_text if isinstance(column.type, Text) else _unindexed)(column)
    )


def _of_type(value: ColumnElement[Any], expression: Expression) -> ColumnElement[Any]:
    # A parameter gets the type of what it is compared with: beside whole numbers 22.3 becomes 22.
    expression.type = value.type
    return expression


def floor_div(value: ColumnElement[Any], width: int | BindParameter[int]) -> ColumnElement[Any]:
    """The number of the step of this width, 2 or more, that a whole number lies in.

    The engines' own division rounds towards 0: what lies just before 1970 would be in the first
    hour of 1970 (https://www.sqlite.org/lang_expr.html#operators).
    """
    return value // width - case((value % width < 0, 1), else_=0)


def total(column: ColumnElement[Any]) -> ColumnElement[float]:
    """The sum of a column's values, 0.0 of none; NULL where no double can hold it."""
    return _total(column)


def greatest(value: ColumnElement[Any], other: Any) -> ColumnElement[Any]:
    """The greater of two numbers of one type, neither of which is NULL."""
    return _of_type(value, _greatest(value, other))


def adjusted(
    value: ColumnElement[Any], gain: ColumnElement[Any], offset: ColumnElement[Any]
) -> ColumnElement[float]:
    """Gain, above 0, times the value plus offset; infinite where no double can hold it."""
    return _adjusted(value, gain, offset)


def rounded(value: ColumnElement[Any], digits: int) -> ColumnElement[float]:
    """The value with so many decimals, halves away from 0."""
    return _rounded(value, literal_column(str(digits)))


def sums_of(column: ColumnElement[Any]) -> tuple[ColumnElement[Any], ...]:
    """Count, total, least and greatest of a column's values; NULLs are left out."""
    return (func.count(column), total(column), func.min(column), func.max(column))


def listed(name: str) -> Select[Any]:
    """The whole numbers of a JSON list, the parameter of this name."""
    numbers = _json_numbers(bindparam(name)).table_valued("value")
    return select(numbers.c.value)


def in_order(
    selects: Sequence[Select[Any]], order: Sequence[TextClause], most: BindParameter[int]
) -> CompoundSelect[Any]:
    """The first rows of them all in this order, at most so many; each is read no further than that.

    Nothing is sorted if an index has each of them in this order.
    """
    whole = InOrder(union_all(*selects).keyword, *selects)
    return whole.order_by(*order).limit(most)


def spans(name: str) -> CTE:
    """The spans of a JSON list, the parameter of this name.

    A span is a list of two texts, three whole numbers and, where it has one, any number: the
    columns `endpoint`, `measurement`, `first`, `second`, `third` and `value`, beside `place` (in
    the list, 0 for the first). A table that is joined to them by an outer join is looked into once
    for each of them.
    """
    rows = _json_spans(bindparam(name)).table_valued(
        "place", *SPAN_TEXTS, *SPAN_NUMBERS, SPAN_VALUE
    )
    # Else the JSON would be taken apart for each row.
    return select(*rows.c).cte(name).prefix_with("MATERIALIZED")


def last_id_of(table: Table) -> ColumnElement[int]:
    """The highest id that a row of this table ever had; NULL before the first."""
    return number_of(table.name)


def number_of(name: str) -> ColumnElement[int]:
    """The number that is kept under this name (`Statements.set_sequence`); NULL for none."""
    return _last_id(literal_column(f"'{name}'"))
