"""The file of the log, which all processes share; the lines of half a second are written at once.

Logging waits neither for the file nor for a lock of another process: a thread writes all records
together.
"""

import logging
import os
import re
import sys
import threading
from collections import deque
from contextlib import suppress
from io import TextIOWrapper

from concurrent_log_handler import ConcurrentRotatingFileHandler

from flask10x.config.settings import Settings
from flask10x.system import disk, limits
from flask10x.system.log_line import LineFormatter
from flask10x.system.wording import escape

FILE_NAME = "flask10x.log"
# So there are two writes a second however much is logged. A line has to be in the file within a
# second, so half a second is left for the card and for the other processes.
COLLECT_SEC = 0.5
# Some 5 MB, reached only if the card stalls: for ten seconds of the fastest traffic, for days of a
# home's.
WAITING_MAX = 20_000

# The lines of a traceback are indented, so a record begins with every other line.
_NEXT_RECORD = re.compile(r"\n(?! )")


class Collector(logging.Handler):
    """Collects records and writes them into the file: `start` its thread, `close` it at the end.

    A process that forks closes it before.
    """

    def __init__(self, file: "LogFile") -> None:
        super().__init__()
        self.setFormatter(LineFormatter(has_time=True, zone=file.zone))
        self._file = file
        self._waiting: deque[str] = deque()
        self._dropped = self._dropped_logged = 0
        self._writing = threading.Lock()
        self._has_lines, self._ends = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)

    def start(self) -> None:
        """Start the thread; if the system has none, `flush` and `close` write the lines."""
        with suppress(RuntimeError):
            self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record for the thread; if there is no room, it is dropped and counted."""
        # Handlers are called one at a time, under their own lock.
        if len(self._waiting) >= WAITING_MAX:
            self._dropped += 1
            return
        try:
            self._waiting.append(self.format(record))
        except Exception:
            complain()
            return
        if not self._has_lines.is_set():
            self._has_lines.set()

    def flush(self) -> None:
        """Return once every record so far is in the file or lost."""
        with self._writing:
            lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
            dropped, warnings = self._dropped, []
            if dropped != self._dropped_logged:
                text = (
                    f"{dropped - self._dropped_logged} lines of the log were lost: the file stalled"
                )
                lost = logging.makeLogRecord({"levelname": "WARNING", "msg": text})
                warnings.append(self.format(lost))
            if not (lines or warnings):
                return
            if self._file.write(lines + warnings):
                self._dropped_logged = dropped
                return
            # They can be written once a descriptor is free again.
            self._waiting.extendleft(reversed(lines))
            self._has_lines.set()

    def close(self) -> None:
        """Write the lines that wait, end the thread, close the file; harmless if it is closed."""
        self._ends.set()
        self._has_lines.set()
        if self._thread.is_alive():
            self._thread.join()
        self.flush()
        with suppress(OSError):
            self._file.close()
        super().close()

    def _run(self) -> None:
        # The first line is written at once: it opens the file while there are descriptors.
        collect_sec = 0.0
        while not self._ends.is_set():
            self._has_lines.wait()
            self._ends.wait(collect_sec)
            collect_sec = COLLECT_SEC
            # Cleared before the records are written: a record that comes later sets it again.
            self._has_lines.clear()
            self.flush()


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
        self.zone = settings.zone
        self._complained = self._exhausted = False

    def write(self, lines: list[str]) -> bool:
        """Write all lines under one lock; after an error they are lost.

        Return False if the process has no descriptor for the file, so that another try may succeed.
        """
        self._exhausted = False
        self.handle(logging.makeLogRecord({"msg": "\n".join(lines)}))
        return not self._exhausted

    def do_write(self, msg: str) -> None:
        """Write the records of the message, rotating between two of them where the file is full."""
        records = _NEXT_RECORD.split(msg)
        while records:
            # As many as fill the file; one that is longer than the limit fills it alone.
            if self.stream is None:
                self.stream = self.do_open()
            room = self.maxBytes - self.stream.seek(0, os.SEEK_END)
            fitting = 0
            while fitting < len(records) and (room > 0 or not fitting):
                room -= len(records[fitting].encode()) + len(self.terminator)
                fitting += 1
            super().do_write("\n".join(records[:fitting]))
            del records[:fitting]
            if records:
                # A file that cannot be renamed goes on growing, as with a single line.
                with suppress(OSError):
                    self.doRollover()

    def do_open(self, mode: str | None = None) -> TextIOWrapper:
        """Open the file, and end the line that a full disk or a power cut has torn."""
        disk.make_private(self.baseFilename)
        stream = super().do_open(mode)
        with open(self.baseFilename, "rb") as file:
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
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


def complain() -> None:
    """Write the exception that cost lines to stderr, if that is possible."""
    with suppress(Exception):
        reason = escape(repr(sys.exc_info()[1]))
        sys.stderr.write(f"WARNING Lines of the log are lost: {reason}\n")
