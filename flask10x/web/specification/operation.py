"""What the specification says of one route and method, and the parts that it is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from flask10x.readings.stations import Station
from flask10x.web.page import Guard
from flask10x.web.texts.catalog import Texts

JsonObject = dict[str, Any]

Group = Literal["send", "read", "state", "people"]
GROUPS: tuple[Group, ...] = get_args(Group)

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
    """The end of the key of its text, `operation.…`; empty: the name."""
    station: Station | None = None
    """Whose readings it takes, if those of one."""
    description: str = ""
    """What the text has no room for; Markdown."""
    parameters: Sequence[JsonObject] = ()
    body: JsonObject | None = None
    """OpenAPI's request body object."""
    sample: Sample = field(default_factory=Sample)

    def summary(self, t: Texts) -> str:
        """What it is for, in one line."""
        text = t(f"operation.{self.text or self.name}")
        return f"{text}: {t.station(self.station)}" if self.station else text


def reference(kind: str, name: str) -> JsonObject:
    """To a component of the specification."""
    return {"$ref": f"#/components/{kind}/{name}"}


def schema(name: str) -> JsonObject:
    """A reference to a schema."""
    return reference("schemas", name)


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
