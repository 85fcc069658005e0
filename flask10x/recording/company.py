"""How long a commit waits for company: for readings that senders are about to send.

Whoever waits for its commit sends again soon after it, and a commit costs about the same however
many readings it stores. So with ACK=committed the next one waits for as many as were in the last
one and came while it ran, in the queues of all workers. The worker that gets the last of them
commits them all, without any rival for the lock. A wait that was for nothing has cost no more than
a commit, and a sender that is alone never waits.
"""

from flask10x.recording.shared_queue import SharedQueues
from flask10x.system.gauges import Gauges

# Where a commit takes long, readings come together by themselves while it runs.
LONGEST_WAIT_SEC = 0.001


class Company:
    """The readings that the next commit waits for; all workers expect the same."""

    def __init__(self, gauges: Gauges, queues: SharedQueues) -> None:
        """Nothing is expected before the first commit."""
        self._gauges, self._queues = gauges, queues

    @property
    def wait_sec(self) -> float:
        """How long to wait for them at most: as long as the last commit took, or less."""
        return min(self._gauges.commit_us / 1e6, LONGEST_WAIT_SEC)

    def has_come(self) -> bool:
        """Whether as many wait as are expected; asked for each reading."""
        return self._queues.length() >= self._gauges.company_rows

    def expect(self, rows: int, took_sec: float) -> None:
        """After a commit of so many rows, by whoever has the turn."""
        self._gauges.company_rows = rows + self._queues.length()
        self._gauges.commit_us = int(took_sec * 1e6)
