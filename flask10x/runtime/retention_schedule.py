"""Removing old readings while the service runs, a small piece at a time."""

import logging
from collections.abc import Callable
from itertools import cycle
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, select

from flask10x.config.settings import Settings
from flask10x.database import counters, csv_owner
from flask10x.database.database import Database
from flask10x.database.tables import exports
from flask10x.runtime.retention import days_of, kept_since
from flask10x.system import clock

if TYPE_CHECKING:
    from flask10x.runtime.removal import Removal, StationRemoval

log = logging.getLogger(__name__)

# Where it is kept: UTC epoch milliseconds.
NAME = "retention.clock_ms"
PACE = 2
# What a start of the service may set it back; each time is a commit.
SAVE_EVERY_MS = 3_600_000


class SlowClock:
    """The clock of the process that removes readings: never ahead of the wall clock, and slow.

    A Pi has no battery for its clock. One that is set years ahead by mistake would make all
    readings old at once. So this one follows it at twice its pace at most, by the monotonic clock,
    and goes on after a start from where it was. Behind a clock that was mended, or after months
    without power, it is late for as long again: then readings stay a little longer.
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

    def read(self) -> int:
        """UTC epoch milliseconds; 0 while nothing was ever exported.

        Raises what reading and committing raise.
        """
        now_ms, monotonic_ms = self._now_ms(), self._monotonic_ms()
        if self._at_ms is None:
            first = self._first(now_ms)
            if not first:
                return 0
            self._at_ms = self._saved_ms = first
        elif self._at_ms < now_ms:
            passed_ms = monotonic_ms - self._read_at_ms
            self._at_ms = min(now_ms, self._at_ms + PACE * passed_ms)
        self._read_at_ms = monotonic_ms
        if self._at_ms - self._saved_ms >= SAVE_EVERY_MS:
            self._save(self._at_ms)
        return min(now_ms, self._at_ms)

    def _first(self, now_ms: int) -> int:
        with self._database.reader.begin() as connection:
            saved = counters.value_of(connection, NAME)
            first = saved or min(now_ms, _last_exported_ms(connection))
        if first and not saved:
            self._save(first)
        return first

    def _save(self, at_ms: int) -> None:
        with self._database.commit() as connection:
            counters.raise_to(connection, NAME, at_ms)
        self._saved_ms = at_ms


def _last_exported_ms(connection: Connection) -> int:
    """When the newest exported reading came: the log's own word for what time it is."""
    query = select(func.max(exports.c.last_received_at))
    return connection.execute(query).scalar_one() or 0


# Three look-ups for each station.
LOOK_EVERY_MS = 60_000
# Between two pieces, so that the card is free for readings: 3 million a day are enough to catch up.
PAUSE_MS = 5_000
# What an export or a person has to do first is said once a day, not each minute.
SAY_EVERY_MS = 86_400_000


class Retention:
    """Removes a piece of one station after the other; does nothing where no station wants it."""

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
        self._stations = _stations(settings, database)
        self._turns = cycle(self._stations)
        self._look_at_ms = monotonic_ms() + LOOK_EVERY_MS
        self._said_at_ms: dict[tuple[str, str], int] = {}
        self._closed = False

    def step(self) -> bool:
        """Remove a piece if it is time; to be called about once a second.

        False when it is not time. Raises what reading and committing raise; after that it is time
        again a minute later.
        """
        if not self._stations:
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
        """Remove no more pieces."""
        self._closed = True

    def _remove(self) -> bool:
        """Remove a piece of the next station that has one; whether there is more to do."""
        # Only the host that has the CSV files can prove what they hold.
        if csv_owner.are_elsewhere(self._settings, self._database):
            return False
        now_ms = self._clock.read()
        for _ in self._stations:
            days, endpoint, station = next(self._turns)
            done = station.step(kept_since(days, now_ms))
            if done.obstacle:
                self._say(endpoint, _why(done))
            if done.difference:
                self._say(endpoint, f"its CSV file differs: {done.difference}")
            if done.is_more or done.readings:
                return True
        return False

    def _say(self, endpoint: str, why: str) -> None:
        now_ms, place = self._monotonic_ms(), (endpoint, why)
        said_ms = self._said_at_ms.get(place)
        if said_ms is None or now_ms - said_ms >= SAY_EVERY_MS:
            self._said_at_ms[place] = now_ms
            log.warning("Old readings of %s stay: %s", endpoint, why)


def _why(done: "Removal") -> str:
    """What keeps readings, and what clears it."""
    why = str(done.obstacle).replace("_", " ")
    about = f": {done.path}" if done.path else ""
    return f"{why}{about}; run: {done.command}"


def _stations(settings: Settings, database: Database) -> list[tuple[int, str, "StationRemoval"]]:
    """Those that have their readings removed: after how many days, the endpoint, what removes."""
    days = [(days_of(settings, station), station) for station in settings.stations.all]
    if not any(of_station for of_station, _ in days):
        return []
    # Only here: what compares CSV files is of no use to a worker that removes nothing.
    from flask10x.runtime.removal import StationRemoval  # noqa: PLC0415

    return [
        (of_station, station.endpoint, StationRemoval(settings, database, station))
        for of_station, station in days
        if of_station
    ]
