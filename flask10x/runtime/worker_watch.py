"""Workers that were killed: another one logs them, for they can't do it themselves."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from flask10x.system import logs
from flask10x.system.gauges import Gauges

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _PendingLogLine:
    """The total of killed workers, on its way into the log."""

    total: int
    is_written: Callable[[], bool]


class WorkerWatch:
    """Logs killed workers once; again when whoever logged it may have died before it was written.

    The line has the total since the start, so that one which stands twice says nothing wrong.
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
            self._gauges.killed_logged = self._pending_line.total
            self._pending_line = None
        killed = self._gauges.killed
        new = killed - self._gauges.killed_logged
        if not new:
            return
        log.warning(
            "Killed workers: %d (%d since the start);"
            " the readings that they had accepted are kept and stored",
            *(new, killed),
        )
        self._pending_line = _PendingLogLine(killed, self._receipt())
