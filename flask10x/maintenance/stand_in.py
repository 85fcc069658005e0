"""Answers beside the service during an update: 503, and when to send again.

A board gives up after 5 s without an answer and restarts after 8 (contract, section 7). This
program has the port of the service, too, and takes what nobody has taken for some seconds: while
one version ends and the other one starts, while the database is brought back, and for as long as a
version hangs that is not well.

The Python of the machine runs this file with the port that systemd hands over, for the environment
of the program is exchanged meanwhile. So it imports nothing of the package.
"""

import select
import signal
import socket
import sys
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# The first descriptor that systemd hands over (man 3 sd_listen_fds).
HANDED_OVER = 3
# A restart takes less where nothing else keeps the machine busy; the rest up to 5 s is for one that
# is busy.
PATIENCE_SEC = 3.0
LOOK_PAUSE_SEC = 0.1
# As the service says where it cannot take a reading now.
RETRY_AFTER_SEC = 5
ANSWER = b'{"status": "queued_failed"}\n'
# A sender that counts characters instead of bytes announces more than it sends.
BODY_WITHIN_SEC = 1.0
BODY_MAX_BYTES = 100_000


class Handler(BaseHTTPRequestHandler):
    """One answer for each request."""

    timeout = BODY_WITHIN_SEC

    def do_POST(self) -> None:
        """Read what was sent, for the answer would be lost if it were not, and ask for it again."""
        with suppress(OSError, ValueError):
            self.rfile.read(min(int(self.headers["Content-Length"] or 0), BODY_MAX_BYTES))
        self.send_response(503)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(ANSWER)))
        self.send_header("Retry-After", str(RETRY_AFTER_SEC))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(ANSWER)

    do_DELETE = do_GET = do_HEAD = do_OPTIONS = do_PATCH = do_PUT = do_POST

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: each line would be one of the journal."""


class Server(ThreadingHTTPServer):
    """The port that is there already; the end waits for answers that are on their way."""

    daemon_threads = False
    # `handle_request` takes a connection that is there, and waits for none.
    timeout = 0

    def __init__(self) -> None:
        super().__init__(("", 0), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = socket.socket(fileno=HANDED_OVER)
        # The service may take it first.
        self.socket.setblocking(False)

    def has_waiting(self) -> bool:
        """Return whether a connection has come that nobody has taken."""
        return bool(select.select([self.socket], [], [], 0)[0])


def main() -> None:
    """Answer until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with Server() as server:
        waits_since_sec = None
        while True:
            time.sleep(LOOK_PAUSE_SEC)
            if not server.has_waiting():
                waits_since_sec = None
            elif waits_since_sec is None:
                waits_since_sec = time.monotonic()
            elif time.monotonic() - waits_since_sec > PATIENCE_SEC:
                while server.has_waiting():
                    server.handle_request()
                waits_since_sec = None


if __name__ == "__main__":
    main()
