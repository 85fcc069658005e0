"""Faults inside a process of the service; Python imports this by itself from PYTHONPATH.

FAULT_KILL_WRITER names a file: whichever writer thread finds it there takes it away and dies, as a
bug or a MemoryError would kill it. FAULT_CLOCK names a file with the seconds by which the clock is
wrong. FAULT_CLOCK_STANDS lets it stand still for the times of receipt. FAULT_DUTY names a file;
while it is there, whoever watches the WAL meets a bug.
"""

import os
import time
from pathlib import Path
from typing import Any


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
    right, right_ns = time.time, time.time_ns

    def offset_sec() -> int:
        return int(file.read_text() or 0)

    def wrong() -> float:
        return right() + offset_sec()

    def wrong_ns() -> int:
        return right_ns() + offset_sec() * 1_000_000_000

    replaced: Any = time
    replaced.time, replaced.time_ns = wrong, wrong_ns


def stop_clock() -> None:
    """Let all readings come in at one moment, whichever worker takes them: it is a fork of us."""
    moment_ns = time.time_ns()
    replaced: Any = time
    replaced.time_ns = lambda: moment_ns


if "FAULT_KILL_WRITER" in os.environ:
    die_on(Path(os.environ["FAULT_KILL_WRITER"]))
if "FAULT_DUTY" in os.environ:
    fail_while(Path(os.environ["FAULT_DUTY"]))
if "FAULT_CLOCK" in os.environ:
    shift_by(Path(os.environ["FAULT_CLOCK"]))
if "FAULT_CLOCK_STANDS" in os.environ:
    stop_clock()
