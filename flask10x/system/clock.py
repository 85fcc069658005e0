"""The two clocks of the machine, in milliseconds.

A Pi has no battery for its clock: the wall clock may be wrong at boot and jump. Whatever is a
length of time is taken from the other one.
"""

import time


def now_ms() -> int:
    """The wall clock, in UTC epoch milliseconds."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    """CLOCK_MONOTONIC: the same in every process of the machine, and nobody can set it."""
    return time.monotonic_ns() // 1_000_000


def monotonic_sec() -> float:
    """The same in seconds, to the microsecond and finer."""
    return time.monotonic()
