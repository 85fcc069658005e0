"""The specification of the service as OpenAPI 3.1, for the programs that ask it.

What is the same in every installation is in `openapi.json` beside this module. This module adds
what follows from the stations of the settings and from the declaration of each route: who may use
it, and how it refuses.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import flask10x
from flask10x.config.settings import Settings
from flask10x.web.page import OPEN, POSTING, Route, Routes
from flask10x.web.specification import stations

JsonObject = dict[str, Any]

FIXED = Path(__file__).with_name("openapi.json")
"""Its `x-station` is the operation of each station, `x-schemas` are the schemas of each that differ
in the endpoint only, and its parameter `conditions` is every condition.

The names of stations and fields in examples are empty there. `limit_of_all` is `limit` without an
example, for what is requested as a whole: commands made of the examples do not cut it.
"""
CONDITIONS = {"$ref": "#/components/parameters/conditions"}


def specification(
    settings: Settings,
    declared: Iterable[Routes],
    root: str = "/",
    *,
    write_token: bool = False,
    read_token: bool = False,
) -> JsonObject:
    """The whole document, as JSON has it.

    `root` is where the service is, as its clients see it; `write_token` and `read_token` say
    whether requests need one. Every station of the settings has schemas and a path of its own.
    """
    document: JsonObject = json.loads(FIXED.read_text(encoding="utf-8"))
    document["info"]["version"] = flask10x.__version__
    document["servers"] = [{"url": root}]
    document["paths"] = stations.paths(settings, document.pop("x-station")) | document["paths"]
    stations.fill_in(settings, document)
    # As OpenAPI writes it: `/api/v2/channels/{channel}/data`.
    routes = {
        re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.rule): route
        for each in declared
        for route in each.routes.values()
    }
    conditions = [
        {"$ref": f"#/components/parameters/{name}"}
        for name in stations.conditions(settings.stations)
    ]
    for path, _, operation in operations(document):
        route = routes[path]
        operation["parameters"] = [
            each
            for parameter in operation.get("parameters", ())
            for each in (conditions if parameter == CONDITIONS else [parameter])
        ]
        operation["responses"] = _responses(operation, route)
        operation["security"] = _security(route, write_token=write_token, read_token=read_token)
    return document


def operations(document: JsonObject) -> Iterator[tuple[str, str, JsonObject]]:
    """Path, method and operation object, in the order of the document."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _responses(operation: JsonObject, route: Route) -> JsonObject:
    """Its responses with the refusals that its route may give; own ones of a status stay."""
    names = {
        "400": "InvalidQuery" if operation["parameters"] else "UnknownHost",
        "500": "Unexpected",
    }
    if route.guard not in OPEN:
        names["401"] = "Unauthorized"
    if route.guard in POSTING:
        names |= {"403": "Forbidden", "408": "NotWhole", "413": "TooLarge", "503": "QueuedFailed"}
    elif not route.without_store:
        names["503"] = "Unavailable"
    refusals = {
        status: {"$ref": f"#/components/responses/{name}"} for status, name in names.items()
    }
    return dict(sorted((refusals | operation["responses"]).items()))


def _security(route: Route, *, write_token: bool, read_token: bool) -> list[JsonObject]:
    """Any one of them will do; an empty object: none is needed."""
    # The key in a body is no scheme that OpenAPI knows.
    if route.guard in OPEN or route.guard == "key":
        return [{}]
    if route.guard in POSTING:
        return [*([] if write_token else [{}]), {"write": []}]
    return [*([] if read_token else [{}]), {"read": []}, {"readPassword": []}]
