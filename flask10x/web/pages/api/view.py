"""`/openapi.json`, and the same as a page for people."""

import json
import shlex
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from flask import Response, render_template, request

from flask10x.config.settings import Settings
from flask10x.readings.labels import station_name
from flask10x.readings.numbers import NO_VALUE, separated
from flask10x.translation import N_, Translation
from flask10x.web import access, context, preferences
from flask10x.web.json_text import readable
from flask10x.web.page import Page, Routes, declared
from flask10x.web.specification.document import JsonObject, operations, specification

blueprint = Page("api", __name__, text=N_("API"), place="inside")

FORM = "application/x-www-form-urlencoded"
# What of a query string has more rows than anybody reads: those of each measurement.
CONDITION = "__"


@dataclass(frozen=True, slots=True)
class Sample:
    """A request that can be tried by hand, and leaves nothing behind."""

    address: str
    """The path with its query string."""
    body: str | None
    """None: it has none."""
    media_type: str


@blueprint.get("/openapi.json", without_store=True)
def as_json() -> Response:
    """The specification; it changes with the stations only, so that clients keep it by its ETag."""
    answer = Response(_specification()[1], mimetype="application/json")
    answer.add_etag()
    answer.headers["Cache-Control"] = "no-cache"
    answer.make_conditional(request)
    return answer


@blueprint.get("/api", without_store=True)
def as_page() -> str:
    """All operations, with commands that can be pasted."""
    (document, _), t = _specification(), preferences.texts()
    checks = access.current()
    groups: dict[str, list[JsonObject]] = {tag["name"]: [] for tag in document["tags"]}
    for path, method, operation in operations(document):
        shown = _shown(path, resolved(operation, document), t)
        groups[operation["tags"][0]].append(shown | {"path": path, "method": method.upper()})
    return render_template(
        "api/template.html",
        groups=groups,
        titles={tag["name"]: tag["description"] for tag in document["tags"]},
        limit=_limit,
        first_example=_first_example,
        base=_base(),
        with_token=checks.wants_token_to_read or checks.wants_token_to_post,
        fetch=_curl("/openapi.json", ["-o", "openapi.json"], with_token=checks.wants_token_to_read),
    )


def _specification() -> tuple[JsonObject, str]:
    """Return the specification for this request, and its text."""
    checks, settings = access.current(), context.store_or_waiting().settings
    tokens = {"write": checks.wants_token_to_post, "read": checks.wants_token_to_read}
    needed = frozenset(name for name, is_needed in tokens.items() if is_needed)
    return _made(settings, declared(), request.script_root or "/", needed)


@lru_cache(maxsize=4)
def _made(
    settings: Settings, routes: tuple[Routes, ...], root: str, tokens: frozenset[str]
) -> tuple[JsonObject, str]:
    document = specification(
        settings, routes, root, write_token="write" in tokens, read_token="read" in tokens
    )
    return document, readable(document) + "\n"


def resolved(operation: JsonObject, document: JsonObject) -> JsonObject:
    """Return the operation with its parameters and responses in the place of references to them."""

    def target(part: JsonObject) -> Any:
        if "$ref" not in part:
            return part
        kind, name = str(part["$ref"]).split("/")[-2:]
        return document["components"][kind][name]

    return operation | {
        "parameters": [target(parameter) for parameter in operation["parameters"]],
        "responses": {s: target(answer) for s, answer in operation["responses"].items()},
    }


def _shown(path: str, operation: JsonObject, t: Translation) -> JsonObject:
    """An operation as the page shows it: the parameters without the conditions on measurements."""
    station = context.store_or_waiting().settings.stations.by_endpoint.get(path[1:])
    # The specification is in English, so the label of the station in it is, too.
    summary = t(operation["summary"].partition(":")[0] if station else operation["summary"])
    parameters = [each for each in operation["parameters"] if CONDITION not in each["name"]]
    return operation | {
        "summary": f"{summary}: {station_name(station, t)}" if station else summary,
        "station": station,
        "parameters": parameters,
        "has_conditions": len(parameters) < len(operation["parameters"]),
        "curl": _command_of(path, operation),
    }


def _first_example(answer: JsonObject) -> str:
    """As JSON; empty: there is none."""
    for content in answer.get("content", {}).values():
        for example in content.get("examples", {}).values():
            return json.dumps(example["value"], ensure_ascii=False)
    return ""


def _limit(value: float | None) -> str:
    return NO_VALUE if value is None else separated(f"{value:g}")


def sample_of(path: str, operation: JsonObject) -> Sample:
    """A request of this resolved operation, with the examples of its parameters and of its body."""
    pairs = []
    for parameter in operation["parameters"]:
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", str(parameter["example"]))
        elif parameter["in"] == "query" and "example" in parameter:
            pairs.append(f"{parameter['name']}={parameter['example']}")
    address = "?".join([path, *(["&".join(pairs)] if pairs else [])])
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        value = content["examples"]["one"]["value"]
        if media_type == FORM:
            return Sample(address, urlencode(value), media_type)
        body = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return Sample(address, body, media_type)
    return Sample(address, None, "")


def _base() -> str:
    """Return where this reader has found the service."""
    return f"{request.host_url.rstrip('/')}{request.script_root}"


def _command_of(path: str, operation: JsonObject) -> str:
    """Return the command of a resolved operation; of an endless answer the first two events."""
    with_token = {} not in operation["security"]
    # `/ping` has nothing but a 204.
    answer = operation["responses"].get("200", {})
    if "text/event-stream" in answer.get("content", {}):
        return f"{_curl(path, ['-N'], with_token=with_token)} | head -n 4"
    sample, options = sample_of(path, operation), list[str]()
    if sample.body is not None:
        kind = [] if sample.media_type == FORM else ["-H", f"Content-Type: {sample.media_type}"]
        options = [*kind, "--data-binary", sample.body]
    return _curl(sample.address, options, with_token=with_token)


def _curl(address: str, options: list[str], *, with_token: bool) -> str:
    line = shlex.join(["curl", "-s", *options, f"{_base()}{address}"])
    if not with_token:
        return line
    # The shell fills the token in, so that no page and no history of commands has it.
    return line.replace("curl -s", 'curl -s -H "Authorization: Bearer $TOKEN"', 1)
