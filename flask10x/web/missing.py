"""The answers while the database is missing: a 503 with the reason, and a page for people.

The routes and their access check are the usual ones; only no view is called that needs a store.
"""

import logging

from flask import Flask, Response, jsonify, render_template, request

from flask10x.alerts.state_file import path_of
from flask10x.config.settings import Settings
from flask10x.database import engines
from flask10x.database.paths import database_path
from flask10x.database.sqlite import rescued
from flask10x.system.pace import Pace
from flask10x.web.page import POSTING, route_of_request
from flask10x.web.read_errors import not_now

log = logging.getLogger(__name__)


def init_app(app: Flask, settings: Settings, reason: str) -> None:
    """Answer in place of every view that needs the database, after the access check.

    `reason` says what is missing and what helps, in one line.
    """
    path, alerts, engine = database_path(settings), path_of(settings), engines.engine_of(settings)
    pace = Pace()

    def answer() -> Response | None:
        route = route_of_request()
        if route is None or route.without_store:
            return None
        # A file that is made now would lie below the mount point of the disk that is missing.
        if route.guard == "mute" and (not engine.is_file or alerts.exists()):
            return None
        if route.guard in POSTING:
            station = str(request.endpoint).rpartition(".")[2]
            if (more := pace.turn(station)) is not None:
                log.error("/%s refused: the database %s%s", station, engine.lack, more)
            return not_now(jsonify(status="queued_failed", detail=reason))
        if not route.is_page:
            return unavailable(reason)
        if not engine.is_file:
            return not_now(Response(render_template("unreachable.html", reason=reason)))
        copy = rescued.newest(path)
        return not_now(Response(render_template("missing.html", path=path, copy=copy)))

    app.before_request(answer)


def unavailable(reason: str) -> Response:
    """Return the answer to a program that asks for what is in the database."""
    return not_now(jsonify(error="database unavailable", reason=reason))
