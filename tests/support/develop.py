"""`make develop`: Flask's threaded server, started again when the program has changed.

It stops in order each time, so what was accepted is stored. A mistake that keeps it from starting
is shown, and the next change starts it again.
"""

import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What a running server does not read again by itself. Styles and scripts it reads for each request.
READ_ONCE = {".py", ".html", ".mo", ".json", ".toml"}
LOOK_EVERY_SEC = 0.5
COMMAND = (sys.executable, "-m", "flask10x", "serve", "--development")


def main() -> int:
    """Serve until Ctrl+C or SIGTERM; the exit status of the last server."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    server, seen = _started(), _times()
    try:
        while True:
            time.sleep(LOOK_EVERY_SEC)
            if (now := _times()) == seen:
                continue
            changed = min(path.relative_to(ROOT) for path, _ in now ^ seen)
            sys.stdout.write(f"{changed} has changed: the server starts again\n")
            _end(server)
            server, seen = _started(), now
    except (KeyboardInterrupt, SystemExit):
        return _end(server)


def _times() -> set[tuple[Path, int]]:
    """Each file that was read once, and when it was written."""
    times = set()
    for folder in ("flask10x", "migrations"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in READ_ONCE:
                # An editor may have taken it away for a moment.
                times.add((path, path.stat().st_mtime_ns if path.exists() else 0))
    return times


def _started() -> "subprocess.Popen[bytes]":
    """A server, which Ctrl+C does not reach by itself: it would be asked twice to end."""
    return subprocess.Popen(COMMAND, process_group=0)


def _end(server: "subprocess.Popen[bytes]") -> int:
    """The exit status, after an orderly end."""
    server.terminate()
    return server.wait()


if __name__ == "__main__":
    sys.exit(main())
