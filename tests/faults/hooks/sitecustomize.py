"""Faults inside a process of the service; Python imports this by itself from PYTHONPATH.

FAULT_KILL_WRITER names a file: whichever writer thread finds it there takes it away and dies, as a
bug or a MemoryError would kill it. FAULT_CLOCK names a file with the seconds by which the clock is
wrong. FAULT_CLOCK_STANDS lets it stand still for the times of receipt. FAULT_DUTY names a file;
while it is there, whoever looks for killed workers meets a bug.
FAULT_DIE_AT_LINE names a file with a number and a victim: whichever writer thread finds it there
takes it away and, so many lines of ours later, kills its worker, or all processes of the service.
FAULT_NO_THREADS names a file; while it is there, the system has no threads for anybody.
FAULT_DIE_AT_FILE names a file with a moment, an expression and a victim: whoever puts a file of
such a name in its place, or sends such a signal, takes it away and dies before or after that.
"""

import errno
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
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
    """Let the watch over killed workers raise while the marker is there."""
    from flask10x.runtime import worker_watch  # noqa: PLC0415

    usual = worker_watch.look_at_workers

    def look(gauges: Any) -> None:
        if marker.exists():
            raise ValueError("the test is this bug")
        usual(gauges)

    worker_watch.look_at_workers = look


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
    """While the marker is there, the system makes no threads; with `fork` in it no processes.

    A file beside it, `.refused`, gets a line for each that somebody wanted.
    """
    start, fork = threading.Thread.start, os.fork
    refused = marker.with_name(f"{marker.name}.refused")

    def note(what: str) -> None:
        with refused.open("a") as file:
            file.write(f"{what}\n")

    def refusing_start(thread: threading.Thread) -> None:
        if marker.exists():
            note("thread")
            raise RuntimeError("can't start new thread")
        start(thread)

    def refusing_fork() -> int:
        if marker.exists() and "fork" in marker.read_text():
            note("process")
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return fork()

    replaced: Any = os
    replaced.fork = refusing_fork
    threading.Thread.start = refusing_start  # type: ignore[method-assign,assignment]


# Where readings are stored; the number of a line is worth what its neighbours are.
WATCHED = tuple(f"/flask10x/{folder}/" for folder in ("recording", "database", "system"))


class LineCount:
    """Counts the lines that one thread comes to, once it has been told at which one it dies."""

    def __init__(self, steer: Path) -> None:
        self._steer = steer
        self._left = 0
        self._victim = ""

    def trace(self, frame: FrameType, event: str, _argument: object) -> Any:
        """For `sys.settrace`: see the lines of what is watched, and of nothing else."""
        if any(folder in frame.f_code.co_filename for folder in WATCHED):
            if event == "line":
                self._count()
            return self.trace
        return None

    def _count(self) -> None:
        if not self._victim:
            self._take_over()
            return
        self._left -= 1
        if self._left <= 0:
            if self._victim == "all":
                os.killpg(os.getpgrp(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)

    def _take_over(self) -> None:
        mine = self._steer.with_name(f"{self._steer.name}.{os.getpid()}")
        try:
            self._steer.rename(mine)
        except FileNotFoundError:
            return
        left, self._victim = mine.read_text().split()
        self._left = int(left)
        mine.unlink()


def die_at_line(steer: Path) -> None:
    """Let the writer of a process die at a line."""
    usual = threading.Thread.run

    def run(thread: threading.Thread) -> None:
        if thread.name == "writer":
            sys.settrace(LineCount(steer).trace)
        usual(thread)

    threading.Thread.run = run  # type: ignore[method-assign,assignment]


def die_at_file(steer: Path) -> None:
    """Let a process die around a moment at which a change of a file is seen by others."""
    rename, kill = os.rename, os.kill

    def around(name: str, action: Callable[[], None]) -> None:
        try:
            moment, expression, victim = steer.read_text().split()
        except (FileNotFoundError, ValueError):
            return action()
        if not re.fullmatch(expression, name):
            return action()
        steer.unlink()
        if moment == "after":
            action()
        kill(os.getpid() if victim == "one" else -os.getpgrp(), signal.SIGKILL)
        return None

    replaced: Any = os
    replaced.rename = lambda old, new: around(Path(new).name, lambda: rename(old, new))
    replaced.kill = lambda pid, number: around(f"{number!r}", lambda: kill(pid, number))


if "FAULT_DIE_AT_FILE" in os.environ:
    die_at_file(Path(os.environ["FAULT_DIE_AT_FILE"]))
if "FAULT_DIE_AT_LINE" in os.environ:
    die_at_line(Path(os.environ["FAULT_DIE_AT_LINE"]))
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
