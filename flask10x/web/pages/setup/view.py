"""`/setup`: each setting, its value and where that is from; and what administrators may change.

A browser becomes an administrator's by a link that `flask10x admin-link` prints. It adds stations
that send already; each change is kept with the file as it was, and can be undone.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flask import abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from flask10x.config import environment_file
from flask10x.config.alerts.rules import Alerts
from flask10x.config.readers import Place
from flask10x.config.settings import FOLDERS, OF_THE_MASTER, PREFIX, ROWS, SECTIONS, Settings
from flask10x.config.station_keys import LABEL_CHARS
from flask10x.database.paths import shown_name
from flask10x.errors import LockTimeout, SettingsError
from flask10x.readings.labels import moment
from flask10x.readings.stations import Stations
from flask10x.readings.times import zone_name_of
from flask10x.recording import rejected
from flask10x.system import clock
from flask10x.system.logs import escape
from flask10x.translation import N_, Translation
from flask10x.web import administrators, context, preferences
from flask10x.web.page import Page
from flask10x.web.pages.setup import stations
from flask10x.web.pages.status.commands import shell

log = logging.getLogger(__name__)

blueprint = Page(
    "setup",
    __name__,
    text=N_("Settings"),
    group="setup",
    icon="M4 7h9m4 0h3M4 17h3m4 0h9M15 5v4m-6 6v4",
)


@dataclass(frozen=True, slots=True)
class Row:
    """A setting as the page shows it."""

    name: str
    about: str
    value: str
    """Empty: it has none."""
    source: str
    """Where the value is from; empty: it is the default."""


@blueprint.get("/setup")
def as_page(message: str = "", status: int = 200) -> tuple[str, int]:
    """Administrators, their changes, and a table for each group of settings."""
    settings, t = context.store().settings, preferences.texts()
    own, browser, now_ms = shell(settings), administrators.browser(), clock.now_ms()
    of = administrators.administrators()
    page = render_template(
        "setup/template.html",
        message=message,
        browser=browser,
        token=administrators.form_token(),
        browsers=of.browsers if browser else [],
        changes=of.changes if browser else [],
        local_time=lambda ms: moment(ms, settings.zone, t, now_ms),
        sections=[(t(title), list(_rows(settings, name, t))) for name, title in SECTIONS.items()],
        manner=own.manner,
        file=environment_file.SERVICE_FILE,
        restart=own.command("restart"),
        link=own.flask10x("admin-link"),
    )
    return page, status


@blueprint.get("/setup/link/<link>")
def as_link(link: str) -> tuple[str, int]:
    """The page that a link leads to: nothing happens until its button is pressed."""
    is_open = administrators.administrators().is_open(link, clock.now_ms())
    own = shell(context.store().settings)
    page = render_template(
        "setup/link.html", link=link, is_open=is_open, command_text=own.flask10x("admin-link")
    )
    return page, 200 if is_open else 404


@blueprint.post("/setup/link", guard="setup")
def begin() -> AnyResponse | tuple[str, int]:
    """Make the browser an administrator's, by a link that works; then `/setup`."""
    link = request.form.get("link", "")
    cookie = administrators.administrators().add(
        link, administrators.name_of_browser(), clock.now_ms()
    )
    if cookie is None:
        return as_link(link)
    answer = redirect(url_for("setup.as_page"), 303)
    administrators.keep(answer, cookie)
    return answer


@blueprint.post("/setup/end", guard="setup")
def end() -> AnyResponse:
    """End the browser of this number; then `/setup`."""
    administrators.required()
    of, number = administrators.administrators(), request.form.get("number", "")
    for one in of.browsers:
        if str(one.number) == number:
            of.end(one.number)
    return redirect(url_for("setup.as_page"), 303)


@blueprint.post("/setup/undo", guard="setup")
def undo() -> AnyResponse | tuple[str, int]:
    """Take back the change of this number; then `/setup`. 409 when the file was changed since."""
    administrators.required()
    of, t = administrators.administrators(), preferences.texts()
    number = request.form.get("number", "")
    change = next((each for each in of.changes if str(each.number) == number), None)
    if change is None:
        abort(404)
    try:
        if stations.undo(of, change):
            return redirect(url_for("setup.as_page", _anchor="changes"), 303)
    except (OSError, LockTimeout, SettingsError) as error:
        return as_page(str(error), 409)
    message = t(
        "{path} was changed since then and stays as it is: remove the entry of {name} there.",
        path=change.path,
        name=change.station,
    )
    return as_page(message, 409)


