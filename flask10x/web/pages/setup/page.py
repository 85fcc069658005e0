"""The frame of the pages of `/setup`: their routes, the list of them, and what they refuse."""

import logging
from typing import Any

from flask import Response, make_response, render_template, request

from flask10x.config import form
from flask10x.errors import LockTimeout, SettingsError
from flask10x.readings.labels import moment
from flask10x.system import clock
from flask10x.translation import N_
from flask10x.web import administrators, context, preferences
from flask10x.web.page import Page
from flask10x.web.pages.setup.changes import SEEN_FIELD, ChangedMeanwhile, NotWritten, seen
from flask10x.web.shell import shell

log = logging.getLogger(__name__)

blueprint = Page(
    "setup",
    __name__,
    text=N_("Settings"),
    group="setup",
    icon="M4 7h9m4 0h3M4 17h3m4 0h9M15 5v4m-6 6v4",
)
PARTS = {
    "setup.as_stations": N_("Stations"),
    "setup.as_notifications": N_("Notifications"),
    "setup.as_house": N_("House"),
    "setup.as_files": N_("Backups and files"),
    "setup.as_page": N_("All settings"),
    "setup.as_start": N_("First steps"),
}
"""The pages, by their views, in the order in which people need them."""
# A link makes a browser an administrator's; a form with files is checked before the first of them.
CHECKED_ELSEWHERE = ("setup.begin", "setup.upload")


@blueprint.before_request
def only_administrators() -> None:
    """Let a form change something only if an administrator's browser sends it; else a 403."""
    if request.method == "POST" and request.endpoint not in CHECKED_ELSEWHERE:
        administrators.required()


def shown(template: str, status: int = 0, **values: Any) -> tuple[str, int]:
    """Return a page of the setup: with the list of all, the browser and the token of its forms.

    Without a status it is a 400 where a form has problems.
    """
    settings, t, now_ms = context.store().settings, preferences.texts(), clock.now_ms()
    own = shell(settings)
    page = render_template(
        template,
        parts=PARTS,
        browser=administrators.browser(),
        token=administrators.form_token(),
        link=own.flask10x("admin-link"),
        local_time=lambda ms: moment(ms, settings.zone, t, now_ms),
        message_languages={"": "", "en": "English", "ja": "日本語"},
        is_number=form.is_number,
        keys_of_phone=form.keys_of_phone,
        **values,
    )
    return page, status or (400 if values.get("problems") else 200)


@blueprint.errorhandler(NotWritten)
def not_written(error: NotWritten) -> Response:
    """The page of a change that was not made: what the file is now, and what it would become.

    Where the file was changed meanwhile, a button makes the change all the same.
    """
    log.warning("Not written: %s: %s", error.edit.path, error)
    is_changed, own = isinstance(error, ChangedMeanwhile), shell(context.store().settings)
    fields = [pair for pair in request.form.items(multi=True) if pair[0] != SEEN_FIELD]
    page = shown(
        "setup/not_written.html",
        409 if is_changed else 503,
        edit=error.edit,
        whole=(error.edit.former or b"").decode(errors="replace"),
        reason="" if is_changed else str(error),
        fields=[*fields, (SEEN_FIELD, seen(error.edit.former))],
        action=request.path,
        reload=own.command("reload"),
    )
    answer = make_response(page)
    # Among what was typed may be the secret of a channel.
    answer.headers["Cache-Control"] = "no-store"
    return answer


@blueprint.errorhandler(OSError)
@blueprint.errorhandler(LockTimeout)
@blueprint.errorhandler(SettingsError)
def unchanged(error: Exception) -> tuple[str, int]:
    """Say that the disk is full or may only be read, or which mistakes a file has first."""
    t = preferences.texts()
    if isinstance(error, SettingsError):
        return refused(t("Correct this in the file first: {reason}", reason=str(error)), 409)
    log.error("Nothing can be set up: %s", error)
    return refused(t("Nothing was changed: {reason}", reason=str(error)), 503)


@blueprint.errorhandler(403)
def forbidden(_error: Exception) -> tuple[str, int]:
    """How a browser becomes an administrator's."""
    t = preferences.texts()
    return refused(
        t("Nothing was changed: this browser is not an administrator's, or its access has ended."),
        403,
    )


def refused(message: str, status: int) -> tuple[str, int]:
    """Return a page that says why nothing was changed."""
    return shown("setup/refused.html", status, message=message)
