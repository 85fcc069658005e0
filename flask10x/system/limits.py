"""What the system gives to one process or one user: descriptors, threads, and how many there are.

Of both Linux has few for a service in a container, or beside a program that leaks them. Nothing is
broken when they are used up: it works again as soon as somebody gives some back.
"""

import os
import resource
from contextlib import suppress
from errno import EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM
from pathlib import Path

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
