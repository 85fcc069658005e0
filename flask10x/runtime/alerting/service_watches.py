"""The rules on the service as a whole: `database`, `queue`, `disk`, `export`, `backup`, `copies`.

The watches of the last four and the page `/status` call the same functions for their verdicts, so
an alert and the page never differ. Such a function gets the rule, its facts, the current time of
the wall clock in UTC epoch milliseconds, and the active alert of the rule, if there is one. These
watches are evaluated once a minute; the first two only read memory, and wait until a condition has
lasted.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from flask10x.alerts.alert import Active, Alert, Fact, Facts, Moment, Verdict
from flask10x.config.alerts.rules import (
    Alerts,
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
from flask10x.recording.shared_queue import SharedQueues
from flask10x.runtime.facts import ExportLag, NewestBackup, Room, lost_files, room
from flask10x.runtime.periodic_tasks import DATABASE_ERRORS
from flask10x.runtime.worker_watch import CALM_SHARE

if TYPE_CHECKING:
    from flask10x.export.only_copies import LostFile, OnlyCopy

# This much more than the limit must be free to resolve the alert, or a rotated log would do it.
CLEAR_POINTS = 1

A = TypeVar("A")
F = TypeVar("F")
R = TypeVar("R", Disk, ExportOverdue, BackupOverdue, ReplicaOverdue, WrongCopies)


def rules_of(alerts: Alerts, usual: R) -> tuple[R, ...]:
    """Return the enabled rules of this kind, or the usual one where there is none."""
    return tuple(rule for rule in alerts.rules if isinstance(rule, type(usual))) or (usual,)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the first verdict that is firing, or else the first."""
    candidates = tuple(verdicts)
    return next((verdict for verdict in candidates if verdict.is_firing), candidates[0])


def of_disk(rule: Disk, room: Room, now_ms: int, alert: Alert | None) -> Verdict:
    """Fires while less than `free_percent` is free; CLEAR_POINTS more resolve it."""
    limit = rule.free_percent if alert is None else rule.free_percent + CLEAR_POINTS
    since_ms = now_ms if alert is None else alert.since_ms
    percent = round(room.free_percent, 1)
    facts = {"free_bytes": room.free, "free_percent": percent, "total_bytes": room.total}
    return Verdict.of(rule, room.free_percent < limit, since_ms, facts)


def of_backup(
    rule: BackupOverdue,
    newest: NewestBackup | None,
    began_at: int | None,
    now_ms: int,
    alert: Alert | None,
) -> Verdict:
    """Fires while the newest backup is older than `after_sec`.

    Without a backup the time counts from `began_at`, when the first reading came or the first
    import was made; it is None while there was neither, and then no backup is overdue.
    """
    base_ms = began_at if newest is None else newest.made_at
    is_firing: bool | None = False
    since_ms = now_ms
    if base_ms is not None:
        due_ms = base_ms + rule.after_sec * 1000
        is_firing = now_ms > due_ms
        since_ms = due_ms if is_firing else now_ms
        if not is_firing and _is_clock_behind(now_ms, alert):
            is_firing = None
    newest_at = newest.made_at if newest else None
    facts: Facts = {"newest_at": newest_at, "after_sec": rule.after_sec}
    return Verdict.of(rule, is_firing, since_ms, facts)


def of_replica(
    rule: ReplicaOverdue, replica: Replica | None, now_ms: int, alert: Alert | None
) -> Verdict:
    """Fires while the replica lacks what was stored `after_sec` ago; never where there is none."""
    if replica is None or replica.synced_at is None:
        # Litestream has carried nothing yet, or was removed.
        return Verdict.of(rule, False, now_ms, {})
    due_ms = replica.synced_at + rule.after_sec * 1000
    is_firing: bool | None = now_ms > due_ms
    if not is_firing and _is_clock_behind(now_ms, alert):
        is_firing = None
    facts: Facts = {"newest_at": replica.synced_at, "after_sec": rule.after_sec}
    return Verdict.of(rule, is_firing, due_ms if is_firing else now_ms, facts)


def of_export(
    rule: ExportOverdue, lags: Sequence[ExportLag], now_ms: int, alert: Alert | None
) -> Verdict:
    """Fires while a reading waits for longer than `after_sec` for its CSV file."""
    after_ms = rule.after_sec * 1000
    overdue = [
        (lag.oldest_at, lag)
        for lag in lags
        if lag.oldest_at is not None and now_ms - lag.oldest_at > after_ms
    ]
    if not overdue:
        return Verdict.of(rule, None if _is_clock_behind(now_ms, alert) else False, now_ms, {})
    oldest_at, lag = min(overdue, key=lambda pair: pair[0])
    waiting = sum(late.waiting for _, late in overdue)
    facts: Facts = {"oldest_at": oldest_at, "readings": waiting, "station": lag.station.endpoint}
    return Verdict.of(rule, True, oldest_at + after_ms, facts)


def of_copies(
    rule: WrongCopies, result: Result | None, lost: int, now_ms: int, alert: Alert | None
) -> Verdict:
    """Fires while the last `flask10x verify` has found what was not repaired, or files are lost.

    `lost` is how many files are that alone had removed readings.
    """
    differing = len(result.differing) if result else 0
    since_ms = now_ms if alert is None else alert.since_ms
    facts: dict[str, Fact] = {"differences": differing + lost}
    if result and differing:
        since_ms = result.finished_at
        facts["found_at"] = result.finished_at
    if lost:
        facts["lost_files"] = lost
    return Verdict.of(rule, bool(differing or lost), since_ms, facts)


def _is_clock_behind(now_ms: int, alert: Alert | None) -> bool:
    """Whether the alert fired after the current time: then the wall clock is wrong, as after a
    boot.

    Rules that count days can't be decided until it is set.
    """
    return alert is not None and now_ms < alert.firing_since_ms


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


