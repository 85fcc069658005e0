"""Roll-ups: the sums of each hour of each measurement, kept up to date by a follower of the log.

The follower takes the readings after the last id it has finished and computes each hour that they
fall into again, from all of its readings. So late and imported readings are no special case, and
repeating a piece does no harm. The new sums, the local days that they change (`days.py`) and the
new position are stored in one transaction.

The sums are those of values as they are shown. The transaction that writes or undoes a correction
notes from when on its hours are to be made again (`corrections.unapplied_ms`), and
`apply_corrections` makes them, a piece at a time. Whoever is killed meanwhile leaves the note to
the next one.
"""

from collections.abc import Callable, Iterator
from datetime import tzinfo
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, delete, select, update

from flask10x.database import removed
from flask10x.database.database import Database
from flask10x.database.dialects import last_id
from flask10x.database.expressions import floor_div, upsert
from flask10x.database.removed import Sums
from flask10x.database.station_columns import rollups_fit
from flask10x.database.tables import (
    corrections,
    followers,
    readings,
    removed_hours,
    rollup_days,
    rollup_zone,
    rollups,
)
from flask10x.history import days, sums
from flask10x.history.corrections import LAST_MS, Corrections, counting
from flask10x.history.sums import NO_VALUES, Four, Ids, ends_of
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


class _Unapplied(NamedTuple):
    """A correction whose hours are to be made again from a time on."""

    id: int
    endpoint: str
    unapplied_ms: int
    last_ms: int | None

    @property
    def hours(self) -> tuple[int, int]:
        """The first and the last of these hours."""
        last_ms = LAST_MS if self.last_ms is None else self.last_ms
        return self.unapplied_ms // HOUR_MS, last_ms // HOUR_MS


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
        written = counting(connection)
        rows = [
            row
            for endpoint, hour in hours
            for row in computed(stations.by_endpoint[endpoint], connection, hour, last, written)
        ]
        made = days.of_hours(stations, connection, rows, last)
        basis = _basis(stations, connection)

    def change(connection: Connection) -> None:
        if _basis(stations, connection) == basis and days.store(connection, made):
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


def apply_corrections(stations: Stations, database: Database, save: Save = save_at_once) -> bool:
    """Make the next hours of a correction that was written or undone as they are shown now.

    Return whether there may be more to do. Nothing is locked while it computes, and only rows that
    change are stored. Raises what `save` raises; then nothing has changed.
    """
    with database.reader.begin() as connection:
        note = _unapplied(stations, connection)
        if note is None or not rollups_fit(connection, stations):
            return False
        station, last = stations.by_endpoint[note.endpoint], position(connection)
        hours, written = _next_hours(station, connection, note), counting(connection)
        basis = _basis(stations, connection)
        rows = all_computed(station, connection, hours, last, written)
        ends = (hours[0], hours[-1]) if hours else (0, -1)
        stored = sums.stored_between(connection, station, rollups.c.hour, ends)
        touched = [hour for hour in hours if rows[hour] != stored.get(hour)]
        changed = [row for hour in touched for row in rows[hour] if row not in stored.get(hour, [])]
        # A day is made of all measurements of its hours.
        of_hours = [row for hour in touched for row in rows[hour]]
        made = days.of_hours(stations, connection, of_hours, last)
    is_end = len(hours) < PIECE_HOURS
    done = update(corrections).where(corrections.c.id == note.id)
    done = done.values(unapplied_ms=None if is_end else (hours[-1] + 1) * HOUR_MS)

    def change(connection: Connection) -> None:
        is_due = _unapplied(stations, connection) == note
        if is_due and _basis(stations, connection) == basis and days.store(connection, made):
            if changed:
                connection.execute(upsert(rollups), changed)
            connection.execute(done)

    save(database, change)
    return True


def _basis(stations: Stations, connection: Connection) -> tuple[object, ...]:
    """Return what computed sums are made of; once it has changed, they may not be stored.

    Another process may have followed, begun again, or made the hours of a newer correction. And a
    sum of kept sums and readings may differ in its last bit from that of all readings.
    """
    return (
        position(connection),
        counting(connection),
        removed.load_removed(connection),
        rollups_fit(connection, stations),
    )


def unapplied_hours(connection: Connection, endpoint: str) -> list[tuple[int, int]]:
    """Return the first and the last hour of what corrections of a station still have to change."""
    notes = connection.execute(_UNAPPLIED.where(corrections.c.endpoint == endpoint))
    return [_Unapplied._make(note).hours for note in notes]


def complete(stations: Stations, database: Database, zone: tzinfo | None) -> Iterator[int]:
    """Do what `catch_up` does, make all days, and apply all corrections.

    Days are of the zone that they already have or else of this one (None for the system's own).
    None are made when this machine has no rules of the zone.
    """
    with database.reader.begin() as connection:
        before = days.made(connection)
    zone_with_rules = zone_of(zone_name_of(zone) if before is None else before.zone)
    if before is None and zone_with_rules is not None:

        def begin(connection: Connection) -> None:
            # Then each piece of hours brings its days.
            if days.made(connection) is None:
                days.begin(connection, zone_with_rules)

        database.commit_change(begin)
    yield from catch_up(stations, database)
    # Days of the hours that were there before.
    while zone_with_rules is not None and days.follow(
        stations, database, zone_with_rules, Database.commit_change
    ):
        pass
    while apply_corrections(stations, database, Database.commit_change):
        pass


