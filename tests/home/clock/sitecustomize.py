"""The clocks of a simulated home; Python imports this by itself from PYTHONPATH.

SIMULATED_CLOCK names a file of eight bytes: by how many milliseconds both clocks of the program are
ahead of those of the machine. Every process of the home shares it, and the test writes it.
"""

import mmap
import os
import struct

# As often as that the watchers look: a second of the home lasts far less here.
TICK_SEC = 0.02


def set_clocks(path: str) -> None:
    """Whatever asks `flask10x.system.clock` from now on gets the time of the home."""
    # Before anybody else: other modules take the functions out of it when they are loaded.
    from flask10x.system import clock  # noqa: PLC0415

    with open(path, "rb") as file:
        ahead = mmap.mmap(file.fileno(), 8, prot=mmap.PROT_READ)
    now_ms, monotonic_ms = clock.now_ms, clock.monotonic_ms

    def ahead_ms() -> int:
        return int(struct.unpack_from("q", ahead)[0])

    clock.now_ms = lambda: now_ms() + ahead_ms()
    clock.monotonic_ms = lambda: monotonic_ms() + ahead_ms()


if _path := os.environ.get("SIMULATED_CLOCK"):
    set_clocks(_path)
    from flask10x.runtime import monitor

    monitor.TICK_SEC = TICK_SEC
