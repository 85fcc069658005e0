"""The state of the service: the facts that alerts, the status page and Prometheus use."""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from sqlalchemy import Connection, Row, Select, bindparam, func, not_, select
from sqlalchemy.exc import DBAPIError, TimeoutError

from flask10x.config.settings import Settings
from flask10x.database import dialects, engines, removed
from flask10x.database.csv_owner import is_elsewhere
from flask10x.database.database import Database
from flask10x.database.error_codes import QueryTooLong, reason_of
from flask10x.database.expressions import spans, unindexed
from flask10x.database.paths import database_path
from flask10x.database.server import Primary
from flask10x.database.sqlite import litestream
from flask10x.database.tables import ARRIVAL, IS_CURRENT, csv_files, imports, readings, rejected
from flask10x.database.verified import Result
from flask10x.errors import LockTimeout
from flask10x.history.view import View
from flask10x.readings import csv_lines
from flask10x.readings.stations import Station, Stations
from flask10x.recording.writer import Writer
from flask10x.system.backup_files import finished
from flask10x.system.gauges import Gauges

if TYPE_CHECKING:
    from flask10x.export.only_copies import LostFile, OnlyCopy


class Import(NamedTuple):
    """The ids of readings that came from a file, and when they came."""

    endpoint: str
    file: str
    first_id: int
    last_id: int
    imported_at: int
    """UTC epoch milliseconds."""


_IMPORTS = select(*(imports.c[name] for name in Import._fields)).order_by(imports.c.first_id)


@dataclass(frozen=True, slots=True)
class FirstReading:
    """The oldest stored reading that a station has sent."""

    id: int
    came_at: int
    """When it came, in UTC epoch milliseconds."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first reading of the database, and its imports."""

    first: FirstReading | None
    """None while all readings came from files."""
    imports: tuple[Import, ...]

    @property
    def at(self) -> int | None:
        """When the first reading came or the first import was made, in UTC epoch milliseconds.

        None while there was neither.
        """
        times = [imported.imported_at for imported in self.imports]
        times += [] if self.first is None else [self.first.came_at]
        return min(times, default=None)

    def imported(self, from_id: int) -> int:
        """Return how many of the readings from this id on were imported from files."""
        return sum(
            imported.last_id - max(imported.first_id, from_id) + 1
            for imported in self.imports
            if imported.last_id >= from_id
        )


def beginning(connection: Connection) -> Beginning:
    """Query the beginning; raises what a query raises. A look-up in the index for each import."""
    rows = _imports(connection)
    return Beginning(_first_sent(connection, rows), rows)


def _imports(connection: Connection) -> tuple[Import, ...]:
    """All imports, in the order of their ids."""
    return tuple(map(Import._make, connection.execute(_IMPORTS).all()))


def _first_sent(connection: Connection, rows: Sequence[Import]) -> FirstReading | None:
    came_at = ARRIVAL.label("came_at")
    query = select(readings.c.id, came_at).order_by(readings.c.id).limit(1)
    passed = 0
    for imported in rows:
        # Between two imports there may be ids without a reading.
        if imported.first_id > passed + 1:
            between = query.where(readings.c.id > passed, readings.c.id < imported.first_id)
            row = connection.execute(between).one_or_none()
            if row is not None:
                return FirstReading(row.id, row.came_at)
        passed = max(passed, imported.last_id)
    row = connection.execute(query.where(readings.c.id > passed)).one_or_none()
    return FirstReading(row.id, row.came_at) if row is not None else None


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
    is_file = engines.of(settings).is_file
    return litestream.replica_of(database_path(settings)) if is_file else None


# How many ids after the last exported one are searched for the first waiting reading before the
# index is used, which takes milliseconds. Stations send in turns, so it is mostly among the first
# dozen.
LOOK_ROWS = 5000
# No more are counted, which takes milliseconds on a PC.
COUNT_MAX = 100_000
# The time of a file that has no reading with a date yet.
BEFORE_ALL = -(2**62)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportLag:
    """How many readings the CSV file of one station lacks."""

    station: Station
    is_exported: bool
    """Whether an export has ever written it; if not, the other values are empty."""
    changed_at: int | None
    """When an export last changed it, in UTC epoch milliseconds; None when none has."""
    oldest_at: int | None
    """When the oldest reading came that it lacks; None when it lacks none."""
    waiting: int
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
        imported = _imports(connection)
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
    return [_lag(station, rows.get(station.endpoint)) for station in stations.all]


