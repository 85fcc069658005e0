"""Roll-ups: the sums of each hour of each measurement, kept up to date by a follower of the log.

The follower takes the readings after the last id it has finished and computes each hour that they
fall into again, from all of its readings. So late and imported readings are no special case, and
repeating a piece does no harm. The new sums, the local days that they change (`days.py`) and the
new position are stored in one transaction.
"""

from collections.abc import Callable, Iterator
from datetime import tzinfo

from sqlalchemy import Connection, bindparam, delete, select

from flask10x.database import removed
from flask10x.database.database import Database
from flask10x.database.dialects import last_id
from flask10x.database.expressions import floor_div, upsert
from flask10x.database.removed import Sums
from flask10x.database.station_columns import rollups_fit
from flask10x.database.tables import followers, readings, rollup_days, rollup_zone, rollups
from flask10x.history import days, sums
from flask10x.history.sums import Ids, ends_of
from flask10x.history.view import RollupProgress
from flask10x.readings.stations import Station, Stations
from flask10x.readings.times import HOUR_MS, zone_name_of, zone_of

NAME = "rollups"
# One piece of the log takes a few tenths of a second to compute, beside the writers ...
PIECE_ROWS = 20_000
# ... and some milliseconds to store, while they wait. An old file can have an hour in each row.
PIECE_HOURS = 500

Hour = tuple[str, int]
"""A station's endpoint and an hour of UTC since 1970."""
Change = Callable[[Connection], None]
Save = Callable[[Database, Change], None]


def save_at_once(database: Database, change: Change) -> None:
    """Save a change in one attempt; raises what `Database.commit` raises."""
    with database.commit() as connection:
        change(connection)


def position(connection: Connection) -> int:
    """Return the last id whose reading is in the roll-ups."""
    query = select(followers.c.last_id).where(followers.c.name == NAME)
    return connection.execute(query).scalar_one_or_none() or 0


def behind(connection: Connection) -> int:
    """Return how many ids the follower has still to take."""
    return progress(connection).behind


def progress(connection: Connection) -> RollupProgress:
    """Return how far the follower has come."""
    return RollupProgress(position(connection), last_id(connection))


def follow(stations: Stations, database: Database, save: Save = save_at_once) -> int:
    """Take one piece of the log and return how many ids remain after it.

    Nothing is locked while it computes. Raises what `save` raises; then nothing has changed. When
    the roll-ups are those of other stations, it does nothing and returns 0: either this worker or
    the others have not been reloaded yet.
    """
    with database.reader.begin() as connection:
        begin, end = position(connection), last_id(connection)
        if begin >= end or not rollups_fit(connection, stations):
            return 0
        hours, last = _touched(stations, connection, begin, end)
        rows = [
            row
            for endpoint, hour in hours
            for row in computed(stations.by_endpoint[endpoint], connection, hour, last)
        ]
        made = days.of_hours(stations, connection, rows, last)
        gone = removed.load_removed(connection)

    def change(connection: Connection) -> None:
        # Another process may have followed or begun again meanwhile; then its result counts.
        if position(connection) != begin or not rollups_fit(connection, stations):
            return
        # A sum of kept sums and readings may differ in its last bit from that of all readings.
        if removed.load_removed(connection) != gone:
            return
        if not days.store(connection, made):
            return
        if rows:
            connection.execute(upsert(rollups), rows)
        _move(connection, last)

    save(database, change)
    return end - last


def catch_up(stations: Stations, database: Database) -> Iterator[int]:
    """Take the log to its end, piece by piece, and yield each time how many ids remain.

    A service can follow and store readings meanwhile. Raises LockTimeout or
    sqlalchemy.exc.DBAPIError when the database could not be written for seconds.
    """
    while True:
        ids = follow(stations, database, Database.commit_change)
        yield ids
        if not ids:
            return


def complete(stations: Stations, database: Database, zone: tzinfo | None) -> Iterator[int]:
    """Do what `catch_up` does, and make all days.

    Days are of the zone that they already have or else of this one (None for the system's own).
    None are made when this machine has no rules of the zone.
    """
    with database.reader.begin() as connection:
        before = days.made(connection)
    zone_with_rules = zone_of(zone_name_of(zone) if before is None else before.zone)
    if before is None and zone_with_rules is not None:
        # Then each piece of hours brings its days.
        database.commit_change(
            lambda connection: days.begin_where_none(connection, zone_with_rules)
        )
    yield from catch_up(stations, database)
    # Days of the hours that were there before.
    while zone_with_rules is not None and days.follow(
        stations, database, zone_with_rules, Database.commit_change
    ):
        pass


def forget(connection: Connection) -> None:
    """Delete all roll-ups except those of removed readings; the follower begins again."""
    connection.execute(delete(rollups))
    connection.execute(delete(rollup_days))
    connection.execute(delete(rollup_zone))
    removed.restore_removed_hours(connection)
    _move(connection, 0)


def computed(station: Station, connection: Connection, hour: int, last: int) -> list[Sums]:
    """Return the roll-ups of a station's hour that its readings up to this id give.

    The list is empty where there is no reading. Values are added in the order (received_at, id),
    so the sums are the same each time; then come those of removed readings.
    """
    rows = of_readings(station.endpoint, station.columns, connection, hour, Ids(last))
    removed_rows = removed.removed_of_hour(connection, station.endpoint, hour)
    if not (rows and removed_rows):
        return rows or [removed_rows[name] for name in station.columns if name in removed_rows]
    return [removed.with_removed(removed_rows[row["measurement"]], row) for row in rows]


def of_readings(
    endpoint: str, columns: tuple[str, ...], connection: Connection, hour: int, ids: Ids
) -> list[Sums]:
    """Return the same of the stored readings with these ids alone."""
    count, fours = sums.between(endpoint, columns, connection, ends_of(hour), ids)
    if not count:
        return []
    return [
        {"endpoint": endpoint, "measurement": column, "hour": hour, "readings": count}
        | dict(zip(("count", "total", "minimum", "maximum"), four, strict=True))
        for column, four in zip(columns, fours, strict=True)
    ]


def _touched(
    stations: Stations, connection: Connection, begin: int, end: int
) -> tuple[list[Hour], int]:
    """Return the hours of the next piece of the log, and the last id of the piece."""
    last = min(begin + PIECE_ROWS, end)
    hours: dict[Hour, None] = {}
    for number, endpoint, hour in connection.execute(_NEXT, {"begin": begin, "last": last}):
        if endpoint not in stations.by_endpoint or (endpoint, hour) in hours:
            continue
        if len(hours) == PIECE_HOURS:
            return list(hours), number - 1
        hours[endpoint, hour] = None
    return list(hours), last


def _move(connection: Connection, last: int) -> None:
    moved = upsert(followers).values(name=NAME, last_id=last)
    connection.execute(moved)


_NEXT = (
    select(readings.c.id, readings.c.endpoint, floor_div(readings.c.received_at, HOUR_MS))
    .where(readings.c.id > bindparam("begin"), readings.c.id <= bindparam("last"))
    .order_by(readings.c.id)
)
