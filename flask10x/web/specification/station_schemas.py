"""The schemas that are made of the stations: what each one sends, and what is told of it."""

from typing import Any

from flask10x.config.settings import Settings
from flask10x.readings.batches import FIRST_MS, KEY_MAX_BYTES
from flask10x.readings.stations import Measurement, Station, Stations
from flask10x.web.pages.devices.model import likely_reading
from flask10x.web.specification.operation import JsonObject, schema

# What the boards of the built-in stations send (contract, section 7). One that measures something
# else by now gets an example like any other.
REAL_BODIES: dict[str, JsonObject] = {
    "data": {"pressure": "1013.25hPa", "temperature": "25.1C"},
    "data2": {
        "co2": 650,
        "temperature": 25.1,
        "humidity": 52.3,
        "pressure": 1013.2,
        "gas_res": "8.5kΩ",
    },
    "data3": {"temperature": 30.20312, "humidity": 61.2, "pressure": 1009.8, "gas_res": 102400},
    "data4": {
        "mh_z19": {"co2": 700},
        "mq_2": {"analog_value": 1200, "voltage": 0.97},
        "ds18b20": {"temperature": 24.5},
        "dht11": {"temperature": 25, "humidity": 52},
    },
}
NULL: JsonObject = {"type": "null"}
# A date with a time of day, as `readings/times.py` reads it.
DATE = r"(19[7-9][0-9]|[2-9][0-9]{3})-[0-9]{2}-[0-9]{2}"
CLOCK = r"[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?"
MEASURED_AT_TEXT = rf"^\s*{DATE}{CLOCK}\s*$"
OBJECT: JsonObject = {"type": "object"}
# No regular language, so no pattern: what is nearly right would make a client refuse what is taken.
NUMBER_WITH_UNIT = "number-with-unit"
# Derived values by name: of readings only those that were asked for.
COMPUTED: JsonObject = {"type": "object", "additionalProperties": {"type": ["number", "null"]}}


def body_name(station: Station) -> str:
    """The name of the schema of what it sends."""
    return f"Reading_{station.endpoint}"


def values_name(station: Station) -> str:
    """The name of the schema of its values as they are stored."""
    return f"Values_{station.endpoint}"


def example_body(station: Station) -> JsonObject:
    """A body that is accepted."""
    real = REAL_BODIES.get(station.endpoint)
    if real is not None and all(_has(real, one.path) for one in station.measurements):
        return real
    return likely_reading(station)


def example_values(station: Station) -> dict[str, object]:
    """The values of that body by the paths of their measurements."""
    found = {}
    for one in station.measurements:
        value: Any = example_body(station)
        for name in one.path.split("."):
            value = value[name]
        found[one.path] = value
    return found


def schemas(settings: Settings) -> dict[str, JsonObject]:
    """Of every station, and of what names one."""
    stations = settings.stations
    found: dict[str, JsonObject] = {}
    for station in stations.all:
        partial = station.endpoint in settings.partial_readings
        found[body_name(station)] = _body(station, partial=partial)
        found[values_name(station)] = _values(station)
        found[f"HistoryReading_{station.endpoint}"] = _history_reading(station)
        found[f"Item_{station.endpoint}"] = _item(station, is_own=False)
        found[f"OwnItem_{station.endpoint}"] = _item(station, is_own=True)
    # By reference: generators of clients give each class a name.
    for name in ("HistoryReading", "Item"):
        found[name] = {"oneOf": [schema(f"{name}_{one.endpoint}") for one in stations.all]}
    found["Latest"] = _latest(stations)
    return found


def _has(body: object, path: str) -> bool:
    for name in path.split("."):
        if not isinstance(body, dict) or name not in body:
            return False
        body = body[name]
    return True


def _body(station: Station, *, partial: bool) -> JsonObject:
    """Other keys are ignored, so they are allowed."""
    # No title: generators of clients would take it for the name of the class.
    found: JsonObject = {"type": "object", "description": station.label or station.endpoint}
    either = []
    for one in station.measurements:
        paths = _paths(one, partial=partial)
        for path in paths:
            _put(found, path, value_schema(one, partial=partial), {} if partial else OBJECT)
        if partial:
            continue
        if one.aliases:
            either.append({"anyOf": [_requirement(path, {}) for path in paths]})
        else:
            _require(found, one.path)
    if either:
        found["allOf"] = either
    if partial:
        found["description"] += ". One usable field is enough: what is missing or bad is warned of."
        found["anyOf"] = [
            _requirement(path, value_schema(one, partial=False)) | OBJECT
            for one in station.measurements
            for path in _paths(one, partial=True)
        ]
    return found


def _paths(measurement: Measurement, *, partial: bool) -> tuple[str, ...]:
    """Where its value may be."""
    others = measurement.partial_aliases if partial else ()
    return (measurement.path, *measurement.aliases, *others)


def _put(found: JsonObject, path: str, value: JsonObject, within: JsonObject) -> None:
    """`within` is what the objects on the way are."""
    *objects, key = path.split(".")
    for name in objects:
        properties = found.setdefault("properties", {})
        found = properties.setdefault(name, {**within})
    found.setdefault("properties", {})[key] = value


