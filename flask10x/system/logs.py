"""The log: one file that all processes share, and warnings on stderr for systemd's journal.

A thread of each process collects its lines and writes those of half a second at once. A line on
stderr never blocks the process, even if stderr is full.
"""

import errno
import logging
import os
import re
import select
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import NamedTuple, TextIO

from concurrent_log_handler import ConcurrentRotatingFileHandler

from flask10x.config.settings import PREFIX, Settings, process_user
from flask10x.system import disk, limits
from flask10x.system.wording import escape

TRACEBACK_INDENT = "    "

_python = logging.Formatter()


class LogLine(NamedTuple):
    """A record of the log with its final message, because the arguments may change."""

    created: float
    level: str
    message: str
    traceback: str = ""

    @classmethod
    def of(cls, record: logging.LogRecord) -> "LogLine":
        """The part of the record that is written; raises the errors of making its message."""
        traceback = record.exc_text or ""
        if record.exc_info and not traceback:
            traceback = _python.formatException(record.exc_info)
        return cls(record.created, record.levelname, record.getMessage(), traceback)

    def text(self, time: str = "") -> str:
        """The line after its time, and below it the indented lines of its traceback if any."""
        first = escape(f"{time}{self.level} {self.message}")
        if not self.traceback:
            return first
        rest = (TRACEBACK_INDENT + escape(line) for line in self.traceback.split("\n"))
        return "\n".join([first, *rest])


class StderrFormatter(logging.Formatter):
    """Formats lines without a time, because journald, or what runs a container, adds its own."""

    def format(self, record: logging.LogRecord) -> str:
        return LogLine.of(record).text()


# Lines on stderr must never block, even if no process reads them.
#
# Under systemd stderr is a pipe or a socket to journald. If journald hangs, it fills up, and the
# next writer blocks: the thread that answers every sensor. So a line is written if there is room
# for it now, and is counted otherwise.

# A pipe that can be written takes so many bytes without blocking (man 7 pipe, PIPE_BUF).
PIECE_BYTES = select.PIPE_BUF


class StderrLines(logging.Handler):
    """Writes records without ever waiting for their reader."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """To the stream, or to stderr as it is now."""
        super().__init__()
        self._stream = stream or sys.stderr
        self._lost = 0
        self._is_torn = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line now, or count it; the next written line says how many were lost."""
        # Stderr may be closed (journald restarted): then the line is lost anyway.
        with suppress(Exception):
            text = f"{self.format(record)}\n"
            if self._lost:
                text = f"WARNING {self._lost} lines lost here: stderr was full\n{text}"
            self._write(("\n" * self._is_torn + text).encode(errors="backslashreplace"))

    def _write(self, data: bytes) -> None:
        fd = _descriptor(self._stream)
        if fd is None:
            self._stream.write(data.decode())
            self._lost = 0
            return
        poller = select.poll()
        poller.register(fd, select.POLLOUT)
        begun = False
        while data and poller.poll(0):
            data = data[os.write(fd, data[:PIECE_BYTES]) :]
            begun = True
        if begun:
            self._lost, self._is_torn = 0, bool(data)
        if data:
            self._lost += 1


def _descriptor(stream: TextIO) -> int | None:
    """The descriptor of a stream; None for a stream in memory."""
    try:
        return stream.fileno()
    except (AttributeError, OSError, ValueError):
        return None


# The file of the log is shared by all processes; the lines of half a second are written at once.
#
# Logging waits neither for the file nor for a lock of another process: a thread writes all records
# together.

FILE_NAME = "flask10x.log"
# In the place of the folder: a container keeps what is said there, and gunicorn's lines on stderr.
STDOUT = Path("/dev/stdout")
# So there are two writes a second however much is logged. A line has to be in the file within a
# second, so half a second is left for the card and for the other processes.
COLLECT_SEC = 0.5
# So many lines are written without further delay; collecting more saves nothing.
HURRY_AT = 1_000
# Some 5 MB, reached only if the card stalls: for ten seconds of the fastest traffic, for days of a
# home's.
WAITING_MAX = 20_000

# The lines of a traceback are indented, so a record begins with every other line.
_NEXT_RECORD = re.compile(r"\n(?! )")


