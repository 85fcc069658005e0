"""The routes that take readings, as the specification has them."""

import json
from collections.abc import Iterator

from flask10x.config.settings import Settings
from flask10x.readings.batches.items import KEY_HEADER, KEY_MAX_BYTES
from flask10x.readings.doors.line_protocol import PRECISIONS_NS
from flask10x.readings.stations import Station
from flask10x.web.api.answers import COUNT, REASONS, TEXT_SCHEMA, posted, with_refusals
from flask10x.web.api.operation import (
    FORM,
    TEXT,
    JsonObject,
    Operation,
    Sample,
    in_path,
    query,
    reference,
    said,
    schema,
)
from flask10x.web.api.station_schemas import (
    body_name,
    example_body,
    item_properties,
    values_name,
)
from flask10x.web.ingest.batch import ITEMS_MAX

DRY_RUN = reference("parameters", "dry_run")
KEY = reference("parameters", "idempotency_key")
PARAMETERS: dict[str, JsonObject] = {
    "dry_run": query(
        "dry_run",
        {"type": "string", "enum": ["0", "1"]},
        "`1`: the answer says what would be stored, and nothing is.",
    ),
    "idempotency_key": {
        "name": KEY_HEADER,
        "in": "header",
        "description": "By which a second try is known; for an array, of each item with its place.",
        "schema": {"type": "string", "minLength": 1, "maxLength": KEY_MAX_BYTES},
        "example": "boot 7, reading 43",
    },
}
ACKS = ["enqueued", "committed", "accepted_with_warnings", "duplicate"]
DRY_RESULT: JsonObject = {
    "type": "object",
    "required": ["status", "would"],
    "properties": {
        "status": {"enum": ["dry_run"]},
        "would": {"enum": ACKS},
        "reading": {"type": "object", "description": "As it would be stored."},
        "units": {"type": "object", "additionalProperties": TEXT_SCHEMA},
        "details": REASONS,
        "hint": TEXT_SCHEMA,
        "measured_at": TEXT_SCHEMA,
    },
}
COUNTS: JsonObject = {"accepted": COUNT, "duplicate": COUNT, "refused": COUNT, "failed": COUNT}
SCHEMAS: dict[str, JsonObject] = {
    "Accepted": {
        "type": "object",
        "required": ["status"],
        "properties": {"status": {"enum": ACKS}, "details": REASONS, "hint": TEXT_SCHEMA},
    },
    "DryRun": DRY_RESULT,
    "Result": {
        "anyOf": [
            schema(name)
            for name in ("Accepted", "DryRun", "ValidationFailed", "QueuedFailed", "Error")
        ]
    },
    "Results": {
        "type": "object",
        "required": ["accepted", "duplicate", "refused", "results"],
        "properties": {
            "status": {"enum": ["dry_run"]},
            **COUNTS,
            "results": {"type": "array", "items": schema("Result")},
        },
    },
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
    "AmbientReading": {
        "type": "object",
        "properties": {
            "created": {"anyOf": [{"type": "number"}, TEXT_SCHEMA]},
            "time": {"enum": [0, 1, "0", "1"]},
            **{f"d{n}": {"type": ["number", "string"]} for n in range(1, 9)},
        },
    },
}
MISSING = {
    "error": "validation failed",
    "details": {"humidity": "above maximum 100"},
}
SEVERAL = {"accepted": 2, "duplicate": 0, "refused": 0}
TWO_RESULTS = SEVERAL | {"results": [{"status": "enqueued"}, {"status": "enqueued"}]}
NO_ROOM = said(
    "There is no room for all now: send it again, with the same keys.",
    {"anyOf": [schema("Results"), schema("QueuedFailed")]},
    {"full": {"status": "queued_failed"}},
    ["Retry-After"],
)


def operations(settings: Settings) -> Iterator[Operation]:
    """Of every station, and those of many readings."""
    stations = settings.stations.all
    for station in stations:
        yield _of_station(station)
    yield _batch(stations)
    yield from _ambient(stations)
    yield from _lines(stations)


