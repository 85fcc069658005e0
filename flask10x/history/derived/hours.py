"""Derived values of the averages of whole hours, as SQLite computes them from the roll-ups."""

from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Float, Select, and_, bindparam, func, select

from flask10x.database.expressions import adjusted, by_itself, floor_div, least, quotient, total
from flask10x.database.tables import rollups
from flask10x.history.buckets import Window
from flask10x.history.derived.expressions import computed
from flask10x.history.derived.pieces import HourPiece, inputs_of
from flask10x.history.lines import Line
from flask10x.history.statements import STATEMENTS
from flask10x.readings.derived.registry import Derived
from flask10x.readings.times import HOUR_MS

# Of the bucket.
_NUMBER = "_number"


def add_hours(
    connection: Connection, line: Line, one: Derived, piece: HourPiece, window: Window
) -> None:
    """Add the values of a piece's hours to a line whose buckets are those of the window.

    The piece has `adjusted`. An hour belongs to the bucket in which it begins.
    """
    unit_ms = window.step.unit_ms
    corrected = {
        f"{name}{place}": value
        for place, pair in enumerate(piece.adjusted or ())
        for name, value in zip(("gain", "offset"), pair, strict=True)
    }
    for run in window.runs(piece.first * HOUR_MS, piece.end * HOUR_MS - 1):
        given = corrected | {
            "first": -(-run.low_ms // HOUR_MS),
            "end": -(-(run.high_ms + 1) // HOUR_MS),
            "offset_ms": run.offset_ms,
            "unit_ms": unit_ms,
        }
        for number, *sums in connection.execute(_statement(one), given):
            line.add(window.place(max(number * unit_ms - run.offset_ms, run.low_ms)), *sums)


@lru_cache(maxsize=STATEMENTS)
def _statement(one: Derived) -> Select[Any]:
    """Count, total, least and greatest of the values of each bucket that has any."""
    values = by_itself(_values(one))
    value, count = values.c.value, values.c["count"]
    at_ms = values.c.hour * HOUR_MS + bindparam("offset_ms")
    return (
        select(
            floor_div(at_ms, bindparam("unit_ms")).label(_NUMBER),
            *(func.sum(count), total(value * count), func.min(value), func.max(value)),
        )
        .where(value.between(*one.kind.result))
        .group_by(_NUMBER)
    )


def _values(one: Derived) -> Select[Any]:
    averages = by_itself(_averages(one))
    inputs = [averages.c[f"input{place}"] for place in range(len(inputs_of(one)))]
    return select(averages.c.hour, averages.c["count"], computed(one, inputs).label("value"))


def _averages(one: Derived) -> Select[Any]:
    """The averages of all inputs in each hour, and of how many readings the fewest are."""
    base, *others = inputs_of(one)
    tables = [rollups.alias(f"rollups{place}") for place in range(len(others) + 1)]
    first = tables[0]
    hour = first.c.hour
    joined: Any = first
    for table, each in zip(tables[1:], others, strict=True):
        same = (table.c.endpoint == each.endpoint, table.c.measurement == each.column)
        joined = joined.join(table, and_(*same, table.c.hour == hour - each.hours_before))
    # A change is told by the later, or the inner, one.
    counted = tables if one.is_of_reading else tables[:1]
    count = first.c["count"] if len(counted) == 1 else least(*(t.c["count"] for t in counted))
    return (
        select(
            hour,
            count.label("count"),
            *(_average(t, place).label(f"input{place}") for place, t in enumerate(tables)),
        )
        .select_from(joined)
        .where(first.c.endpoint == base.endpoint, first.c.measurement == base.column)
        .where(hour >= bindparam("first"), hour < bindparam("end"))
    )


def _average(table: Any, place: int) -> ColumnElement[Any]:
    gain, offset = (bindparam(f"{name}{place}", type_=Float) for name in ("gain", "offset"))
    count = table.c["count"]
    return quotient(adjusted(table.c.total, gain, offset * count), count)
