"""The routes that say how things are now, of alerts and pages, as the specification has them."""

from collections.abc import Iterator
from typing import Literal, get_args

from flask10x.alerts.alert import MessageState, Occasion
from flask10x.config.alerts.rules import Kind
from flask10x.config.settings import Settings
from flask10x.runtime import periodic_tasks
from flask10x.translation import N_
from flask10x.web.page import Guard
from flask10x.web.pages.alerts.model import DURATIONS, MAX_ID, MAX_LIMIT
from flask10x.web.pages.devices.model import KINDS
from flask10x.web.specification.operation import (
    COUNT,
    FORM,
    HTML,
    RESPONSES,
    TEXT,
    TEXT_SCHEMA,
    JsonObject,
    Operation,
    Sample,
    in_path,
    media,
    posted,
    query,
    reference,
    said,
    schema,
    whole_object,
    with_refusals,
)

TextFormat = Literal["text", "openmetrics"]
# https://prometheus.io/docs/instrumenting/content_negotiation/. Without a version in what is asked
# prometheus_client writes 0.0.4 of the one, 1.0.0 of the other: those that every scraper reads.
MEDIA_TYPES: dict[TextFormat, str] = {
    "text": "text/plain",
    "openmetrics": "application/openmetrics-text",
}
TEXT_OR_NULL: JsonObject = {"type": ["string", "null"]}
WHOLE_OR_NULL: JsonObject = {"type": ["integer", "null"]}
SECONDS = WHOLE_OR_NULL
TIME_EXAMPLE = {
    "time": "2025-08-24T00:00:12Z",
    "epoch_s": 1755993612,
    "epoch_ms": 1755993612345,
    "local": "2025-08-24 09:00:12",
    "utc_offset_s": 32400,
}

FOR_PROMETHEUS: JsonObject = {
    name: media(TEXT_SCHEMA) for name in sorted(MEDIA_TYPES.values(), reverse=True)
}


def _with(required: JsonObject, **optional: JsonObject) -> JsonObject:
    """The same, with what there only is where several hosts may share a database."""
    return required | {"properties": required["properties"] | optional}


def _by_name(value: JsonObject) -> JsonObject:
    return {"type": "object", "additionalProperties": value}


SCHEMAS: dict[str, JsonObject] = {
    "Time": whole_object(
        time=TEXT_SCHEMA,
        epoch_s={"type": "integer"},
        epoch_ms={"type": "integer"},
        local=TEXT_SCHEMA,
        utc_offset_s={"type": "integer"},
    ),
    "Readiness": {
        "type": "object",
        "required": ["status", "queue_oldest_seconds"],
        "properties": {
            "status": {"enum": ["ready", "not ready"]},
            "reasons": {"type": "array", "items": TEXT_SCHEMA},
            "queue_oldest_seconds": {"type": ["number", "null"]},
            "failing": {"type": "array", "items": {"enum": list(periodic_tasks.NAMES)}},
            "database": schema("Server"),
            "warnings": {"type": "array", "items": TEXT_SCHEMA},
        },
    },
    "Server": {
        "type": "object",
        "required": ["engine"],
        "properties": {
            "engine": {"enum": ["postgresql"]},
            "reason": TEXT_SCHEMA,
            "host": TEXT_OR_NULL,
            "port": WHOLE_OR_NULL,
            "version": TEXT_SCHEMA,
            "synchronous_standbys": WHOLE_OR_NULL,
            "standbys": {"type": "array", "items": schema("Standby")},
        },
    },
    "Standby": whole_object(
        name=TEXT_OR_NULL,
        state=TEXT_OR_NULL,
        sync=TEXT_OR_NULL,
        lag_seconds={"type": ["number", "null"]},
        lag_bytes=WHOLE_OR_NULL,
    ),
    "Metrics": _with(
        whole_object(
            queue_length=COUNT,
            queue_warn_threshold=COUNT,
            write_success_total=COUNT,
            write_error_total=COUNT,
            last_received=_by_name({"type": ["string", "null"]}),
            inactivity_seconds=_by_name(SECONDS),
            inactivity_warn_threshold_sec=COUNT,
        ),
        host=TEXT_SCHEMA,
    ),
    "Details": _with(
        whole_object(
            ack={"enum": ["enqueued", "committed"]},
            failing_seconds=_by_name(SECONDS),
            rejected=whole_object(kept_total=COUNT, evicted_total=COUNT, dropped_total=COUNT),
            rollups=whole_object(done=COUNT, of=COUNT),
            warnings=_by_name(_by_name(COUNT)),
        ),
        host=TEXT_SCHEMA,
        leases=_by_name(TEXT_SCHEMA),
    ),
}


