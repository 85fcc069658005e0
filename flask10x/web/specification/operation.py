"""What the specification says of one route and method, and the parts that it is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from flask10x.readings.labels import station_name
from flask10x.readings.stations import Station
from flask10x.translation import N_, Translation
from flask10x.web.access import OTHER_ORIGIN, TOKEN_HINT, UNKNOWN_HOST
from flask10x.web.limits import RETRY_AFTER_SEC
from flask10x.web.page import OPEN, POSTING, Guard

JsonObject = dict[str, Any]

SUMMARIES = {
    "alerts": N_("Active and past alerts, and mutes"),
    "alerts_page": N_("Active and past alerts, and who was notified"),
    "ambient_data": N_("Takes a reading as Ambient's clients send it"),
    "ambient_dataarray": N_("Takes many of those"),
    "ambient_urldataarray": N_("Takes many of those as a form"),
    "api_page": N_("This page"),
    "devices": N_("How each board sends"),
    "healthz": N_("Liveness"),
    "history": N_("Readings, page by page, and what is new"),
    "history_csv": N_("Readings as a CSV file"),
    "history_file": N_("Readings as a JSON file"),
    "history_page": N_("The readings with their charts"),
    "home": N_("The home: a tile for each station, with `kiosk=1` for a tablet on the wall"),
    "latest": N_("The newest values of one station or of all, with their age"),
    "metrics": N_("Queue, totals, last receipt and silence of each station"),
    "metrics_details": N_("What was rejected, and the warnings of each field"),
    "metrics_prometheus": N_("Metrics for Prometheus"),
    "mute": N_("Mutes an alert for a while"),
    "notes": N_("Notes and corrections, also undone ones"),
    "notes_csv": N_("Notes and corrections as CSV"),
    "notes_json_file": N_("Notes and corrections as a JSON file"),
    "notes_page": N_("Page: notes and corrections"),
    "program": N_("A program for the board of a station"),
    "readyz": N_("Readiness"),
    "records_csv": N_("The same table as CSV"),
    "records_page": N_("Tables of a month, a year and all years, and the records"),
    "rejected": N_("Rejected readings"),
    "rejected_page": N_("Rejected readings"),
    "send_many": N_("Takes many readings of any stations, late ones too"),
    "send_station": N_("Takes a reading of this station"),
    "series": N_("Readings as lines of a chart"),
    "specification": N_("This page for programs: OpenAPI 3.1"),
    "static": N_("Styles and scripts of the pages"),
    "status_page": N_("Health of the service, with the fix for each problem"),
    "time": N_("The time, for a board's clock"),
    "undo_note": N_("Undo a note or a correction (form)"),
    "unmute": N_("Ends a mute"),
    "write_note": N_("Write a note or a correction (form)"),
    "write_v1": N_("Takes line protocol, as InfluxDB 1 does"),
    "write_v2": N_("Takes line protocol, as InfluxDB 2 does"),
}
"""What each operation is for, in one line."""

Group = Literal["send", "read", "state", "people"]
GROUPS: tuple[Group, ...] = get_args(Group)
TITLES: dict[Group, str] = {
    "send": N_("Send readings"),
    "read": N_("Read"),
    "state": N_("State of the service"),
    "people": N_("Pages for people"),
}
"""What each group is called."""

JSON, HTML, TEXT, CSV = "application/json", "text/html", "text/plain", "text/csv"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """A request that can be tried by hand, and leaves nothing behind."""

    query: str = ""
    body: str = ""
    body_type: str = JSON


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """One method of one route."""

    method: Literal["get", "post"]
    path: str
    """As OpenAPI writes it: `/devices/{name}/{kind}`."""
    name: str
    """By which programs that are made of the specification call it; no other has it."""
    group: Group
    answers: Mapping[str, JsonObject]
    """By status: OpenAPI's response objects, or references to them."""
    guard: Guard = "read"
    text: str = ""
    """Its summary in English, or its key in `SUMMARIES`; empty: the name is the key."""
    station: Station | None = None
    """Whose readings it takes, if those of one."""
    description: str = ""
    """What the text has no room for; Markdown."""
    parameters: Sequence[JsonObject] = ()
    body: JsonObject | None = None
    """OpenAPI's request body object."""
    sample: Sample = field(default_factory=Sample)

    def summary(self, t: Translation) -> str:
        """What it is for, in one line."""
        key = self.text or self.name
        text = t(SUMMARIES.get(key, key))
        return f"{text}: {station_name(self.station, t)}" if self.station else text


