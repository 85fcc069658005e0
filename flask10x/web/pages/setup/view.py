"""`/setup`: each setting, its value and where that is from; and what administrators may change.

A browser becomes an administrator's by a link that `flask10x admin-link` prints. It adds stations
that send already; each change is kept with the file as it was, and can be undone.
"""

from flask import abort, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from flask10x.config import environment_file
from flask10x.config import settings as settings_file
from flask10x.database.paths import shown_name
from flask10x.errors import SettingsError
from flask10x.readings.times import zone_name_of
from flask10x.runtime.setup_files import is_reloaded
from flask10x.system import clock
from flask10x.translation import Translation, speaking
from flask10x.web import access, administrators, context, preferences
from flask10x.web.pages.setup import (
    changes,
    files,
    house,
    notifications,
    start,
    station_view,
)
from flask10x.web.pages.setup.page import back_or_to, blueprint, shown
from flask10x.web.pages.setup.sentences import sentence
from flask10x.web.pages.setup.start import has_readings
from flask10x.web.shell import shell

__all__ = ["blueprint", "files", "house", "notifications", "start", "station_view"]


@blueprint.get("/setup")
def as_page(message: str = "", status: int = 200) -> tuple[str, int]:
    """Changes, administrators, a table for each group of settings, and what programs read."""
    settings, t = context.store().settings, preferences.texts()
    own, is_browser = shell(settings), bool(administrators.browser())
    of = administrators.administrators()
    sections: list[tuple[str, list[dict[str, str]]]] = []
    for row in settings_file.ROWS:
        if row.name in settings_file.SECTIONS:
            sections.append((t(settings_file.SECTIONS[row.name]), []))
        # The URL may have a password, and the zone is the system's where none is set.
        value = settings.text_of(row.name)
        if row.name == "database_url":
            value = shown_name(settings)
        elif row.name == "timezone":
            value = zone_name_of(settings.zone)
        source, name = _source(settings, row.name, t), f"{settings_file.PREFIX}{row.name.upper()}"
        about = t(row.metadata["about"])
        sections[-1][1].append({"name": name, "about": about, "value": value, "source": source})
    return shown(
        "setup/template.html",
        status,
        message=message,
        browsers=of.browsers if is_browser else [],
        changes=[(one, sentence(one, t)) for one in of.changes] if is_browser else [],
        is_reloaded=is_reloaded(settings),
        sections=sections,
        manner=own.manner,
        file=environment_file.SERVICE_FILE,
        restart=own.command("restart"),
    )


@blueprint.get("/setup/link/<link>")
def as_link(link: str) -> AnyResponse | tuple[str, int]:
    """The page that a link leads to: nothing happens until its button is pressed.

    404 for a link that does not work, and 429 when many were tried within a minute.
    """
    is_open = administrators.administrators().is_open(link, clock.now_ms())
    if not is_open and not access.current().note_wrong_link():
        t = preferences.texts()
        answer = make_response(t("Too many links were tried. Wait a minute."), 429)
        answer.headers["Retry-After"] = "60"
        return answer
    own = shell(context.store().settings)
    page = render_template(
        "setup/link.html", link=link, is_open=is_open, command_text=own.flask10x("admin-link")
    )
    return page, 200 if is_open else 404


@blueprint.post("/setup/link", guard="setup")
def begin() -> AnyResponse | tuple[str, int]:
    """Make the browser an administrator's, by a link that works; then `/setup`, or its steps."""
    link = request.form.get("link", "")
    cookie = administrators.administrators().add(
        link, administrators.name_of_browser(), clock.now_ms()
    )
    if cookie is None:
        return as_link(link)
    is_new = "start" in request.form or not has_readings()
    onward = "setup.as_start" if is_new else "setup.as_page"
    answer = redirect(url_for(onward), 303)
    administrators.keep(answer, cookie)
    return answer


@blueprint.post("/setup/end", guard="setup")
def end() -> AnyResponse:
    """End the browser of this number; then `/setup`."""
    of, number = administrators.administrators(), request.form.get("number", "")
    for one in of.browsers:
        if str(one.number) == number:
            of.end(one.number)
    return redirect(url_for("setup.as_page"), 303)


@blueprint.post("/setup/undo", guard="setup")
def undo() -> AnyResponse | tuple[str, int]:
    """Take back the change of this number; then `/setup`. 409 when the file was changed since.

    Or when the service could not start without it, as without a station that a rule names.
    """
    of, t = administrators.administrators(), preferences.texts()
    number = request.form.get("number", "")
    change = next((each for each in of.changes if str(each.number) == number), None)
    if change is None:
        abort(404)
    try:
        with speaking(t.language):
            is_undone = changes.undo(change)
    except SettingsError as error:
        return as_page(t("Nothing was changed: {reason}", reason=str(error)), 409)
    if is_undone:
        return back_or_to("setup.as_page", "changes")
    message = t(
        "{path} was changed since then and stays as it is."
        " Undo later changes first, or edit it by hand.",
        path=change.path,
    )
    return as_page(message, 409)


def _source(settings: settings_file.Settings, name: str, t: Translation) -> str:
    """Return the file that has the value, or the environment; empty where it is the default."""
    names = (name, "port") if name == "bind" else (name,)
    place = next((settings.places[each] for each in names if each in settings.places), None)
    if place is None:
        return ""
    file, _, _ = place.rpartition(": ")
    if not file:
        return t("environment")
    # The environment file is read at a start only; the TOML file at each reload.
    if settings_file.PREFIX in place or name in (
        *settings_file.OF_THE_MASTER,
        *settings_file.FOLDERS,
    ):
        return file
    return t("{file}; a reload is enough", file=file)
