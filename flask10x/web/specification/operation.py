"""What the specification says of one route and method, and the parts that it is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from flask10x.readings.labels import station_name
from flask10x.readings.stations import Station
from flask10x.translation import N_, Translation
from flask10x.web.page import Guard

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
