"""Roll-ups of local days, which are made of those of hours.

The total of a day is the exact sum of its hours (`math.fsum`), so it does not depend on the order
in which hours were added, and computing it again gives the same bits. Where midnight lies within an
hour of UTC, as in India, the readings of that hour are divided at midnight. An hour whose readings
were removed since counts as a whole to the day in which it begins.

The days are of one zone, which the table `rollup_zone` names. Each roll-up of hours updates the
days of that zone. When the service runs in another zone, it makes all days again, in pieces.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import cached_property, partial
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, insert, select

from flask10x.database.cursors import MAX_CURSOR_MS, MIN_CURSOR_MS
from flask10x.database.database import Database
from flask10x.database.expressions import upsert
from flask10x.database.station_columns import rollups_fit
from flask10x.database.tables import followers, rollup_days, rollup_zone, rollups
from flask10x.history import sums
from flask10x.history.corrections import Corrections, counting
from flask10x.history.local_time import day_of, day_start
from flask10x.history.sums import Four
from flask10x.readings.stations import Station, Stations
from flask10x.readings.times import DAY_MS, HOUR_MS, zone_name_of, zone_of

# Days of a station that are made at a time: they take some ten milliseconds to compute and one or
# two to store, during which the writers wait.
PIECE_DAYS = 100
# More hours than a day has, also when one of them is shared with another day.
DAY_HOURS = 26
# Before the first day that a reading can be of.
BEFORE_ALL = MIN_CURSOR_MS // DAY_MS - 2

Sums = dict[str, Any]
"""A row of the table `rollup_days`."""
Save = Callable[[Database, Callable[[Connection], None]], None]


@dataclass(frozen=True, slots=True)
class DaysMade:
    """Which days have been made."""

    zone: str
    """The name of the zone that they are of."""
    endpoint: str | None = None
    """While days are being made: those of the stations before this one are complete ..."""
    day: int | None = None
    """... and those of this one up to this day; None when all are made."""

    @property
    def are_all(self) -> bool:
        """Whether every hour that is rolled up is in its day."""
        return self.endpoint is None


@dataclass(frozen=True, slots=True)
class DayRows:
    """New rows of days, and their zone; None while there are no days."""

    zone: str | None = None
    rows: list[Sums] = field(default_factory=list)
    is_known: bool = True
    """Whether this machine has rules of the zone; days of another zone can't be updated."""


def made(connection: Connection) -> DaysMade | None:
    """Return which days have been made; None when none ever were."""
    row = connection.execute(_MADE).one_or_none()
    return None if row is None else DaysMade(*row)


def begin(connection: Connection, zone: tzinfo | None) -> None:
    """Begin days of this zone; `follow` makes those of the hours that there are."""
    _store(
        connection,
        DaysMade(zone_name_of(zone), *(("", BEFORE_ALL) if _any_hour(connection) else ())),
    )


def of_hours(stations: Stations, connection: Connection, hours: list[Sums], last: int) -> DayRows:
    """Return the days that new roll-ups of hours change, made of all hours up to the id `last`."""
    state = made(connection)
    if state is None:
        return DayRows()
    zone = zone_of(state.zone)
    if zone is None:
        return DayRows(state.zone, is_known=False)
    new: defaultdict[tuple[str, int], dict[int, list[Sums]]] = defaultdict(dict)
    for row in hours:
        for day in _days_of(row["hour"], zone):
            new[row["endpoint"], day].setdefault(row["hour"], []).append(row)
    maker = DayMaker(connection, zone, last)
    rows = [
        row
        for (endpoint, day), newer in new.items()
        for row in maker.rows(stations.by_endpoint[endpoint], day, newer)
    ]
    return DayRows(state.zone, rows)


def store(connection: Connection, rows: DayRows) -> bool:
    """Store the rows; return False without storing them when the days are of another zone now."""
    state = made(connection)
    if (None if state is None else state.zone) != rows.zone:
        return False
    if not rows.is_known:
        connection.execute(delete(rollup_zone))
    if rows.rows:
        connection.execute(upsert(rollup_days), rows.rows)
    return True


