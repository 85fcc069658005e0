"""Reading back: the history as JSON and as files, from the query string of the page.

Contract, section 2; parameters, cursors and examples are in docs/en/reference/http-api.md.
"""

import logging
import threading
from collections.abc import Iterator
from http import HTTPStatus
from itertools import chain

from flask import Response, jsonify, request, url_for

from flask10x.database.cursors import Cursor
from flask10x.database.error_codes import QueryTooLong, reason_of
from flask10x.errors import QueryError
from flask10x.history import charts, derived_lines, formats, pages
from flask10x.history.charts import Chart
from flask10x.history.comparison import compared
from flask10x.history.pages import HistoryPage
from flask10x.history.parameters import CSV, JSON, JSON_FILE, SERIES, QueryDefaults, parse_query
from flask10x.history.query import Query
from flask10x.history.view import RollupProgress, View
from flask10x.readings.times import LocalText, iso_text
from flask10x.system import clock
from flask10x.system.logs import Pace
from flask10x.web import context, preferences, read_errors
from flask10x.web.api.series import bands, compared_lines, nights
from flask10x.web.limits import DOWNLOADS_MAX, RETRY_AFTER_SEC
from flask10x.web.page import Routes
from flask10x.web.pages.alerts import marks
from flask10x.web.pages.notes.objects import beside_chart

log = logging.getLogger(__name__)
blueprint = Routes("history", __name__)
read_errors.register(blueprint)

_pace = Pace()
_downloads = threading.BoundedSemaphore(DOWNLOADS_MAX)


@blueprint.get("/history/json")
def as_json() -> Response:
    """An array of readings; the neighbouring pages are in the Link header.

    X-Last-Id is the id up to which the answer has seen the log: the next query's `since`.
    X-Searched-To stands on a page that is short because its search ended early.
    """
    store, query = context.store(), _query(JSON)
    with context.view() as view:
        page, last = _page_or_newer(view, query)
    text_of = LocalText(store.settings.zone)
    objects = [formats.as_object(row, query, text_of) for row in page.rows]
    answer = Response(formats.json_text(objects) + "\n", mimetype="application/json")
    answer.headers["X-Last-Id"] = str(last)
    if page.reached is not None:
        answer.headers["X-Searched-To"] = iso_text(page.reached, store.settings.zone)
    if links := _links(query, page):
        answer.headers["Link"] = links
    return answer


@blueprint.get("/history.csv")
def as_csv() -> Response:
    """Every row of the query, streamed, unless it has a limit."""
    store, query = context.store(), _query(CSV)
    rows = pages.rows_in_pages(store.database, query)
    chunks = formats.csv_chunks(query, rows, store.settings.zone)
    return _download(chunks, "text/csv; charset=utf-8", formats.file_name(query, ".csv"))


@blueprint.get("/history.json")
def as_json_file() -> Response:
    """The same rows as one array, streamed, as a file to keep."""
    store, query = context.store(), _query(JSON_FILE)
    rows = pages.rows_in_pages(store.database, query)
    chunks = formats.json_chunks(query, rows, store.settings.zone)
    return _download(chunks, "application/json", formats.file_name(query, ".json"))


@blueprint.get("/history/series")
def as_series() -> Response:
    """The readings as lines of a chart (docs/en/reference/http-api.md).

    503 when it takes too long only because the roll-ups are behind; the query is not at fault.
    """
    store, query, behind = context.store(), _query(SERIES), None
    try:
        with context.view() as view:
            behind = charts.waits_for_rollups(view, query)
            chart = derived_lines.chart(view, query)
            comparison = compared(view, query, chart, _shown_until(query, chart))
            first_ms = charts.first_ms(view, query)
            removed_ms = charts.removed_ms(view, query, chart.window)
            noted = beside_chart(view, query, chart, preferences.texts())
    except QueryTooLong:
        if behind is None:
            raise
        return _being_prepared(behind)
    t = preferences.texts()
    beside = {
        "first_ms": first_ms,
        "removed_ms": removed_ms,
        "alerts": marks.of_chart(chart, store.settings, t),
        "bands": bands(chart.lines, t),
        "nights": _nights(query, chart),
        "derived_step": _derived_step(query, chart),
        "compared": compared_lines(comparison),
        **noted,
    }
    lines = formats.chart_object(chart, store.settings.zone, query.now_ms)
    body = formats.json_text(lines | beside)
    answer = Response(body + "\n", mimetype="application/json")
    # What alerts and bands are called is in the reader's language.
    answer.vary.update(("Accept-Language", "Cookie"))
    return answer