def latest(settings: Settings) -> Iterator[Operation]:
    """The newest readings."""
    yield _latest(list(settings.stations.by_endpoint))


def time(_settings: Settings) -> Iterator[Operation]:
    """The time, for a board's clock."""
    yield _open("/api/v1/time", "time", schema("Time"), TIME_EXAMPLE)


def probes(settings: Settings) -> Iterator[Operation]:
    """Whether it answers, whether it can store, and its numbers."""
    endpoints = list(settings.stations.by_endpoint)
    health = whole_object(status={"enum": ["ok"]})
    yield _open("/healthz", "healthz", health, {"status": "ok"}, guard="always")
    ready = {"status": "ready", "queue_oldest_seconds": None}
    not_ready = {
        "status": "not ready",
        "reasons": ["the queue is full: 5000 readings wait"],
        "queue_oldest_seconds": 7.123,
    }
    yield Operation(
        method="get",
        path="/readyz",
        name="readyz",
        group="state",
        guard="open",
        answers=with_refusals(
            {
                "200": said(N_("Readings can be stored."), schema("Readiness"), {"ready": ready}),
                "503": said(
                    N_("They cannot; each reason."), schema("Readiness"), {"full": not_ready}
                ),
            },
            "open",
        ),
    )
    yield _numbers("/metrics", "metrics", "Metrics", _metrics(endpoints), FOR_PROMETHEUS)
    yield _numbers("/metrics/details", "metrics_details", "Details", None)


def _latest(endpoints: list[str]) -> Operation:
    every = whole_object(stations=_by_name(schema("Latest")))
    known = ", ".join(endpoints)
    hint = f"unknown station (known: {known})"
    answers = {
        "200": said(
            N_("The object of the station; without `station` all of them by their names."),
            {"anyOf": [schema("Latest"), every]},
        ),
        "404": said(
            N_("There is no such station."),
            schema("Error"),
            {"name": {"error": "not found", "hint": hint}},
        ),
    }
    station = query("station", {"type": "string", "enum": endpoints}, N_("Only this one."))
    raw = query("raw", {"enum": ["1"], "type": "string"}, N_("As stored, without corrections."))
    return Operation(
        method="get",
        path="/api/v1/latest",
        name="latest",
        group="read",
        parameters=[station, raw],
        answers=with_refusals(answers, "read", asks=True, reads=True),
        sample=Sample(query=f"station={endpoints[0]}"),
    )


def _open(
    path: str, name: str, content: JsonObject, example: JsonObject, guard: Guard = "open"
) -> Operation:
    return Operation(
        method="get",
        path=path,
        name=name,
        group="state",
        guard=guard,
        answers=with_refusals({"200": said(N_("Always."), content, {"one": example})}, "open"),
    )


def prometheus(_settings: Settings) -> Iterator[Operation]:
    """Always 200: what can't be read is left out."""
    answer = {"description": N_("The numbers."), "content": FOR_PROMETHEUS}
    yield Operation(
        method="get",
        path="/metrics/prometheus",
        name="metrics_prometheus",
        group="state",
        answers=with_refusals({"200": answer}, "read"),
    )


