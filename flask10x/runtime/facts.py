"""How the service is doing: the facts that alerts, the status page and Prometheus have."""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, Row, Select, bindparam, func, not_, select
from sqlalchemy.exc import DBAPIError, TimeoutError

from flask10x.config.settings import Settings
from flask10x.database import dialects
from flask10x.database.csv_owner import is_elsewhere
from flask10x.database.database import Database
from flask10x.database.error_codes import QueryTooLong, reason_of
from flask10x.database.expressions import spans, unindexed
from flask10x.database.paths import database_path
from flask10x.database.server import Primary
from flask10x.database.tables import ARRIVAL, exports, imports, readings, rejected
from flask10x.errors import LockTimeout
from flask10x.history.view import View
from flask10x.readings import csv_lines
from flask10x.readings.stations import Station, Stations
from flask10x.recording.writer import Writer
from flask10x.system.backup_files import finished
from flask10x.system.gauges import Gauges


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
    """The first reading that a station has sent, of those that are kept."""

    id: int
    came_at: int
    """When it came, in UTC epoch milliseconds."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """What the database holds from its beginning on."""

    first: FirstReading | None
    """None while all readings came from files."""
    imports: tuple[Import, ...]

    @property
    def at(self) -> int | None:
        """When the first reading came or the first import was made, in UTC epoch milliseconds.

        None while there was neither.
        """
        times = [one.imported_at for one in self.imports]
        times += [] if self.first is None else [self.first.came_at]
        return min(times, default=None)

    def imported(self, from_id: int) -> int:
        """How many of the readings from this id on came from files."""
        return sum(
            one.last_id - max(one.first_id, from_id) + 1
            for one in self.imports
            if one.last_id >= from_id
        )


def beginning(connection: Connection) -> Beginning:
    """What is known now; raises what reading raises. A step into the index for each import."""
    rows = _imports(connection)
    return Beginning(_first_sent(connection, rows), rows)


def _imports(connection: Connection) -> tuple[Import, ...]:
    """All of them, in the order of their ids."""
    return tuple(map(Import._make, connection.execute(_IMPORTS).all()))


def _first_sent(connection: Connection, rows: Sequence[Import]) -> FirstReading | None:
    came_at = ARRIVAL.label("came_at")
    query = select(readings.c.id, came_at).order_by(readings.c.id).limit(1)
    passed = 0
    for one in rows:
        # Between two imports there may be ids that no reading has.
        if one.first_id > passed + 1:
            between = query.where(readings.c.id > passed, readings.c.id < one.first_id)
            row = connection.execute(between).one_or_none()
            if row is not None:
                return FirstReading(row.id, row.came_at)
        passed = max(passed, one.last_id)
    row = connection.execute(query.where(readings.c.id > passed)).one_or_none()
    return FirstReading(row.id, row.came_at) if row is not None else None


@dataclass(frozen=True, slots=True)
class Room:
    """The room of one disk, in bytes; `free` is what the service itself may use."""

    free: int
    total: int

    @property
    def free_percent(self) -> float:
        """The free share, 0 to 100."""
        return 100 * self.free / self.total if self.total else 0.0


def room(folder: Path) -> Room:
    """That of the disk that has this folder; raises OSError."""
    status = os.statvfs(folder)
    return Room(status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize)


# A backup that is dated later than this was made while the clock was wrong: it says nothing of now.
CLOCK_MARGIN_MS = 24 * 3_600_000
DATE = "flask10x-%Y%m%d-%H%M%S.sqlite3"


@dataclass(frozen=True, kw_only=True, slots=True)
class NewestBackup:
    """A finished backup, none newer than it."""

    path: Path
    made_at: int
    """When it was begun by its name, in UTC epoch milliseconds."""
    bytes: int

    def age_sec(self, now_ms: int) -> int:
        """Whole seconds since it was begun; never below 0."""
        return max(0, now_ms - self.made_at) // 1000


def newest_backup(folder: Path, zone: tzinfo | None, now_ms: int) -> NewestBackup | None:
    """That of the folder, names in the service's zone; None when there is none, or no folder.

    One from the future, made while the clock was wrong, is passed over. Raises OSError.
    """
    try:
        files = finished(folder)
    except FileNotFoundError:
        return None
    for path in reversed(files):
        made_at = _made_at(path, zone)
        if made_at <= now_ms + CLOCK_MARGIN_MS:
            return NewestBackup(path=path, made_at=made_at, bytes=path.stat().st_size)
    return None


def _made_at(path: Path, zone: tzinfo | None) -> int:
    """By its name, which a copy to another disk keeps; where that is no date, by its last change.

    In the hour that comes twice when summer time ends it is the first.
    """
    try:
        named = datetime.strptime(path.name, DATE).replace(tzinfo=zone)
        return int(named.timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        return path.stat().st_mtime_ns // 1_000_000


# How far the first reading that waits is looked for behind the last one that was exported, before
# the index is asked: milliseconds. Stations send by turns, so it is mostly among the first dozen.
LOOK_ROWS = 5000
# More are not counted: milliseconds on a PC, and nobody needs the number any more.
COUNT_MAX = 100_000
# The time of a file that has no reading with a date yet.
BEFORE_ALL = -(2**62)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportLag:
    """How far one station's CSV file is behind."""

    station: Station
    is_exported: bool
    """Whether an export has ever written it; if not, nothing is said of what waits."""
    changed_at: int | None
    """When an export has changed it last, in UTC epoch milliseconds; None when none has."""
    oldest_at: int | None
    """When the oldest reading came that is not in it; None when all are."""
    waiting: int
    """How many are not in it; COUNT_MAX stands for that many or more."""


