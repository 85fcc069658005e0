"""For how long a station has sent nothing; `station_watch.py` is what warns of it."""

from flask10x.system.clock import monotonic_ms, now_ms


def inactive_sec(last_ms: int, received_at: int | None) -> int | None:
    """Whole seconds since a station sent; None when it never did.

    `last_ms` is of CLOCK_MONOTONIC, 0 when it has sent nothing since the service started; then
    `received_at` counts, the wall clock's epoch milliseconds of its newest reading.
    """
    if last_ms:
        return max(0, monotonic_ms() - last_ms) // 1000
    if received_at is None:
        return None
    return max(0, now_ms() - received_at) // 1000
