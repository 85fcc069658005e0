"""The answers and the schemas that many routes have in common: what is refused, and why."""

from collections.abc import Mapping

from flask10x.translation import N_
from flask10x.web.access import OTHER_ORIGIN, TOKEN_HINT, UNKNOWN_HOST
from flask10x.web.limits import RETRY_AFTER_SEC
from flask10x.web.page import OPEN, POSTING, Guard
from flask10x.web.specification.operation import JSON, JsonObject, reference, said, schema

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
