"""The clocks of a simulated home; Python imports this by itself from PYTHONPATH.

SIMULATED_CLOCK names a file that every process of the home shares. The test writes by how many
milliseconds both clocks of the program are ahead of those of the machine, and since when (monotonic
milliseconds) they run SPEED times as fast. So a second of the home has a step of its watchers. The
process that watches writes how many steps there have been.
"""

import mmap
import os
import struct
import sys
import time

SPEED = 50
TICK_SEC = 1 / SPEED
FORMAT = "qq"
STEPS, STEPS_AT = "q", struct.calcsize(FORMAT)


def ahead_of(shared: mmap.mmap) -> int:
    """By how many milliseconds the home is ahead now."""
    ahead_ms, since_ms = struct.unpack_from(FORMAT, shared)
    return int(ahead_ms + (time.monotonic_ns() // 1_000_000 - since_ms) * (SPEED - 1))


def steps_of(shared: mmap.mmap) -> int:
    """How many steps of the watcher of alerts have ended."""
    (steps,) = struct.unpack_from(STEPS, shared, STEPS_AT)
    return int(steps)


def shared_by_all(path: str) -> mmap.mmap:
    with open(path, "r+b") as file:
        return mmap.mmap(file.fileno(), 0)


def set_clocks(path: str) -> None:
    """Whatever asks `flask10x.system.clock` from now on gets the time of the home."""
    # Before anybody else: other modules take the functions out of it when they are loaded.
    from flask10x.system import clock  # noqa: PLC0415

    shared = shared_by_all(path)
    now_ms, monotonic_ms, monotonic_sec = clock.now_ms, clock.monotonic_ms, clock.monotonic_sec
    clock.now_ms = lambda: now_ms() + ahead_of(shared)
    # The network is this machine's: whoever sends gives it real seconds.
    if "deliver" in sys.orig_argv:
        return
    clock.monotonic_ms = lambda: monotonic_ms() + ahead_of(shared)
    clock.monotonic_sec = lambda: monotonic_sec() + ahead_of(shared) / 1000


def count_steps(path: str) -> None:
    """Each step of the watcher is counted when it has ended well."""
    from flask10x.runtime.alerting.watcher import AlertWatcher  # noqa: PLC0415

    shared, step = shared_by_all(path), AlertWatcher.step

    def counted(self: AlertWatcher) -> None:
        step(self)
        struct.pack_into(STEPS, shared, STEPS_AT, steps_of(shared) + 1)

    AlertWatcher.step = counted  # type: ignore[method-assign]


if _path := os.environ.get("SIMULATED_CLOCK"):
    set_clocks(_path)
    count_steps(_path)
    from flask10x.runtime import periodic_tasks

    periodic_tasks.TICK_SEC = TICK_SEC
