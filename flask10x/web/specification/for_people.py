"""Pages, programs for boards and this specification itself, as the specification has them."""

from collections.abc import Iterator

from flask10x.config.settings import Settings
from flask10x.translation import N_
from flask10x.web.page import Guard
from flask10x.web.pages.devices.senders import KINDS
from flask10x.web.specification.answers import RESPONSES, TEXT_SCHEMA, with_refusals
from flask10x.web.specification.operation import (
    HTML,
    TEXT,
    JsonObject,
    Operation,
    in_path,
    media,
    reference,
    said,
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
