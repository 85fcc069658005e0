"""The writer: one worker's queue, and the thread that has its readings stored.

The queue lies in memory that all workers share and that outlives them (`shared_queue`), so a
worker that is killed loses nothing. The thread that gets the commit lock commits what waits in all
queues (`GroupCommit`); the other threads then find their readings settled and only inform the
requests that wait for them. When the store fails (locked, full, I/O error), all readings stay in
the queues and are tried again for ever, with growing pauses; meanwhile a queue that is full refuses
new ones. When the database refuses a row, that row is logged, counted and kept among the rejected
readings, and the rest of its batch is stored.

The thread sleeps until its queue has a reading, and is woken once for all that come until none is
left. With ACK=committed it then waits for some milliseconds at most (`CommitDelay`), and informs
each request of what has become of its reading.
"""

import atexit
import logging
import os
import queue
import signal
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from flask10x.config.settings import Settings
from flask10x.database import engines
from flask10x.database.database import Database
from flask10x.database.error_codes import reason_of
from flask10x.errors import LockTimeout, QueueFull, WriterClosed
from flask10x.readings.parse import Reading
from flask10x.recording import batch
from flask10x.recording.batch import Receipt
from flask10x.recording.commit_delay import CommitDelay
from flask10x.recording.entry import Entry
from flask10x.recording.group_commit import GroupCommit
from flask10x.recording.leftovers import Leftovers
from flask10x.recording.rejected_queue import RejectedQueue
from flask10x.recording.shared_queue import WorkerSlot
from flask10x.system.clock import monotonic_sec

log = logging.getLogger(__name__)

# Pauses between tries double up to this: short enough that the store is found again within a
# few seconds of its return, long enough that a full card isn't hammered.
LONGEST_PAUSE_SEC = 5.0
# How often a thread that pauses looks whether another worker has stored its readings meanwhile.
SETTLED_LOOK_SEC = 0.05
# What an ending process may spend on storing what it has accepted. Request ceiling (10 s) plus
# this stays below gunicorn's graceful_timeout (30 s), and that below the unit's TimeoutStopSec.
DRAIN_SEC = 15.0
# How often a thread that collects a batch looks whether another worker has stored it.
LOOK_SEC = 5.0
# Where readings may wait for minutes, those that are answered after their commit wait only this
# long for others: the default interval, so that all readings of one request go together.
RECEIPT_WAIT_SEC = 0.1


