"""One piece of a station's oldest readings is removed, once every follower has finished with it.

Readings go in the order of their ids, so what is gone is told by one id. Nothing is removed that
the CSV file does not prove to have (`export/removable.py`). One transaction deletes the readings,
keeps what their hours add up to and moves the floor of the file: whatever dies, all of it has
happened, or nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

from sqlalchemy import Connection, bindparam, delete, func, select

from flask10x.config.settings import Settings
from flask10x.database import csv_owner, removed
from flask10x.database.database import Database
from flask10x.database.expressions import greatest, unindexed, upsert
from flask10x.database.insert import HEAD, existing_columns
from flask10x.database.removed import Removed, Sums
from flask10x.database.station_columns import rollups_fit
from flask10x.database.tables import ARRIVAL, readings, rollup_days
from flask10x.database.tables import rollups as rollups_table
from flask10x.export import archived, removable
from flask10x.export.archived import ArchivedFile
from flask10x.export.outcome import target_of
from flask10x.export.position import State, state_of
from flask10x.export.removable import Obstacle, Proof, ProvingFile, ReadingObstacle, Unproven
from flask10x.export.rows import Target
from flask10x.history import days, rollups
from flask10x.history.sums import Ids, stored_sums
from flask10x.readings.stations import Station
from flask10x.readings.times import FIRST_DATE_MS, HOUR_MS
from flask10x.system.locks import FileLock, lock_path

# Deleted in one transaction, while the writers wait: 24 ms on a PC of two busy cores.
PIECE_ROWS = 200
# Compared with the file in one step; in a file that an import stands in before older readings it
# may take several.
COMPARED_ROWS = 20_000
# Looked through for the next readings of a station that hardly ever sends.
SPAN_IDS = 200_000
# What an export that begins meanwhile reads in the lock file: that this ends at once.
BRIEF = "retention"


@dataclass(frozen=True, slots=True)
class Removal:
    """What one step has done."""

    readings: int = 0
    """How many are gone with it."""
    is_more: bool = False
    """Whether the next step has something to do at once."""
    obstacle: Obstacle | None = None
    """Why nothing was removed that is old enough."""
    path: str = ""
    """The archived file that this is about; empty for the station's own."""
    command: str = field(default="", compare=False)
    """What clears the obstacle."""
    difference: str = ""
    """What the CSV file has instead of a reading; nothing was removed."""


@dataclass(frozen=True, slots=True)
class OldReadings:
    """The next readings to go."""

    rows: Sequence[tuple[int, int]]
    """Each its id and when it was received."""
    before: Removed

    @property
    def ids(self) -> list[int]:
        return [number for number, _ in self.rows]

    @property
    def after(self) -> Removed:
        """How far the station's readings are gone with them."""
        latest = [at for _, at in self.rows]
        if self.before.last_ms is not None:
            latest.append(self.before.last_ms)
        total = self.before.readings + len(self.rows)
        return Removed(self.rows[-1][0], max(latest), total)


@dataclass(frozen=True, slots=True)
class KnownFiles:
    """What the database knows of the station's files."""

    state: State
    archived: Sequence[ArchivedFile]


