"""Faults inside a process of the service; Python imports this by itself from PYTHONPATH.

FAULT_KILL_WRITER names a file: whichever writer thread finds it there takes it away and dies, as a
bug or a MemoryError would kill it. FAULT_CLOCK names a file with the seconds by which the clock is
wrong. FAULT_CLOCK_STANDS lets it stand still for the times of receipt. FAULT_DUTY names a file;
while it is there, whoever watches the WAL meets a bug.
FAULT_NO_THREADS names a file; while it is there, the system has no threads for anybody.
"""

import errno
import os
import threading
import time
from pathlib import Path
from typing import Any

# The year 2262: of what lies beyond Python says that it is no time.
LAST_NS = 2**63 - 1


def die_on(marker: Path) -> None:
    """Make writers die, one for each time that the marker is put there."""
    from flask10x.recording.writer import Writer  # noqa: PLC0415

    usual = Writer._store

    def store(writer: Writer) -> int:
        try:
            marker.unlink()
        except FileNotFoundError:
            return usual(writer)
        raise SystemError("the test kills this thread")

    Writer._store = store  # type: ignore[method-assign,assignment]


def fail_while(marker: Path) -> None:
    """Let the watch over the WAL raise while the marker is there."""
    from flask10x.runtime.file_watch import FileWatch  # noqa: PLC0415

    usual = FileWatch.watch_wal

    def watch_wal(files: FileWatch) -> None:
        if marker.exists():
            raise ValueError("the test is this bug")
        usual(files)

    FileWatch.watch_wal = watch_wal  # type: ignore[method-assign,assignment]


def shift_by(file: Path) -> None:
    """Let the clock that people set be wrong; the monotonic one stays right."""
    right_ns = time.time_ns

    def offset_sec() -> int:
        return int(file.read_text() or 0)

    def wrong() -> float:
        return wrong_ns() / 1e9

    def wrong_ns() -> int:
        shown = right_ns() + offset_sec() * 1_000_000_000
        if shown > LAST_NS:
            raise OverflowError("timestamp too large to convert to C PyTime_t")
        return shown

    replaced: Any = time
    replaced.time, replaced.time_ns = wrong, wrong_ns


def stop_clock() -> None:
    """Let all readings come in at one moment, whichever worker takes them: it is a fork of us."""
    moment_ns = time.time_ns()
    replaced: Any = time
    replaced.time_ns = lambda: moment_ns


def refuse_while(marker: Path) -> None:
    """While the marker is there, the system makes no threads; with `fork` in it no processes."""
    start, fork = threading.Thread.start, os.fork

    def refusing_start(thread: threading.Thread) -> None:
        if marker.exists():
            raise RuntimeError("can't start new thread")
        start(thread)

    def refusing_fork() -> int:
        if marker.exists() and "fork" in marker.read_text():
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return fork()

    replaced: Any = os
    replaced.fork = refusing_fork
    threading.Thread.start = refusing_start  # type: ignore[method-assign,assignment]


if "FAULT_NO_THREADS" in os.environ:
    refuse_while(Path(os.environ["FAULT_NO_THREADS"]))
if "FAULT_KILL_WRITER" in os.environ:
    die_on(Path(os.environ["FAULT_KILL_WRITER"]))
if "FAULT_DUTY" in os.environ:
    fail_while(Path(os.environ["FAULT_DUTY"]))
if "FAULT_CLOCK" in os.environ:
    shift_by(Path(os.environ["FAULT_CLOCK"]))
if "FAULT_CLOCK_STANDS" in os.environ:
    stop_clock()
