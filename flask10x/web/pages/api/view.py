"""`/openapi.json`, and the same as a page for people."""

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from flask import Response, current_app, render_template, request

from flask10x.config.settings import Settings
from flask10x.translation import N_, Translation
from flask10x.web import context, preferences
from flask10x.web.access import EXTENSION, Access
from flask10x.web.json_text import readable
from flask10x.web.page import Page, Routes, declared
from flask10x.web.specification import state as specified
from flask10x.web.specification.document import operations, specification
from flask10x.web.specification.operation import (
    FORM,
    GROUPS,
    JSON,
    TITLES,
    Group,
    JsonObject,
    Operation,
)

blueprint = Page("api", __name__, text=N_("API"), group="more", operations=specified.api)

# What of a query string has more rows than anybody reads: those of each measurement.
CONDITION = "__"


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownAnswer:
    """One status of an operation."""

    status: str
    description: str
    example: str
    """As JSON; empty: none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownOperation:
    """One operation as the page shows it."""

    anchor: str
    method: str
    path: str
    summary: str
    fields: tuple[tuple[str, str, str, str], ...]
    """Of a station: path, unit, least and greatest value."""
    parameters: tuple[tuple[str, str], ...]
    conditions: bool
    """Whether it also takes conditions on measurements."""
    curl: str
    answers: tuple[ShownAnswer, ...]


@blueprint.get("/openapi.json", without_store=True)
def as_json() -> Response:
    """The specification; it changes with the stations only, so that clients keep it by its ETag."""
    access: Access = current_app.extensions[EXTENSION]
    body = _document(
        context.store_or_waiting().settings,
        declared(),
        request.script_root or "/",
        write_token=access.wants_token_to_post,
        read_token=access.wants_token_to_read,
        notes_token=access.wants_token_for_notes,
    )
    answer = Response(body, mimetype=JSON)
    answer.add_etag()
    answer.headers["Cache-Control"] = "no-cache"
    answer.make_conditional(request)
    return answer


@blueprint.get("/api", without_store=True)
def as_page() -> str:
    """All routes, with commands that can be pasted."""
    t = preferences.texts()
    access: Access = current_app.extensions[EXTENSION]
    settings = context.store_or_waiting().settings
    posts, reads = access.wants_token_to_post, access.wants_token_to_read
    wanted = {"read": reads, "station": posts, "stations": posts, "lines": posts}
    groups: dict[Group, list[ShownOperation]] = {group: [] for group in GROUPS}
    for one in operations(settings, declared()):
        shown = _shown(one, settings, t, with_token=wanted.get(one.guard, False))
        groups[one.group].append(shown)
    return render_template(
        "api/template.html",
        groups=groups,
        titles=TITLES,
        base=_base(),
        with_token=any(wanted.values()),
        fetch=_curl("/openapi.json", [], with_token=reads, more=["-o", "openapi.json"]),
    )


@lru_cache(maxsize=4)
def _document(settings: Settings, routes: tuple[Routes, ...], root: str, **tokens: bool) -> str:
    found = specification(settings, routes, root, **tokens)
    return readable(found) + "\n"


def _shown(
    one: Operation, settings: Settings, t: Translation, *, with_token: bool
) -> ShownOperation:
    components = _components(settings)
    known = [_resolved(parameter, components) for parameter in one.parameters]
    measurements = one.station.measurements if one.station else ()
    return ShownOperation(
        anchor=one.name,
        method=one.method.upper(),
        path=one.path,
        summary=one.summary(t),
        fields=tuple((m.path, m.unit, _limit(m.minimum), _limit(m.maximum)) for m in measurements),
        parameters=tuple(
            (str(found["name"]), _in_language(found["description"], t))
            for found in known
            if CONDITION not in found["name"]
        ),
        conditions=any(CONDITION in found["name"] for found in known),
        curl=_try(one, with_token=with_token),
        answers=tuple(_answers(one, components, t)),
    )


@lru_cache(maxsize=4)
def _components(settings: Settings) -> JsonObject:
    components: JsonObject = specification(settings, declared())["components"]
    return components


def _resolved(found: JsonObject, components: JsonObject) -> JsonObject:
    if "$ref" not in found:
        return found
    kind, name = str(found["$ref"]).split("/")[-2:]
    resolved: JsonObject = components[kind][name]
    return resolved


def _answers(one: Operation, components: JsonObject, t: Translation) -> Iterable[ShownAnswer]:
    for status, given in one.answers.items():
        found = _resolved(given, components)
        yield ShownAnswer(
            status=status,
            description=_in_language(found["description"], t),
            example=_first_example(found),
        )


def _in_language(text: str, t: Translation) -> str:
    """What the specification says, in the reader's language; English if there is no other."""
    return t(text)


def _first_example(answer: JsonObject) -> str:
    """As JSON; empty: there is none."""
    for content in answer.get("content", {}).values():
        for example in content.get("examples", {}).values():
            return json.dumps(example["value"], ensure_ascii=False)
    return ""


def _limit(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


def _base() -> str:
    """Where this reader has found the service."""
    return f"{request.host_url.rstrip('/')}{request.script_root}"


def _try(one: Operation, *, with_token: bool) -> str:
    """A command that leaves nothing behind; empty for a path that has no certain address."""
    if one.group == "people" or ("{" in one.path and one.method == "get"):
        return ""
    sample = one.sample
    path = f"{one.path}?{sample.query}" if sample.query else one.path
    path = path.replace("{channel}", _channel(one))
    if one.method == "get":
        return _curl(path, [], with_token=with_token)
    kind = [] if sample.body_type == FORM else ["-H", f"Content-Type: {sample.body_type}"]
    return _curl(path, [*kind, "--data-binary", sample.body], with_token=with_token)


def _channel(one: Operation) -> str:
    """One that is known, or an example."""
    for parameter in one.parameters:
        if parameter.get("name") == "channel":
            known = parameter["schema"]
            return str(known.get("enum", known.get("examples"))[0])
    return ""


def _curl(path: str, given: list[str], *, with_token: bool, more: Iterable[str] = ()) -> str:
    words = ["curl", "-s", *given, *more, f"{_base()}{path}"]
    line = shlex.join(words)
    # The shell fills the token in, so that no page and no history of commands has it.
    return (
        line.replace("curl -s", 'curl -s -H "Authorization: Bearer $TOKEN"', 1)
        if with_token
        else line
    )
