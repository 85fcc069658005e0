"""`GET /`: the home of the house. It answers 200 whatever happens (contract, section 2)."""

import logging
import shlex

from flask import current_app, render_template, request

from flask10x.database.error_codes import QueryTooLong, reason_of
from flask10x.readings.times import local_text, zone_name
from flask10x.runtime.store import Store
from flask10x.system import clock
from flask10x.translation import N_, Translation
from flask10x.web import context, preferences
from flask10x.web.access import EXTENSION, Access
from flask10x.web.page import Page
from flask10x.web.pages.home.model import CLOCK, Home, HomeModel, home, in_words
from flask10x.web.read_errors import UNREADABLE

log = logging.getLogger(__name__)
blueprint = Page("home", __name__, text=N_("Home"), group="main")

# The trial reading of README.md.
TRIAL = (
    "curl -H 'Content-Type: application/json' "
    """-d '{"pressure": "1013.2hPa", "temperature": 25.1}'"""
)


@blueprint.get("/", guard="open", without_store=True)
def as_page() -> str:
    """A tile for each station; with `kiosk=1` for a tablet on the wall.

    Who may not see readings gets the links alone, and the same while they can't be read.
    """
    store, t, now_ms = context.store_or_waiting(), preferences.texts(), clock.now_ms()
    shown, obstacle = _shown(t)
    zone = store.settings.zone
    model = HomeModel(
        date=in_words(now_ms, zone, t),
        time=local_text(now_ms, zone)[CLOCK],
        now_ms=now_ms,
        zone=zone_name(zone),
        is_kiosk=request.args.get("kiosk", "") not in ("", "0"),
        home=shown,
        obstacle=obstacle,
    )
    return render_template("home/template.html", model=model, stations=store.settings.stations.all)


def _shown(t: Translation) -> tuple[Home | None, str]:
    """What the reader may see, or why there is nothing."""
    store = context.store_or_waiting()
    access: Access = current_app.extensions[EXTENSION]
    if not access.lets_read():
        return None, "token"
    if not isinstance(store, Store):
        return None, "missing"
    trial = f"{TRIAL} {shlex.quote(request.host_url + 'data')}"
    try:
        with context.view() as view:
            return home(view, store, t, trial), ""
    except (*UNREADABLE, QueryTooLong) as error:
        log.error("Cannot read the database: %s", reason_of(error))
        return None, "unreadable"
