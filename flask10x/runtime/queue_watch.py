"""Backlog: readings that wait because they come faster than they are stored (contract, 6.5)."""

import logging

from flask10x.config.settings import Settings
from flask10x.recording.shared_queue import SharedQueues
from flask10x.system.gauges import Gauges

log = logging.getLogger(__name__)

# A queue that hovers round the threshold would warn every second if the same line ended it; at
# half of it the writer is plainly winning.
CALM_SHARE = 0.5


class QueueWatch:
    """Warns once when any worker's queue is long, and says once when all are short again."""

    def __init__(self, settings: Settings, gauges: Gauges, queues: SharedQueues) -> None:
        self._settings = settings
        self._gauges = gauges
        self._queues = queues

    def step(self) -> None:
        """Look once."""
        highest = self._queues.take_peak()
        threshold, maxsize = self._settings.queue_warn_threshold, self._settings.write_queue_maxsize
        if highest >= threshold and not self._gauges.high_water:
            self._gauges.high_water = 1
            log.warning("Write queue high watermark reached: %d/%d", highest, maxsize)
        elif highest < threshold * CALM_SHARE and self._gauges.high_water:
            self._gauges.high_water = 0
            log.info("Write queue is low again: %d/%d", highest, maxsize)
