"""Keeping the roll-ups up to date while the service runs, a piece at a time."""

from collections.abc import Callable
from datetime import tzinfo

from flask10x.database.database import Database
from flask10x.history import days, rollups
from flask10x.readings.stations import Stations

# Two look-ups in the database.
LOOK_EVERY_SEC = 60.0
# What is not rolled up is read by each chart of a long range: an hour of four stations takes a
# millisecond. Each time costs the card some pages (docs/decisions/0017).
EVERY_SEC = 3600.0


class Follower:
    """Rolls up what has come, once an hour, and at once when much has: an import, an update."""

    def __init__(
        self,
        stations: Stations,
        zone: tzinfo | None,
        database: Database,
        monotonic: Callable[[], float],
    ) -> None:
        self._stations = stations
        self._zone = zone
        self._database = database
        self._monotonic = monotonic
        self._look_at_sec = monotonic() + LOOK_EVERY_SEC
        self._due_at_sec = monotonic() + EVERY_SEC
        self._closed = False

    def step(self) -> bool:
        """Take a piece of the log if it is time; to be called about once a second.

        False when it is not time. Raises what reading and committing raise; after that it is time
        again a minute later.
        """
        if self._closed or self._database.damage.halted or self._monotonic() < self._look_at_sec:
            return False
        left = 0
        try:
            left = self._follow()
        finally:
            if not left:
                self._look_at_sec = self._monotonic() + LOOK_EVERY_SEC
        return True

    def close(self) -> None:
        """Take no more pieces; the writer has the rest of the time."""
        self._closed = True

    def _follow(self) -> int:
        """How much is left to take now: ids, or 1 while there are days to make."""
        with self._database.reader.begin() as connection:
            behind = rollups.behind(connection)
        due = self._monotonic() >= self._due_at_sec
        if behind and (behind >= rollups.PIECE_ROWS or due):
            left = rollups.follow(self._stations, self._database)
            if not left:
                self._due_at_sec = self._monotonic() + EVERY_SEC
            return left
        # Another zone, or a version that kept none.
        return int(days.follow(self._stations, self._database, self._zone, rollups.save_at_once))
