"""The watches for the rules of `alerts.toml`, and their sources."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from flask10x.alerts.alert import Watch
from flask10x.alerts.subjects import stations_of
from flask10x.config.alerts import rules
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.health.database import obstacles_met
from flask10x.readings.stations import Measurement, Station, Stations
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
    LastValue,
    NewRejections,
    RejectedSenders,
    Rejection,
    last_value,
)
from flask10x.runtime.alerting.service_watches import CheckWatch
from flask10x.runtime.alerting.silent_stations import SilentStations
from flask10x.system.gauges import Gauges

T = TypeVar("T")


RuleOnReadings = (
    rules.Threshold | rules.Rate | rules.Stuck | rules.FailedSensor | rules.RejectedSender
)
"""A rule that is decided by readings alone, stored and rejected ones."""


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
            case _ if isinstance(rule, RuleOnReadings):
                last = partial(asked, database, last_value)
                watches.append(watch_of_readings(rule, settings, new, rejections, last))
            case _:
                watches.append(CheckWatch(rule, settings, database))
    return watches


def asked(database: Database, query: Callable[..., T], *of: object) -> T:
    """Make a query by a connection of its own, and return its result."""
    with database.query() as connection:
        return query(connection, *of)


def watch_of_readings(
    rule: RuleOnReadings,
    settings: Settings,
    new: Source[NewReading],
    rejections: Source[Rejection],
    last_value: Callable[[Station, Measurement], LastValue | None],
) -> Watch:
    """Return the watch of a rule on the readings that come, and on those that are rejected."""
    stations = settings.stations
    match rule:
        case rules.Threshold():
            return LimitPassed(rule, measurement_of(rule, stations), new, settings.zone)
        case rules.Rate():
            return FastChange(rule, measurement_of(rule, stations), new)
        case rules.Stuck():
            return Unchanged(rule, measurement_of(rule, stations), new)
        case rules.FailedSensor():
            watched = stations_of(rule.stations, stations)
            return FailedSensors(rule, watched, new, rejections, last_value)
        case rules.RejectedSender():
            return RejectedSenders(rule, stations_of(rule.stations, stations), rejections)


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
