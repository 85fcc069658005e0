"""Rejected readings as a page and as JSON (docs/en/explanation/rejected-readings.md)."""

from collections.abc import Sequence

from flask import Response, render_template, request, url_for

from flask10x.database.cursors import Cursor
from flask10x.errors import QueryError
from flask10x.history.parameters import QueryDefaults, parse_query
from flask10x.history.query import Query
from flask10x.history.view import View
from flask10x.readings.labels import Moments, column_name, station_name
from flask10x.readings.reasons import Reason, for_people, in_language
from flask10x.readings.stations import Station
from flask10x.readings.times import local_text
from flask10x.recording import rejected
from flask10x.recording.rejected import RejectedPage, RejectedRow, Selection
from flask10x.system import clock
from flask10x.system.wording import escape
from flask10x.translation import N_, Translation
from flask10x.web import context, json_text, preferences
from flask10x.web.captions import caption, problems
from flask10x.web.cards import shown_stations
from flask10x.web.page import Page
from flask10x.web.shell import shell

blueprint = Page("rejected", __name__, text=N_("Rejected readings"), place="inside")

JSON = QueryDefaults(order="desc")
HTML = QueryDefaults(order="desc", blank_is_absent=True)
DEFAULT_LIMIT = 100
NEWEST_FIRST = Reason("newest_first_only")
NO_MEASUREMENTS = Reason("no_measurements")


@blueprint.get("/history/rejected/json")
def as_json() -> Response:
    """An array, the newest first; the neighbouring pages are in the Link header."""
    query = _query(JSON)
    with context.view() as view:
        page = _page(view, query)
    answer = json_text.answer([_as_object(reading) for reading in page.rows])
    ends = (("next", page.older), ("prev", page.newer))
    links = [f'<{_url("as_json", query, at)}>; rel="{name}"' for name, at in ends if at]
    if links:
        answer.headers["Link"] = ", ".join(links)
    return answer


@blueprint.get("/history/rejected")
def as_page() -> tuple[str, int]:
    """The same as a table for people."""
    with context.view() as view:
        stations = shown_stations(view, context.store(), request.args.getlist("endpoint"))
        try:
            query = _query(HTML)
        except QueryError as error:
            form = _form(stations, error.details)
            return render_template("status/rejected.html", **form), 400
        page = _page(view, query)
    urls = {
        "older": page.older and _url("as_page", query, page.older),
        "newer": page.newer and _url("as_page", query, page.newer),
        "json": _url("as_json", query, query.cursor),
    }
    t, now_ms = preferences.texts(), clock.now_ms()
    time_of = Moments(query.zone, t, now_ms, with_second=True)
    rows = [_as_cells(reading, time_of, t) for reading in page.rows]
    shown = {"query": query, "caption": caption(query, t, now_ms), "rows": rows}
    return render_template("status/rejected.html", **_form(stations, {}), **shown, urls=urls), 200


def _query(defaults: QueryDefaults) -> Query:
    pairs = list(request.args.items(multi=True))
    query = parse_query(pairs, context.store().settings, clock.now_ms(), defaults)
    errors = {each.name: NO_MEASUREMENTS for each in query.filters}
    errors |= {"measurement": NO_MEASUREMENTS} if query.narrowed else {}
    errors |= {"incomplete": NO_MEASUREMENTS} if query.incomplete else {}
    if query.order != "desc":
        errors["order"] = NEWEST_FIRST
    if errors:
        raise QueryError(errors)
    return query


def _page(view: View, query: Query) -> RejectedPage:
    selection = Selection(
        endpoints=query.endpoints,
        since_ms=query.since.ms if query.since else None,
        until_ms=query.until.ms if query.until else None,
    )
    return rejected.page(view.connection, selection, query.cursor, query.limit or DEFAULT_LIMIT)


def _url(view: str, query: Query, cursor: Cursor | None) -> str:
    path, text = url_for(f"{blueprint.name}.{view}"), query.query_string(cursor)
    return f"{path}?{text}" if text else path


def _as_object(reading: RejectedRow) -> dict[str, object]:
    zone, measured_at = context.store().settings.zone, reading.measured_at
    return {
        "id": reading.id,
        "endpoint": reading.endpoint,
        "timestamp": local_text(reading.received_at, zone),
        # Of a late one, that has said so.
        "measured_at": None if measured_at is None else local_text(measured_at, zone),
        "reasons": reading.reasons,
        "hint": reading.hint,
        "content_type": reading.media_type,
        "body": reading.body.decode("utf-8", "backslashreplace"),
        "body_bytes": reading.body_bytes,
        "reading_id": reading.reading_id,
    }


def _as_cells(reading: RejectedRow, time_of: Moments, t: Translation) -> dict[str, object]:
    """What the table shows, each text in a form that can play no tricks on a screen."""
    station = context.store().settings.stations.by_endpoint.get(reading.endpoint)
    names = {m.path: column_name(m, t) for m in station.measurements} if station else {}
    return {
        "id": reading.id,
        "time": time_of(reading.received_at),
        "measured_at": None if reading.measured_at is None else time_of(reading.measured_at),
        "endpoint": escape(reading.endpoint),
        "station": station and station_name(station, t),
        "reasons": [
            {"name": names.get(path), "path": escape(path), **_in_language(why, t)}
            for path, why in for_people(reading.reasons, reading.hint).items()
        ],
        "hint": reading.hint and _in_language(reading.hint, t),
        "body": rejected.text_of(reading.body),
        "more_bytes": reading.body_bytes - len(reading.body),
        "reading_id": reading.reading_id,
    }


def _in_language(reason: str, t: Translation) -> dict[str, str]:
    """A reason in the reader's language; one that has no translation stays English."""
    text = in_language(reason, t)
    return {"text": escape(text), "lang": "en" if text == reason else t.language}


def _form(stations: Sequence[Station], errors: dict[str, str]) -> dict[str, object]:
    settings = context.store().settings
    wrong = problems(errors, settings.stations, preferences.texts())
    replay = shell(settings).flask10x("rejected", "replay")
    return {"args": request.args, "problems": wrong, "stations": stations, "replay": replay}