@dataclass(frozen=True)
class DayMaker:
    """Makes the roll-ups of days of a zone from those of hours, which reach up to an id."""

    connection: Connection
    zone: tzinfo | None
    last_id: int

    @cached_property
    def _corrections(self) -> Corrections:
        return counting(self.connection)

    def rows(
        self, station: Station, day: int, newer: Mapping[int, list[Sums]] | None = None
    ) -> list[Sums]:
        """Return the roll-ups of a station's day; none where it has no reading.

        Hours in `newer` count instead of those in the table.
        """
        ends = day_start(day, self.zone), day_start(day + 1, self.zone)
        if ends[0] == ends[1]:
            return []
        hours = {"first": ends[0] // HOUR_MS, "end": -(-ends[1] // HOUR_MS)}
        values = {"endpoint": station.endpoint, "columns": station.columns} | hours
        rows_of: defaultdict[int, list[Any]] = defaultdict(list)
        for row in self.connection.execute(_HOURS, values):
            rows_of[row.hour].append(row[1:])
        names = ("measurement", "readings", "count", "total", "minimum", "maximum")
        for hour, rows in (newer or {}).items():
            rows_of[hour] = [tuple(row[name] for name in names) for row in rows]
        by_column: defaultdict[str, list[tuple[int, Four]]] = defaultdict(list)
        for hour, rows in rows_of.items():
            for name, readings, four in self._part(station, hour, rows, ends):
                by_column[name].append((readings, four))
        return [
            {
                "endpoint": station.endpoint,
                "measurement": column,
                "day": day,
                "readings": sum(readings for readings, _ in of_column),
                "count": sum(four[0] for _, four in of_column),
                "total": _total([four[1] for _, four in of_column]),
                "minimum": min((f[2] for _, f in of_column if f[2] is not None), default=None),
                "maximum": max((f[3] for _, f in of_column if f[3] is not None), default=None),
            }
            for column in station.columns
            if (of_column := by_column[column])
        ]

    def _part(
        self, station: Station, hour: int, rows: list[Any], day: tuple[int, int]
    ) -> Iterator[tuple[str, int, Four]]:
        """Yield what an hour adds to a day: measurement, readings, sums."""
        low_ms, end_ms = hour * HOUR_MS, (hour + 1) * HOUR_MS
        whole = ((name, readings, tuple(four)) for name, readings, *four in rows)
        if day[0] <= low_ms and end_ms <= day[1]:
            yield from whole
            return
        count, _ = self._between(station, low_ms, end_ms)
        if count < rows[0][1]:
            # Some were removed since, so that the hour can't be divided.
            if day[0] <= low_ms:
                yield from whole
            return
        count, fours = self._between(station, max(low_ms, day[0]), min(end_ms, day[1]))
        if count:
            yield from ((n, count, four) for n, four in zip(station.columns, fours, strict=True))

    def _between(self, station: Station, low_ms: int, end_ms: int) -> tuple[int, list[Four]]:
        ends = (low_ms, end_ms - 1)
        return sums.shown_between(station, self.connection, ends, self.last_id, self._corrections)


def follow(stations: Stations, database: Database, zone: tzinfo | None, save: Save) -> bool:
    """Make the next piece of the days that are not made yet, or not in this zone.

    Return whether there may be more to do. No days are made in a zone of which this machine has no
    rules. Nothing is locked while it computes. Raises what `save` raises; then nothing has changed.
    """
    name = zone_name_of(zone)
    zone_with_rules = zone_of(name)
    if zone_with_rules is None:
        return False
    piece = None
    with database.reader.begin() as connection:
        state, position = made(connection), _position(connection)
        if not rollups_fit(connection, stations):
            return False
        if state is not None and state.zone == name:
            if state.are_all:
                return False
            piece = _piece(stations, connection, state, zone_with_rules)
        is_more = piece is not None or _any_hour(connection)

    def change(connection: Connection) -> None:
        # Another process may have begun again or rolled up hours meanwhile.
        if made(connection) != state or _position(connection) != position:
            return
        if piece is None:
            begin(connection, zone)
        else:
            piece(connection)

    save(database, change)
    return is_more


def _piece(
    stations: Stations, connection: Connection, state: DaysMade, zone: tzinfo | None
) -> Callable[[Connection], None]:
    """Return what replaces the next days of one station, and stores which days are made then."""
    endpoints = sorted(s.endpoint for s in stations.all if s.endpoint >= (state.endpoint or ""))
    if not endpoints:
        return partial(_store, state=DaysMade(state.zone))
    station, after = stations.by_endpoint[endpoints[0]], BEFORE_ALL
    if endpoints[0] == state.endpoint and state.day is not None:
        after = state.day
    days = following(station, connection, after, zone)
    maker = DayMaker(connection, zone, _position(connection))
    rows = [row for day in days for row in maker.rows(station, day)]
    up_to, then = MAX_CURSOR_MS, DaysMade(state.zone)
    if len(days) == PIECE_DAYS:
        up_to, then = days[-1], DaysMade(state.zone, station.endpoint, days[-1])
    elif endpoints[1:]:
        then = DaysMade(state.zone, endpoints[1], BEFORE_ALL)
    old = {"endpoint": station.endpoint, "columns": station.columns}

    def replace_days(connection: Connection) -> None:
        connection.execute(_FORGET, old | {"after": after, "up_to": up_to})
        if rows:
            connection.execute(insert(rollup_days), rows)
        _store(connection, then)

    return replace_days


def following(
    station: Station, connection: Connection, after: int, zone: tzinfo | None
) -> list[int]:
    """Return the next PIECE_DAYS days after this one that have an hour."""
    bound: dict[str, Any] = {"endpoint": station.endpoint, "measurement": station.columns[0]}
    bound |= {"first": max(day_start(after + 1, zone), MIN_CURSOR_MS) // HOUR_MS}
    # PostgreSQL sends all rows, even when only the first ones are read.
    most = {"most": (PIECE_DAYS + 2) * DAY_HOURS}
    days_after: dict[int, None] = {}
    with connection.execute(_NEXT_HOURS, bound | most) as hours:
        for hour in hours.scalars():
            days_after |= dict.fromkeys(day for day in _days_of(hour, zone) if day > after)
            if len(days_after) > PIECE_DAYS:
                break
    return sorted(days_after)[:PIECE_DAYS]


def _days_of(hour: int, zone: tzinfo | None) -> Iterable[int]:
    """Return the days that an hour lies in: two when midnight lies within it."""
    first, last = (day_of(ms, zone) for ms in (hour * HOUR_MS, (hour + 1) * HOUR_MS - 1))
    return range(first, last + 1)


def _total(totals: list[float | None]) -> float | None:
    """Return the exact sum, rounded once; None when it is no number."""
    try:
        total = math.fsum(math.nan if value is None else value for value in totals)
    except (OverflowError, ValueError):
        return None
    return total if math.isfinite(total) else None


def _any_hour(connection: Connection) -> bool:
    return connection.execute(select(rollups.c.hour).limit(1)).first() is not None


def _position(connection: Connection) -> int:
    return connection.execute(_POSITION).scalar_one_or_none() or 0


def _store(connection: Connection, state: DaysMade) -> None:
    connection.execute(
        upsert(rollup_zone).values(
            id=1, zone=state.zone, after_endpoint=state.endpoint, after_day=state.day
        )
    )


_MADE = select(rollup_zone.c.zone, rollup_zone.c.after_endpoint, rollup_zone.c.after_day)
# The follower has the name of its table.
_POSITION = select(followers.c.last_id).where(followers.c.name == rollups.name)
_HOURS: Select[Any] = (
    select(
        *(rollups.c.hour, rollups.c.measurement, rollups.c.readings, rollups.c.count),
        *(rollups.c.total, rollups.c.minimum, rollups.c.maximum),
    )
    .where(rollups.c.endpoint == bindparam("endpoint"))
    .where(rollups.c.measurement.in_(bindparam("columns", expanding=True)))
    .where(rollups.c.hour >= bindparam("first"), rollups.c.hour < bindparam("end"))
)
_NEXT_HOURS = (
    select(rollups.c.hour)
    .where(rollups.c.endpoint == bindparam("endpoint"))
    .where(rollups.c.measurement == bindparam("measurement"))
    .where(rollups.c.hour >= bindparam("first"))
    .order_by(rollups.c.hour)
    .limit(bindparam("most"))
)
_FORGET = (
    delete(rollup_days)
    .where(rollup_days.c.endpoint == bindparam("endpoint"))
    .where(rollup_days.c.measurement.in_(bindparam("columns", expanding=True)))
    .where(rollup_days.c.day > bindparam("after"), rollup_days.c.day <= bindparam("up_to"))
)