def _lag(station: Station, row: Row[Any] | None) -> ExportLag:
    oldest_at = row.oldest_at if row is not None else None
    return ExportLag(
        station=station,
        is_exported=row is not None,
        changed_at=(row.changed_ns or 0) // 1_000_000 or None if row is not None else None,
        oldest_at=oldest_at,
        waiting=max(row.waiting, 1) if row is not None and oldest_at is not None else 0,
    )


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
    after = (row.id > csv_files.c.last_id, not_(imported))
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
            func.coalesce(*first).label("oldest_at"),
            select(func.count()).select_from(some).scalar_subquery().label("waiting"),
        )
        .join_from(files, csv_files, csv_files.c.name == files.c.measurement)
        .where(IS_CURRENT, csv_files.c.size_bytes > 0)
        .where(func.coalesce(csv_files.c.endpoint, files.c.endpoint) == files.c.endpoint)
    )


_WAITING = _waiting_statement()


DAY_MS = 24 * 3_600_000
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
    """The rate by the ids since the first reading of the window: ids increase one by one."""
    sent, from_ms = began.first, view.now_ms - WINDOW_DAYS * DAY_MS
    if sent is None:
        return None
    # Imported readings in the window are older than the first one that was sent.
    is_new = sent.came_at >= from_ms
    first = (sent.id, sent.came_at) if is_new else _first(view, from_ms)
    if first is None:
        # No station has sent in the whole window.
        return 0.0
    first_id, first_at = first
    days = (view.now_ms - first_at) / DAY_MS
    if days < DAYS_MIN:
        return None
    rows = view.last_id - first_id + 1 - began.imported(first_id)
    return max(0, rows) / min(days, WINDOW_DAYS)


def _first(view: View, from_ms: int) -> tuple[int, int] | None:
    """Return the id and the time of the first reading since then."""
    listed = [(endpoint, None, from_ms, 0, 0) for endpoint in view.stations.by_endpoint]
    rows = view.connection.execute(_FIRST, {"stations": json.dumps(listed)})
    return min(((number, at) for number, at in rows), default=None)


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
    """The bytes that a reading adds to the database, its backups and the CSV files."""
    sizes = view.connection.execute(_SIZES).one()
    first_id, oldest_bytes, newest_bytes, csv_bytes, exported = sizes
    rows = view.last_id - first_id + 1 if first_id is not None else 0
    if removed_rows := sum(removed.readings for removed in view.removed.values()):
        rows = view.last_id - removed_rows
    if rows < ROWS_MIN:
        return None
    backups = _backups_beside(settings.backup_dir, path.parent)
    # The bytes for readings, with roll-ups and indexes, without rejected readings.
    used = dialects.of(view.connection).file_bytes(view.connection, path)
    rejected_bytes = (newest_bytes or 0) - (oldest_bytes or 0)
    stored = max(0, used - min(rejected_bytes, settings.rejected_max_bytes)) / rows
    # The backups of a database on a server are files, too.
    copied = stored or _newest_bytes(backups) / rows
    row_bytes = stored + len(backups) * copied
    if csv_bytes and exported > 0 and _has_csv_files(view.connection, settings, path.parent):
        row_bytes += float(csv_bytes / exported)
    return row_bytes


def _backups_beside(folder: Path, data: Path) -> list[Path]:
    """The backups on the disk of the data, each of which grows like the database."""
    with suppress(OSError):
        if _is_on_same_disk(folder, data):
            return finished(folder)
    return []


def _newest_bytes(backups: list[Path]) -> int:
    with suppress(OSError):
        return backups[-1].stat().st_size if backups else 0
    return 0


def _has_csv_files(connection: Connection, settings: Settings, data: Path) -> bool:
    """Whether the disk of the data has the CSV files that this host writes."""
    if is_elsewhere(settings, connection):
        return False
    with suppress(OSError):
        return _is_on_same_disk(settings.csv_dir, data)
    return False


def _is_on_same_disk(folder: Path, data: Path) -> bool:
    return folder.stat().st_dev == data.stat().st_dev


