"""How long a station has been silent."""

import time


def inactive_sec(heard_ms: int, received_at: int | None) -> int | None:
    """Whole seconds since a station was heard; None when it never was.

    By the monotonic clock, but by the wall clock when it was not heard since the service started.
    """
    if heard_ms:
        return max(0, time.monotonic_ns() // 1_000_000 - heard_ms) // 1000
    if received_at is None:
        return None
    return max(0, time.time_ns() // 1_000_000 - received_at) // 1000
