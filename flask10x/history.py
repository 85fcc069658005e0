"""Reading back: the history as JSON, as a page and as files, all from one query string.

Contract, section 2; parameters, cursors and examples are in docs/history.md.
"""

import json
import logging
import time
from collections.abc import Iterator
from itertools import chain

from flask import Blueprint, Response, current_app, jsonify, render_template, request, url_for
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, TimeoutError

from flask10x import downloads, queries, series
from flask10x.cursors import Cursor
from flask10x.errors import QueryError
from flask10x.filters import CSV, HTML, JSON, JSON_FILE, MAX_LIMIT, SERIES, View, parse_query
from flask10x.operators import OPERATORS, UNITS
from flask10x.queries import Page, Row
from flask10x.question import Query
from flask10x.sqlite import last_id, reason_of
from flask10x.stations import BY_ENDPOINT, COLUMNS, STATIONS
from flask10x.store import Store
from flask10x.times import LocalText, local_text

log = logging.getLogger(__name__)
blueprint = Blueprint("history", __name__)

# What a database that can't be read raises: SQLite's own errors, or no free connection in time.
UNREADABLE = (DBAPIError, TimeoutError)
# A locked or full database is usually well again within seconds.
RETRY_AFTER_SEC = 5
Body = str | Response
Answer = tuple[Body, int] | Response


@blueprint.get("/history/json")
def as_json() -> Answer:
    """An array of readings; the neighbouring pages are in the Link header.

    X-Last-Id is the id up to which the answer has seen the log: the next question's `since`.
    """
    store, query = _store(), _asked(JSON)
    with store.database.query() as connection:
        page, last = _page_or_newer(connection, query)
    text_of = LocalText(store.settings.zone)
    objects = [downloads.as_object(row, query, text_of) for row in page.rows]
    body = json.dumps(objects, allow_nan=False)
    answer = Response(body + "\n", mimetype="application/json")
    answer.headers["X-Last-Id"] = str(last)
    if links := _links(query, page):
        answer.headers["Link"] = links
    return answer


@blueprint.get("/history.csv")
def as_csv() -> Answer:
    """Every row of the query, streamed, unless it has a limit."""
    store, query = _store(), _asked(CSV)
    pages = queries.rows_in_pages(store.database, query)
    chunks = downloads.csv_chunks(query, pages, store.settings.zone)
    return _download(chunks, "text/csv; charset=utf-8", downloads.file_name(query, ".csv"))


@blueprint.get("/history.json")
def as_json_file() -> Answer:
    """The same rows as one array, streamed, as a file to keep."""
    store, query = _store(), _asked(JSON_FILE)
    pages = queries.rows_in_pages(store.database, query)
    chunks = downloads.json_chunks(query, pages, store.settings.zone)
    return _download(chunks, "application/json", downloads.file_name(query, ".json"))


@blueprint.get("/history/series")
def as_series() -> Answer:
    """The readings as lines of a chart (docs/series.md)."""
    store, query = _store(), _asked(SERIES)
    with store.database.query() as connection:
        chart = series.chart(connection, query)
    body = json.dumps(downloads.chart_object(chart, store.settings.zone), allow_nan=False)
    return Response(body + "\n", mimetype="application/json")


@blueprint.get("/history")
def as_page() -> Answer:
    """The same as a table for people, with a form for the query string."""
    try:
        query = _asked(HTML)
        with _store().database.query() as connection:
            page = queries.page(connection, query)
            last = queries.last_received(connection)
    except QueryError as error:
        return render_template("history.html", **_form(error.details)), 400
    return render_template("history.html", **_form({}), **_table(query, page, last)), 200


def _invalid(error: QueryError) -> Answer:
    return jsonify(error="invalid query", details=error.details), 400


