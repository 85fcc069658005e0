"""The routes that take readings as other services do, as the specification has them."""

import json
import re
from collections.abc import Iterator
from urllib.parse import urlencode

from flask10x.config.settings import Settings
from flask10x.readings.protocols import PRECISIONS_NS
from flask10x.readings.stations import Measurement, Station
from flask10x.translation import N_
from flask10x.web.ingest.batch import ITEMS_MAX
from flask10x.web.specification.operation import (
    COUNT,
    FORM,
    JSON,
    TEXT,
    TEXT_SCHEMA,
    JsonObject,
    Operation,
    Sample,
    in_path,
    posted,
    query,
    said,
    schema,
    with_refusals,
)
from flask10x.web.specification.sending import COUNTS, DRY_RUN, NO_ROOM, SEVERAL
from flask10x.web.specification.station_schemas import (
    NUMBER_WITH_UNIT,
    example_values,
    value_schema,
)

# Of a house that has no station for them.
USUAL_CHANNEL, USUAL_FIELDS = "12345", {"d1": 25.1, "d2": 52}
USUAL_LINE = "balcony,node=1 temperature=25.1"
KEY = "0123456789abcdef"
CREATED_MS = 1_756_000_812_000

SCHEMAS: dict[str, JsonObject] = {
    # Ambient's clients look at the status only.
    "Counts": {
        "type": "object",
        "required": ["accepted", "duplicate", "refused"],
        "properties": COUNTS,
    },
    "LinesTried": {
        "allOf": [
            schema("Results"),
            {
                "type": "object",
                "required": ["lines"],
                "properties": {
                    "lines": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["line", "error"],
                            "properties": {"line": COUNT, "error": TEXT_SCHEMA},
                        },
                    }
                },
            },
        ]
    },
    "WriteError": {
        "type": "object",
        "required": ["code", "message"],
        "properties": {
            "code": TEXT_SCHEMA,
            "message": TEXT_SCHEMA,
            "line": COUNT,
            "maxLength": COUNT,
        },
    },
}
# What an entry says beside its values.
AMBIENT_TIMES: JsonObject = {
    "created": {
        "description": "When it was measured: milliseconds since 1970, or a text.",
        "type": ["number", "string", "null"],
    },
    "time": {"description": "1: `created` has seconds, not milliseconds."},
}


def schemas(settings: Settings) -> dict[str, JsonObject]:
    """What a station of each channel is sent, by Ambient's names."""
    return SCHEMAS | {
        f"AmbientReading_{one.endpoint}": _ambient_reading(settings, one)
        for one in settings.stations.all
        if one.ambient_channel
    }


def _ambient_reading(settings: Settings, station: Station) -> JsonObject:
    partial = station.endpoint in settings.partial_readings
    named = {one.ambient: one for one in station.measurements if one.ambient}
    values = {name: value_schema(one, partial=partial) for name, one in named.items()}
    found: JsonObject = {"type": "object", "properties": AMBIENT_TIMES | values}
    if partial:
        usable = [(name, value_schema(one, partial=False)) for name, one in named.items()]
        one_of = [{"required": [name], "properties": {name: value}} for name, value in usable]
        return found | {"anyOf": one_of}
    return found | {"required": list(named)}


def line_protocol(settings: Settings) -> Iterator[Operation]:
    """The two addresses of InfluxDB."""
    yield from _lines(settings.stations.all)


