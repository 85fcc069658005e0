"""The routes of notes and corrections, as the specification has them."""

from collections.abc import Iterator

from flask10x.config.settings import Settings
from flask10x.translation import N_
from flask10x.web.pages.notes.model import KINDS, TEXT_CHARS
from flask10x.web.specification.operation import (
    COUNT,
    CSV,
    FORM,
    HTML,
    TEXT_SCHEMA,
    JsonObject,
    Operation,
    media,
    posted,
    query,
    reference,
    said,
    schema,
    whole_object,
    with_refusals,
)
from flask10x.web.specification.reading_back import TIME_TEXT, page_or

MAYBE_TIME: JsonObject = {"type": ["string", "null"], "format": "date-time"}
MAYBE_TEXT: JsonObject = {"type": ["string", "null"]}
MAYBE_NUMBER: JsonObject = {"type": ["number", "null"]}
WHOLE: JsonObject = {"type": ["integer", "null"]}
WHAT: JsonObject = {"type": "string", "enum": list(KINDS)}


_TIMES = {"from": MAYBE_TIME, "to": MAYBE_TIME, "from_ms": WHOLE, "to_ms": WHOLE}
_ENDS = {"text": TEXT_SCHEMA, "written": MAYBE_TIME, "undone": MAYBE_TIME}
SCHEMAS: dict[str, JsonObject] = {
    "Notes": whole_object(
        notes={"type": "array", "items": schema("Note")},
        corrections={"type": "array", "items": schema("Correction")},
    ),
    "Note": whole_object(id=COUNT, endpoint=MAYBE_TEXT, **_TIMES, **_ENDS),
    "Correction": whole_object(
        id=COUNT,
        endpoint=TEXT_SCHEMA,
        measurement=MAYBE_TEXT,
        **_TIMES,
        kind={"enum": ["hide", "adjust"]},
        gain=MAYBE_NUMBER,
        offset=MAYBE_NUMBER,
        **_ENDS,
    ),
}
MAYBE_TIME_TEXT = rf"{TIME_TEXT}|^\s*$"
FIELDS = {
    "about": TEXT_SCHEMA,
    "from": {"type": "string", "pattern": MAYBE_TIME_TEXT},
    "to": {"type": "string", "pattern": MAYBE_TIME_TEXT},
    "gain": TEXT_SCHEMA,
    "offset": TEXT_SCHEMA,
    "text": {"type": "string", "maxLength": TEXT_CHARS},
}


def operations(_settings: Settings) -> Iterator[Operation]:
    """The page, its forms, and the same for programs."""
    for path, name in (("/api/v1/notes", "notes"), ("/notes.json", "notes_json_file")):
        yield _read(path, name, said(N_("All that is written."), schema("Notes")))
    yield _read(
        "/notes.csv", "notes_csv", said(N_("All that is written."), TEXT_SCHEMA, media_type=CSV)
    )
    wrong = said(N_("A parameter is wrong."), schema("Error"))
    wrong["content"][HTML] = media(TEXT_SCHEMA)
    page = said(N_("A page."), TEXT_SCHEMA, media_type=HTML)
    prefilled = [
        query("what", WHAT, N_("Which form is open.")),
        query("about", TEXT_SCHEMA, N_("What it is about: `data2`, `data2.co2`.")),
        query("from", TEXT_SCHEMA, N_("Its first moment, as the form shows it.")),
        query("to", TEXT_SCHEMA, N_("Its last moment, as the form shows it.")),
    ]
    yield Operation(
        method="get",
        path="/notes",
        name="notes_page",
        group="people",
        parameters=prefilled,
        answers=with_refusals(
            {"200": page, "400": wrong, "503": page_or("503", N_("Not now."))}, "read", reads=True
        ),
    )
    form: JsonObject = {
        "type": "object",
        "required": ["what"],
        "properties": {"what": WHAT} | FIELDS,
    }
    note = {"what": "note", "about": "", "from": "2025-08-24 09:00", "text": "window opened"}
    yield _form("/notes/write", "write_note", form, note, wrong)
    undone = whole_object(what=WHAT, id={"type": "string", "pattern": "^[0-9]{1,18}$"})
    yield _form("/notes/undo", "undo_note", undone, {"what": "note", "id": "1"}, None)


def _read(path: str, name: str, answer: JsonObject) -> Operation:
    return Operation(
        method="get",
        path=path,
        name=name,
        group="read",
        answers=with_refusals({"200": answer}, "read", asks=True, reads=True),
    )


def _form(
    path: str, name: str, content: JsonObject, example: JsonObject, wrong: JsonObject | None
) -> Operation:
    """A form of the page; the answer leads back to it."""
    unavailable = said(N_("Nothing can be written now."), schema("Error"), None, ["Retry-After"])
    unavailable["content"][HTML] = media(TEXT_SCHEMA)
    answers: dict[str, JsonObject] = {
        "303": {"description": N_("It is done; the page shows it.")},
        "403": reference("responses", "Forbidden"),
        "503": unavailable,
    }
    answers |= {"400": wrong} if wrong else {}
    return Operation(
        method="post",
        path=path,
        name=name,
        group="people",
        guard="notes",
        body=posted(content, {"one": example}, FORM),
        answers=with_refusals(answers, "notes", asks=True),
    )
