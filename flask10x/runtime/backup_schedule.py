"""The daily backup that the service makes itself, where no timer and no cron job does.

There is no state of it: whether one is due is decided by the newest backup in the folder. So a
backup that was missed is made after the next start, and none is made after a timer's.
"""

import logging
import threading
from collections.abc import Callable
from datetime import datetime, time, timedelta, tzinfo

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.errors import PARTLY_DONE_STATUS, BackgroundBusy
from flask10x.health.copies import NewestBackup, newest_backup
from flask10x.health.database import beginning
from flask10x.runtime.alerting.service_watches import Folder
from flask10x.system import clock
from flask10x.system.background import About, Background, Run, environment

log = logging.getLogger(__name__)

NAME = "scheduled"
"""The folder, in the data folder, with the output of the last one."""
LOOK_EVERY_MS = 60_000
# A start has enough to do, and its clock may not be set yet: a Pi has no battery for it.
AFTER_START_MS = 120_000
# Of one that could not be made, as on a full disk.
RETRY_MS = 3_600_000
# Who makes backups by a timer, by cron or by hand made one so long ago at most.
RECENT_MS = 20 * 3_600_000


def moments(at: time, zone: tzinfo | None, now_ms: int) -> tuple[int, int]:
    """Return the last and the next moment of this time of day, in UTC epoch milliseconds."""
    today = datetime.fromtimestamp(now_ms / 1000, zone).date()
    days = (today + timedelta(days=n) for n in (-1, 0, 1))
    found = [int(datetime.combine(day, at, zone).timestamp() * 1000) for day in days]
    return max(ms for ms in found if ms <= now_ms), min(ms for ms in found if ms > now_ms)


def next_at(settings: Settings, newest_at: int | None, began_at: int | None, now_ms: int) -> int:
    """Return when the service makes its next backup, in UTC epoch milliseconds.

    That is `now_ms` or earlier where one is due; 0 where it makes none. `newest_at` is when the
    newest backup was made, None without one; then the first reading or import counts, which came at
    `began_at`. Nothing is backed up before there is something.
    """
    if settings.backup_at is None:
        return 0
    last, following = moments(settings.backup_at, settings.zone, now_ms)
    if newest_at is None:
        return last if began_at is not None and began_at < last else following
    if newest_at + RECENT_MS < last:
        return last
    while following <= newest_at + RECENT_MS:
        following = moments(settings.backup_at, settings.zone, following)[1]
    return following


def last_run(settings: Settings) -> Run | None:
    """Return the backup that the service makes or has made last; None without one."""
    return Background(settings.data_dir, NAME).current()


class BackupSchedule:
    """Starts the backup once it is due; `flask10x backup` makes it in a process of its own."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        now_ms: Callable[[], int] = clock.now_ms,
        monotonic_ms: Callable[[], int] = clock.monotonic_ms,
    ) -> None:
        self._settings = settings
        self._database = database
        self._now_ms = now_ms
        self._monotonic_ms = monotonic_ms
        self._look_at_ms = monotonic_ms() + AFTER_START_MS
        self._folder: Folder[NewestBackup | None] = Folder("backup folder")
        self._thread: threading.Thread | None = None

    def step(self) -> bool:
        """Start the backup if it is due, which is called about once a second.

        Returns False when it is not time to look. Raises what a query raises, and OSError.
        """
        if self._thread is not None and not self._thread.is_alive():
            self._thread = None
            self._say()
        now_ms, monotonic_ms = self._now_ms(), self._monotonic_ms()
        if self._settings.backup_at is None:
            return True
        if self._database.damage.halted or monotonic_ms < self._look_at_ms:
            return False
        self._look_at_ms = monotonic_ms + LOOK_EVERY_MS
        if self._is_due(now_ms):
            self._start(now_ms)
        return True

    def _is_due(self, now_ms: int) -> bool:
        settings = self._settings
        # On a stick or a share that may never answer.
        if not self._folder.ask(lambda: newest_backup(settings.backup_dir, settings.zone, now_ms)):
            return False
        newest, began_at = self._folder.found, None
        if newest is None:
            with self._database.query() as connection:
                began_at = beginning(connection).at
        return next_at(settings, newest.made_at if newest else None, began_at, now_ms) <= now_ms

    def _start(self, now_ms: int) -> None:
        about = About(kind="backup", arguments=["backup"], began_ms=now_ms, browser="")
        background = Background(self._settings.data_dir, NAME)
        try:
            self._thread = background.start(
                about, environment(self._settings, self._settings.alerts.language)
            )
        except BackgroundBusy:
            return
        log.info("The daily backup begins")
        self._look_at_ms = self._monotonic_ms() + RETRY_MS

    def _say(self) -> None:
        """Note in the log what became of it."""
        run = last_run(self._settings)
        if run is not None and run.status == 0:
            log.info("The daily backup is made: %s", run.output)
        elif run is not None and run.status == PARTLY_DONE_STATUS:
            log.warning("The daily backup is made, and not copied: %s", run.errors)
        else:
            reason = run.errors if run is not None else ""
            log.warning("The daily backup was not made, and is tried again: %s", reason)
