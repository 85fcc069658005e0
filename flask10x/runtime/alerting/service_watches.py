"""The rules on the service as a whole: `database`, `queue`, `disk`, `export`, `backup`, `copies`.

The first two only read memory, and wait until a condition has lasted. The others are checks of
`health/checks.py`, evaluated once a minute: the page `/status` goes by the same verdicts.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import replace
from threading import Thread
from typing import TYPE_CHECKING, Generic, TypeVar

from flask10x.alerts.alert import Active, Alert, Facts, Moment, Verdict
from flask10x.config.alerts import rules
from flask10x.config.settings import Settings
from flask10x.database.damage import Damage
from flask10x.database.verified import Result
from flask10x.health.checks import of_backup, of_copies, of_disk
from flask10x.health.copies import NewestBackup, lost_files
from flask10x.health.disk import Room
from flask10x.recording.shared_queue import SharedQueues
from flask10x.runtime.periodic_tasks import DATABASE_ERRORS
from flask10x.runtime.worker_watch import CALM_SHARE

if TYPE_CHECKING:
    from flask10x.export.only_copies import LostFile, OnlyCopy

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


class SlowWatch:
    """A check that is evaluated once a minute, and returns the same verdict until then."""

    def __init__(self, rule: rules.Rule, look: Callable[[int, Alert | None], Verdict]) -> None:
        """`look` gets the milliseconds of the wall clock, and the alert while one is active."""
        self.rule = rule
        self._look = look
        self._look_at_ms = 0
        self._verdicts: list[Verdict] = []
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
                if verdict.is_firing and any(before.is_firing for before in self._verdicts):
                    # An alert that is not written yet keeps its beginning.
                    since_ms = min(verdict.since_ms, self._verdicts[0].since_ms)
                    verdict = replace(verdict, since_ms=since_ms)
                self._verdicts = [verdict]
        if self._error is not None:
            # Without this the traceback would grow each second.
            raise self._error.with_traceback(None)
        return self._verdicts


def full_disk(
    rule: rules.Disk, room: Callable[[], Room], full_in_days: Callable[[int], float | None]
) -> SlowWatch:
    """Return the watch that fires by `of_disk`, and adds in how many days the disk is full.

    `full_in_days` gets the milliseconds of the wall clock, and makes a query.
    """

    def look(now_ms: int, alert: Alert | None) -> Verdict:
        verdict, days = of_disk(rule, room(), now_ms, alert), None
        if not verdict.is_firing:
            return verdict
        # A full disk may be the reason why the database can't be read.
        with suppress(*DATABASE_ERRORS, OSError):
            days = full_in_days(now_ms)
        known = None if days is None else int(days)
        return replace(verdict, facts={**verdict.facts, "full_in_days": known})

    return SlowWatch(rule, look)


# How long the other rules wait for the folder of backups: it may be on another machine that does
# not answer any more.
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


def overdue_backup(
    rule: rules.BackupOverdue,
    newest: Callable[[int], NewestBackup | None],
    began_at: Callable[[], int | None],
) -> SlowWatch:
    """Return the watch that fires by `of_backup`; the next backup resolves it.

    A backup that is not there any more, with the stick that it is on, still counts. `newest` gets
    the milliseconds of the wall clock, and reads BACKUP_DIR. `began_at` returns when the first
    reading came or the first import was made, or None; it is called only without a backup, and
    makes a query.
    """
    folder = Folder[NewestBackup | None]("backups")

    def look(now_ms: int, alert: Alert | None) -> Verdict:
        has_answered = folder.ask(lambda: newest(now_ms) or folder.found)
        if folder.found:
            return of_backup(rule, folder.found.made_at, None, now_ms, alert)
        verdict = of_backup(rule, None, began_at() if has_answered else None, now_ms, alert)
        return verdict if has_answered else replace(verdict, is_firing=None)

    return SlowWatch(rule, look)


def differing_copies(
    rule: rules.WrongCopies,
    result: Callable[[], Result | None],
    files: Callable[[], "Sequence[OnlyCopy]"],
) -> SlowWatch:
    """Return the watch that fires by `of_copies`.

    A repair, a run that finds nothing, or the file put back resolves it. `result` reads a small
    file beside the database, `files` makes a query.
    """
    folder: Folder[Sequence[LostFile]] = Folder("archived files")

    def look(now_ms: int, alert: Alert | None) -> Verdict:
        compared, only = result(), files()
        # Where their disk does not answer, what was known before stays.
        has_answered = not only or folder.ask(lambda: lost_files(only, compared))
        lost = len(folder.found or ()) if only else 0
        verdict = of_copies(rule, compared, lost, now_ms, alert)
        is_known = has_answered or folder.found is not None or verdict.is_firing
        return verdict if is_known else replace(verdict, is_firing=None)

    return SlowWatch(rule, look)
