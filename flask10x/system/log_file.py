"""The file of the log: all processes share it, and what came within half a second goes in at once.

A record costs its caller no file and no lock of another process; a thread writes them all together.
"""

import logging
import os
import re
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from io import TextIOWrapper

from concurrent_log_handler import ConcurrentRotatingFileHandler

from flask10x.config.settings import Settings
from flask10x.system import disk, limits
from flask10x.system.log_lines import FileTimes, LogLine, escape

FILE_NAME = "flask10x.log"
# Two writes a second however much is logged, and half of the second within which a line is to be in
# the file is left for the card and for the other processes.
COLLECT_SEC = 0.5
# So many are written at once even so; beyond that, collecting saves nothing more.
HURRY_AT = 1_000
# Some 5 MB, reached only when the card stalls: for ten seconds of the fastest traffic, for days of
# a home's.
WAITING_MAX = 20_000

# The lines of a traceback are indented, so a record begins with every other line.
_NEXT_RECORD = re.compile(r"\n(?! )")


class Collector(logging.Handler):
    """Collects records and writes them into the file: `start` its thread, `close` it at the end."""

    def __init__(self, file: "LogFile") -> None:
        super().__init__()
        self.taken = 0
        """How many records it has kept so far."""
        self.written = 0
        """How many of them it is done with."""
        self._file = file
        self._waiting: deque[LogLine] = deque()
        self._dropped = self._dropped_said = 0
        self._writing = threading.Lock()
        self._come, self._hurry = threading.Event(), threading.Event()
        self._ends = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)

    def start(self) -> None:
        """Start the thread; raises RuntimeError when there can be none."""
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record for the thread; one for which there is no room is counted."""
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
        self.taken += 1
        if not self._come.is_set():
            self._come.set()
        # The first one at once: it opens the file while there are descriptors.
        if (waiting >= HURRY_AT or not self.written) and not self._hurry.is_set():
            self._hurry.set()

    def hurry(self) -> None:
        """Collect no longer: the thread writes now what is there."""
        if self.written < self.taken:
            self._hurry.set()

    def flush(self) -> None:
        """Return when every record so far is in the file, or lost."""
        with self._writing:
            self._write()

    def close(self) -> None:
        """Write what waits, end the thread, close the file; harmless when it is closed."""
        self._ends = True
        self._come.set()
        self._hurry.set()
        if self._thread.is_alive():
            self._thread.join()
        self.flush()
        with suppress(OSError):
            self._file.close()
        super().close()

    def before_fork(self) -> None:
        """Write what waits, and let nothing be written until `after_fork`."""
        self._writing.acquire()
        self._write()

    def after_fork(self) -> None:
        """Go on, in the parent."""
        self._writing.release()

    def after_fork_in_child(self) -> None:
        """Leave to the parent what came meanwhile; the child has no thread, so it must flush."""
        self._waiting.clear()
        self._come, self._hurry = threading.Event(), threading.Event()
        self._dropped = self._dropped_said
        self.taken = self.written
        self._writing.release()

    def _run(self) -> None:
        while not self._ends:
            self._come.wait()
            self._hurry.wait(COLLECT_SEC)
            # First these, then the records: whoever comes after this asks for another turn.
            self._come.clear()
            self._hurry.clear()
            self.flush()

    def _write(self) -> None:
        lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
        dropped, said = self._dropped, []
        if dropped != self._dropped_said:
            text = f"{dropped - self._dropped_said} lines of the log were lost: the file stalled"
            said.append(LogLine(time.time(), "WARNING", text))
        if not (lines or said):
            return
        if not self._file.write(lines + said):
            # Somebody gives a descriptor back, and then it can be written.
            self._waiting.extendleft(reversed(lines))
            self._come.set()
            return
        self._dropped_said = dropped
        self.written += len(lines)


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
        self._times = FileTimes(settings.zone)
        self._complained = self._exhausted = False

    def write(self, lines: list[LogLine]) -> bool:
        """Write all of them under one lock; what fails costs the lines.

        False when the process has no descriptor for the file, and it is worth another try.
        """
        text = "\n".join(line.text(self._times.text(line.created)) for line in lines)
        self._exhausted = False
        self.handle(logging.makeLogRecord({"msg": text}))
        return not self._exhausted

    def do_write(self, msg: str) -> None:
        """Write all that was handed over, rotating between two records where the file is full."""
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
        """How many of the records fill the file, which may be one of them longer than its limit."""
        if self.stream is None:
            self.stream = self.do_open()
        room = self.maxBytes - self.stream.seek(0, os.SEEK_END)
        for number, record in enumerate(records, start=1):
            room -= len(record.encode()) + len(self.terminator)
            if room <= 0:
                return number
        return len(records)

    def do_open(self, mode: str | None = None) -> TextIOWrapper:
        """Open the file, closing the line that a full disk or a power cut has torn."""
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


def complain() -> None:
    """Say on stderr which exception cost lines; nothing is said when that fails too."""
    with suppress(Exception):
        reason = escape(repr(sys.exc_info()[1]))
        sys.stderr.write(f"WARNING Lines of the log are lost: {reason}\n")
