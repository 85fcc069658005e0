"""The page `/notes`, its forms, and the same as JSON and CSV.

Who may read may write, unless there are tokens for notes (`web/access.py`). The forms need no
JavaScript; a page of another origin can't send them, as with every POST.
"""

import csv
import io
import logging
import time
from urllib.parse import parse_qs, urlencode, urlsplit

from flask import Response, current_app, redirect, render_template, request, url_for
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from werkzeug.wrappers import Response as AnyResponse

from flask10x.errors import (
    CommitNotReplicated,
    DatabaseDamaged,
    DatabaseSuspected,
    LockTimeout,
    QueryError,
)
from flask10x.history import annotations, rollups
from flask10x.history.annotations import WrittenNote
from flask10x.history.corrections import Correction
from flask10x.history.parameters import unknown_name
from flask10x.history.view import View
from flask10x.readings.csv_lines import is_formula
from flask10x.readings.reasons import Reason, WrongValue
from flask10x.readings.times import parse_bound
from flask10x.system import clock
from flask10x.translation import N_
from flask10x.web import access, context, json_text, preferences, read_errors
from flask10x.web.captions import problems
from flask10x.web.cards import shown_stations
from flask10x.web.files import download
from flask10x.web.limits import RETRY_AFTER_SEC
from flask10x.web.notes import NotesReader, as_object
from flask10x.web.page import Page
from flask10x.web.pages.notes.model import (
    FIELDS,
    KINDS,
    ONE_OF_KINDS,
    NotesForm,
)
from flask10x.web.pages.notes.reading import (
    WHICH,
    Pointed,
    described,
    in_range,
    name_of,
    of_name,
)
from flask10x.web.parameters import Parameters

log = logging.getLogger(__name__)
blueprint = Page("notes", __name__, text=N_("Notes"), place="inside")

# Another process writes for too long, or nothing may be written any more.
UNWRITABLE = (LockTimeout, DatabaseDamaged, DatabaseSuspected)
# Hours of a correction are made again for so long before the answer: on a PC those of some months.
APPLY_SEC = 2.0
# What a link to the page may fill in, and what it may lead to.
PREFILLED = ("what", "about", "from", "to", "reading", "raw", "edit", "back", "saved")
# Longer addresses are left out of the way back.
BACK_MAX_CHARS = 1500


COLUMNS = (
    *("kind", "id", "endpoint", "measurement", "from", "to", "gain", "offset", "text"),
    *("written", "undone"),
)


@blueprint.get("/notes")
def as_page() -> tuple[str, int]:
    """The forms and all that is written, or a reading; 400 when the query is wrong."""
    errors: dict[str, str] = {
        name: unknown_name("unknown_parameter", name, PREFILLED)
        for name in request.args
        if name not in PREFILLED
    }
    if request.args.get("what") and request.args["what"] not in KINDS:
        errors["what"] = ONE_OF_KINDS
    fields = {name: request.args.get(name, "") for name in FIELDS}
    if fields["edit"] and not errors:
        fields |= _to_edit(fields["edit"], errors)
    return _rendered(fields, errors)


@blueprint.post("/notes/write", guard="notes")
def add() -> AnyResponse | tuple[str, int]:
    """Write the note or the correction of a form; then the page, by GET.

    What was written last is not written again. 400 with the form as it was sent when something is
    wrong with it. Raises what writing raises.
    """
    store, now_ms = context.store(), clock.now_ms()
    try:
        reading = request.form.get("reading", "")
        with context.view() as view:
            pointed = of_name(view, reading) if reading else None
        written = NotesForm(request.form, store.settings, now_ms, pointed).read()
        edited = _number(request.form.get("edit", "")) if request.form.get("edit") else None
        with store.database.commit() as connection:
            same = annotations.last_same(connection, written)
            if same is None and not annotations.has_room(connection, _kind(written)):
                t = preferences.texts()
                why = t("there are too many: undo some, or hide a range instead of single readings")
                raise QueryError({"what": why})
            number = annotations.add(connection, written) if same is None else same
            # What is edited is written anew, and the old text stays among what was undone.
            if edited not in (None, number):
                annotations.undo(connection, "note", edited or 0, now_ms)
    except QueryError as error:
        return _rendered(_sent(), error.details)
    if same is None:
        log.info("%s %d written, by %s", _WORDS[_kind(written)], number, access.sender())
        _apply(_kind(written))
    return _leading_to(_kind(written), number)