def _numbers(
    path: str,
    name: str,
    content: str,
    example: JsonObject | None,
    others: JsonObject | None = None,
) -> Operation:
    """`others` is what it may be besides JSON, by `Accept`."""
    answer = said(N_("The numbers."), schema(content), {"one": example} if example else None)
    answer["content"] |= others or {}
    return Operation(
        method="get",
        path=path,
        name=name,
        group="state",
        answers=with_refusals({"200": answer}, "read", reads=True),
    )


def _metrics(endpoints: list[str]) -> JsonObject:
    return {
        "queue_length": 0,
        "queue_warn_threshold": 4000,
        "write_success_total": 20_000,
        "write_error_total": 0,
        "last_received": dict.fromkeys(endpoints, "2025-08-24 09:00:12"),
        "inactivity_seconds": dict.fromkeys(endpoints, 12),
        "inactivity_warn_threshold_sec": 120,
    }


TIME: JsonObject = {"type": "string", "format": "date-time"}
MAYBE_TIME: JsonObject = {"type": ["string", "null"], "format": "date-time"}
MAYBE_TEXT: JsonObject = {"type": ["string", "null"]}
FACTS: JsonObject = {
    "type": "object",
    "additionalProperties": {"type": ["number", "string", "null"]},
}


def _list(name: str) -> JsonObject:
    return {"type": "array", "items": schema(name)}


ALERT_SCHEMAS: dict[str, JsonObject] = {
    "Alerts": whole_object(
        active=_list("Alert"), past=_list("Alert"), next=MAYBE_TEXT, muted=_list("Mute")
    ),
    "Alert": whole_object(
        id=COUNT,
        rule=TEXT_SCHEMA,
        kind={"enum": list(get_args(Kind))},
        subject=TEXT_SCHEMA,
        station=MAYBE_TEXT,
        measurement=MAYBE_TEXT,
        title=TEXT_SCHEMA,
        since=TIME,
        entered=TIME,
        ended=MAYBE_TIME,
        how_ended=MAYBE_TEXT,
        facts=FACTS,
        end_facts=FACTS,
        muted_until=MAYBE_TIME,
        messages=_list("AlertMessage"),
    ),
    "AlertMessage": whole_object(
        id=COUNT,
        occasion={"enum": list(get_args(Occasion))},
        way=TEXT_SCHEMA,
        state={"enum": list(get_args(MessageState))},
        tries=COUNT,
        trouble=MAYBE_TEXT,
        created=TIME,
        due=MAYBE_TIME,
        settled=MAYBE_TIME,
    ),
    "Mute": whole_object(rule=TEXT_SCHEMA, subject=TEXT_SCHEMA, until=TIME),
}
UNREADABLE = {"error": "alerts unavailable", "reason": "database disk image is malformed"}
PARAMETERS = [
    query(
        "before", {"type": "integer", "minimum": 1, "maximum": MAX_ID}, N_("The id of an alert.")
    ),
    query(
        "limit", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}, N_("How many past ones.")
    ),
]


def operations(_settings: Settings) -> Iterator[Operation]:
    """The page, its forms, and the same for programs."""
    unavailable = said(
        N_("The state of the alerts cannot be read."),
        schema("Error"),
        {"file": UNREADABLE},
        ["Retry-After"],
    )
    none: JsonObject = {"active": [], "past": [], "next": None, "muted": []}
    answer = said(
        N_("Active ones, a page of past ones, and mutes."),
        schema("Alerts"),
        {"none": none},
        ["Link"],
    )
    yield Operation(
        method="get",
        path="/api/v1/alerts",
        name="alerts",
        group="read",
        parameters=PARAMETERS,
        answers=with_refusals({"200": answer, "503": unavailable}, "read", asks=True),
        sample=Sample(query="limit=10"),
    )
    page = said(N_("A page."), TEXT_SCHEMA, media_type=HTML)
    wrong = said(N_("A parameter is wrong."), schema("Error"))
    wrong["content"][HTML] = media(TEXT_SCHEMA)
    yield Operation(
        method="get",
        path="/alerts",
        name="alerts_page",
        group="people",
        parameters=PARAMETERS,
        answers=with_refusals({"200": page, "400": wrong}, "read"),
    )
    fields = {"rule": TEXT_SCHEMA, "subject": TEXT_SCHEMA}
    yield _form(
        "mute", whole_object(**fields, **{"for": {"type": "string", "enum": list(DURATIONS)}})
    )
    yield _form("unmute", whole_object(**fields))


