"""Lines on stderr, which costs nobody a moment when nobody reads it.

Under systemd it is a pipe or a socket to journald. One that hangs fills it, and whoever writes then
waits: the thread that answers every sensor. So a line goes out when there is room for it now, and
is counted otherwise.
"""

import logging
import os
import select
import sys
from contextlib import suppress
from typing import TextIO

# A pipe that can be written takes so much without waiting (man 7 pipe, PIPE_BUF).
PIECE_BYTES = select.PIPE_BUF


class StderrLines(logging.Handler):
    """Writes records without ever waiting for whoever reads them."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """To the stream, or to stderr as it is now."""
        super().__init__()
        self._stream = stream or sys.stderr
        self._lost = 0
        self._is_torn = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line now, or count it; the next one that goes out says how many were lost."""
        # Stderr may be gone too (journald restarted): then nobody would read it.
        with suppress(Exception):
            text = f"{self.format(record)}\n"
            if self._lost:
                text = f"WARNING {self._lost} lines lost here, nobody read them\n{text}"
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
    """Of a stream in memory there is none."""
    try:
        return stream.fileno()
    except (AttributeError, OSError, ValueError):
        return None
