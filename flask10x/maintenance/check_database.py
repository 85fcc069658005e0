"""What the database itself shows: sound, migrated, followed, fed.

Only looks: nothing is written, and whatever cannot be read is itself a finding.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from gettext import gettext as _
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, Engine, Row, Table, func, or_, select
from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings, stations_path
from flask10x.database import dialects, engines, removed, schema
from flask10x.database.dialects import last_id
from flask10x.database.error_codes import code_of, reason_of
from flask10x.database.expressions import unindexed
from flask10x.database.paths import JOURNAL, WAL, beside, shown_name
from flask10x.database.removed import Removed
from flask10x.database.sqlite.file import damages, open_read_only
from flask10x.database.station_columns import missing_columns, rollups_fit
from flask10x.database.tables import ARRIVAL, exports, followers, imports, readings, rejected
from flask10x.history import days, rollups
from flask10x.history.silence import Signs, silence, silent_after_sec, usual_silence
from flask10x.history.view import View
from flask10x.readings import csv_lines
from flask10x.readings.stations import Station
from flask10x.readings.times import (
    FIRST_DATE_MS,
    LAST_DATE_MS,
    OtherZone,
    local_text,
    other_zone,
    zone_name_of,
)
from flask10x.system import disk
from flask10x.system.clock import now_ms
from flask10x.system.wording import amount, megabytes, some
from flask10x.translation import chosen

Level = Literal["ok", "WARN", "FAIL"]
LEVELS: tuple[Level, ...] = ("ok", "WARN", "FAIL")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: `FAIL` is wrong now, `WARN` worth a look. `details` are for programs."""

    level: Level
    name: str
    text: str
    details: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.level:<4} {self.name}: {self.text}"


def worst(findings: Sequence[Finding]) -> Level:
    """The highest level among the findings."""
    return max((finding.level for finding in findings), key=LEVELS.index, default="ok")


SHOWN_DAMAGES = 5
HIGHEST_ID = 2**63 - 1
# The export runs once a night: one that was missed shows by noon.
EXPORT_LATE_SEC = 36 * 3600
# Overwritten bytes may still be read, as a time beyond the year 9999 say.
UNREADABLE = (DBAPIError, ValueError, TypeError, OverflowError)
# What SQLite says when it may read the file but write nothing beside it.
NOTHING_BESIDE = ("SQLITE_READONLY", "SQLITE_CANTOPEN")

# When a reading came in.
_ZONES = select(exports.c.name, exports.c.zone, exports.c.last_received_at, exports.c.last_time)