def _derived_step(query: Query, chart: Chart) -> str | None:
    """Of which averages derived values are computed; None where none were asked for."""
    if not query.derived or chart.window is None:
        return None
    return derived_lines.step_of_averages(chart.window).name


def _nights(query: Query, chart: Chart) -> list[tuple[int, int]] | None:
    """None where no place is set."""
    place = context.store().settings.place
    if place is None or chart.window is None:
        return None
    return nights(place, chart.window.first_ms, _shown_until(query, chart))


def _shown_until(query: Query, chart: Chart) -> int:
    """The end of the axis of time: a chart without an end goes on until now."""
    last_ms = chart.window.last_ms if chart.window else 0
    return last_ms if query.until else max(last_ms, clock.now_ms())


def _query(defaults: QueryDefaults) -> Query:
    pairs = list(request.args.items(multi=True))
    return parse_query(pairs, context.store().settings, clock.now_ms(), defaults)


def _links(query: Query, page: HistoryPage) -> str:
    """The Link header (RFC 8288), relative, for HTTP/1.0 clients name no host."""
    ends = (("next", page.next), ("prev", page.prev))
    return ", ".join(
        f'<{_url("as_json", query, cursor)}>; rel="{name}"' for name, cursor in ends if cursor
    )


def _page_or_newer(view: View, query: Query) -> tuple[HistoryPage, int]:
    """The rows asked for, and the id up to which the log was seen."""
    if query.newer_than is None:
        patience_sec = pages.patience_sec(context.store().settings)
        return pages.page(view, query, patience_sec), view.last_id
    newer = pages.newer(view, query, query.newer_than)
    return HistoryPage(newer.rows, None, None), newer.last_id


def _download(chunks: Iterator[str], content_type: str, name: str) -> Response:
    if not _downloads.acquire(blocking=False):
        return _too_many()
    body = _body(chunks)
    # The first rows are read before the status goes out, so that a database that can't be read
    # is a 503 and not an empty file.
    next(body)
    answer = Response(body, content_type=content_type)
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _being_prepared(progress: RollupProgress) -> Response:
    answer = jsonify(
        error="the charts are being prepared",
        rollups_behind={"done": progress.done, "of": progress.of},
    )
    answer.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    answer.headers["Retry-After"] = str(RETRY_AFTER_SEC)
    return answer


def _too_many() -> Response:
    more = _pace.turn("downloads")
    if more is not None:
        log.warning("Download refused: %d are on their way already%s", DOWNLOADS_MAX, more)
    answer = jsonify(error="too many downloads at once")
    answer.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    answer.headers["Retry-After"] = str(RETRY_AFTER_SEC)
    return answer


def _url(view: str, query: Query, cursor: Cursor | None = None, *, limit: bool = True) -> str:
    path, text = url_for(f"history.{view}"), query.query_string(cursor, limit=limit)
    return f"{path}?{text}" if text else path


def _body(chunks: Iterator[str]) -> Iterator[str]:
    """Nothing, when the first chunk is there, then all chunks.

    At its end another download may begin. Later errors are logged, and the server then closes
    without the body's end.
    """
    try:
        first = next(chunks)
        yield ""
        yield from _to_the_end(chain([first], chunks))
    finally:
        _downloads.release()


def _to_the_end(chunks: Iterator[str]) -> Iterator[str]:
    try:
        yield from chunks
    except (*read_errors.UNREADABLE, QueryError) as error:
        reason = str(error) if isinstance(error, QueryError) else reason_of(error)
        log.error("Download broken off: %s", reason)
        raise
