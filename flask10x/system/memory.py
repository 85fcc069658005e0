"""Giving memory back that the C library keeps after a free.

A chart of a long range lets SQLite sort in memory, 10 to 20 MB of it. glibc keeps what is freed
below something that is in use, for the next chart: with two workers that was 32 MB for ever
(benchmarks/memory.md).
"""

import ctypes


def give_back() -> None:
    """Give the system what is free; microseconds where nothing is. Only glibc can (malloc_trim(3)).

    It is for any thread: the others may allocate meanwhile.
    """
    if _trim is not None:
        _trim(0)


# Without it (musl) memory is kept as that library sees fit.
_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
