"""The specification of a service, OpenAPI 3.1: made of its settings and of what each route says."""

from collections.abc import Iterable

import flask10x
from flask10x.config.settings import Settings
from flask10x.translation import translation
from flask10x.web.page import OPEN, POSTING, Guard, Routes
from flask10x.web.specification import (
    noting,
    operation,
    protocols,
    reading_back,
    sending,
    state,
    station_schemas,
)
from flask10x.web.specification.operation import GROUPS, TITLES, JsonObject, Operation

OPENAPI = "3.1.0"
DESCRIPTION = (
    "Takes readings of sensors at home, and gives them back.\n\n"
    "Every GET also answers HEAD. JSON is UTF-8. With `?dry_run=1` every route for readings says"
    " what it would store, and stores nothing. A request that is late, cut off or no HTTP gets"
    " 400, 408, 411, 414, 417, 431 or 501 with `error` and `hint`, and the connection is closed."
)
# Each is wanted only where there are tokens; who has a token for posting need not have the other.
SCHEMES: dict[str, JsonObject] = {
    "write": {
        "type": "http",
        "scheme": "bearer",
        "description": (
            "A token of WRITE_TOKENS_FILE. Routes of line protocol also take it behind `Token`, as"
            " the password of HTTP Basic or, at `/write`, as `p` in the query."
        ),
    },
    "read": {"type": "http", "scheme": "bearer", "description": "A token of READ_TOKENS_FILE."},
    "notes": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of NOTES_TOKENS_FILE, which opens what one for reading does.",
    },
    "notesPassword": {
        "type": "http",
        "scheme": "basic",
        "description": "The same as a password, with any name: a browser asks for it.",
    },
    "readPassword": {
        "type": "http",
        "scheme": "basic",
        "description": "The same as a password, with any name: a browser asks for it.",
    },
}


def operations(settings: Settings, declared: Iterable[Routes]) -> list[Operation]:
    """What these routes and pages declare, in the order of the page."""
    every = [one for routes in declared for one in routes.operations(settings)]
    return sorted([*every, state.static()], key=lambda one: GROUPS.index(one.group))


def specification(
    settings: Settings,
    declared: Iterable[Routes],
    root: str = "/",
    *,
    write_token: bool = False,
    read_token: bool = False,
    notes_token: bool = False,
) -> JsonObject:
    """The whole document, as JSON has it.

    `root` is where the service is, as its clients see it; `write_token`, `read_token` and
    `notes_token` say whether requests need one. Every station of the settings has schemas and a
    path of its own.
    """
    paths: dict[str, JsonObject] = {}
    for one in operations(settings, declared):
        paths.setdefault(one.path, {})[one.method] = _operation(
            one, write_token=write_token, read_token=read_token, notes_token=notes_token
        )
    return {
        "openapi": OPENAPI,
        "info": {
            "title": "Flask10X",
            "version": flask10x.__version__,
            "description": DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": root}],
        "tags": [{"name": name, "description": TITLES[name]} for name in GROUPS],
        "paths": paths,
        "components": {
            "schemas": {
                **station_schemas.schemas(settings),
                **sending.SCHEMAS,
                **protocols.schemas(settings),
                **reading_back.SCHEMAS,
                **state.SCHEMAS,
                **state.ALERT_SCHEMAS,
                **noting.SCHEMAS,
                **operation.SCHEMAS,
            },
            "parameters": reading_back.parameters(settings.stations) | sending.PARAMETERS,
            "headers": operation.HEADERS,
            "responses": operation.RESPONSES,
            "securitySchemes": SCHEMES,
        },
    }


def _operation(
    one: Operation, *, write_token: bool, read_token: bool, notes_token: bool
) -> JsonObject:
    found: JsonObject = {
        "operationId": one.name,
        "tags": [one.group],
        "summary": one.summary(translation("en")),
    }
    if one.description:
        found["description"] = one.description
    if one.parameters:
        found["parameters"] = list(one.parameters)
    if one.body is not None:
        found["requestBody"] = one.body
    found["responses"] = dict(one.answers)
    found["security"] = _security(
        one.guard, write_token=write_token, read_token=read_token, notes_token=notes_token
    )
    return found


def _security(
    guard: Guard, *, write_token: bool, read_token: bool, notes_token: bool
) -> list[JsonObject]:
    """Any one of them will do; an empty object: none is needed."""
    if guard == "notes" and notes_token:
        return [{"notes": []}, {"notesPassword": []}]
    posts = guard in POSTING or (guard in ("mute", "notes") and write_token and not read_token)
    # The key in a body is no scheme that OpenAPI knows.
    if guard in OPEN or guard == "key":
        return [{}]
    if posts:
        return ([] if write_token else [{}]) + [{"write": []}]
    return ([] if read_token else [{}]) + [{"read": []}, {"readPassword": []}]
