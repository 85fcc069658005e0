"""What a request needs to know of the service: its store, and its view of the database."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from math import ceil

from flask import Flask, Response, current_app, g, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from flask10x.database.server import DELAY_MAX_SEC
from flask10x.errors import StandbyFailed
from flask10x.history.view import View
from flask10x.runtime.store import Store
from flask10x.runtime.waiting import Waiting
from flask10x.system import clock
from flask10x.web.page import POSTING, guard_of_request

log = logging.getLogger(__name__)

# A browser that has changed something sees it: while it keeps this no standby answers it, and after
# that one has the change.
CHANGED = "flask10x-changed"


def init_app(app: Flask) -> None:
    """Let views read from a standby, where one is named."""
    app.register_error_handler(StandbyFailed, _again)
    app.after_request(_note_change)
    app.context_processor(lambda: {"late_sec": DELAY_MAX_SEC if g.get("is_late") else None})


def store() -> Store:
    """The store of the application that answers; it was made with the application."""
    opened: Store = current_app.extensions["flask10x"]
    return opened


def store_or_waiting() -> Store | Waiting:
    """The same for a view that answers while the database is missing, too."""
    opened: Store | Waiting = current_app.extensions["flask10x"]
    return opened


@contextmanager
def view() -> Iterator[View]:
    """The view of the database for this request: one snapshot, read within QUERY_TIMEOUT_SEC.

    Raises QueryTooLong, or what reading raises: `read_errors.UNREADABLE`.
    """
    with store().database.query() as connection:
        yield view_of(connection)


def may_be_late() -> bool:
    """Whether a standby may answer the request: it need not see what its browser has changed."""
    return not (g.get("needs_primary") or CHANGED in request.cookies)


@contextmanager
def late_view() -> Iterator[View]:
    """The same from a standby, where one is named, follows, and has what the browser has changed.

    What was stored within the last DELAY_MAX_SEC may be missing then. Also raises StandbyFailed, by
    which the view function is called once more, with the primary.
    """
    if may_be_late():
        with store().database.late_query() as connection:
            if connection is not None:
                g.is_late = True
                yield view_of(connection)
                return
    with view() as newest:
        yield newest


def _again(error: StandbyFailed) -> ResponseReturnValue:
    """Answer once more, from the primary."""
    log.warning("The primary answers, for the standby could not: %s", error)
    g.needs_primary, g.is_late = True, False
    answer: ResponseReturnValue = current_app.ensure_sync(
        current_app.view_functions[request.endpoint or ""]
    )(**(request.view_args or {}))
    return answer


def _note_change(answer: Response) -> Response:
    if not store_or_waiting().settings.database_read_url or request.method in ("GET", "HEAD"):
        return answer
    guard = guard_of_request()
    if answer.status_code < HTTPStatus.BAD_REQUEST and guard is not None and guard not in POSTING:
        answer.set_cookie(
            CHANGED,
            "1",
            max_age=ceil(DELAY_MAX_SEC),
            path=request.script_root or "/",
            secure=request.is_secure,
            httponly=True,
            samesite="Lax",
        )
    return answer


def view_of(connection: Connection) -> View:
    """The view of a connection that is waited for in another way."""
    settings = store().settings
    return View(connection, settings.stations, settings.zone, clock.now_ms())
