"""`/setup/start`: a new installation in a few steps, each of which can be left out."""

from collections.abc import Mapping
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from flask import abort, redirect, request, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from flask10x.config import settings as settings_file
from flask10x.readings.times import local_text, zone_name_of
from flask10x.runtime import setup_files
from flask10x.system import clock
from flask10x.system.address import addresses
from flask10x.translation import N_
from flask10x.web import administrators, context, preferences, senders
from flask10x.web.pages.setup import changes, house
from flask10x.web.pages.setup.page import blueprint, shown

STEPS = {
    "house": N_("Name"),
    "place": N_("Time and place"),
    "board": N_("First board"),
    "notifications": N_("Notifications"),
    "backup": N_("Backup"),
}
"""In their order, with their names."""
FIELDS = {"house": ("house_name",), "place": ("timezone", "place")}
"""The settings that a step changes."""


@blueprint.get("/setup/start")
def as_start() -> tuple[str, int]:
    """The first step."""
    return as_step("house")


@blueprint.get("/setup/start/<step>")
def as_step(step: str) -> tuple[str, int]:
    """One of the steps, or `done`; 404 for another."""
    if step == "done" and administrators.browser():
        administrators.administrators().begin()
    return _step(step, house.present() if step in FIELDS else {}, {})


@blueprint.post("/setup/start/<step>", guard="setup")
def save_step(step: str) -> AnyResponse | tuple[str, int]:
    """Keep what was typed, and go on; 400 with the form as it was sent when something is wrong."""
    browser = administrators.required()
    if step not in FIELDS:
        abort(404)
    fields, problems = house.save(browser, FIELDS[step])
    if problems:
        return _step(step, fields, problems)
    return redirect(url_for("setup.as_step", step=_beside(step, 1)), 303)


def _step(step: str, fields: Mapping[str, str], problems: Mapping[str, str]) -> tuple[str, int]:
    if step not in (*STEPS, "done"):
        abort(404)
    store, t = context.store(), preferences.texts()
    settings, address, code = store.settings, request.host_url, Markup()
    if is_own(address):
        # The address of the pages for a phone, as this browser has not found it; empty: none.
        address = next((one for one in addresses(settings) if not is_own(one)), "")
    if step == "board" and address:
        # Only who looks at a code needs it.
        import segno  # noqa: PLC0415

        qr = segno.make_qr(address, error="l")
        # Dark on light in any colours of the page, or not every phone reads it.
        code = Markup(qr.svg_inline(omitsize=True, border=3, light="#fff"))  # noqa: S704
    return shown(
        "setup/start.html",
        step=step,
        steps=STEPS,
        number=[*STEPS, "done"].index(step) + 1,
        back=_beside(step, -1),
        onward=_beside(step, 1),
        fields=fields,
        problems=problems,
        elsewhere=house.places_elsewhere(),
        seen=changes.seen(setup_files.present(setup_files.paths(settings)[settings_file.NAME])),
        zones=sorted(zone for zone in available_timezones() if "/" in zone),
        zone=zone_name_of(settings.zone),
        now=local_text(clock.now_ms(), settings.zone)[:16],
        address=address,
        code=code,
        senders=senders.sending(store, t) if step == "board" else [],
    )


def _beside(step: str, by: int) -> str:
    """The step after or before it; empty before the first one and after the last."""
    all_steps = ["", *STEPS, "done", ""]
    return all_steps[all_steps.index(step) + by]


def is_own(address: str) -> bool:
    """Whether only this machine has this address."""
    return urlsplit(address).hostname in ("localhost", "127.0.0.1", "::1")
