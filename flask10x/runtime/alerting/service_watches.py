"""The rules on the service as a whole: `database`, `queue`, `disk`, `export` and `backup`.

What the last three say of the facts is in `verdicts.py`, for the page as well. They need not look
each second; the first two look into memory only, and wait until something has lasted.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from flask10x.alerts.alert import Active, Moment, Verdict
from flask10x.config.alerts.rules import BackupOverdue, DatabaseTrouble, Disk, ExportOverdue, Queue
from flask10x.config.settings import Settings
from flask10x.database.damage import Damage
from flask10x.recording.shared_queue import SharedQueues
from flask10x.runtime.alerting import verdicts
from flask10x.runtime.facts import ExportLag, NewestBackup, Room, room
from flask10x.runtime.periodic_tasks import DATABASE_ERRORS
from flask10x.runtime.worker_watch import CALM_SHARE


class Lasting:
    """For how long something holds; lengths of time go by the clock that nobody can set."""

    def __init__(self, for_sec: int) -> None:
        """Nothing holds yet."""
        self._for_ms = for_sec * 1000
        self._holds: bool | None = None
        self._changed_ms = 0
        self.since_ms = 0
        """Since when it holds or does not, in UTC epoch milliseconds."""

    def step(self, holds: bool, now: Moment, is_active: bool) -> bool:
        """Whether it is an alert now; `is_active` is whether it was."""
        if holds != self._holds:
            self._holds = holds
            self._changed_ms = now.monotonic_ms
            self.since_ms = now.wall_ms
        if holds == is_active:
            return is_active
        has_lasted = now.monotonic_ms - self._changed_ms >= self._for_ms
        return holds if has_lasted else is_active


LOOK_EVERY_MS = 60_000


class SlowWatch:
    """A watch that looks once a minute, and says the same between two looks."""

    def __init__(self) -> None:
        self._look_at_ms: int | None = None
        self._found: Sequence[Verdict] = ()
        self._error: Exception | None = None

    def step(self, now: Moment, active: Active) -> Sequence[Verdict]:
        """As `Watch`; raises what the last look has raised until the next one."""
        if self._look_at_ms is None or now.monotonic_ms >= self._look_at_ms:
            self._look_at_ms = now.monotonic_ms + LOOK_EVERY_MS
            self._error = None
            try:
                self._found = self._look(now, active)
            except Exception as error:
                self._error = error
        if self._error is not None:
            # Or each second would make its traceback longer.
            raise self._error.with_traceback(None)
        return self._found

    def _look(self, now: Moment, active: Active) -> Sequence[Verdict]:
        raise NotImplementedError


class DatabaseObstacles:
    """Is firing at once when there is damage, else when something has hindered for `for_sec`.

    It is over when nothing has hindered for as long; a damage is never over while the service runs.
    """

    def __init__(
        self, rule: DatabaseTrouble, damage: Damage, known: Callable[[], Sequence[str]]
    ) -> None:
        """`known` gives what hinders storing now, without looking at the file."""
        self._rule = rule
        self._damage = damage
        self._known = known
        self._lasting = Lasting(rule.for_sec)

    def step(self, now: Moment, active: Active) -> Iterable[Verdict]:
        """As `Watch`; a look into memory."""
        reasons = self._known()
        is_firing = self._lasting.step(bool(reasons), now, (self._rule.name, "") in active)
        yield Verdict(
            rule=self._rule.name,
            kind="database",
            subject="",
            is_firing=is_firing or self._damage.known,
            since_ms=self._lasting.since_ms,
            facts={"reason": reasons[0] if reasons else None},
        )


class LongQueue:
    """Is firing while some worker's queue has reached QUEUE_WARN_THRESHOLD for `for_sec`.

    It is over when for as long all queues were below CALM_SHARE of that.
    """

    def __init__(self, rule: Queue, settings: Settings, queues: SharedQueues) -> None:
        """Nothing is looked at yet."""
        self._rule = rule
        self._settings = settings
        self._queues = queues
        self._lasting = Lasting(rule.for_sec)
        self._is_long: bool | None = None

    def step(self, now: Moment, active: Active) -> Iterable[Verdict]:
        """As `Watch`; a look into memory."""
        threshold = self._settings.queue_warn_threshold
        longest = max((self._queues[n].length for n in self._queues.not_empty()), default=0)
        is_active = (self._rule.name, "") in active
        if self._is_long is None:
            self._is_long = is_active
        self._is_long = longest >= (threshold * CALM_SHARE if self._is_long else threshold)
        is_firing = self._lasting.step(self._is_long, now, is_active)
        yield Verdict(
            rule=self._rule.name,
            kind="queue",
            subject="",
            is_firing=is_firing,
            since_ms=self._lasting.since_ms,
            facts={
                "waiting": self._queues.length(),
                "threshold": threshold,
                "capacity": self._settings.write_queue_maxsize,
            },
        )


class FullDisk(SlowWatch):
    """Says what `verdicts.of_disk` says of the disk, and in how many days it is full."""

    def __init__(
        self,
        rule: Disk,
        folder: Path,
        full_in_days: Callable[[int], float | None],
        room: Callable[[Path], Room] = room,
    ) -> None:
        """`full_in_days` is given the wall clock's milliseconds and looks into the database."""
        super().__init__()
        self._rule = rule
        self._folder = folder
        self._full_in_days = full_in_days
        self._room = room
        self._since_ms: int | None = None

    def _look(self, now: Moment, active: Active) -> Sequence[Verdict]:
        alert = active.get((self._rule.name, ""))
        verdict = verdicts.of_disk(self._rule, self._room(self._folder), now.wall_ms, alert)
        if not verdict.is_firing:
            self._since_ms = None
            return [replace(verdict, since_ms=now.wall_ms)]
        # An alert that could not be noted yet keeps its beginning.
        self._since_ms = verdict.since_ms if self._since_ms is None else self._since_ms
        facts = {**verdict.facts, "full_in_days": self._days(now)}
        return [replace(verdict, since_ms=self._since_ms, facts=facts)]

    def _days(self, now: Moment) -> int | None:
        # A full disk can be why the database can't be read.
        with suppress(*DATABASE_ERRORS, OSError):
            days = self._full_in_days(now.wall_ms)
            return None if days is None else int(days)
        return None


