"""The condition of a rule in words, and the subjects of its alerts.

A subject is a station (`data2`), a measurement of one (`data2.co2`), or empty: the service.
"""

from collections.abc import Sequence

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
)
from flask10x.readings.labels import column_name, station_name
from flask10x.readings.numbers import separated
from flask10x.readings.stations import Station, Stations
from flask10x.system.wording import escape
from flask10x.translation import N_, Translation


def station_of(subject: str) -> str:
    """Return the endpoint of a subject; empty for the service as a whole."""
    return subject.partition(".")[0]


def column_of(subject: str) -> str:
    """Return the column of a subject; empty for a station as a whole."""
    return subject.partition(".")[2]


def name_of(subject: str, stations: Stations, t: Translation) -> str:
    """Return a name such as `Bedroom` or `Bedroom CO₂`; a removed one keeps its endpoint."""
    if not subject:
        return t("the whole service")
    endpoint, column = station_of(subject), column_of(subject)
    station, measurement = stations.by_endpoint.get(endpoint), stations.by_column.get(column)
    name = escape(station_name(station, t) if station else f"/{endpoint}")
    if not column:
        return name
    label = column_name(measurement, t) if station and measurement else column
    return t("{station} {measurement}", station=name, measurement=escape(label))


def watched_by(rule: Rule, stations: Stations) -> tuple[str, ...]:
    """Return the subjects that a rule can have alerts of, in the order of the stations."""
    if rule.kind in ("threshold", "rate", "stuck"):
        return (f"{rule.station}.{rule.column}",)
    if rule.kind in ("silence", "refused"):
        return tuple(station.endpoint for station in stations_of(rule.stations, stations))
    if rule.kind == "failed_sensor":
        return tuple(
            f"{station.endpoint}.{column}"
            for station in stations_of(rule.stations, stations)
            for column in station.columns
        )
    return ("",)


def stations_of(endpoints: Sequence[str], stations: Stations) -> tuple[Station, ...]:
    """Return the stations that a rule names; all of them when it names none."""
    return tuple(
        station for station in stations.all if not endpoints or station.endpoint in endpoints
    )


# By the kind of rule; some kinds have several.
SENTENCES = {
    "silence": N_("No data from a station for {span}: {where}"),
    "silence.learned": N_("No data from a station for longer than usual: {where}"),
    "failed_sensor": N_("A sensor gives no value or a fault value {n} times in a row: {where}"),
    "refused": N_("{n} readings rejected within {span}: {where}"),
    "threshold.above": N_("{name} above {limit}; ends at {clear}"),
    "threshold.above.for": N_("{name} above {limit} for {span}; ends at {clear}"),
    "threshold.below": N_("{name} below {limit}; ends at {clear}"),
    "threshold.below.for": N_("{name} below {limit} for {span}; ends at {clear}"),
    "rate.rise": N_("{name} rises by {change} within {span}"),
    "rate.fall": N_("{name} falls by {change} within {span}"),
    "stuck": N_("{name} has the same value for {span}"),
    "queue": N_("Many readings waiting to be stored for {span}"),
    "disk": N_("Less than {n} % of the disk is free"),
    "database": N_("The database is damaged or missing, or readings cannot be stored for {span}"),
    "export": N_("Readings in no CSV file for {span}"),
    "backup": N_("The newest backup is older than {span}"),
    "replica": N_("The replica is behind by more than {span}"),
    "copies": N_("Copies of the readings differ (flask10x verify)"),
}


def sentence(rule: Rule, stations: Stations, t: Translation) -> str:
    """Return the condition of a rule in words, without its name in the file."""
    key: str = rule.kind
    values: dict[str, object] = {"span": t.exactly(_span_sec(rule))}
    match rule:
        case Silence():
            key += ".learned" if rule.after_sec is None else ""
            values["where"] = _where(rule.stations, stations, t)
        case FailedSensor() | RefusedSender():
            values |= {"n": rule.readings, "where": _where(rule.stations, stations, t)}
        case Threshold():
            key += ".below" if rule.above is None else ".above"
            key += ".for" if rule.for_sec else ""
            limit = rule.below if rule.above is None else rule.above
            values |= _of_measurement(rule, stations, t, limit=limit, clear=rule.clear)
            if rule.start and rule.end:
                return t(
                    "{condition} (from {start} to {end})",
                    condition=t(SENTENCES[key], **values),
                    start=f"{rule.start:%H:%M}",
                    end=f"{rule.end:%H:%M}",
                )
        case Stuck():
            values |= _of_measurement(rule, stations, t)
        case Rate():
            key += ".fall" if rule.rise is None else ".rise"
            change = rule.fall if rule.rise is None else rule.rise
            values |= _of_measurement(rule, stations, t, change=change)
        case Disk():
            values["n"] = f"{rule.free_percent:g}"
    return t(SENTENCES[key], **values)


def _span_sec(rule: Rule) -> int:
    """The length of time of a rule, 0 where it has none."""
    match rule:
        case Silence() | ExportOverdue() | BackupOverdue() | ReplicaOverdue():
            return rule.after_sec or 0
        case Rate() | RefusedSender():
            return rule.within_sec
        case Threshold() | Stuck() | Queue() | DatabaseTrouble():
            return rule.for_sec
    return 0


def _where(endpoints: tuple[str, ...], stations: Stations, t: Translation) -> str:
    if not endpoints:
        return t("all stations")
    return t.listed(station_name(station, t) for station in stations_of(endpoints, stations))


def _of_measurement(
    rule: Threshold | Rate | Stuck, stations: Stations, t: Translation, **values: float | None
) -> dict[str, str]:
    """The name of the measurement, and these values with its unit."""
    measurement = stations.by_column.get(rule.column)
    unit = measurement.unit if measurement else ""
    texts = {
        name: f"{separated(f'{value:.10g}')} {unit}".rstrip() for name, value in values.items()
    }
    return texts | {"name": name_of(f"{rule.station}.{rule.column}", stations, t)}