def ambient(settings: Settings) -> Iterator[Operation]:
    stations = settings.stations.all
    of_channels = [one for one in stations if one.ambient_channel]
    channels = [one.ambient_channel for one in of_channels]
    known: JsonObject = {"type": "string"}
    known |= {"enum": channels} if channels else {"examples": ["12345"]}
    channel = in_path("channel", known, N_("`ambient_channel` of a station in `stations.toml`."))
    # Where none is needed nobody looks at it.
    key = {"writeKey": {"description": "A token of the station, a text.", "examples": [KEY]}}
    entry: JsonObject = {"anyOf": [schema(f"AmbientReading_{s.endpoint}") for s in of_channels]}
    if not of_channels:
        entry = {"type": "object"}
    one = {"allOf": [entry, {"properties": key}]}
    data = {"type": "array", "minItems": 1, "maxItems": ITEMS_MAX, "items": entry}
    several = {"type": "object", "required": ["data"], "properties": {"data": data, **key}}
    form = {
        "type": "object",
        "properties": key,
        "additionalProperties": TEXT_SCHEMA,
        "anyOf": [_first_entry(s) for s in of_channels] or [{}],
    }
    reading = _fields(stations)
    shown = {"created": CREATED_MS, **reading}
    as_form = {"writeKey": KEY, **{f"data[0][{name}]": f"{v}" for name, v in shown.items()}}
    single, listed = {"writeKey": KEY, **reading}, {"writeKey": KEY, "data": [shown]}
    bodies: dict[str, tuple[JsonObject, JsonObject, str, str]] = {
        "data": (one, single, JSON, json.dumps(single)),
        "dataarray": (several, listed, JSON, json.dumps(listed)),
        "urldataarray": (form, as_form, FORM, urlencode(as_form)),
    }
    answers = {
        "200": said(
            N_("At least one is taken; with wrong ones among them each has a result."),
            {"anyOf": [schema("Results"), schema("Counts")]},
            {"taken": SEVERAL},
        ),
        "400": said(
            N_("None is taken, or a parameter is wrong."),
            {"anyOf": [schema(name) for name in ("Results", "InvalidQuery", "Error")]},
        ),
        "404": said(
            N_("No station has this channel."),
            schema("Error"),
            {
                "channel": {
                    "error": "unknown channel",
                    "hint": 'no station of stations.toml has ambient_channel = "12345"',
                }
            },
        ),
        "503": NO_ROOM,
    }
    for end, (content, example, media_type, text) in bodies.items():
        yield Operation(
            method="post",
            path=f"/api/v2/channels/{{channel}}/{end}",
            name=f"ambient_{end}",
            group="send",
            guard="key",
            parameters=[channel, DRY_RUN],
            body=posted(content, {"one": example}, media_type),
            answers=with_refusals(answers, "key"),
            sample=Sample(query="dry_run=1", body=text, body_type=media_type),
        )


def _first_entry(station: Station) -> JsonObject:
    """A form's fields of its first reading, as qs writes `data[0].d1`."""
    names = [f"data[0][{one.ambient}]" for one in station.measurements if one.ambient]
    text = {"type": "string", "format": NUMBER_WITH_UNIT}
    return {"required": names, "properties": dict.fromkeys(names, text)}


def _fields(stations: tuple[Station, ...]) -> JsonObject:
    """What the sender of the first channel sends."""
    for one in stations:
        if one.ambient_channel:
            values = example_values(one)
            return {m.ambient: values[m.path] for m in one.measurements if m.ambient}
    return {**USUAL_FIELDS}


def _lines(stations: tuple[Station, ...]) -> Iterator[Operation]:
    line = next((_line(one) for one in stations if one.influx), USUAL_LINE)
    precision = query(
        "precision",
        {"type": "string", "enum": list(PRECISIONS_NS)},
        N_("The unit of the times; nanoseconds without it."),
    )
    shapes = {"/write": schema("Error"), "/api/v2/write": schema("WriteError")}
    for path, shape in shapes.items():
        wrong = {"anyOf": [shape, schema("LinesTried"), schema("InvalidQuery"), schema("Error")]}
        is_old = path == "/write"
        why = "line 1: no station has this measurement"
        example = {"error": why} if is_old else {"code": "invalid", "message": why, "line": 1}
        answers = {
            "200": said(N_("Only with `dry_run=1`: what would be stored."), schema("LinesTried")),
            "204": {"description": N_("All are taken; there is no body.")},
            "400": said(
                N_("Some lines are no readings of a station; the good ones are stored."),
                wrong,
                {"line": example},
            ),
            "401": said(N_("The token is missing, or for none of the stations."), wrong),
            "404": said(N_("Only with `dry_run=1`: of no station."), wrong),
            "413": said(N_("Too much at once."), wrong),
            "503": said(
                N_("There is no room now: send all of it again."),
                {"anyOf": [shape, schema("QueuedFailed"), schema("LinesTried")]},
                None,
                ["Retry-After"],
            ),
        }
        yield Operation(
            method="post",
            path=path,
            name="write_v1" if is_old else "write_v2",
            group="send",
            guard="lines",
            # No parameter: what it may be depends on the body.
            description="The body may be packed: with the header `Content-Encoding: gzip`.",
            parameters=[precision, DRY_RUN],
            # Without a line there is nothing to do.
            body=posted(TEXT_SCHEMA, {"line": line}, TEXT) | {"required": False},
            answers=with_refusals(answers, "lines"),
            sample=Sample(query="dry_run=1", body=line, body_type=TEXT),
        )


def _line(station: Station) -> str:
    """A reading of it, in the names that it has there."""
    tags = "".join(f",{_name(key)}={_name(value)}" for key, value in station.influx_tags)
    values = example_values(station)
    fields = [f"{_name(_field(m))}={_value(values[m.path])}" for m in station.measurements]
    return f"{_name(station.influx)}{tags} {','.join(fields)}"


def _field(measurement: Measurement) -> str:
    return measurement.influx or measurement.path


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _name(text: str) -> str:
    """With what would end it escaped."""
    return re.sub(r"([,= ])", r"\\\1", text)
