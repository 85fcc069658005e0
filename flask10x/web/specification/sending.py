"""The routes that take readings, as the specification has them."""

import json
from collections.abc import Iterator

from flask10x.config.settings import Settings
from flask10x.readings.batches import KEY_HEADER, KEY_MAX_BYTES
from flask10x.readings.stations import Station
from flask10x.translation import N_
from flask10x.web.ingest.batch import ITEMS_MAX
from flask10x.web.specification.operation import (
    COUNT,
    REASONS,
    TEXT_SCHEMA,
    JsonObject,
    Operation,
    Sample,
    posted,
    query,
    reference,
    said,
    schema,
    with_refusals,
)
from flask10x.web.specification.station_schemas import body_name, example_body, values_name

DRY_RUN = reference("parameters", "dry_run")
KEY = reference("parameters", "idempotency_key")
PARAMETERS: dict[str, JsonObject] = {
    "dry_run": query(
        "dry_run",
        {"type": "string", "enum": ["0", "1"]},
        N_("`1`: the answer says what would be stored, and nothing is."),
    ),
    "idempotency_key": {
        "name": KEY_HEADER,
        "in": "header",
        "description": N_(
            "By which a second try is known; for an array, of each item with its place."
        ),
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
}
MISSING = {
    "error": "validation failed",
    "details": {"humidity": "above maximum 100"},
}
SEVERAL = {"accepted": 2, "duplicate": 0, "refused": 0}
TWO_RESULTS = SEVERAL | {"results": [{"status": "enqueued"}, {"status": "enqueued"}]}
NO_ROOM: JsonObject = said(
    N_("There is no room for all now: send it again, with the same keys."),
    {"anyOf": [schema("Results"), schema("QueuedFailed")]},
    {"full": {"status": "queued_failed"}},
    ["Retry-After"],
)


def of_stations(settings: Settings) -> Iterator[Operation]:
    """A reading of each station."""
    yield from map(_of_station, settings.stations.all)


def batch(settings: Settings) -> Iterator[Operation]:
    """Many readings of any stations."""
    yield _batch(settings.stations.all)


def _of_station(station: Station) -> Operation:
    example = example_body(station)
    array = {
        "type": "array",
        "minItems": 1,
        "maxItems": ITEMS_MAX,
        "items": {"anyOf": [schema(body_name(station)), schema(f"OwnItem_{station.endpoint}")]},
    }
    tried = {"allOf": [schema("DryRun")]}
    tried["allOf"].append({"properties": {"reading": schema(values_name(station))}})
    first = station.measurements[0].path
    wrong = {"error": "validation failed", "details": {first: "required field missing"}}
    answers = {
        "200": said(
            N_("It is taken; an array has a result for each of its readings."),
            {"anyOf": [schema("Accepted"), tried, schema("Results")]},
            {"taken": {"status": "enqueued"}, "again": {"status": "duplicate"}},
        ),
        "400": said(
            N_("It is wrong and kept among the rejected ones; sending it again does not help."),
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
        guard="station",
        description=_measured(station),
        parameters=[DRY_RUN, KEY],
        body=posted(
            {"oneOf": [schema(body_name(station)), array]},
            {"one": example, "late": [{"data": example, "age_s": 600, "id": "boot 7, reading 41"}]},
        ),
        answers=with_refusals(answers, "station"),
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
            N_("At least one is taken, and none has to come again."),
            schema("Results"),
            {"taken": TWO_RESULTS},
        ),
        "400": said(
            N_("None is taken; or the body is no such array, or a parameter is wrong."),
            {
                "anyOf": [
                    schema(name)
                    for name in ("Results", "ValidationFailed", "InvalidQuery", "Error")
                ]
            },
            {"wrong": {"accepted": 0, "duplicate": 0, "refused": 1, "results": [MISSING]}},
        ),
        "401": _results_or_error(N_("No token is for any of the stations, or there is none.")),
        "404": _results_or_error(N_("None of their stations is there.")),
        "503": NO_ROOM,
    }
    ack = query("ack", {"type": "string", "enum": ["committed"]}, N_("Answer once all are stored."))
    return Operation(
        method="post",
        path="/api/v1/readings",
        name="send_many",
        group="send",
        guard="stations",
        parameters=[DRY_RUN, ack, KEY],
        body=posted({"oneOf": [items, whole]}, {"two": example}),
        answers=with_refusals(answers, "stations"),
        sample=Sample(query="dry_run=1", body=json.dumps(example, ensure_ascii=False)),
    )


def _results_or_error(description: str) -> JsonObject:
    either = {"anyOf": [schema("Results"), schema("Error")]}
    return said(description, either)