def _unavailable(error: Exception) -> Answer:
    log.error("Cannot read the database: %s", reason_of(error))
    body: Body = jsonify(error="database unavailable")
    if request.endpoint == f"{blueprint.name}.{as_page.__name__}":
        body = render_template("unavailable.html", seconds=RETRY_AFTER_SEC)
    answer = current_app.make_response(body)
    answer.status_code = 503
    answer.headers["Retry-After"] = str(RETRY_AFTER_SEC)
    return answer


def _store() -> Store:
    store: Store = current_app.extensions["flask10x"]
    return store


def _asked(view: View) -> Query:
    pairs = list(request.args.items(multi=True))
    return parse_query(pairs, _store().settings, time.time_ns() // 1_000_000, view)


def _links(query: Query, page: Page) -> str:
    """The Link header (RFC 8288), relative, for HTTP/1.0 clients name no host."""
    ends = (("next", page.next), ("prev", page.prev))
    return ", ".join(
        f'<{_url("as_json", query, cursor)}>; rel="{name}"' for name, cursor in ends if cursor
    )


def _page_or_newer(connection: Connection, query: Query) -> tuple[Page, int]:
    """The rows asked for, and the id up to which the log was seen."""
    if query.newer_than is None:
        return queries.page(connection, query), last_id(connection)
    newer = queries.newer(connection, query, query.newer_than)
    return Page(newer.rows, None, None), newer.last_id


def _download(chunks: Iterator[str], content_type: str, name: str) -> Response:
    # The first chunk is read before the status goes out, so that a database that can't be read
    # is a 503 and not an empty file.
    body = chain([next(chunks)], _to_the_end(chunks))
    answer = Response(body, content_type=content_type)
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _url(view: str, query: Query, cursor: Cursor | None = None, *, limit: bool = True) -> str:
    path, asked = url_for(f"history.{view}"), query.query_string(cursor, limit=limit)
    return f"{path}?{asked}" if asked else path


def _to_the_end(chunks: Iterator[str]) -> Iterator[str]:
    """The chunks; an error is logged, and the server then closes without the body's end."""
    try:
        yield from chunks
    except (*UNREADABLE, QueryError) as error:
        reason = str(error) if isinstance(error, QueryError) else reason_of(error)
        log.error("Download broken off: %s", reason)
        raise


def _form(errors: dict[str, str]) -> dict[str, object]:
    """What the form shows: the parameters as they came, and what is wrong with them."""
    return {
        "args": request.args,
        "errors": errors,
        "stations": STATIONS,
        "columns": COLUMNS,
        "units": UNITS,
        "operators": OPERATORS.values(),
        "filters": sum("__" in name for name, value in request.args.items() if value.strip()),
        "wrong_filters": any("__" in name for name in errors),
        "limits": {"max": MAX_LIMIT, "default": _store().settings.history_max},
    }


def _table(query: Query, page: Page, last: dict[str, int | None]) -> dict[str, object]:
    zone = _store().settings.zone
    text_of, columns = LocalText(zone), query.columns
    return {
        "query": query,
        "headings": columns,
        "rows": [
            (text_of(row.received_at), row.endpoint, _cells(row, columns)) for row in page.rows
        ],
        "last": [
            (s.endpoint, None if at is None else local_text(at, zone))
            for s in query.stations
            for at in [last[s.endpoint]]
        ],
        "urls": {
            "next": page.next and _url("as_page", query, page.next),
            "prev": page.prev and _url("as_page", query, page.prev),
            "start": query.cursor and _url("as_page", query),
            "csv": _url("as_csv", query, limit=False),
            "json_file": _url("as_json_file", query, limit=False),
            "json": _url("as_json", query, query.cursor),
        },
    }


def _cells(row: Row, columns: tuple[str, ...]) -> list[str]:
    """Each column's text: a dash for a missing value, nothing for a column of other stations."""
    values = dict(zip(BY_ENDPOINT[row.endpoint].columns, row.values, strict=True))
    return ["–" if values.get(c, "") is None else str(values.get(c, "")) for c in columns]


blueprint.register_error_handler(QueryError, _invalid)
for _kind in UNREADABLE:
    blueprint.register_error_handler(_kind, _unavailable)
