"""Workers are replaced at a pace: their trouble must not end the master, nor overload the machine.

A worker that ends after it has served is replaced at once. One that could not even start meets
the same trouble a moment later, so the next try waits, and longer each time. Gunicorn's own
master ends with the first worker that cannot start, and with the first fork that fails; that is
right for a service that has never served (systemd and the operator see it at once), and wrong for
one that has: descriptors, threads and memory come back.
"""

import os
import time
from collections.abc import Callable
from typing import Any

from flask10x.system import limits
from flask10x.system.clock import monotonic_ms
from flask10x.system.gauges import Gauges
from flask10x.system.pace import Pace

FIRST_PAUSE_SEC, LONGEST_PAUSE_SEC = 0.5, 30.0
# A worker that dies so soon after its start may have the same trouble, a little later.
SOON_MS = 1000
# Gunicorn's exit status for other failures of a worker; it does not end the master.
WORKER_FAILED = 1


class Replacing:
    """Forks the workers of a master that listens, with pauses after failures."""

    def __init__(
        self,
        server: Any,
        gauges: Gauges,
        warn: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`server` is gunicorn's arbiter, `warn` logs a line, `clock` gives seconds.

        From now on the arbiter forks by these methods.
        """
        self._server = server
        self._gauges = gauges
        self._warn = warn
        self._clock = clock
        self._pace = Pace()
        self._failures = 0
        self._not_before_sec = clock()
        self._fork, self._fork_missing = server.spawn_worker, server.spawn_workers
        server.spawn_worker, server.spawn_workers = self.spawn_worker, self.spawn_workers

    def spawn_workers(self) -> None:
        """Fork the missing workers, unless the last one has just failed."""
        if self._clock() >= self._not_before_sec:
            self._fork_missing()

    def spawn_worker(self) -> int | None:
        """Fork a worker; its process id, or None if the system has no room for it.

        In the child, gunicorn runs the worker in this call; its errors pass through.
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
        """Note the end of a worker; `booted_ms` is that of its slot (`gauges.Slot`)."""
        if booted_ms < 0:
            self._note_failure("A worker could not start")
            return
        # A worker that was killed before it began to serve has 0.
        if booted_ms and monotonic_ms() - booted_ms > SOON_MS:
            self._failures = 0
        else:
            self._not_before_sec = self._clock() + FIRST_PAUSE_SEC

    def _note_failure(self, what: str) -> None:
        self._failures += 1
        # Bounded, because the power of a large number would overflow a float.
        doubled = FIRST_PAUSE_SEC * 2 ** min(self._failures - 1, 10)
        pause_sec = min(doubled, LONGEST_PAUSE_SEC)
        self._not_before_sec = self._clock() + pause_sec
        more = self._pace.turn(what)
        if more is not None:
            self._warn(
                f"{what}; it is tried again, at first after {FIRST_PAUSE_SEC:g} s and at last every"
                f" {LONGEST_PAUSE_SEC:g} s ({limits.in_use()}){more}"
            )
