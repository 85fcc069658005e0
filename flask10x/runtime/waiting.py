"""Waiting for the database: the state of a worker while there is none.

It creates nothing, for a new file would be below the mount point of the missing disk. It checks
each second, and ends its worker once the database is there; the next one is forked with everything
ready (`server/gunicorn_conf.py`). On PostgreSQL it waits for the server to answer and to accept
writes.

Where the state file of alerts exists, the folder is the right one, and an alert says that nothing
is stored. Each worker has the watch for that; an alert is written once also by several workers.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable

from flask10x.alerts.state_file import path_of
from flask10x.config.alerts.rules import DatabaseTrouble
from flask10x.config.settings import Settings
from flask10x.database import engines
from flask10x.database.damage import Damage
from flask10x.database.paths import shown_name
from flask10x.recording.shared_queue import WorkerSlot
from flask10x.runtime.alerting.service_watches import database_obstacles
from flask10x.runtime.alerting.watcher import AlertWatcher
from flask10x.runtime.periodic_tasks import Guard
from flask10x.system import logs

log = logging.getLogger(__name__)

LOOK_EVERY_SEC = 1.0

# How long a stop waits: the state of alerts may be on a disk that does not answer.
END_WITHIN_SEC = 2.0


class Waiting:
    """Takes the place of a store; call `open` after the fork, `close` before the process ends."""

    def __init__(
        self,
        settings: Settings,
        slot: WorkerSlot,
        reason: str = "",
        end_worker: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGTERM),
    ) -> None:
        """`reason` says what is missing; `end_worker` is called once when it is there."""
        self.settings, self.gauges, self._slot = settings, slot.gauges, slot
        self.is_file = engines.engine_of(settings).is_file
        self.step = engines.engine_of(settings).arrival()
        """Check once whether the database is there and can be used."""
        self._end_worker = end_worker
        self.reason = reason
        self._alerts: AlertWatcher | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="waiting", daemon=True)

    def open(self) -> None:
        """Configure the log, where it has a folder, and start checking."""
        # The files beside a database on a server are not on a disk of that database.
        logs.configure(self.settings, make_folder=not self.is_file)
        if not self.is_file or path_of(self.settings).exists():
            watches = [
                database_obstacles(rule, Damage(), lambda: (self.reason,))
                for rule in self.settings.alerts.rules
                if isinstance(rule, DatabaseTrouble)
            ]
            self._alerts = AlertWatcher(self.settings, watches)
        self._thread.start()

    def close(self) -> None:
        """Stop checking; does nothing when it was never opened."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(END_WITHIN_SEC)
        if self._alerts is not None:
            self._alerts.close()
        self._slot.numbers.release()
        logs.shutdown()

    def _run(self) -> None:
        guard = Guard(self._look, "Cannot look for the database and goes on trying")
        alerting = Guard(self._alert, "Alerts cannot be noted")
        while not self._stop.wait(LOOK_EVERY_SEC):
            guard.run()
            alerting.run()

    def _alert(self) -> None:
        if self._alerts is not None and not self._stop.is_set():
            self._alerts.step()

    def _look(self) -> None:
        if self.step():
            log.info("The database is there: %s", shown_name(self.settings))
            self._stop.set()
            self._end_worker()
