"""What the specification says of the stations: addresses, schemas, conditions, examples."""

import json
import re
from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import Any

from flask10x.config.settings import Settings
from flask10x.history.query import IS_NULL, OPERATORS
from flask10x.readings.derived import derived_names, measurement_of, names_of_readings
from flask10x.readings.labels import station_name
from flask10x.readings.reasons import Reason
from flask10x.readings.stations import Measurement, Station, Stations
from flask10x.translation import translation
from flask10x.web.ingest.batch import ITEMS_MAX
from flask10x.web.programs import likely_reading, likely_value

JsonObject = dict[str, Any]

OBJECT: JsonObject = {"type": "object"}
# No regular language, so no pattern: what is nearly right would make a client refuse what is taken.
NUMBER_WITH_UNIT = "number-with-unit"
CHANNEL_PATH = "/api/v2/channels/{channel}/"
# In the examples of a house without a station for them.
USUAL_CHANNEL, USUAL_FIELDS = "12345", {"d1": 25.1, "d2": 52}
USUAL_LINE = "balcony,node=1 temperature=25.1"
KEY = "0123456789abcdef"
CREATED_MS = 1_756_000_812_000
RECEIVED, SILENT_SEC = "2025-08-24 09:00:12", 12


def schema(name: str) -> JsonObject:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def paths(settings: Settings, operation: JsonObject) -> dict[str, JsonObject]:
    """The path of each station; `operation` is what they have in common."""
    return {
        f"/{station.endpoint}": {"post": _posting(station, operation)}
        for station in settings.stations.all
    }


def fill_in(settings: Settings, document: JsonObject) -> None:
    """Give the document the schemas and parameters of these stations, and examples with them."""
    components, stations = document["components"], settings.stations
    components["schemas"] |= schemas(settings, document.pop("x-schemas"))
    components["parameters"] |= conditions(stations)
    components["parameters"]["channel"]["example"] = next(
        (station.ambient_channel for station in stations.all if station.ambient_channel),
        USUAL_CHANNEL,
    )
    for path, example in _examples(stations):
        body = document["paths"][path]["post"]["requestBody"]
        for content in body["content"].values():
            content["examples"] = {"one": {"value": example}}
    names = stations.by_endpoint
    unknown = _answer(document["paths"]["/api/v1/latest"]["get"], "404")
    unknown["hint"] = Reason("unknown_station", known=", ".join(names))
    metrics = _answer(document["paths"]["/metrics"]["get"], "200")
    metrics["last_received"] = dict.fromkeys(names, RECEIVED)
    metrics["inactivity_seconds"] = dict.fromkeys(names, SILENT_SEC)


def _answer(operation: JsonObject, status: str) -> JsonObject:
    """The example of the operation's JSON answer with this status, of which it has one."""
    (example,) = operation["responses"][status]["content"]["application/json"]["examples"].values()
    answer: JsonObject = example["value"]
    return answer


def _posting(station: Station, operation: JsonObject) -> JsonObject:
    operation = deepcopy(operation)
    body, name = likely_reading(station), station.endpoint
    _answer(operation, "400")["details"] = {station.measurements[0].path: Reason("missing")}
    array = {"type": "array", "minItems": 1, "maxItems": ITEMS_MAX}
    array["items"] = {"anyOf": [schema(f"Reading_{name}"), schema(f"OwnItem_{name}")]}
    late = [{"data": body, "age_s": 600, "id": "boot 7, reading 41"}]
    content = {
        "schema": {"oneOf": [schema(f"Reading_{name}"), array]},
        "examples": {"one": {"value": body}, "late": {"value": late}},
    }
    return operation | {
        "operationId": f"send_{name}",
        "summary": f"{operation['summary']}: {station_name(station, translation('en'))}",
        "description": _table(station),
        "requestBody": {"required": True, "content": {"application/json": content}},
    }


def _table(station: Station) -> str:
    """The fields of a station as a table of Markdown."""
    lines = ["| field | unit | min | max |", "|---|---|---|---|"]
    for measurement in station.measurements:
        limits = (measurement.minimum, measurement.maximum)
        low, high = ("–" if limit is None else f"{limit:g}" for limit in limits)
        lines.append(f"| `{measurement.path}` | {measurement.unit or '–'} | {low} | {high} |")
    return "\n".join(lines)


