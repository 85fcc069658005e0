"""The log: one file that all processes share, and warnings on stderr for journald.

Every line that begins with a date begins a record. Control characters in a message are escaped,
so a message is one line whatever a sensor sent; the lines of a traceback follow their record,
each indented, so none of them can pass for a record.

A log that cannot be written, on a full disk say, costs its lines and nothing else: nobody gets an
exception, and stderr gets one line of it. Nor does a folder that cannot be written keep a service
from starting: readings come first. The file is written by a thread of its own, so a card that
stalls for seconds, or the other worker's rotation, keeps no sensor waiting for its answer.
"""

import errno
import logging
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, tzinfo
from io import TextIOWrapper
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from queue import SimpleQueue

from concurrent_log_handler import ConcurrentRotatingFileHandler

from flask10x.config.settings import PREFIX, Settings, process_user
from flask10x.system import disk

FILE_NAME = "flask10x.log"
FILE_LINE = "%(asctime)s %(levelname)s %(message)s"
TRACEBACK_INDENT = "    "
# A flood from a stranger must not push everything else out of the log.
LOG_EVERY_SEC = 60.0
# A disk that is full now is no wrong setting: the service starts and its log waits for space.
FULL = (errno.ENOSPC, errno.EDQUOT)

# Characters that break a line, steer a terminal, or show a line in another order than it has.
CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)

_OURS = "flask10x"
# Gunicorn says here which worker started, hung or was killed; it has its own handler for stderr.
_GUNICORN = "gunicorn.error"

_installed: list[tuple[logging.Logger, logging.Handler]] = []
_written_by: list[tuple["Writing", "Queued", "LogFile"]] = []


def configure(settings: Settings, *, make_folder: bool = True) -> None:
    """Log to `<LOG_DIR>/flask10x.log`, and from WARNING up to stderr; again: with new settings.

    Call it once in each process, in workers after the fork. The file is shared safely: it is
    locked for every line, and the rotation happens under the same lock. Each of the
    LOG_BACKUP_COUNT old files and the current one may be a line longer than LOG_MAX_BYTES.

    When the folder cannot be made or written, stderr gets one line of it and there is no file.
    Without `make_folder` there is silently none where the folder is not there.
    """
    shutdown()
    file = LogFile(settings)
    is_wanted = make_folder or settings.log_dir.is_dir()
    trouble = _trouble_with(file) if is_wanted else None
    # Stderr may be gone too (journald restarted): then nobody would read it.
    logging.raiseExceptions = False
    logging.getLogger(_OURS).setLevel(settings.log_level)
    stderr = logging.StreamHandler()
    stderr.setLevel(logging.WARNING)
    stderr.setFormatter(LineFormatter("%(levelname)s %(message)s", settings.zone))
    _install(stderr, _OURS)
    if not is_wanted:
        return
    if trouble is None:
        file.setFormatter(LineFormatter(FILE_LINE, settings.zone))
        _install(_written(file), _OURS, _GUNICORN)
        return
    with suppress(Exception):
        sys.stderr.write(
            f"flask10x: {PREFIX}LOG_DIR is {settings.log_dir}: user {process_user()} cannot write"
            f" there: {trouble}; going on without a log file\n"
        )


def _written(file: "LogFile") -> "Queued":
    """A handler behind which a thread of its own writes the file."""
    lines: SimpleQueue[logging.LogRecord] = SimpleQueue()
    writing, queued = Writing(lines, file), Queued(lines)
    writing.start()
    _written_by.append((writing, queued, file))
    return queued


def _install(handler: logging.Handler, *names: str) -> None:
    for name in names:
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        _installed.append((logger, handler))


def flush() -> None:
    """Return when every line so far is in the file, or lost."""
    for writing, _, _ in _written_by:
        writing.stop()
        writing.start()


def write_line(settings: Settings, level: int, text: str) -> None:
    """One line of the file from a process that can make no thread; what fails costs the line."""
    with suppress(Exception):
        file = LogFile(settings)
        file.setFormatter(LineFormatter(FILE_LINE, settings.zone))
        file.handle(logging.LogRecord(_OURS, level, "", 0, text, None, None))
        file.close()


def receipt() -> Callable[[], bool]:
    """Whether every line so far is in the file, or lost: a function to call later.

    For a line that must get into the file although its process may be killed at any moment: one
    that is only queued is lost then. Asking never waits for the card.
    """
    lines = [(writing, queued.taken) for writing, queued, _ in _written_by]
    return lambda: all(writing.written >= taken for writing, taken in lines)


def shutdown() -> None:
    """Write what waits, undo `configure`, close the file; harmless when nothing is configured."""
    while _installed:
        logger, handler = _installed.pop()
        logger.removeHandler(handler)
        handler.close()
    while _written_by:
        writing, _, file = _written_by.pop()
        writing.stop()
        with suppress(OSError):
            file.close()
    logging.getLogger(_OURS).setLevel(logging.NOTSET)
    logging.raiseExceptions = True


def escape(text: str) -> str:
    r"""The text with whatever plays tricks on a screen or breaks its line as `\n`, `\x1b`."""
    return CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


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


def _complain() -> None:
    """Say on stderr which exception cost a line; nothing is said when that fails too."""
    with suppress(Exception):
        reason = escape(repr(sys.exc_info()[1]))
        sys.stderr.write(f"WARNING Lines of the log are lost: {reason}\n")


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


class LineFormatter(logging.Formatter):
    """One line a record, then the indented lines of its traceback if it has one."""

    def __init__(self, form: str, zone: tzinfo | None) -> None:
        super().__init__(form)
        self._zone = zone

    def format(self, record: logging.LogRecord) -> str:
        first, *traceback = super().format(record).split("\n")
        return "\n".join([first, *(TRACEBACK_INDENT + escape(line) for line in traceback)])

    def formatMessage(self, record: logging.LogRecord) -> str:
        return escape(super().formatMessage(record))

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002
        return datetime.fromtimestamp(record.created, self._zone).strftime("%Y-%m-%d %H:%M:%S")


class Queued(QueueHandler):
    """Hands records to the thread that writes the file."""

    taken = 0
    """How many it has handed over."""

    def enqueue(self, record: logging.LogRecord) -> None:
        super().enqueue(record)
        # Handlers are called one at a time, under their own lock.
        self.taken += 1

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Settle the message now, for its arguments may change; the traceback is kept apart."""
        record.msg, record.args = record.getMessage(), None
        return record

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002
        _complain()


class Writing(QueueListener):
    """The thread that writes the file."""

    written = 0
    """How many records it is done with."""

    def handle(self, record: logging.LogRecord) -> None:
        super().handle(record)
        self.written += 1


class LogFile(ConcurrentRotatingFileHandler):
    """The shared file; what cannot be written is lost, and said once on stderr."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            str(settings.log_dir / FILE_NAME),
            maxBytes=settings.log_max_bytes,
            backupCount=settings.log_backup_count,
            encoding="utf-8",
            newline="",
        )
        self._complained = False

    def do_open(self, mode: str | None = None) -> TextIOWrapper:
        """Open the file, closing the line that a full disk or a power cut has torn."""
        disk.make_private(self.baseFilename)
        stream = super().do_open(mode)
        if self._is_torn():
            stream.write(self.terminator)
        return stream

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002
        if not self._complained:
            self._complained = True
            _complain()
        # What the stream still holds would fail again, at close or when Python ends.
        stream, self.stream = self.stream, None
        if stream is not None:
            with suppress(OSError):
                stream.close()

    def _is_torn(self) -> bool:
        with open(self.baseFilename, "rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return False
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
