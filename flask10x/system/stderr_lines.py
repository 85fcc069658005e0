"""Lines on stderr that never block, even if no process reads them.

Under systemd stderr is a pipe or a socket to journald. If journald hangs, it fills up, and the
next writer blocks: the thread that answers every sensor. So a line is written if there is room
for it now, and is counted otherwise.
"""

import logging
import os
import select
import sys
from contextlib import suppress
from typing import TextIO

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
    """Return the descriptor of a stream; None for a stream in memory."""
    try:
        return stream.fileno()
    except (AttributeError, OSError, ValueError):
        return None
