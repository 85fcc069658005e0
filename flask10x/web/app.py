"""The application factory."""

from importlib import import_module

from flask import Flask, Response, current_app, send_file

from flask10x.config import secrets, settings
from flask10x.config.secrets import Keyring
from flask10x.config.settings import Settings
from flask10x.recording.shared_queue import WorkerSlot
from flask10x.runtime.store import Store
from flask10x.runtime.waiting import Waiting
from flask10x.web import (
    compression,
    files,
    headers,
    navigation,
    no_such_page,
    offline,
    preferences,
    probes,
    prometheus,
    read_errors,
)
from flask10x.web import missing as missing_database
from flask10x.web.access import Access
from flask10x.web.api import batch, events, history, latest, time
from flask10x.web.ingest import ambient_routes, influx_routes, station_routes
from flask10x.web.ingest.fast_path import FastPath
from flask10x.web.ingest.unknown_station import UnknownStations
from flask10x.web.json_text import JsonProvider
from flask10x.web.page import Page, Routes

# The modules of all pages, in the order of the navigation.
MODULES = (
    *("home.view", "history.view", "records.view", "alerts.view"),
    *("status.view", "setup.view", "notes.view", "status.rejected", "api.view"),
)
PAGES: tuple[Page, ...] = tuple(
    import_module(f"flask10x.web.pages.{module}").blueprint for module in MODULES
)


def declared(config: Settings) -> tuple[Routes, ...]:
    """Return all routes but that of the files under /static, with what each declares of itself."""
    return (
        station_routes.routes(config.stations),
        *(batch.blueprint, ambient_routes.blueprint, influx_routes.routes()),
        *(history.blueprint, latest.blueprint, time.blueprint, events.blueprint),
        *(page for page in PAGES if page.name != "setup" or config.setup == "on"),
        *(probes.blueprint, prometheus.blueprint),
    )


def create_app(
    config: Settings | None = None,
    slot: WorkerSlot | None = None,
    keyring: Keyring | None = None,
    missing: str = "",
) -> Flask:
    """Return the web application with a store that is not open (`app.extensions["flask10x"]`).

    Without `slot` the application is the only worker; without a keyring the files of tokens are
    read. `missing` says why there is no database; then there is no store either, and nothing is
    opened or made.
    Raises SettingsError when the tokens or the settings of the environment are wrong.
    """
    config = config or settings.load()
    app = Flask(__name__, template_folder=files.PAGES.name)
    app.view_functions["static"] = _file
    app.json = JsonProvider(app)
    app.jinja_env.globals["settings"] = config
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    slot = slot or WorkerSlot.alone(config)
    access = Access(config, keyring or secrets.load_tokens(config), slot.gauges)
    access.init_app(app)
    if missing:
        app.extensions["flask10x"] = Waiting(config, slot, missing)
    else:
        store = Store(config, slot)
        app.extensions["flask10x"] = store
        UnknownStations(store, access).init_app(app)
    for routes in declared(config):
        app.register_blueprint(routes)
    headers.init_app(app)
    preferences.init_app(app)
    navigation.init_app(app, config, access)
    if missing:
        missing_database.init_app(app, config, missing)
    offline.init_app(app, access)
    compression.init_app(app)
    no_such_page.init_app(app)
    read_errors.init_app(app)
    if access.lets_any_sensor_in and not missing:
        app.wsgi_app = FastPath(app)  # type: ignore[method-assign]
    return app


def _file(filename: str) -> Response:
    """Answer with a file under /static: a shared one, or the script or the style of a page."""
    path = files.OF_PAGES.get(filename)
    answer = send_file(path) if path else current_app.send_static_file(filename)
    # A page loads some thirty files: what a browser does not need beside the ETag is kilobytes.
    for name in ("Content-Disposition", "Last-Modified"):
        answer.headers.pop(name, None)
    return answer
