"""The page `/devices`: how each board sends, what is wrong with it, and a program for it."""

from collections.abc import Iterator

from flask import Response, abort, render_template

from flask10x.database import counters
from flask10x.errors import nearest
from flask10x.history.rhythm import Rhythm, rhythms
from flask10x.readings.labels import moment
from flask10x.readings.reasons import for_people, in_language
from flask10x.recording import rejected
from flask10x.recording.entry import WARNINGS
from flask10x.recording.rejected import RejectedRow, Selection
from flask10x.system.last_requests import UnknownName
from flask10x.system.wording import escape
from flask10x.translation import N_, Translation
from flask10x.web import context, preferences, programs, senders
from flask10x.web.files import download
from flask10x.web.page import Page
from flask10x.web.programs import KINDS

blueprint = Page(
    "devices",
    __name__,
    text=N_("Sensors"),
    group="setup",
    icon="M7 7h10v10H7zm3-4v4m4-4v4m-4 10v4m4-4v4M3 10h4m-4 4h4m10-4h4m-4 4h4",
)

# A difference below this is the way of a request, not a clock.
CLOCK_AGREES_SEC = 2.0
# Intervals of minutes need no tenths.
TENTHS_BELOW_SEC = 10
# Of all stations together: the table has no index by station.
REJECTED_LOOKED_AT = 500
REJECTED_SHOWN = 3


@blueprint.get("/devices")
def as_page() -> str:
    """All boards, in the order of pages."""
    store, t = context.store(), preferences.texts()
    with context.view() as view:
        now_ms = view.now_ms
        rhythm_of = rhythms(view.connection, view.stations.all, view.now_ms)
        warnings = counters.values_like(view.connection, WARNINGS)
        rows = rejected.page(view.connection, Selection(), None, REJECTED_LOOKED_AT).rows
    # A row that was written over keeps its old id.
    newest_first = sorted(rows, key=lambda row: row.received_at, reverse=True)
    devices = [
        {
            "station": station,
            # The last one since the service started.
            "request": store.gauges.last_request(station.endpoint),
            "rhythm": _rhythm(rhythm_of[station.endpoint], t, now_ms),
            # Path of a field to how many stored readings had a fault or nothing there.
            "warned": {
                name.removeprefix(f"{station.endpoint}."): times
                for name, times in warnings.items()
                if name.startswith(f"{station.endpoint}.")
            },
            "rejected": [row for row in newest_first if row.endpoint == station.endpoint][
                :REJECTED_SHOWN
            ],
            # Asks what would become of a reading, and stores nothing.
            "trial": programs.trial(station),
            "programs": {kind: programs.program(kind, station, t) for kind in KINDS},
        }
        for station in store.settings.stations.ordered
    ]
    return render_template(
        "devices/template.html",
        devices=devices,
        unknown=[(each, *_meant(each)) for each in senders.unknown_names(store)],
        senders=senders.sending(store, t),
        looked_at=REJECTED_LOOKED_AT,
        local_time=lambda ms: moment(ms, store.settings.zone, t, now_ms),
        visible=escape,
        body_text=rejected.text_of,
        why=lambda reading: _why(reading, t),
    )


@blueprint.get("/devices/<name>/<kind>")
def as_program(name: str, kind: str) -> Response:
    """One program for the station of this name, to download; 404 for what there is not."""
    station = context.store().settings.stations.by_endpoint.get(name)
    if station is None or kind not in KINDS:
        abort(404)
    text = programs.program(kind, station, preferences.texts())
    answer = download(text, "text/plain; charset=utf-8", f"{name}-{kind}")
    answer.vary.update(("Accept-Language", "Cookie"))
    return answer


def _meant(unknown: UnknownName) -> tuple[str, str]:
    """The path of the station that may be meant, and the command that adds one of this name.

    The path is empty where none is near, the command where only the path is written otherwise.
    """
    stations = context.store().settings.stations.by_endpoint
    if unknown.name in stations:
        return f"/{unknown.name}", ""
    near = nearest(unknown.name, stations)
    return f"/{near}" if near else "", f"flask10x stations add {unknown.name}"


def _rhythm(rhythm: Rhythm, t: Translation, now_ms: int) -> Iterator[str]:
    """Yield how regularly a station sends, in sentences."""
    n = f"{rhythm.readings:,}"
    if not rhythm.readings:
        yield t("No reading in the last 24 hours.")
        return
    if rhythm.since_ms is None:
        yield t("Readings in the last 24 hours: {n}", n=n)
    else:
        since = moment(rhythm.since_ms, context.store().settings.zone, t, now_ms)
        yield t("The newest {n} readings, since {since}", n=n, since=since)
    if rhythm.usual_sec is None or rhythm.low_sec is None or rhythm.high_sec is None:
        yield t("Too few readings to tell how often it sends.")
    else:
        usual, low, high = map(_seconds, (rhythm.usual_sec, rhythm.low_sec, rhythm.high_sec))
        sentence = N_("Usually every {usual} s; 80 % of the time {low} to {high} s")
        if low == high:
            sentence = N_("Every {usual} s, evenly")
        yield t(sentence, usual=usual, low=low, high=high)
        if rhythm.gaps:
            longest = t.duration(round(rhythm.longest_gap_sec or 0))
            yield t("Gaps: {n}, the longest {longest}", n=f"{rhythm.gaps:,}", longest=longest)
        else:
            yield t("No gap")
    yield _clock(rhythm.lag_sec, t)


def _clock(lag_sec: float | None, t: Translation) -> str:
    if lag_sec is None:
        return t("It sends no times of its own; the time of arrival counts.")
    if abs(lag_sec) < CLOCK_AGREES_SEC:
        return t("Its clock agrees with the server's.")
    sentence = N_("Its clock is {lag} ahead of the server's.")
    if lag_sec > 0:
        sentence = N_(
            "Its readings are at least {lag} old when they arrive: its clock is behind, "
            "or it always sends late."
        )
    return t(sentence, lag=t.duration(round(abs(lag_sec))))


def _seconds(value: float) -> str:
    return f"{value:.1f}" if value < TENTHS_BELOW_SEC else f"{value:.0f}"


def _why(reading: RejectedRow, t: Translation) -> str:
    """All reasons in one line, in the reader's language where they are known in it."""
    shown = for_people(reading.reasons, reading.hint).items()
    parts = [f"{path}: {in_language(why, t)}" for path, why in shown]
    parts += [in_language(reading.hint, t)] if reading.hint else []
    return escape("; ".join(parts))