class DatabaseCheck:
    """What the database itself shows."""

    def __init__(self, settings: Settings, *, full: bool, served: bool) -> None:
        self._settings = settings
        self._full = full
        self._served = served
        self._now_ms = now_ms()

    def look(self, path: Path) -> Iterator[Finding]:
        why = engines.of(self._settings).missing()
        if why or not path.exists():
            text = why or _("there is none at {path}").format(path=path)
            yield Finding("FAIL", "database", text)
            return
        try:
            with _open(path) as connection:
                size = disk.size(path) + disk.size(beside(path, WAL))
                text = _("{path}, {size} with its WAL").format(path=path, size=megabytes(size))
                yield Finding("ok", "database", text, {"bytes": size})
                yield from _checked("integrity", self._integrity, connection)
                yield from self.look_inside(connection)
        except DBAPIError as error:
            text = _("{path} cannot be opened: {reason}")
            yield Finding("FAIL", "database", text.format(path=path, reason=reason_of(error)))

    def look_inside(self, connection: Connection) -> Iterator[Finding]:
        """What is the same on both engines."""
        version = _version(connection)
        if version is not None and (text := schema.too_old(version, shown_name(self._settings))):
            yield Finding(
                "FAIL", "schema", text, {"revision": version, "newest": schema.known()[-1]}
            )
            return
        is_older = version in schema.known()[:-1]
        for name, check in self._checks().items():
            yield from _checked(name, check, connection, is_older=is_older)

    def _checks(self) -> dict[str, Callable[[Connection], list[Finding]]]:
        return {
            "schema": self._schema,
            "followers": self._followers,
            "zone": self._zones,
            "rollups": self._rollups,
            "removed": self._removed,
            "stations": self._stations,
            "times": self._times,
        }

    def _integrity(self, connection: Connection) -> list[Finding]:
        name = "integrity_check" if self._full else "quick_check"
        found = damages(connection, full=self._full)
        if not found:
            text = _("{check} finds nothing wrong").format(check=name)
            return [Finding("ok", "integrity", text)]
        shown = "; ".join(found[:SHOWN_DAMAGES])
        if len(found) > SHOWN_DAMAGES:
            shown += _("; and {n} more").format(n=len(found) - SHOWN_DAMAGES)
        text = _("{check}: {damages}; stop the service, keep the files, restore a backup")
        text = text.format(check=name, damages=shown)
        return [Finding("FAIL", "integrity", text, {"damages": found})]

    def _schema(self, connection: Connection) -> list[Finding]:
        at, known = schema.current(connection), schema.known()
        details = {"revision": at, "newest": known[-1]}
        if at == known[-1]:
            stations = self._settings.stations
            if stations.file and (lacking := missing_columns(connection, stations)):
                text = _("{file} names columns that the database lacks, {columns}: {mend}")
                mend = _("restart the service, or run: flask10x migrate")
                text = text.format(file=stations.file, columns=", ".join(lacking), mend=mend)
                return [Finding("WARN", "schema", text, {**details, "missing": lacking})]
            text = _("{version}, the newest").format(version=at)
            return [Finding("ok", "schema", text, details)]
        if at in known:
            text = _(
                "{version}; {newest} is the newest: the next start of the service migrates it,"
                " or at once: flask10x migrate"
            )
            text = text.format(version=at, newest=known[-1])
            return [Finding("WARN", "schema", text, details)]
        text = _("{version} is unknown to this version, which knows up to {newest}")
        text = text.format(version=at, newest=known[-1])
        return [Finding("FAIL", "schema", text, details)]

    def _followers(self, connection: Connection) -> list[Finding]:
        positions = _positions(connection)
        stations = {station.csv_name: station for station in self._settings.stations.all}
        highest = last_id(connection)
        return [
            self._follower(connection, name, positions.get(name, 0), highest, stations.get(name))
            for name in sorted(stations.keys() | positions.keys())
        ]

    def _follower(
        self, connection: Connection, name: str, at: int, highest: int, station: Station | None
    ) -> Finding:
        if station is None and name.endswith(csv_lines.CSV_SUFFIX):
            text = _("{name} is the file of no station that there is; nothing is appended to it")
            return Finding("ok", "follower", text.format(name=name), {"follower": name})
        behind, oldest_ms = _behind(connection, at, station)
        details = {"follower": name, "last_id": at, "rows_behind": behind}
        if at > highest:
            text = _("{name} is at {id}, beyond the last reading {highest}: an older database?")
            text = text.format(name=name, id=at, highest=highest)
            return Finding("FAIL", "follower", text, details)
        if behind and self._now_ms - oldest_ms > EXPORT_LATE_SEC * 1000:
            since = local_text(oldest_ms, self._settings.zone)
            text = _("{name} is {rows} behind, the oldest of {time}")
            text = text.format(name=name, rows=amount(behind, "row"), time=since)
            return Finding("WARN", "follower", text, details)
        text = _("{name} is {rows} behind").format(name=name, rows=amount(behind, "row"))
        return Finding("ok", "follower", text, details)

    def _zones(self, connection: Connection) -> list[Finding]:
        """One for each CSV file that is written in another zone than this command's."""
        here = zone_name_of(self._settings.zone)
        findings = []
        for row in connection.execute(_ZONES.order_by(exports.c.name)).all():
            station = next((s for s in self._settings.stations.all if s.csv_name == row.name), None)
            # Nothing more is written to the file of a station that is no more.
            if station is None or not row.zone:
                continue
            if found := self._other_zone(connection, row, station):
                details = {"file": row.name, "zone": row.zone, "here": here}
                text = _("{what}: run the command with the service's settings")
                text = f"{row.name}: {text.format(what=found)}"
                findings.append(Finding("WARN", "zone", text, details))
        return findings or [Finding("ok", "zone", here, {"here": here})]

    def _other_zone(
        self, connection: Connection, row: Row[Any, Any, Any, Any], station: Station
    ) -> OtherZone | None:
        first = select(func.min(readings.c.received_at)).where(
            readings.c.endpoint == station.endpoint
        )
        first_ms = connection.execute(first).scalar_one()
        last = row.last_received_at, row.last_time
        return other_zone(row.zone, self._settings.zone, last, first_ms, self._now_ms)

    def _rollups(self, connection: Connection) -> list[Finding]:
        at, behind = rollups.position(connection), rollups.behind(connection)
        made = days.made(connection)
        details = {
            "last_id": at,
            "rows_behind": behind,
            "days_zone": made.zone if made is not None and made.are_all else None,
        }
        if behind < 0:
            text = _("at {id}, beyond the last reading {highest}: flask10x rollups --rebuild")
            text = text.format(id=at, highest=at + behind)
            return [Finding("FAIL", "rollups", text, details)]
        stations = self._settings.stations
        if behind and not rollups_fit(connection, stations):
            text = _(
                "the rollups are not yet those of the measurements in {file}; restart the service,"
                " or run: flask10x migrate"
            )
            text = text.format(file=stations.file or stations_path())
            return [Finding("WARN", "rollups", text, details)]
        # Late is only slow: a chart takes the rest from the readings.
        text = _("{rows} behind").format(rows=amount(behind, "row"))
        return [Finding("ok", "rollups", text, details)]

    def _removed(self, connection: Connection) -> list[Finding]:
        """One for each station whose old readings were removed (RETENTION_DAYS)."""
        return [
            self._removed_of(endpoint, gone)
            for endpoint, gone in sorted(removed.load_removed(connection).items())
            if gone.last_ms is not None
        ]

    def _removed_of(self, endpoint: str, gone: Removed) -> Finding:
        last = local_text(gone.last_ms or 0, self._settings.zone)
        text = _("/{station}: {readings} up to {time} removed; their hours and days are kept")
        text = text.format(station=endpoint, readings=amount(gone.readings, "reading"), time=last)
        details = {"endpoint": endpoint, "last_id": gone.last_id, "readings": gone.readings}
        return Finding("ok", "removed", text, details)

    def _stations(self, connection: Connection) -> list[Finding]:
        stations = self._settings.stations
        received = View(connection, stations).last_received
        return [
            self._station(
                one, received[one.endpoint], usual_silence(connection, one).missed_after_sec
            )
            for one in stations.all
        ]

    def _station(
        self, station: Station, received_at: int | None, learned_sec: int | None
    ) -> Finding:
        endpoint = station.endpoint
        if received_at is None:
            text = _("/{station} never sent").format(station=endpoint)
            return Finding("ok", "station", text, {"endpoint": endpoint})
        last = local_text(received_at, self._settings.zone)
        seconds = max(0, self._now_ms - received_at) // 1000
        age_ms = self._now_ms - received_at
        verdict = silence(
            Signs(
                age_ms=age_ms,
                # For how long the service runs is not known here.
                awaited_ms=age_ms,
                after_sec=silent_after_sec(self._settings, station, learned_sec),
                is_alerted=False,
            )
        )
        silent = self._served and verdict.is_missed
        details = {"endpoint": endpoint, "last_received": last, "seconds": seconds}
        text = _("/{station} sent last {time}, {span} ago")
        text = text.format(station=endpoint, time=last, span=chosen().duration(seconds))
        return Finding("WARN" if silent else "ok", "station", text, details)

    def _times(self, connection: Connection) -> list[Finding]:
        """Rows that somebody, or damage, has put outside the calendar; mostly there are none."""
        found = {of.name: _undated(connection, of) for of in (readings, rejected)}
        details: dict[str, object] = {"undated": found}
        if not any(found.values()):
            return []
        named = "; ".join(f"{name} {some(ids)}" for name, ids in found.items() if ids)
        text = _(
            "no dates: {rows}; pages show such a time by its number, charts and CSV files leave"
            " it out: set the right received_at"
        )
        return [Finding("WARN", "times", text.format(rows=named), details)]


