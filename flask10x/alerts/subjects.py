"""The condition of a rule in words, and the subjects of its alerts.

A subject is a station (`data2`), a measurement of one (`data2.co2`), or empty: the service.
"""

from collections.abc import Sequence

from flask10x.alerts.words import first_filled, wording_of_rule
from flask10x.config.alerts import rules
from flask10x.config.alerts.rules import Rule
from flask10x.readings.labels import column_name, station_name
from flask10x.readings.numbers import separated
from flask10x.readings.stations import Station, Stations
from flask10x.system.wording import escape
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
    if rule.kind in ("threshold", "rate", "stuck"):
        return (f"{rule.station}.{rule.column}",)
    if rule.kind == "silence":
        return tuple(one.endpoint for one in awaited_of(rule.stations, stations))
    if rule.kind == "rejected":
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


def awaited_of(endpoints: Sequence[str], stations: Stations) -> tuple[Station, ...]:
    """Return the stations of a rule of silence: those that it names, without the retired ones."""
    return tuple(one for one in stations_of(endpoints, stations) if not one.retired)


def sentence(rule: Rule, stations: Stations, t: Translation) -> str:
    """Return the condition of a rule in words, without its name in the file."""
    values: dict[str, str] = {}
    span_sec: int | None = None
    match rule:
        case rules.Silence():
            span_sec = rule.after_sec
            values["where"] = _where(rule.stations, stations, t)
        case rules.FailedSensor() | rules.RejectedSender():
            span_sec = rule.within_sec if isinstance(rule, rules.RejectedSender) else None
            values |= {"n": str(rule.readings), "where": _where(rule.stations, stations, t)}
        case rules.Threshold():
            span_sec = rule.for_sec or None
            limit = rule.below if rule.above is None else rule.above
            values |= _of_measurement(rule, stations, t, limit=limit, clear=rule.clear)
        case rules.Rate():
            span_sec = rule.within_sec
            change = rule.fall if rule.rise is None else rule.rise
            values |= _of_measurement(rule, stations, t, change=change)
        case rules.Stuck():
            span_sec = rule.for_sec
            values |= _of_measurement(rule, stations, t)
        case rules.Queue() | rules.DatabaseTrouble():
            span_sec = rule.for_sec
        case rules.ExportOverdue() | rules.BackupOverdue() | rules.ReplicaOverdue():
            span_sec = rule.after_sec
        case rules.Disk():
            values["n"] = f"{rule.free_percent:g}"
    values |= {} if span_sec is None else {"span": t.exactly(span_sec)}
    condition = first_filled(wording_of_rule(rule).rule, values, t)
    if isinstance(rule, rules.Threshold) and rule.start and rule.end:
        return t(
            "{condition} (from {start} to {end})",
            condition=condition,
            start=f"{rule.start:%H:%M}",
            end=f"{rule.end:%H:%M}",
        )
    return condition


def _where(endpoints: tuple[str, ...], stations: Stations, t: Translation) -> str:
    if not endpoints:
        return t("all stations")
    return t.listed(station_name(station, t) for station in stations_of(endpoints, stations))


def _of_measurement(
    rule: rules.Threshold | rules.Rate | rules.Stuck,
    stations: Stations,
    t: Translation,
    **values: float | None,
) -> dict[str, str]:
    """The name of the measurement, and these values with its unit."""
    measurement = stations.by_column.get(rule.column)
    unit = measurement.unit if measurement else ""
    texts = {
        name: f"{separated(f'{value:.10g}')} {unit}".rstrip() for name, value in values.items()
    }
    return texts | {"name": name_of(f"{rule.station}.{rule.column}", stations, t)}
