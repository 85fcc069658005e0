"""The store of one worker: database, writer, gauges and monitors."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial

from sqlalchemy.exc import DBAPIError

from flask10x.alerts.transitions import Routing
from flask10x.config.settings import Settings
from flask10x.database import counters
from flask10x.database.damage import Damage
from flask10x.database.database import Database
from flask10x.database.engine import MONITOR
from flask10x.database.error_codes import reason_of
from flask10x.database.paths import shown_name
from flask10x.history.view import View
from flask10x.recording.shared_queue import WorkerSlot
from flask10x.recording.writer import DRAIN_SEC, Writer
from flask10x.runtime.added_stations import AddedStations
from flask10x.runtime.alerting.sharing import AlertSharing
from flask10x.runtime.alerting.watch_list import watches_of
from flask10x.runtime.alerting.watcher import AlertWatcher
from flask10x.runtime.backup_schedule import BackupSchedule
from flask10x.runtime.database_file import DatabaseFile
from flask10x.runtime.new_readings import NewReadings
from flask10x.runtime.other_hosts import OtherHosts
from flask10x.runtime.periodic_tasks import Monitor, PeriodicTask
from flask10x.runtime.retention_schedule import Retention
from flask10x.runtime.rollup_schedule import Follower
from flask10x.runtime.setup_files import SetupFiles
from flask10x.runtime.station_watch import SilenceLearning, SilenceLimits, StationWatch
from flask10x.runtime.worker_watch import look_at_queues, look_at_workers
from flask10x.system import clock, limits, logs
from flask10x.system.locks import FileLock, lock_path

log = logging.getLogger(__name__)

# How long a stop waits for the thread of alerts, which may wait for the card or another writer. It
# may be interrupted anywhere: what it has written by then is complete.
ALERTS_END_WITHIN_SEC = 2.0
# A chart that leaves memory free takes longer. An idle worker takes some milliseconds a second, and
# giving back what is not there is most of it.
GIVE_BACK_AFTER_CPU_SEC = 0.02


class Store:
    """The objects that views use. Call `open` after the fork, `close` before the process ends."""

    def __init__(self, settings: Settings, slot: WorkerSlot) -> None:
        """Create the objects of the worker that has this slot, without a connection or a thread."""
        self.settings, self.slot = settings, slot
        gauges = self.gauges = slot.gauges
        self.queues = slot.queues
        self.database = Database(settings, Damage(gauges))
        self.writer = Writer(settings, self.database, slot)
        self.new_readings = NewReadings(self.database)
        self._closed = False
        self._stop = threading.Event()
        self._monitor_lock = FileLock(lock_path(self.database.path, MONITOR))
        # A database on a server has no file to care for.
        is_file = self.database.server is None
        self._file = DatabaseFile(settings, self.database, gauges) if is_file else None
        self._follower = Follower(settings.stations, settings.zone, self.database, time.monotonic)
        self._retention = Retention(settings, self.database)
        has_other_hosts = self.database.hosts.name is not None
        self._monitor = Monitor(
            self._monitor_lock,
            self._tasks(),
            self._each_second,
            self.database.hosts.lease(self.database, MONITOR, self._monitor_lock),
            self._tasks_of_one_host(),
        )
        self._given_back_at_sec = 0.0
        self._watch = threading.Thread(
            target=self._monitor.run, args=(self._stop,), name="monitor", daemon=True
        )
        self._alert_lock = FileLock(lock_path(self.database.path, "alerts"))
        alert_lease = self.database.hosts.lease(self.database, "alerts", self._alert_lock)
        sharing = None
        if has_other_hosts:
            routing = Routing(settings.alerts, settings.zone)
            sharing = AlertSharing(self.database, alert_lease, routing)
        watches = watches_of(settings, self.database, gauges, self.queues, self.writer)
        self._alerts = AlertWatcher(settings, watches, sharing=sharing)
        # Alerts have a monitor of their own, because roll-ups may take minutes; so has what people
        # set up, who wait for it.
        learning = SilenceLearning(
            settings, gauges, SilenceLimits(self.database), clock.monotonic_ms
        )
        files = SetupFiles(settings, self.database)
        others_trouble = "Cannot read what other hosts have set up"
        self._alert_monitor = Monitor(
            self._alert_lock,
            [
                self._task("alerts", self._alerts.step, "Alerts cannot be noted"),
                self._task("usual pauses", learning.step, "Cannot learn how often endpoints send"),
                self._task("setup files", files.step, others_trouble),
            ],
            lease=alert_lease,
        )
        self._alert_thread = threading.Thread(
            target=self._alert_monitor.run, args=(self._stop,), name="alerts", daemon=True
        )

    def open(self) -> None:
        """Configure the log, and start the writer and the monitors."""
        logs.configure(self.settings)
        log.info("Worker starts: database %s", shown_name(self.settings))
        for former, now in self.settings.alerts.former_names.items():
            log.warning("alerts.toml: %s is called %s now", former, now)
        if self._file:
            self._file.begin()
        if self.database.damage.is_damaged:
            log.critical("The database is damaged: %s", self.database.damage.reason)
        try:
            with self.database.reader.begin() as connection:
                name = counters.write_errors_name(self.settings)
                self.gauges.load_errors(counters.value_of(connection, name))
        except DBAPIError as error:
            # The writer gets the same error, reports it and tries again.
            log.error("Cannot read the database: %s", reason_of(error))
        self.writer.start()
        self._watch.start()
        self._alerts.begin()
        self._alert_thread.start()
        if self._file:
            self._file.inspection.start()

    def close(self) -> int:
        """Store the accepted readings and close; return how many could not be stored.

        A second call does nothing.
        """
        if self._closed:
            return 0
        self._closed = True
        try:
            self._follower.close()
            self._retention.close()
        finally:
            # If this fails the writer ends after the main thread, with the database still open.
            unstored = self.writer.close(0 if self.database.damage.is_damaged else DRAIN_SEC)
            self._close_rest(unstored)
        return unstored

    def _close_rest(self, unstored: int) -> None:
        with ExitStack() as closing:
            # The last one is called first; an error of one does not skip the others.
            closing.callback(logs.shutdown)
            closing.callback(log.info, "Worker stops: %d readings not stored", unstored)
            closing.callback(self.slot.numbers.release)
            closing.callback(self.database.close)
            if self._file:
                closing.callback(self._file.rescue.close)
            closing.callback(self.new_readings.close)
            closing.callback(self._monitor_lock.close)
            closing.callback(self._end, self._watch)
            closing.callback(self._alert_lock.close)
            closing.callback(self._alerts.close)
            closing.callback(self._end, self._alert_thread, ALERTS_END_WITHIN_SEC)
            if self._file:
                closing.callback(self._file.inspection.close)
            # Waiting for a server might take longer than a stop may.
            closing.callback(self.database.break_off)
            closing.callback(self._stop.set)

    def _end(self, thread: threading.Thread, within_sec: float | None = None) -> None:
        if thread.ident is not None:
            thread.join(within_sec)

    def _each_second(self) -> None:
        used_sec = time.process_time()
        if used_sec - self._given_back_at_sec >= GIVE_BACK_AFTER_CPU_SEC:
            self._given_back_at_sec = used_sec
            limits.give_memory_back()
        if self._file:
            self._file.rescue.step()

    def _task(self, name: str, step: Callable[[], bool | None], trouble: str = "") -> PeriodicTask:
        return PeriodicTask(name, step, self.gauges, trouble)

    def _tasks(self) -> list[PeriodicTask]:
        """Return the tasks of the elected worker of each host."""
        database, gauges = self.database, self.gauges
        tasks = [
            *(self._file.tasks() if self._file else ()),
            self._task("killed workers", partial(look_at_workers, gauges)),
            self._task("queues", partial(look_at_queues, self.settings, gauges, self.queues)),
        ]
        if (hold_name := database.hosts.hold_name(database, self._monitor_lock)) is not None:
            others = OtherHosts(database, gauges, self.settings.stations.by_endpoint)
            tasks += [
                self._task("host name", hold_name, "This host needs another name"),
                self._task("other hosts", others.step, "Cannot read what came to other hosts"),
            ]
        added = AddedStations(self.settings, database, clock.monotonic_sec)
        trouble = "Rejected readings of a new station cannot be stored"
        return [
            *tasks,
            self._task("added stations", added.step, trouble),
            # Removal needs the CSV files, which are on one host, not the one with the lease.
            self._task("retention", self._retention.step, "Old readings cannot be removed"),
        ]

    def _tasks_of_one_host(self) -> list[PeriodicTask]:
        """Return the tasks that a database needs once; those that may take long come last."""
        stations = StationWatch(
            self.settings, self.gauges, self._last_received, clock.monotonic_sec
        )
        behind = "Roll-ups cannot be brought up to date"
        backups = BackupSchedule(self.settings, self.database)
        return [
            self._task("silent stations", stations.step),
            self._task("backups", backups.step, "The daily backup cannot be started"),
            self._task("roll-ups", self._follower.step, behind),
        ]

    def _last_received(self) -> Mapping[str, int | None]:
        with self.database.reader.begin() as connection:
            return View(connection, self.settings.stations).last_received
