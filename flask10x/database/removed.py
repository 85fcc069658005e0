"""How far each station's readings were removed (RETENTION_DAYS), in the order of their ids."""

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, exists, func, insert, literal, null, select, update

from flask10x.database import tables
from flask10x.database.expressions import upsert
from flask10x.database.tables import FIRST_MS, corrections, removed_hours, rollups


@dataclass(frozen=True, slots=True)
class Removed:
    """What is gone of one station."""

    last_id: int = 0
    """Its readings up to this id are gone; 0 when none was ever removed."""
    last_ms: int | None = None
    """None of them was received later than this, in UTC epoch milliseconds."""
    readings: int = 0
    """How many they were."""


NOTHING_REMOVED = Removed()


def load_removed(connection: Connection) -> dict[str, Removed]:
    """Return what is removed, by the endpoint of each station of which anything is."""
    return {
        row.endpoint: Removed(row.last_id, row.last_ms, row.readings)
        for row in connection.execute(select(tables.removed))
    }


def removed_of_station(connection: Connection, endpoint: str) -> Removed:
    """What is gone of this station."""
    return load_removed(connection).get(endpoint, NOTHING_REMOVED)


def note_removed(connection: Connection, endpoint: str, removed: Removed) -> None:
    """Note in the transaction that removes them how far the station's readings are gone."""
    connection.execute(upsert(tables.removed).values(endpoint=endpoint, **asdict(removed)))


# What the removed readings of each hour add up to: the part of a roll-up that no reading can give.
#
# A roll-up is the sum of this and of the readings that are left. So a late reading of a removed
# hour adds to it, and all roll-ups can be recomputed without the removed readings.

Sums = dict[str, Any]
"""A row of the table `rollups`, and of `removed_hours`."""

_COLUMNS = tuple(rollups.c.keys())


def removed_of_hour(connection: Connection, endpoint: str, hour: int) -> dict[str, Sums]:
    """What is kept of this hour, by the measurement."""
    query = select(removed_hours).where(
        removed_hours.c.endpoint == endpoint, removed_hours.c.hour == hour
    )
    return {row["measurement"]: dict(row) for row in connection.execute(query).mappings()}


def with_removed(sums: Sums, other: Sums) -> Sums:
    """The sums of both, which are of the same hour and measurement."""
    totals = sums["total"], other["total"]
    return sums | {
        "readings": sums["readings"] + other["readings"],
        "count": sums["count"] + other["count"],
        "total": None if None in totals else sum(totals),
        "minimum": min(_values(sums["minimum"], other["minimum"]), default=None),
        "maximum": max(_values(sums["maximum"], other["maximum"]), default=None),
    }


def keep_removed_hours(connection: Connection, rows: Iterable[Sums]) -> None:
    """Store these rows in `removed_hours`."""
    connection.execute(upsert(removed_hours), list(rows))


def restore_removed_hours(connection: Connection) -> None:
    """Put the kept hours into the empty roll-ups, to which the follower adds what is left.

    They are as they were stored; the corrections of these stations are to be applied again.
    """
    rows = select(*(removed_hours.c[name] for name in _COLUMNS))
    connection.execute(insert(rollups).from_select(_COLUMNS, rows))
    connection.execute(
        update(corrections)
        .where(corrections.c.undone_at.is_(None))
        .where(corrections.c.endpoint.in_(select(tables.removed.c.endpoint)))
        .values(unapplied_ms=func.coalesce(corrections.c.first_ms, FIRST_MS))
    )


def fill_removed_hours(connection: Connection, endpoint: str, name: str) -> None:
    """Note in each kept hour that lacks this measurement that it had no value.

    As in `rollups` an hour has a row for each of the station's measurements, new ones too.
    """
    other = removed_hours.alias()
    lacks = ~exists().where(
        other.c.endpoint == endpoint,
        other.c.hour == removed_hours.c.hour,
        other.c.measurement == name,
    )
    empty = select(
        *(
            removed_hours.c.endpoint,
            literal(name),
            removed_hours.c.hour,
            func.max(removed_hours.c.readings),
        ),
        *(literal(0), literal(0.0), null(), null()),
    )
    of_station = empty.where(removed_hours.c.endpoint == endpoint, lacks)
    hours = of_station.group_by(removed_hours.c.endpoint, removed_hours.c.hour)
    connection.execute(insert(removed_hours).from_select(_COLUMNS, hours))


def have_values(connection: Connection, endpoint: str, names: Collection[str]) -> bool:
    """Whether a removed reading of the station had a value of one of these measurements."""
    query = select(removed_hours.c.hour).where(
        removed_hours.c.endpoint == endpoint,
        removed_hours.c.measurement.in_(names),
        removed_hours.c.count > 0,
    )
    return connection.execute(query.limit(1)).first() is not None


def _values(*values: float | None) -> list[float]:
    return [value for value in values if value is not None]
