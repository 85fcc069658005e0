"""Workers that were killed: another one logs them, for they can't do it themselves."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from flask10x.system import logs
from flask10x.system.gauges import Gauges

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _PendingLogLine:
    """The totals of killed workers and lost readings, on their way into the log."""

    totals: tuple[int, int]
    is_written: Callable[[], bool]


class WorkerWatch:
    """Logs killed workers once; again when whoever logged it may have died before it was written.

    The line has the totals since the start, so that one which stands twice says nothing wrong.
    """

    def __init__(
        self, gauges: Gauges, receipt: Callable[[], Callable[[], bool]] = logs.receipt
    ) -> None:
        """`receipt` is asked after a line, and its answer until that line is written."""
        self._gauges = gauges
        self._receipt = receipt
        self._pending_line: _PendingLogLine | None = None

    def step(self) -> None:
        """Look once."""
        if self._pending_line is not None:
            if not self._pending_line.is_written():
                return
            self._gauges.killed_logged, self._gauges.lost_logged = self._pending_line.totals
            self._pending_line = None
        totals = killed, lost = self._gauges.killed, self._gauges.lost
        new = killed - self._gauges.killed_logged
        if not new:
            return
        new_lost = lost - self._gauges.lost_logged
        log.log(
            logging.CRITICAL if new_lost else logging.WARNING,
            "Killed workers: %d (%d since the start);"
            " readings lost that they had accepted: %s (%s since the start)",
            new,
            killed,
            _at_most(new_lost),
            _at_most(lost),
        )
        self._pending_line = _PendingLogLine(totals, self._receipt())


def _at_most(lost: int) -> str:
    return f"up to {lost}" if lost else "none"
