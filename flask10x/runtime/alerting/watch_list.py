"""The watches for the rules of `alerts.toml`, and their sources."""

from collections import defaultdict
from collections.abc import Sequence
from functools import partial

from flask10x.alerts.alert import Watch
from flask10x.alerts.subjects import stations_of
from flask10x.config.alerts import rules
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.health.database import obstacles_met
from flask10x.readings.stations import Stations
from flask10x.recording.shared_queue import SharedQueues
from flask10x.recording.writer import Writer
from flask10x.runtime.alerting import service_watches
from flask10x.runtime.alerting.measurement_watches import (
    FastChange,
    LimitPassed,
    Unchanged,
    measurement_of,
)
from flask10x.runtime.alerting.new_rows import (
    REPLAYED_MS,
    NewReading,
    NewReadings,
    Scope,
    Source,
)
from flask10x.runtime.alerting.rejection_watches import (
    FailedSensors,
    NewRejections,
    RejectedSenders,
    last_value,
)
from flask10x.runtime.alerting.service_watches import CheckWatch
from flask10x.runtime.alerting.silent_stations import SilentStations
from flask10x.system.gauges import Gauges

RuleOnMeasurement = rules.Threshold | rules.Rate | rules.Stuck
"""A rule on one measurement of one station."""


def watches_of(
    settings: Settings, database: Database, gauges: Gauges, queues: SharedQueues, writer: Writer
) -> list[Watch]:
    """Return one watch for each rule of these settings. Opens and reads nothing yet."""
    stations = settings.stations
    new = NewReadings(database, gauges, queues, scope_of(settings.alerts.rules, stations))
    rejections = NewRejections(database, gauges, tuple(stations.by_endpoint))
    watches: list[Watch] = []
    for rule in settings.alerts.rules:
        match rule:
            case rules.Silence():
                watches.append(SilentStations(rule, settings, database, gauges))
            case rules.Queue():
                watches.append(service_watches.long_queue(rule, settings, queues))
            case rules.DatabaseTrouble():
                watches.append(
                    service_watches.database_obstacles(
                        rule,
                        database.damage,
                        lambda: [each.text for each in obstacles_met(database, writer, gauges)],
                    )
                )
            case rules.FailedSensor():
                watched, last = stations_of(rule.stations, stations), partial(last_value, database)
                watches.append(FailedSensors(rule, watched, new, rejections, last))
            case rules.RejectedSender():
                watched = stations_of(rule.stations, stations)
                watches.append(RejectedSenders(rule, watched, rejections))
            case _ if isinstance(rule, RuleOnMeasurement):
                watches.append(watch_of_measurement(rule, settings, new))
            case _:
                watches.append(CheckWatch(rule, settings, database))
    return watches


def watch_of_measurement(
    rule: RuleOnMeasurement, settings: Settings, new: Source[NewReading]
) -> Watch:
    """Return the watch of a rule on the readings that come."""
    watched = measurement_of(rule, settings.stations)
    match rule:
        case rules.Threshold():
            return LimitPassed(rule, watched, new, settings.zone)
        case rules.Rate():
            return FastChange(rule, watched, new)
        case rules.Stuck():
            return Unchanged(rule, watched, new)


def scope_of(watched: Sequence[rules.Rule], stations: Stations) -> Scope:
    """Return which readings these rules need."""
    columns: defaultdict[str, dict[str, None]] = defaultdict(dict)
    replayed_sec = replayed_rows = 0
    for rule in watched:
        match rule:
            case rules.Threshold() | rules.Rate() | rules.Stuck():
                columns[rule.station][rule.column] = None
                lasting_sec = rule.within_sec if isinstance(rule, rules.Rate) else rule.for_sec
                replayed_sec = max(replayed_sec, 2 * lasting_sec)
            case rules.FailedSensor():
                for station in stations_of(rule.stations, stations):
                    columns[station.endpoint] |= dict.fromkeys(station.columns)
                replayed_rows = max(replayed_rows, 2 * rule.readings)
    return Scope(
        columns={endpoint: tuple(names) for endpoint, names in columns.items()},
        replayed_ms=max(REPLAYED_MS, 1000 * replayed_sec),
        replayed_rows=replayed_rows,
    )
