"""Waiting: what a worker does in place of storing while there is no database to store into.

It opens nothing and makes nothing, for what is made now would lie below the mount point of the disk
that is missing. It looks each second, and ends its worker in order once the database is there; the
next one is forked with everything ready (`server/gunicorn_conf.py`).
"""

import logging
import os
import signal
import threading
from collections.abc import Callable

from flask10x.config.settings import Settings
from flask10x.database.missing import holds_nothing
from flask10x.database.paths import database_path
from flask10x.runtime.duties import Guard
from flask10x.system import logs
from flask10x.system.gauges import Gauges

log = logging.getLogger(__name__)

LOOK_EVERY_SEC = 1.0
# A copy that is still being written grows; one that stays the same for so many looks is whole.
EQUAL_LOOKS = 3


class Waiting:
    """A worker's place for its store; `open` after the fork, `close` before the process ends."""

    def __init__(
        self,
        settings: Settings,
        gauges: Gauges,
        slot_number: int,
        end_worker: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGTERM),
    ) -> None:
        """`end_worker` is called once when the database has come."""
        self.settings, self.gauges = settings, gauges
        self._path = database_path(settings)
        self._slot = gauges.slot(slot_number)
        self._end_worker = end_worker
        self._seen: list[tuple[int, ...]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="waiting", daemon=True)

    def open(self) -> None:
        """Configure the log, where it has a folder, and look from now on."""
        logs.configure(self.settings, make_folder=False)
        self._thread.start()

    def close(self) -> None:
        """Look no more; harmless when it was never opened."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._slot.release()
        logs.shutdown()

    def step(self) -> bool:
        """Look once; whether the database is there and was the same for some looks."""
        if holds_nothing(self._path):
            self._seen.clear()
            return False
        status = self._path.stat()
        self._seen.append((status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))
        del self._seen[:-EQUAL_LOOKS]
        return len(self._seen) == EQUAL_LOOKS and len(set(self._seen)) == 1

    def _run(self) -> None:
        guard = Guard(self._end_when_there, "Cannot look for the database and goes on trying")
        while not self._stop.wait(LOOK_EVERY_SEC):
            guard.run()

    def _end_when_there(self) -> None:
        if self.step():
            log.info("The database is there: %s", self._path)
            self._stop.set()
            self._end_worker()