@contextmanager
def _open(path: Path) -> Iterator[Connection]:
    """A connection that has read the first page."""
    try:
        connection = _connect(open_read_only(path))
    except DBAPIError as error:
        # On a read-only disk the shared memory of a WAL can't be made; without a WAL nobody
        # needs it, and nobody can be writing.
        unfinished = any(disk.size(beside(path, suffix)) for suffix in (WAL, JOURNAL))
        if not code_of(error).startswith(NOTHING_BESIDE) or unfinished:
            raise
        connection = _connect(open_read_only(path, immutable=True))
    try:
        yield connection
    finally:
        connection.close()


def _connect(engine: Engine) -> Connection:
    connection = engine.connect()
    try:
        connection.exec_driver_sql("PRAGMA schema_version")
    except BaseException:
        connection.close()
        raise
    return connection


def _checked(
    name: str,
    check: Callable[[Connection], list[Finding]],
    connection: Connection,
    *,
    is_older: bool = False,
) -> list[Finding]:
    try:
        with dialects.of(connection).attempt(connection):
            return check(connection)
    except UNREADABLE as error:
        # That the database is to be migrated is a finding already, with the command.
        if is_older and schema.is_wrong_sql(error):
            return []
        text = _("cannot be read: {reason}").format(reason=reason_of(error))
        return [Finding("FAIL", name, text)]