def export_lags(
    connection: Connection, stations: Stations, imported: Sequence[Import] | None = None
) -> list[ExportLag]:
    """One for each station, in their order, in one statement beside that for the imports.

    `imported` are the imports, where these were read before. A reading that came late, after newer
    ones of its station were exported, is only found when it is among the LOOK_ROWS behind them; so
    is one that came while the clock was wrong.
    """
    if imported is None:
        imported = _imports(connection)
    # What came from a station's own file does not wait: an export would not append it.
    own_files = [
        (one.endpoint, None, one.first_id, one.last_id, 0)
        for one in imported
        if (station := stations.by_endpoint.get(one.endpoint)) is not None
        and csv_lines.is_name_of(station, Path(one.file).name)
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
    imported = (
        select(own_files.c.place)
        .where(own_files.c.endpoint == row.endpoint)
        .where(row.id.between(own_files.c.first, own_files.c.second))
        .correlate(readings)
        .exists()
    )
    after = (row.id > exports.c.last_id, not_(imported))
    # By the index it would read all of the station's entries.
    near = (
        select(ARRIVAL)
        .where(unindexed(row.endpoint) == files.c.endpoint, *after)
        .where(row.id <= exports.c.last_id + bindparam("look_rows"))
        .order_by(row.id)
    )
    last = func.coalesce(exports.c.last_received_at, BEFORE_ALL)
    newer = (row.endpoint == files.c.endpoint, row.received_at > last, *after)
    far = select(ARRIVAL).where(*newer).order_by(row.received_at)
    some = select(row.id).where(*newer).limit(COUNT_MAX).correlate(files, exports).subquery()
    first = (query.limit(1).correlate(files, exports).scalar_subquery() for query in (near, far))
    return (
        select(
            files.c.endpoint,
            exports.c.changed_ns,
            func.coalesce(*first).label("oldest_at"),
            select(func.count()).select_from(some).scalar_subquery().label("waiting"),
        )
        .join_from(files, exports, exports.c.name == files.c.measurement)
        .where(exports.c.size_bytes > 0)
        .where(func.coalesce(exports.c.endpoint, files.c.endpoint) == files.c.endpoint)
    )


_WAITING = _waiting_statement()


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
# The second and third say how many bytes all rejected readings have but the oldest: by the ends of
# their ids, for the table is large. The last two are the bytes of the CSV files, and how
# many ids these cover.
_SIZES = select(
    select(func.min(readings.c.id)).scalar_subquery(),
    *(
        select(rejected.c.end_bytes).order_by(order).limit(1).scalar_subquery()
        for order in (rejected.c.id, rejected.c.id.desc())
    ),
    *(
        select(value).where(exports.c.size_bytes > 0).scalar_subquery()
        for value in (
            func.sum(exports.c.size_bytes - func.coalesce(exports.c.begin_bytes, 0)),
            func.max(exports.c.last_id) - func.min(exports.c.first_id),
        )
    ),
)


def _bytes_a_row(view: View, settings: Settings, path: Path) -> float | None:
    """What each reading adds: to the database, to its backups and to the CSV files."""
    sizes = view.connection.execute(_SIZES).one()
    first_id, oldest_bytes, newest_bytes, csv_bytes, exported = sizes
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
    row_bytes = stored + len(backups) * copied
    if csv_bytes and exported > 0 and _has_csv_files(view.connection, settings, path.parent):
        row_bytes += float(csv_bytes / exported)
    return row_bytes


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
    """In English, for programs and messages."""
    reason: str = ""
    """What the database or the disk has said, where it is that; else empty."""


def obstacles(database: Database, writer: Writer, gauges: Gauges) -> list[Obstacle]:
    """All that are known; when there are none, whether the database takes a write lock now.

    That may wait for as long as a commit does; nothing is written. Empty when readings are stored.
    """
    return obstacles_met(database, writer, gauges) or _unwritable(database)


def obstacles_met(database: Database, writer: Writer, gauges: Gauges) -> list[Obstacle]:
    """Those that some worker has met already: a look into memory only."""
    damage = database.damage
    if obstacle := damage.obstacle:
        if damage.is_damaged:
            return [Obstacle("damaged", obstacle, damage.reason)]
        return [Obstacle("suspected", obstacle, damage.suspicion)]
    found = []
    if writer.dead:
        found.append(Obstacle("dead", "the writer thread has died"))
    if writer.full:
        text = f"the queue is full: {writer.depth} readings wait"
        found.append(Obstacle("full", text))
    if writer.trouble and not writer.dead:
        text = f"readings cannot be stored: {writer.trouble}"
        found.append(Obstacle("trouble", text, writer.trouble))
    if not found and gauges.trouble():
        found.append(Obstacle("elsewhere", "another worker cannot store readings"))
    return found


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
    """What programs and people are told of the server; programs in English."""

    name: str
    """Of NOTICES; the pages say it by this name in both languages."""
    values: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return NOTICES[self.name].format(**self.values)


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerState:
    """What could be told."""

    primary: Primary | None = None
    reason: str = ""
    """Why nothing could."""
    is_synchronous: bool = False
    """Whether commits are to wait for standbys, where there are any to wait for."""

    @property
    def obstacles(self) -> list[Notice]:
        """What keeps commits from coming to an end."""
        known = self.primary
        if known is not None and known.is_standby:
            return [Notice("standby")]
        if known is None or not self.is_synchronous or not known.commits_wait:
            return []
        found = len(known.standbys) if known.hidden else known.synchronous
        return [Notice("commits_wait", {"found": found, "wanted": known.waits_for})]

    @property
    def warnings(self) -> list[Notice]:
        """What nobody notices before a machine dies."""
        known = self.primary
        if known is None or known.is_standby or not self.is_synchronous:
            return []
        found = [] if known.waits_for else [Notice("one_machine")]
        return [*found, Notice("hidden")] if known.hidden else found

    def as_json(self) -> dict[str, Any]:
        """As `/readyz` has it."""
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
    """What can be said now; it asks no server of which it is known that it does not answer.

    None for a database that is a file.
    """
    if database.server is None:
        return None
    if reason := database.no_answer:
        return ServerState(reason=reason)
    try:
        with database.promptly(), database.query() as connection:
            found = database.server.primary(connection)
    except (DBAPIError, TimeoutError, QueryTooLong) as error:
        return ServerState(reason=reason_of(error))
    return ServerState(primary=found, is_synchronous=settings.commits_synchronously)
