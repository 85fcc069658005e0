"""The commit delay: how long a commit waits for readings that senders are about to send.

A sender that waits for its commit sends again soon after it, and a commit costs about the same
however many readings it stores. So with ACK=committed the next commit waits for as many readings
as the last one stored or as came while it ran, in the queues of all workers. The worker that gets
the last of them commits them all, without a rival for the lock. A wait in vain costs no more than
a commit, and a lone sender never waits.
"""

from flask10x.recording.shared_queue import SharedQueues
from flask10x.system.gauges import Gauges


class CommitDelay:
    """The number of readings that the next commit waits for; it is the same for all workers."""

    def __init__(self, gauges: Gauges, queues: SharedQueues, max_sec: float) -> None:
        """Nothing is expected before the first commit."""
        self._gauges, self._queues = gauges, queues
        self.max_sec = max_sec

    @property
    def wait_sec(self) -> float:
        """The longest time to wait for them: as long as the last commit took, or less."""
        return min(self._gauges.commit_us / 1e6, self.max_sec)

    def is_full(self) -> bool:
        """Whether as many readings wait as are expected; called for each reading."""
        return self._queues.length() >= self._gauges.expected_rows

    def expect(self, rows: int, took_sec: float) -> None:
        """Learn from a commit of so many rows; only the holder of the commit lock calls it."""
        self._gauges.expected_rows = rows + self._queues.length()
        self._gauges.commit_us = int(took_sec * 1e6)