def forget(connection: Connection) -> None:
    """Delete all roll-ups except those of removed readings; the follower begins again."""
    connection.execute(delete(rollups))
    connection.execute(delete(rollup_days))
    connection.execute(delete(rollup_zone))
    removed.restore_removed_hours(connection)
    _move(connection, 0)


def computed(
    station: Station,
    connection: Connection,
    hour: int,
    last: int,
    written: Corrections | None = None,
) -> list[Sums]:
    """Return the roll-ups of a station's hour that its readings up to this id give.

    They are as these corrections show them; None stands for those that count now. The list is empty
    where there is no reading. Values are added in the order (received_at, id), so the sums are the
    same each time; then come those of removed readings.
    """
    written = counting(connection) if written is None else written
    shown = sums.shown_between(station, connection, ends_of(hour), last, written)
    kept = sums.stored_sums(connection, station, removed_hours.c.hour, hour)
    return _with_removed(station, hour, shown, kept, written)


def of_readings(
    endpoint: str, columns: tuple[str, ...], connection: Connection, hour: int, ids: Ids
) -> list[Sums]:
    """Return the sums of the stored readings with these ids alone, without corrections."""
    of_hour = sums.between(endpoint, columns, connection, ends_of(hour), ids)
    return _rows(endpoint, columns, hour, of_hour)


def _rows(
    endpoint: str, columns: tuple[str, ...], hour: int, of_hour: tuple[int, list[Four]]
) -> list[Sums]:
    count, fours = of_hour
    if not count:
        return []
    return [
        {"endpoint": endpoint, "measurement": column, "hour": hour, "readings": count}
        | dict(zip(_FOUR, four, strict=True))
        for column, four in zip(columns, fours, strict=True)
    ]


def _with_removed(
    station: Station,
    hour: int,
    shown: tuple[int, list[Four]],
    kept: list[Sums],
    written: Corrections,
) -> list[Sums]:
    """Return the roll-ups of an hour's shown sums and of what is kept of its removed readings.

    Of an hour that a correction cuts it can't be said which of the removed readings it concerns.
    Then none of them is shown.
    """
    rows = _rows(station.endpoint, station.columns, hour, shown)
    of_kept: dict[str, Sums] = {}
    for stored in kept:
        name = stored["measurement"]
        segments = written.segments(station.endpoint, name, *ends_of(hour))
        four = stored["count"], stored["total"], stored["minimum"], stored["maximum"]
        shown_four = sums.as_shown(four, segments[0]) if len(segments) == 1 else NO_VALUES
        of_kept[name] = stored | dict(zip(_FOUR, shown_four, strict=True))
    if not (rows and kept):
        return rows or [*of_kept.values()]
    return [removed.with_removed(of_kept[row["measurement"]], row) for row in rows]


def _unapplied(stations: Stations, connection: Connection) -> _Unapplied | None:
    """Return the first correction of these stations whose hours are to be made again."""
    of_stations = corrections.c.endpoint.in_(stations.by_endpoint)
    row = connection.execute(_UNAPPLIED.where(of_stations).limit(1)).first()
    return None if row is None else _Unapplied._make(row)


def _next_hours(station: Station, connection: Connection, note: _Unapplied) -> list[int]:
    """Return the next hours of a correction."""
    first, last = note.hours
    of_station = rollups.c.endpoint == station.endpoint
    query = select(rollups.c.hour).where(of_station, rollups.c.measurement == station.columns[0])
    query = query.where(rollups.c.hour >= first, rollups.c.hour <= last)
    return [*connection.execute(query.order_by(rollups.c.hour).limit(PIECE_HOURS)).scalars()]


def all_computed(
    station: Station,
    connection: Connection,
    hours: list[int],
    last: int,
    written: Corrections,
) -> dict[int, list[Sums]]:
    """Return what `computed` does of each of many hours, which are in the order of time.

    It takes two statements, and some more for an hour that a correction cuts.
    """
    if not hours:
        return {}
    ends = hours[0], hours[-1]
    stored = sums.of_hours(station, connection, ends, last)
    kept = sums.stored_between(connection, station, removed_hours.c.hour, ends)
    rows: dict[int, list[Sums]] = {}
    for hour in hours:
        segments = [written.segments(station.endpoint, c, *ends_of(hour)) for c in station.columns]
        if any(len(of_column) > 1 for of_column in segments):
            rows[hour] = computed(station, connection, hour, last, written)
            continue
        count, fours = stored.get(hour, (0, [NO_VALUES] * len(segments)))
        pairs = zip(fours, segments, strict=True)
        shown = [sums.as_shown(four, of_column[0]) for four, of_column in pairs]
        rows[hour] = _with_removed(station, hour, (count, shown), kept.get(hour, []), written)
    return rows


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
    connection.execute(upsert(followers).values(name=NAME, last_id=last))


_FOUR = ("count", "total", "minimum", "maximum")
_UNAPPLIED = (
    select(*(corrections.c[name] for name in _Unapplied._fields))
    .where(corrections.c.unapplied_ms.is_not(None))
    .order_by(corrections.c.id)
)
_NEXT = (
    select(readings.c.id, readings.c.endpoint, floor_div(readings.c.received_at, HOUR_MS))
    .where(readings.c.id > bindparam("begin"), readings.c.id <= bindparam("last"))
    .order_by(readings.c.id)
)
