"""One run of `flask10x verify`: all comparisons in their order, the verdicts, and the repair.

What is compared is noted in a file beside the database every few seconds, so a run that was killed,
or that a power cut has ended, goes on from there.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from gettext import gettext as _
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database import engines, verified
from flask10x.database.database import Database
from flask10x.database.error_codes import DAMAGE_ERRORS, code_of
from flask10x.database.verified import Difference, Result
from flask10x.errors import BackupError, CopyError, ExportError, Flask10xError
from flask10x.maintenance.backup import backup, write_copy
from flask10x.maintenance.verify.comparing import (
    NOTED_MAX,
    Copies,
    Noted,
    compare_archived,
    compare_backups,
    compare_days,
    compare_hours,
    compare_lines,
    compare_replica,
    compare_rows,
    remove_replica,
    unreadable,
)
from flask10x.maintenance.verify.judging import Judge, Judgement
from flask10x.maintenance.verify.repairing import Repairs, can_renew, needs_renewal
from flask10x.maintenance.verify.wording import Words
from flask10x.system import backup_files, disk, logs
from flask10x.system.clock import now_ms
from flask10x.system.locks import FileLock, lock_path
from flask10x.system.progress import Bar, unseen
from flask10x.translation import translation

# A kill loses no more work than this, and a card bears a small file as often.
SAVE_EVERY_SEC = 10.0
# An export or the removal of old readings holds its lock for no longer, mostly.
LOCK_SEC = 120.0
# A run that has lain for longer says nothing about the copies of today.
STALE_MS = 14 * 24 * 3_600_000

Compare = Callable[[Copies, Noted, Any], Iterator[Any]]


@dataclass(slots=True)
class _Run:
    """What is kept of a run until it has ended."""

    began_at: int
    seconds: float
    task: str
    """The comparison that is under way."""
    at: Any
    """How far it has come; None at its beginning."""
    noted: Noted

    def as_json(self) -> dict[str, Any]:
        values = {"began_at": self.began_at, "seconds": self.seconds, "task": self.task}
        return values | {"at": self.at, "noted": self.noted.as_json()}


def verify(
    settings: Settings, database: Database, *, repair: bool = False, bar: Bar = unseen
) -> Result:
    """Compare all copies, with `repair` put back what is wrong, and return what was found.

    The caller holds the lock `verify`. Raises OSError where the result can't be kept, and what a
    backup or a commit raises where a repair fails; the result is kept then. What can't be compared
    is a difference of the result.
    """
    return _Verification(settings, database, bar).result(repair=repair)


class _Verification:
    def __init__(self, settings: Settings, database: Database, bar: Bar) -> None:
        self._settings, self._database, self._bar = settings, database, bar
        content = verified.load(settings)
        self._former = verified.last_result(settings)
        skipped = content.get("skipped_backup") or ""
        self._copies = Copies(settings, database, skipped)
        self._run = self._resumed(content.get("run"))
        self._began_sec = time.monotonic() - self._run.seconds
        self._saved_sec = time.monotonic()

    def result(self, *, repair: bool) -> Result:
        """Compare, judge, repair and keep the result."""
        tasks = self._tasks()
        names = [*tasks]
        first = names.index(self._run.task) if self._run.task in tasks else 0
        with self._bar(_("verify"), len(names)) as advance:
            advance(first)
            for name in names[first:]:
                self._compare(name, tasks[name])
                advance(1)
        noted = self._run.noted
        with ExitStack() as stack:
            judge = stack.enter_context(Judge(self._copies, noted))
            judgements = judge.judgements()
            differences = [each.difference for each in judgements]
            repaired_at = self._former.repaired_at if self._former else None
            skipped = self._copies.skipped_backup
            failure: Exception | None = None
            if repair and not noted.is_damaged and self._can_repair(judgements):
                try:
                    skipped, differences = self._repair(stack, judge, judgements)
                    repaired_at = now_ms()
                except (Flask10xError, DBAPIError, OSError) as error:
                    failure = error
        remove_replica(self._settings)
        result = Result(
            finished_at=now_ms(),
            seconds=round(time.monotonic() - self._began_sec, 1),
            readings=noted.readings,
            lines=noted.lines,
            hours=noted.hours,
            backup=str(self._copies.backup(noted) or ""),
            backup_readings=noted.backup_readings,
            replica=noted.replica_place,
            replica_readings=noted.replica_readings,
            replica_left_out=noted.replica_left_out,
            differences=tuple(differences[:NOTED_MAX]),
            left_out=noted.left_out,
            repaired_at=repaired_at,
        )
        verified.save(self._settings, None, result, skipped)
        self._log(result)
        if failure is not None:
            raise failure
        return result

    def _tasks(self) -> dict[str, Compare]:
        """Return the comparisons by their names, in their order."""
        tasks: dict[str, Compare] = {
            "backups": compare_backups,
            "replica": compare_replica,
            "readings": compare_rows,
        }
        stations = self._settings.stations.all
        for station in stations:
            tasks[f"lines of {station.csv_name}"] = partial(_of_station, compare_lines, station)
        tasks["archived files"] = compare_archived
        for station in stations:
            tasks[f"hours of {station.endpoint}"] = partial(_of_station, compare_hours, station)
            tasks[f"days of {station.endpoint}"] = partial(_of_station, compare_days, station)
        return tasks

    def _can_repair(self, judgements: list[Judgement]) -> bool:
        renewed = can_renew(self._settings)
        return any(
            _can_be_repaired(each) or (renewed and needs_renewal(each.difference))
            for each in judgements
        )

    def _compare(self, name: str, compare: Compare) -> None:
        run = self._run
        if run.task != name:
            run.task, run.at = name, None
        try:
            for at in compare(self._copies, run.noted, run.at):
                run.at = at
                if time.monotonic() - self._saved_sec >= SAVE_EVERY_SEC:
                    self._save()
        except (DBAPIError, OSError, ExportError, ValueError) as error:
            run.noted.unread[name] = unreadable(error)
            run.noted.is_damaged |= code_of(error).startswith(DAMAGE_ERRORS)

    def _save(self) -> None:
        now_sec = time.monotonic()
        self._run.seconds = now_sec - self._began_sec
        run = self._run.as_json()
        verified.save(self._settings, run, self._former, self._copies.skipped_backup)
        self._saved_sec = now_sec

    def _resumed(self, values: Any) -> _Run:
        """Return the run that was ended on the way, or a new one."""
        now = now_ms()
        try:
            run = _Run(**values | {"noted": Noted.of_json(values["noted"])})
            if 0 <= now - run.began_at < STALE_MS:
                return run
        except (TypeError, KeyError, ValueError):
            pass
        return _Run(now, 0.0, "", None, Noted())

    def _repair(
        self, stack: ExitStack, judge: Judge, judgements: list[Judgement]
    ) -> tuple[str, list[Difference]]:
        """Back up, and repair; return the backup, which has what was wrong, and the differences."""
        held = FileLock(lock_path(engines.of(self._settings).require(), "export"))
        stack.callback(held.close)
        held.acquire(LOCK_SEC)
        folder = self._settings.backup_dir
        # None is removed: an older one may be what shows which value is right.
        number = len(backup_files.finished(folder)) if folder.is_dir() else 0
        try:
            made = backup(self._settings, folder, number + 1).path
        except BackupError as error:
            if not isinstance(error.__cause__, CopyError):
                raise
            # What is to be repaired is what makes a copy unsound.
            made = _unsound_copy(self._settings)
        repairs = Repairs(self._copies, judge)
        differences = repairs.all(judgements)
        if any("index" in each.wrong and each.is_repaired for each in differences):
            # They could not be judged before.
            differences += repairs.all(judge.of_rollups())
        self._run.noted.replica_left_out = repairs.failure or self._run.noted.replica_left_out
        return str(made), differences

    def _log(self, result: Result) -> None:
        words = Words(self._settings, translation("en"))
        for difference in result.differences:
            level = logging.INFO if difference.is_repaired else logging.WARNING
            logs.write_line(self._settings, level, words.difference(difference))
        if result.replica_left_out:
            text = words.without_replica(result.replica_left_out)
            logs.write_line(self._settings, logging.INFO, text)


def _unsound_copy(settings: Settings) -> Path:
    """Copy the database, with what is wrong in it, under a name that no backup has."""
    path = settings.backup_dir / f"flask10x-before-repair-{disk.moment(settings.zone)}.sqlite3"
    write_copy(settings, path)
    disk.sync(path)
    disk.leave_to_owner(path, path.parent)
    disk.sync(path.parent)
    return path


def _of_station(
    compare: Callable[..., Iterator[Any]], station: Any, copies: Copies, noted: Noted, at: Any
) -> Iterator[Any]:
    return compare(copies, station, noted, at)


def _can_be_repaired(judgement: Judgement) -> bool:
    difference = judgement.difference
    if difference.kind == "reading":
        return bool({"table", "index", "csv"} & {*difference.wrong})
    if difference.kind in ("hour", "day"):
        return bool(difference.wrong)
    return difference.kind == "file" and bool(difference.right)
