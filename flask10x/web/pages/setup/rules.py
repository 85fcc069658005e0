"""The form of a rule: its fields, what a template or a chart fills in, and its table."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import time
from typing import Any

from werkzeug.datastructures import MultiDict

from flask10x.config.alerts.rules import RULES, Rule, Threshold
from flask10x.readings.labels import column_name, station_name
from flask10x.readings.numbers import NotTyped, typed_number
from flask10x.readings.stations import Measurement, Station, Stations
from flask10x.translation import N_, Translation
from flask10x.web.pages.setup.page import with_nearest

DIGITS = 10
HOURS = ("from", "to")
HOURS_A_DAY, MINUTES_AN_HOUR = 24, 60
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
    "refused": N_("Readings of a station are rejected"),
}
"""The kinds that a new rule may be of."""
LABELS = {
    "about": N_("What"),
    "direction": N_("When it"),
    "value": N_("Value"),
    "clear": N_("Ends at (empty: a little before that)"),
    "for_min": N_("For how long, in minutes"),
    "from": N_("Only from (empty: always)"),
    "to": N_("to"),
    "within_min": N_("Within how many minutes"),
    "after_min": N_("After how many minutes (empty: learned from each station)"),
    "readings": N_("In how many readings"),
    "free_percent": N_("Less free than, in percent"),
    "after_h": N_("After how many hours"),
    "stations": N_("Stations"),
    "channels": N_("Send to"),
}
# Nothing is learned of it.
LABELS_OF_KIND = {"replica": {"after_min": N_("For how long, in minutes")}}
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
    "refused": {"readings": "10", "within_min": "60"},
}
FIELDS = (*LABELS, "kind", "name")


@dataclass(frozen=True, slots=True)
class Template:
    """A rule that many homes want."""

    label: str
    kind: str
    fields: Mapping[str, str]
    columns: str = ""
    """A pattern of the columns that it is about."""
    stations: str = ""
    """A pattern of names and endpoints that it is about first."""
    is_of_station: bool = False
    """Whether there has to be such a station."""


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


def subjects(stations: Stations, t: Translation) -> dict[str, dict[str, str]]:
    """Return the measurements to choose from: by the name of the station, value and words."""
    return {
        station_name(station, t): {
            f"{station.endpoint}.{m.column}": _of_measurement(station, m, t)
            for m in station.measurements
        }
        for station in stations.ordered
    }


def _of_measurement(station: Station, measurement: Measurement, t: Translation) -> str:
    name, unit = column_name(measurement, t), measurement.unit
    label = t("{station} {measurement}", station=station_name(station, t), measurement=name)
    return f"{label} ({unit})" if unit else label


def of_template(name: str, stations: Stations) -> dict[str, Any]:
    """Return what a template fills into the form; it names the measurement that is likely meant."""
    template = TEMPLATES[name]
    values: dict[str, Any] = {"kind": template.kind, **template.fields}
    found = _likely(template, stations) if template.columns else None
    if found:
        station, measurement = found
        values["about"] = f"{station.endpoint}.{measurement.column}"
        if name == "battery" and measurement.unit == "%":
            values |= BATTERY_PERCENT
    return values


def _likely(template: Template, stations: Stations) -> tuple[Station, Measurement] | None:
    pairs = [
        (station, measurement)
        for station in stations.all
        for measurement in station.measurements
        if re.search(template.columns, measurement.column)
    ]
    pattern = re.compile(template.stations, re.IGNORECASE)
    of_named = [pair for pair in pairs if template.stations and pattern.search(_names(pair[0]))]
    return next(iter(of_named or ([] if template.stations else pairs)), None)


def _names(station: Station) -> str:
    return f"{station.endpoint} {station.label} {station.label_ja}"


def of_rule(kind: str, table: Mapping[str, Any], rule: Rule | None) -> dict[str, Any]:
    """Return the fields of a rule of the file; `rule` has the defaults of what it leaves out."""
    values: dict[str, Any] = {"kind": kind, "channels": [*table.get("channels", ())]}
    for key in RULES[kind][1]:
        value = table.get(key.name)
        if value is None and rule is not None:
            value = _default(key.name, getattr(rule, key.field))
        if key.name in ("stations", "channels"):
            values[key.name] = [*table.get(key.name, ())]
        elif value is not None:
            values[key.name] = _text(value)
    if "station" in values:
        values["about"] = f"{values.pop('station')}.{values.pop('measurement', '')}"
    for direction in DIRECTIONS.get(kind, ()):
        if direction in values:
            values |= {"direction": direction, "value": values.pop(direction)}
    return values


def _text(value: Any) -> str:
    """A value of the file as a form has it."""
    if isinstance(value, time):
        return f"{value:%H:%M}"
    return number_text(value) if isinstance(value, int | float) else str(value)


_UNITS_SEC = {"min": 60, "h": 3600}


def _default(name: str, value: Any) -> Any:
    """The value of a field as its key has it."""
    unit = name.rpartition("_")[2]
    return value / _UNITS_SEC[unit] if value is not None and unit in _UNITS_SEC else value


def sent(fields: MultiDict[str, str]) -> dict[str, Any]:
    """Return the fields of a form, or of an address that fills it in."""
    lists = ("stations", "channels")
    values: dict[str, Any] = {name: fields.get(name, "").strip() for name in FIELDS}
    return values | {name: fields.getlist(name) for name in lists}


def number_text(value: float) -> str:
    """Return `3` for 3.0, and at most ten digits."""
    return f"{value:.{DIGITS}g}"


@dataclass(slots=True)
class Reader:
    """Makes the table of a rule of a form; `problems` has what is wrong, by field."""

    stations: Stations
    t: Translation
    values: Mapping[str, Any]
    problems: dict[str, str]

    def table(self) -> dict[str, Any]:
        """Return the keys of the table; incomplete where something is wrong."""
        kind = self.values["kind"]
        keys = [key.name for key in RULES[kind][1]]
        table: dict[str, Any] = {}
        if "stations" in keys:
            table["stations"] = self.values["stations"] or None
        if "station" in keys:
            self._add_subject(table)
        for name in keys:
            if name in HOURS:
                table[name] = self._clock(name)
            elif name in LABELS and name not in ("stations", "clear"):
                table[name] = self._number(name, is_needed=name in ("within_min", "readings"))
        if "clear" in keys:
            table["clear"] = self._clear(table)
        return table | {"channels": self.values["channels"] or None}

    def _add_subject(self, table: dict[str, Any]) -> None:
        station, _, column = self.values["about"].partition(".")
        if self._measurement() is None:
            self.problems["about"] = self.t("choose a measurement")
        table |= {"station": station, "measurement": column}
        directions = DIRECTIONS.get(self.values["kind"])
        if directions is None:
            return
        direction = self.values["direction"]
        if direction not in directions:
            direction = next(iter(directions))
        table |= dict.fromkeys(directions)
        table[direction] = self._number("value", is_needed=True)

    def _measurement(self) -> Measurement | None:
        endpoint, _, column = self.values["about"].partition(".")
        station = self.stations.by_endpoint.get(endpoint)
        measurements = station.measurements if station else ()
        return next((one for one in measurements if one.column == column), None)

    def _number(self, name: str, *, is_needed: bool) -> float | int | None:
        text = self.values.get(name, "")
        if not text:
            if is_needed:
                self.problems[name] = self.t("a number is needed")
            return None
        try:
            value = typed_number(text)
        except NotTyped:
            needed = self.t("a number such as 25 or -15.5 is needed")
            self.problems[name] = with_nearest(self.t, needed, text)
            return None
        return int(value) if float(value).is_integer() else value

    def _clock(self, name: str) -> str | None:
        """A time of the day as the file has it; None for an empty field."""
        text = unicodedata.normalize("NFKC", self.values.get(name, ""))
        match = re.fullmatch(r"([0-9]{1,2})[:.時]?([0-9]{2})?分?(:[0-9]{2})?", text)
        if not text:
            return None
        hour, minute = (int(match[1]), int(match[2] or 0)) if match else (HOURS_A_DAY, 0)
        if hour >= HOURS_A_DAY or minute >= MINUTES_AN_HOUR:
            self.problems[name] = self.t("a time such as 18:00 is needed, or nothing")
            return None
        return f"{hour:02}:{minute:02}"

    def _clear(self, table: Mapping[str, Any]) -> float | int | None:
        """The value at which the alert ends: that of the form, or one a little before the limit."""
        is_above = table["above"] is not None
        limit = table["above"] if is_above else table["below"]
        value = self._number("clear", is_needed=False)
        measurement = self._measurement()
        if limit is None or measurement is None:
            return value
        if value is None:
            return _usual_clear(limit, measurement, is_above=is_above)
        if (value > limit) if is_above else (value < limit):
            text = N_("at most {limit} is needed") if is_above else N_("at least {limit} is needed")
            self.problems["clear"] = self.t(text, limit=number_text(limit))
        return value


def _usual_clear(limit: float, of: Measurement, *, is_above: bool) -> float | int:
    step = LEAST_CLEAR.get(of.unit, abs(limit) * CLEAR_SHARE)
    low, high = of.minimum, of.maximum
    value = limit - step if is_above else limit + step
    value = value if low is None else max(low, value)
    value = round(value if high is None else min(high, value), DIGITS)
    return int(value) if float(value).is_integer() else value


def name_for(values: Mapping[str, Any], taken: Iterable[str]) -> str:
    """Return a name for a new rule: `freezer_temperature_above`."""
    kind = values["kind"]
    words = [kind]
    if values["about"] and kind not in DIRECTIONS:
        words = [*values["about"].split("."), kind]
    elif kind in DIRECTIONS:
        words = [*values["about"].split("."), values["direction"] or kind]
    elif len(values["stations"]) == 1:
        words = [*values["stations"], kind]
    # With a number even where it would be built in: a rule of such a name changes that one.
    name = re.sub(r"[^a-z0-9_-]+", "_", "_".join(words))[: NAME_CHARS - 3]
    names = {*taken, *RULES}
    numbered = (name, *(f"{name}_{n}" for n in range(2, len(names) + 3)))
    return next(each for each in numbered if each not in names)


def limit_of(rule: Rule) -> float | None:
    """Return the height of the line that the chart has of a rule."""
    return (
        None
        if not isinstance(rule, Threshold)
        else rule.above
        if rule.above is not None
        else rule.below
    )
