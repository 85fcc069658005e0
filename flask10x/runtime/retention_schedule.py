"""The periodic task that removes old readings, a small piece at a time."""

import logging
from collections.abc import Callable
from itertools import cycle
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from flask10x.config.settings import Settings
from flask10x.database import counters, csv_owner
from flask10x.database.database import Database
from flask10x.database.tables import IS_CURRENT, csv_files
from flask10x.readings.stations import Station
from flask10x.runtime.retention import days_of, kept_since
from flask10x.system import clock

if TYPE_CHECKING:
    from flask10x.runtime.removal import StationRemoval

log = logging.getLogger(__name__)

# The counter that stores the clock, in UTC epoch milliseconds.
NAME = "retention.clock_ms"
PACE = 2
# How often it is stored, with a commit; a start of the service may set it back by this.
SAVE_EVERY_MS = 3_600_000


class SlowClock:
    """The clock for the removal of readings: never ahead of the wall clock, and slow.

    A Pi has no battery for its clock, and a clock that is set years ahead by mistake would make all
    readings old at once. So this one follows the wall clock at twice its pace at most, by the
    monotonic clock, and continues after a start from where it was. After the clock was corrected,
    or after months without power, it is late for as long again, and readings are kept a little
    longer.
    """

    def __init__(
        self, database: Database, now_ms: Callable[[], int], monotonic_ms: Callable[[], int]
    ) -> None:
        self._database = database
        self._now_ms = now_ms
        self._monotonic_ms = monotonic_ms
        self._at_ms: int | None = None
        self._saved_ms = 0
        self._read_at_ms = 0

    def time_ms(self) -> int:
        """Return UTC epoch milliseconds; 0 while nothing was ever exported.

        Raises what a query and a commit raise.
        """
        now_ms, monotonic_ms = self._now_ms(), self._monotonic_ms()
        if self._at_ms is None:
            # Behind a start it goes on; before the first export the log has no time.
            newest = select(func.max(csv_files.c.last_received_at)).where(IS_CURRENT)
            with self._database.reader.begin() as connection:
                first = saved = counters.value_of(connection, NAME)
                if not saved:
                    exported_ms = connection.execute(newest).scalar_one() or 0
                    first = min(now_ms, exported_ms)
            if not first:
                return 0
            if not saved:
                self._save(first)
            self._at_ms = self._saved_ms = first
        elif self._at_ms < now_ms:
            passed_ms = monotonic_ms - self._read_at_ms
            self._at_ms = min(now_ms, self._at_ms + PACE * passed_ms)
        self._read_at_ms = monotonic_ms
        if self._at_ms - self._saved_ms >= SAVE_EVERY_MS:
            self._save(self._at_ms)
        return min(now_ms, self._at_ms)

    def _save(self, at_ms: int) -> None:
        with self._database.commit() as connection:
            counters.raise_to(connection, NAME, at_ms)
        self._saved_ms = at_ms


# The pause between checks, of three look-ups for each station.
LOOK_EVERY_MS = 60_000
# The pause between two pieces, so that the card is free for readings; 3 million are removed a day.
PAUSE_MS = 5_000
# How often the log repeats what an export or a person has to do first.
SAY_EVERY_MS = 86_400_000


class Retention:
    """Removes a piece of one station after the other, of those whose readings are removed."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        now_ms: Callable[[], int] = clock.now_ms,
        monotonic_ms: Callable[[], int] = clock.monotonic_ms,
    ) -> None:
        self._settings = settings
        self._database = database
        self._monotonic_ms = monotonic_ms
        self._clock = SlowClock(database, now_ms, monotonic_ms)
        self._removals = _removals(settings, database)
        self._turns = cycle(self._removals)
        self._look_at_ms = monotonic_ms() + LOOK_EVERY_MS
        self._said_at_ms: dict[tuple[str, str], int] = {}
        self._closed = False

    def step(self) -> bool:
        """Remove a piece if it is time, which is called about once a second.

        Returns False when it is not time. Raises what a query and a commit raise; the next try is a
        minute later.
        """
        if not self._removals:
            return True
        is_idle = self._closed or self._database.damage.halted
        if is_idle or self._monotonic_ms() < self._look_at_ms:
            return False
        is_more = False
        try:
            is_more = self._remove()
        finally:
            pause_ms = PAUSE_MS if is_more else LOOK_EVERY_MS
            self._look_at_ms = self._monotonic_ms() + pause_ms
        return True

    def close(self) -> None:
        """Stop removing."""
        self._closed = True

    def _remove(self) -> bool:
        """Remove a piece of the next station that has one; whether there is more to do."""
        # Only the host that has the CSV files can check their content.
        if csv_owner.are_elsewhere(self._settings, self._database):
            return False
        now_ms = self._clock.time_ms()
        for _ in self._removals:
            station_removal = next(self._turns)
            station = station_removal.station
            removal = station_removal.step(kept_since(days_of(self._settings, station), now_ms))
            if removal.obstacle:
                why = str(removal.obstacle).replace("_", " ")
                about = f": {removal.path}" if removal.path else ""
                self._say(station, f"{why}{about}; run: {removal.command}")
            if removal.difference:
                self._say(station, f"its CSV file differs: {removal.difference}")
            if removal.is_more or removal.readings:
                return True
        return False

    def _say(self, station: Station, why: str) -> None:
        now_ms, place = self._monotonic_ms(), (station.endpoint, why)
        said_ms = self._said_at_ms.get(place)
        if said_ms is None or now_ms - said_ms >= SAY_EVERY_MS:
            self._said_at_ms[place] = now_ms
            log.warning("Old readings of %s stay: %s", station.endpoint, why)


def _removals(settings: Settings, database: Database) -> "list[StationRemoval]":
    stations = [station for station in settings.stations.all if days_of(settings, station)]
    if not stations:
        return []
    # Imported here, so that a worker that removes nothing does not load what compares CSV files.
    from flask10x.runtime.removal import StationRemoval  # noqa: PLC0415

    return [StationRemoval(settings, database, station) for station in stations]