class Collector(logging.Handler):
    """Collects records and writes them into the file: `start` its thread, `close` it at the end."""

    def __init__(self, file: "LogFile") -> None:
        super().__init__()
        self.received = 0
        """How many records it has received so far."""
        self.finished = 0
        """How many of them are written or lost."""
        self._file = file
        self._waiting: deque[LogLine] = deque()
        self._dropped = self._dropped_logged = 0
        self._writing = threading.Lock()
        self._has_lines, self._hurry = threading.Event(), threading.Event()
        self._ends = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)

    def start(self) -> None:
        """Start the thread; raises RuntimeError if the system has none."""
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record for the thread; if there is no room, it is dropped and counted."""
        # Handlers are called one at a time, under their own lock.
        waiting = len(self._waiting)
        if waiting >= WAITING_MAX:
            self._dropped += 1
            return
        try:
            self._waiting.append(LogLine.of(record))
        except Exception:
            complain()
            return
        self.received += 1
        if not self._has_lines.is_set():
            self._has_lines.set()
        # The first line is written at once: it opens the file while there are descriptors.
        if (waiting >= HURRY_AT or not self.finished) and not self._hurry.is_set():
            self._hurry.set()

    def hurry(self) -> None:
        """Let the thread write the lines now, without collecting more."""
        if self.finished < self.received:
            self._hurry.set()

    def flush(self) -> None:
        """Return once every record so far is in the file or lost."""
        with self._writing:
            self._write()

    def close(self) -> None:
        """Write the lines that wait, end the thread, close the file; harmless if it is closed."""
        self._ends = True
        self._has_lines.set()
        self._hurry.set()
        if self._thread.is_alive():
            self._thread.join()
        self.flush()
        with suppress(OSError):
            self._file.close()
        super().close()

    def before_fork(self) -> None:
        """Write the lines that wait, and block writing until `after_fork`."""
        self._writing.acquire()
        self._write()

    def after_fork(self) -> None:
        """Go on, in the parent."""
        self._writing.release()

    def after_fork_in_child(self) -> None:
        """Leave newer lines to the parent; the child has no thread, so it has to call `flush`."""
        self._waiting.clear()
        self._has_lines, self._hurry = threading.Event(), threading.Event()
        self._dropped = self._dropped_logged
        self.received = self.finished
        self._writing.release()

    def _run(self) -> None:
        while not self._ends:
            self._has_lines.wait()
            self._hurry.wait(COLLECT_SEC)
            # Cleared before the records are written: a record that comes later sets them again.
            self._has_lines.clear()
            self._hurry.clear()
            self.flush()

    def _write(self) -> None:
        lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
        dropped, warnings = self._dropped, []
        if dropped != self._dropped_logged:
            text = f"{dropped - self._dropped_logged} lines of the log were lost: the file stalled"
            warnings.append(LogLine(time.time(), "WARNING", text))
        if not (lines or warnings):
            return
        if not self._file.write(lines + warnings):
            # It can be written once a descriptor is free again.
            self._waiting.extendleft(reversed(lines))
            self._has_lines.set()
            return
        self._dropped_logged = dropped
        self.finished += len(lines)


class LogFile(ConcurrentRotatingFileHandler):
    """The shared file; lines that cannot be written are lost, which stderr says once."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            str(settings.log_dir / FILE_NAME),
            maxBytes=settings.log_max_bytes,
            backupCount=settings.log_backup_count,
            encoding="utf-8",
            newline="",
        )
        self._zone = settings.zone
        self._complained = self._exhausted = False

    def write(self, lines: list[LogLine]) -> bool:
        """Write all lines under one lock; after an error they are lost.

        Return False if the process has no descriptor for the file, so that another try may succeed.
        """
        # Lines that are written together belong to few seconds.
        seconds = {int(line.created) for line in lines}
        times = {
            second: f"{datetime.fromtimestamp(second, self._zone):%Y-%m-%d %H:%M:%S} "
            for second in seconds
        }
        text = "\n".join(line.text(times[int(line.created)]) for line in lines)
        self._exhausted = False
        self.handle(logging.makeLogRecord({"msg": text}))
        return not self._exhausted

    def do_write(self, msg: str) -> None:
        """Write the records of the message, rotating between two of them where the file is full."""
        records = _NEXT_RECORD.split(msg)
        while records:
            fitting = self._fitting(records)
            super().do_write("\n".join(records[:fitting]))
            del records[:fitting]
            if records:
                # A file that cannot be renamed goes on growing, as with a single line.
                with suppress(OSError):
                    self.doRollover()

    def _fitting(self, records: list[str]) -> int:
        """How many of the records fill the file; at least one, even if it exceeds the limit."""
        if self.stream is None:
            self.stream = self.do_open()
        room = self.maxBytes - self.stream.seek(0, os.SEEK_END)
        for number, record in enumerate(records, start=1):
            room -= len(record.encode()) + len(self.terminator)
            if room <= 0:
                return number
        return len(records)

    def do_open(self, mode: str | None = None) -> TextIOWrapper:
        """Open the file, and end the line that a full disk or a power cut has torn."""
        disk.make_private(self.baseFilename)
        stream = super().do_open(mode)
        if self._is_torn():
            stream.write(self.terminator)
        return stream

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002
        error = sys.exc_info()[1]
        self._exhausted = isinstance(error, OSError) and error.errno in limits.EXHAUSTED
        if not (self._complained or self._exhausted):
            self._complained = True
            complain()
        # The content of the stream's buffer would fail again, at `close` or at the end of Python.
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


def complain() -> None:
    """Write the exception that cost lines to stderr, if that is possible."""
    with suppress(Exception):
        reason = escape(repr(sys.exc_info()[1]))
        sys.stderr.write(f"WARNING Lines of the log are lost: {reason}\n")


