"""`/setup/start`: a new installation in a few steps, each of which can be left out."""

from collections.abc import Mapping, MutableMapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from flask import abort, current_app, redirect, request, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from flask10x.config import settings as settings_file
from flask10x.config.readers import WrongEntry
from flask10x.config.settings import PREFIX, READERS, Settings
from flask10x.readings.times import local_text, zone_name_of
from flask10x.runtime import setup_files
from flask10x.system import clock
from flask10x.system.address import addresses
from flask10x.translation import N_, Translation
from flask10x.web import administrators, context, preferences
from flask10x.web.pages.setup import changes, senders
from flask10x.web.pages.setup.page import blueprint, shown
from flask10x.web.pages.status.commands import shell

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
# Pages that other parts of the setup bring along.
HOUSE, NOTIFICATIONS, FILES = "/setup/house", "/setup/notifications", "/setup/files"


@blueprint.get("/setup/start")
def as_start() -> tuple[str, int]:
    """The first step."""
    return as_step("house")


@blueprint.get("/setup/start/<step>")
def as_step(step: str) -> tuple[str, int]:
    """One of the steps, or `done`; 404 for another."""
    settings = context.store().settings
    if step == "done" and administrators.browser():
        administrators.administrators().begin()
    fields = {name: _text(settings, name) for name in FIELDS.get(step, ())}
    return _step(step, fields, {})


@blueprint.post("/setup/start/<step>", guard="setup")
def save_step(step: str) -> AnyResponse | tuple[str, int]:
    """Keep what was typed, and go on; 400 with the form as it was sent when something is wrong."""
    browser, t, settings = administrators.required(), preferences.texts(), context.store().settings
    if step not in FIELDS:
        abort(404)
    names = [name for name in FIELDS[step] if not changes.place_elsewhere(name)]
    fields = {name: request.form.get(name, "").strip() for name in names}
    changed = {name: text for name, text in fields.items() if text != _text(settings, name)}
    problems = {name: why for name, text in changed.items() if (why := _problem(name, text, t))}
    if problems:
        return _step(step, {n: _text(settings, n) for n in FIELDS[step]} | fields, problems)

    def put(document: MutableMapping[str, Any]) -> None:
        for name, text in changed.items():
            changes.put(document, name, text or None)

    if changed:
        name = ", ".join(PREFIX + name.upper() for name in changed)
        changes.make(browser, changes.settings_edit(name, put))
    return redirect(url_for("setup.as_step", step=_beside(step, 1)), 303)


def _step(step: str, fields: Mapping[str, str], problems: Mapping[str, str]) -> tuple[str, int]:
    if step not in (*STEPS, "done"):
        abort(404)
    store, t = context.store(), preferences.texts()
    settings, rules = store.settings, {rule.rule for rule in current_app.url_map.iter_rules()}
    address = _address(settings)
    return shown(
        "setup/start.html",
        400 if problems else 200,
        step=step,
        steps=STEPS,
        number=[*STEPS, "done"].index(step) + 1,
        back=_beside(step, -1),
        onward=_beside(step, 1),
        fields=fields,
        problems=problems,
        elsewhere={name: changes.place_elsewhere(name) for name in fields},
        seen=changes.seen(setup_files.present(setup_files.paths(settings)[settings_file.NAME])),
        zones=_zones() if step == "place" else (),
        zone=zone_name_of(settings.zone),
        now=local_text(clock.now_ms(), settings.zone)[:16],
        address=address,
        code=_code(address) if step == "board" and address else "",
        senders=senders.sending(store, t) if step == "board" else [],
        page_of={path for path in (HOUSE, NOTIFICATIONS, FILES) if path in rules},
        backup=shell(settings).flask10x("backup"),
    )


def _beside(step: str, by: int) -> str:
    """The step after or before it; empty before the first one and after the last."""
    all_steps = ["", *STEPS, "done", ""]
    return all_steps[all_steps.index(step) + by]


def _text(settings: Settings, name: str) -> str:
    value = getattr(settings, name)
    if name == "timezone":
        return value or zone_name_of(settings.zone)
    if name == "place":
        return f"{value.latitude:g},{value.longitude:g}" if value else ""
    return str(value)


def _problem(name: str, text: str, t: Translation) -> str:
    try:
        if text:
            READERS[name](text)
    except WrongEntry:
        return {
            "house_name": t("a name of at most 40 characters in one line is needed"),
            "timezone": t("a zone such as Asia/Tokyo is needed"),
            "place": t("latitude and longitude in degrees such as 35.68,139.77 are needed"),
        }[name]
    return ""


@cache
def _zones() -> tuple[str, ...]:
    return tuple(sorted(zone for zone in available_timezones() if "/" in zone))


def _address(settings: Settings) -> str:
    """The address of the pages for a phone, as this browser has found it; empty: it has none."""
    if not is_own(request.host_url):
        return request.host_url
    return next((one for one in addresses(settings) if not is_own(one)), "")


def is_own(address: str) -> bool:
    """Whether only this machine has this address."""
    return urlsplit(address).hostname in ("localhost", "127.0.0.1", "::1")


def _code(address: str) -> Markup:
    # Only who looks at a code needs it.
    import segno  # noqa: PLC0415

    code = segno.make_qr(address, error="l")
    # Dark on light in any colours of the page, or not every phone reads it.
    return Markup(code.svg_inline(omitsize=True, border=3, light="#fff"))  # noqa: S704
