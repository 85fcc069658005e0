"""Retention: how long the readings of each station are kept, and when the next are removed.

`removal.py` removes readings; a worker that removes none does not load it.
"""

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Select, func, select

from flask10x.config.settings import Settings
from flask10x.database import csv_owner, removed
from flask10x.database.database import Database
from flask10x.database.expressions import spans, unindexed
from flask10x.database.removed import Removed
from flask10x.database.tables import readings
from flask10x.history.view import View
from flask10x.readings.stations import Station
from flask10x.readings.times import DAY_MS, HOUR_MS

if TYPE_CHECKING:
    from flask10x.export.removable import Obstacle


def days_of(settings: Settings, station: Station) -> int:
    """Return after how many days the readings of the station are removed; 0: never."""
    days = station.retention_days
    return settings.retention_days if days is None else days


def kept_since(days: int, now_ms: int) -> int:
    """Return the start of the hour before which readings are old, in UTC epoch milliseconds."""
    return (now_ms - days * DAY_MS) // HOUR_MS * HOUR_MS


# Due readings are removed within minutes; after a long time without power, or after a reading that
# is not old yet, it takes longer.
LATE_MS = 7 * DAY_MS


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlook:
    """What is removed of one station, and when."""

    station: Station
    days: int
    """After how many days its readings are removed."""
    removed: Removed
    oldest_at: int | None
    """When the oldest stored reading was received, in UTC epoch milliseconds; None when there is
    only
    the last one, which is kept."""
    obstacle: "Obstacle | None"
    """Why due readings can't be removed."""
    path: str = ""
    """The archived file of the obstacle; empty for the file of the station."""
    command: str = ""
    """The command that clears the obstacle; empty where none is known."""

    @property
    def goes_at(self) -> int | None:
        """When the oldest one is due, at a whole hour."""
        if self.oldest_at is None:
            return None
        return -(-(self.oldest_at + 1 + self.days * DAY_MS) // HOUR_MS) * HOUR_MS

    def is_late(self, now_ms: int) -> bool:
        """Whether it should have been removed long ago."""
        return self.goes_at is not None and now_ms - self.goes_at > LATE_MS


def outlooks(settings: Settings, database: Database, view: View) -> list[Outlook]:
    """Return one for each station whose readings are removed some day."""
    stations = [station for station in view.stations.all if days_of(settings, station)]
    if not stations:
        return []
    listed = [(station.endpoint, None, 0, 0, 0) for station in stations]
    ends = view.connection.execute(_ENDS, {"stations": json.dumps(listed)}).all()
    return [
        _outlook(settings, database, view, stations[place], (oldest, newest))
        for place, oldest, newest in ends
    ]


def _ends_statement() -> Select[Any]:
    stations = spans("stations")
    ends = (
        select(end(readings.c.received_at))
        .where(readings.c.endpoint == stations.c.endpoint)
        .correlate(stations)
        .scalar_subquery()
        for end in (func.min, func.max)
    )
    return select(stations.c.place, *ends).order_by(stations.c.place)


_ENDS = _ends_statement()


def _outlook(
    settings: Settings,
    database: Database,
    view: View,
    station: Station,
    ends: tuple[int | None, int | None],
) -> Outlook:
    connection = view.connection
    oldest, newest = ends
    removed_until = view.removed.get(station.endpoint, removed.NOTHING_REMOVED)
    outlook = Outlook(
        station=station,
        days=days_of(settings, station) or 0,
        removed=removed_until,
        oldest_at=None if oldest == newest else oldest,
        obstacle=None,
    )
    if outlook.goes_at is None or outlook.goes_at > view.now_ms:
        return outlook
    # Imported here, so that a worker that removes nothing does not load them.
    from flask10x.export import archived, removable  # noqa: PLC0415
    from flask10x.export.outcome import target_of  # noqa: PLC0415
    from flask10x.export.position import state_of  # noqa: PLC0415

    if csv_owner.is_elsewhere(settings, connection):
        return replace(outlook, obstacle="other_host")
    target = target_of(settings, database, station)
    kept_by = removable.hindrance(
        target,
        state_of(connection, target.name),
        archived.load(connection, station.endpoint),
        _next_id(connection, station.endpoint, removed_until),
    )
    if kept_by is None:
        return outlook
    command = removable.command(target, kept_by)
    return replace(outlook, obstacle=kept_by.obstacle, path=kept_by.path, command=command)


def _next_id(connection: Connection, endpoint: str, removed_until: Removed) -> int:
    """Return the id of the next reading to be removed; there is one."""
    # With the index it would read all entries of the station.
    of_station = unindexed(readings.c.endpoint) == endpoint
    query = select(readings.c.id).where(of_station, readings.c.id > removed_until.last_id)
    number: int = connection.execute(query.order_by(readings.c.id).limit(1)).scalar_one()
    return number
