"""The rules on the service as a whole: `database`, `queue`, `disk`, `export`, `backup`, `copies`.

The first two only read memory, and wait until a condition has lasted. The others are checks of
`health/checks.py`, evaluated once a minute: the page `/status` goes by the same verdicts.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from flask10x.alerts.alert import Active, Alert, Moment, Verdict
from flask10x.config.alerts.rules import (
    BackupOverdue,
    DatabaseTrouble,
    Disk,
    ExportOverdue,
    Queue,
    ReplicaOverdue,
    WrongCopies,
)
from flask10x.config.settings import Settings
from flask10x.database.damage import Damage
from flask10x.database.sqlite.litestream import Replica
from flask10x.database.verified import Result
from flask10x.health.checks import of_backup, of_copies, of_disk, of_export, of_replica
from flask10x.health.copies import ExportLag, NewestBackup, lost_files
from flask10x.health.disk import Room, room
from flask10x.recording.shared_queue import SharedQueues
from flask10x.runtime.periodic_tasks import DATABASE_ERRORS
from flask10x.runtime.worker_watch import CALM_SHARE

if TYPE_CHECKING:
    from flask10x.export.only_copies import LostFile, OnlyCopy

A = TypeVar("A")
F = TypeVar("F")
R = TypeVar("R", bound=Disk | ExportOverdue | BackupOverdue | ReplicaOverdue | WrongCopies)


class Lasting:
    """How long a condition holds, by the monotonic clock."""

    def __init__(self, for_sec: int) -> None:
        """The condition has not been evaluated yet."""
        self._for_ms = for_sec * 1000
        self._holds: bool | None = None
        self._changed_ms = 0
        self.since_ms = 0
        """When the condition began to hold or ceased to, in UTC epoch milliseconds."""

    def step(self, holds: bool, now: Moment, is_active: bool) -> bool:
        """Whether it fires now; `is_active` is whether it did before."""
        if holds != self._holds:
            self._holds = holds
            self._changed_ms = now.monotonic_ms
            self.since_ms = now.wall_ms
        if holds == is_active:
            return is_active
        has_lasted = now.monotonic_ms - self._changed_ms >= self._for_ms
        return holds if has_lasted else is_active


class DatabaseObstacles:
    """Fires at once when there is damage, or when readings can't be stored for `for_sec`.

    It is resolved when they can be for as long; damage lasts while the service runs.
    """

    def __init__(
        self, rule: DatabaseTrouble, damage: Damage, obstacles: Callable[[], Sequence[str]]
    ) -> None:
        """`obstacles` returns what keeps readings from being stored, without reading the file."""
        self._rule = rule
        self._damage = damage
        self._obstacles = obstacles
        self._lasting = Lasting(rule.for_sec)

    def step(self, now: Moment, active: Active) -> Iterable[Verdict]:
        """See `Watch`; it only reads memory."""
        reasons = self._obstacles()
        is_firing = self._lasting.step(bool(reasons), now, (self._rule.name, "") in active)
        is_firing = is_firing or self._damage.is_damaged
        facts = {"reason": reasons[0] if reasons else None}
        yield Verdict.of(self._rule, is_firing, self._lasting.since_ms, facts)


class LongQueue:
    """Fires while the queue of some worker has reached QUEUE_WARN_THRESHOLD for `for_sec`.

    It is resolved when all queues were below CALM_SHARE of that for as long.
    """

    def __init__(self, rule: Queue, settings: Settings, queues: SharedQueues) -> None:
        """Read nothing yet."""
        self._rule = rule
        self._settings = settings
        self._queues = queues
        self._lasting = Lasting(rule.for_sec)
        self._is_long: bool | None = None

    def step(self, now: Moment, active: Active) -> Iterable[Verdict]:
        """See `Watch`; it only reads memory."""
        threshold = self._settings.queue_warn_threshold
        longest = max((self._queues[n].length for n in self._queues.not_empty()), default=0)
        is_active = (self._rule.name, "") in active
        if self._is_long is None:
            self._is_long = is_active
        self._is_long = longest >= (threshold * CALM_SHARE if self._is_long else threshold)
        is_firing = self._lasting.step(self._is_long, now, is_active)
        capacity = self._settings.write_queue_maxsize
        facts = {"waiting": self._queues.length(), "threshold": threshold, "capacity": capacity}
        yield Verdict.of(self._rule, is_firing, self._lasting.since_ms, facts)


LOOK_EVERY_MS = 60_000


class SlowWatch(Generic[R]):
    """A check that is evaluated once a minute, and returns the same verdict until then."""

    def __init__(self, rule: R) -> None:
        self._rule = rule
        self._look_at_ms: int | None = None
        self._verdict: Verdict | None = None
        self._error: Exception | None = None

    def step(self, now: Moment, active: Active) -> Sequence[Verdict]:
        """See `Watch`; an error of the evaluation is raised until the next one."""
        if self._look_at_ms is None or now.monotonic_ms >= self._look_at_ms:
            self._look_at_ms = now.monotonic_ms + LOOK_EVERY_MS
            self._error = None
            try:
                verdict = self._look(now.wall_ms, active.get((self._rule.name, "")))
            except Exception as error:
                self._error = error
            else:
                if verdict.is_firing and self._verdict and self._verdict.is_firing:
                    # An alert that is not written yet keeps its beginning.
                    since_ms = min(verdict.since_ms, self._verdict.since_ms)
                    verdict = replace(verdict, since_ms=since_ms)
                self._verdict = verdict
        if self._error is not None:
            # Without this the traceback would grow each second.
            raise self._error.with_traceback(None)
        return [] if self._verdict is None else [self._verdict]

    def _look(self, now_ms: int, alert: Alert | None) -> Verdict:
        raise NotImplementedError


class FullDisk(SlowWatch[Disk]):
    """Fires by `of_disk`, and adds in how many days the disk is full."""

    def __init__(
        self,
        rule: Disk,
        folder: Path,
        full_in_days: Callable[[int], float | None],
        room: Callable[[Path], Room] = room,
    ) -> None:
        """`full_in_days` gets the milliseconds of the wall clock, and makes a query."""
        super().__init__(rule)
        self._folder = folder
        self._full_in_days = full_in_days
        self._room = room

    def _look(self, now_ms: int, alert: Alert | None) -> Verdict:
        verdict = of_disk(self._rule, self._room(self._folder), now_ms, alert)
        if not verdict.is_firing:
            return verdict
        days = None
        # A full disk may be the reason why the database can't be read.
        with suppress(*DATABASE_ERRORS, OSError):
            days = self._full_in_days(now_ms)
        known = None if days is None else int(days)
        return replace(verdict, facts={**verdict.facts, "full_in_days": known})


class OverdueExport(SlowWatch[ExportOverdue]):
    """Fires by `of_export`; an export resolves it."""

    def __init__(self, rule: ExportOverdue, lags: Callable[[], Sequence[ExportLag]]) -> None:
        """`lags` makes a query."""
        super().__init__(rule)
        self._lags = lags

    def _look(self, now_ms: int, alert: Alert | None) -> Verdict:
        return of_export(self._rule, self._lags(), now_ms, alert)


class OverdueReplica(SlowWatch[ReplicaOverdue]):
    """Fires by `of_replica`."""

    def __init__(self, rule: ReplicaOverdue, replica: Callable[[], Replica | None]) -> None:
        """`replica` asks Litestream, and looks into its folder."""
        super().__init__(rule)
        self._replica = replica

    def _look(self, now_ms: int, alert: Alert | None) -> Verdict:
        return of_replica(self._rule, self._replica(), now_ms, alert)


# How long the other rules wait for the folder of backups: it may be on another machine that does
# not answer any more.
PATIENCE_SEC = 0.5


class Folder(Generic[A, F]):
    """Asks for something on a disk that may never answer, without waiting for it for long."""

    def __init__(self, name: str, look: Callable[[A], F]) -> None:
        """`name` is that of the thread; `look` may raise OSError."""
        self._name = name
        self._look = look
        self._thread: threading.Thread | None = None
        self._failure: OSError | None = None
        self.found: F | None = None
        """What it has answered last; None before."""

    def ask(self, about: A) -> bool:
        """Whether it has answered in time. Raises OSError."""
        if self._thread is None:
            self._failure = None
            # A daemon: a folder that never answers must not keep the worker from ending.
            self._thread = threading.Thread(
                target=self._find, args=(about,), name=self._name, daemon=True
            )
            self._thread.start()
        self._thread.join(PATIENCE_SEC)
        if self._thread.is_alive():
            return False
        self._thread = None
        if self._failure is not None:
            raise self._failure
        return True

    def _find(self, about: A) -> None:
        try:
            self.found = self._look(about)
        except OSError as error:
            self._failure = error


class OverdueBackup(SlowWatch[BackupOverdue]):
    """Fires by `of_backup`; the next backup resolves it.

    A backup that is not there any more, with the stick that it is on, still counts.
    """

    def __init__(
        self,
        rule: BackupOverdue,
        newest: Callable[[int], NewestBackup | None],
        began_at: Callable[[], int | None],
    ) -> None:
        """`newest` gets the milliseconds of the wall clock, and reads BACKUP_DIR.

        `began_at` returns when the first reading came or the first import was made, None while
        there was neither; it makes a query, and is called only while there is no backup.
        """
        super().__init__(rule)
        self._folder = Folder("backups", newest)
        self._began_at = began_at
        self._newest_at: int | None = None

    def _look(self, now_ms: int, alert: Alert | None) -> Verdict:
        has_answered = self._folder.ask(now_ms)
        if self._folder.found:
            self._newest_at = self._folder.found.made_at
        is_unknown = self._newest_at is None and not has_answered
        began_at = self._began_at() if self._newest_at is None and has_answered else None
        verdict = of_backup(self._rule, self._newest_at, began_at, now_ms, alert)
        return replace(verdict, is_firing=None) if is_unknown else verdict


class DifferingCopies(SlowWatch[WrongCopies]):
    """Fires by `of_copies`.

    A repair, a run that finds nothing, or the file put back resolves it.
    """

    def __init__(
        self,
        rule: WrongCopies,
        result: Callable[[], Result | None],
        files: Callable[[], "Sequence[OnlyCopy]"],
    ) -> None:
        """`result` reads a small file beside the database, `files` makes a query."""
        super().__init__(rule)
        self._result = result
        self._files = files
        self._folder = Folder("archived files", _lost)

    def _look(self, now_ms: int, alert: Alert | None) -> Verdict:
        result, files = self._result(), self._files()
        # Where their disk does not answer, what was known before stays.
        has_answered = not files or self._folder.ask((files, result))
        lost = len(self._folder.found or ()) if files else 0
        verdict = of_copies(self._rule, result, lost, now_ms, alert)
        is_known = has_answered or self._folder.found is not None or verdict.is_firing
        return verdict if is_known else replace(verdict, is_firing=None)


def _lost(about: "tuple[Sequence[OnlyCopy], Result | None]") -> "Sequence[LostFile]":
    return lost_files(*about)
