"""A rule in a sentence for people."""

from flask10x.config.alerts.rules import (
    DatabaseTrouble,
    Disk,
    FailedSensor,
    Queue,
    Rate,
    RefusedSender,
    Rule,
    Silence,
    Threshold,
)
from flask10x.readings.stations import Stations
from flask10x.web.alerts.subjects import name_of, stations_of
from flask10x.web.texts.catalog import Texts


def sentence(rule: Rule, stations: Stations, t: Texts) -> str:
    """What the rule watches for, in the reader's language; not the name that it has in the file."""
    match rule:
        case Silence() | FailedSensor() | RefusedSender():
            return _of_stations(rule, stations, t)
        case Threshold():
            return _threshold(rule, stations, t)
        case Rate():
            return _rate(rule, stations, t)
        case Disk():
            return t("rule.disk", n=f"{rule.free_percent:g}")
        case Queue() | DatabaseTrouble():
            return t(f"rule.{rule.kind}", span=_span(rule.for_sec, t))
    return t(f"rule.{rule.kind}", span=_span(rule.after_sec, t))


def _of_stations(rule: Silence | FailedSensor | RefusedSender, stations: Stations, t: Texts) -> str:
    where = _where(rule.stations, stations, t)
    match rule:
        case FailedSensor():
            return t("rule.failed_sensor", n=rule.readings, where=where)
        case RefusedSender():
            span = _span(rule.within_sec, t)
            return t("rule.refused", n=rule.readings, span=span, where=where)
    if rule.after_sec is None:
        return t("rule.silence_learned", where=where)
    return t("rule.silence", span=_span(rule.after_sec, t), where=where)


def _threshold(rule: Threshold, stations: Stations, t: Texts) -> str:
    side, limit = ("below", rule.below) if rule.above is None else ("above", rule.above)
    subject = f"{rule.station}.{rule.column}"
    values = {
        "name": name_of(subject, stations, t),
        "limit": _value(limit, rule.column, stations),
        "clear": _value(rule.clear, rule.column, stations),
    }
    if not rule.for_sec:
        return t(f"rule.{side}_once", **values)
    return t(f"rule.{side}", span=_span(rule.for_sec, t), **values)


def _rate(rule: Rate, stations: Stations, t: Texts) -> str:
    way, change = ("fall", rule.fall) if rule.rise is None else ("rise", rule.rise)
    name = name_of(f"{rule.station}.{rule.column}", stations, t)
    limit = _value(change, rule.column, stations)
    return t(f"rule.{way}", name=name, limit=limit, span=_span(rule.within_sec, t))


def _where(endpoints: tuple[str, ...], stations: Stations, t: Texts) -> str:
    if not endpoints:
        return t("rule.all_stations")
    return t("caption.join").join(t.station(one) for one in stations_of(endpoints, stations))


def _value(value: float | None, column: str, stations: Stations) -> str:
    measurement = stations.by_column.get(column)
    return f"{value:.10g} {measurement.unit if measurement else ''}".rstrip()


def _span(seconds: int, t: Texts) -> str:
    return t.lasting("span", seconds)
