"""The two clocks of the machine, in milliseconds.

A Pi has no battery for its clock: the wall clock may be wrong at boot and jump. Lengths of time are
measured with the monotonic clock.
"""

import time
from contextlib import suppress
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def now_ms() -> int:
    """Return the wall clock, in UTC epoch milliseconds."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    """Return CLOCK_MONOTONIC: the same in every process of the machine, and never set."""
    return time.monotonic_ns() // 1_000_000


def monotonic_sec() -> float:
    """Return the same in seconds, to the microsecond and finer."""
    return time.monotonic()


def boot_id() -> str:
    """Return the id of this boot (https://man7.org/linux/man-pages/man4/random.4.html).

    Empty if it is unknown.
    """
    with suppress(OSError):
        return BOOT_ID.read_text(encoding="ascii").strip()
    return ""