LOOK_EVERY_MS = 60_000


class SlowWatch:
    """A watch that is evaluated once a minute, and returns the same verdicts until then."""

    def __init__(self) -> None:
        self._look_at_ms: int | None = None
        self._verdicts: Sequence[Verdict] = ()
        self._error: Exception | None = None

    def step(self, now: Moment, active: Active) -> Sequence[Verdict]:
        """See `Watch`; an error of the evaluation is raised until the next one."""
        if self._look_at_ms is None or now.monotonic_ms >= self._look_at_ms:
            self._look_at_ms = now.monotonic_ms + LOOK_EVERY_MS
            self._error = None
            try:
                self._verdicts = self._look(now, active)
            except Exception as error:
                self._error = error
        if self._error is not None:
            # Without this the traceback would grow each second.
            raise self._error.with_traceback(None)
        return self._verdicts

    def _look(self, now: Moment, active: Active) -> Sequence[Verdict]:
        raise NotImplementedError


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


class FullDisk(SlowWatch):
    """Fires by `of_disk`, and adds in how many days the disk is full."""

    def __init__(
        self,
        rule: Disk,
        folder: Path,
        full_in_days: Callable[[int], float | None],
        room: Callable[[Path], Room] = room,
    ) -> None:
        """`full_in_days` gets the milliseconds of the wall clock, and makes a query."""
        super().__init__()
        self._rule = rule
        self._folder = folder
        self._full_in_days = full_in_days
        self._room = room
        self._since_ms: int | None = None

    def _look(self, now: Moment, active: Active) -> Sequence[Verdict]:
        alert = active.get((self._rule.name, ""))
        verdict = of_disk(self._rule, self._room(self._folder), now.wall_ms, alert)
        if not verdict.is_firing:
            self._since_ms = None
            return [replace(verdict, since_ms=now.wall_ms)]
        # An alert that is not written yet keeps its beginning.
        self._since_ms = verdict.since_ms if self._since_ms is None else self._since_ms
        facts = {**verdict.facts, "full_in_days": self._days(now)}
        return [replace(verdict, since_ms=self._since_ms, facts=facts)]

    def _days(self, now: Moment) -> int | None:
        # A full disk may be the reason why the database can't be read.
        with suppress(*DATABASE_ERRORS, OSError):
            days = self._full_in_days(now.wall_ms)
            return None if days is None else int(days)
        return None


class OverdueExport(SlowWatch):
    """Fires while a reading waits for longer than `after_sec` for its CSV file.

    Only files that an export has written before count. An export resolves it.
    """

    def __init__(self, rule: ExportOverdue, lags: Callable[[], Sequence[ExportLag]]) -> None:
        """`lags` makes a query."""
        super().__init__()
        self._rule = rule
        self._lags = lags

    def _look(self, now: Moment, active: Active) -> Sequence[Verdict]:
        alert = active.get((self._rule.name, ""))
        return [of_export(self._rule, self._lags(), now.wall_ms, alert)]


class OverdueReplica(SlowWatch):
    """Fires while the replica lacks what was stored `after_sec` ago."""

    def __init__(self, rule: ReplicaOverdue, replica: Callable[[], Replica | None]) -> None:
        """`replica` asks Litestream, and looks into its folder."""
        super().__init__()
        self._rule = rule
        self._replica = replica

    def _look(self, now: Moment, active: Active) -> Sequence[Verdict]:
        alert = active.get((self._rule.name, ""))
        return [of_replica(self._rule, self._replica(), now.wall_ms, alert)]


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


class OverdueBackup(SlowWatch):
    """Fires while the newest backup is older than `after_sec`; the next backup resolves it.

    Without a backup the time counts from the beginning of the database. A backup that is not there
    any more, with the stick that it is on, still counts.
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
        super().__init__()
        self._rule = rule
        self._folder = Folder("backups", newest)
        self._began_at = began_at
        self._newest: NewestBackup | None = None

    def _look(self, now: Moment, active: Active) -> Sequence[Verdict]:
        has_answered = self._folder.ask(now.wall_ms)
        self._newest = self._folder.found or self._newest
        began_at = self._began_at() if has_answered and self._newest is None else None
        alert = active.get((self._rule.name, ""))
        verdict = of_backup(self._rule, self._newest, began_at, now.wall_ms, alert)
        if self._newest is None and not has_answered:
            return [replace(verdict, is_firing=None)]
        return [verdict]


class DifferingCopies(SlowWatch):
    """Fires while copies differ, or a file is lost that alone has removed readings.

    A repair, a run that finds nothing, or the file put back resolves it.
    """

    def __init__(
        self,
        rule: WrongCopies,
        result: Callable[[], Result | None],
        files: Callable[[], "Sequence[OnlyCopy]"],
    ) -> None:
        """`result` reads a small file beside the database, `files` makes a query."""
        super().__init__()
        self._rule = rule
        self._result = result
        self._files = files
        self._folder = Folder("archived files", _lost)

    def _look(self, now: Moment, active: Active) -> Sequence[Verdict]:
        result, files = self._result(), self._files()
        # Where their disk does not answer, what was known before stays.
        has_answered = not files or self._folder.ask((files, result))
        lost = len(self._folder.found or ()) if files else 0
        alert = active.get((self._rule.name, ""))
        verdict = of_copies(self._rule, result, lost, now.wall_ms, alert)
        is_known = has_answered or self._folder.found is not None or verdict.is_firing
        return [verdict if is_known else replace(verdict, is_firing=None)]


def _lost(about: "tuple[Sequence[OnlyCopy], Result | None]") -> "Sequence[LostFile]":
    return lost_files(*about)
