"""The periodic task that keeps the roll-ups up to date, a piece at a time."""

from collections.abc import Callable
from datetime import tzinfo

from flask10x.database.database import Database
from flask10x.history import days, rollups
from flask10x.readings.stations import Stations

# The pause between checks, of two look-ups in the database.
LOOK_EVERY_SEC = 60.0
# Each chart of a long range reads the readings that are not rolled up: an hour of four stations
# takes a millisecond. Each roll-up writes some pages to the card (docs/decisions/0017).
EVERY_SEC = 3600.0
# Hours of corrections are made again for so long each second.
APPLY_SEC = 0.5


class Follower:
    """Rolls up new readings once an hour, and at once when there are many, after an import."""

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
        """Roll up a piece of the log if it is time, which is called about once a second.

        Returns False when it is not time. Raises what a query and a commit raise; the next try is a
        minute later.
        """
        if self._closed or self._database.damage.halted or self._monotonic() < self._look_at_sec:
            return False
        remaining = 0
        try:
            remaining = self._follow()
        finally:
            if not remaining:
                self._look_at_sec = self._monotonic() + LOOK_EVERY_SEC
        return True

    def close(self) -> None:
        """Stop rolling up, so that the writer has the rest of the time."""
        self._closed = True

    def _follow(self) -> int:
        """Roll up a piece; return how many ids remain, or 1 while corrections or days remain."""
        until_sec = self._monotonic() + APPLY_SEC
        while rollups.apply_corrections(self._stations, self._database):
            if self._monotonic() >= until_sec:
                return 1
        with self._database.reader.begin() as connection:
            behind = rollups.behind(connection)
        due = self._monotonic() >= self._due_at_sec
        if behind and (behind >= rollups.PIECE_ROWS or due):
            remaining = rollups.follow(self._stations, self._database)
            if not remaining:
                self._due_at_sec = self._monotonic() + EVERY_SEC
            return remaining
        # The days of another zone, or after a rebuild.
        return int(days.follow(self._stations, self._database, self._zone, rollups.save_at_once))
