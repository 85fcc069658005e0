"""Workers are replaced at a pace: what they die of must not take the master along, nor the machine.

A worker that ends after it has served is replaced at once. One that could not even start finds the
same trouble a moment later, so the next try waits, and longer each time. Gunicorn's own master
ends with the first worker that cannot start, and with the first fork that fails; that is right for
a service that has never served (systemd and a person see it at once), and wrong for one that has:
descriptors, threads and memory come back.
"""

import os
import time
from collections.abc import Callable
from typing import Any

from flask10x.system import limits
from flask10x.system.clock import monotonic_ms
from flask10x.system.gauges import Gauges
from flask10x.system.logs import Pace

FIRST_PAUSE_SEC, LONGEST_PAUSE_SEC = 0.5, 30.0
# A worker that dies so soon after its start may have met the same trouble, a little later.
SOON_MS = 1000
# What gunicorn gives to other failures of a worker: nothing that ends its master.
WORKER_FAILED = 1


class Replacing:
    """The master's way to fork workers, once it listens; the hooks of gunicorn tell it the rest."""

    def __init__(
        self,
        server: Any,
        gauges: Gauges,
        tell: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`server` is gunicorn's arbiter, `tell` takes a line for the log, `clock` gives seconds.

        From here on the arbiter forks by these methods.
        """
        self._server = server
        self._gauges = gauges
        self._tell = tell
        self._clock = clock
        self._pace = Pace()
        self._failures = 0
        self._not_before_sec = clock()
        self._fork, self._fork_missing = server.spawn_worker, server.spawn_workers
        server.spawn_worker, server.spawn_workers = self.spawn_worker, self.spawn_workers

    def spawn_workers(self) -> None:
        """Fork what is missing, unless the last one has just failed."""
        if self._clock() >= self._not_before_sec:
            self._fork_missing()

    def spawn_worker(self) -> int | None:
        """Fork one; its process id, or None when the system has no room for it.

        Gunicorn runs the worker in here, too; what that raises is its own.
        """
        master = os.getpid()
        try:
            pid: int = self._fork()
        except OSError as error:
            if os.getpid() != master or not self._gauges.serving:
                raise
            if error.errno not in limits.EXHAUSTED:
                raise
            self._note_failure(f"No worker can be made: {error.strerror}")
            return None
        return pid

    def note_end(self, booted_ms: int) -> None:
        """A worker has ended; `booted_ms` is that of its slot (`gauges.Slot`)."""
        if booted_ms < 0:
            self._note_failure("A worker could not start")
            return
        # One that was killed before it began to serve has 0.
        if booted_ms and monotonic_ms() - booted_ms > SOON_MS:
            self._failures = 0
        else:
            self._not_before_sec = self._clock() + FIRST_PAUSE_SEC

    def _note_failure(self, what: str) -> None:
        self._failures += 1
        # Bounded, for the power of a large number is one that no float can be.
        doubled = FIRST_PAUSE_SEC * 2 ** min(self._failures - 1, 10)
        pause_sec = min(doubled, LONGEST_PAUSE_SEC)
        self._not_before_sec = self._clock() + pause_sec
        more = self._pace.turn(what)
        if more is not None:
            self._tell(
                f"{what}; it is tried again, at first after {FIRST_PAUSE_SEC:g} s and at last every"
                f" {LONGEST_PAUSE_SEC:g} s ({limits.in_use()}){more}"
            )
