"""What the removed readings of each hour add up to: the part of a roll-up that no reading can give.

A roll-up is this and the readings that are left, whoever computes it and when. So a late reading of
a removed hour adds to it, and all roll-ups can be made anew without the removed readings.
"""

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Connection, exists, func, insert, literal, null, select

from flask10x.database.expressions import upsert
from flask10x.database.tables import removed_hours as table
from flask10x.database.tables import rollups

Sums = dict[str, Any]
"""A row of the table `rollups`, and of `removed_hours`."""

_COLUMNS = tuple(rollups.c.keys())


def of_hour(connection: Connection, endpoint: str, hour: int) -> dict[str, Sums]:
    """What is kept of this hour, by the measurement."""
    query = select(table).where(table.c.endpoint == endpoint, table.c.hour == hour)
    return {row["measurement"]: dict(row) for row in connection.execute(query).mappings()}


def together(one: Sums, other: Sums) -> Sums:
    """The sums of both, which are of the same hour and measurement."""
    totals = one["total"], other["total"]
    return one | {
        "readings": one["readings"] + other["readings"],
        "count": one["count"] + other["count"],
        "total": None if None in totals else sum(totals),
        "minimum": min(_values(one["minimum"], other["minimum"]), default=None),
        "maximum": max(_values(one["maximum"], other["maximum"]), default=None),
    }


def keep(connection: Connection, rows: Iterable[Sums]) -> None:
    """Have these rows from now on."""
    connection.execute(upsert(table), list(rows))


def restore(connection: Connection) -> None:
    """Put the kept hours into the empty roll-ups, to which the follower adds what is left."""
    kept = select(*(table.c[name] for name in _COLUMNS))
    connection.execute(insert(rollups).from_select(_COLUMNS, kept))


def fill(connection: Connection, endpoint: str, name: str) -> None:
    """Note in each kept hour that lacks this measurement that it had no value.

    As in `rollups` an hour has a row for each of the station's measurements, new ones too.
    """
    other = table.alias()
    lacks = ~exists().where(
        other.c.endpoint == endpoint, other.c.hour == table.c.hour, other.c.measurement == name
    )
    empty = select(
        *(table.c.endpoint, literal(name), table.c.hour, func.max(table.c.readings)),
        *(literal(0), literal(0.0), null(), null()),
    )
    of_station = empty.where(table.c.endpoint == endpoint, lacks)
    hours = of_station.group_by(table.c.endpoint, table.c.hour)
    connection.execute(insert(table).from_select(_COLUMNS, hours))


def have_values(connection: Connection, endpoint: str, names: Collection[str]) -> bool:
    """Whether a removed reading of the station had a value of one of these measurements."""
    query = select(table.c.hour).where(
        table.c.endpoint == endpoint, table.c.measurement.in_(names), table.c.count > 0
    )
    return connection.execute(query.limit(1)).first() is not None


def _values(*values: float | None) -> list[float]:
    return [value for value in values if value is not None]
