"""The page `/notes`, its forms, and the same as JSON and CSV.

Who may read may write, unless there are tokens for notes (`web/access.py`). The forms need no
JavaScript; a page of another origin can't send them, as with every POST.
"""

import logging

from flask import Response, current_app, redirect, render_template, request, url_for
from sqlalchemy import Connection
from werkzeug.wrappers import Response as AnyResponse

from flask10x.errors import (
    CommitNotReplicated,
    DatabaseDamaged,
    DatabaseSuspected,
    LockTimeout,
    QueryError,
    nearest,
)
from flask10x.history import annotations
from flask10x.history.annotations import Correction, WrittenNote
from flask10x.readings.reasons import Reason
from flask10x.system import clock
from flask10x.translation import N_, Translation
from flask10x.web import access, context, preferences, read_errors
from flask10x.web.captions import problems
from flask10x.web.files import download
from flask10x.web.json_text import readable
from flask10x.web.limits import RETRY_AFTER_SEC
from flask10x.web.page import Page
from flask10x.web.pages.notes.model import (
    FIELDS,
    KINDS,
    ONE_OF_KINDS,
    NotesForm,
    NotesReader,
)
from flask10x.web.pages.notes.objects import correction_object, csv_text, note_object

log = logging.getLogger(__name__)
blueprint = Page(
    "notes", __name__, text=N_("Notes"), group="house", icon="M5 3h14v18H5zm4 5h6m-6 4h6m-6 4h3"
)

# Another process writes for too long, or nothing may be written any more.
UNWRITABLE = (LockTimeout, DatabaseDamaged, DatabaseSuspected)
# What a link to the page may fill in.
PREFILLED = ("what", "about", "from", "to")


@blueprint.get("/notes")
def as_page() -> tuple[str, int]:
    """The forms and all that is written; 400 when the query is wrong."""
    unknown = [name for name in request.args if name not in PREFILLED]
    errors: dict[str, str] = {name: _unknown(name) for name in unknown}
    if request.args.get("what") and request.args["what"] not in KINDS:
        errors["what"] = ONE_OF_KINDS
    return _rendered({name: request.args.get(name, "") for name in FIELDS}, errors)


@blueprint.post("/notes/write", guard="notes")
def add() -> AnyResponse | tuple[str, int]:
    """Write the note or the correction of a form; then the page, by GET.

    What was written last is not written again. 400 with the form as it was sent when something is
    wrong with it. Raises what writing raises.
    """
    store, now_ms = context.store(), clock.now_ms()
    try:
        written = NotesForm(request.form, store.settings, now_ms).read()
        with store.database.commit() as connection:
            is_new = annotations.last_same(connection, written) is None
            number = _add(connection, written) if is_new else 0
    except QueryError as error:
        return _rendered(_sent(), error.details)
    if is_new:
        log.info("%s %d written, by %s", _WORDS[_kind(written)], number, access.sender())
    return redirect(url_for("notes.as_page", _anchor="written"), 303)


@blueprint.post("/notes/undo", guard="notes")
def undo() -> AnyResponse:
    """Take back `what` of the number `id`; then the page, by GET, also if it counts no more.

    Raises QueryError, and what writing raises.
    """
    what, number = request.form.get("what", ""), request.form.get("id", "")
    if what not in KINDS:
        raise QueryError({"what": ONE_OF_KINDS})
    if not (number.isascii() and number.isdecimal() and len(number) <= 18):  # noqa: PLR2004
        raise QueryError({"id": "the number of one of them is needed"})
    with context.store().database.commit() as connection:
        is_undone = annotations.undo(connection, what, int(number), clock.now_ms())
    if is_undone:
        log.info("%s %s taken back, by %s", _WORDS[what], number, access.sender())
    return redirect(url_for("notes.as_page", _anchor="written"), 303)


@blueprint.get("/api/v1/notes")
def as_json() -> Response:
    """All that is written, also what was taken back."""
    _no_parameters()
    return Response(_json(), mimetype="application/json")


@blueprint.get("/notes.json")
def as_json_file() -> Response:
    """The same as a file to keep."""
    _no_parameters()
    return download(_json(), "application/json", "notes.json")


@blueprint.get("/notes.csv")
def as_csv() -> Response:
    """The same as a table."""
    _no_parameters()
    notes, corrections = _all()
    text = csv_text(notes, corrections, context.store().settings.zone)
    return download(text, "text/csv; charset=utf-8", "notes.csv")


