"""The monitor: one elected process does the duties of the service (contract, 4 and 6.5).

Every worker runs the thread; the one that holds the lock does the work, the others only try the
lock. It is held until the process ends, so the next worker takes over within a second of a crash.
What has been warned of is kept in the gauges, so the new one does not repeat it.

Of several hosts each has an elected process. What is to be done once for the database does the one
that has the lease, too; the others only ask for it.
"""

import threading
from collections.abc import Callable, Sequence

from flask10x.database.hosts import Lease
from flask10x.runtime.duties import Duty, Guard
from flask10x.system.locks import FileLock

# A queue of 5000 fills in seconds when the disk stalls, and a look at the gauges costs nothing.
TICK_SEC = 1.0


class Monitor:
    """Does each duty once a second, in their order, as long as its process is the elected one."""

    def __init__(
        self,
        lock: FileLock,
        duties: Sequence[Duty],
        everywhere: Callable[[], object] | None = None,
        lease: Lease | None = None,
        of_one_host: Sequence[Duty] = (),
    ) -> None:
        """`everywhere` is done by each process, elected or not.

        `of_one_host` come after the other duties, and only while the lease is held; without a lease
        there is only this host. Nothing is locked or started yet; the lock remains the caller's to
        close.
        """
        self._everywhere = Guard(everywhere or (lambda: None), "The open files cannot be watched")
        self._lock = lock
        self._duties = tuple(duties)
        self._lease = lease
        self._of_one_host = tuple(of_one_host)
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
            for duty in self._of_one_host:
                # Each may take long.
                if self._lease is None or self._lease.hold():
                    duty.run()
                else:
                    duty.leave()

    def close(self) -> None:
        """Let another worker take over, or another host."""
        if self.elected:
            if self._lease is not None:
                self._lease.give_back()
            self._lock.release()
            self.elected = False