def _form(name: str, content: JsonObject) -> Operation:
    """A form of the page; the answer leads back to it."""
    unavailable = said(
        N_("The state of the alerts cannot be written."), schema("Error"), None, ["Retry-After"]
    )
    unavailable["content"][HTML] = media(TEXT_SCHEMA)
    answers = {
        "303": {"description": N_("It is done; the page of alerts shows it.")},
        "403": reference("responses", "Forbidden"),
        "503": unavailable,
    }
    example = {"rule": "silence", "subject": "data3"} | ({"for": "1d"} if name == "mute" else {})
    return Operation(
        method="post",
        path=f"/alerts/{name}",
        name=name,
        group="people",
        guard="mute",
        body=posted(content, {"one": example}, FORM),
        answers=with_refusals(answers, "mute", asks=True),
    )


def home(_settings: Settings) -> Iterator[Operation]:
    """The home of the house."""
    yield page("/", "home", guard="open")


def devices(settings: Settings) -> Iterator[Operation]:
    """The page of the boards, and the programs for them."""
    yield page("/devices", "devices", reads=True)
    yield _program(list(settings.stations.by_endpoint))


def status(_settings: Settings) -> Iterator[Operation]:
    """How it is going."""
    yield page("/status", "status_page")


def api(_settings: Settings) -> Iterator[Operation]:
    """The specification itself."""
    yield page("/api", "api_page")
    yield Operation(
        method="get",
        path="/openapi.json",
        name="specification",
        group="state",
        answers=with_refusals(
            {
                "200": said(N_("OpenAPI 3.1."), {"type": "object"}, None, ["ETag"]),
                "304": {"description": N_("It is still the one of `If-None-Match`.")},
            },
            "read",
        ),
    )


def page(path: str, name: str, *, guard: Guard = "read", reads: bool = False) -> Operation:
    """A page for people that asks no parameters."""
    answer = said(N_("A page."), TEXT_SCHEMA, media_type=HTML)
    return Operation(
        method="get",
        path=path,
        name=name,
        group="people",
        guard=guard,
        answers=with_refusals({"200": answer} | (_unavailable() if reads else {}), guard),
    )


def _unavailable() -> dict[str, JsonObject]:
    """While the database cannot be read a page is one, too."""
    found: JsonObject = {**RESPONSES["Unavailable"]}
    found["content"] = {**found["content"], HTML: media(TEXT_SCHEMA)}
    return {"503": found}


def _program(endpoints: list[str]) -> Operation:
    answers = {
        "200": said(N_("The program."), TEXT_SCHEMA, None, ["Content-Disposition"], TEXT),
        "404": reference("responses", "NotFound"),
        "503": reference("responses", "Unavailable"),
    }
    return Operation(
        method="get",
        path="/devices/{name}/{kind}",
        name="program",
        group="people",
        parameters=[
            in_path("name", {"type": "string", "enum": endpoints}, N_("A station.")),
            in_path("kind", {"type": "string", "enum": list(KINDS)}, N_("Which board it is for.")),
        ],
        answers=with_refusals(answers, "read"),
    )


def static() -> Operation:
    """Styles, scripts and images."""
    anything = {"description": N_("The file."), "content": {"*/*": {}}}
    return Operation(
        method="get",
        path="/static/{filename}",
        name="static",
        group="people",
        guard="open",
        parameters=[
            in_path("filename", {"type": "string", "examples": ["flask10x.css"]}, N_("Its path."))
        ],
        answers=with_refusals(
            {
                "200": anything,
                "206": anything,
                "304": {"description": N_("It is still the same.")},
                "404": reference("responses", "NotFound"),
                "416": {"description": N_("There is no such range of it.")},
            },
            "open",
        ),
    )