@blueprint.post("/notes/undo", guard="notes")
def undo() -> AnyResponse:
    """Take back `what` of the number `id`; then the page, by GET, also if it counts no more.

    Raises QueryError, and what writing raises.
    """
    what, number = request.form.get("what", ""), _number(request.form.get("id", ""))
    if what not in KINDS:
        raise QueryError({"what": ONE_OF_KINDS})
    with context.store().database.commit() as connection:
        is_undone = annotations.undo(connection, what, number, clock.now_ms())
    if is_undone:
        log.info("%s %d taken back, by %s", _WORDS[what], number, access.sender())
        _apply(what)
    return _leading_to(what, number)


@blueprint.get("/api/v1/notes")
def as_json() -> Response:
    """All that is written, also what was taken back."""
    Parameters().check()
    zone, (notes, corrections) = context.store().settings.zone, _all()
    objects: dict[str, object] = {
        "notes": [as_object(note, zone) for note in notes],
        "corrections": [as_object(correction, zone) for correction in corrections],
    }
    return json_text.answer(objects)


@blueprint.get("/notes.json")
def as_json_file() -> Response:
    """The same as a file to keep."""
    return download(as_json().get_data(as_text=True), "application/json", "notes.json")


@blueprint.get("/notes.csv")
def as_csv() -> Response:
    """The same as a table, a line each; a cell without a value is empty."""
    Parameters().check()
    zone, text = context.store().settings.zone, io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore")
    writer.writeheader()
    notes, corrections = _all()
    everything: list[WrittenNote | Correction] = [*notes, *corrections]
    for written in everything:
        row = {"kind": "note"} | as_object(written, zone)
        if is_formula(str(row["text"])):
            # A spreadsheet shows it as it is then.
            row["text"] = f"'{row['text']}"
        writer.writerow(row)
    return download(text.getvalue(), "text/csv; charset=utf-8", "notes.csv")


@blueprint.errorhandler(LockTimeout)
@blueprint.errorhandler(DatabaseDamaged)
@blueprint.errorhandler(DatabaseSuspected)
def unwritable(error: Exception) -> Response:
    """Nothing can be written now: 503, with the form as it was sent if the page can be read."""
    log.error("A note cannot be written: %s", error)
    fields = _sent() if request.endpoint == "notes.add" else dict.fromkeys(FIELDS, "")
    t = preferences.texts()
    why = t(
        "nothing was saved: the database takes nothing at the moment. Send it again in a few"
        " seconds"
    )
    try:
        page, _ = _rendered(fields, {"what": why})
    except (*read_errors.UNREADABLE, *UNWRITABLE):
        page = render_template("unavailable.html", seconds=RETRY_AFTER_SEC)
    return read_errors.not_now(current_app.make_response(page))


