"""Flask's own threaded server in one process, for development: `flask10x serve --development`."""

import signal
import sys

from werkzeug.serving import WSGIRequestHandler, run_simple

from flask10x.commands.migrate import migrate
from flask10x.config import settings, station_file
from flask10x.config.settings import Settings
from flask10x.database import engines
from flask10x.database.running_service import hold_database
from flask10x.errors import Flask10xError
from flask10x.recording.queue_file import QueueFile
from flask10x.recording.shared_queue import WorkerSlot
from flask10x.runtime.store import Store
from flask10x.server import address
from flask10x.system import uploads
from flask10x.system.gauges import Gauges
from flask10x.web.app import create_app


class Handler(WSGIRequestHandler):
    """Werkzeug's handler with a limit of time for a client that sends or reads slowly."""

    # It closes after each answer, but if a part of the body is unread it first waits for the client
    # to close, without a limit. In production a whole request has the same time.
    timeout = 10.0


def main() -> None:
    """Serve until Ctrl+C or SIGTERM; then store the accepted readings."""
    try:
        config = settings.load()
        engine = engines.engine_of(config)
        engine.require_not_missing()
        lock = hold_database(config)
        uploads.remove_leftovers(config.data_dir)
        address.require_free(config)
        migrate(config)
        engine.hosts.check_name()
        queue_file = QueueFile(config)
    except Flask10xError as error:
        sys.stderr.write(f"flask10x: {error}\n")
        sys.exit(error.exit_status)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    _serve(config, queue_file)
    lock.close()


def _serve(config: Settings, queue_file: QueueFile) -> None:
    host, port = _address(config.bind)
    headings = station_file.formula_headings(config.stations)
    for warning in (*queue_file.warnings, *headings):
        sys.stderr.write(f"flask10x: {warning}\n")
    slot = WorkerSlot(Gauges(config.stations.by_endpoint), queue_file.queues, 0)
    app = create_app(config, slot)
    store: Store = app.extensions["flask10x"]
    try:
        store.open()
        address.greet(config)
        run_simple(host, port, app, threaded=True, request_handler=Handler)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        store.close()
        queue_file.remove()


def _address(bind: str) -> tuple[str, int]:
    """Host and port for Werkzeug: IPv6 without brackets, `unix://` and the path."""
    if bind.startswith("unix:"):
        return f"unix://{bind.removeprefix('unix:')}", 0
    host, _, port = bind.rpartition(":")
    return host.strip("[]"), int(port)


if __name__ == "__main__":
    main()
