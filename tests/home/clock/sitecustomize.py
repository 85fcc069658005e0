"""The clocks of a simulated home; Python imports this by itself from PYTHONPATH.

SIMULATED_CLOCK names a file that every process of the home shares, and the test writes: by how many
milliseconds both clocks of the program are ahead of those of the machine, and since when (monotonic
milliseconds) they run SPEED times as fast. So a second of the home has a step of its watchers.
"""

import mmap
import os
import struct
import sys
import time

SPEED = 50
TICK_SEC = 1 / SPEED
FORMAT = "qq"


def ahead_of(shared: mmap.mmap) -> int:
    """By how many milliseconds the home is ahead now."""
    ahead_ms, since_ms = struct.unpack_from(FORMAT, shared)
    return int(ahead_ms + (time.monotonic_ns() // 1_000_000 - since_ms) * (SPEED - 1))


def set_clocks(path: str) -> None:
    """Whatever asks `flask10x.system.clock` from now on gets the time of the home."""
    # Before anybody else: other modules take the functions out of it when they are loaded.
    from flask10x.system import clock  # noqa: PLC0415

    with open(path, "rb") as file:
        shared = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    now_ms, monotonic_ms, monotonic_sec = clock.now_ms, clock.monotonic_ms, clock.monotonic_sec
    clock.now_ms = lambda: now_ms() + ahead_of(shared)
    # The network is this machine's: whoever sends gives it real seconds.
    if "deliver" in sys.orig_argv:
        return
    clock.monotonic_ms = lambda: monotonic_ms() + ahead_of(shared)
    clock.monotonic_sec = lambda: monotonic_sec() + ahead_of(shared) / 1000


if _path := os.environ.get("SIMULATED_CLOCK"):
    set_clocks(_path)
    from flask10x.runtime import monitor

    monitor.TICK_SEC = TICK_SEC