# The log: one file that all processes share, and warnings on stderr for journald.
#
# Every line that begins with a date begins a record. Control characters in a message are escaped,
# so a message is one line whatever a sensor sent; the lines of a traceback follow their record,
# each indented, so none of them can pass for a record.
#
# If the log cannot be written, on a full disk say, only its lines are lost: no caller gets an
# exception, and stderr gets one line. A service starts even if the folder cannot be written:
# readings come first. A thread of its own writes the file, so neither a card that stalls for
# seconds, nor the rotation by another worker, nor a journald that hangs (`StderrLines`) delays the
# answer to a sensor.

# A flood from a stranger must not push the other lines out of the log.
LOG_EVERY_SEC = 60.0
# A full disk is no wrong setting: the service starts and its log waits for space.
FULL = (errno.ENOSPC, errno.EDQUOT)

_OURS = "flask10x"
# Gunicorn logs here which worker started, hung or was killed; it has its own handler for stderr.
_GUNICORN = "gunicorn.error"

_installed: list[tuple[logging.Logger, logging.Handler]] = []
_collectors: list[Collector] = []


def configure(settings: Settings, *, make_folder: bool = True) -> None:
    """Log to `<LOG_DIR>/flask10x.log`, and from WARNING up to stderr; or all of it to stdout.

    Call it in each process, in workers after the fork; another call applies new settings. The file
    is shared safely: it is locked for the lines of half a second, and rotated under the same lock.
    Each of the LOG_BACKUP_COUNT old files and the current one may be a line longer than
    LOG_MAX_BYTES.

    If the folder cannot be made or written, stderr gets one line and there is no file. Without
    `make_folder` a missing folder silently means no file.
    """
    shutdown()
    if settings.log_dir == STDOUT:
        _say_on(StderrLines(sys.stdout), settings.log_level)
        return
    file = LogFile(settings)
    is_wanted = make_folder or settings.log_dir.is_dir()
    trouble = _trouble_with(file) if is_wanted else None
    stderr = StderrLines()
    stderr.setLevel(logging.WARNING)
    _say_on(stderr, settings.log_level)
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


def _say_on(lines: StderrLines, level: str) -> None:
    logging.raiseExceptions = False
    logging.getLogger(_OURS).setLevel(level)
    lines.setFormatter(StderrFormatter())
    _install(lines, _OURS)


def _install(handler: logging.Handler, *names: str) -> None:
    for name in names:
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        _installed.append((logger, handler))


def flush() -> None:
    """Return once every line so far is in the file or lost."""
    _collectors_do(Collector.flush)


def _collectors_do(step: Callable[[Collector], None]) -> None:
    for collector in _collectors:
        step(collector)


def write_line(settings: Settings, level: int, text: str) -> None:
    """Write one line from a process that can make no thread; after an error it is lost."""
    line = LogLine(time.time(), logging.getLevelName(level), text)
    with suppress(Exception):
        if settings.log_dir == STDOUT:
            os.write(sys.stdout.fileno(), f"{line.text()}\n".encode())
            return
        file = LogFile(settings)
        file.write([line])
        file.close()


def receipt() -> Callable[[], bool]:
    """A function that says whether every line so far is in the file or lost.

    It is for a line that must get into the file although its process may be killed at any moment: a
    line that still waits would be lost, so all are written at once. The function never waits for
    the card.
    """
    lines = [(collector, collector.received) for collector in _collectors]
    _collectors_do(Collector.hurry)
    return lambda: all(collector.finished >= received for collector, received in lines)


def shutdown() -> None:
    """Write the lines that wait, undo `configure`, close the file; harmless without it."""
    while _installed:
        logger, handler = _installed.pop()
        logger.removeHandler(handler)
        handler.close()
    _collectors.clear()
    logging.getLogger(_OURS).setLevel(logging.NOTSET)
    logging.raiseExceptions = True


# A child has no thread to write the lines that waited, and must not write them a second time.
os.register_at_fork(
    before=partial(_collectors_do, Collector.before_fork),
    after_in_parent=partial(_collectors_do, Collector.after_fork),
    after_in_child=partial(_collectors_do, Collector.after_fork_in_child),
)


def _trouble_with(file: "LogFile") -> OSError | None:
    """Why the file could never be written or rotated; None if it can, or could with space."""
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
    """Lets a line of each kind into the log once a minute, and counts the others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held_back: dict[tuple[str, ...], int] = {}
        self._due_sec: dict[tuple[str, ...], float] = {}

    def turn(self, *kind: str) -> str | None:
        """The end of a line of this kind: how many were held back since the last one, if any.

        None means that this line is to be held back.
        """
        with self._lock:
            if time.monotonic() < self._due_sec.get(kind, 0.0):
                self._held_back[kind] = self._held_back.get(kind, 0) + 1
                return None
            self._due_sec[kind] = time.monotonic() + LOG_EVERY_SEC
            held_back = self._held_back.pop(kind, 0)
            return f" ({held_back} more since the last such line)" if held_back else ""
