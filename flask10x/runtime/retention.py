"""Retention: how long the readings of each station are kept, and when the next are removed.

`removal.py` removes readings; a worker that removes none does not load it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import func, select

from flask10x.config.settings import Settings
from flask10x.database import csv_owner, removed
from flask10x.database.database import Database
from flask10x.database.expressions import spans, unindexed
from flask10x.database.removed import Removed
from flask10x.database.tables import readings
from flask10x.history.view import View
from flask10x.readings.obstacles import Obstacle
from flask10x.readings.stations import Station
from flask10x.readings.times import DAY_MS, HOUR_MS


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
    """When the oldest stored reading was received, in UTC epoch milliseconds.

    None when there is only the last one, which is kept.
    """
    obstacle: Obstacle | None
    """Why due readings can't be removed."""
    path: str = ""
    """The archived file of the obstacle; empty for the file of the station."""
    command: str = ""
    """The command that clears the obstacle; empty where none is known."""

    @property
    def goes_at(self) -> int | None:
        """Return when the oldest reading is due, at a whole hour."""
        if self.oldest_at is None:
            return None
        return -(-(self.oldest_at + 1 + self.days * DAY_MS) // HOUR_MS) * HOUR_MS

    def is_late(self, now_ms: int) -> bool:
        """Return whether it should have been removed long ago."""
        return self.goes_at is not None and now_ms - self.goes_at > LATE_MS


def outlooks(settings: Settings, database: Database, view: View) -> list[Outlook]:
    """Return one for each station whose readings are removed some day."""
    stations = [station for station in view.stations.all if days_of(settings, station)]
    if not stations:
        return []
    ends = view.connection.execute(_ENDS, _listed(stations, view.removed)).all()
    listed = [
        Outlook(
            station=stations[place],
            days=days_of(settings, stations[place]),
            removed=view.removed.get(stations[place].endpoint, removed.NOTHING_REMOVED),
            oldest_at=None if oldest == newest else oldest,
            obstacle=None,
        )
        for place, oldest, newest in ends
    ]
    due = [each for each in listed if each.goes_at is not None and each.goes_at <= view.now_ms]
    hindered = {each.station: each for each in _with_obstacles(settings, database, view, due)}
    return [hindered.get(each.station, each) for each in listed]


def _listed(stations: Sequence[Station], removed_until: Mapping[str, Removed]) -> dict[str, str]:
    """Return the parameter of the statements below: the stations, and the last removed readings."""
    nothing = removed.NOTHING_REMOVED
    endpoints = [station.endpoint for station in stations]
    listed = [(name, None, removed_until.get(name, nothing).last_id, 0, 0) for name in endpoints]
    return {"stations": json.dumps(listed)}


_STATIONS = spans("stations")
_ENDS = select(
    _STATIONS.c.place,
    *(
        select(end(readings.c.received_at))
        .where(readings.c.endpoint == _STATIONS.c.endpoint)
        .correlate(_STATIONS)
        .scalar_subquery()
        for end in (func.min, func.max)
    ),
).order_by(_STATIONS.c.place)
# The next reading of each station to be removed. With the index it would read all entries of the
# station.
_NEXT_IDS = select(
    _STATIONS.c.endpoint,
    select(readings.c.id)
    .where(
        unindexed(readings.c.endpoint) == _STATIONS.c.endpoint,
        readings.c.id > _STATIONS.c.first,
    )
    .order_by(readings.c.id)
    .limit(1)
    .correlate(_STATIONS)
    .scalar_subquery(),
)


def _with_obstacles(
    settings: Settings, database: Database, view: View, due: Sequence[Outlook]
) -> list[Outlook]:
    """Return those whose next reading something keeps, with that; all of them have one."""
    if not due:
        return []
    # Imported here, so that a worker that removes nothing does not load them.
    from flask10x.export import removable  # noqa: PLC0415
    from flask10x.export.rows import Log, columns_with_values  # noqa: PLC0415
    from flask10x.export.target import target_of  # noqa: PLC0415

    connection, stations = view.connection, [each.station for each in due]
    if csv_owner.is_elsewhere(settings, connection):
        return [replace(each, obstacle="other_host") for each in due]
    log = Log(connection)
    following = connection.execute(_NEXT_IDS, _listed(stations, view.removed)).all()
    ids: dict[str, int] = dict(following)
    values = columns_with_values(connection, list(ids.values()))
    outlooks = []
    for outlook in due:
        target = target_of(settings, database, outlook.station, log)
        number = ids[outlook.station.endpoint]
        if kept_by := removable.hindrance(target, number, values[number]):
            obstacle, command = kept_by.obstacle, removable.command(target, kept_by)
            kept = replace(outlook, obstacle=obstacle, path=kept_by.path, command=command)
            outlooks.append(kept)
    return outlooks