Kind = Literal["damaged", "suspected", "dead", "full", "trouble", "elsewhere", "unwritable"]


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One thing that keeps readings from being stored."""

    kind: Kind
    text: str
    """The text in English, for programs and messages."""
    reason: str = ""
    """The error of the database or the disk, where there is one; else empty."""


def obstacles(database: Database, writer: Writer, gauges: Gauges) -> list[Obstacle]:
    """Return what keeps readings from being stored; empty when they are stored.

    Without a known obstacle it tries to get a write lock, which may wait as long as a commit, and
    writes nothing.
    """
    return obstacles_met(database, writer, gauges) or _unwritable(database)


def obstacles_met(database: Database, writer: Writer, gauges: Gauges) -> list[Obstacle]:
    """Return the obstacles that some worker has met; it only reads memory."""
    damage = database.damage
    if obstacle := damage.obstacle:
        if damage.is_damaged:
            return [Obstacle("damaged", obstacle, damage.reason)]
        return [Obstacle("suspected", obstacle, damage.suspicion)]
    reported = []
    if writer.dead:
        reported.append(Obstacle("dead", "the writer thread has died"))
    if writer.full:
        text = f"the queue is full: {writer.depth} readings wait"
        reported.append(Obstacle("full", text))
    if writer.trouble and not writer.dead:
        text = f"readings cannot be stored: {writer.trouble}"
        reported.append(Obstacle("trouble", text, writer.trouble))
    if not reported and gauges.trouble():
        reported.append(Obstacle("elsewhere", "another worker cannot store readings"))
    return reported


def _unwritable(database: Database) -> list[Obstacle]:
    try:
        with database.promptly():
            database.probe()
    except (DBAPIError, TimeoutError, LockTimeout) as error:
        reason = reason_of(error)
        return [Obstacle("unwritable", f"the database cannot be written: {reason}", reason)]
    return []


NOTICES = {
    "one_machine": (
        "no synchronous standby: what is committed is on one machine (synchronous_standby_names is"
        " empty)"
    ),
    "commits_wait": (
        "commits wait for a synchronous standby: {found} of {wanted} that"
        " synchronous_standby_names asks for"
    ),
    "standby": (
        "this server is a standby, which takes no writes: name the primary in"
        " FLASK10X_DATABASE_URL, or all servers of the cluster"
    ),
    "hidden": (
        "what the standbys are at is hidden from this role: GRANT pg_monitor TO it to have it said"
        " here"
    ),
}


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice about the server; programs get it in English."""

    name: str
    """Its key in NOTICES; the pages have their own text for it."""
    values: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return NOTICES[self.name].format(**self.values)


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerState:
    """The state of the database server."""

    primary: Primary | None = None
    reason: str = ""
    """Why it is not known; empty when it is."""
    is_synchronous: bool = False
    """Whether commits wait for standbys, where there are any."""

    @property
    def obstacles(self) -> list[Notice]:
        """The reasons why commits do not end."""
        primary = self.primary
        if primary is not None and primary.is_standby:
            return [Notice("standby")]
        if primary is None or not self.is_synchronous or not primary.commits_wait:
            return []
        standbys = len(primary.standbys) if primary.hidden else primary.synchronous
        return [Notice("commits_wait", {"found": standbys, "wanted": primary.waits_for})]

    @property
    def warnings(self) -> list[Notice]:
        """The risks that show only when a machine fails."""
        primary = self.primary
        if primary is None or primary.is_standby or not self.is_synchronous:
            return []
        notices = [] if primary.waits_for else [Notice("one_machine")]
        return [*notices, Notice("hidden")] if primary.hidden else notices

    def as_json(self) -> dict[str, Any]:
        """Return the object for `/readyz`."""
        if self.primary is None:
            return {"engine": "postgresql", "reason": self.reason}
        return {
            "engine": "postgresql",
            "host": self.primary.host,
            "port": self.primary.port,
            "version": self.primary.version,
            "synchronous_standbys": None if self.primary.hidden else self.primary.synchronous,
            "standbys": [
                {
                    "name": standby.name or None,
                    "state": standby.state,
                    "sync": standby.sync,
                    "lag_seconds": standby.lag_sec,
                    "lag_bytes": standby.lag_bytes,
                }
                for standby in self.primary.standbys
            ],
        }


def server_state(settings: Settings, database: Database) -> ServerState | None:
    """Return the state now, without a query when the server is known not to answer.

    None for a database that is a file.
    """
    if database.server is None:
        return None
    if reason := database.no_answer:
        return ServerState(reason=reason)
    try:
        with database.promptly(), database.query() as connection:
            primary = database.server.primary(connection)
    except (DBAPIError, TimeoutError, QueryTooLong) as error:
        return ServerState(reason=reason_of(error))
    return ServerState(
        primary=primary,
        is_synchronous=settings.commits_synchronously,
    )


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