class OverdueExport(SlowWatch):
    """Is firing while a reading waits for longer than `after_sec`, in any of the files.

    Only files that an export has written before count. It is over with the export.
    """

    def __init__(self, rule: ExportOverdue, lags: Callable[[], Sequence[ExportLag]]) -> None:
        """`lags` looks into the database."""
        super().__init__()
        self._rule = rule
        self._lags = lags

    def _look(self, now: Moment, active: Active) -> Sequence[Verdict]:
        alert = active.get((self._rule.name, ""))
        return [verdicts.of_export(self._rule, self._lags(), now.wall_ms, alert)]


# Backups may lie on another machine that has gone away; whoever looks then waits for ever, and the
# other rules must not.
PATIENCE_SEC = 0.5


class OverdueBackup(SlowWatch):
    """Is firing while the newest backup is older than `after_sec`; over with the next one.

    Without any it counts from when the database was begun. A backup that was seen and is away, with
    the stick that it is on, still counts.
    """

    def __init__(
        self,
        rule: BackupOverdue,
        newest: Callable[[int], NewestBackup | None],
        began_at: Callable[[], int | None],
    ) -> None:
        """`newest` is given the wall clock's milliseconds and looks at BACKUP_DIR.

        `began_at` gives when the first reading came or the first import was made, None while there
        was neither; it looks into the database, and only while there is no backup.
        """
        super().__init__()
        self._rule = rule
        self._newest = newest
        self._began_at = began_at
        self._thread: threading.Thread | None = None
        self._seen: NewestBackup | None = None
        self._failure: OSError | None = None

    def _look(self, now: Moment, active: Active) -> Sequence[Verdict]:
        has_answered = self._see(now.wall_ms)
        began_at = self._began_at() if has_answered and self._seen is None else None
        alert = active.get((self._rule.name, ""))
        verdict = verdicts.of_backup(self._rule, self._seen, began_at, now.wall_ms, alert)
        if self._seen is None and not has_answered:
            return [replace(verdict, is_firing=None)]
        return [verdict]

    def _see(self, now_ms: int) -> bool:
        """Look at the folder; whether it has answered. Raises OSError."""
        if self._thread is None:
            self._failure = None
            # A daemon: a folder that never answers must not keep the worker from ending.
            self._thread = threading.Thread(
                target=self._find, args=(now_ms,), name="backups", daemon=True
            )
            self._thread.start()
        self._thread.join(PATIENCE_SEC)
        if self._thread.is_alive():
            return False
        self._thread = None
        if self._failure is not None:
            raise self._failure
        return True

    def _find(self, now_ms: int) -> None:
        try:
            found = self._newest(now_ms)
        except OSError as error:
            self._failure = error
            return
        self._seen = found or self._seen
