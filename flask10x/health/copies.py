"""What else has the readings: the newest backup, the replica, the CSV files."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Select, bindparam, func, not_, select

from flask10x.config.settings import Settings
from flask10x.database import engines, removed
from flask10x.database.expressions import spans, unindexed
from flask10x.database.paths import database_path
from flask10x.database.sqlite import litestream
from flask10x.database.tables import ARRIVAL, IS_CURRENT, csv_files, readings
from flask10x.database.verified import Result
from flask10x.health.database import Import, imports_of
from flask10x.readings import csv_lines
from flask10x.readings.stations import Station, Stations
from flask10x.readings.times import FIRST_DATE_MS, LAST_DATE_MS
from flask10x.system.backup_files import finished, noted_copy
from flask10x.system.disks import is_remote

if TYPE_CHECKING:
    from flask10x.export.only_copies import LostFile, OnlyCopy

# A backup with a later date than this was made while the clock was wrong, and does not count.
CLOCK_MARGIN_MS = 24 * 3_600_000
DATE = "flask10x-%Y%m%d-%H%M%S.sqlite3"


@dataclass(frozen=True, kw_only=True, slots=True)
class NewestBackup:
    """The newest finished backup."""

    path: Path
    made_at: int
    """When it began according to its name, in UTC epoch milliseconds."""
    bytes: int

    def age_sec(self, now_ms: int) -> int:
        """Return the whole seconds since it began, at least 0."""
        return max(0, now_ms - self.made_at) // 1000


def newest_backup(folder: Path, zone: tzinfo | None, now_ms: int) -> NewestBackup | None:
    """Return the newest backup of the folder, or None without a backup or a folder.

    The times in the names are in `zone`. One from the future, made while the clock was wrong, is
    skipped. Raises OSError.
    """
    try:
        files = finished(folder)
    except FileNotFoundError:
        return None
    for path in reversed(files):
        made_at = time_of_backup(path, zone)
        if made_at <= now_ms + CLOCK_MARGIN_MS:
            return NewestBackup(path=path, made_at=made_at, bytes=path.stat().st_size)
    return None


def newest_copy(settings: Settings, now_ms: int) -> NewestBackup | None:
    """Return the newest copy of a backup in BACKUP_COPY_DIR; None without one. Raises OSError.

    Of a remote it is the one that was made last: it may be slow, and is not asked.
    """
    folder = settings.backup_copy_dir
    if folder is None:
        return None
    if not is_remote(folder):
        return newest_backup(folder, settings.zone, now_ms)
    path = noted_copy(settings.backup_dir)
    if path is None or path.parent != folder:
        return None
    return NewestBackup(path=path, made_at=time_of_backup(path, settings.zone), bytes=0)


def time_of_backup(path: Path, zone: tzinfo | None) -> int:
    """The time in its name, which a copy keeps, or else that of its last change.

    Of an hour that occurs twice, at the end of summer time, it is the first.
    """
    try:
        named = datetime.strptime(path.name, DATE).replace(tzinfo=zone)
        return int(named.timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        return path.stat().st_mtime_ns // 1_000_000


def replica(settings: Settings) -> litestream.Replica | None:
    """Return how far the replica of the database is; None without one. Raises OSError."""
    is_file = engines.engine_of(settings).is_file
    return litestream.replica_of(database_path(settings)) if is_file else None


# How many ids after the last exported one are searched for the first waiting reading before the
# index is used, which takes milliseconds. Stations send in turns, so it is mostly among the first
# dozen.
LOOK_ROWS = 5000
# No more are counted, which takes milliseconds on a PC.
COUNT_MAX = 100_000
# The time of a file that has no reading with a date yet.
BEFORE_ALL = -(2**62)


@dataclass(frozen=True, slots=True)
class ExportLag:
    """How many readings the CSV file of one station lacks."""

    station: Station
    is_exported: bool = False
    """Whether an export has ever written it; if not, the other values are empty."""
    last_id: int = 0
    """The id of the last reading that it has."""
    changed_at: int | None = None
    """When an export last changed it, in UTC epoch milliseconds; None when none has."""
    oldest_at: int | None = None
    """When the oldest reading came that it lacks; None when it lacks none."""
    waiting: int = 0
    """How many readings it lacks; COUNT_MAX means that many or more."""


def export_lags(
    connection: Connection, stations: Stations, imported: Sequence[Import] | None = None
) -> list[ExportLag]:
    """Return one for each station, in their order, with one query beside that for the imports.

    `imported` are the imports, where they were read before. A reading that came late, after newer
    ones of its station were exported, is only found among the LOOK_ROWS after them; so is one that
    came while the clock was wrong.
    """
    if imported is None:
        imported = imports_of(connection)
    # Readings from the file of their own station do not wait: an export would not append them.
    own_files = [
        (file.endpoint, station.csv_name, file.first_id, file.last_id, 0)
        for file in imported
        if (station := stations.by_endpoint.get(file.endpoint)) is not None
        and csv_lines.is_name_of(station, Path(file.file).name)
    ]
    files = [(station.endpoint, station.csv_name, 0, 0, 0) for station in stations.all]
    values = {
        "files": json.dumps(files),
        "own_files": json.dumps(own_files),
        "look_rows": LOOK_ROWS,
    }
    rows = {row.endpoint: row for row in connection.execute(_WAITING, values)}
    lags = []
    for station in stations.all:
        row = rows.get(station.endpoint)
        if row is None:
            lags.append(ExportLag(station))
            continue
        changed_at = (row.changed_ns or 0) // 1_000_000 or None
        lag = ExportLag(station, is_exported=True, last_id=row.last_id, changed_at=changed_at)
        if row.oldest_at is not None:
            lag = replace(lag, oldest_at=row.oldest_at, waiting=max(row.waiting, 1))
        lags.append(lag)
    return lags


def _waiting_statement() -> Select[Any]:
    """Of each file that an export has written: when it changed, and what waits for it."""
    files, own_files, row = spans("files"), spans("own_files"), readings.c
    # Each reading that waits is compared with each of these: what an export has passed is left out.
    later = (
        select(own_files.c.endpoint, own_files.c.first, own_files.c.second)
        .join(csv_files, csv_files.c.name == own_files.c.measurement)
        .where(IS_CURRENT, own_files.c.second > csv_files.c.last_id)
        .cte("later")
        .prefix_with("MATERIALIZED")
    )
    imported = (
        select(later.c.first)
        .where(later.c.endpoint == row.endpoint)
        .where(row.id.between(later.c.first, later.c.second))
        .correlate(readings)
        .exists()
    )
    # An export does not wait for a row without a date.
    is_dated = unindexed(row.received_at).between(FIRST_DATE_MS, LAST_DATE_MS)
    after = (row.id > csv_files.c.last_id, is_dated, not_(imported))
    # By the index it would read all of the station's entries.
    near = (
        select(ARRIVAL)
        .where(unindexed(row.endpoint) == files.c.endpoint, *after)
        .where(row.id <= csv_files.c.last_id + bindparam("look_rows"))
        .order_by(row.id)
    )
    last = func.coalesce(csv_files.c.last_received_at, BEFORE_ALL)
    newer = (row.endpoint == files.c.endpoint, row.received_at > last, *after)
    far = select(ARRIVAL).where(*newer).order_by(row.received_at)
    some = select(row.id).where(*newer).limit(COUNT_MAX).correlate(files, csv_files).subquery()
    first = (query.limit(1).correlate(files, csv_files).scalar_subquery() for query in (near, far))
    return (
        select(
            files.c.endpoint,
            csv_files.c.changed_ns,
            csv_files.c.last_id,
            func.coalesce(*first).label("oldest_at"),
            select(func.count()).select_from(some).scalar_subquery().label("waiting"),
        )
        .join_from(files, csv_files, csv_files.c.name == files.c.measurement)
        .where(IS_CURRENT, csv_files.c.size_bytes > 0)
        .where(func.coalesce(csv_files.c.endpoint, files.c.endpoint) == files.c.endpoint)
    )


_WAITING = _waiting_statement()


def only_copies(settings: Settings, connection: Connection) -> "list[OnlyCopy]":
    """Return the CSV files that alone have removed readings, as the database has them."""
    if not removed.load_removed(connection):
        return []
    # Imported here, so that a service that removes nothing does not load it.
    from flask10x.export import only_copies  # noqa: PLC0415

    return only_copies.load(settings, connection)


def lost_files(files: "Sequence[OnlyCopy]", result: Result | None) -> "list[LostFile]":
    """Return those of the files that are not there, or too short, or other than they were.

    The last is what `flask10x verify` has found, whose result this is: only that reads them.
    """
    if not files:
        return []
    from flask10x.export import only_copies  # noqa: PLC0415

    lost = only_copies.lost(files)
    read = map(only_copies.lost_of, result.lost if result else ())
    seen = {each.path for each in lost}
    return [*lost, *(each for each in read if each.trouble == "changed" and each.path not in seen)]
