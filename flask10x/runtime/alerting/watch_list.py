"""The watches for the rules of `alerts.toml`, and their sources."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from flask10x.alerts.alert import Watch
from flask10x.alerts.subjects import stations_of
from flask10x.config.alerts.rules import (
    BackupOverdue,
    DatabaseTrouble,
    Disk,
    ExportOverdue,
    FailedSensor,
    Queue,
    Rate,
    RefusedSender,
    ReplicaOverdue,
    Rule,
    Silence,
    Stuck,
    Threshold,
    WrongCopies,
)
from flask10x.config.settings import Settings
from flask10x.database import verified
from flask10x.database.database import Database
from flask10x.health import copies
from flask10x.health.copies import ExportLag, export_lags
from flask10x.health.database import beginning, obstacles_met
from flask10x.health.disk import card
from flask10x.history.view import View
from flask10x.readings.stations import Measurement, Station, Stations
from flask10x.recording.shared_queue import SharedQueues
from flask10x.recording.writer import Writer
from flask10x.runtime.alerting.measurement_watches import (
    REPLAYED_MS,
    FastChange,
    LimitPassed,
    NewReadings,
    Scope,
    Unchanged,
)
from flask10x.runtime.alerting.refusal_watches import (
    FailedSensors,
    NewRefusals,
    RefusedSenders,
    last_value_in,
)
from flask10x.runtime.alerting.service_watches import (
    DatabaseObstacles,
    DifferingCopies,
    FullDisk,
    LongQueue,
    OverdueBackup,
    OverdueExport,
    OverdueReplica,
)
from flask10x.runtime.alerting.silent_stations import SilentStations, StoredStations
from flask10x.system.gauges import Gauges

if TYPE_CHECKING:
    from flask10x.export.only_copies import OnlyCopy


def of(
    settings: Settings, database: Database, gauges: Gauges, queues: SharedQueues, writer: Writer
) -> list[Watch]:
    """Return one watch for each rule of these settings. Opens and reads nothing yet."""
    sources = _Sources(settings, database, gauges, queues, writer)
    return [sources.watch(rule) for rule in settings.alerts.rules]


@dataclass
class _Sources:
    """The sources of the watches of these settings."""

    settings: Settings
    database: Database
    gauges: Gauges
    queues: SharedQueues
    writer: Writer

    def __post_init__(self) -> None:
        scope = scope_of(self.settings.alerts.rules, self.settings.stations)
        self._readings = NewReadings(self.database, self.gauges, self.queues, scope)
        endpoints = tuple(self.settings.stations.by_endpoint)
        self._refusals = NewRefusals(self.database, self.gauges, endpoints)

    def watch(self, rule: Rule) -> Watch:
        """Return the watch of one rule."""
        if isinstance(rule, Threshold | Rate | Stuck | FailedSensor | RefusedSender):
            return self._of_readings(rule)
        if isinstance(rule, WrongCopies):
            result = partial(verified.last_result, self.settings)
            return DifferingCopies(rule, result, self._only_copies)
        return self._of_service(rule)

    def _of_readings(self, rule: Threshold | Rate | Stuck | FailedSensor | RefusedSender) -> Watch:
        match rule:
            case Threshold():
                of, zone = self._measurement(rule), self.settings.zone
                return LimitPassed(rule, of, self._readings, zone)
            case Rate():
                return FastChange(rule, self._measurement(rule), self._readings)
            case Stuck():
                return Unchanged(rule, self._measurement(rule), self._readings)
            case FailedSensor():
                stations = self._stations(rule.stations)
                last_value = last_value_in(self.database)
                return FailedSensors(rule, stations, self._readings, self._refusals, last_value)
            case RefusedSender():
                endpoints = [station.endpoint for station in self._stations(rule.stations)]
                return RefusedSenders(rule, endpoints, self._refusals)

    def _of_service(
        self,
        rule: Silence
        | Queue
        | Disk
        | DatabaseTrouble
        | ExportOverdue
        | BackupOverdue
        | ReplicaOverdue,
    ) -> Watch:
        match rule:
            case Silence():
                source = StoredStations(self.settings, self.database, self.gauges)
                return SilentStations(rule, self._stations(rule.stations), self.gauges, source)
            case Queue():
                return LongQueue(rule, self.settings, self.queues)
            case Disk():
                return FullDisk(rule, self.database.path.parent, self._full_in_days)
            case DatabaseTrouble():
                return DatabaseObstacles(rule, self.database.damage, self._obstacles)
            case ExportOverdue():
                return OverdueExport(rule, self._export_lags)
            case BackupOverdue() | ReplicaOverdue():
                return self._of_copy(rule)

    def _of_copy(self, rule: BackupOverdue | ReplicaOverdue) -> Watch:
        if isinstance(rule, ReplicaOverdue):
            return OverdueReplica(rule, partial(copies.replica, self.settings))
        newest = partial(copies.newest_backup, self.settings.backup_dir, self.settings.zone)
        return OverdueBackup(rule, newest, self._began_at)

    def _measurement(self, rule: Threshold | Rate | Stuck) -> Measurement:
        of_station = self.settings.stations.by_endpoint[rule.station].measurements
        return next(measurement for measurement in of_station if measurement.column == rule.column)

    def _stations(self, endpoints: Sequence[str]) -> tuple[Station, ...]:
        return stations_of(endpoints, self.settings.stations)

    def _obstacles(self) -> list[str]:
        obstacles = obstacles_met(self.database, self.writer, self.gauges)
        return [obstacle.text for obstacle in obstacles]

    def _full_in_days(self, now_ms: int) -> float | None:
        with self.database.query() as connection:
            view = View(connection, self.settings.stations, self.settings.zone, now_ms)
            return card(self.settings, view).full_in_days

    def _export_lags(self) -> list[ExportLag]:
        with self.database.query() as connection:
            return export_lags(connection, self.settings.stations)

    def _only_copies(self) -> "list[OnlyCopy]":
        with self.database.query() as connection:
            return copies.only_copies(self.settings, connection)

    def _began_at(self) -> int | None:
        with self.database.query() as connection:
            return beginning(connection).at


def scope_of(rules: Sequence[Rule], stations: Stations) -> Scope:
    """Return which readings these rules need."""
    columns: defaultdict[str, dict[str, None]] = defaultdict(dict)
    replayed_sec = replayed_rows = 0
    for rule in rules:
        match rule:
            case Threshold() | Rate() | Stuck():
                columns[rule.station][rule.column] = None
                lasting_sec = rule.within_sec if isinstance(rule, Rate) else rule.for_sec
                replayed_sec = max(replayed_sec, 2 * lasting_sec)
            case FailedSensor():
                for station in stations_of(rule.stations, stations):
                    columns[station.endpoint] |= dict.fromkeys(station.columns)
                replayed_rows = max(replayed_rows, 2 * rule.readings)
            case _:
                pass
    return Scope(
        columns={endpoint: tuple(names) for endpoint, names in columns.items()},
        replayed_ms=max(REPLAYED_MS, 1000 * replayed_sec),
        replayed_rows=replayed_rows,
    )
