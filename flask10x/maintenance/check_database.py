"""The checks of the database itself: its pages, its schema, its roll-ups, what was removed.

Nothing is written, and what cannot be read is itself a finding.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from gettext import gettext as _
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, or_, select
from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings, stations_path
from flask10x.database import dialects, engines, removed, schema
from flask10x.database.error_codes import code_of, reason_of
from flask10x.database.paths import JOURNAL, WAL, beside, shown_name
from flask10x.database.sqlite.file import damages, open_read_only
from flask10x.database.station_columns import missing_columns, rollups_fit
from flask10x.database.tables import readings, rejected
from flask10x.errors import SchemaError
from flask10x.export import only_copies
from flask10x.export.files import load_files
from flask10x.export.rows import first_received
from flask10x.health.checks import Facts, Heard
from flask10x.history import rollups
from flask10x.history.silence import Signs, learned_limits, silence, silent_after_sec, usual_silence
from flask10x.history.view import View
from flask10x.readings.stations import Station
from flask10x.readings.times import (
    FIRST_DATE_MS,
    LAST_DATE_MS,
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
class CheckLine:
    """The result of a check: `FAIL` is a fault, `WARN` a warning."""

    level: Level
    name: str
    text: str
    details: dict[str, Any] = field(default_factory=dict)
    """Of the schema its version: an update asks for it."""

    def __str__(self) -> str:
        return f"{self.level:<4} {self.name}: {self.text}"


def worst(findings: Sequence[CheckLine]) -> Level:
    """Return the highest level among the findings."""
    return max((finding.level for finding in findings), key=LEVELS.index, default="ok")


SHOWN_DAMAGES = 5
# Overwritten bytes may still be read, as a time beyond the year 9999 say.
UNREADABLE = (DBAPIError, ValueError, TypeError, OverflowError)
# What SQLite says when it may read the file but write nothing beside it.
NOTHING_BESIDE = ("SQLITE_READONLY", "SQLITE_CANTOPEN")


class DatabaseCheck:
    """The checks of the database itself."""

    def __init__(
        self, settings: Settings, facts: Facts, *, full: bool, since_ms: int | None
    ) -> None:
        """`facts` get what the database knows; `since_ms` is when the service started.

        None: it does not run.
        """
        self._settings = settings
        self._facts = facts
        self._full = full
        self._since_ms = since_ms
        self._now_ms = now_ms()

    def look(self, path: Path) -> Iterator[CheckLine]:
        why = engines.engine_of(self._settings).missing()
        if why or not path.exists():
            text = why or _("there is none at {path}").format(path=path)
            yield CheckLine("FAIL", "database", text)
            return
        try:
            with _open(path) as connection:
                size = disk.size(path) + disk.size(beside(path, WAL))
                text = _("{path}, {size} with its WAL").format(path=path, size=megabytes(size))
                yield CheckLine("ok", "database", text)
                yield from _checked("integrity", self._integrity, connection)
                yield from self.look_inside(connection)
        except DBAPIError as error:
            text = _("{path} cannot be opened: {reason}")
            yield CheckLine("FAIL", "database", text.format(path=path, reason=reason_of(error)))

    def look_inside(self, connection: Connection) -> Iterator[CheckLine]:
        """Yield the findings that are the same on both engines."""
        version = None
        with suppress(*UNREADABLE), dialects.statements_of(connection).attempt(connection):
            version = schema.current(connection)
        newest = schema.all_revisions()[-1]
        if version is not None and (text := schema.too_old(version, shown_name(self._settings))):
            yield CheckLine("FAIL", "schema", text, {"revision": version, "newest": newest})
            return
        checks = {
            "schema": self._schema,
            "readings": self._read_facts,
            "zone": self._zones,
            "rollups": self._rollups,
            "removed": self._removed,
            "times": self._times,
        }
        is_older = version in schema.all_revisions()[:-1]
        for name, check in checks.items():
            yield from _checked(name, check, connection, is_older=is_older)

    def _integrity(self, connection: Connection) -> Iterator[CheckLine]:
        name = "integrity_check" if self._full else "quick_check"
        lines = damages(connection, full=self._full)
        if not lines:
            yield CheckLine("ok", "integrity", _("{check} finds nothing wrong").format(check=name))
            return
        shown = "; ".join(lines[:SHOWN_DAMAGES])
        if len(lines) > SHOWN_DAMAGES:
            shown += _("; and {n} more").format(n=len(lines) - SHOWN_DAMAGES)
        text = _("{check}: {damages}; stop the service, keep the files, restore a backup")
        text = text.format(check=name, damages=shown)
        yield CheckLine("FAIL", "integrity", text)

    def _schema(self, connection: Connection) -> Iterator[CheckLine]:
        version, newest = schema.current(connection), schema.all_revisions()[-1]
        level: Level = "ok"
        details = {"revision": version, "newest": newest}
        text = _("{version}, the newest").format(version=version)
        if version == newest:
            try:
                schema.require_finished(self._settings, connection)
            except SchemaError as error:
                yield CheckLine("FAIL", "schema", str(error), details)
                return
            stations = self._settings.stations
            if stations.file and (missing := missing_columns(connection, stations)):
                level = "WARN"
                text = _("{file} names columns that the database lacks, {columns}: {mend}")
                mend = _("restart the service, or run: flask10x migrate")
                text = text.format(file=stations.file, columns=", ".join(missing), mend=mend)
        elif version in schema.all_revisions():
            level = "WARN"
            text = _(
                "{version}; {newest} is the newest: the next start of the service migrates it,"
                " or at once: flask10x migrate"
            )
            text = text.format(version=version, newest=newest)
        else:
            level = "FAIL"
            text = _("{version} is unknown to this version, which knows up to {newest}")
            text = text.format(version=version, newest=newest)
        yield CheckLine(level, "schema", text, details)

    def _read_facts(self, connection: Connection) -> Iterator[CheckLine]:
        """Read what the checks of the pages need of the database; yield nothing."""
        facts, settings = self._facts, self._settings
        view = View(connection, settings.stations, settings.zone, self._now_ms)
        facts.read_database(settings, view)
        if self._since_ms is not None:
            learned = learned_limits(connection)
            facts.stations = [
                self._heard(connection, station, view.last_received[station.endpoint], learned)
                for station in settings.stations.all
            ]
        yield from ()

    def _heard(
        self,
        connection: Connection,
        station: Station,
        received_at: int | None,
        learned: Mapping[str, int],
    ) -> Heard:
        learned_sec = learned.get(station.endpoint)
        learned_sec = learned_sec or usual_silence(connection, station).missed_after_sec
        since_ms = self._since_ms or 0
        has_sent = received_at is not None and received_at >= since_ms
        alerted = {(alert.kind, alert.subject) for alert in self._facts.alerts}
        signs = Signs(
            age_ms=None if received_at is None else self._now_ms - received_at,
            awaited_ms=None if has_sent else self._now_ms - since_ms,
            after_sec=silent_after_sec(self._settings, station, learned_sec),
            is_alerted=("silence", station.endpoint) in alerted,
            is_retired=station.retired,
        )
        return Heard(station=station, silence=silence(signs), measured_at=None)

    def _zones(self, connection: Connection) -> Iterator[CheckLine]:
        """Yield a finding for each CSV file that is written in another zone than this one."""
        here, stations = zone_name_of(self._settings.zone), self._settings.stations.all
        positions, is_other = load_files(connection).positions, False
        # Nothing more is written to the files of former stations.
        for station in sorted(stations, key=lambda station: station.csv_name):
            name, position = station.csv_name, positions.get(station.csv_name)
            if position is None or not position.zone:
                continue
            last, first_ms = position.last_row, first_received(connection, station)
            if other := other_zone(
                position.zone, self._settings.zone, last, first_ms, self._now_ms
            ):
                is_other = True
                text = _("{what}: run the command with the service's settings").format(what=other)
                yield CheckLine("WARN", "zone", f"{name}: {text}")
        if not is_other:
            yield CheckLine("ok", "zone", here)

    def _rollups(self, connection: Connection) -> Iterator[CheckLine]:
        at, behind = rollups.position(connection), rollups.behind(connection)
        if behind < 0:
            text = _("at {id}, beyond the last reading {highest}: flask10x rollups --rebuild")
            text = text.format(id=at, highest=at + behind)
            yield CheckLine("FAIL", "rollups", text)
            return
        stations = self._settings.stations
        if behind and not rollups_fit(connection, stations):
            text = _(
                "the hourly totals are not yet those of the measurements in {file}; restart the"
                " service, or run: flask10x migrate"
            )
            text = text.format(file=stations.file or stations_path())
            yield CheckLine("WARN", "rollups", text)
            return
        # Late is only slow: a chart takes the rest from the readings.
        text = _("{rows} behind").format(rows=amount(behind, "row"))
        yield CheckLine("ok", "rollups", text)

    def _removed(self, connection: Connection) -> Iterator[CheckLine]:
        """Yield a finding for each station whose old readings were removed (RETENTION_DAYS).

        And one for each lost CSV file that alone has them; its checksum is compared.
        """
        for file in only_copies.lost(only_copies.load(self._settings, connection), read=True):
            text = file.with_command(self._settings, chosen())
            yield CheckLine("FAIL", "removed", text)
        for endpoint, of_station in sorted(removed.load_removed(connection).items()):
            if of_station.last_ms is not None:
                text = _(
                    "/{station}: {readings} up to {time} removed; their hours and days are kept"
                )
                number = amount(of_station.readings, "reading")
                time = local_text(of_station.last_ms, self._settings.zone)
                text = text.format(station=endpoint, readings=number, time=time)
                yield CheckLine("ok", "removed", text)

    def _times(self, connection: Connection) -> Iterator[CheckLine]:
        """Find rows that a hand, or damage, has put outside the calendar; mostly there are none."""
        undated: dict[str, list[int]] = {}
        for table in (readings, rejected):
            at = table.c.received_at
            beyond = select(table.c.id).where(or_(at < FIRST_DATE_MS, at > LAST_DATE_MS))
            undated[table.name] = [*connection.execute(beyond.order_by(table.c.id)).scalars()]
        if not any(undated.values()):
            return
        named = "; ".join(f"{name} {some(ids)}" for name, ids in undated.items() if ids)
        text = _(
            "no dates: {rows}; pages show such a time by its number, charts and CSV files leave"
            " it out: set the right received_at"
        )
        yield CheckLine("WARN", "times", text.format(rows=named))


@contextmanager
def _open(path: Path) -> Iterator[Connection]:
    """Open a connection that has read the first page."""
    with ExitStack() as stack:
        try:
            connection = stack.enter_context(open_read_only(path).connect())
            connection.exec_driver_sql("PRAGMA schema_version")
        except DBAPIError as error:
            # On a read-only disk the shared memory of a WAL can't be made; without a WAL it is not
            # needed, and nothing can be writing.
            unfinished = any(disk.size(beside(path, suffix)) for suffix in (WAL, JOURNAL))
            if not code_of(error).startswith(NOTHING_BESIDE) or unfinished:
                raise
            connection = stack.enter_context(open_read_only(path, immutable=True).connect())
            connection.exec_driver_sql("PRAGMA schema_version")
        yield connection


def _checked(
    name: str,
    check: Callable[[Connection], Iterator[CheckLine]],
    connection: Connection,
    *,
    is_older: bool = False,
) -> list[CheckLine]:
    try:
        with dialects.statements_of(connection).attempt(connection):
            return list(check(connection))
    except UNREADABLE as error:
        # Another finding says already that the database is to be migrated, with the command.
        if is_older and schema.is_wrong_sql(error):
            return []
        text = _("cannot be read: {reason}").format(reason=reason_of(error))
        return [CheckLine("FAIL", name, text)]
