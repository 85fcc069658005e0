"""A line of the log: its time, level and message, and an indented traceback below it."""

import logging
from typing import NamedTuple

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