class StationRemoval:
    """Removes the old readings of one station, a piece at each step."""

    def __init__(self, settings: Settings, database: Database, station: Station) -> None:
        self._settings = settings
        self._database = database
        self._station = station
        # Up to here there is no reading of the station behind the removed ones.
        self._empty_to = 0

    def step(self, kept_since_ms: int) -> Removal:
        """Remove the next piece of what was received before, and arrived before, this time.

        Raises what reading and committing raise; then nothing has changed.
        """
        if not self._has_older(kept_since_ms):
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

    def _has_older(self, kept_since_ms: int) -> bool:
        """Whether there is an old reading besides the newest one; two look-ups in the index."""
        with self._database.reader.begin() as connection:
            oldest, newest = connection.execute(_ENDS, {"endpoint": self._station.endpoint}).one()
        return oldest is not None and oldest < min(newest, kept_since_ms)

    def _step(self, kept_since_ms: int) -> Removal:
        target = target_of(self._settings, self._database, self._station)
        known = self._known(target.name)
        if found := removable.not_ready(target, known.state):
            return _hindered(target, found)
        piece, is_more = self._next(known.state, kept_since_ms)
        if piece is None:
            return Removal(is_more=is_more)
        file = removable.file_for(target, known.state, known.archived, piece.ids[0])
        if isinstance(file, ReadingObstacle):
            return _hindered(target, file)
        provable = set(file.provable(piece.ids))
        rows = list(takewhile(lambda row: row[0] in provable, piece.rows))
        is_more = is_more or len(rows) < len(piece.rows)
        piece = replace(piece, rows=rows)
        try:
            proof = removable.prove(file, piece.ids, COMPARED_ROWS)
        except Unproven as found_instead:
            return Removal(difference=str(found_instead))
        self._commit(piece, known, file, proof)
        return Removal(len(piece.rows) if proof.is_whole else 0, is_more or not proof.is_whole)

    def _known(self, name: str) -> KnownFiles:
        with self._database.reader.begin() as connection:
            return _known(connection, name, self._station.endpoint)

    def _next(self, state: State, kept_since_ms: int) -> tuple[OldReadings | None, bool]:
        """The next readings that may go, and whether there may be more behind them."""
        endpoint = self._station.endpoint
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
            found = [(r.id, r.received_at, r.arrived_at) for r in connection.execute(_NEXT, span)]
        self._empty_to = found[0][0] - 1 if found else until
        rows = list(_prefix(found, kept_since_ms, newest))
        if len(rows) > PIECE_ROWS:
            return OldReadings(_whole_hours(rows), before), True
        is_more = until < last and len(rows) == len(found)
        return (OldReadings(rows, before) if rows else None), is_more

    def _commit(
        self, piece: OldReadings, known: KnownFiles, file: ProvingFile, proof: Proof
    ) -> None:
        """Remove the piece if it is proven, else only note how far the file was compared."""
        with self._database.commit() as connection:
            if not self._is_unchanged(connection, piece, known):
                return
            removable.keep(connection, file, proof.floor)
            if proof.is_whole:
                self._remove(connection, piece)

    def _is_unchanged(self, connection: Connection, piece: OldReadings, known: KnownFiles) -> bool:
        """Whether nobody has begun the roll-ups anew, removed readings or exported, meanwhile."""
        return (
            not csv_owner.is_elsewhere(self._settings, connection)
            and _known(connection, self._station.csv_name, self._station.endpoint) == known
            and removed.removed_of_station(connection, self._station.endpoint) == piece.before
            and rollups.position(connection) >= piece.after.last_id
            and self._is_rolled_up(connection)
        )

    def _is_rolled_up(self, connection: Connection) -> bool:
        """Whether there are hours of these stations' measurements, and all days of them."""
        made = days.made(connection)
        fits = rollups_fit(connection, self._settings.stations)
        return fits and made is not None and made.are_all

    def _remove(self, connection: Connection, piece: OldReadings) -> None:
        endpoint, last = self._station.endpoint, piece.after.last_id
        hours = sorted({at // HOUR_MS for _, at in piece.rows})
        columns = self._columns(connection)
        kept = sum(
            self._keep(connection, columns, hour, last, piece.before.last_id) for hour in hours
        )
        gone = connection.execute(_DELETE, {"ids": piece.ids}).rowcount
        if not kept == gone == len(piece.rows):
            text = f"{gone} readings of {endpoint} removed, {kept} kept in hours"
            raise RuntimeError(f"{text}, instead of {len(piece.rows)}")
        removed.note_removed(connection, endpoint, piece.after)
        at = rollups.position(connection)
        self._store(connection, hours, at)

    def _store(self, connection: Connection, hours: list[int], at: int) -> None:
        """Roll up these hours and their days anew: two parts may differ from their sum in a bit.

        Nothing is written where they do not.
        """
        station, changed = self._station, []
        for hour in hours:
            rows = rollups.computed(station, connection, hour, at)
            if rows != stored_sums(connection, station, rollups_table.c.hour, hour):
                connection.execute(upsert(rollups_table), rows)
            changed += rows
        made = days.of_hours(self._settings.stations, connection, changed, at)
        key = rollup_days.c.day
        new = [
            row for row in made.rows if row not in stored_sums(connection, station, key, row["day"])
        ]
        days.store(connection, replace(made, rows=new))

    def _columns(self, connection: Connection) -> tuple[str, ...]:
        """The station's, and those of which it had values in former times."""
        own = self._station.columns
        others = existing_columns(connection).difference(own, HEAD, (readings.c.id.name,))
        return (*own, *sorted(others))

    def _keep(
        self, connection: Connection, columns: tuple[str, ...], hour: int, last: int, after: int
    ) -> int:
        """Add what the readings of the hour that go now add up to; how many they are."""
        endpoint = self._station.endpoint
        kept = removed.removed_of_hour(connection, endpoint, hour)
        found = rollups.of_readings(endpoint, columns, connection, hour, Ids(last, after))
        known = {*self._station.columns, *kept}
        rows = [row for row in found if row["measurement"] in known or row["count"]]
        removed.keep_removed_hours(connection, [_with(kept, row) for row in rows])
        return int(found[0]["readings"])


def _known(connection: Connection, name: str, endpoint: str) -> KnownFiles:
    return KnownFiles(state_of(connection, name), archived.load(connection, endpoint))


def _hindered(target: Target, found: ReadingObstacle) -> Removal:
    command = removable.command(target, found)
    return Removal(obstacle=found.obstacle, path=found.path, command=command)


def _with(kept: dict[str, Sums], row: Sums) -> Sums:
    """The row and what is kept of its hour, of which it may have had no value before."""
    if row["measurement"] in kept:
        return removed.with_removed(kept[row["measurement"]], row)
    before = max((one["readings"] for one in kept.values()), default=0)
    return row | {"readings": before + row["readings"]}


def _prefix(
    found: Iterable[tuple[int, int, int]], kept_since_ms: int, newest: int | None
) -> Iterable[tuple[int, int]]:
    """The rows up to the first that is to stay: the last reading of a station always does."""
    for number, at, arrived_at in found:
        if number == newest or at < FIRST_DATE_MS or arrived_at >= kept_since_ms:
            return
        yield number, at


def _whole_hours(rows: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """At most PIECE_ROWS, and up to the end of an hour where that leaves any."""
    hour = rows[PIECE_ROWS][1] // HOUR_MS
    end = PIECE_ROWS
    while end and rows[end - 1][1] // HOUR_MS == hour:
        end -= 1
    return rows[: end or PIECE_ROWS]


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
# In the order of ids, so not by the index.
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
# By the ids themselves: between those of a station that hardly ever sends lie all of the others.
_DELETE = delete(readings).where(readings.c.id.in_(bindparam("ids", expanding=True)))
