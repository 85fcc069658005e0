"""Rule `disk`: little of the database's disk is free."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from flask10x.alerts.alert import Active, Moment, Verdict
from flask10x.config.alerts.rules import Disk
from flask10x.runtime.alerting import verdicts
from flask10x.runtime.alerting.watches.slow_watch import SlowWatch
from flask10x.runtime.duties import DATABASE_ERRORS
from flask10x.runtime.facts.disk import Room, room


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
