"""The monitor: one elected process does the duties of the service (contract, 4 and 6.5).

Every worker runs the thread; the one that holds the lock does the work, the others only try the
lock. It is held until the process ends, so the next worker takes over within a second of a crash.
What has been warned of is kept in the gauges, so the new one does not repeat it.
"""

import threading
from collections.abc import Callable, Sequence

from flask10x.runtime.duties import Duty, Guard
from flask10x.system.locks import FileLock

# A queue of 5000 fills in seconds when the disk stalls, and a look at the gauges costs nothing.
TICK_SEC = 1.0


class Monitor:
    """Does each duty once a second, in their order, as long as its process is the elected one."""

    def __init__(
        self, lock: FileLock, duties: Sequence[Duty], everywhere: Callable[[], object] | None = None
    ) -> None:
        """`everywhere` is done by each process, elected or not.

        Nothing is locked or started yet; the lock remains the caller's to close.
        """
        self._everywhere = Guard(everywhere or (lambda: None), "The open files cannot be watched")
        self._lock = lock
        self._duties = tuple(duties)
        self.elected = False

    def run(self, stop: threading.Event) -> None:
        """Step every second until `stop` is set; nothing but that ends it."""
        guard = Guard(self.step, "The monitor failed and goes on trying")
        while not stop.wait(TICK_SEC):
            guard.run()
        self.close()

    def step(self) -> None:
        """Do what is done everywhere; stand for election, or do each duty once."""
        self._everywhere.run()
        if not self.elected:
            self.elected = self._lock.try_acquire()
        if self.elected:
            for duty in self._duties:
                duty.run()

    def close(self) -> None:
        """Let another worker take over."""
        if self.elected:
            self._lock.release()
            self.elected = False
