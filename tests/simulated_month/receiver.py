"""Who gets the messages of a simulated home: a webhook's other end that can be away."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.e2e.senders import HOST


class Receiver:
    """Each message that was taken, in the order in which they came."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.refused = 0
        self.is_away = False
        self.url = ""

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen on a free port while the block runs."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if receiver.is_away:
                    receiver.refused += 1
                    self.send_error(503)
                    return
                receiver.keys.append(self.headers["Idempotency-Key"])
                receiver.taken.append(json.loads(body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        with ThreadingHTTPServer((HOST, 0), Handler) as server:
            self.url = f"http://{HOST}:{server.server_port}/messages"
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield
            finally:
                server.shutdown()
                thread.join()
