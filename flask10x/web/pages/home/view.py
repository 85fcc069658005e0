"""`GET /`: the home of the house. It answers 200 whatever happens (contract, section 2)."""

import logging

from flask import render_template, request

from flask10x.database.error_codes import QueryTooLong, reason_of
from flask10x.readings.times import local_text, zone_name
from flask10x.runtime.store import Store
from flask10x.system import clock
from flask10x.translation import N_, Translation
from flask10x.web import access, context, preferences
from flask10x.web.cards import trial_command
from flask10x.web.page import Page
from flask10x.web.pages.alerts.model import AlertReader
from flask10x.web.pages.home import model
from flask10x.web.pages.home.model import CLOCK, Home, in_words
from flask10x.web.read_errors import UNREADABLE

log = logging.getLogger(__name__)
blueprint = Page("home", __name__, text=N_("Home"), group="main")


@blueprint.get("/", guard="open", without_store=True)
def as_page() -> str:
    """A tile for each station; with `kiosk=1` for a tablet on the wall.

    Who may not see readings gets the links alone, and the same while they can't be read.
    """
    settings, t, now_ms = context.store_or_waiting().settings, preferences.texts(), clock.now_ms()
    home, obstacle = _shown(t)
    return render_template(
        "home/template.html",
        home=home,
        obstacle=obstacle,
        date=in_words(now_ms, settings.zone, t),
        time=local_text(now_ms, settings.zone)[CLOCK],
        zone=zone_name(settings.zone),
        is_kiosk=request.args.get("kiosk", "") not in ("", "0"),
        is_night=model.is_night(settings, now_ms),
        trial=trial_command(),
        stations=settings.stations.all,
        reader=AlertReader(settings, t, now_ms),
    )


def _shown(t: Translation) -> tuple[Home | None, str]:
    """The tiles, or why there are none: `token`, `missing` or `unreadable`."""
    store = context.store_or_waiting()
    if not access.current().lets_read():
        return None, "token"
    if not isinstance(store, Store):
        return None, "missing"
    try:
        with context.view() as view:
            return model.home(view, store, t), ""
    except (*UNREADABLE, QueryTooLong) as error:
        log.error("Cannot read the database: %s", reason_of(error))
        return None, "unreadable"
