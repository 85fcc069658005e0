"""The page `/status`: one question after the other, answered from what the service knows.

It is for the moments in which something is wrong, so it needs no database, waits for nothing for
long, and is always a 200: what it cannot tell it says so.
"""

from flask import render_template, request

from flask10x.readings.times import local_text
from flask10x.system import clock
from flask10x.translation import N_
from flask10x.web import context, preferences
from flask10x.web.alert_state import state
from flask10x.web.page import Page
from flask10x.web.pages.devices.view import address
from flask10x.web.pages.status import answers
from flask10x.web.pages.status.answers import MOODS, Mood, StatusAnswer, known
from flask10x.web.specification import state as specified

blueprint = Page(
    "status_page", __name__, text=N_("Status"), group="more", operations=specified.status
)


@blueprint.get("/status", without_store=True)
def as_page() -> str:
    """The shown, in the order in which a reading goes."""
    store, t, now_ms = context.store_or_waiting(), preferences.texts(), clock.now_ms()
    settings, found = store.settings, known(store, now_ms)
    host, port = address(request.host)
    shown = (
        answers.received(store, found, t, host, port),
        answers.stored(store, found, t),
        answers.exported(settings, found, t, now_ms),
        answers.backed_up(settings, found, t, now_ms, host),
        answers.card(settings, found, t, now_ms),
        *answers.kept(settings, found, t, now_ms),
        answers.alerting(settings, state(), found, t, now_ms),
    )
    whole = _whole(shown)
    return render_template(
        "status/template.html",
        answers=shown,
        whole=whole,
        named=[one for one in shown if one.mood == whole] if whole != "good" else [],
        time=local_text(now_ms, settings.zone),
    )


def _whole(shown: tuple[StatusAnswer, ...]) -> Mood:
    """The worst of them; what nobody uses is no worry."""
    worst = max((one.mood for one in shown), key=MOODS.index)
    return "good" if worst == "off" else worst
