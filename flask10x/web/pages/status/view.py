"""The page `/status`: the health of the house, each station and what keeps the readings.

It is for the moments in which something is wrong, so it needs no database, waits for nothing for
long, and is always a 200: it shows which checks it could not make. The pages that it replaces
redirect there.
"""

from flask import Response, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from flask10x.health.checks import LEVELS
from flask10x.readings.labels import moment
from flask10x.recording.rejected import text_of
from flask10x.runtime.store import Store
from flask10x.system import clock
from flask10x.system.wording import escape
from flask10x.translation import N_
from flask10x.web import context, preferences, programs, senders
from flask10x.web.facts import gathered
from flask10x.web.files import download
from flask10x.web.page import Page
from flask10x.web.pages.status.answers import PLACES, answers, shown
from flask10x.web.pages.status.sensors import REJECTED_LOOKED_AT, Sensors, asked_for, meant
from flask10x.web.pages.status.uptime import as_uptime
from flask10x.web.shell import how_it_runs

blueprint = Page(
    "status_page", __name__, text=N_("Health"), place="menu", icon="M3 12h4l3-7 4 14 3-7h4"
)
blueprint.get("/api/v1/uptime")(as_uptime)


@blueprint.get("/status", without_store=True)
def as_page() -> str:
    """What is wrong, the stations, and a card for each part of what keeps the readings.

    `sensor` asks for what a station has sent last, and for the programs of its board.
    """
    store, t, now_ms = context.store_or_waiting(), preferences.texts(), clock.now_ms()
    sensors, asked = Sensors(), request.args.get("sensor", "")
    facts = gathered(store, now_ms, lambda view, found: sensors.read(view, found, asked, t))
    page = answers(store, facts, t, now_ms)
    worst = max((answer.level for answer in page), key=LEVELS.index)
    # What is not in use is no worry.
    whole = "good" if worst == "off" else worst
    named = [answer for level in ("wrong", "warn") for answer in page if answer.level == level]
    if whole == "unknown":
        named = [answer for answer in page if answer.level == whole]
    unknown = []
    if isinstance(store, Store):
        unknown = [(each, *meant(each)) for each in senders.unknown_names(store)]
    return render_template(
        "status/template.html",
        answers={answer.check: answer for answer in page},
        whole=whole,
        remedy=lambda one: shown(one, store.settings, t),
        places=PLACES if store.settings.setup == "on" else {},
        # What the first line says.
        named=named,
        receiving=[
            row
            for row in sensors.rows
            if row.card.silence.state == "receiving" and not row.card.station.retired
        ],
        sensors=sensors,
        why_no_rows=facts.reasons.get("rows", ""),
        asked=asked,
        asked_for=lambda: asked_for(asked, t),
        unknown=unknown,
        senders=senders.sending(store, t) if isinstance(store, Store) else (),
        looked_at=REJECTED_LOOKED_AT,
        visible=escape,
        body_text=text_of,
        manner=how_it_runs()[0],
        local_time=lambda ms: moment(ms, store.settings.zone, t, now_ms),
        now_ms=now_ms,
    )


@blueprint.get("/devices", without_store=True)
def as_devices() -> AnyResponse:
    """The former page of the boards; a browser keeps the part: `/devices#data`."""
    return redirect(url_for("status_page.as_page"), 308)


@blueprint.get("/uptime", without_store=True)
def as_days() -> AnyResponse:
    """The former page of the shares that arrived."""
    return redirect(url_for("status_page.as_page", _anchor="received"), 308)


@blueprint.get("/devices/<name>/<kind>")
def as_program(name: str, kind: str) -> Response:
    """One program for the station of this name, to download; 404 for what there is not."""
    station = context.store().settings.stations.by_endpoint.get(name)
    if station is None or kind not in programs.KINDS:
        abort(404)
    text = programs.program(kind, station, preferences.texts())
    answer = download(text, "text/plain; charset=utf-8", f"{name}-{kind}")
    answer.vary.update(("Accept-Language", "Cookie"))
    return answer
