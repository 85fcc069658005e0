"""The writer: one worker's queue, and the thread that sees to it that what waits there is stored.

The queue lies in memory that all workers share and that outlives them (`shared_queue`), so a
worker that is killed takes nothing along. Whichever thread gets the commit lock commits what waits
in all queues (`group_commit`); the others find their readings settled and only say so to whoever
waits for that. When the store fails (locked, full, I/O error), everything stays where it is and is
tried again for ever with growing pauses; meanwhile the queue fills and refuses. When the database
refuses a row, that row is reported and counted, kept among the rejected readings, and the rest of
its batch is stored.

The thread sleeps until its queue has something, and is woken once for all that comes until nothing
is left. With ACK=committed it waits about a millisecond at most then (`company`); it tells each
request what has become of its reading.
"""

import logging
import math
import os
import queue
import signal
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from flask10x.config.settings import Settings
from flask10x.database.engine import Database
from flask10x.database.error_codes import reason_of
from flask10x.errors import LockTimeout, QueueFull, WriterClosed
from flask10x.readings.parse import Reading
from flask10x.recording import batch
from flask10x.recording.batch import Receipt
from flask10x.recording.company import Company
from flask10x.recording.entry import Entry
from flask10x.recording.group_commit import GroupCommit
from flask10x.recording.leftovers import Leftovers
from flask10x.recording.rejected_queue import RejectedQueue
from flask10x.recording.shared_queue import SharedQueue, SharedQueues
from flask10x.system.clock import monotonic_sec
from flask10x.system.gauges import Gauges

log = logging.getLogger(__name__)

# Pauses between tries double up to this: short enough that the store is found again within a
# few seconds of its return, long enough that a full card isn't hammered.
LONGEST_PAUSE_SEC = 5.0
# How often a thread that pauses looks whether another worker has stored its readings meanwhile.
SETTLED_LOOK_SEC = 0.05
# What an ending process may spend on storing what it has accepted. Request ceiling (10 s) plus
# this stays below gunicorn's graceful_timeout (30 s), and that below the unit's TimeoutStopSec.
DRAIN_SEC = 15.0
# How often a thread that waits looks whether the process ends without it.
LOOK_SEC = 5.0
# How long readings that are answered after their commit wait for others, where the rest need not be
# committed for minutes: as long as by default, so that all of one request go together.
ASKED_FOR_SEC = 0.1


