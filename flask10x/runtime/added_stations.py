"""Readings that were refused before their station was added are stored, if the browser wants it.

The change asks for it; the worker whose settings have the station does it. So it is done also when
the service was killed in between, and once: the change keeps how many were stored.
"""

import logging
from collections.abc import Callable
from dataclasses import replace

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.recording.rejected import Selection
from flask10x.recording.rejected_queue import PAUSE_SEC
from flask10x.recording.replay import replay
from flask10x.runtime.administrators import CHANGES, Administrators, Change

log = logging.getLogger(__name__)
# A worker of before stores what it has just refused before it ends.
SETTLED_SEC = PAUSE_SEC + 1
# It may end later, and another host may hear of the station later: then a second time is enough.
AGAIN_SEC = 60.0


class AddedStations:
    """Those of one host; `step` belongs to its elected worker."""

    def __init__(self, settings: Settings, database: Database, clock: Callable[[], float]) -> None:
        """`clock` gives monotonic seconds."""
        self._settings, self._database, self._clock = settings, database, clock
        self._begun_sec = clock()
        self._path = settings.data_dir / CHANGES
        self._looked_at: tuple[int, int] | None = None
        # The changes whose readings are looked for a second time, and when.
        self._again_sec: dict[int, float] = {}

    def step(self) -> None:
        """Store what waits; it costs a look at the time of a folder when nothing does.

        Raises LockTimeout, OSError or sqlalchemy.exc.DBAPIError; the next step goes on from there.
        """
        try:
            state = self._path.stat()
        except FileNotFoundError:
            return
        now_sec, looked_at = self._clock(), (state.st_mtime_ns, state.st_ino)
        again = [number for number, at in self._again_sec.items() if at <= now_sec]
        if looked_at == self._looked_at and not again:
            return
        administrators = Administrators(self._settings)
        asked = [change for change in administrators.changes if self._is_asked(change)]
        due = [change for change in asked if change.stored is None]
        if self._looked_at is None:
            # The process before may have ended in between.
            self._again_sec |= {c.number: now_sec + AGAIN_SEC for c in asked if c not in due}
        if not due and not again:
            self._looked_at = looked_at
        elif now_sec - self._begun_sec >= SETTLED_SEC:
            for change in due:
                self._store(administrators, change)
                self._again_sec[change.number] = now_sec + AGAIN_SEC
            for change in asked:
                if change.number in again:
                    self._store(administrators, change)
            for number in again:
                del self._again_sec[number]

    def _store(self, administrators: Administrators, change: Change) -> None:
        # What is rejected of the station itself meanwhile is not asked for.
        asked = Selection(endpoints=(change.name,), earlier=None if change.stored is None else True)
        stored = sum(outcome.good for outcome in replay(self._settings, self._database, asked))
        if stored or change.stored is None:
            log.info("/%s: rejected readings stored: %d", change.name, stored)
            with administrators.changing():
                # It may have been undone meanwhile.
                for now in administrators.changes:
                    if now.number == change.number:
                        administrators.note(replace(now, stored=(now.stored or 0) + stored))

    def _is_asked(self, change: Change) -> bool:
        is_asked = change.replays and change.undone_ms is None
        return is_asked and change.name in self._settings.stations.by_endpoint
