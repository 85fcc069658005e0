"""The removal of the oldest readings of a station, a piece at a time, after every follower.

Readings are removed in the order of their ids, so one id says how far. A reading is removed only if
the CSV file has it (`export/removable.py`). One transaction deletes the readings, keeps the sums of
their hours and moves the floor of the file, so all of it happens, or nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

from sqlalchemy import Connection, bindparam, delete, func, select

from flask10x.config.settings import Settings
from flask10x.database import csv_owner, removed
from flask10x.database.database import Database
from flask10x.database.expressions import greatest, unindexed, upsert
from flask10x.database.insert import HEAD, existing_columns
from flask10x.database.removed import Removed
from flask10x.database.station_columns import rollups_fit
from flask10x.database.tables import ARRIVAL, readings, rollup_days
from flask10x.database.tables import rollups as rollups_table
from flask10x.export import removable
from flask10x.export.files import ArchivedFile, State, load_files
from flask10x.export.removable import Proof, ProvingFile, ReadingObstacle, Unproven
from flask10x.export.target import Target, target_of
from flask10x.history import days, rollups
from flask10x.history.sums import Ids, stored_sums
from flask10x.readings.obstacles import Obstacle
from flask10x.readings.stations import Station
from flask10x.readings.times import FIRST_DATE_MS, HOUR_MS
from flask10x.system.locks import FileLock, lock_path

# The size of a piece, deleted in one transaction while writers wait: 24 ms on a PC of two busy
# cores.
PIECE_ROWS = 200
# How many rows one step compares with the file; after an import before older readings a piece may
# need several steps.
COMPARED_ROWS = 20_000
# How many ids one step searches for the next readings of a station that seldom sends.
SPAN_IDS = 200_000
# The note in the lock file, by which an export knows that the lock is released soon.
BRIEF = "retention"


@dataclass(frozen=True, slots=True)
class Removal:
    """The result of one step."""

    readings: int = 0
    """How many readings it has removed."""
    is_more: bool = False
    """Whether the next step can continue at once."""
    obstacle: Obstacle | None = None
    """Why old readings were not removed."""
    path: str = ""
    """The archived file of the obstacle; empty for the file of the station."""
    command: str = field(default="", compare=False)
    """The command that clears the obstacle."""
    difference: str = ""
    """The content of the CSV file that differs from a reading; nothing was removed."""


@dataclass(frozen=True, slots=True)
class OldReadings:
    """The next readings to be removed."""

    rows: Sequence[tuple[int, int]]
    """The id of each, and when it was received."""
    before: Removed

    @property
    def ids(self) -> list[int]:
        return [number for number, _ in self.rows]

    @property
    def after(self) -> Removed:
        """Return how far the readings of the station are removed with them."""
        latest = [at for _, at in self.rows]
        if self.before.last_ms is not None:
            latest.append(self.before.last_ms)
        total = self.before.readings + len(self.rows)
        return Removed(self.rows[-1][0], max(latest), total)


StationFiles = tuple[State, Sequence[ArchivedFile]]
"""The CSV file of the station and its archived ones, according to the database."""


class StationRemoval:
    """Removes the old readings of one station, a piece at each step."""

    def __init__(self, settings: Settings, database: Database, station: Station) -> None:
        self._settings = settings
        self._database = database
        self.station = station
        # Up to this id the station has no reading after the removed ones.
        self._empty_to = 0

    def step(self, kept_since_ms: int) -> Removal:
        """Remove the next piece of the readings that were received and came before this time.

        Raises what a query and a commit raise; then nothing has changed.
        """
        with self._database.reader.begin() as connection:
            oldest, newest = connection.execute(_ENDS, {"endpoint": self.station.endpoint}).one()
        # The newest one is kept.
        if oldest is None or oldest >= min(newest, kept_since_ms):
            return Removal()
        lock = FileLock(lock_path(self._database.path, "export"))
        try:
            if not lock.try_acquire():
                return Removal()
            lock.note(BRIEF)
            try:
                return self._step(kept_since_ms)
            finally:
                lock.note("")
        finally:
            lock.close()

    def _step(self, kept_since_ms: int) -> Removal:
        target = target_of(self._settings, self._database, self.station)
        state = target.state
        files = state, target.rows.log.files.archived_of(self.station.endpoint)
        if obstacle := removable.not_ready(target):
            return _hindered(target, obstacle)
        piece, is_more = self._next(state, kept_since_ms)
        if piece is None:
            return Removal(is_more=is_more)
        number, values = piece.ids[0], target.rows.columns_with_values(piece.ids)
        file = removable.file_for(target, number, values[number])
        if isinstance(file, ReadingObstacle):
            return _hindered(target, file)
        provable = set(file.provable(values))
        rows = list(takewhile(lambda row: row[0] in provable, piece.rows))
        is_more = is_more or len(rows) < len(piece.rows)
        piece = replace(piece, rows=rows)
        try:
            proof = removable.prove(file, piece.ids, COMPARED_ROWS)
        except Unproven as error:
            return Removal(difference=str(error))
        self._commit(piece, files, file, proof)
        return Removal(len(piece.rows) if proof.is_whole else 0, is_more or not proof.is_whole)

    def _files(self, connection: Connection) -> StationFiles:
        files = load_files(connection)
        return files.state(self.station.csv_name), files.archived_of(self.station.endpoint)

    def _next(self, state: State, kept_since_ms: int) -> tuple[OldReadings | None, bool]:
        """Return the next readings to be removed, and whether there may be more after them."""
        endpoint = self.station.endpoint
        with self._database.reader.begin() as connection:
            if not self._is_rolled_up(connection):
                return None, False
            before = removed.removed_of_station(connection, endpoint)
            after = max(before.last_id, self._empty_to)
            exported = state.position.last_id if state.position else 0
            last = min(exported, rollups.position(connection))
            until = min(last, after + SPAN_IDS)
            newest = connection.execute(_NEWEST, {"endpoint": endpoint}).scalar_one_or_none()
            span = {"endpoint": endpoint, "after": after, "until": until, "rows": PIECE_ROWS + 1}
            following = [
                (row.id, row.received_at, row.arrived_at) for row in connection.execute(_NEXT, span)
            ]
        self._empty_to = following[0][0] - 1 if following else until
        rows: list[tuple[int, int]] = []
        for number, at, arrived_at in following:
            # The newest reading is kept, and what follows one that is kept.
            if number == newest or at < FIRST_DATE_MS or arrived_at >= kept_since_ms:
                break
            rows.append((number, at))
        is_more = until < last and len(rows) == len(following)
        if len(rows) > PIECE_ROWS:
            # To the end of an hour where there is one.
            hour, end = rows[PIECE_ROWS][1] // HOUR_MS, PIECE_ROWS
            while end and rows[end - 1][1] // HOUR_MS == hour:
                end -= 1
            rows, is_more = rows[: end or PIECE_ROWS], True
        return (OldReadings(rows, before) if rows else None), is_more

    def _commit(
        self, piece: OldReadings, files: StationFiles, file: ProvingFile, proof: Proof
    ) -> None:
        """Remove the piece if it is proven, or else note how far the file was compared."""
        with self._database.commit() as connection:
            removed_now = removed.removed_of_station(connection, self.station.endpoint)
            is_unchanged = (
                not csv_owner.is_elsewhere(self._settings, connection)
                and self._files(connection) == files
                and removed_now == piece.before
                and rollups.position(connection) >= piece.after.last_id
                and self._is_rolled_up(connection)
            )
            if not is_unchanged:
                return
            removable.keep(connection, file, proof.floor)
            if proof.is_whole:
                self._remove(connection, piece)

    def _is_rolled_up(self, connection: Connection) -> bool:
        """Return whether there are hours and days of all measurements of these stations."""
        rolled_up = days.made(connection)
        fits = rollups_fit(connection, self._settings.stations)
        return fits and rolled_up is not None and rolled_up.are_all

    def _remove(self, connection: Connection, piece: OldReadings) -> None:
        endpoint = self.station.endpoint
        hours = sorted({at // HOUR_MS for _, at in piece.rows})
        columns = self.station.columns
        # Of others it may have had values before.
        former = existing_columns(connection).difference(columns, HEAD, (readings.c.id.name,))
        columns = (*columns, *sorted(former))
        in_hours = sum(self._keep(connection, columns, hour, piece) for hour in hours)
        deleted = connection.execute(_DELETE, {"ids": piece.ids}).rowcount
        if not in_hours == deleted == len(piece.rows):
            text = f"{deleted} readings of {endpoint} removed, {in_hours} kept in hours"
            raise RuntimeError(f"{text}, instead of {len(piece.rows)}")
        removed.note_removed(connection, endpoint, piece.after)
        at = rollups.position(connection)
        self._store(connection, hours, at)

    def _store(self, connection: Connection, hours: list[int], at: int) -> None:
        """Compute these hours and their days again: the sum of two parts may differ in a bit.

        Only rows that differ are written.
        """
        station, changed = self.station, []
        for hour in hours:
            rows = rollups.computed(station, connection, hour, at)
            if rows != stored_sums(connection, station, rollups_table.c.hour, hour):
                connection.execute(upsert(rollups_table), rows)
            changed += rows
        computed = days.of_hours(self._settings.stations, connection, changed, at)
        key = rollup_days.c.day
        new = [
            row
            for row in computed.rows
            if row not in stored_sums(connection, station, key, row["day"])
        ]
        days.store(connection, replace(computed, rows=new))

    def _keep(
        self, connection: Connection, columns: tuple[str, ...], hour: int, piece: OldReadings
    ) -> int:
        """Add the sums of the readings of the piece in this hour; return how many they are."""
        endpoint, last, after = self.station.endpoint, piece.after.last_id, piece.before.last_id
        stored = removed.removed_of_hour(connection, endpoint, hour)
        sums = rollups.of_readings(endpoint, columns, connection, hour, Ids(last, after))
        before = max((one["readings"] for one in stored.values()), default=0)
        rows = []
        for row in sums:
            # The stored sums may lack this measurement.
            if row["measurement"] in stored:
                rows.append(removed.with_removed(stored[row["measurement"]], row))
            elif row["measurement"] in self.station.columns or row["count"]:
                rows.append(row | {"readings": before + row["readings"]})
        removed.keep_removed_hours(connection, rows)
        return int(sums[0]["readings"])


def _hindered(target: Target, hindrance: ReadingObstacle) -> Removal:
    command = removable.command(target, hindrance)
    return Removal(obstacle=hindrance.obstacle, path=hindrance.path, command=command)


_OF_STATION = readings.c.endpoint == bindparam("endpoint")
_ENDS = select(
    *(
        select(end(readings.c.received_at)).where(_OF_STATION).scalar_subquery()
        for end in (func.min, func.max)
    )
)
_NEWEST = (
    select(readings.c.id)
    .where(_OF_STATION)
    .order_by(readings.c.received_at.desc(), readings.c.id.desc())
    .limit(1)
)
# In the order of ids, so not with the index.
_NEXT = (
    select(
        readings.c.id,
        readings.c.received_at,
        greatest(readings.c.received_at, ARRIVAL).label("arrived_at"),
    )
    .where(readings.c.id > bindparam("after"), readings.c.id <= bindparam("until"))
    .where(unindexed(readings.c.endpoint) == bindparam("endpoint"))
    .order_by(readings.c.id)
    .limit(bindparam("rows"))
)
# By the ids themselves: between those of a station that seldom sends are all of the others.
_DELETE = delete(readings).where(readings.c.id.in_(bindparam("ids", expanding=True)))
