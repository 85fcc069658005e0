"""Giving memory back that the C library keeps after a free, and who gives way when there is none.

A chart of a long range lets SQLite sort in memory, 10 to 20 MB of it. glibc keeps what is freed
below something that is in use, for the next chart: with two workers that was 32 MB for ever
(docs/decisions/0035).
"""

import ctypes
from contextlib import suppress
from pathlib import Path

# man 5 proc_pid_oom_score_adj: 1000 is the most.
FIRST_TO_GO = "1000"


def give_back() -> None:
    """Give the system what is free; microseconds where nothing is. Only glibc can (malloc_trim(3)).

    It is for any thread: the others may allocate meanwhile.
    """
    if _trim is not None:
        _trim(0)


def go_first() -> None:
    """When memory runs out, the kernel shall end this process first, or one that it has started.

    Where the system refuses it, nothing changes.
    """
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_GO, encoding="ascii")


# Without it (musl) memory is kept as that library sees fit.
_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
