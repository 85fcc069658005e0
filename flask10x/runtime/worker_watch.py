"""The lines of the elected worker about all: long queues (contract, 6.5) and killed workers."""

import logging

from flask10x.config.settings import Settings
from flask10x.recording.shared_queue import SharedQueues
from flask10x.system import logs
from flask10x.system.gauges import Gauges

log = logging.getLogger(__name__)

# A queue that hovers round the threshold would lead to a warning each second; at half of it the
# writer is clearly faster.
CALM_SHARE = 0.5


class QueueWatch:
    """Logs once when the queue of a worker is long, and once when all are short again."""

    def __init__(self, settings: Settings, gauges: Gauges, queues: SharedQueues) -> None:
        self._settings = settings
        self._gauges = gauges
        self._queues = queues

    def step(self) -> None:
        """Check once."""
        highest = self._queues.take_peak()
        threshold, maxsize = self._settings.queue_warn_threshold, self._settings.write_queue_maxsize
        if highest >= threshold and not self._gauges.high_water:
            self._gauges.high_water = 1
            log.warning("Write queue high watermark reached: %d/%d", highest, maxsize)
        elif highest < threshold * CALM_SHARE and self._gauges.high_water:
            self._gauges.high_water = 0
            log.info("Write queue is low again: %d/%d", highest, maxsize)


class WorkerWatch:
    """Logs killed workers once, or again if this process dies before the line was written.

    The line has the total since the start, so that it is right also when it is written twice.
    """

    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges

    def step(self) -> None:
        """Check once."""
        killed = self._gauges.killed
        if new := killed - self._gauges.killed_logged:
            log.warning(
                "Killed workers: %d (%d since the start);"
                " the readings that they had accepted are kept and stored",
                *(new, killed),
            )
            logs.flush()
            self._gauges.killed_logged = killed
