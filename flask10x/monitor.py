"""The monitor: one elected process warns of silence and backlog (contract, 4 and 6.5).

Every worker runs the thread; the one that holds the lock does the work, the others only try the
lock. It is held until the process ends, so the next worker takes over within a second of a crash.
What has been warned of is kept in the gauges, so the new one does not repeat it.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flask10x.gauges import Gauges
from flask10x.locks import FileLock
from flask10x.settings import Settings
from flask10x.sqlite import reason_of
from flask10x.stations import STATIONS

log = logging.getLogger(__name__)

# A queue of 5000 fills in seconds when the disk stalls, and a look at the gauges costs nothing.
TICK_SEC = 1.0
# A query per station; fine enough for a threshold of minutes, rare enough to leave a card alone.
ASK_EVERY_SEC = 5.0
# A queue that hovers round the threshold would warn every second if the same line ended it; at
# half of it the writer is plainly winning.
CALM_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Heard:
    """The newest reading of a station, and when it arrived by the monotonic clock."""

    received_at: int
    at_sec: float


class Monitor:
    """Warns once when something begins and says once when it ends."""

    def __init__(
        self,
        settings: Settings,
        gauges: Gauges,
        lock: FileLock,
        last_received: Callable[[], Mapping[str, int | None]],
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        """Nothing is locked or started yet; the lock remains the caller's to close.

        `last_received` gives, per endpoint, the `received_at` (epoch ms) of the reading stored
        last, or None when it never sent. By id, not the greatest: after the clock was set back
        the greatest would stand still while the station sends. `clock` gives seconds since the
        epoch, `monotonic` seconds that no clock change moves.
        """
        self._settings = settings
        self._gauges = gauges
        self._lock = lock
        self._last_received = last_received
        self._clock = clock
        self._monotonic = monotonic
        self._ask_at_sec = monotonic()
        self._heard: dict[str, Heard] = {}
        self._ask_failed = False
        self.elected = False

    def run(self, stop: threading.Event) -> None:
        """Step every second until `stop` is set; nothing but that ends it."""
        failed = False
        while not stop.wait(TICK_SEC):
            try:
                self.step()
                failed = False
            except Exception:
                if not failed:
                    log.exception("The monitor failed and goes on trying")
                failed = True
        self.close()

    def step(self) -> None:
        """Stand for election, or look once at the queues and, every 5 s, at the stations."""
        if not self.elected:
            self.elected = self._lock.try_acquire()
        if self.elected:
            self._watch_queues()
            if self._monotonic() >= self._ask_at_sec:
                self._watch_stations()

    def close(self) -> None:
        """Let another worker take over."""
        if self.elected:
            self._lock.release()
            self.elected = False

    def _watch_queues(self) -> None:
        highest = self._highest_queue()
        threshold, maxsize = self._settings.queue_warn_threshold, self._settings.write_queue_maxsize
        if highest >= threshold and not self._gauges.high_water:
            self._gauges.high_water = 1
            log.warning("Write queue high watermark reached: %d/%d", highest, maxsize)
        elif highest < threshold * CALM_SHARE and self._gauges.high_water:
            self._gauges.high_water = 0
            log.info("Write queue is low again: %d/%d", highest, maxsize)

    def _highest_queue(self) -> int:
        """The longest queue of any worker since the last look."""
        highest = 0
        for slot in self._gauges.slots:
            highest = max(highest, slot.queue_length, slot.queue_peak)
            slot.queue_peak = 0
        return highest

    def _watch_stations(self) -> None:
        self._ask_at_sec = self._monotonic() + ASK_EVERY_SEC
        received = self._ask()
        for index, station in enumerate(STATIONS):
            newest = received.get(station.endpoint)
            if newest is not None:
                self._watch_station(index, station.endpoint, newest)

    def _ask(self) -> Mapping[str, int | None]:
        """When each endpoint sent last, or nothing when the database cannot tell now."""
        try:
            received = self._last_received()
        except Exception as error:
            if not self._ask_failed:
                log.warning("Cannot read when the endpoints sent last: %s", reason_of(error))
            self._ask_failed = True
            return {}
        self._ask_failed = False
        return received

    def _watch_station(self, index: int, endpoint: str, newest: int) -> None:
        now_sec = self._monotonic()
        before = self._heard.get(endpoint)
        heard = self._hear(before, newest, now_sec)
        self._heard[endpoint] = heard
        inactive_sec = now_sec - heard.at_sec
        threshold_sec = self._settings.inactivity_warn_sec
        was_silent, is_silent = self._gauges.is_silent(index), inactive_sec > threshold_sec
        if is_silent and not was_silent:
            log.warning(
                "Endpoint '%s' inactive for %ds (threshold %ds)",
                endpoint,
                inactive_sec,
                threshold_sec,
            )
        elif was_silent and not is_silent:
            # A monitor that was elected after the station came back did not see how long it took.
            after = f" after {heard.at_sec - before.at_sec:.0f}s" if before else ""
            log.info("Endpoint '%s' is sending again%s", endpoint, after)
        self._gauges.set_silent(index, is_silent)

    def _hear(self, before: Heard | None, newest: int, now_sec: float) -> Heard:
        if before is None:
            age_sec = max(0.0, self._clock() - newest / 1000)
            return Heard(newest, now_sec - age_sec)
        return before if newest == before.received_at else Heard(newest, now_sec)
