"""The form of a rule: its fields, what a template or a chart fills in, and its table."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from werkzeug.datastructures import MultiDict

from flask10x.config import form
from flask10x.config.alerts.rules import RULE_KEYS, RULES, Rule
from flask10x.config.form import Fields
from flask10x.config.station_keys import ENDPOINT
from flask10x.config.toml import Key
from flask10x.readings.labels import column_name, station_name
from flask10x.readings.stations import Station, Stations
from flask10x.translation import N_, Translation, speaking

DIGITS = 10
# Of the distance between a limit and the end of its alert, where a form leaves that empty.
CLEAR_SHARE = 0.1
LEAST_CLEAR = {"°C": 0.5, "ppm": 50.0, "%": 2.0, "hPa": 1.0, "V": 0.1}
NAME_CHARS = 32
KINDS = {
    "threshold": N_("A value is above or below a limit"),
    "rate": N_("A value changes fast"),
    "silence": N_("A station sends no data"),
    "stuck": N_("A sensor is stuck: its value does not change"),
    "failed_sensor": N_("A sensor gives no value, or a fault value"),
    "rejected": N_("Readings of a station are rejected"),
}
"""The kinds that a new rule may be of."""
DIRECTIONS = {
    "threshold": {"above": N_("is above"), "below": N_("is below")},
    "rate": {"rise": N_("rises by"), "fall": N_("falls by")},
}
"""By kind: keys of the file that have the value, and their words."""
# Numbers that a form of a new rule begins with.
USUAL = {
    "threshold": {"direction": "above", "for_min": "10"},
    "rate": {"direction": "fall", "within_min": "15"},
    "stuck": {"for_min": "360"},
    "failed_sensor": {"readings": "10"},
    "rejected": {"readings": "10", "within_min": "60"},
}
LISTS = ("stations", "channels")
FIELD_OF_KEY = dict.fromkeys(("above", "below", "rise", "fall"), "value")
FIELD_OF_KEY |= {"station": "about", "measurement": "about"}
"""The fields that a form has in the place of keys."""


@dataclass(frozen=True, slots=True)
class Template:
    """A rule that many homes want."""

    label: str
    kind: str
    fields: Mapping[str, str]
    columns: str
    """A pattern of the columns that it is about."""
    stations: str = ""
    """A pattern of names and endpoints that it is about; empty: any."""


TEMPLATES = {
    "freezer": Template(
        N_("Freezer too warm"),
        "threshold",
        {"direction": "above", "value": "-15", "clear": "-16", "for_min": "30"},
        r"temperature",
        r"freez|冷凍",
    ),
    "air": Template(
        N_("Air the room"),
        "threshold",
        {"direction": "above", "value": "1000", "clear": "800", "for_min": "5"},
        r"co2",
    ),
    "frost": Template(
        N_("Frost tonight"),
        "threshold",
        {
            "direction": "below",
            "value": "2",
            "clear": "3",
            "for_min": "10",
            "from": "18:00",
            "to": "09:00",
        },
        r"temperature",
        r"outside|outdoor|garden|balcony|屋外|外|庭|ベランダ|data3",
    ),
    "stuck": Template(N_("Sensor stuck"), "stuck", {"for_min": "360"}, r"temperature|humidity"),
    "battery": Template(
        N_("Battery low"),
        "threshold",
        {"direction": "below", "value": "3.0", "clear": "3.1", "for_min": "60"},
        r"batt|voltage|vcc",
    ),
}
# A battery may also be measured in percent.
BATTERY_PERCENT = {"value": "20", "clear": "25"}


def subjects(stations: Sequence[Station], t: Translation) -> dict[str, dict[str, str]]:
    """Return the measurements to choose from: by the name of the station, value and words."""
    by_station = {}
    for station in stations:
        name, of = station_name(station, t), {}
        for m in station.measurements:
            label = t("{station} {measurement}", station=name, measurement=column_name(m, t))
            of[f"{station.endpoint}.{m.column}"] = f"{label} ({m.unit})" if m.unit else label
        by_station[name] = of
    return by_station


def of_template(name: str, stations: Sequence[Station]) -> dict[str, Any]:
    """Return what a template fills into the form; it names the measurement that is likely meant."""
    template = TEMPLATES[name]
    values: dict[str, Any] = {"kind": template.kind, **template.fields}
    pattern = re.compile(template.stations, re.IGNORECASE)
    found = [
        (station, measurement)
        for station in stations
        if pattern.search(f"{station.endpoint} {station.label} {station.label_ja}")
        for measurement in station.measurements
        if re.search(template.columns, measurement.column)
    ]
    if found:
        station, measurement = found[0]
        values["about"] = f"{station.endpoint}.{measurement.column}"
        if name == "battery" and measurement.unit == "%":
            values |= BATTERY_PERCENT
    return values


def keys_of(kind: str) -> tuple[Key, ...]:
    """Return the keys of a rule of this kind, with those of all kinds that a form has."""
    return (*RULES[kind][1], *RULE_KEYS[2:])


def of_rule(kind: str, table: Mapping[str, Any], rule: Rule | None) -> Fields:
    """Return the fields of a rule of the file; `rule` has the defaults of what it leaves out."""
    values = form.fields_of(keys_of(kind), table, rule) | {"kind": kind}
    # Of all stations and channels no box is ticked.
    values["stations"], values["channels"] = (
        [*table.get("stations", ())],
        [*table.get("channels", ())],
    )
    if "station" in values:
        values["about"] = f"{values['station']}.{values['measurement']}"
    for direction in DIRECTIONS.get(kind, ()):
        if values[direction]:
            values |= {"direction": direction, "value": values[direction]}
    return values


def sent(kind: str, typed: MultiDict[str, str]) -> Fields:
    """Return the fields of a form, or of an address that fills it in."""
    names = ("about", "direction", "value", "name", *(key.name for key in keys_of(kind)))
    values: Fields = {name: typed.get(name, "").strip() for name in names}
    return values | {"kind": kind} | {name: typed.getlist(name) for name in LISTS}


def table_of(
    values: Mapping[str, Any], stations: Stations, t: Translation
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the keys of the rule of a form, None where one goes, and what is wrong, by field."""
    kind = values["kind"]
    endpoint, _, column = values.get("about", "").partition(".")
    directions = DIRECTIONS.get(kind, {})
    direction = values.get("direction", "")
    direction = direction if direction in directions else next(iter(directions), "")
    typed = {**values, "station": endpoint, "measurement": column}
    if directions:
        typed |= dict.fromkeys(directions, "") | {direction: values.get("value", "")}
    keys = [
        replace(key, needed=key.name == direction or (key.needed and key.name != "clear"))
        for key in keys_of(kind)
    ]
    with speaking(t.language):
        table, problems = form.table_of(keys, typed)
    problems = {FIELD_OF_KEY.get(key, key): text for key, text in problems.items()}
    if "station" not in table:
        return table, problems
    station = stations.by_endpoint.get(endpoint)
    measurements = {one.column: one for one in station.measurements} if station else {}
    of = measurements.get(column)
    if of is None:
        problems["about"] = t("choose a measurement")
    elif kind == "threshold" and table[direction] is not None:
        limit, clear, is_above = table[direction], table["clear"], direction == "above"
        if clear is None and "clear" not in problems:
            step = LEAST_CLEAR.get(of.unit, abs(limit) * CLEAR_SHARE)
            low, high = of.minimum, of.maximum
            value = limit - step if is_above else limit + step
            value = value if low is None else max(low, value)
            value = round(value if high is None else min(high, value), DIGITS)
            table["clear"] = int(value) if float(value).is_integer() else value
        elif clear is not None and ((clear > limit) if is_above else (clear < limit)):
            text = N_("at most {limit} is needed") if is_above else N_("at least {limit} is needed")
            problems["clear"] = t(text, limit=form.number_text(limit))
    return table, problems


def name_for(values: Mapping[str, Any], taken: Iterable[str]) -> str:
    """Return a name for a new rule: `freezer_temperature_above`."""
    kind, stations = values["kind"], values.get("stations", ())
    words = [kind]
    if values.get("about"):
        words = [*values["about"].split("."), values.get("direction") or kind]
    elif len(stations) == 1:
        words = [*stations, kind]
    name = re.sub(r"[^a-z0-9_-]+", "_", "_".join(words))[: NAME_CHARS - 3]
    name = name if ENDPOINT.fullmatch(name) else kind
    # With a number even where it would be built in: a rule of such a name changes that one.
    names = {*taken, *RULES}
    numbered = (name, *(f"{name}_{n}" for n in range(2, len(names) + 3)))
    return next(each for each in numbered if each not in names)
