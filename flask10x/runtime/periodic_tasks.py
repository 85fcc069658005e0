"""Periodic tasks, which run beside the requests; an error of one does not stop the others.

Each has a name. When one fails it is logged once, with the traceback, and once more when it works
again; meanwhile every worker shows its name in `/readyz` and `/metrics/details`.

The monitor runs the tasks of the service (contract, 4 and 6.5) in one elected process. Every worker
has the thread; the one that holds the lock runs the tasks, the others only try the lock. It is held
until the process ends, so the next worker takes over within a second of a crash. The gauges have
the warnings that were logged, so that the new one does not repeat them.

Each of several hosts has an elected process. The one that has the lease also runs the tasks that
are needed once for the database; the others only try to get it.
"""

import logging
import threading
from collections.abc import Callable, Sequence

from sqlalchemy.exc import DBAPIError, TimeoutError

from flask10x.database.engine import Lease
from flask10x.database.error_codes import reason_of
from flask10x.errors import (
    DatabaseDamaged,
    DatabaseSuspected,
    DatabaseUnreadable,
    HostNameTaken,
    LockTimeout,
)
from flask10x.system.clock import monotonic_ms
from flask10x.system.gauges import Gauges
from flask10x.system.locks import FileLock

log = logging.getLogger(__name__)

# A periodic task's place in the gauges is its place here. Users see the names.
NAMES = (
    *("WAL", "killed workers", "queues", "silent stations", "roll-ups"),
    *("inspection", "alerts", "retention", "other hosts", "host name", "usual pauses"),
    *("setup files", "added stations", "backups"),
)
# The errors of a database that is locked, full or damaged: the reason is enough, without a
# traceback.
DATABASE_ERRORS = (
    *(DBAPIError, TimeoutError, LockTimeout),
    *(DatabaseDamaged, DatabaseSuspected, DatabaseUnreadable),
)


class PeriodicTask:
    """One task in the process that runs it; only one process does at a time."""

    def __init__(
        self, name: str, step: Callable[[], bool | None], gauges: Gauges, trouble: str = ""
    ) -> None:
        """`step` runs it once; it returns False when there was nothing to do yet.

        `trouble` is the beginning of a warning about an error of the database or of its other
        hosts; without it such an error is logged like any other. Raises ValueError when the name is
        not in `NAMES`.
        """
        self._name = name
        self._place = NAMES.index(name)
        self._step = step
        self._gauges = gauges
        self._trouble = trouble

    def run(self) -> None:
        """Run it once; raises nothing, so that the next task runs, too."""
        try:
            result = self._step()
        except BaseException as error:
            # SystemExit, too: it would end the thread without a message.
            self._note_failure(error)
            return
        since_ms = self._gauges.failing_since_ms[self._place]
        if since_ms and result is not False:
            self._gauges.failing_since_ms[self._place] = 0
            failed_sec = (monotonic_ms() - since_ms) // 1000
            log.info("The periodic task '%s' works again after %ds", self._name, failed_sec)

    def leave(self) -> None:
        """Another host runs it now, so whether it fails is not known here any more."""
        self._gauges.failing_since_ms[self._place] = 0

    def _note_failure(self, error: BaseException) -> None:
        if self._gauges.failing_since_ms[self._place]:
            return
        self._gauges.failing_since_ms[self._place] = monotonic_ms()
        if self._trouble and isinstance(error, (*DATABASE_ERRORS, HostNameTaken)):
            log.warning("%s: %s", self._trouble, reason_of(error))
        else:
            log.error(
                "The periodic task '%s' failed; it is tried again", self._name, exc_info=error
            )


class Guard:
    """Calls a step in the loop of a thread, whose errors do not end the thread.

    The first of several errors in a row is logged.
    """

    def __init__(self, step: Callable[[], object], failed: str) -> None:
        """`failed` is the line of the log above the traceback."""
        self._step = step
        self._failed = failed
        self._is_failing = False

    def run(self) -> None:
        """Call the step once; raises nothing."""
        try:
            self._step()
            self._is_failing = False
        except BaseException:
            if not self._is_failing:
                log.exception(self._failed)
            self._is_failing = True


def failing_sec(gauges: Gauges) -> dict[str, int | None]:
    """Return for how many whole seconds each task has been failing; None while it works."""
    return {
        name: (monotonic_ms() - since_ms) // 1000 if since_ms else None
        for name, since_ms in zip(NAMES, gauges.failing_since_ms, strict=False)
    }


def failing(gauges: Gauges) -> list[str]:
    """Return the names of the tasks that fail now."""
    return [name for name, seconds in failing_sec(gauges).items() if seconds is not None]


# A queue of 5000 fills in seconds when the disk stalls, and reading the gauges costs nothing.
TICK_SEC = 1.0


class Monitor:
    """Runs the periodic tasks in order, once a second, while its process is the elected one."""

    def __init__(
        self,
        lock: FileLock,
        tasks: Sequence[PeriodicTask],
        everywhere: Callable[[], object] | None = None,
        lease: Lease | None = None,
        of_one_host: Sequence[PeriodicTask] = (),
    ) -> None:
        """Lock and start nothing yet; the caller closes the lock.

        `everywhere` is called by each process, elected or not. `of_one_host` run after the other
        tasks, and only while the lease is held; without a lease there is only this host.
        """
        self._everywhere = Guard(everywhere or (lambda: None), "The open files cannot be watched")
        self._lock = lock
        self._tasks = tuple(tasks)
        self._lease = lease
        self._of_one_host = tuple(of_one_host)
        self.elected = False

    def run(self, stop: threading.Event) -> None:
        """Step every second until `stop` is set."""
        guard = Guard(self.step, "The monitor failed and goes on trying")
        while not stop.wait(TICK_SEC):
            guard.run()
        self.close()

    def step(self) -> None:
        """Call `everywhere`, and run each task once if this process is elected."""
        self._everywhere.run()
        if not self.elected:
            self.elected = self._lock.try_acquire()
        if self.elected:
            for task in self._tasks:
                task.run()
            for task in self._of_one_host:
                # Each may take long, so the lease is checked before each.
                if self._lease is None or self._lease.hold():
                    task.run()
                else:
                    task.leave()

    def close(self) -> None:
        """Release lock and lease for another worker or host."""
        if self.elected:
            if self._lease is not None:
                self._lease.give_back()
            self._lock.release()
            self.elected = False
