"""The two clocks of the machine, in milliseconds.

A Pi has no battery for its clock: the wall clock may be wrong at boot and jump. Whatever is a
length of time is taken from the other one.
"""

import time
from contextlib import suppress
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def now_ms() -> int:
    """The wall clock, in UTC epoch milliseconds."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    """CLOCK_MONOTONIC: the same in every process of the machine, and nobody can set it."""
    return time.monotonic_ns() // 1_000_000


def monotonic_sec() -> float:
    """The same in seconds, to the microsecond and finer."""
    return time.monotonic()


def boot_id() -> str:
    """Which run of the machine this is (https://man7.org/linux/man-pages/man4/random.4.html).

    Empty where it can't be told.
    """
    with suppress(OSError):
        return BOOT_ID.read_text(encoding="ascii").strip()
    return ""