@blueprint.errorhandler(LockTimeout)
@blueprint.errorhandler(DatabaseDamaged)
@blueprint.errorhandler(DatabaseSuspected)
def unwritable(error: Exception) -> Response:
    """Nothing can be written now: 503, with the form as it was sent if the page can be read."""
    log.error("A note cannot be written: %s", error)
    fields = _sent() if request.endpoint == "notes.add" else dict.fromkeys(FIELDS, "")
    try:
        page, _ = _rendered(
            fields,
            {
                "what": preferences.texts()(
                    "nothing was saved: the database takes nothing at the moment. Send it "
                    "again in a few seconds"
                )
            },
        )
    except (*read_errors.UNREADABLE, *UNWRITABLE):
        page = render_template("unavailable.html", seconds=RETRY_AFTER_SEC)
    return read_errors.not_now(current_app.make_response(page))


@blueprint.errorhandler(CommitNotReplicated)
def on_one_machine(error: Exception) -> tuple[str, int]:
    """It is written, and will be on the second machine, too, as soon as that is back: the page."""
    log.warning("What was written is on one machine only: %s", error)
    return _rendered(
        dict.fromkeys(FIELDS, ""),
        {},
        message=preferences.texts()(
            "It is saved, but on one machine only: the second server of the database "
            "is away and gets it as soon as it is back. Nothing needs to be done."
        ),
    )


_WORDS = {"note": "Note", "hide": "Correction", "adjust": "Correction"}
LABELS = {
    "what": N_("Form"),
    "about": N_("Applies to"),
    "from": N_("From"),
    "to": N_("To"),
    "offset": N_("Offset (added)"),
    "gain": N_("Gain (multiplied)"),
    "text": N_("Text"),
    "reason": N_("Why (optional)"),
    "id": N_("Number"),
}
"""What the forms call their fields."""


def _kind(written: WrittenNote | Correction) -> annotations.Kind:
    return "note" if isinstance(written, WrittenNote) else written.kind


def _add(connection: Connection, written: WrittenNote | Correction) -> int:
    if not annotations.has_room(connection, _kind(written)):
        raise QueryError(
            {
                "what": preferences.texts()(
                    "there are too many: undo some, or hide a range instead of single readings"
                )
            }
        )
    return annotations.add(connection, written)


def _sent() -> dict[str, str]:
    return {name: request.form.get(name, "") for name in FIELDS}


def _unknown(name: str) -> Reason:
    near = nearest(name, PREFILLED)
    return Reason("unknown_parameter_near", near=near) if near else Reason("unknown_parameter")


def _no_parameters() -> None:
    if request.args:
        raise QueryError({name: Reason("unknown_parameter") for name in request.args})


def _all() -> tuple[list[WrittenNote], list[Correction]]:
    with context.view() as view:
        return annotations.all_notes(view.connection), annotations.all_corrections(view.connection)


def _json() -> str:
    zone, (notes, corrections) = context.store().settings.zone, _all()
    objects: dict[str, object] = {
        "notes": [note_object(note, zone) for note in notes],
        "corrections": [correction_object(correction, zone) for correction in corrections],
    }
    return readable(objects) + "\n"


def _rendered(fields: dict[str, str], errors: dict[str, str], message: str = "") -> tuple[str, int]:
    """The page with what the forms begin with, what is wrong with them, and what became of one."""
    settings, t = context.store().settings, preferences.texts()
    notes, corrections = _all()
    what = fields["what"] if fields["what"] in KINDS else "note"
    page = render_template(
        "notes/template.html",
        message=message,
        problems=_problems(errors, t),
        fields_sent=fields,
        # Which form is open.
        what=what if any(fields.values()) else "",
        stations=settings.stations.all,
        reader=NotesReader(settings, t, clock.now_ms()),
        notes=[note for note in notes if note.undone_at is None],
        corrections=[each for each in corrections if each.undone_at is None],
        undone=[
            *(note for note in notes if note.undone_at is not None),
            *(each for each in corrections if each.undone_at is not None),
        ],
    )
    return page, 400 if errors else 200


def _problems(errors: dict[str, str], t: Translation) -> dict[str, dict[str, str | None]]:
    by_field = problems(errors, context.store().settings.stations, t)
    return {
        name: problem | {"label": t(LABELS[name]) if name in LABELS else None}
        for name, problem in by_field.items()
    }
