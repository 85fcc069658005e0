"""The disk of the database: what is free, and how fast it fills."""

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Select, func, select

from flask10x.config.settings import Settings
from flask10x.database import dialects
from flask10x.database.csv_owner import is_elsewhere
from flask10x.database.expressions import spans
from flask10x.database.paths import database_path
from flask10x.database.tables import IS_CURRENT, csv_files, readings, rejected
from flask10x.health.database import Beginning, beginning
from flask10x.history.view import View
from flask10x.readings.times import DAY_MS
from flask10x.system.backup_files import finished
from flask10x.system.disks import on_same_disk


@dataclass(frozen=True, slots=True)
class Room:
    """The space of one disk, in bytes; `free` is what the service itself may use."""

    free: int
    total: int

    @property
    def free_percent(self) -> float:
        """The free share, 0 to 100."""
        return 100 * self.free / self.total if self.total else 0.0


def room(folder: Path) -> Room:
    """Return the space of the disk with this folder; raises OSError."""
    status = os.statvfs(folder)
    return Room(status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize)


# The usual rate is that of a week, which has a weekend; new stations count soon.
WINDOW_DAYS = 7
# Some hours are not enough to know how many readings a day brings.
DAYS_MIN = 1.0
# With fewer readings the pages of an empty database would count for too much.
ROWS_MIN = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class CardRoom:
    """The disk of the database, and how it fills."""

    room: Room
    rows_a_day: float | None
    """The number of readings a day in the last WINDOW_DAYS, without imported ones; None: not known
    yet."""
    bytes_a_day: float | None
    """The bytes that they add to the database, and to CSV files and backups on the same disk;
    None: not known yet."""

    @property
    def full_in_days(self) -> float | None:
        """Return in how many days the disk is full, if no other program writes there.

        None: not known yet, or nothing is added.
        """
        return self.room.free / self.bytes_a_day if self.bytes_a_day else None


def card(settings: Settings, view: View, began: Beginning | None = None) -> CardRoom:
    """Return the space and how it fills, with a few look-ups in the index.

    `began` is the beginning of the database, where it was read before. Raises OSError, and what a
    query raises.
    """
    path = database_path(settings)
    rows_a_day = _rows_a_day(view, began or beginning(view.connection))
    row_bytes = _bytes_a_row(view, settings, path)
    bytes_a_day = None
    if rows_a_day is not None and row_bytes is not None:
        bytes_a_day = rows_a_day * row_bytes
    return CardRoom(room=room(path.parent), rows_a_day=rows_a_day, bytes_a_day=bytes_a_day)


def _rows_a_day(view: View, began: Beginning) -> float | None:
    """Return the rate by the ids since the first reading of the window: ids increase one by one."""
    sent, from_ms = began.first, view.now_ms - WINDOW_DAYS * DAY_MS
    if sent is None:
        return None
    first: tuple[int, int] | None = sent.id, sent.came_at
    # Imported readings in the window are older than the first one that was sent.
    if sent.came_at < from_ms:
        listed = [(endpoint, None, from_ms, 0, 0) for endpoint in view.stations.by_endpoint]
        rows = view.connection.execute(_FIRST, {"stations": json.dumps(listed)})
        first = min(((number, at) for number, at in rows), default=None)
    if first is None:
        # No station has sent in the whole window.
        return 0.0
    first_id, first_at = first
    days = (view.now_ms - first_at) / DAY_MS
    if days < DAYS_MIN:
        return None
    added = view.last_id - first_id + 1 - began.imported(first_id)
    return max(0, added) / min(days, WINDOW_DAYS)


def _first_statement() -> Select[Any]:
    stations, sent = spans("stations"), readings.alias()
    first = (
        select(sent.c.id)
        .where(sent.c.endpoint == stations.c.endpoint, sent.c.received_at >= stations.c.first)
        .order_by(sent.c.received_at)
        .limit(1)
        .scalar_subquery()
    )
    row = readings.c
    return select(row.id, row.received_at).join_from(stations, readings, row.id == first)


_FIRST = _first_statement()
# The second and third say how many bytes the rejected readings of stations have but the oldest, or
# more where some between them are gone: by the ends of their ids, for the table is large. The last
# two are the bytes of the CSV files, and how many ids these cover.
_SIZES = select(
    select(func.min(readings.c.id)).scalar_subquery(),
    *(
        select(rejected.c.end_bytes).order_by(order).limit(1).scalar_subquery()
        for order in (rejected.c.id, rejected.c.id.desc())
    ),
    *(
        select(value).where(IS_CURRENT, csv_files.c.size_bytes > 0).scalar_subquery()
        for value in (
            func.sum(csv_files.c.size_bytes - csv_files.c.begin_bytes),
            func.max(csv_files.c.last_id) - func.min(csv_files.c.first_id),
        )
    ),
)


def _bytes_a_row(view: View, settings: Settings, path: Path) -> float | None:
    """Return the bytes that a reading adds to the database, its backups and the CSV files."""
    connection, data = view.connection, path.parent
    first_id, oldest_bytes, newest_bytes, csv_bytes, exported = connection.execute(_SIZES).one()
    rows = view.last_id - first_id + 1 if first_id is not None else 0
    if removed_rows := sum(removed.readings for removed in view.removed.values()):
        rows = view.last_id - removed_rows
    if rows < ROWS_MIN:
        return None
    # The backups on the disk of the data, each of which grows like the database.
    backups, newest_backup_bytes = [], 0
    with suppress(OSError):
        backups = finished(settings.backup_dir) if on_same_disk(settings.backup_dir, data) else []
        newest_backup_bytes = backups[-1].stat().st_size if backups else 0
    # The bytes for readings, with roll-ups and indexes, without rejected readings.
    used = dialects.statements_of(connection).file_bytes(connection, path)
    rejected_bytes = (newest_bytes or 0) - (oldest_bytes or 0)
    stored = max(0, used - min(rejected_bytes, settings.rejected_max_bytes)) / rows
    # The backups of a database on a server are files, too.
    row_bytes = stored + len(backups) * (stored or newest_backup_bytes / rows)
    if (
        csv_bytes
        and exported > 0
        and not is_elsewhere(settings, connection)
        and on_same_disk(settings.csv_dir, data)
    ):
        row_bytes += float(csv_bytes / exported)
    return row_bytes
