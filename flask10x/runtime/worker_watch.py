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


def look_at_queues(settings: Settings, gauges: Gauges, queues: SharedQueues) -> None:
    """Log once when the queue of a worker is long, and once when all are short again."""
    highest = queues.take_peak()
    threshold, maxsize = settings.queue_warn_threshold, settings.write_queue_maxsize
    if highest >= threshold and not gauges.high_water:
        gauges.high_water = 1
        log.warning("Write queue high watermark reached: %d/%d", highest, maxsize)
    elif highest < threshold * CALM_SHARE and gauges.high_water:
        gauges.high_water = 0
        log.info("Write queue is low again: %d/%d", highest, maxsize)


def look_at_workers(gauges: Gauges) -> None:
    """Log killed workers once, or again if this process dies before the line was written.

    The line has the total since the start, so that it is right also when it is written twice.
    """
    killed = gauges.killed
    if new := killed - gauges.killed_logged:
        log.warning(
            "Killed workers: %d (%d since the start);"
            " the readings that they had accepted are kept and stored",
            *(new, killed),
        )
        logs.flush()
        gauges.killed_logged = killed
