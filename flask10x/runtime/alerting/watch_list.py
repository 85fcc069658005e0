"""Which watches the rules of `alerts.toml` need, and what they look at."""

from collections import defaultdict
from collections.abc import Sequence
from functools import partial

from flask10x.alerts.alert import Watch
from flask10x.config.alerts.rules import (
    BackupOverdue,
    DatabaseTrouble,
    Disk,
    ExportOverdue,
    FailedSensor,
    Queue,
    Rate,
    RefusedSender,
    Rule,
    Silence,
    Threshold,
)
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.history.view import View
from flask10x.readings.stations import Measurement, Station, Stations
from flask10x.recording.shared_queue import SharedQueues
from flask10x.recording.writer import Writer
from flask10x.runtime import facts
from flask10x.runtime.alerting.measurement_watches import FastChange, LimitPassed, NewReadings
from flask10x.runtime.alerting.refusal_watches import (
    FailedSensors,
    NewRefusals,
    RefusedSenders,
    last_value_in,
)
from flask10x.runtime.alerting.service_watches import (
    DatabaseObstacles,
    FullDisk,
    LongQueue,
    OverdueBackup,
    OverdueExport,
)
from flask10x.runtime.alerting.silent_stations import SilentStations, StoredStations
from flask10x.runtime.facts import beginning
from flask10x.system.gauges import Gauges


def of(
    settings: Settings, database: Database, gauges: Gauges, queues: SharedQueues, writer: Writer
) -> list[Watch]:
    """One for each rule of these settings. Opens nothing and looks at nothing yet."""
    sources = _Sources(settings, database, gauges, queues, writer)
    return [sources.watch(rule) for rule in settings.alerts.rules]


class _Sources:
    """What the watches of these settings look at."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        gauges: Gauges,
        queues: SharedQueues,
        writer: Writer,
    ) -> None:
        self._settings = settings
        self._database = database
        self._gauges = gauges
        self._queues = queues
        self._writer = writer
        rules, stations = settings.alerts.rules, settings.stations
        self._readings = new_readings(rules, stations, database, gauges, queues)
        self._refusals = NewRefusals(database, gauges, tuple(stations.by_endpoint))

    def watch(self, rule: Rule) -> Watch:
        """That of one rule."""
        if isinstance(rule, Threshold | Rate | FailedSensor | RefusedSender):
            return self._of_readings(rule)
        return self._of_service(rule)

    def _of_readings(self, rule: Threshold | Rate | FailedSensor | RefusedSender) -> Watch:
        match rule:
            case Threshold():
                return LimitPassed(rule, self._measurement(rule), self._readings)
            case Rate():
                return FastChange(rule, self._measurement(rule), self._readings)
            case FailedSensor():
                stations = self._chosen(rule.stations)
                last_value = last_value_in(self._database)
                return FailedSensors(rule, stations, self._readings, self._refusals, last_value)
            case RefusedSender():
                endpoints = [station.endpoint for station in self._chosen(rule.stations)]
                return RefusedSenders(rule, endpoints, self._refusals)

    def _of_service(
        self, rule: Silence | Queue | Disk | DatabaseTrouble | ExportOverdue | BackupOverdue
    ) -> Watch:
        match rule:
            case Silence():
                source = StoredStations(self._settings, self._database, self._gauges)
                return SilentStations(rule, self._chosen(rule.stations), self._gauges, source)
            case Queue():
                return LongQueue(rule, self._settings, self._queues)
            case Disk():
                return FullDisk(rule, self._database.path.parent, self._full_in_days)
            case DatabaseTrouble():
                return DatabaseObstacles(rule, self._database.damage, self._obstacles)
            case ExportOverdue():
                return OverdueExport(rule, self._export_lags)
            case BackupOverdue():
                newest = partial(
                    facts.newest_backup, self._settings.backup_dir, self._settings.zone
                )
                return OverdueBackup(rule, newest, self._began_at)

    def _measurement(self, rule: Threshold | Rate) -> Measurement:
        of_station = self._settings.stations.by_endpoint[rule.station].measurements
        return next(one for one in of_station if one.column == rule.column)

    def _chosen(self, endpoints: Sequence[str]) -> list[Station]:
        return chosen(self._settings.stations, endpoints)

    def _obstacles(self) -> list[str]:
        known = facts.known(self._database, self._writer, self._gauges)
        return [obstacle.text for obstacle in known]

    def _full_in_days(self, now_ms: int) -> float | None:
        with self._database.query() as connection:
            view = View(connection, self._settings.stations, self._settings.zone, now_ms)
            return facts.card(self._settings, view).full_in_days

    def _export_lags(self) -> list[facts.ExportLag]:
        with self._database.query() as connection:
            return facts.export_lags(connection, self._settings.stations)

    def _began_at(self) -> int | None:
        with self._database.query() as connection:
            return beginning(connection).at


def chosen(stations: Stations, endpoints: Sequence[str]) -> list[Station]:
    """The stations that a rule names; all when it names none."""
    return [one for one in stations.all if not endpoints or one.endpoint in endpoints]


def new_readings(
    rules: Sequence[Rule],
    stations: Stations,
    database: Database,
    gauges: Gauges,
    queues: SharedQueues,
) -> NewReadings:
    """The one that all of these rules share."""
    columns: defaultdict[str, dict[str, None]] = defaultdict(dict)
    replayed_sec = replayed_rows = 0
    for rule in rules:
        match rule:
            case Threshold():
                columns[rule.station][rule.column] = None
                replayed_sec = max(replayed_sec, 2 * rule.for_sec)
            case Rate():
                columns[rule.station][rule.column] = None
                replayed_sec = max(replayed_sec, 2 * rule.within_sec)
            case FailedSensor():
                for station in chosen(stations, rule.stations):
                    columns[station.endpoint] |= dict.fromkeys(station.columns)
                replayed_rows = max(replayed_rows, 2 * rule.readings)
            case _:
                pass
    return NewReadings(
        database,
        gauges,
        queues,
        {endpoint: tuple(names) for endpoint, names in columns.items()},
        replayed_ms=1000 * replayed_sec,
        replayed_rows=replayed_rows,
    )
