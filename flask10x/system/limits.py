"""Limits of what the system gives to a process: descriptors, threads, memory, processor time.

Linux has few descriptors and threads for a service in a container, or beside a program that leaks
them. A process that has used them up works again as soon as some are given back.

A chart of a long range lets SQLite sort in memory, 10 to 20 MB of it. glibc keeps what is freed
below something that is in use, for the next chart: with two workers that was 32 MB for ever
(benchmarks/memory.md).
"""

import ctypes
import os
import resource
from contextlib import suppress
from errno import EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM
from pathlib import Path

# What the system gives to one process or one user: descriptors, threads, and how many there are.
#
# Of both Linux has few for a service in a container, or beside a program that leaks them. Nothing
# is broken when they are used up: it works again as soon as somebody gives some back.

EXHAUSTED = frozenset({EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM})
"""What a system call says that got no descriptor, no process or no memory."""


def in_use() -> str:
    """`open files 21 of 24, threads of this user 130 of 128`, of this process, for people."""
    files, threads = resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC
    return (
        f"open files {_shown(_open_files())} of {_limit(files)},"
        f" threads of this user {_shown(_threads())} of {_limit(threads)}"
    )


def _open_files() -> int | None:
    # Without a free descriptor even this can't be looked up.
    with suppress(OSError):
        return sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1
    return None


def _threads() -> int | None:
    """All threads of this user that may be seen; what RLIMIT_NPROC counts (man 2 getrlimit)."""
    user, count = os.getuid(), 0
    try:
        folders = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    except OSError:
        return None
    for folder in folders:
        # It may be gone by now.
        with suppress(OSError):
            if folder.stat().st_uid == user:
                count += sum(1 for _ in (folder / "task").iterdir())
    return count


def _limit(of: int) -> str:
    soft, _ = resource.getrlimit(of)
    return "no limit" if soft == resource.RLIM_INFINITY else str(soft)


def _shown(number: int | None) -> str:
    return "?" if number is None else str(number)


# man 5 proc_pid_oom_score_adj: 1000 is the most.
FIRST_TO_END = "1000"


def give_memory_back() -> None:
    """Give the system what is free; microseconds where nothing is. Only glibc can (malloc_trim(3)).

    It is for any thread: the others may allocate meanwhile.
    """
    if _trim is not None:
        _trim(0)


def end_first() -> None:
    """When memory runs out, the kernel shall end this process first, or one that it has started.

    Where the system refuses it, nothing changes.
    """
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_END, encoding="ascii")


# Without it (musl) memory is kept as that library sees fit.
_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


# A thread that is nicer by 10 gets about a tenth of the time that another one gets beside it, and
# gives way at once to one that wakes (man 7 sched). Alone on a core it gets all of it.
NICER_BY = 10
MAX_NICE = 19


def give_way() -> None:
    """From now on the calling thread gives way to the main thread; calling it again does nothing.

    On Linux each thread has a niceness of its own (man 2 setpriority, "C library/kernel
    differences"). Where the system refuses it, the thread goes on as it was.
    """
    with suppress(OSError):
        nice = os.getpriority(os.PRIO_PROCESS, os.getpid()) + NICER_BY
        os.setpriority(os.PRIO_PROCESS, 0, min(nice, MAX_NICE))
