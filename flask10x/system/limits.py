"""Limits of the resources of a process: descriptors, threads, memory, processor time.

Linux has few descriptors and threads for a service in a container, or beside a program that leaks
them. A process that has used them up works again as soon as some are free.

A chart of a long range lets SQLite sort in 10 to 20 MB of memory. glibc keeps freed memory below a
block in use for the next chart: with two workers 32 MB never came back (benchmarks/memory.md).
"""

import ctypes
import os
import resource
from contextlib import suppress
from errno import EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM
from pathlib import Path

EXHAUSTED = frozenset({EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM})
"""The errors of a system call that got no descriptor, no process or no memory."""


def in_use() -> str:
    """Return `open files 21 of 24, threads of this user 130 of 128`, for people."""
    opened = "?"
    # Without a free descriptor even this can't be looked up.
    with suppress(OSError):
        opened = str(sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1)
    files, threads = _limit(resource.RLIMIT_NOFILE), _limit(resource.RLIMIT_NPROC)
    return f"open files {opened} of {files}, threads of this user {_threads()} of {threads}"


def _threads() -> str:
    """Return the visible threads of this user, which RLIMIT_NPROC counts (man 2 getrlimit)."""
    user, count = os.getuid(), 0
    try:
        folders = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    except OSError:
        return "?"
    for folder in folders:
        # The process may have ended.
        with suppress(OSError):
            if folder.stat().st_uid == user:
                count += sum(1 for _ in (folder / "task").iterdir())
    return str(count)


def _limit(of: int) -> str:
    soft, _ = resource.getrlimit(of)
    return "no limit" if soft == resource.RLIM_INFINITY else str(soft)


# man 5 proc_pid_oom_score_adj: 1000 is the most.
FIRST_TO_END = "1000"


def give_memory_back() -> None:
    """Return free memory to the system, with glibc (malloc_trim(3)); any thread may call it.

    It takes microseconds if there is none.
    """
    if _trim is not None:
        _trim(0)


def end_first() -> None:
    """Let the kernel end this process, or a child of it, first if memory runs out.

    Nothing changes if the system refuses it.
    """
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_END, encoding="ascii")


# Without it (musl) the library decides how long it keeps memory.
_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


# A thread that is nicer by 10 gets about a tenth of the time of another thread beside it, and
# yields at once to one that wakes (man 7 sched). Alone on a core it gets all of it.
NICER_BY = 10
MAX_NICE = 19


def give_way() -> None:
    """Let the calling thread yield to the main thread from now on; a second call changes nothing.

    On Linux each thread has a niceness of its own (man 2 setpriority, "C library/kernel
    differences"). Nothing changes if the system refuses it.
    """
    with suppress(OSError):
        nice = os.getpriority(os.PRIO_PROCESS, os.getpid()) + NICER_BY
        os.setpriority(os.PRIO_PROCESS, 0, min(nice, MAX_NICE))