def _of_station(station: Station) -> Operation:
    example = example_body(station)
    own: JsonObject = {"type": "object", "required": ["data"], "additionalProperties": False}
    own["properties"] = {
        "endpoint": {"enum": [station.endpoint, f"/{station.endpoint}"]},
        "data": schema(body_name(station)),
        **item_properties(),
    }
    array = {
        "type": "array",
        "minItems": 1,
        "maxItems": ITEMS_MAX,
        "items": {"anyOf": [schema(body_name(station)), own]},
    }
    tried = {"allOf": [schema("DryRun")]}
    tried["allOf"].append({"properties": {"reading": schema(values_name(station))}})
    first = station.measurements[0].path
    wrong = {"error": "validation failed", "details": {first: "required field missing"}}
    answers = {
        "200": said(
            "It is taken; an array has a result for each of its readings.",
            {"anyOf": [schema("Accepted"), tried, schema("Results")]},
            {"taken": {"status": "enqueued"}, "again": {"status": "duplicate"}},
        ),
        "400": said(
            "It is wrong and kept among the rejected ones; sending it again does not help.",
            {
                "anyOf": [
                    schema(name)
                    for name in ("ValidationFailed", "InvalidQuery", "Results", "Error")
                ]
            },
            {"wrong": wrong},
        ),
        "503": NO_ROOM,
    }
    return Operation(
        method="post",
        path=f"/{station.endpoint}",
        name=f"send_{station.endpoint}",
        text="send_station",
        station=station,
        group="send",
        guard="write",
        description=_measured(station),
        parameters=[DRY_RUN, KEY],
        body=posted(
            {"oneOf": [schema(body_name(station)), array]},
            {"one": example, "late": [{"data": example, "age_s": 600, "id": "boot 7, reading 41"}]},
        ),
        answers=with_refusals(answers, "write"),
        sample=Sample(query="dry_run=1", body=json.dumps(example, ensure_ascii=False)),
    )


def _measured(station: Station) -> str:
    """Its fields as a table of Markdown."""
    lines = ["| field | unit | min | max |", "|---|---|---|---|"]
    for one in station.measurements:
        low, high = ("–" if x is None else f"{x:g}" for x in (one.minimum, one.maximum))
        lines.append(f"| `{one.path}` | {one.unit or '–'} | {low} | {high} |")
    return "\n".join(lines)


def _batch(stations: tuple[Station, ...]) -> Operation:
    items = {
        "type": "array",
        "minItems": 1,
        "maxItems": ITEMS_MAX,
        "items": schema("Item"),
    }
    whole = {
        "type": "object",
        "required": ["readings"],
        "properties": {"readings": items},
        "additionalProperties": False,
    }
    example = [
        {"endpoint": one.endpoint, "data": example_body(one), "age_s": 60 * n}
        for n, one in enumerate(stations[:2])
    ]
    answers = {
        "200": said(
            "At least one is taken, and none has to come again.",
            schema("Results"),
            {"taken": TWO_RESULTS},
        ),
        "400": said(
            "None is taken; or the body is no such array, or a parameter is wrong.",
            {
                "anyOf": [
                    schema(name)
                    for name in ("Results", "ValidationFailed", "InvalidQuery", "Error")
                ]
            },
            {"wrong": {"accepted": 0, "duplicate": 0, "refused": 1, "results": [MISSING]}},
        ),
        "401": _results_or_error("No token is for any of the stations, or there is none."),
        "404": _results_or_error("None of their stations is there."),
        "503": NO_ROOM,
    }
    ack = query("ack", {"type": "string", "enum": ["committed"]}, "Answer once all are stored.")
    return Operation(
        method="post",
        path="/api/v1/readings",
        name="send_many",
        group="send",
        guard="write",
        parameters=[DRY_RUN, ack, KEY],
        body=posted({"oneOf": [items, whole]}, {"two": example}),
        answers=with_refusals(answers, "write"),
        sample=Sample(query="dry_run=1", body=json.dumps(example, ensure_ascii=False)),
    )


def _results_or_error(description: str) -> JsonObject:
    either = {"anyOf": [schema("Results"), schema("Error")]}
    return said(description, either)


