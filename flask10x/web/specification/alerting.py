"""The routes of alerts, as the specification has them."""

from collections.abc import Iterator
from typing import get_args

from flask10x.alerts.alert import MessageState, Occasion
from flask10x.config.alerts.rules import Kind
from flask10x.config.settings import Settings
from flask10x.translation import N_
from flask10x.web.pages.alerts.asked import MAX_ID, MAX_LIMIT
from flask10x.web.pages.alerts.durations import DURATIONS
from flask10x.web.specification.answers import COUNT, TEXT_SCHEMA, posted, with_refusals
from flask10x.web.specification.operation import (
    FORM,
    HTML,
    JsonObject,
    Operation,
    Sample,
    media,
    query,
    reference,
    said,
    schema,
)

TIME: JsonObject = {"type": "string", "format": "date-time"}
MAYBE_TIME: JsonObject = {"type": ["string", "null"], "format": "date-time"}
MAYBE_TEXT: JsonObject = {"type": ["string", "null"]}
FACTS: JsonObject = {
    "type": "object",
    "additionalProperties": {"type": ["number", "string", "null"]},
}


def _object(**properties: JsonObject) -> JsonObject:
    """All of whose keys are always there."""
    return {"type": "object", "required": list(properties), "properties": properties}


def _list(name: str) -> JsonObject:
    return {"type": "array", "items": schema(name)}


SCHEMAS: dict[str, JsonObject] = {
    "Alerts": _object(
        active=_list("Alert"), past=_list("Alert"), next=MAYBE_TEXT, muted=_list("Mute")
    ),
    "Alert": _object(
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
    "AlertMessage": _object(
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
    "Mute": _object(rule=TEXT_SCHEMA, subject=TEXT_SCHEMA, until=TIME),
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
    yield _form("mute", _object(**fields, **{"for": {"type": "string", "enum": list(DURATIONS)}}))
    yield _form("unmute", _object(**fields))


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