def _examples(stations: Stations) -> Iterator[tuple[str, object]]:
    """Yield a body that is accepted, for each path that takes readings of several stations."""
    yield (
        "/api/v1/readings",
        [
            {"endpoint": station.endpoint, "data": likely_reading(station), "age_s": 60 * n}
            for n, station in enumerate(stations.all[:2])
        ],
    )
    fields: JsonObject = USUAL_FIELDS
    if station := next((each for each in stations.all if each.ambient_channel), None):
        values = likely_values(station)
        fields = {m.ambient: values[m.path] for m in station.measurements if m.ambient}
    reading = {"created": CREATED_MS, **fields}
    form = {f"data[0][{name}]": str(value) for name, value in reading.items()}
    yield f"{CHANNEL_PATH}data", {"writeKey": KEY, **fields}
    yield f"{CHANNEL_PATH}dataarray", {"writeKey": KEY, "data": [reading]}
    yield f"{CHANNEL_PATH}urldataarray", {"writeKey": KEY, **form}
    line = next((_line(station) for station in stations.all if station.influx), USUAL_LINE)
    yield from (("/write", line), ("/api/v2/write", line))


def _line(station: Station) -> str:
    """Return a reading in line protocol, by the names that the station has there."""

    def escaped(text: str) -> str:
        """Return a name with a backslash before each character that would end it."""
        return re.sub(r"([,= ])", r"\\\1", text)

    tags = "".join(f",{escaped(key)}={escaped(value)}" for key, value in station.influx_tags)
    values = likely_values(station)
    fields = (
        f"{escaped(m.influx or m.path)}={json.dumps(values[m.path], ensure_ascii=False)}"
        for m in station.measurements
    )
    return f"{escaped(station.influx)}{tags} {','.join(fields)}"


def conditions(stations: Stations) -> dict[str, JsonObject]:
    """The parameters for conditions on a measurement (`co2__gte`), by their names."""
    computed = {name: measurement_of(stations, name) for name in names_of_readings(stations)}
    parameters = {}
    for column, measurement in {**stations.by_column, **computed}.items():
        for key, operator in OPERATORS.items():
            is_switch = operator is IS_NULL
            unit = f" {measurement.unit}" if measurement.unit and not is_switch else ""
            parameters[f"{column}__{key}"] = {
                "name": f"{column}__{key}",
                "in": "query",
                "description": f"`{column}` {operator.label}{unit}",
                "schema": schema("Switch" if is_switch else "Number"),
            }
    return parameters


def likely_values(station: Station) -> dict[str, object]:
    """The values of a likely reading by the paths of their measurements."""
    return {m.path: likely_value(m) for m in station.measurements}


def schemas(settings: Settings, templates: JsonObject) -> dict[str, JsonObject]:
    """Return the schemas of each station, and those in which all of them are named.

    `templates` are those that are the same for all stations but for the endpoint.
    """
    every: dict[str, JsonObject] = {}
    for station in settings.stations.all:
        name, partial = station.endpoint, station.endpoint in settings.partial_readings
        every[f"Reading_{name}"] = _body(station, partial=partial)
        every[f"Values_{name}"] = _values(station)
        for kind, template in templates.items():
            text = json.dumps(template).replace("{endpoint}", name)
            every[f"{kind}_{name}"] = json.loads(text)
        if station.ambient_channel:
            every[f"AmbientReading_{name}"] = _ambient_reading(station, partial=partial)
    return every | _of_all(settings.stations)


def _of_all(stations: Stations) -> dict[str, JsonObject]:
    """Return the names of stations, measurements and channels, and each kind of reading as one."""
    of_channels = [station for station in stations.all if station.ambient_channel]
    channels = [station.ambient_channel for station in of_channels]
    # The fields of a form's first reading, as qs writes `data[0].d1`.
    text = {"type": "string", "format": NUMBER_WITH_UNIT, "minLength": 1}
    first_entries: list[JsonObject] = []
    for station in of_channels:
        names = [f"data[0][{field.ambient}]" for field in station.measurements if field.ambient]
        first_entries.append({"required": names, "properties": dict.fromkeys(names, text)})
    return {
        "Station": _enum(stations.by_endpoint),
        "StoredMeasurement": _enum(stations.columns),
        "Measurement": _enum((*stations.columns, *names_of_readings(stations))),
        # Values that follow from several readings are in charts only.
        "ChartMeasurement": _enum((*stations.columns, *derived_names(stations))),
        "NewestValues": {
            "type": "object",
            "properties": {
                column: {"type": ["number", "null"], "description": measurement.unit}
                for column, measurement in stations.by_column.items()
            },
        },
        # By reference: generators of clients give each class a name.
        "HistoryReading": {"oneOf": _references("HistoryReading", stations.all)},
        "Item": {"oneOf": _references("Item", stations.all)},
        "StoredReading": {"anyOf": _references("Values", stations.all)},
        "Channel": _enum(channels) if channels else {"type": "string"},
        "AmbientReading": _any_of(_references("AmbientReading", of_channels)) | OBJECT,
        "AmbientForm": {
            "type": "object",
            "properties": {"writeKey": schema("WriteKey")},
            "additionalProperties": {"type": "string"},
            **({"allOf": [_any_of(first_entries)]} if first_entries else {}),
        },
    }


