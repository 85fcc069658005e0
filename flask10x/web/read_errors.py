"""What the reading routes answer when they can't: a wrong query string, an unreadable database."""

import logging

from flask import Blueprint, Response, current_app, jsonify, render_template, request
from sqlalchemy.exc import DBAPIError, TimeoutError

from flask10x.database.error_codes import reason_of
from flask10x.errors import QueryError
from flask10x.web.limits import RETRY_AFTER_SEC

log = logging.getLogger(__name__)

# What a database that can't be read raises: SQLite's own errors, or no free connection in time.
UNREADABLE = (DBAPIError, TimeoutError)


def register(blueprint: Blueprint) -> None:
    """Answer 400 and 503 for all views of the blueprint, as a page where `as_page` was asked."""
    blueprint.register_error_handler(QueryError, invalid)
    for kind in UNREADABLE:
        blueprint.register_error_handler(kind, _unavailable)


def invalid(error: QueryError) -> tuple[Response, int]:
    """400: what is wrong with a query string, or with a form, by field."""
    return jsonify(error="invalid query", details=error.details), 400


def _unavailable(error: Exception) -> Response:
    log.error("Cannot read the database: %s", reason_of(error))
    body: str | Response = jsonify(error="database unavailable")
    if str(request.endpoint).endswith(".as_page"):
        body = render_template("unavailable.html", seconds=RETRY_AFTER_SEC)
    return not_now(current_app.make_response(body))


def not_now(answer: Response) -> Response:
    """Return the answer as a 503 that says when to ask again."""
    answer.status_code = 503
    answer.headers["Retry-After"] = str(RETRY_AFTER_SEC)
    return answer
