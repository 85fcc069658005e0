"""The page `/status`: one question after the other, answered from what the service knows.

It is for the moments in which something is wrong, so it needs no database, waits for nothing for
long, and is always a 200: what it cannot determine it says so.
"""

from flask import render_template

from flask10x.health.checks import LEVELS
from flask10x.readings.labels import moment
from flask10x.system import clock
from flask10x.translation import N_
from flask10x.web import context, preferences
from flask10x.web.page import Page
from flask10x.web.pages.status.answers import answers, shown
from flask10x.web.shell import how_it_runs

blueprint = Page(
    "status_page", __name__, text=N_("Status"), group="setup", icon="M3 12h4l3-7 4 14 3-7h4"
)


@blueprint.get("/status", without_store=True)
def as_page() -> str:
    """The answers, in the order in which a reading goes, and the worst of them."""
    store, t, now_ms = context.store_or_waiting(), preferences.texts(), clock.now_ms()
    page = answers(store, t, now_ms)
    worst = max((answer.level for answer in page), key=LEVELS.index)
    # What is not in use is no worry.
    whole = "good" if worst == "off" else worst
    named = [answer for level in ("wrong", "warn") for answer in page if answer.level == level]
    if whole == "unknown":
        named = [answer for answer in page if answer.level == whole]
    return render_template(
        "status/template.html",
        answers=page,
        whole=whole,
        remedy=lambda one: shown(one, store.settings, t),
        # What the first line says.
        named=named,
        manner=how_it_runs()[0],
        time=moment(now_ms, store.settings.zone, t, now_ms),
    )