class Writer:
    """One worker's queue and the thread behind it.

    `submit` may be called from any thread. `flush_now` and `refuse_new` may be called from a signal
    handler: they take no lock.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        gauges: Gauges,
        queues: SharedQueues,
        slot_number: int,
        clock: Callable[[], float] = monotonic_sec,
        end_worker: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGTERM),
    ) -> None:
        """Go on with the queue of this slot; what waits there is stored too.

        `clock` gives monotonic seconds; `end_worker` is called if the thread dies. Nothing is
        opened or started yet.
        """
        self._settings, self._database, self._gauges = settings, database, gauges
        self._slot, self._slot_number = gauges.slot(slot_number), slot_number
        self._clock, self._end_worker = clock, end_worker
        count_refused = partial(gauges.count_refused, slot_number)
        self.rejected_queue = RejectedQueue(settings, database, clock, count_refused)
        self._leftovers = Leftovers(settings, database, clock)
        self._queues = queues
        self._own = queues[slot_number]
        self._own.claim()
        self._company = Company(gauges, queues)
        self._group_commit = GroupCommit(
            settings, database, gauges, queues, slot_number, self._leftovers, self._company
        )
        self._places = min(settings.write_queue_maxsize, queues.places)
        self._receipts: deque[tuple[int, Receipt]] = deque()
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        # Whether the thread will look at the queue again without being woken.
        self._awake = True
        # Whether the thread waits for readings that it is to be woken for.
        self._awaits_company = False
        self._lock = threading.Lock()
        self._refuses_new = self._flushes_now = self._given_up = False
        self._ends_by_sec = math.inf
        self._failures = 0
        self._thread: threading.Thread | None = None
        self.dead = False
        self.trouble = ""

    @property
    def depth(self) -> int:
        """Readings that this worker's queue has accepted and that are not yet stored."""
        return self._own.length

    @property
    def full(self) -> bool:
        """Whether the next reading would be refused."""
        return self._own.held >= self._places

    def submit(
        self,
        reading: Reading,
        receipt: Receipt | None = None,
        key: str = "",
        repeat_window_ms: int = 0,
    ) -> int:
        """Queue a reading and note when its station sent; the number that wait, it included.

        Of those with one key (`accepted_keys.key_of`) only the first is stored, within the window
        or, if that is 0, for as long as keys are kept. The receipt is settled once the reading is
        committed, found to be a duplicate, or refused by the database.
        Raises QueueFull, also when there is no memory for it, or WriterClosed when the process
        stops, the thread has died or the database is damaged.
        """
        arrived_ms = int(self._clock() * 1000)
        stations = self._settings.stations
        entry = batch.entry_of(stations, reading, arrived_ms, key, repeat_window_ms)
        with self._lock:
            # Also when it is refused below: a station that sends is not silent.
            self._gauges.note_received(reading.endpoint, entry.arrived_ms)
            try:
                number = self._append(entry)
            except (QueueFull, WriterClosed):
                self._gauges.count_turned_away(self._slot_number, reading.endpoint)
                raise
            self._gauges.count_accepted(self._slot_number, reading.endpoint)
            is_first_asked = receipt is not None and not self._receipts
            if receipt is not None:
                self._receipts.append((number, receipt))
            slept, self._awake = not self._awake, True
            waiting = self._own.length
        is_batch = waiting == self._settings.batch_max_rows
        hurries = is_batch or (is_first_asked and self._settings.ack != "committed")
        if slept or hurries or (self._awaits_company and self._company.has_come()):
            self._wake.put(None)
        return waiting

    def _append(self, entry: Entry) -> int:
        """Put it into the queue; its number. Raises as `submit` does."""
        if self._refuses_new:
            raise WriterClosed("the service is stopping")
        if self.dead:
            raise WriterClosed("the writer has died")
        if self._database.damage.known:
            raise WriterClosed("the database is damaged")
        if self.full:
            raise QueueFull(f"queue full, {self._own.held} wait")
        try:
            return self._own.append(entry)
        except OSError as error:
            raise QueueFull(f"no memory for the queue: {error.strerror}") from error

    def step(self) -> int:
        """Settle what waits, at most one batch; the number of rows settled, 0 on failure."""
        return self._store() if self._queues.not_empty() else 0

    def start(self) -> None:
        """Start the thread; it ends after `refuse_new`, once everything is stored.

        When the main thread ends without `close`, it does what `close` would within DRAIN_SEC.
        """
        # Not a daemon: if the process ends some other way, the interpreter still waits for it.
        thread = threading.Thread(target=self._run, name="writer", daemon=False)
        thread.start()
        self._thread = thread

    def flush_now(self) -> None:
        """Store at once from now on, without collecting a batch first."""
        self._flushes_now = True
        self._wake.put(None)

    def refuse_new(self) -> None:
        """Take no more readings and let the thread end once all are stored."""
        self._refuses_new = True
        self.flush_now()

    def close(self, timeout_sec: float) -> int:
        """Stop and store everything that waits; the number of readings that could not be stored.

        Those go into a file for the next start. Refused readings are kept last, in one try. Also
        works when the thread was never started or has died.
        """
        deadline = self._clock() + timeout_sec
        self.refuse_new()
        if self._thread is not None:
            self._thread.join(timeout_sec)
            self._given_up = True
            self._wake.put(None)
            if self._thread.is_alive():  # A COMMIT may wait for a standby that is away.
                self._database.break_off()
            self._thread.join()
        while self._left() and self._clock() < deadline:
            if not self.step():
                self._pause()
        return self._finish()

    def _finish(self) -> int:
        """Put what is left into a file, keep what was refused; the number of readings left."""
        self._give_receipts()
        left = self._own.length
        if left:
            self._leftovers.save_queue(self._own, self.trouble)
        # Of those nobody is told that they are stored.
        self._receipts.clear()
        self._leftovers.close()
        self.rejected_queue.finish()
        return left

    def _left(self) -> list[SharedQueue]:
        """The queues that this worker has to empty before it ends, if they are not.

        That is its own, and those of workers that were killed and that nobody has taken over.
        """
        numbers = self._queues.not_empty()
        waiting = [self._queues[number] for number in numbers if not self._gauges.slot(number).pid]
        if self._own.length and self._own not in waiting:
            waiting.append(self._own)
        return waiting

    def _run(self) -> None:
        try:
            # Here, so that the start of a worker does not wait for one more thread.
            self._database.prepare()
            self._leftovers.step()
            while self._unfinished():
                self._wait_for_batch()
                if self._left():
                    self._store()
                elif self._failures:
                    self._recover()
                if self._failures:
                    self._pause()
                else:
                    self.rejected_queue.step()
                    self._leftovers.step()
        except BaseException:
            # A bug or MemoryError; every error of the store is caught further in.
            self._die()
        finally:
            if self._is_left_alone:
                self._finish()

    def _die(self) -> None:
        self.dead = True
        self.trouble = "the writer thread has died"
        self._slot.trouble = 1
        try:
            log.critical("Writer thread died; this worker ends and is replaced", exc_info=True)
        finally:
            self._end_worker()

    def _unfinished(self) -> bool:
        if self._is_left_alone and self._ends_by_sec == math.inf:
            self._ends_by_sec = self._clock() + DRAIN_SEC
            self.refuse_new()
        if not self._refuses_new:
            return True
        # A submit that began before `refuse_new` may still be putting its reading.
        with self._lock:
            in_time = self._clock() < self._ends_by_sec
            return bool(self._left()) and not self._given_up and in_time

    @property
    def _is_left_alone(self) -> bool:
        """Whether the process ends without `close`: its main thread is gone, whatever it died of.

        The interpreter waits for this thread then, and nobody is left to stop it.
        """
        return not threading.main_thread().is_alive()

    def _wait_for_batch(self) -> None:
        """Sleep while nothing waits in this worker's queue, and then until company has come.

        A whole batch needs no more of it: with an interval of minutes the queue would run full.
        """
        self._give_receipts()
        with self._lock:
            self._awake = self._own.held > 0
        # Who was in trouble first says that it is over: another worker has stored its readings.
        if not self._awake and not self._failures:
            self._sleep(self._leftovers.pause_sec)
            self._give_receipts()
        if self._settings.ack == "committed":
            self._await_company()
            return
        while self._may_wait():
            interval_sec = self._settings.commit_interval_sec
            if self._receipts:
                interval_sec = min(interval_sec, ASKED_FOR_SEC)
            until_sec = self._own.marks.oldest_ms / 1000 + interval_sec
            wait_sec = until_sec - self._clock()
            if wait_sec <= 0:
                return
            self._sleep(min(wait_sec, LOOK_SEC))
            # Another worker may have stored them all.
            self._give_receipts()

    def _await_company(self) -> None:
        """Sleep until as many wait as are expected, in all queues, or it has taken too long.

        Where the last of them comes to another worker, that one stores them all meanwhile.
        """
        self._awaits_company = True
        until_sec = self._clock() + self._company.wait_sec
        while self._may_wait() and not self._company.has_come():
            if (wait_sec := until_sec - self._clock()) <= 0:
                break
            self._sleep(wait_sec)
        self._awaits_company = False
        self._give_receipts()

    def _may_wait(self) -> bool:
        """Whether the own queue has something, less than a batch, and nothing is in a hurry."""
        hurries = self._flushes_now or self._is_left_alone
        return 0 < self._own.length < self._settings.batch_max_rows and not hurries

    def _sleep(self, wait_sec: float) -> bool:
        """Wait for so long; whether somebody has woken this thread before."""
        with suppress(queue.Empty):
            self._wake.get(timeout=wait_sec)
            return True
        return False

    def _store(self) -> int:
        """Commit a batch; the rows settled, or 0 when they wait on."""
        try:
            count = self._group_commit.once()
        except Exception as error:
            self._fail(error)
            return 0
        self._give_receipts()
        if self._failures:
            self._recover()
        return count

    def _give_receipts(self) -> None:
        """Tell everybody who waits for what is settled by now, whoever has stored it."""
        first, last = self._own.unreleased()
        if last < first:
            return
        with self._lock:
            due = []
            while self._receipts and self._receipts[0][0] <= last:
                due.append(self._receipts.popleft())
        reasons = self._own.not_stored(first, last) if due else {}
        for number, receipt in due:
            reason = reasons.get(number, "")
            receipt.settle(reason or "", is_duplicate=reason is None)
        with self._lock:
            self._own.release(last)

    def _fail(self, error: Exception) -> None:
        self._failures += 1
        self._slot.errors += 1
        self._slot.trouble = 1
        self.trouble = reason_of(error)
        if self._failures == self._settings.write_retries + 1:
            log.warning(
                "Cannot store readings, %d wait and are tried again: %s", self.depth, self.trouble
            )
        if not isinstance(error, LockTimeout):
            with suppress(LockTimeout):
                self._database.forget()

    def _recover(self) -> None:
        if self._failures > self._settings.write_retries:
            log.info("Storing readings again after %d failed tries", self._failures)
        self._failures = 0
        self._slot.trouble = 0
        self.trouble = ""

    def _pause(self) -> None:
        """Wait before the next try, or until somebody else has stored what waits."""
        doubled = self._settings.write_backoff_base_sec * 2 ** min(self._failures - 1, 20)
        left_sec = min(doubled, LONGEST_PAUSE_SEC)
        settled = self._own.marks.settled
        while left_sec > 0 and self._own.marks.settled == settled:
            if self._sleep(min(left_sec, SETTLED_LOOK_SEC)):
                return
            left_sec -= SETTLED_LOOK_SEC
