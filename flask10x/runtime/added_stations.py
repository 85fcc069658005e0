"""Readings that were refused before their station was added are stored, if the browser wants it.

The change asks for it; the worker whose settings have the station does it. So it is done also when
the service was killed in between, and once: the change keeps how many were stored.
"""

import logging
from collections.abc import Callable
from dataclasses import replace

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.recording.rejected import PAUSE_SEC, Selection
from flask10x.recording.replay import replay
from flask10x.runtime.administrators import NAME, Administrators, Change

log = logging.getLogger(__name__)
# A worker of before stores what it has just refused before it ends.
SETTLED_SEC = PAUSE_SEC + 1


class AddedStations:
    """Those of one host; `step` belongs to its elected worker."""

    def __init__(self, settings: Settings, database: Database, clock: Callable[[], float]) -> None:
        """`clock` gives monotonic seconds."""
        self._settings, self._database, self._clock = settings, database, clock
        self._begun_sec = clock()
        self._path = settings.data_dir / NAME
        self._looked_at: tuple[int, int] | None = None

    def step(self) -> None:
        """Store what waits; it costs a look at the time of a file when nothing does.

        Raises LockTimeout, OSError or sqlalchemy.exc.DBAPIError; the next step goes on from there.
        """
        try:
            state = self._path.stat()
        except FileNotFoundError:
            return
        looked_at = state.st_mtime_ns, state.st_ino
        if looked_at == self._looked_at:
            return
        administrators = Administrators(self._settings)
        due = [change for change in administrators.changes if self._is_due(change)]
        if not due:
            self._looked_at = looked_at
        elif self._clock() - self._begun_sec >= SETTLED_SEC:
            for change in due:
                stored = self._replay(change.name)
                log.info("/%s: rejected readings stored: %d", change.name, stored)
                administrators.note(replace(change, stored=stored))

    def _replay(self, endpoint: str) -> int:
        outcomes = replay(self._settings, self._database, Selection(endpoints=(endpoint,)))
        return sum(outcome.good for outcome in outcomes)

    def _is_due(self, change: Change) -> bool:
        is_asked = change.replays and change.stored is None and change.undone_ms is None
        return is_asked and change.name in self._settings.stations.by_endpoint
