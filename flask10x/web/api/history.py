"""The history as JSON, as files and as lines of charts, from the query string of the page.

Contract, section 2; parameters, cursors and examples are in docs/en/reference/http-api.md.
"""

import logging
import threading
from collections.abc import Iterator
from dataclasses import replace

from flask import Response, jsonify, request, url_for

from flask10x.database.error_codes import QueryTooLong, reason_of
from flask10x.errors import QueryError
from flask10x.history import charts, derived_lines, formats, pages
from flask10x.history.comparison import compared
from flask10x.history.pages import HistoryPage
from flask10x.history.parameters import CSV, JSON, JSON_FILE, SERIES, QueryDefaults, parse_query
from flask10x.history.query import Query
from flask10x.readings.times import LocalText, iso_text
from flask10x.system import clock
from flask10x.system.pace import Pace
from flask10x.web import context, preferences, read_errors
from flask10x.web.alerts import alerts_of_chart
from flask10x.web.api.series import bands, compared_lines, hours_above, nights
from flask10x.web.files import download
from flask10x.web.limits import DOWNLOADS_MAX
from flask10x.web.notes import beside_chart
from flask10x.web.page import Routes
from flask10x.web.read_errors import not_now

log = logging.getLogger(__name__)
blueprint = Routes("history", __name__)

JSON_TYPE = "application/json"
# The page asks for it by `Accept`; who asks for nothing of the kind gets plain JSON.
PACKED_TYPE = "application/vnd.flask10x.series+json"
_pace = Pace()
_downloads = threading.BoundedSemaphore(DOWNLOADS_MAX)


@blueprint.get("/history/json")
def as_json() -> Response:
    """Answer with an array of readings; the neighbouring pages are in the Link header.

    X-Last-Id is the id up to which the answer has seen the log: the next query's `since`. A page
    that is short because its search ended early has X-Searched-To.
    """
    store, query = context.store(), _query(JSON)
    # Who follows the log asks for what comes after an id: no standby has forgotten one.
    with context.view() as view:
        if query.newer_than is None:
            page = pages.page(view, query, pages.patience_sec(store.settings))
            last = view.last_id
        else:
            newer = pages.newer(view, query, query.newer_than)
            page, last = HistoryPage(newer.rows, None, None), newer.last_id
    text_of = LocalText(store.settings.zone)
    objects = [formats.as_object(row, query, text_of) for row in page.rows]
    answer = Response(formats.json_text(objects) + "\n", mimetype="application/json")
    answer.headers["X-Last-Id"] = str(last)
    if page.reached is not None:
        answer.headers["X-Searched-To"] = iso_text(page.reached, store.settings.zone)
    # Relative (RFC 8288), for HTTP/1.0 clients name no host.
    links = [
        f'<{url_for("history.as_json")}?{query.query_string(cursor)}>; rel="{name}"'
        for name, cursor in (("next", page.next), ("prev", page.prev))
        if cursor
    ]
    if links:
        answer.headers["Link"] = ", ".join(links)
    return answer


@blueprint.get("/history.csv")
def as_csv() -> Response:
    """Stream every row of the query, or as many as its limit says."""
    store, query = context.store(), _query(CSV)
    rows = pages.rows_in_pages(store.database, query)
    chunks = formats.csv_chunks(query, rows, store.settings.zone)
    return _download(chunks, "text/csv; charset=utf-8", formats.file_name(query, ".csv"))


@blueprint.get("/history.json")
def as_json_file() -> Response:
    """Stream the same rows as one array, as a file to keep."""
    store, query = context.store(), _query(JSON_FILE)
    rows = pages.rows_in_pages(store.database, query)
    chunks = formats.json_chunks(query, rows, store.settings.zone)
    return _download(chunks, "application/json", formats.file_name(query, ".json"))


@blueprint.get("/history/series")
def as_series() -> Response:
    """Answer with the readings as lines of a chart (docs/en/reference/http-api.md).

    It is a 503 when the query takes too long only because the roll-ups are behind.
    """
    kind = request.accept_mimetypes.best_match([JSON_TYPE, PACKED_TYPE]) or JSON_TYPE
    is_packed = kind == PACKED_TYPE
    store, query, behind = context.store(), replace(_query(SERIES), is_drawn=is_packed), None
    try:
        with context.view() as view:
            behind = charts.waits_for_rollups(view, query)
            window = charts.window_of(view, query)
            chart = derived_lines.chart(view, query, window)
            # A chart without an end goes on until now.
            until_ms = chart.window.last_ms if chart.window else 0
            until_ms = until_ms if query.until else max(until_ms, clock.now_ms())
            comparison = compared(view, query, chart, until_ms)
            first_ms = charts.first_ms(view, query)
            begun = charts.begun_before(view, query, chart)
            removed_ms = charts.removed_ms(view, query, chart.window)
            above = hours_above(view, query, chart) if is_packed else []
            marks = beside_chart(view, query, window, preferences.texts())
    except QueryTooLong:
        if behind is None:
            raise
        progress = {"done": behind.done, "of": behind.of}
        return not_now(jsonify(error="the charts are being prepared", rollups_behind=progress))
    t, place, window = preferences.texts(), store.settings.place, chart.window
    step = derived_lines.step_of_averages(window).name if query.derived and window else None
    beside = {
        "first_ms": first_ms,
        "removed_ms": removed_ms,
        "alerts": alerts_of_chart(chart, store.settings, t),
        "bands": bands(chart.lines, t),
        **({"hours_above": above} if is_packed else {}),
        "nights": nights(place, window.first_ms, until_ms) if place and window else None,
        # Of which averages derived values are computed.
        "derived_step": step,
        "compared": compared_lines(comparison),
        **marks,
    }
    lines = formats.chart_object(chart, store.settings.zone, query.now_ms, begun) | beside
    body = formats.json_text(formats.packed(lines) if is_packed else lines, is_dense=is_packed)
    answer = Response(body + "\n", mimetype=kind)
    # What alerts and bands are called is in the reader's language.
    answer.vary.update(("Accept", "Accept-Language", "Cookie"))
    return answer


def _query(defaults: QueryDefaults) -> Query:
    pairs = list(request.args.items(multi=True))
    return parse_query(pairs, context.store().settings, clock.now_ms(), defaults)


def _download(chunks: Iterator[str], content_type: str, name: str) -> Response:
    if not _downloads.acquire(blocking=False):
        if (more := _pace.turn("downloads")) is not None:
            log.warning("Download refused: %d are on their way already%s", DOWNLOADS_MAX, more)
        return not_now(jsonify(error="too many downloads at once"))
    body = _body(chunks)
    # The first rows are read before the status is sent, so that an unreadable database is a 503 and
    # not an empty file.
    next(body)
    return download(body, content_type, name)


def _body(chunks: Iterator[str]) -> Iterator[str]:
    """Yield an empty text once the first chunk is there, then all chunks.

    At its end another download may begin. A later error is logged, and the server then closes the
    connection without the end of the body.
    """
    try:
        first = next(chunks)
        yield ""
        try:
            yield first
            yield from chunks
        except (*read_errors.UNREADABLE, QueryError) as error:
            reason = str(error) if isinstance(error, QueryError) else reason_of(error)
            log.error("Download broken off: %s", reason)
            raise
    finally:
        _downloads.release()