@blueprint.errorhandler(CommitNotReplicated)
def on_one_machine(error: Exception) -> tuple[str, int]:
    """It is written, and will be on the second machine, too, as soon as that is back: the page."""
    log.warning("What was written is on one machine only: %s", error)
    t = preferences.texts()
    return _rendered(
        dict.fromkeys(FIELDS, "") | {"reading": request.form.get("reading", "")},
        {},
        message=t(
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
    "reading": N_("Reading"),
    "edit": N_("Note"),
    "back": N_("Back"),
}
"""What the forms call their fields."""


def _kind(written: WrittenNote | Correction) -> annotations.Kind:
    return "note" if isinstance(written, WrittenNote) else written.kind


def _apply(kind: annotations.Kind) -> None:
    """Make the hours of a correction again, as many as a person waits for.

    The service makes the others from the next minute on, and all of them when the database can't be
    written now: what was sent is saved.
    """
    if kind == "note":
        return
    store, until_sec = context.store(), time.monotonic() + APPLY_SEC
    try:
        while rollups.apply_corrections(store.settings.stations, store.database):
            if time.monotonic() >= until_sec:
                break
    except (*UNWRITABLE, CommitNotReplicated, DBAPIError) as error:
        log.warning("Hours of a correction are made later: %s", error)


def _number(text: str) -> int:
    name = name_of(text)
    if name and name[1] is None:
        return name[0]
    raise QueryError({"id": "the number of one of them is needed"})


def _to_edit(number: str, errors: dict[str, str]) -> dict[str, str]:
    """The fields of the note that is to be edited; with an error when there is none."""
    with context.view() as view:
        note = annotations.entry(view.connection, "note", _number(number))
    if note is None or note.undone_at is not None:
        errors["edit"] = Reason("no_such_note")
        return {"edit": ""}
    reader = NotesReader(context.store().settings, preferences.texts(), clock.now_ms())
    return {"what": "note"} | {
        name: reader.field(note, name) for name in ("about", "from", "to", "text")
    }


def _leading_to(kind: str, number: int) -> AnyResponse:
    """To the page, which says what became of this one, and to where one came from."""
    reading = request.form.get("reading", "")
    more = {"back": _back(), "reading": reading if name_of(reading) else ""}
    pairs = [("saved", f"{kind}.{number}"), *((name, text) for name, text in more.items() if text)]
    return redirect(f"{url_for('notes.as_page')}?{urlencode(pairs, safe=':/')}", 303)


def _back() -> str:
    """The address on this site from which the reader came; empty when there is none.

    Forms carry it along; the first page takes it from the browser, which names only ours.
    """
    if sent := request.values.get("back", ""):
        return sent if _is_own(sent) else ""
    try:
        came = urlsplit(request.headers.get("Referer", ""))
    except ValueError:
        return ""
    address = f"{came.path}?{came.query}" if came.query else came.path
    is_other = came.netloc == request.host and not came.path.startswith(url_for("notes.as_page"))
    return address if is_other and _is_own(address) else ""


def _is_own(address: str) -> bool:
    """Whether it leads to a page of this site: with two slashes it would be another server's."""
    is_path = address.startswith(f"{request.script_root}/") and address[1:2] not in ("/", "\\")
    return is_path and address.isprintable() and len(address) <= BACK_MAX_CHARS


def _saved(connection: Connection) -> WrittenNote | Correction | None:
    """What was written or undone last, which the page tells."""
    kind, _, number = request.args.get("saved", "").partition(".")
    name = name_of(number)
    return annotations.entry(connection, kind, name[0]) if kind in KINDS and name else None


def _sent() -> dict[str, str]:
    return {name: request.form.get(name, "") for name in FIELDS}


def _all() -> tuple[list[WrittenNote], list[Correction]]:
    with context.view() as view:
        return annotations.all_notes(view.connection), annotations.all_corrections(view.connection)


def _rendered(fields: dict[str, str], errors: dict[str, str], message: str = "") -> tuple[str, int]:
    """The page with what the forms begin with, what is wrong with them, and what became of one."""
    settings, t = context.store().settings, preferences.texts()
    if fields["reading"]:
        with context.view() as view:
            try:
                pointed = _pointed(view, fields)
            except QueryError as error:
                errors |= error.details
                pointed = []
            reading, saved = described(view, pointed, t), _saved(view.connection)
        template = "notes/reading.html"
        more: dict[str, object] = {"reading": reading, "saved": saved}
    else:
        template, more = "notes/template.html", _of_all(fields)
    back = _back()
    wrong = {
        name: problem | {"label": t(LABELS[name]) if name in LABELS else None}
        for name, problem in problems(errors, settings.stations, t).items()
    }
    page = render_template(
        template,
        message=message,
        problems=wrong,
        fields_sent=fields,
        reader=NotesReader(settings, t, clock.now_ms()),
        back=back,
        is_back_to_history=urlsplit(back).path == url_for("history_page.as_page"),
        wants_token=access.current().tokens_to_note(),
        obstacle=context.store().database.damage.obstacle,
        **more,
    )
    return page, 400 if errors else 200


def _pointed(view: View, fields: dict[str, str]) -> list[Pointed]:
    if (which := fields["reading"]) not in WHICH:
        one = of_name(view, which)
        return [one] if one else []
    texts = {"from": fields["from"], "to": fields["to"]}
    try:
        first_ms, last_ms = (
            parse_bound(text, view.zone, view.now_ms, end=name == "to")
            for name, text in texts.items()
        )
    except WrongValue as error:
        raise QueryError({"from": error.reason}) from None
    abouts = request.args.getlist("about")
    return in_range(view, which, abouts, (first_ms, last_ms), raw="raw" in request.args)


def _of_all(fields: dict[str, str]) -> dict[str, object]:
    """Return what the whole page shows."""
    looked_at = parse_qs(urlsplit(_back()).query).get("endpoint", [])
    with context.view() as view:
        named = [*looked_at, fields["about"].partition(".")[0]]
        stations = shown_stations(view, context.store(), named)
        notes = annotations.all_notes(view.connection)
        corrections = annotations.all_corrections(view.connection)
        saved = _saved(view.connection)
    everything: list[WrittenNote | Correction] = [*notes, *corrections]
    what = fields["what"] if fields["what"] in KINDS else "note"
    return {
        # Which form is open.
        "what": what if any(fields[name] for name in FIELDS if name != "back") else "",
        "stations": stations,
        # The one that the reader has looked at.
        "station": looked_at[0] if len(looked_at) == 1 else "",
        "saved": saved,
        "notes": [note for note in notes if note.undone_at is None],
        "corrections": [each for each in corrections if each.undone_at is None],
        "undone": [each for each in everything if each.undone_at is not None],
    }
