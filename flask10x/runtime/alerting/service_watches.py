"""The rules on the service as a whole: `database`, `queue`, `disk`, `export`, `backup`, `copies`.

The first two only read memory, and wait until a condition has lasted. The others are checks of
`health/checks.py`, evaluated once a minute: the page `/status` goes by the same verdicts.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import replace
from threading import Thread
from typing import Generic, TypeVar

from flask10x.alerts.alert import Active, Alert, Facts, Moment, Verdict
from flask10x.config.alerts import rules
from flask10x.config.settings import Settings
from flask10x.database import verified
from flask10x.database.damage import Damage
from flask10x.database.database import Database
from flask10x.health import copies
from flask10x.health.checks import of_backup, of_copies, of_disk, of_export, of_replica
from flask10x.health.copies import NewestBackup
from flask10x.health.database import beginning
from flask10x.health.disk import card, room
from flask10x.history.view import View
from flask10x.recording.shared_queue import SharedQueues
from flask10x.runtime.periodic_tasks import DATABASE_ERRORS
from flask10x.runtime.worker_watch import CALM_SHARE

F = TypeVar("F")


class Lasting:
    """Fires once a condition has held for `for_sec`, until it has not held for as long.

    The time is counted by the monotonic clock.
    """

    def __init__(
        self,
        rule: rules.Queue | rules.DatabaseTrouble,
        look: Callable[[bool], tuple[bool, Facts]],
        is_urgent: Callable[[], bool] = lambda: False,
    ) -> None:
        """`look` gets whether the condition held before, and only reads memory.

        While `is_urgent` returns True it fires at once.
        """
        self.rule = rule
        self._look = look
        self._is_urgent = is_urgent
        self._holds: bool | None = None
        self._changed_ms = self._since_ms = 0

    def step(self, now: Moment, active: Active) -> Iterable[Verdict]:
        """See `Watch`."""
        is_active = (self.rule.name, "") in active
        holds, facts = self._look(is_active if self._holds is None else self._holds)
        if holds != self._holds:
            self._holds, self._changed_ms, self._since_ms = holds, now.monotonic_ms, now.wall_ms
        has_lasted = now.monotonic_ms - self._changed_ms >= self.rule.for_sec * 1000
        is_firing = holds if has_lasted else is_active
        yield Verdict(self.rule, is_firing or self._is_urgent(), self._since_ms, facts)


def database_obstacles(
    rule: rules.DatabaseTrouble, damage: Damage, obstacles: Callable[[], Sequence[str]]
) -> Lasting:
    """Return the watch that fires when there is damage, or when readings can't be stored.

    `obstacles` returns what keeps them from being stored, without reading the file. Damage lasts
    while the service runs.
    """

    def look(_held: bool) -> tuple[bool, Facts]:
        reasons = obstacles()
        return bool(reasons), {"reason": reasons[0] if reasons else None}

    return Lasting(rule, look, lambda: damage.is_damaged)


def long_queue(rule: rules.Queue, settings: Settings, queues: SharedQueues) -> Lasting:
    """Return the watch that fires while the queue of some worker reaches QUEUE_WARN_THRESHOLD.

    It is resolved when all queues were below CALM_SHARE of that.
    """

    def look(held: bool) -> tuple[bool, Facts]:
        threshold, capacity = settings.queue_warn_threshold, settings.write_queue_maxsize
        longest = max((queues[n].length for n in queues.not_empty()), default=0)
        facts = {"waiting": queues.length(), "threshold": threshold, "capacity": capacity}
        return longest >= (threshold * CALM_SHARE if held else threshold), facts

    return Lasting(rule, look)


LOOK_EVERY_MS = 60_000
# How long the other rules wait for a folder: it may be on another machine that does not answer any
# more.
PATIENCE_SEC = 0.5


class Folder(Generic[F]):
    """A disk that may never answer; whoever asks it waits briefly."""

    def __init__(self, name: str) -> None:
        """Ask nothing yet; `name` names the thread that asks."""
        self._name = name
        self._answer: Future[F] | None = None
        self.found: F | None = None
        """Its last answer; None before."""

    def ask(self, look: Callable[[], F]) -> bool:
        """Look there, and return whether it has answered in time. Raises what `look` raises."""
        answer = self._answer or Future[F]()
        if self._answer is None:

            def run() -> None:
                try:
                    answer.set_result(look())
                except Exception as error:
                    answer.set_exception(error)

            # A daemon: a folder that never answers must not keep the worker from ending.
            Thread(target=run, name=self._name, daemon=True).start()
            # Not before: a thread that could not be started never answers.
            self._answer = answer
        if wait([answer], PATIENCE_SEC).not_done:
            return False
        self._answer = None
        self.found = answer.result()
        return True


RuleOnCheck = (
    rules.Disk
    | rules.ExportOverdue
    | rules.BackupOverdue
    | rules.ReplicaOverdue
    | rules.WrongCopies
)
"""A rule that is a check of `health/checks.py`."""


class CheckWatch:
    """A check that is evaluated once a minute, and returns the same verdict until then."""

    def __init__(self, rule: RuleOnCheck, settings: Settings, database: Database) -> None:
        """Open and read nothing yet."""
        self.rule = rule
        self._settings, self._database = settings, database
        self._backups: Folder[NewestBackup | None] = Folder("backups")
        self._copied: Folder[NewestBackup | None] = Folder("copies of backups")
        self._first_look_ms = 0
        self._lost: Folder[int] = Folder("archived files")
        self._look_at_ms = 0
        self._verdict: Verdict | None = None
        self._error: Exception | None = None

    def step(self, now: Moment, active: Active) -> Sequence[Verdict]:
        """See `Watch`; an error of the evaluation is raised until the next one."""
        if now.monotonic_ms >= self._look_at_ms:
            self._look_at_ms = now.monotonic_ms + LOOK_EVERY_MS
            self._error = None
            try:
                verdict = self._look(now.wall_ms, active.get((self.rule.name, "")))
            except Exception as error:
                self._error = error
            else:
                before = self._verdict
                if verdict.is_firing and before and before.is_firing:
                    # An alert that is not written yet keeps its beginning.
                    verdict = replace(verdict, since_ms=min(verdict.since_ms, before.since_ms))
                self._verdict = verdict
        if self._error is not None:
            # Without this the traceback would grow each second.
            raise self._error.with_traceback(None)
        return [self._verdict] if self._verdict else []

    def _look(self, now_ms: int, alert: Alert | None) -> Verdict:
        settings = self._settings
        match self.rule:
            case rules.Disk() as rule:
                return self._look_at_disk(rule, now_ms, alert)
            case rules.BackupOverdue() as rule:
                return self._look_for_backup(rule, now_ms, alert)
            case rules.WrongCopies() as rule:
                return self._look_at_copies(rule, now_ms, alert)
            case rules.ReplicaOverdue() as rule:
                return of_replica(rule, copies.replica(settings), now_ms, alert)
            case rules.ExportOverdue() as rule:
                with self._database.query() as connection:
                    lags = copies.export_lags(connection, settings.stations)
                return of_export(rule, lags, now_ms, alert)

    def _look_at_disk(self, rule: rules.Disk, now_ms: int, alert: Alert | None) -> Verdict:
        settings, days = self._settings, None
        verdict = of_disk(rule, room(self._database.path.parent), now_ms, alert)
        if not verdict.is_firing:
            return verdict
        # A full disk may be the reason why the database can't be read.
        with suppress(*DATABASE_ERRORS, OSError), self._database.query() as connection:
            view = View(connection, settings.stations, settings.zone, now_ms)
            days = card(settings, view).full_in_days
        known = None if days is None else int(days)
        return replace(verdict, facts={**verdict.facts, "full_in_days": known})

    def _look_for_backup(
        self, rule: rules.BackupOverdue, now_ms: int, alert: Alert | None
    ) -> Verdict:
        """The backup first, then its copy, which counts from the first look until one is seen."""
        settings, unknown = self._settings, Verdict(rule, None, now_ms)
        self._first_look_ms = self._first_look_ms or now_ms

        def backup() -> NewestBackup | None:
            return copies.newest_backup(settings.backup_dir, settings.zone, now_ms)

        if not _has_seen(self._backups, backup):
            return unknown
        newest, began_at = self._backups.found, None
        if newest is None:
            with self._database.query() as connection:
                began_at = beginning(connection).at
        verdict = of_backup(rule, newest.made_at if newest else None, began_at, now_ms, alert)
        if verdict.is_firing is not False or (folder := settings.backup_copy_dir) is None:
            return verdict
        if not _has_seen(self._copied, lambda: copies.newest_copy(settings, now_ms)):
            return unknown
        newest, began_at = self._copied.found, self._first_look_ms
        verdict = of_backup(rule, newest.made_at if newest else None, began_at, now_ms, alert)
        return replace(verdict, facts={**verdict.facts, "folder": str(folder)})

    def _look_at_copies(self, rule: rules.WrongCopies, now_ms: int, alert: Alert | None) -> Verdict:
        compared = verified.last_result(self._settings)
        with self._database.query() as connection:
            only = copies.only_copies(self._settings, connection)
        # Where their disk does not answer, what was known before stays.
        has_answered = not only or self._lost.ask(lambda: len(copies.lost_files(only, compared)))
        lost = (self._lost.found or 0) if only else 0
        verdict = of_copies(rule, compared, lost, now_ms, alert)
        is_known = has_answered or self._lost.found is not None or verdict.is_firing
        return verdict if is_known else replace(verdict, is_firing=None)


def _has_seen(
    backups: Folder[NewestBackup | None], look: Callable[[], NewestBackup | None]
) -> bool:
    """A backup that is not there any more, with the stick that it is on, still counts."""
    has_answered = backups.ask(lambda: look() or backups.found)
    return has_answered or backups.found is not None