def _require(found: JsonObject, path: str) -> None:
    for name in path.split("."):
        required = found.setdefault("required", [])
        if name not in required:
            required.append(name)
        found = found["properties"][name]


def _requirement(path: str, value: JsonObject) -> JsonObject:
    """That the path is there; with a value also that it is one, in objects."""
    first, _, rest = path.partition(".")
    found: JsonObject = {"required": [first]}
    if rest:
        inside = _requirement(rest, value)
        return found | {"properties": {first: OBJECT | inside if value else inside}}
    return found | {"properties": {first: value}} if value else found


def value_schema(measurement: Measurement, *, partial: bool) -> JsonObject:
    """What may be sent of a measurement; with `partial` anything, but what is usable first."""
    number: JsonObject = {"type": "number"}
    if measurement.minimum is not None:
        number["minimum"] = measurement.minimum
    if measurement.maximum is not None:
        number["maximum"] = measurement.maximum
    text = {
        "type": "string",
        "format": NUMBER_WITH_UNIT,
        "description": "One number, perhaps with a decimal comma and a unit, within the limits.",
    }
    kinds: list[JsonObject] = [number, text]
    if partial:
        kinds.append({"description": "Anything else is warned of, and the reading stored."})
    unit = f" in {measurement.unit}" if measurement.unit else ""
    return {"description": f"{measurement.column}{unit}", "anyOf": kinds}


def _values(station: Station) -> JsonObject:
    """As they are stored, in the shape of what it sends; of a history only those asked for."""
    found: JsonObject = {"type": "object", "additionalProperties": False}
    for one in station.measurements:
        unit = f" in {one.unit}" if one.unit else ""
        value = {"type": ["number", "null"], "description": f"{one.column}{unit}"}
        _put(found, one.path, value, OBJECT)
    return found


def _history_reading(station: Station) -> JsonObject:
    return {
        "type": "object",
        "required": ["endpoint", "timestamp", "data"],
        "properties": {
            "endpoint": {"const": station.endpoint},
            "timestamp": {
                "type": "string",
                "description": "Local time: `2025-08-24 09:00:12`.",
            },
            "data": schema(values_name(station)),
            "derived": COMPUTED,
        },
    }


def _item(station: Station, *, is_own: bool) -> JsonObject:
    """Of any stations it names its own; at the path of the station (`is_own`) it need not."""
    names = [station.endpoint, f"/{station.endpoint}"]
    return {
        "type": "object",
        "required": ["data"] if is_own else ["endpoint", "data"],
        "properties": {
            "endpoint": {"enum": [*names, None] if is_own else names},
            "data": schema(body_name(station)),
            **_item_properties(),
        },
        "additionalProperties": False,
        # One time is enough; null is none.
        "anyOf": [{"properties": {name: NULL}} for name in ("age_s", "measured_at")],
    }


def _item_properties() -> JsonObject:
    """What may be said of a reading beside its data; null is the same as nothing."""
    seconds = {
        "type": "number",
        "minimum": FIRST_MS // 1000,
        "description": "Seconds since 1970, a day ahead of the service's clock at most.",
    }
    text = {
        "type": "string",
        "pattern": MEASURED_AT_TEXT,
        "examples": ["2025-08-24T09:00:00+09:00"],
    }
    key = {"type": "string", "minLength": 1, "maxLength": KEY_MAX_BYTES}
    return {
        "measured_at": {
            "description": "When it was measured; a text without an offset is local time.",
            "anyOf": [seconds, text, NULL],
        },
        "age_s": {
            "anyOf": [{"type": "number", "minimum": 0}, NULL],
            "description": "Instead: how many seconds ago it was measured.",
        },
        "id": {
            "description": f"By which a second try is known: 1 to {KEY_MAX_BYTES} bytes.",
            "anyOf": [key, {"type": "integer"}, NULL],
        },
    }


def _latest(stations: Stations) -> JsonObject:
    columns: dict[str, Any] = {}
    for name, one in stations.by_column.items():
        columns[name] = {"type": ["number", "null"], "description": one.unit}
    return {
        "type": "object",
        "required": [
            *("endpoint", "label", "label_ja", "state", "age_s", "received_at"),
            *("measurements", "units", "derived", "derived_units", "missing", "data"),
        ],
        "properties": {
            "endpoint": {"enum": [one.endpoint for one in stations.all]},
            "label": {"type": "string"},
            "label_ja": {"type": "string"},
            "state": {"enum": ["receiving", "awaited", "silent", "never"]},
            "age_s": {"type": ["integer", "null"], "description": "Seconds since it sent."},
            "received_at": {
                "description": "The time of the newest reading, with the offset of the house.",
                "anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}],
            },
            "measurements": {"type": "object", "properties": columns},
            "units": {"type": "object", "additionalProperties": {"type": "string"}},
            "derived": COMPUTED,
            "derived_units": {"type": "object", "additionalProperties": {"type": "string"}},
            "missing": {"type": "array", "items": {"type": "string"}},
            "data": {
                "type": "object",
                "description": "The values in the shape of what the station sends.",
            },
        },
    }
