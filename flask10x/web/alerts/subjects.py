"""What an alert is about: a station, a measurement of one, or the service as a whole."""

from flask10x.config.alerts.rules import Rule
from flask10x.readings.stations import Station, Stations
from flask10x.system.log_lines import escape
from flask10x.web.texts.catalog import Texts


def station_of(subject: str) -> str:
    """The endpoint that a subject is about; empty: the service as a whole."""
    return subject.partition(".")[0]


def column_of(subject: str) -> str:
    """The column that a subject is about; empty: none, but the station as a whole."""
    return subject.partition(".")[2]


def name_of(subject: str, stations: Stations, t: Texts) -> str:
    """`Bedroom`, `Bedroom CO₂`; what is not known any more by the subject itself."""
    if not subject:
        return t("rule.service")
    station = stations.by_endpoint.get(station_of(subject))
    measurement = stations.by_column.get(column_of(subject))
    if station is None:
        return escape(subject)
    if not column_of(subject):
        return t.station(station)
    name = t.column(measurement) if measurement else escape(column_of(subject))
    return f"{t.station(station)} {name}"


def watched_by(rule: Rule, stations: Stations) -> tuple[str, ...]:
    """The subjects that a rule can have an alert of, in the order of the stations."""
    if rule.kind in ("threshold", "rate"):
        return (f"{rule.station}.{rule.column}",)
    if rule.kind in ("silence", "refused"):
        return tuple(one.endpoint for one in stations_of(rule.stations, stations))
    if rule.kind == "failed_sensor":
        found = stations_of(rule.stations, stations)
        return tuple(f"{one.endpoint}.{column}" for one in found for column in one.columns)
    return ("",)


def stations_of(endpoints: tuple[str, ...], stations: Stations) -> tuple[Station, ...]:
    """The stations that a rule names; all of them when it names none."""
    return tuple(one for one in stations.all if not endpoints or one.endpoint in endpoints)