class Writer:
    """One worker's queue and the thread behind it.

    `submit` may be called from any thread. `flush_now` and `refuse_new` may be called from a signal
    handler: they take no lock.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        slot: WorkerSlot,
        clock: Callable[[], float] = monotonic_sec,
        end_worker: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGTERM),
    ) -> None:
        """Go on with the queue of this slot; the readings that wait there are stored, too.

        `clock` gives monotonic seconds; `end_worker` is called if the thread dies. Nothing is
        opened or started yet.
        """
        self._settings, self._database = settings, database
        self._clock, self._end_worker = clock, end_worker
        self._gauges, self._queues, self._slot_number = slot.gauges, slot.queues, slot.number
        self._slot = slot.numbers
        self._queue = slot.queue
        self._queue.claim()
        count_refused = partial(slot.gauges.count_refused, slot.number)
        queue_id = self._queue.id
        self.rejected_queue = RejectedQueue(settings, database, clock, count_refused, queue_id)
        self._leftovers = Leftovers(settings, database, clock)
        delay_max_sec = engines.engine_of(settings).commit_delay_max_sec
        self._delay = CommitDelay(slot.gauges, slot.queues, delay_max_sec)
        self._group_commit = GroupCommit(settings, database, slot, self._leftovers, self._delay)
        self._places = min(settings.write_queue_maxsize, slot.queues.places)
        self._receipts: deque[tuple[int, Receipt]] = deque()
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        # Whether the thread will look at the queue again without being woken.
        self._awake = True
        # Whether the thread waits for readings that it is to be woken for.
        self._delays = False
        self._lock = threading.Lock()
        self._refuses_new = self._flushes_now = self._given_up = False
        self._failures = 0
        self._thread: threading.Thread | None = None
        self.dead = False
        self.trouble = ""

    @property
    def depth(self) -> int:
        """How many readings this worker's queue has accepted and not stored yet."""
        return self._queue.length

    @property
    def full(self) -> bool:
        """Whether the next reading would be refused."""
        return self._queue.held >= self._places

    def submit(
        self,
        reading: Reading,
        receipt: Receipt | None = None,
        key: str = "",
        repeat_window_ms: int = 0,
    ) -> int:
        """Queue a reading and note when its station sent; the number that wait, it included.

        Of several readings with one key (`accepted_keys.key_of`) only the first is stored, within
        the window or, if that is 0, for as long as keys are kept. The receipt is settled once the
        reading is committed, is recognised as a duplicate, or is refused by the database.
        Raises QueueFull, also when there is no memory for the reading, or WriterClosed when the
        process stops, the thread has died or the database is damaged.
        """
        arrived_ms = int(self._clock() * 1000)
        stations = self._settings.stations
        entry = batch.entry_of(stations, reading, arrived_ms, key, repeat_window_ms)
        with self._lock:
            # Even if the reading is refused below: a station that sends is not silent.
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
            waiting = self._queue.length
        is_batch = waiting == self._settings.batch_max_rows
        hurries = is_batch or (is_first_asked and self._settings.ack != "committed")
        if slept or hurries or (self._delays and self._delay.is_full()):
            self._wake.put(None)
        return waiting

    def _append(self, entry: Entry) -> int:
        """Put an entry into the queue; its number. Raises the errors of `submit`."""
        if self._refuses_new:
            raise WriterClosed("the service is stopping")
        if self.dead:
            raise WriterClosed("the writer has died")
        if self._database.damage.is_damaged:
            raise WriterClosed("the database is damaged")
        if self.full:
            raise QueueFull(f"queue full, {self._queue.held} wait")
        try:
            return self._queue.append(entry)
        except OSError as error:
            raise QueueFull(f"no memory for the queue: {error.strerror}") from error

    def step(self) -> int:
        """Settle what waits, at most one batch; the number of rows settled, 0 on failure."""
        return self._store() if self._queues.not_empty() else 0

    def start(self) -> None:
        """Start the thread; it ends after `refuse_new`, once everything is stored.

        If the process ends without calling `close`, the interpreter calls it with DRAIN_SEC.
        """
        thread = threading.Thread(target=self._run, name="writer", daemon=True)
        thread.start()
        self._thread = thread
        atexit.register(self.close, DRAIN_SEC)

    def flush_now(self) -> None:
        """Store at once from now on, without collecting a batch first."""
        self._flushes_now = True
        self._wake.put(None)

    def refuse_new(self) -> None:
        """Refuse further readings and let the thread end once all are stored."""
        self._refuses_new = True
        self.flush_now()

    def close(self, timeout_sec: float) -> int:
        """Stop and store everything that waits; the number of readings that could not be stored.

        Those go into a file for the next start. Rejected readings are kept last, in one try. This
        also works when the thread was never started or has died.
        """
        deadline = self._clock() + timeout_sec
        atexit.unregister(self.close)
        self.refuse_new()
        if self._thread is not None:
            self._thread.join(timeout_sec)
            self._given_up = True
            self._wake.put(None)
            if self._thread.is_alive():  # A COMMIT may wait for a standby that does not answer.
                self._database.break_off()
            self._thread.join()
        while self._unemptied() and self._clock() < deadline:
            if not self.step():
                self._pause()
        self._give_receipts()
        rest = self._queue.length
        if rest:
            self._leftovers.save_queue(self._queue, self.trouble)
        # No request is informed that these readings are stored.
        self._receipts.clear()
        self._leftovers.close()
        self.rejected_queue.finish()
        return rest

    def _unemptied(self) -> bool:
        """Whether a queue still holds readings that this worker has to store before it ends.

        Such queues are its own, and those of killed workers that no other worker has taken over.
        """
        return bool(self._queue.length) or any(
            not self._gauges.slot(number).pid for number in self._queues.not_empty()
        )

    def _run(self) -> None:
        try:
            # In this thread, so that the start of a worker does not wait for another one.
            self._leftovers.step()
            while self._unfinished():
                self._wait_for_batch()
                if self._unemptied():
                    self._store()
                elif self._failures:
                    self._recover()
                if self._failures:
                    self._pause()
                else:
                    self.rejected_queue.step()
                    self._leftovers.step()
        except BaseException:
            # A bug or MemoryError: errors of the store are caught in `_store`.
            self.dead, self.trouble = True, "the writer thread has died"
            self._slot.trouble = 1
            try:
                log.critical("Writer thread died; this worker ends and is replaced", exc_info=True)
            finally:
                self._end_worker()

    def _unfinished(self) -> bool:
        if not self._refuses_new:
            return True
        # A `submit` that began before `refuse_new` may still be queueing its reading.
        with self._lock:
            return self._unemptied() and not self._given_up

    def _wait_for_batch(self) -> None:
        """Sleep while this worker's queue is empty, then until the commit delay is over.

        A whole batch is committed at once: with an interval of minutes the queue would fill up.
        """
        self._give_receipts()
        with self._lock:
            self._awake = self._queue.held > 0
        # After a failure the recovery is reported first: another worker has stored the readings.
        if not self._awake and not self._failures:
            self._sleep(self._leftovers.pause_sec)
            self._give_receipts()
        if self._settings.ack == "committed":
            self._wait_for_more()
            return
        while self._may_wait():
            interval_sec = self._settings.commit_interval_sec
            if self._receipts:
                interval_sec = min(interval_sec, RECEIPT_WAIT_SEC)
            until_sec = self._queue.marks.oldest_ms / 1000 + interval_sec
            wait_sec = until_sec - self._clock()
            if wait_sec <= 0:
                return
            self._sleep(min(wait_sec, LOOK_SEC))
            # Another worker may have stored them all.
            self._give_receipts()

    def _wait_for_more(self) -> None:
        """Sleep until all queues hold as many readings as are expected, or the delay is over.

        If the last of them comes to another worker, that worker stores them all meanwhile.
        """
        self._delays = True
        until_sec = self._clock() + self._delay.wait_sec
        while self._may_wait() and not self._delay.is_full():
            if (wait_sec := until_sec - self._clock()) <= 0:
                break
            self._sleep(wait_sec)
        self._delays = False
        self._give_receipts()

    def _may_wait(self) -> bool:
        """Whether the queue holds readings, but no whole batch, and no stop makes it urgent."""
        return 0 < self._queue.length < self._settings.batch_max_rows and not self._flushes_now

    def _sleep(self, wait_sec: float) -> bool:
        """Wait for so long; whether this thread was woken before."""
        with suppress(queue.Empty):
            self._wake.get(timeout=wait_sec)
            return True
        return False

    def _store(self) -> int:
        """Commit a batch; the number of rows settled, 0 if they still wait."""
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
        """Settle the receipts of all readings that are settled by now, by any worker."""
        first, last = self._queue.unreleased()
        if last < first:
            return
        with self._lock:
            due = []
            while self._receipts and self._receipts[0][0] <= last:
                due.append(self._receipts.popleft())
        reasons = self._queue.not_stored(first, last) if due else {}
        for number, receipt in due:
            reason = reasons.get(number, "")
            receipt.settle(reason or "", is_duplicate=reason is None)
        with self._lock:
            self._queue.release(last)

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
        """Wait before the next try, or until another worker has stored what waits."""
        doubled = self._settings.write_backoff_base_sec * 2 ** min(self._failures - 1, 20)
        rest_sec = min(doubled, LONGEST_PAUSE_SEC)
        settled = self._queue.marks.settled
        while rest_sec > 0 and self._queue.marks.settled == settled:
            if self._sleep(min(rest_sec, SETTLED_LOOK_SEC)):
                return
            rest_sec -= SETTLED_LOOK_SEC
