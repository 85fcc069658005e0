"""For how long a station has sent nothing; `station_watch.py` is what warns of it."""

import time


def inactive_sec(last_ms: int, received_at: int | None) -> int | None:
    """Whole seconds since a station sent; None when it never did.

    `last_ms` is of CLOCK_MONOTONIC, 0 when it has sent nothing since the service started; then
    `received_at` counts, the wall clock's epoch milliseconds of its newest reading.
    """
    if last_ms:
        return max(0, time.monotonic_ns() // 1_000_000 - last_ms) // 1000
    if received_at is None:
        return None
    return max(0, time.time_ns() // 1_000_000 - received_at) // 1000