def _references(kind: str, stations: Iterable[Station]) -> list[JsonObject]:
    return [schema(f"{kind}_{station.endpoint}") for station in stations]


def _any_of(alternatives: Iterable[JsonObject]) -> JsonObject:
    """A schema that one of these makes true; without any it is always true."""
    listed = list(alternatives)
    return {"anyOf": listed} if listed else {}


def _enum(names: Iterable[str]) -> JsonObject:
    return {"type": "string", "enum": list(names)}


def _ambient_reading(station: Station, *, partial: bool) -> JsonObject:
    """What a station of a channel is sent, by Ambient's names."""
    fields = {field.ambient: field for field in station.measurements if field.ambient}
    values = {name: value_schema(field, partial=partial) for name, field in fields.items()}
    times = {"created": schema("AmbientCreated"), "time": schema("AmbientTime")}
    reading: JsonObject = {"type": "object", "properties": times | values}
    if not partial:
        return reading | {"required": list(fields)}
    usable = {name: value_schema(field, partial=False) for name, field in fields.items()}
    return reading | {"allOf": [_any_of(_requirement(name, usable[name]) for name in usable)]}


def _body(station: Station, *, partial: bool) -> JsonObject:
    """What a station sends. Other keys are ignored, so they are allowed."""
    # No title: generators of clients would take it for the name of the class.
    body: JsonObject = {"type": "object", "description": station.label or station.endpoint}
    # Alternatives are below `allOf`: generators would make a class of each one beside `properties`.
    alternatives: list[JsonObject] = []
    for measurement in station.measurements:
        paths = _paths(measurement, partial=partial)
        for path in paths:
            value = value_schema(measurement, partial=partial)
            _put(body, path, value, {} if partial else OBJECT)
        if partial:
            continue
        if measurement.aliases:
            alternatives.append(_any_of(_requirement(path, {}) for path in paths))
            continue
        within = body
        for name in measurement.path.split("."):
            required = within.setdefault("required", [])
            if name not in required:
                required.append(name)
            within = within["properties"][name]
    if partial:
        body["description"] += ". One usable field is enough: what is missing or bad is warned of."
        usable = (
            _requirement(path, value_schema(measurement, partial=False)) | OBJECT
            for measurement in station.measurements
            for path in _paths(measurement, partial=True)
        )
        alternatives.append(_any_of(usable))
    return body | ({"allOf": alternatives} if alternatives else {})


def _paths(measurement: Measurement, *, partial: bool) -> tuple[str, ...]:
    """Where its value may be."""
    others = measurement.partial_aliases if partial else ()
    return (measurement.path, *measurement.aliases, *others)


def _put(body: JsonObject, path: str, value: JsonObject, within: JsonObject) -> None:
    """Put the schema of a value at its path; `within` is that of the objects on the way."""
    *objects, key = path.split(".")
    for name in objects:
        body = body.setdefault("properties", {}).setdefault(name, {**within})
    body.setdefault("properties", {})[key] = value


def _requirement(path: str, value: JsonObject) -> JsonObject:
    """That the path is there; with a value also that it is one, in objects."""
    first, _, rest = path.partition(".")
    if rest:
        inside = _requirement(rest, value)
        value = OBJECT | inside if value else inside
    return {"required": [first]} | ({"properties": {first: value}} if value else {})


def value_schema(measurement: Measurement, *, partial: bool) -> JsonObject:
    """What may be sent of a measurement; with `partial` anything, but what is usable first."""
    limits = {"minimum": measurement.minimum, "maximum": measurement.maximum}
    number = {"type": "number"} | {key: v for key, v in limits.items() if v is not None}
    text = {
        "type": "string",
        "format": NUMBER_WITH_UNIT,
        "minLength": 1,
        "description": "One number, perhaps with a decimal comma and a unit, within the limits.",
    }
    kinds: list[JsonObject] = [number, text]
    if partial:
        kinds.append({"description": "Anything else is warned of, and the reading stored."})
    return {"description": _with_unit(measurement), "anyOf": kinds}


def _with_unit(measurement: Measurement) -> str:
    return f"{measurement.column} in {measurement.unit}" if measurement.unit else measurement.column


def _values(station: Station) -> JsonObject:
    """The values as they are stored, in the shape of what the station sends.

    Of a history they are only those that were asked for.
    """
    values: JsonObject = {"type": "object", "additionalProperties": False}
    for measurement in station.measurements:
        value = {"type": ["number", "null"], "description": _with_unit(measurement)}
        _put(values, measurement.path, value, OBJECT)
    return values
