"""What the application answers when a view fails: wrong query, unreadable database, a fault."""

import logging

from flask import Flask, Response, current_app, jsonify, render_template
from sqlalchemy.exc import DBAPIError, TimeoutError
from werkzeug.exceptions import HTTPException

from flask10x.database.error_codes import reason_of
from flask10x.errors import QueryError
from flask10x.web.limits import RETRY_AFTER_SEC
from flask10x.web.page import Guard, route_of_request

log = logging.getLogger(__name__)

# What a database that can't be read raises: SQLite's own errors, or no free connection in time.
UNREADABLE = (DBAPIError, TimeoutError)
# Of the routes that need the database to be read, and nothing else.
READING: frozenset[Guard] = frozenset({"read", "notes", "setup"})


def init_app(app: Flask) -> None:
    """Answer for all views; a blueprint may answer otherwise for its own."""
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(QueryError, _invalid)
    for kind in UNREADABLE:
        app.register_error_handler(kind, _unavailable)
    app.register_error_handler(Exception, _unexpected)


def _http_error(error: HTTPException) -> Response:
    """Flask's own refusals (404, 405, ...) as short JSON, their headers kept."""
    answer = error.get_response()
    answer.set_data(jsonify(error=error.name.lower()).get_data())
    answer.content_type = "application/json"
    return Response(answer.get_data(), answer.status_code, answer.headers)


def _invalid(error: QueryError) -> tuple[Response, int]:
    """400: what is wrong with a query string, or with a form, by field."""
    return jsonify(error="invalid query", details=error.details), 400


def _unavailable(error: Exception) -> Response | tuple[Response, int]:
    """503 for who reads, as a page where a page was asked for; for a sensor it is a fault."""
    route = route_of_request()
    if route is None or route.without_store or route.guard not in READING:
        return _unexpected(error)
    log.error("Cannot read the database: %s", reason_of(error))
    body: str | Response = jsonify(error="database unavailable")
    if route.is_page:
        body = render_template("unavailable.html", seconds=RETRY_AFTER_SEC)
    return not_now(current_app.make_response(body))


def _unexpected(error: Exception) -> tuple[Response, int]:
    log.error("Unexpected failure", exc_info=error)
    return jsonify(error="internal server error"), 500


def not_now(answer: Response) -> Response:
    """Return the answer as a 503 that says when to ask again."""
    answer.status_code = 503
    answer.headers["Retry-After"] = str(RETRY_AFTER_SEC)
    return answer
