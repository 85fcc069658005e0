"""Ends what the tests have started when their run has ended, whatever ended it.

A program of its own, `python run_guard.py FOLLOWED VARIABLE=VALUE`: it waits for the end of that
process, then kills each one that has the variable in its environment. All that a test starts
inherits it: services in sessions of their own, their workers, what is nobody's child any more.
"""

import os
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

POLL_SEC = 0.05


def main() -> None:
    """Wait, then kill until none is left."""
    followed, mark = sys.argv[1:]
    # Somebody may have ended it meanwhile.
    with suppress(ProcessLookupError):
        select.select([os.pidfd_open(int(followed))], [], [])
    while left := [*_marked(f"{mark}\0".encode())]:
        time.sleep(POLL_SEC)
        for pid in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def _marked(mark: bytes) -> list[int]:
    """The processes with this in their environment; one that has ended has none any more."""
    marked = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (folder / "environ").read_bytes():
                marked.append(int(folder.name))
    return marked


if __name__ == "__main__":
    main()
