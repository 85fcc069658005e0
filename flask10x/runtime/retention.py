"""Retention: how long each station's readings are kept, and what goes next, and when.

What removes readings is `removal.py`; a worker that removes nothing does not load it.
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
    """After how many days the station's readings are removed; 0: never."""
    own = station.retention_days
    return settings.retention_days if own is None else own


def kept_since(days: int, now_ms: int) -> int:
    """Readings received before this, in UTC epoch milliseconds, are old; the start of an hour."""
    return (now_ms - days * DAY_MS) // HOUR_MS * HOUR_MS


# What is due goes within minutes; after a long time without power, or behind a reading that is not
# old yet, it takes longer.
LATE_MS = 7 * DAY_MS


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlook:
    """One station's."""

    station: Station
    days: int
    """After how many days its readings go."""
    gone: Removed
    oldest_at: int | None
    """When the oldest reading that is left was received, in UTC epoch milliseconds; None when there
    is none but the last one, which stays."""
    obstacle: "Obstacle | None"
    """What keeps readings that are due."""
    path: str = ""
    """The archived file that this is about; empty for the station's own."""
    command: str = ""
    """What clears it; empty where that is not known."""

    @property
    def goes_at(self) -> int | None:
        """When that one is due, at a whole hour."""
        if self.oldest_at is None:
            return None
        return -(-(self.oldest_at + 1 + self.days * DAY_MS) // HOUR_MS) * HOUR_MS

    def is_late(self, now_ms: int) -> bool:
        """Whether it should have gone long ago."""
        return self.goes_at is not None and now_ms - self.goes_at > LATE_MS


def outlooks(settings: Settings, database: Database, view: View) -> list[Outlook]:
    """One for each station with a number of days; none where nothing is ever removed."""
    stations = [one for one in view.stations.all if days_of(settings, one)]
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
    gone = view.removed.get(station.endpoint, removed.NOTHING_REMOVED)
    outlook = Outlook(
        station=station,
        days=days_of(settings, station) or 0,
        gone=gone,
        oldest_at=None if oldest == newest else oldest,
        obstacle=None,
    )
    if outlook.goes_at is None or outlook.goes_at > view.now_ms:
        return outlook
    # Only here: a worker that removes nothing does without.
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
        _next_id(connection, station.endpoint, gone),
    )
    if kept_by is None:
        return outlook
    command = removable.command(target, kept_by)
    return replace(outlook, obstacle=kept_by.obstacle, path=kept_by.path, command=command)


def _next_id(connection: Connection, endpoint: str, gone: Removed) -> int:
    """The id of the reading that goes next; there is one."""
    # By the index it would read all of the station's entries.
    of_station = unindexed(readings.c.endpoint) == endpoint
    query = select(readings.c.id).where(of_station, readings.c.id > gone.last_id)
    number: int = connection.execute(query.order_by(readings.c.id).limit(1)).scalar_one()
    return number