def _version(connection: Connection) -> str | None:
    """The version of the database, or None if it has none or cannot be read."""
    try:
        with dialects.of(connection).attempt(connection):
            return schema.current(connection)
    except UNREADABLE:
        return None


def _positions(connection: Connection) -> dict[str, int]:
    """The last id that each follower has finished; a CSV file goes by its name."""
    positions = dict(connection.execute(select(followers.c.name, followers.c.last_id)).all())
    # The roll-ups have a line of their own.
    positions.pop(rollups.NAME, None)
    return positions | dict(connection.execute(select(exports.c.name, exports.c.last_id)).all())


def _behind(connection: Connection, at: int, station: Station | None) -> tuple[int, int]:
    """How many rows a follower has before it, and when the oldest of them came in."""
    received_at = readings.c.received_at
    query = select(func.count(), func.min(ARRIVAL))
    if station is not None:
        # What no export takes is not behind, either.
        query = query.where(unindexed(received_at).between(FIRST_DATE_MS, LAST_DATE_MS))
        # Or SQLite would read all of the station's entries in the index instead of the tail.
        query = query.where(unindexed(readings.c.endpoint) == station.endpoint)
    tails = [
        connection.execute(query.where(readings.c.id > at, readings.c.id < end)).one()
        for at, end in _spans(at, _imported(connection, station))
    ]
    return sum(count for count, _ in tails), min((ms for count, ms in tails if count), default=0)


def _undated(connection: Connection, of: Table) -> list[int]:
    """The ids of the rows whose time lies outside the calendar, by damage or by hand."""
    at = of.c.received_at
    beyond = select(of.c.id).where(or_(at < FIRST_DATE_MS, at > LAST_DATE_MS))
    return list(connection.execute(beyond.order_by(of.c.id)).scalars())


def _imported(connection: Connection, station: Station | None) -> list[tuple[int, int]]:
    """The ids of rows that came from the station's own file, which are not appended to it again."""
    if station is None:
        return []
    columns = (imports.c.file, imports.c.first_id, imports.c.last_id)
    rows = connection.execute(select(*columns).order_by(imports.c.first_id))
    own = (row for row in rows if csv_lines.is_name_of(station, Path(row.file).name))
    return [(row.first_id, row.last_id) for row in own]


def _spans(at: int, ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """What lies after `at` outside these ranges, both ends exclusive."""
    for first, last in ranges:
        if first > at + 1:
            yield at, first
        at = max(at, last)
    yield at, HIGHEST_ID
