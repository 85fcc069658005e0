"""`GET /`: the home of the house. It answers 200 whatever happens (contract, section 2)."""

import logging
import time
from functools import lru_cache

from flask import current_app, render_template, request

from flask10x.database.error_codes import QueryTooLong, reason_of
from flask10x.readings.times import local_text, zone_name
from flask10x.runtime.store import Store
from flask10x.system import clock
from flask10x.translation import N_, Translation
from flask10x.web import access, administrators, context, preferences
from flask10x.web.alerts import AlertReader
from flask10x.web.cards import trial_command
from flask10x.web.page import Page
from flask10x.web.pages.home import model
from flask10x.web.pages.home.model import CLOCK, Home, in_words
from flask10x.web.read_errors import UNREADABLE
from flask10x.web.senders import sending

log = logging.getLogger(__name__)
blueprint = Page("home", __name__, text=N_("Home"), place="head")


# The readings that an open page has heard of (`/events`).
HEARD = "Flask10X-Last-Id"
# Open pages hear of a reading at once and ask within 0.4 s (static/live.js).
SHARED_SEC = 1.0
# Languages, colours and the wall make some of them.
SHARED_MAX = 16


@blueprint.get("/", guard="open", without_store=True)
def as_page() -> str:
    """A tile for each station; with `kiosk=1` for a tablet on the wall.

    Who may not see readings gets the links alone, and the same while they can't be read.
    """
    heard = request.headers.get(HEARD, type=int)
    if heard is None:
        return _made()
    chosen = preferences.language(), preferences.theme(), access.current().lets_read()
    second = time.monotonic() // SHARED_SEC
    return _shared(context.store_or_waiting(), request.url, *chosen, _may_set_up(), heard, second)


@lru_cache(SHARED_MAX)
def _shared(*_shown: object) -> str:
    """Make a page for these arguments once: fifty open pages ask for it at each reading."""
    return _made()


def _may_set_up() -> bool:
    """Whether the browser is an administrator's, which may make rules of tiles."""
    return "setup" in current_app.blueprints and administrators.browser() is not None


def _made() -> str:
    """The page for this request."""
    settings, t, now_ms = context.store_or_waiting().settings, preferences.texts(), clock.now_ms()
    home, obstacle = _shown(t)
    may_begin = home is not None and not home.tiles and settings.setup != "off"
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
        may_set_up=_may_set_up(),
        colours=settings.stations.colours,
        reader=AlertReader(settings, t, now_ms),
        # Boards that could be added, for those who may see readings.
        senders=sending(context.store(), t) if home else [],
        # Whether the first steps lead on from a house without readings.
        may_begin=may_begin,
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
