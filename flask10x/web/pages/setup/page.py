"""The frame of the pages of `/setup`: their routes, the list of them, and what they refuse."""

import logging
import re
from typing import Any

from flask import redirect, render_template, request, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response

from flask10x.config import form
from flask10x.errors import LockTimeout, SettingsError
from flask10x.readings.labels import moment
from flask10x.runtime.administrators import Change
from flask10x.system import clock
from flask10x.translation import N_, Translation
from flask10x.web import administrators, context, preferences
from flask10x.web.page import Page
from flask10x.web.pages.setup import changes
from flask10x.web.pages.setup.changes import ChangedMeanwhile
from flask10x.web.pages.setup.sentences import sentence
from flask10x.web.shell import shell

log = logging.getLogger(__name__)

blueprint = Page(
    "setup",
    __name__,
    text=N_("Settings"),
    place="menu",
    icon="M4 7h9m4 0h3M4 17h3m4 0h9M15 5v4m-6 6v4",
)
PARTS = {
    "setup.as_stations": N_("Stations"),
    "setup.as_notifications": N_("Notifications"),
    "setup.as_house": N_("House"),
    "setup.as_files": N_("Backups and files"),
    "setup.as_start": N_("First steps"),
    "setup.as_page": N_("All settings"),
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
        changed=_changed(t),
        back=(_address_of_return(), BACK.get(place_of_return()[0], "")),
        **values,
    )
    return page, status or (400 if values.get("problems") else 200)


@blueprint.errorhandler(ChangedMeanwhile)
def changed_meanwhile(error: ChangedMeanwhile) -> tuple[str, int]:
    """The change was made to a file that is another one by now."""
    t = preferences.texts()
    text = t(
        "Nothing was changed: {path} was changed since the page was loaded. Go back, load that"
        " page again, and make the change there.",
        path=str(error),
    )
    return refused(text, 409)


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


# The views to which a form leads back, where its page was reached from there.
BACK = {"home.as_page": N_("Home"), "status_page.as_page": N_("Health"), **PARTS}


def place_of_return() -> tuple[str, str]:
    """Return the view of the page that led here, and its part; two empty texts if unknown.

    It is the parameter `back` of an address or a form: `setup.as_start#backup`.
    """
    # An upload is a form of another kind, which is read elsewhere: it may be of a gigabyte.
    is_form = request.mimetype == "application/x-www-form-urlencoded"
    fields = request.values if is_form else request.args
    view, _, anchor = fields.get("back", "").partition("#")
    return (view, anchor) if view in BACK and re.fullmatch("[a-z-]*", anchor) else ("", "")


def back_or_to(view: str, anchor: str = "") -> Response:
    """Redirect to the page that led here, or to this one; it shows the change."""
    changed = changes.made()
    onward = _address_of_return(changed) or url_for(view, changed=changed, _anchor=anchor or None)
    return redirect(onward, 303)


def _address_of_return(changed: int | None = None) -> str:
    view, anchor = place_of_return()
    if view not in PARTS:
        return url_for(view) if view else ""
    later = request.values.getlist("later") if view == "setup.as_start" else []
    return url_for(view, _anchor=anchor or None, changed=changed, later=later)


def _changed(t: Translation) -> tuple[Change, str] | None:
    """The change that has just been made or taken back, and its sentence; for administrators."""
    number = request.args.get("changed", type=int)
    if number is None or administrators.browser() is None:
        return None
    for change in administrators.administrators().changes:
        if change.number == number:
            return change, sentence(change, t)
    return None


def code_of(text: str) -> Markup:
    """Return a QR code of the text as an SVG, dark on light in any colours of the page."""
    # Only who looks at a code needs it.
    import segno  # noqa: PLC0415

    # On dark not every phone reads it.
    qr = segno.make_qr(text, error="l")
    return Markup(qr.svg_inline(omitsize=True, border=3, light="#fff"))  # noqa: S704


def refused(message: str, status: int) -> tuple[str, int]:
    """Return a page that says why nothing was changed."""
    return shown("setup/refused.html", status, message=message)
