"""Rule `disk`: little of the database's disk is free."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from flask10x.alerts.alert import Active, Fact, Moment, Verdict
from flask10x.config.alerts.rules import Disk
from flask10x.runtime.alerting.watches.slow_watch import SlowWatch
from flask10x.runtime.duties import DATABASE_ERRORS
from flask10x.runtime.facts.disk import Room, room

# So much more than the limit must be free before it is over, or a log that is rotated would end it.
CLEAR_POINTS = 1


class FullDisk(SlowWatch):
    """Is firing while less than `free_percent` is free; over at CLEAR_POINTS more."""

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
        found = self._room(self._folder)
        alert = active.get((self._rule.name, ""))
        limit = self._rule.free_percent
        is_firing = found.free_percent < (limit if alert is None else limit + CLEAR_POINTS)
        if not is_firing:
            self._since_ms = None
        elif self._since_ms is None:
            self._since_ms = alert.since_ms if alert else now.wall_ms
        facts: dict[str, Fact] = {
            "free_bytes": found.free,
            "free_percent": round(found.free_percent, 1),
            "total_bytes": found.total,
        }
        if is_firing:
            facts["full_in_days"] = self._days(now)
        return [
            Verdict(
                rule=self._rule.name,
                kind="disk",
                subject="",
                is_firing=is_firing,
                since_ms=now.wall_ms if self._since_ms is None else self._since_ms,
                facts=facts,
            )
        ]

    def _days(self, now: Moment) -> int | None:
        # A full disk can be why the database can't be read.
        with suppress(*DATABASE_ERRORS, OSError):
            days = self._full_in_days(now.wall_ms)
            return None if days is None else int(days)
        return None
