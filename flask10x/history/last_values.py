"""The newest value of a measurement that a station's newest reading lacks.

A failed sensor may have been silent for a second or for years, and a page asks each time it is
opened. So the station's last readings are looked through first, then its roll-ups, an entry an
hour, and then the readings of one hour: some hundred, some thousand and some hundred entries.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select

from flask10x.database.station_columns import rollups_fit
from flask10x.database.tables import measurement, readings, rollups
from flask10x.history.corrections import known
from flask10x.history.pages import Row
from flask10x.history.rollups import ends_of
from flask10x.history.statements import STATEMENTS
from flask10x.readings.stations import Stations
from flask10x.readings.times import HOUR_MS

# Four hours of a station that sends twice a minute; a third of a millisecond on a PC.
RECENT_ROWS = 500
# A year. What has said nothing for longer is not told: its value would help nobody.
HOURS_BACK = 366 * 24


@dataclass(frozen=True, slots=True)
class OlderValue:
    """A value and when it was received, in UTC epoch milliseconds."""

    value: float
    received_at: int


def last_values(
    connection: Connection, stations: Stations, newest: Row, columns: Iterable[str]
) -> dict[str, OlderValue]:
    """The newest value of each of these columns of a station, whose newest reading lacks them.

    A column is left out that has had none among the last RECENT_ROWS readings nor, as far as the
    roll-ups know, in the HOURS_BACK hours before the newest reading; so is one whose value then is
    hidden.
    """
    found = {name: _recent(connection, newest, name) for name in columns}
    if None in found.values() and rollups_fit(connection, stations):
        for name in [name for name, value in found.items() if value is None]:
            found[name] = _rolled_up(connection, newest, name)
    corrections, shown = known.load(connection), dict[str, OlderValue]()
    for name, older in found.items():
        if older is not None:
            at = older.received_at
            value = corrections.shown(newest.endpoint, name, at, older.value)
            shown |= {} if value is None else {name: OlderValue(value, at)}
    return shown


def _recent(connection: Connection, newest: Row, column: str) -> OlderValue | None:
    return _first(connection, _among_recent(column), {"endpoint": newest.endpoint})


def _rolled_up(connection: Connection, newest: Row, column: str) -> OlderValue | None:
    last_hour = newest.received_at // HOUR_MS
    limits = {"first": last_hour - HOURS_BACK, "last": last_hour}
    which = {"endpoint": newest.endpoint, "measurement": column}
    hour = connection.execute(_NEWEST_HOUR, limits | which).scalar_one_or_none()
    if hour is None:
        return None
    low_ms, high_ms = ends_of(hour)
    within = {"endpoint": newest.endpoint, "low_ms": low_ms, "high_ms": high_ms}
    return _first(connection, _in_hour(column), within)


def _first(
    connection: Connection, statement: Select[Any], values: dict[str, Any]
) -> OlderValue | None:
    record = connection.execute(statement, values).one_or_none()
    return None if record is None else OlderValue(*record)


@lru_cache(maxsize=STATEMENTS)
def _among_recent(column: str) -> Select[Any]:
    recent = (
        select(readings.c.id, readings.c.received_at, measurement(column).label("value"))
        .where(readings.c.endpoint == bindparam("endpoint"))
        .order_by(readings.c.received_at.desc(), readings.c.id.desc())
        .limit(RECENT_ROWS)
        .subquery()
    )
    return (
        select(recent.c.value, recent.c.received_at)
        .where(recent.c.value.is_not(None))
        .order_by(recent.c.received_at.desc(), recent.c.id.desc())
        .limit(1)
    )


@lru_cache(maxsize=STATEMENTS)
def _in_hour(column: str) -> Select[Any]:
    at, value = readings.c.received_at, measurement(column)
    return (
        select(value, at)
        .where(readings.c.endpoint == bindparam("endpoint"), value.is_not(None))
        .where(at >= bindparam("low_ms"), at <= bindparam("high_ms"))
        .order_by(at.desc(), readings.c.id.desc())
        .limit(1)
    )


_NEWEST_HOUR = (
    select(rollups.c.hour)
    .where(
        rollups.c.endpoint == bindparam("endpoint"),
        rollups.c.measurement == bindparam("measurement"),
        rollups.c.hour >= bindparam("first"),
        rollups.c.hour <= bindparam("last"),
        rollups.c.count > 0,
    )
    .order_by(rollups.c.hour.desc())
    .limit(1)
)
