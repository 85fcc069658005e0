"""How PostgreSQL says the expressions of `database/expressions.py`."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Integer, Text, union_all
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import functions
from sqlalchemy.sql.compiler import SQLCompiler, TypeCompiler

from flask10x.database.elements import (
    Adjusted,
    Greatest,
    InOrder,
    JsonNumbers,
    JsonSpans,
    Least,
    Quotient,
    Rounded,
    Total,
    Unindexed,
    Upsert,
)

POSTGRESQL = "postgresql"
# A mark on the dialect of an engine by which SQLAlchemy looks at tables: PostgreSQL's own functions
# take numbers of 4 bytes only.
READS_CATALOG = "flask10x_reads_catalog"
# What is beyond is no double (IEEE 754, binary64), and would be an error: this is rounded to the
# greatest one, 1.7976931348623157e308.
DOUBLE_MAX = "1.7976931348623158e308"
# A little less than the greatest double, and twice the least one above 0: as far as a product may
# be off by the rounding of a quotient.
NEARLY_MAX, NEARLY_0 = "1.797693134862315e308", "1e-323"


@compiles(Integer, POSTGRESQL)
def _whole(_type: Integer, compiler: TypeCompiler, **_kw: Any) -> str:
    """A parameter is said to be of this type, and times in milliseconds need 41 bits."""
    return "INTEGER" if hasattr(compiler.dialect, READS_CATALOG) else "BIGINT"


@compiles(Unindexed, POSTGRESQL)
def _unindexed(element: Unindexed, compiler: SQLCompiler, **kw: Any) -> str:
    inner = _inner(element, compiler, **kw)
    return f"({inner} || '')" if isinstance(element.type, Text) else f"+{inner}"


@compiles(Total, POSTGRESQL)
def _total(element: Total, compiler: SQLCompiler, **kw: Any) -> str:
    # Added up as decimals, which is exact: the same in whatever order the rows are read
    # (https://www.postgresql.org/docs/17/datatype-numeric.html).
    exact = f"coalesce(sum({_decimal(_inner(element, compiler, **kw))}), 0)"
    return f"CASE WHEN abs({exact}) <= {DOUBLE_MAX} THEN CAST({exact} AS DOUBLE PRECISION) END"


@compiles(Greatest, POSTGRESQL)
def _greatest(element: Greatest, compiler: SQLCompiler, **kw: Any) -> str:
    return f"greatest({_inner(element, compiler, **kw)})"


@compiles(Least, POSTGRESQL)
def _least(element: Least, compiler: SQLCompiler, **kw: Any) -> str:
    return f"least({_inner(element, compiler, **kw)})"


@compiles(Adjusted, POSTGRESQL)
def _adjusted(element: Adjusted, compiler: SQLCompiler, **kw: Any) -> str:
    """What would be infinite, or too small to be other than 0, is an error of PostgreSQL's.

    The bounds are of numbers that can't be beyond a double themselves: constants are computed
    before it is known which arm they are needed for
    (https://www.postgresql.org/docs/17/functions-conditional.html#FUNCTIONS-CASE).
    """
    value, gain, offset = (compiler.process(clause, **kw) for clause in element.clauses)
    beyond = f"({_double(NEARLY_MAX)} - abs({offset})) / greatest({gain}, 1)"
    nothing = f"{_double(NEARLY_0)} / least({gain}, 1)"
    return (
        f"CASE WHEN abs({value}) > {beyond} THEN sign({value}) * {_double('Infinity')}"
        f" WHEN {gain} < 1 AND abs({value}) <= {nothing} THEN {offset}"
        f" ELSE {gain} * {value} + {offset} END"
    )


@compiles(Quotient, POSTGRESQL)
def _quotient(element: Quotient, compiler: SQLCompiler, **kw: Any) -> str:
    one, other = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({one}) / nullif({other}, 0)"


@compiles(Rounded, POSTGRESQL)
def _rounded(element: Rounded, compiler: SQLCompiler, **kw: Any) -> str:
    value, digits = (compiler.process(clause, **kw) for clause in element.clauses)
    # Only decimals are rounded to a number of places.
    return f"CAST(round({_decimal(value)}, {digits}) AS DOUBLE PRECISION)"


@compiles(JsonNumbers, POSTGRESQL)
def _numbers(element: JsonNumbers, compiler: SQLCompiler, **kw: Any) -> str:
    inner = _inner(element, compiler, **kw)
    each = f"jsonb_array_elements(CAST({inner} AS JSONB)) AS one (each)"
    return f"(SELECT CAST(each AS BIGINT) AS value FROM {each})"  # noqa: S608


@compiles(JsonSpans, POSTGRESQL)
def _spans(element: JsonSpans, compiler: SQLCompiler, **kw: Any) -> str:
    inner = _inner(element, compiler, **kw)
    parts = (
        f"CAST(each -> {place} AS BIGINT) AS {part}"
        for place, part in enumerate(("first", "second", "third"))
    )
    each = f"jsonb_array_elements(CAST({inner} AS JSONB)) WITH ORDINALITY AS one (each, number)"
    return f"(SELECT number - 1 AS place, {', '.join(parts)} FROM {each})"  # noqa: S608


@compiles(InOrder, POSTGRESQL)
def _in_order(element: InOrder, compiler: SQLCompiler, **kw: Any) -> str:
    """PostgreSQL merges what is in order, but does not put it in order for that by itself."""
    order, most = element._order_by_clauses, element._limit_clause
    selects: Sequence[Any] = element.selects
    branches = [one.order_by(*order).limit(most) for one in selects]
    return compiler.process(union_all(*branches).order_by(*order).limit(most), **kw)


@compiles(Upsert, POSTGRESQL)
def _upsert(element: Upsert, compiler: SQLCompiler, **kw: Any) -> str:
    # https://www.postgresql.org/docs/17/sql-insert.html#SQL-ON-CONFLICT
    table: Any = element.table
    quote = compiler.preparer.quote
    key = ", ".join(quote(column.name) for column in table.primary_key)
    others = (quote(column.name) for column in table.c if not column.primary_key)
    taken = ", ".join(f"{name} = excluded.{name}" for name in others)
    plain: str = compiler.visit_insert(element, **kw)  # type: ignore[no-untyped-call]
    return f"{plain} ON CONFLICT ({key}) DO UPDATE SET {taken}"


@compiles(functions.sum, POSTGRESQL)
def _sum(element: functions.sum[Any], compiler: SQLCompiler, **kw: Any) -> str:
    inner = f"sum({_inner(element, compiler, **kw)})"
    # A sum of BIGINT is a decimal, for which psycopg gives Python's Decimal.
    return f"CAST({inner} AS BIGINT)" if isinstance(element.type, Integer) else inner


def _decimal(double: str) -> str:
    """The shortest decimal that is this double and no other one, as everything else shows it.

    Cast at once it would have 15 digits, and take twice as long
    (https://www.postgresql.org/docs/17/datatype-numeric.html#DATATYPE-FLOAT).
    """
    return f"CAST(CAST({double} AS TEXT) AS NUMERIC)"


def _double(text: str) -> str:
    return f"CAST('{text}' AS DOUBLE PRECISION)"


def _inner(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clause_expr.element, **kw)
