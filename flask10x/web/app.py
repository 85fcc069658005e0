"""The application factory."""

import logging
from pathlib import Path

from flask import Flask, Response, current_app, jsonify, send_file
from werkzeug.exceptions import HTTPException

from flask10x.config import settings, tokens
from flask10x.config.settings import Settings
from flask10x.config.tokens import Keyring
from flask10x.recording.shared_queue import SharedQueues
from flask10x.runtime.store import Store
from flask10x.runtime.waiting import Waiting
from flask10x.system.gauges import Gauges
from flask10x.web import compression, headers, no_such_page, offline, preferences
from flask10x.web import navigation as page_links
from flask10x.web import probes as status
from flask10x.web.access import Access
from flask10x.web.api import batch as batch_routes
from flask10x.web.api import history as history_api
from flask10x.web.api import latest as latest_routes
from flask10x.web.api import time as board_time
from flask10x.web.ingest import ambient_routes, influx_routes, station_routes
from flask10x.web.ingest.short_way import ShortWay
from flask10x.web.ingest.unknown_station import UnknownStations
from flask10x.web.json_text import JsonProvider
from flask10x.web.missing import MissingDatabase
from flask10x.web.pages.alerts import navigation
from flask10x.web.pages.alerts import view as alerts_page
from flask10x.web.pages.api import view as api_page
from flask10x.web.pages.devices import view as devices_page
from flask10x.web.pages.history import view as history_page
from flask10x.web.pages.home import view as home_page
from flask10x.web.pages.notes import view as notes_page
from flask10x.web.pages.records import view as records_page
from flask10x.web.pages.rejected import view as rejected_page
from flask10x.web.pages.status import view as status_page
from flask10x.web.prometheus import routes as prometheus_routes

log = logging.getLogger(__name__)

# Beside its view a page has its script and its style; under /static they are called like the page.
FOLDER = Path(__file__).with_name("pages")
FILES_OF_PAGES = {f"{path.parent.name}.js": path for path in FOLDER.glob("*/script.js")}
FILES_OF_PAGES |= {f"{path.parent.name}.css": path for path in FOLDER.glob("*/style.css")}


def create_app(
    config: Settings | None = None,
    gauges: Gauges | None = None,
    slot_number: int = 0,
    keyring: Keyring | None = None,
    missing: str = "",
    queues: SharedQueues | None = None,
) -> Flask:
    """The web application; its store is made but not opened (`app.extensions["flask10x"]`).

    Without a keyring the files of tokens are read; without queues the store has its own. `missing`
    says why there is no database; then there is no store either, and nothing is opened or made.
    Raises SettingsError when they or the settings of the environment are wrong.
    """
    config = config or settings.load()
    app = Flask(__name__, template_folder=FOLDER.name)
    app.view_functions["static"] = _file
    app.json = JsonProvider(app)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    access = Access(config, keyring or tokens.load(config))
    access.init_app(app)
    gauges = gauges or Gauges(config.stations.by_endpoint)
    if missing:
        app.extensions["flask10x"] = Waiting(config, gauges, slot_number, missing)
    else:
        store = Store(config, gauges, slot_number, queues)
        app.extensions["flask10x"] = store
        UnknownStations(store, access).init_app(app)
    app.register_blueprint(station_routes.blueprint_of(config.stations))
    pages = (
        home_page,
        history_page,
        rejected_page,
        records_page,
        devices_page,
        alerts_page,
        status_page,
        notes_page,
    )
    routes = (history_api, status, *pages)
    for module in (*routes, batch_routes, ambient_routes, board_time, latest_routes, api_page):
        app.register_blueprint(module.blueprint)
    app.register_blueprint(influx_routes.blueprint_of())
    app.register_blueprint(prometheus_routes.blueprint)
    headers.init_app(app)
    preferences.init_app(app)
    navigation.init_app(app, config, access)
    page_links.init_app(app)
    if missing:
        MissingDatabase(config, missing).init_app(app)
    offline.init_app(app, access)
    compression.init_app(app)
    no_such_page.init_app(app)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)
    if access.lets_any_sensor_in and not missing:
        app.wsgi_app = ShortWay(app)  # type: ignore[method-assign]
    return app


def _file(filename: str) -> Response:
    """A file under /static: one that pages share, or the script or the style of a page."""
    path = FILES_OF_PAGES.get(filename)
    return send_file(path) if path else current_app.send_static_file(filename)


def _http_error(error: HTTPException) -> Response:
    """Flask's own refusals (404, 405, ...) as short JSON, their headers kept."""
    answer = error.get_response()
    answer.set_data(jsonify(error=error.name.lower()).get_data())
    answer.content_type = "application/json"
    return Response(answer.get_data(), answer.status_code, answer.headers)


def _unexpected(error: Exception) -> tuple[Response, int]:
    log.error("Unexpected failure", exc_info=error)
    return jsonify(error="internal server error"), 500
