"""What a worker runs: the application, and what it needs to be one.

Most of the service's memory: Flask, SQLAlchemy and nearly all of our own modules. So the master
loads it where more than one worker shares it, and does without it where there is one (decision 35).
"""

from functools import partial

from flask import Flask

from flask10x.config.settings import Settings
from flask10x.config.tokens import Keyring
from flask10x.recording.shared_queue import SharedQueues
from flask10x.recording.writer import DRAIN_SEC
from flask10x.server.compiled_templates import COMPILED, compile_all
from flask10x.server.threads import Threads
from flask10x.server.time_limits import GRACEFUL_TIMEOUT_SEC, REQUEST_CEILING_SEC
from flask10x.system.gauges import Gauges
from flask10x.web.access import is_refused
from flask10x.web.app import create_app
from flask10x.web.ingest.ways import Ways

if GRACEFUL_TIMEOUT_SEC <= REQUEST_CEILING_SEC + DRAIN_SEC:
    raise AssertionError("a stopping worker would be killed before it has stored everything")


def make(
    settings: Settings,
    gauges: Gauges,
    slot_number: int,
    keyring: Keyring,
    missing: str,
    queues: SharedQueues | None,
) -> Flask:
    """The application of one worker; its store is not open yet."""
    app = create_app(settings, gauges, slot_number, keyring, missing, queues)
    app.jinja_env.bytecode_cache = COMPILED
    refused = partial(is_refused, app)
    app.wsgi_app = Threads(  # type: ignore[method-assign]
        app.wsgi_app, settings.threads, refused, Ways(settings)
    )
    return app


def compile_templates(settings: Settings, gauges: Gauges, keyring: Keyring) -> None:
    """Compile the pages once for all workers; without a store, so that nothing is opened."""
    app = create_app(settings, gauges, keyring=keyring, missing="not opened here")
    app.jinja_env.bytecode_cache = COMPILED
    compile_all(app.jinja_env)