def reference(kind: str, name: str) -> JsonObject:
    """To a component of the specification."""
    return {"$ref": f"#/components/{kind}/{name}"}


def schema(name: str) -> JsonObject:
    """A reference to a schema."""
    return reference("schemas", name)


def whole_object(**properties: JsonObject) -> JsonObject:
    """The schema of an object that always has all of these keys."""
    return {"type": "object", "required": list(properties), "properties": properties}


def said(
    description: str,
    content: JsonObject | None = None,
    examples: Mapping[str, object] | None = None,
    headers: Sequence[str] = (),
    media_type: str = JSON,
) -> JsonObject:
    """A response object: a body of this schema, and headers that are components."""
    found: JsonObject = {"description": description}
    if headers:
        found["headers"] = {name: reference("headers", name) for name in headers}
    if content is not None:
        found["content"] = {media_type: media(content, examples)}
    return found


def media(content: JsonObject, examples: Mapping[str, object] | None = None) -> JsonObject:
    """A media type object; the examples have names."""
    found: JsonObject = {"schema": content}
    if examples:
        found["examples"] = {name: {"value": value} for name, value in examples.items()}
    return found


def query(name: str, content: JsonObject, description: str, **more: object) -> JsonObject:
    """A parameter of the query string."""
    return {"name": name, "in": "query", "description": description, "schema": content, **more}


def in_path(name: str, content: JsonObject, description: str) -> JsonObject:
    """A part of the path."""
    found = query(name, content, description, required=True)
    return found | {"in": "path"}


TEXT_SCHEMA: JsonObject = {"type": "string"}
REASONS: JsonObject = {
    "type": "object",
    "description": "The path of each bad field, or the name of a parameter, to the reason.",
    "additionalProperties": TEXT_SCHEMA,
}
COUNT: JsonObject = {"type": "integer", "minimum": 0}


def _error(errors: list[str], **more: JsonObject) -> JsonObject:
    kind = {"type": "string", "enum": errors}
    return {"type": "object", "required": ["error"], "properties": {"error": kind, **more}}


