"""The monitor: one elected process warns of silence and backlog (contract, 4 and 6.5).

It also tells of workers that were killed, which they can't do themselves, and lets somebody else
look after the files.

Every worker runs the thread; the one that holds the lock does the work, the others only try the
lock. It is held until the process ends, so the next worker takes over within a second of a crash.
What has been warned of is kept in the gauges, so the new one does not repeat it.

When a station was heard is in the gauges too, by a clock that nobody can set. Silence counts from
the start of the service at the earliest: while it was away it heard nobody. The database is only
asked which stations have ever sent; one that never did is not missed.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flask10x.config.settings import Settings
from flask10x.database.error_codes import reason_of
from flask10x.readings.stations import STATIONS
from flask10x.system import logs
from flask10x.system.gauges import Gauges
from flask10x.system.locks import FileLock

log = logging.getLogger(__name__)

# A queue of 5000 fills in seconds when the disk stalls, and a look at the gauges costs nothing.
TICK_SEC = 1.0
# How soon a database that could not be read is asked again: soon enough for a threshold of
# minutes, rare enough to leave a failing card alone.
ASK_EVERY_SEC = 5.0
# A queue that hovers round the threshold would warn every second if the same line ended it; at
# half of it the writer is plainly winning.
CALM_SHARE = 0.5


@dataclass(frozen=True)
class _PendingLogLine:
    """The totals of killed workers and lost readings, on their way into the log."""

    totals: tuple[int, int]
    is_written: Callable[[], bool]


def _at_most(lost: int) -> str:
    return f"up to {lost}" if lost else "none"


class Monitor:
    """Warns once when something begins and says once when it ends."""

    def __init__(
        self,
        settings: Settings,
        gauges: Gauges,
        lock: FileLock,
        last_received: Callable[[], Mapping[str, int | None]],
        monotonic: Callable[[], float],
        watch_files: Callable[[], None] = lambda: None,
        receipt: Callable[[], Callable[[], bool]] = logs.receipt,
    ) -> None:
        """Nothing is locked or started yet; the lock remains the caller's to close.

        `last_received` gives, per endpoint, the newest `received_at` (epoch ms) in the database,
        or None when it never sent; it is called until it has answered once. `monotonic` gives the
        seconds of the clock that the gauges go by. Every look also calls `watch_files`. `receipt`
        is asked after a line that must not get lost, and its answer until that line is written.
        """
        self._settings = settings
        self._gauges = gauges
        self._lock = lock
        self._last_received = last_received
        self._monotonic = monotonic
        self._watch_files = watch_files
        self._receipt = receipt
        self._pending_line: _PendingLogLine | None = None
        self._ask_at_sec = monotonic()
        self._known: frozenset[str] | None = None
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
        """Stand for election, or look once at the queues and the stations."""
        if not self.elected:
            self.elected = self._lock.try_acquire()
        if self.elected:
            self._watch_files()
            self._watch_workers()
            self._watch_queues()
            self._watch_stations()

    def close(self) -> None:
        """Let another worker take over."""
        if self.elected:
            self._lock.release()
            self.elected = False

    def _watch_workers(self) -> None:
        """Tell of the killed once; again when the one who told may have died before it was written.

        The totals since the start make a line that is said twice say nothing wrong.
        """
        if self._pending_line is not None:
            if not self._pending_line.is_written():
                return
            self._gauges.killed_logged, self._gauges.lost_logged = self._pending_line.totals
            self._pending_line = None
        totals = killed, lost = self._gauges.killed, self._gauges.lost
        new = killed - self._gauges.killed_logged
        if not new:
            return
        new_lost = lost - self._gauges.lost_logged
        log.log(
            logging.CRITICAL if new_lost else logging.WARNING,
            "Killed workers: %d (%d since the start);"
            " readings lost that they had accepted: %s (%s since the start)",
            new,
            killed,
            _at_most(new_lost),
            _at_most(lost),
        )
        self._pending_line = _PendingLogLine(totals, self._receipt())

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
        if self._known is None and self._monotonic() >= self._ask_at_sec:
            self._ask_at_sec = self._monotonic() + ASK_EVERY_SEC
            self._known = self._ask()
        for index, station in enumerate(STATIONS):
            since_ms = self._gauges.silent_since(index)
            if since_ms:
                self._await_return(index, station.endpoint, since_ms)
            else:
                self._watch_station(index, station.endpoint)

    def _ask(self) -> frozenset[str] | None:
        """The endpoints that have ever sent; None when it cannot be read now."""
        try:
            received = self._last_received()
        except Exception as error:
            if not self._ask_failed:
                log.warning("Cannot read which endpoints have sent: %s", reason_of(error))
            self._ask_failed = True
            return None
        return frozenset(name for name, at in received.items() if at is not None)

    def _watch_station(self, index: int, endpoint: str) -> None:
        last_ms = self._gauges.last_received_ms(index)
        if not last_ms and endpoint not in (self._known or ()):
            return
        last_ms = last_ms or self._gauges.started
        inactive_sec = (self._now_ms() - last_ms) // 1000
        threshold_sec = self._settings.inactivity_warn_sec
        if inactive_sec > threshold_sec:
            self._gauges.set_silent_since(index, last_ms)
            log.warning(
                "Endpoint '%s' inactive for %ds (threshold %ds)",
                endpoint,
                inactive_sec,
                threshold_sec,
            )

    def _await_return(self, index: int, endpoint: str, since_ms: int) -> None:
        heard_ms = self._gauges.last_received_ms(index)
        if heard_ms and heard_ms > since_ms:
            self._gauges.set_silent_since(index, 0)
            silent_sec = (heard_ms - since_ms) // 1000
            log.info("Endpoint '%s' is sending again after %ds", endpoint, silent_sec)

    def _now_ms(self) -> int:
        return int(self._monotonic() * 1000)