def _ambient(stations: tuple[Station, ...]) -> Iterator[Operation]:
    channels = [one.ambient_channel for one in stations if one.ambient_channel]
    known: JsonObject = {"type": "string"}
    known |= {"enum": channels} if channels else {"examples": ["12345"]}
    channel = in_path("channel", known, "`ambient_channel` of a station in `stations.toml`.")
    key = {"writeKey": {"type": "string", "description": "A token of the station."}}
    one = {"allOf": [schema("AmbientReading"), {"properties": key}]}
    several = {
        "type": "object",
        "required": ["data"],
        "properties": {"data": {"type": "array", "items": schema("AmbientReading")}, **key},
    }
    form = {"type": "object", "properties": key, "additionalProperties": TEXT_SCHEMA}
    reading = {"d1": 25.1, "d2": 52}
    listed = {"writeKey": "0123456789abcdef", "data": [{"created": 1756000812000, **reading}]}
    bodies = {
        "data": posted(one, {"one": {"writeKey": "0123456789abcdef", **reading}}),
        "dataarray": posted(several, {"two": listed}),
        "urldataarray": posted(
            form, {"one": {"writeKey": "0123456789abcdef", "data[0][d1]": "25.1"}}, FORM
        ),
    }
    answers = {
        "200": said(
            "At least one is taken; with wrong ones among them each has a result.",
            {"anyOf": [schema("Results"), schema("Counts")]},
            {"taken": SEVERAL},
        ),
        "400": said(
            "None is taken, or a parameter is wrong.",
            {"anyOf": [schema(name) for name in ("Results", "InvalidQuery", "Error")]},
        ),
        "404": said(
            "No station has this channel.",
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
    for end, body in bodies.items():
        is_form = end == "urldataarray"
        text = "writeKey=0123456789abcdef&data[0][d1]=25.1"
        example = next(iter(next(iter(body["content"].values()))["examples"].values()))["value"]
        yield Operation(
            method="post",
            path=f"/api/v2/channels/{{channel}}/{end}",
            name=f"ambient_{end}",
            group="send",
            guard="key",
            parameters=[channel, DRY_RUN],
            body=body,
            answers=with_refusals(answers, "key"),
            sample=Sample(
                query="dry_run=1",
                body=text if is_form else json.dumps(example),
                body_type=FORM if is_form else "application/json",
            ),
        )


def _lines(stations: tuple[Station, ...]) -> Iterator[Operation]:
    named = next((one for one in stations if one.influx), None)
    tags = "".join(f",{key}={value}" for key, value in named.influx_tags) if named else ""
    field = named.measurements[0].influx or named.measurements[0].path if named else ""
    line = f"{named.influx}{tags} {field}=25.1" if named else "balcony,node=1 temperature=25.1"
    precision = query(
        "precision",
        {"type": "string", "enum": list(PRECISIONS_NS)},
        "The unit of the times; nanoseconds without it.",
    )
    packed: JsonObject = {
        "name": "Content-Encoding",
        "in": "header",
        "schema": {"type": "string", "enum": ["gzip", "identity"]},
    }
    shapes = {"/write": schema("Error"), "/api/v2/write": schema("WriteError")}
    for path, shape in shapes.items():
        wrong = {"anyOf": [shape, schema("LinesTried"), schema("InvalidQuery"), schema("Error")]}
        is_old = path == "/write"
        why = "line 1: no station has this measurement"
        example = {"error": why} if is_old else {"code": "invalid", "message": why, "line": 1}
        answers = {
            "200": said("Only with `dry_run=1`: what would be stored.", schema("LinesTried")),
            "204": {"description": "All are taken; there is no body."},
            "400": said(
                "Some lines are no readings of a station; the good ones are stored.",
                wrong,
                {"line": example},
            ),
            "401": said("The token is missing, or for none of the stations.", wrong),
            "404": said("Only with `dry_run=1`: of no station.", wrong),
            "413": said("Too much at once.", wrong),
            "503": said(
                "There is no room now: send all of it again.", wrong, None, ["Retry-After"]
            ),
        }
        yield Operation(
            method="post",
            path=path,
            name="write_v1" if is_old else "write_v2",
            group="send",
            guard="write",
            parameters=[precision, DRY_RUN, packed],
            body=posted(TEXT_SCHEMA, {"line": line}, TEXT),
            answers=with_refusals(answers, "write"),
            sample=Sample(query="dry_run=1", body=line, body_type=TEXT),
        )
