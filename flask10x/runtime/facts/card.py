"""How full the card is, and when what Flask10X adds each day will have filled it."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, func, select

from flask10x.config.settings import Settings
from flask10x.database import dialects
from flask10x.database.expressions import spans
from flask10x.database.paths import database_path
from flask10x.database.tables import exports, readings, rejected
from flask10x.export.owner import is_elsewhere
from flask10x.history.view import View
from flask10x.runtime.facts.beginning import Beginning, beginning
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


def card(settings: Settings, view: View, began: Beginning | None = None) -> CardRoom:
    """What is known now. A few steps into the index.

    `began` is what the database began with, where that was read before. Raises OSError, and what
    reading the database raises.
    """
    path = database_path(settings)
    rows_a_day = _rows_a_day(view, began or beginning(view.connection))
    row_bytes = _bytes_a_row(view, settings, path)
    bytes_a_day = None
    if rows_a_day is not None and row_bytes is not None:
        bytes_a_day = rows_a_day * row_bytes
    return CardRoom(room=room(path.parent), rows_a_day=rows_a_day, bytes_a_day=bytes_a_day)


def _rows_a_day(view: View, began: Beginning) -> float | None:
    """By the ids since the first reading of the window: ids are given one by one."""
    sent, from_ms = began.first, view.now_ms - WINDOW_DAYS * DAY_MS
    if sent is None:
        return None
    # What an import has brought into the window is older than the first that was sent.
    is_new = sent.came_at >= from_ms
    first = (sent.id, sent.came_at) if is_new else _first(view, from_ms)
    if first is None:
        # All have been silent for the whole window.
        return 0.0
    first_id, first_at = first
    days = (view.now_ms - first_at) / DAY_MS
    if days < DAYS_MIN:
        return None
    rows = view.last_id - first_id + 1 - began.imported(first_id)
    return max(0, rows) / min(days, WINDOW_DAYS)


def _first(view: View, from_ms: int) -> tuple[int, int] | None:
    """The id and the time of the first reading since then."""
    listed = [(endpoint, None, from_ms, 0, 0) for endpoint in view.stations.by_endpoint]
    rows = view.connection.execute(_FIRST, {"stations": json.dumps(listed)})
    return min(((number, at) for number, at in rows), default=None)


def _first_statement() -> Select[Any]:
    stations, own = spans("stations"), readings.alias()
    first = (
        select(own.c.id)
        .where(own.c.endpoint == stations.c.endpoint, own.c.received_at >= stations.c.first)
        .order_by(own.c.received_at)
        .limit(1)
        .scalar_subquery()
    )
    row = readings.c
    return select(row.id, row.received_at).join_from(stations, readings, row.id == first)


_FIRST = _first_statement()
# The last two say how many bytes all rejected readings have but the oldest: by the ends of their
# ids, for the table is large.
_ENDS = select(
    select(func.min(readings.c.id)).scalar_subquery(),
    *(
        select(rejected.c.end_bytes).order_by(order).limit(1).scalar_subquery()
        for order in (rejected.c.id, rejected.c.id.desc())
    ),
)


def _bytes_a_row(view: View, settings: Settings, path: Path) -> float | None:
    """What each reading adds: to the database, to its backups and to the CSV files."""
    first_id, oldest_bytes, newest_bytes = view.connection.execute(_ENDS).one()
    rows = view.last_id - first_id + 1 if first_id is not None else 0
    if gone := sum(one.readings for one in view.removed.values()):
        rows = view.last_id - gone
    if rows < ROWS_MIN:
        return None
    backups = _backups_beside(settings.backup_dir, path.parent)
    # What the file has for readings, roll-ups and index included, rejected ones left out.
    used = dialects.of(view.connection).file_bytes(view.connection, path)
    stored = max(0, used - (newest_bytes or 0) + (oldest_bytes or 0)) / rows
    # Of a database on a server the backups are files, too.
    copied = stored or _newest_bytes(backups) / rows
    csv_bytes = _csv_bytes_a_row(view.connection, settings, path.parent)
    return stored + len(backups) * copied + csv_bytes


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