@blueprint.get("/setup/stations/<name>")
def as_station(name: str) -> tuple[str, int]:
    """What the board that sends to this path would be as a station, and the form that adds it."""
    return _station(name, {"label": name, "label_ja": ""}, {})


@blueprint.post("/setup/stations/<name>", guard="setup")
def add(name: str) -> AnyResponse | tuple[str, int]:
    """Add the station; then `/setup`. 400 with the form as it was sent when something is wrong."""
    browser, t = administrators.required(), preferences.texts()
    candidate = stations.candidate(name)
    if candidate is None:
        return as_station(name)
    fields = {field: request.form.get(field, "") for field in stations.LABELS}
    proposal, wrong = stations.with_labels(candidate.proposal, fields)
    needed = t("a name of 1 to {n} characters in one line is needed", n=LABEL_CHARS)
    problems = dict.fromkeys(wrong, needed)
    if not problems:
        try:
            stations.add(administrators.administrators(), browser, proposal)
        except (OSError, LockTimeout, SettingsError) as error:
            problems = {} if stations.is_added_already(name) else {"file": str(error)}
        if not problems:
            return redirect(url_for("setup.as_page", _anchor="changes"), 303)
    return _station(name, fields, problems)


@blueprint.errorhandler(OSError)
@blueprint.errorhandler(LockTimeout)
def unwritable(error: Exception) -> tuple[str, int]:
    """The page, which says why nothing can be written: the disk is full, or may only be read."""
    log.error("Nothing can be set up: %s", error)
    t = preferences.texts()
    return as_page(t("Nothing was changed: {reason}", reason=str(error)), 503)


@blueprint.errorhandler(403)
def forbidden(_error: Exception) -> tuple[str, int]:
    """The page, which says how a browser becomes an administrator's."""
    t = preferences.texts()
    return as_page(
        t("Nothing was changed: this browser is not an administrator's, or its access has ended."),
        403,
    )


def _station(endpoint: str, fields: dict[str, str], problems: dict[str, str]) -> tuple[str, int]:
    settings, t = context.store().settings, preferences.texts()
    candidate, now_ms = stations.candidate(endpoint), clock.now_ms()
    own = shell(settings)
    page = render_template(
        "setup/station.html",
        endpoint=endpoint,
        candidate=candidate,
        fields=fields,
        problems=problems,
        browser=administrators.browser(),
        token=administrators.form_token(),
        file=stations.file_of(settings),
        entry=stations.text_of(candidate.proposal) if candidate else "",
        local_time=lambda ms: moment(ms, settings.zone, t, now_ms),
        body_text=rejected.text_of,
        escape=escape,
        link=own.flask10x("admin-link"),
        adding=own.flask10x("stations", "add", endpoint),
    )
    return page, 404 if candidate is None else 400 if problems else 200


def _rows(settings: Settings, section: str, t: Translation) -> Iterable[Row]:
    for row in ROWS:
        if row.metadata["section"] == section:
            yield Row(
                f"{PREFIX}{row.name.upper()}",
                t(row.metadata["about"]),
                _value(settings, row.name, getattr(settings, row.name)),
                _source(settings, row.name, t),
            )


def _value(settings: Settings, name: str, value: Any) -> str:
    """The value as it is written in an environment; empty where there is none."""
    text = "" if value is None else str(value)
    match value:
        case Stations() | Alerts():
            text = value.file
        case Place():
            text = f"{value.latitude:g},{value.longitude:g}"
        case bool():
            text = text.lower()
        case frozenset() | tuple():
            text = ", ".join(sorted(value))
        case float():
            text = f"{value:g}"
    # The URL may have a password, and the zone is the system's where none is set.
    if name == "database_url":
        text = shown_name(settings)
    return zone_name_of(settings.zone) if name == "timezone" else text


def _source(settings: Settings, name: str, t: Translation) -> str:
    """The file that has the value, with its line where that is known; or the environment."""
    names = (name, "port") if name == "bind" else (name,)
    place = next((settings.places[each] for each in names if each in settings.places), None)
    if place is None:
        return ""
    file, _, _ = place.rpartition(": ")
    if not file:
        return t("environment")
    # The environment file is read at a start only; the TOML file at each reload.
    if PREFIX in place or name in (*OF_THE_MASTER, *FOLDERS):
        return file
    return t("{file}; a reload is enough", file=file)
