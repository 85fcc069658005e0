"""A line of the log: its time, level and message, and an indented traceback below it."""

import logging
from datetime import datetime, tzinfo

from flask10x.system.wording import escape

TRACEBACK_INDENT = "    "


class LineFormatter(logging.Formatter):
    """Formats a record as a line whose control characters are escaped.

    The line has no time unless `has_time` is set: journald, or what runs a container, adds its own.
    """

    def __init__(self, *, has_time: bool = False, zone: tzinfo | None = None) -> None:
        """Write times in this zone; None is the zone of the system."""
        super().__init__()
        self._has_time, self._zone = has_time, zone

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and below it the lines of a traceback; raises errors of its message."""
        first = f"{record.levelname} {record.getMessage()}"
        if self._has_time:
            moment = datetime.fromtimestamp(int(record.created), self._zone)
            first = f"{moment:%Y-%m-%d %H:%M:%S} {first}"
        traceback = record.exc_text or ""
        if record.exc_info and not traceback:
            traceback = self.formatException(record.exc_info)
        rest = traceback.split("\n") if traceback else []
        return "\n".join([escape(first), *(TRACEBACK_INDENT + escape(line) for line in rest)])
