"""What a line of the log looks like: one line a record, with nothing in it that plays tricks."""

import logging
import re
from datetime import datetime, tzinfo
from typing import NamedTuple

TRACEBACK_INDENT = "    "

# Characters that break a line, steer a terminal, or show a line in another order than it has.
CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)

_python = logging.Formatter()


def escape(text: str) -> str:
    r"""The text with whatever plays tricks on a screen or breaks its line as `\n`, `\x1b`."""
    # What nearly every line is, seen forty times as fast as by a search.
    if text.isascii() and text.isprintable():
        return text
    return CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


class LogLine(NamedTuple):
    """A record of the log with its message made, for the arguments may change."""

    created: float
    level: str
    message: str
    traceback: str = ""

    @classmethod
    def of(cls, record: logging.LogRecord) -> "LogLine":
        """What of the record goes into the file; raises what making its message raises."""
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
    """Lines without a time, for journald has its own."""

    def format(self, record: logging.LogRecord) -> str:
        return LogLine.of(record).text()


class FileTimes:
    """The time at the beginning of each line of the file, in one zone."""

    def __init__(self, zone: tzinfo | None) -> None:
        self._zone = zone
        self._second = -1
        self._text = ""

    def text(self, created: float) -> str:
        # The lines that are written together are of few seconds.
        if self._second != int(created):
            self._second = int(created)
            now = datetime.fromtimestamp(self._second, self._zone)
            self._text = now.strftime("%Y-%m-%d %H:%M:%S ")
        return self._text
