"""How full the card is, and when what Flask10X adds each day will have filled it."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, func, select

from flask10x.config.settings import Settings
from flask10x.database import dialects
from flask10x.database.dialects import last_id
from flask10x.database.expressions import greatest
from flask10x.database.paths import database_path
from flask10x.database.retention import removed
from flask10x.database.tables import exports, imports, readings, rejected
from flask10x.export.owner import is_elsewhere
from flask10x.readings.stations import Stations
from flask10x.runtime.facts.beginning import first_sent
from flask10x.runtime.facts.disk import Room, room
from flask10x.system.backup_files import finished

DAY_MS = 24 * 3_600_000
# What is usual now: a week has a weekend, and a station that was added last month counts in full.
WINDOW_DAYS = 7
# The hours of one day say nothing yet of how many readings a day brings.
DAYS_MIN = 1.0
# An empty database has some pages already; below so many readings they would count for too much.
ROWS_MIN = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class CardRoom:
    """The disk of the database, and how it fills."""

    room: Room
    rows_a_day: float | None
    """How many readings have come a day in the last WINDOW_DAYS, imported ones left out; None: not
    known yet."""
    bytes_a_day: float | None
    """What they add to the database, to the CSV files and to the backups that are on the same
    disk; None: not known yet."""

    @property
    def full_in_days(self) -> float | None:
        """When nothing is free any more, if it goes on like this and no other program writes there.

        None: not known yet, or nothing is added.
        """
        return self.room.free / self.bytes_a_day if self.bytes_a_day else None


def card(settings: Settings, connection: Connection, now_ms: int) -> CardRoom:
    """What is known now; `now_ms` is the wall clock's. A few steps into the index.

    Raises OSError, and what reading the database raises.
    """
    path = database_path(settings)
    rows_a_day = _rows_a_day(connection, settings.stations, now_ms)
    row_bytes = _bytes_a_row(connection, settings, path)
    bytes_a_day = None
    if rows_a_day is not None and row_bytes is not None:
        bytes_a_day = rows_a_day * row_bytes
    return CardRoom(room=room(path.parent), rows_a_day=rows_a_day, bytes_a_day=bytes_a_day)


def _rows_a_day(connection: Connection, stations: Stations, now_ms: int) -> float | None:
    """By the ids since the first reading of the window: ids are given one by one."""
    sent, from_ms = first_sent(connection), now_ms - WINDOW_DAYS * DAY_MS
    if sent is None:
        return None
    # What an import has brought into the window is older than the first that was sent.
    is_new = sent.came_at >= from_ms
    first = (sent.id, sent.came_at) if is_new else _first(connection, stations, from_ms)
    if first is None:
        # All have been silent for the whole window.
        return 0.0
    first_id, first_at = first
    days = (now_ms - first_at) / DAY_MS
    if days < DAYS_MIN:
        return None
    rows = last_id(connection) - first_id + 1 - _imported(connection, first_id)
    return max(0, rows) / min(days, WINDOW_DAYS)


def _first(connection: Connection, stations: Stations, from_ms: int) -> tuple[int, int] | None:
    """The id and the time of the first reading since then."""
    found = []
    for endpoint in stations.by_endpoint:
        query = (
            select(readings.c.id, readings.c.received_at)
            .where(readings.c.endpoint == endpoint, readings.c.received_at >= from_ms)
            .order_by(readings.c.received_at)
            .limit(1)
        )
        found += [(row.id, row.received_at) for row in connection.execute(query)]
    return min(found, default=None)


def _imported(connection: Connection, from_id: int) -> int:
    """How many of the readings from this id on came from files."""
    begin = greatest(imports.c.first_id, from_id)
    query = select(func.sum(imports.c.last_id - begin + 1)).where(imports.c.last_id >= from_id)
    return connection.execute(query).scalar_one() or 0


def _bytes_a_row(connection: Connection, settings: Settings, path: Path) -> float | None:
    """What each reading adds: to the database, to its backups and to the CSV files."""
    rows = _rows(connection)
    if rows < ROWS_MIN:
        return None
    backups = _backups_beside(settings.backup_dir, path.parent)
    stored = _bytes_in_file(connection, path) / rows
    # Of a database on a server the backups are files, too.
    copied = stored or _newest_bytes(backups) / rows
    csv_bytes = _csv_bytes_a_row(connection, settings, path.parent)
    return stored + len(backups) * copied + csv_bytes


def _rows(connection: Connection) -> int:
    """How many readings the database has, about."""
    first_id = connection.execute(select(func.min(readings.c.id))).scalar_one()
    rows = last_id(connection) - first_id + 1 if first_id is not None else 0
    if gone := removed.total(connection):
        rows = last_id(connection) - gone
    return rows


def _bytes_in_file(connection: Connection, path: Path) -> int:
    """What the file has for readings, roll-ups and index included, rejected ones left out."""
    used = dialects.of(connection).file_bytes(connection, path) - _rejected_bytes(connection)
    return max(0, used)


def _rejected_bytes(connection: Connection) -> int:
    """Of all rejected readings but the oldest; by the ends of their ids, for the table is large."""
    ends = select(rejected.c.end_bytes).limit(1)
    newest = connection.execute(ends.order_by(rejected.c.id.desc())).scalar_one_or_none() or 0
    oldest = connection.execute(ends.order_by(rejected.c.id)).scalar_one_or_none() or 0
    return newest - oldest


def _backups_beside(folder: Path, data: Path) -> list[Path]:
    """The backups on the disk of the data: each new one is as much larger."""
    with suppress(OSError):
        if _is_on_same_disk(folder, data):
            return finished(folder)
    return []


def _newest_bytes(backups: list[Path]) -> int:
    with suppress(OSError):
        return backups[-1].stat().st_size if backups else 0
    return 0


def _csv_bytes_a_row(connection: Connection, settings: Settings, data: Path) -> float:
    """What an exported reading takes in its CSV file; 0 when none is on the disk of the data."""
    if is_elsewhere(settings, connection):
        return 0.0
    with suppress(OSError):
        if _is_on_same_disk(settings.csv_dir, data):
            query = select(
                func.sum(exports.c.size_bytes - func.coalesce(exports.c.begin_bytes, 0)),
                func.max(exports.c.last_id),
                func.min(exports.c.first_id),
            ).where(exports.c.size_bytes > 0)
            written, last, first = connection.execute(query).one()
            if written and last > first:
                return float(written / (last - first))
    return 0.0


def _is_on_same_disk(folder: Path, data: Path) -> bool:
    return folder.stat().st_dev == data.stat().st_dev
