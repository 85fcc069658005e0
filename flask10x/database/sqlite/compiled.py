"""How SQLite says the expressions of `database/expressions.py`."""

from typing import Any

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from flask10x.database.elements import (
    Adjusted,
    Greatest,
    JsonNumbers,
    JsonSpans,
    Least,
    Quotient,
    Rounded,
    Total,
    Unindexed,
    Upsert,
)

SQLITE = "sqlite"


@compiles(Unindexed, SQLITE)
def _unindexed(element: Unindexed, compiler: SQLCompiler, **kw: Any) -> str:
    return f"+{_inner(element, compiler, **kw)}"


@compiles(Total, SQLITE)
def _total(element: Total, compiler: SQLCompiler, **kw: Any) -> str:
    # 0.0 where SQL's `sum` is NULL (https://www.sqlite.org/lang_aggfunc.html#sumunc).
    return f"total({_inner(element, compiler, **kw)})"


@compiles(Greatest, SQLITE)
def _greatest(element: Greatest, compiler: SQLCompiler, **kw: Any) -> str:
    return f"max({_inner(element, compiler, **kw)})"


@compiles(Least, SQLITE)
def _least(element: Least, compiler: SQLCompiler, **kw: Any) -> str:
    return f"min({_inner(element, compiler, **kw)})"


@compiles(Adjusted, SQLITE)
def _adjusted(element: Adjusted, compiler: SQLCompiler, **kw: Any) -> str:
    value, gain, offset = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({gain} * {value} + {offset})"


@compiles(Quotient, SQLITE)
def _quotient(element: Quotient, compiler: SQLCompiler, **kw: Any) -> str:
    # By 0 it is NULL already (https://www.sqlite.org/lang_expr.html#operators).
    one, other = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({one}) / {other}"


@compiles(Rounded, SQLITE)
def _rounded(element: Rounded, compiler: SQLCompiler, **kw: Any) -> str:
    return f"round({_inner(element, compiler, **kw)})"


@compiles(JsonNumbers, SQLITE)
def _numbers(element: JsonNumbers, compiler: SQLCompiler, **kw: Any) -> str:
    # https://www.sqlite.org/json1.html#jeach
    return f"json_each({_inner(element, compiler, **kw)})"


@compiles(JsonSpans, SQLITE)
def _spans(element: JsonSpans, compiler: SQLCompiler, **kw: Any) -> str:
    parts = (
        f"json_extract(value, '$[{place}]') AS {part}"
        for place, part in enumerate(("first", "second", "third"))
    )
    each = f"json_each({_inner(element, compiler, **kw)})"
    return f"(SELECT key AS place, {', '.join(parts)} FROM {each})"  # noqa: S608


@compiles(Upsert, SQLITE)
def _upsert(element: Upsert, compiler: SQLCompiler, **kw: Any) -> str:
    replacing = element.prefix_with("OR REPLACE")
    text: str = compiler.visit_insert(replacing, **kw)  # type: ignore[no-untyped-call]
    return text


def _inner(element: Any, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clause_expr.element, **kw)