SCHEMAS: dict[str, JsonObject] = {
    "Error": {
        "type": "object",
        "required": ["error"],
        "properties": {"error": TEXT_SCHEMA, "hint": TEXT_SCHEMA, "reason": TEXT_SCHEMA},
    },
    "InvalidQuery": _error(["invalid query"], details=REASONS) | {"required": ["error", "details"]},
    "ValidationFailed": {
        "type": "object",
        "required": ["error", "details"],
        "properties": {
            "error": {"type": "string", "enum": ["validation failed", "refused by the database"]},
            "details": REASONS,
            "hint": TEXT_SCHEMA,
        },
    },
    "TooLarge": _error(
        ["body too large"], limit_bytes=COUNT, limit_fields=COUNT, limit_readings=COUNT
    ),
    "QueuedFailed": {
        "type": "object",
        "required": ["status"],
        "properties": {
            "status": {"type": "string", "enum": ["queued_failed"]},
            "detail": TEXT_SCHEMA,
        },
    },
    "Unavailable": _error(
        ["database unavailable", "the charts are being prepared", "too many downloads at once"],
        reason=TEXT_SCHEMA,
        rollups_behind={
            "type": "object",
            "required": ["done", "of"],
            "properties": {"done": COUNT, "of": COUNT},
        },
    ),
}
HEADERS: dict[str, JsonObject] = {
    "Retry-After": {
        "description": "After how many seconds to ask again.",
        "schema": {"type": "integer", "examples": [RETRY_AFTER_SEC]},
    },
    "Link": {
        "description": 'The neighbouring pages, `rel="next"` and `rel="prev"` (RFC 8288).',
        "schema": TEXT_SCHEMA,
    },
    "X-Last-Id": {
        "description": "How far the answer has seen what is stored: the next `since`.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "X-Searched-To": {
        "description": "On a page that is short because its search ended early: how far it came.",
        "schema": TEXT_SCHEMA,
    },
    "Content-Disposition": {"description": "The name of the file.", "schema": TEXT_SCHEMA},
    "ETag": {"description": "For `If-None-Match`.", "schema": TEXT_SCHEMA},
    "WWW-Authenticate": {"description": "The ways to send a token.", "schema": TEXT_SCHEMA},
}
HOST_REFUSED = {"error": UNKNOWN_HOST.error, "hint": UNKNOWN_HOST.hint}
ORIGIN_REFUSED = {"error": OTHER_ORIGIN.error, "hint": OTHER_ORIGIN.hint}
TOKEN_REFUSED = {"error": "unauthorized", "hint": TOKEN_HINT}
WRONG_QUERY = {
    "error": "invalid query",
    "details": {"limt": "unknown parameter (did you mean limit?)"},
}
RESPONSES: dict[str, JsonObject] = {
    "UnknownHost": said(
        N_("The name in the address is none that is served."),
        schema("Error"),
        {"host": HOST_REFUSED},
    ),
    "InvalidQuery": said(
        N_(
            "A parameter is wrong (each is named), or the name in the address is none "
            "that is served."
        ),
        {"anyOf": [schema("InvalidQuery"), schema("Error")]},
        {"parameter": WRONG_QUERY, "host": HOST_REFUSED},
    ),
    "Unauthorized": said(
        N_("The token is missing or wrong."),
        schema("Error"),
        {"token": TOKEN_REFUSED},
        ["WWW-Authenticate"],
    ),
    "Forbidden": said(
        N_("A page of another origin posted."),
        schema("Error"),
        {"origin": ORIGIN_REFUSED},
    ),
    "NotFound": said(
        N_("There is none of this name."), schema("Error"), {"name": {"error": "not found"}}
    ),
    "NotWhole": said(
        N_("The request did not become whole in time; nothing of it is kept."),
        schema("Error"),
        {
            "late": {
                "error": "request timeout",
                "hint": "within 10 s came 12 of the 52 bytes of Content-Length",
            }
        },
    ),
    "TooLarge": said(
        N_("The body is too large; the limit is named."),
        schema("TooLarge"),
        {"bytes": {"error": "body too large", "limit_bytes": 65_536}},
    ),
    "Unexpected": said(
        N_("A fault of the program; its log has more."),
        schema("Error"),
        {"fault": {"error": "internal server error"}},
    ),
    "QueuedFailed": said(
        N_("There is no room now: send it again, with the same key."),
        schema("QueuedFailed"),
        {"full": {"status": "queued_failed"}},
        ["Retry-After"],
    ),
    "Unavailable": said(
        N_("The database cannot be read now: ask again."),
        schema("Unavailable"),
        {"database": {"error": "database unavailable"}},
        ["Retry-After"],
    ),
}


def with_refusals(
    answers: Mapping[str, JsonObject], guard: Guard, *, asks: bool = False, reads: bool = False
) -> dict[str, JsonObject]:
    """The answers with those that every such route may give; own ones of a status stay.

    `asks`: its query string is checked. `reads`: it reads the database.
    """
    common = {"400": "InvalidQuery" if asks else "UnknownHost", "500": "Unexpected"}
    if guard not in OPEN:
        common["401"] = "Unauthorized"
    if guard in POSTING:
        common |= {"403": "Forbidden", "408": "NotWhole", "413": "TooLarge", "503": "QueuedFailed"}
    elif reads:
        common["503"] = "Unavailable"
    found = {status: reference("responses", name) for status, name in common.items()}
    return dict(sorted((found | dict(answers)).items()))


def posted(
    content: JsonObject, examples: Mapping[str, object], media_type: str = JSON
) -> JsonObject:
    """A request body object."""
    named = {name: {"value": value} for name, value in examples.items()}
    return {"required": True, "content": {media_type: {"schema": content, "examples": named}}}
