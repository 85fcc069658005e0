"""Rule `backup`: the newest backup is old, or there is none."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from flask10x.alerts.alert import Active, Moment, Verdict
from flask10x.config.alerts.rules import BackupOverdue
from flask10x.runtime.alerting import verdicts
from flask10x.runtime.alerting.watches.slow_watch import SlowWatch
from flask10x.runtime.facts.backups import NewestBackup

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
