"""The log: one file that all processes share, and warnings on stderr for journald.

Every line that begins with a date begins a record. Control characters in a message are escaped,
so a message is one line whatever a sensor sent; the lines of a traceback follow their record,
each indented, so none of them can pass for a record.

A log that cannot be written, on a full disk say, costs its lines and nothing else: nobody gets an
exception, and stderr gets one line of it. Nor does a folder that cannot be written keep a service
from starting: readings come first. The file is written by a thread of its own, so a card that
stalls for seconds, or the other worker's rotation, keeps no sensor waiting for its answer; nor does
a journald that hangs (`stderr_lines`).
"""

import errno
import logging
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from flask10x.config.settings import PREFIX, Settings, process_user
from flask10x.system import disk
from flask10x.system.log_file import FILE_NAME, Collector, LogFile
from flask10x.system.log_lines import CONTROL, LogLine, StderrFormatter, escape
from flask10x.system.stderr_lines import StderrLines

__all__ = [
    "CONTROL",
    "FILE_NAME",
    "LogFile",
    "Pace",
    "configure",
    "escape",
    "flush",
    "receipt",
    "shutdown",
    "write_line",
]

# A flood from a stranger must not push everything else out of the log.
LOG_EVERY_SEC = 60.0
# A disk that is full now is no wrong setting: the service starts and its log waits for space.
FULL = (errno.ENOSPC, errno.EDQUOT)

_OURS = "flask10x"
# Gunicorn says here which worker started, hung or was killed; it has its own handler for stderr.
_GUNICORN = "gunicorn.error"

_installed: list[tuple[logging.Logger, logging.Handler]] = []
_collectors: list[Collector] = []


def configure(settings: Settings, *, make_folder: bool = True) -> None:
    """Log to `<LOG_DIR>/flask10x.log`, and from WARNING up to stderr; again: with new settings.

    Call it once in each process, in workers after the fork. The file is shared safely: it is
    locked for the lines of half a second, and the rotation happens under the same lock. Each of
    the LOG_BACKUP_COUNT old files and the current one may be a line longer than LOG_MAX_BYTES.

    When the folder cannot be made or written, stderr gets one line of it and there is no file.
    Without `make_folder` there is silently none where the folder is not there.
    """
    shutdown()
    file = LogFile(settings)
    is_wanted = make_folder or settings.log_dir.is_dir()
    trouble = _trouble_with(file) if is_wanted else None
    logging.raiseExceptions = False
    logging.getLogger(_OURS).setLevel(settings.log_level)
    stderr = StderrLines()
    stderr.setLevel(logging.WARNING)
    stderr.setFormatter(StderrFormatter())
    _install(stderr, _OURS)
    if not is_wanted:
        return
    if trouble is None:
        collector = Collector(file)
        collector.start()
        _collectors.append(collector)
        _install(collector, _OURS, _GUNICORN)
        return
    with suppress(Exception):
        sys.stderr.write(
            f"flask10x: {PREFIX}LOG_DIR is {settings.log_dir}: user {process_user()} cannot write"
            f" there: {trouble}; going on without a log file\n"
        )


def _install(handler: logging.Handler, *names: str) -> None:
    for name in names:
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        _installed.append((logger, handler))


def flush() -> None:
    """Return when every line so far is in the file, or lost."""
    for collector in _collectors:
        collector.flush()


def write_line(settings: Settings, level: int, text: str) -> None:
    """One line of the file from a process that can make no thread; what fails costs the line."""
    with suppress(Exception):
        file = LogFile(settings)
        file.write([LogLine(time.time(), logging.getLevelName(level), text)])
        file.close()


def receipt() -> Callable[[], bool]:
    """Whether every line so far is in the file, or lost: a function to call later.

    For a line that must get into the file although its process may be killed at any moment: one
    that still waits is lost then, so these are written at once. Asking never waits for the card.
    """
    lines = [(collector, collector.taken) for collector in _collectors]
    for collector in _collectors:
        collector.hurry()
    return lambda: all(collector.written >= taken for collector, taken in lines)


def shutdown() -> None:
    """Write what waits, undo `configure`, close the file; harmless when nothing is configured."""
    while _installed:
        logger, handler = _installed.pop()
        logger.removeHandler(handler)
        handler.close()
    _collectors.clear()
    logging.getLogger(_OURS).setLevel(logging.NOTSET)
    logging.raiseExceptions = True


def _before_fork() -> None:
    for collector in _collectors:
        collector.before_fork()


def _after_fork() -> None:
    for collector in _collectors:
        collector.after_fork()


def _after_fork_in_child() -> None:
    for collector in _collectors:
        collector.after_fork_in_child()


# A child has no thread to write what waited, and must not write it a second time.
os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child
)


def _trouble_with(file: "LogFile") -> OSError | None:
    """Why the file could never be written or rotated; None when it can, or could with space."""
    folder = Path(file.baseFilename).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in (file.baseFilename, file.lockFilename):
            disk.make_private(path)
        # To rotate is to rename, which needs the folder itself.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return None if error.errno in FULL else error
    return None


class Pace:
    """Lets a line into the log once a minute for each kind, and counts the others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept_back: dict[tuple[str, ...], int] = {}
        self._due_sec: dict[tuple[str, ...], float] = {}

    def turn(self, *kind: str) -> str | None:
        """How a line of this kind ends: with how many were kept back since the last one, if any.

        None: keep this one back.
        """
        with self._lock:
            if time.monotonic() < self._due_sec.get(kind, 0.0):
                self._kept_back[kind] = self._kept_back.get(kind, 0) + 1
                return None
            self._due_sec[kind] = time.monotonic() + LOG_EVERY_SEC
            kept_back = self._kept_back.pop(kind, 0)
            return f" ({kept_back} more since the last such line)" if kept_back else ""
