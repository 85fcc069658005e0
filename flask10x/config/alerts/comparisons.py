"""What the keys of one rule say together, and what they say of stations."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from gettext import gettext as _
from typing import Any

from flask10x.config.alerts.rules import FailedSensor, RefusedSender, Rule, Silence
from flask10x.config.toml.values import nearly
from flask10x.readings.stations import Measurement, Station, Stations

# A key of the file and what is wrong with it.
Found = tuple[str, str]


def mistakes_of(kind: str, values: Mapping[str, Any], stations: Stations | None) -> Iterator[Found]:
    """Of the fields of one rule, each of which is right by itself.

    Without stations it does not matter which there are.
    """
    if kind == "threshold":
        yield from _only_one(values, "above", "below")
        yield from _clear_mistakes(values)
    elif kind == "rate":
        yield from _only_one(values, "rise", "fall")
    if stations is None:
        return
    for endpoint in values.get("stations", ()):
        yield from _unknown_station("stations", endpoint, stations)
    if "station" in values:
        yield from _measurement_mistakes(values, stations)


def _only_one(values: Mapping[str, Any], one: str, other: str) -> Iterator[Found]:
    text = (
        _("{one} or {other} is needed, not both") if one in values else _("is missing, or {other}")
    )
    if (one in values) == (other in values):
        yield (other if one in values else one), text.format(one=one, other=other)


def _clear_mistakes(values: Mapping[str, Any]) -> Iterator[Found]:
    clear = values["clear"]
    if "below" not in values and clear > values.get("above", clear):
        text = _("is {value}, above the limit: at most above = {limit} is needed")
        yield "clear", text.format(value=clear, limit=values["above"])
    if "above" not in values and clear < values.get("below", clear):
        text = _("is {value}, below the limit: at least below = {limit} is needed")
        yield "clear", text.format(value=clear, limit=values["below"])


def _unknown_station(key: str, endpoint: str, stations: Stations) -> Iterator[Found]:
    known = [*stations.by_endpoint]
    if endpoint not in known:
        text = nearly(_("there is no station {name}").format(name=endpoint), endpoint, known)
        yield key, text


def _measurement_mistakes(values: Mapping[str, Any], stations: Stations) -> Iterator[Found]:
    station = stations.by_endpoint.get(values["station"])
    if station is None:
        yield from _unknown_station("station", values["station"], stations)
        return
    named = values["column"]
    for measurement in station.measurements:
        if measurement.column == named:
            yield from _limit_mistakes(values, measurement)
            return
    text = _("the station {station} has no measurement {name}")
    text = text.format(station=station.endpoint, name=named)
    yield "measurement", _nearest_of(station, text, named)


def _nearest_of(station: Station, text: str, named: str) -> str:
    """The text, with the measurement meant: by a field of the body or by its column."""
    columns = {name: m.column for m in station.measurements for name in (m.path, *m.aliases)}
    if named in columns:
        return text + _(" (did you mean {name}?)").format(name=columns[named])
    return nearly(text, named, [*station.columns])


def _limit_mistakes(values: Mapping[str, Any], measurement: Measurement) -> Iterator[Found]:
    """What no reading comes to, as those beyond the range of the measurement are refused."""
    clear = values.get("clear", 0)
    if (low := measurement.minimum) is not None:
        text = _("is {value}, and no reading has less than {limit}: it would never be an alert")
        if "below" in values and values["below"] <= low:
            yield "below", text.format(value=values["below"], limit=low)
        text = _("is {value}, and no reading has less than {limit}: the alert would never end")
        if "above" in values and clear < low:
            yield "clear", text.format(value=clear, limit=low)
    if (high := measurement.maximum) is not None:
        text = _("is {value}, and no reading has more than {limit}: it would never be an alert")
        if "above" in values and values["above"] >= high:
            yield "above", text.format(value=values["above"], limit=high)
        text = _("is {value}, and no reading has more than {limit}: the alert would never end")
        if "below" in values and clear > high:
            yield "clear", text.format(value=clear, limit=high)
    if low is not None and high is not None:
        text = _("is {value}, and readings are from {low} to {high}: it would never be an alert")
        for key in ("rise", "fall"):
            if values.get(key, 0) > high - low:
                yield key, text.format(value=values[key], low=low, high=high)


def shared_out(rules: Sequence[Rule], stations: Stations) -> tuple[Rule, ...]:
    """The rules; one for all stations leaves out those that another one of its kind names."""
    found: list[Rule] = []
    for rule in rules:
        if isinstance(rule, Silence | FailedSensor | RefusedSender) and not rule.stations:
            named = {
                endpoint
                for other in rules
                if other.kind == rule.kind
                for endpoint in getattr(other, "stations", ())
            }
            rest = tuple(e for e in stations.by_endpoint if e not in named)
            if not rest:
                continue
            if named:
                found.append(replace(rule, stations=rest))
                continue
        found.append(rule)
    return tuple(found)
