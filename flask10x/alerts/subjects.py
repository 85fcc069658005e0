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
    Rule,
    Silence,
    Threshold,
)
from flask10x.readings.labels import column_name, station_name
from flask10x.readings.stations import Station, Stations
from flask10x.system.logs import escape
from flask10x.translation import Translation


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
    if rule.kind in ("threshold", "rate"):
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


def sentence(rule: Rule, stations: Stations, t: Translation) -> str:
    """Return the condition of a rule in words, without its name in the file."""
    match rule:
        case Silence() | FailedSensor() | RefusedSender():
            return _of_stations(rule, stations, t)
        case Threshold():
            return _threshold(rule, stations, t)
        case Rate():
            return _rate(rule, stations, t)
    return _of_the_service(rule, t)


def _of_stations(
    rule: Silence | FailedSensor | RefusedSender, stations: Stations, t: Translation
) -> str:
    where = _where(rule.stations, stations, t)
    match rule:
        case FailedSensor():
            return t(
                "A sensor gives no value or a fault value {n} times in a row: {where}",
                n=rule.readings,
                where=where,
            )
        case RefusedSender():
            span = t.exactly(rule.within_sec)
            return t(
                "{n} readings rejected within {span}: {where}",
                n=rule.readings,
                span=span,
                where=where,
            )
    if rule.after_sec is None:
        return t("No data from a station for longer than usual: {where}", where=where)
    span = t.exactly(rule.after_sec)
    return t("No data from a station for {span}: {where}", span=span, where=where)


def _threshold(rule: Threshold, stations: Stations, t: Translation) -> str:
    values = {
        "name": name_of(f"{rule.station}.{rule.column}", stations, t),
        "limit": _value(rule.below if rule.above is None else rule.above, rule, stations),
        "clear": _value(rule.clear, rule, stations),
    }
    if not rule.for_sec:
        if rule.above is None:
            return t("{name} below {limit}; ends at {clear}", **values)
        return t("{name} above {limit}; ends at {clear}", **values)
    span = t.exactly(rule.for_sec)
    if rule.above is None:
        return t("{name} below {limit} for {span}; ends at {clear}", span=span, **values)
    return t("{name} above {limit} for {span}; ends at {clear}", span=span, **values)


def _rate(rule: Rate, stations: Stations, t: Translation) -> str:
    name = name_of(f"{rule.station}.{rule.column}", stations, t)
    span = t.exactly(rule.within_sec)
    if rule.rise is None:
        change = _value(rule.fall, rule, stations)
        return t("{name} falls by {change} within {span}", name=name, change=change, span=span)
    change = _value(rule.rise, rule, stations)
    return t("{name} rises by {change} within {span}", name=name, change=change, span=span)


def _of_the_service(
    rule: Queue | Disk | DatabaseTrouble | ExportOverdue | BackupOverdue, t: Translation
) -> str:
    match rule:
        case Queue():
            return t("Many readings waiting to be stored for {span}", span=t.exactly(rule.for_sec))
        case Disk():
            return t("Less than {n} % of the disk is free", n=f"{rule.free_percent:g}")
        case DatabaseTrouble():
            return t(
                "The database is damaged or missing, or readings cannot be stored for {span}",
                span=t.exactly(rule.for_sec),
            )
        case ExportOverdue():
            return t("Readings in no CSV file for {span}", span=t.exactly(rule.after_sec))
        case BackupOverdue():
            return t("The newest backup is older than {span}", span=t.exactly(rule.after_sec))


def _where(endpoints: tuple[str, ...], stations: Stations, t: Translation) -> str:
    if not endpoints:
        return t("all stations")
    return t.listed(station_name(station, t) for station in stations_of(endpoints, stations))


def _value(value: float | None, rule: Threshold | Rate, stations: Stations) -> str:
    measurement = stations.by_column.get(rule.column)
    return f"{value:.10g} {measurement.unit if measurement else ''}".rstrip()
