"""The writer: a bounded queue and the one thread that stores what sensors send.

The thread takes what waits, up to BATCH_MAX_ROWS, and commits it in one transaction. The batch
stays in hand until COMMIT has returned. When the store fails (locked, full, I/O error) the batch
is tried again for ever with growing pauses; meanwhile the queue fills and refuses. When the
database refuses a row, that row is reported and counted, kept among the rejected readings, and the
rest of its batch is stored.

A commit that fails may have stored its batch all the same. So the queue has an id, its readings are
counted, and each commit notes how many of them it leaves settled (`database/settled.py`): a batch
that turns out to be there is not stored again.

With ACK=committed nobody waits for company: the thread takes what is there as soon as there is
something, and tells each request what has become of its reading.
"""

import logging
import math
import os
import queue
import secrets
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from sqlalchemy import Connection

from flask10x.config.settings import Settings
from flask10x.database import counters, settled
from flask10x.database.engine import Database
from flask10x.database.error_codes import kind_of, reason_of
from flask10x.errors import LockTimeout, QueueFull, WriterClosed
from flask10x.readings.parse import Reading
from flask10x.readings.stations import STATIONS
from flask10x.recording import batch
from flask10x.recording.batch import Entry, Receipt, Refusal
from flask10x.recording.leftovers import Leftovers
from flask10x.recording.rejected_queue import RejectedQueue
from flask10x.system.gauges import QUEUE_ID_BYTES, Gauges, Slot

log = logging.getLogger(__name__)

# Pauses between tries double up to this: short enough that the store is found again within a
# few seconds of its return, long enough that a full card isn't hammered.
LONGEST_PAUSE_SEC = 5.0
# What an ending process may spend on storing what it has accepted. Request ceiling (10 s) plus
# this stays below gunicorn's graceful_timeout (30 s), and that below the unit's TimeoutStopSec.
DRAIN_SEC = 15.0
# How often a thread that waits looks whether the process ends without it.
LOOK_SEC = 5.0

_STATION_INDEX = {station.endpoint: index for index, station in enumerate(STATIONS)}


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
        slot: Slot,
        clock: Callable[[], float] = time.monotonic,
        end_worker: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGTERM),
    ) -> None:
        """`clock` gives monotonic seconds; `end_worker` is called if the thread dies.

        Nothing is opened or started yet.
        """
        self._settings = settings
        self._database = database
        self._gauges = gauges
        self._slot = slot
        self._clock = clock
        self._end_worker = end_worker
        self.rejected_queue = RejectedQueue(settings, database, clock)
        self._leftovers = Leftovers(settings, database, clock)
        self._queue: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._queue_id = secrets.token_hex(QUEUE_ID_BYTES // 2)
        slot.queue_id = self._queue_id.encode()
        # How many of the queue are settled; the batch in hand follows them.
        self._settled = 0
        self._batch: list[Entry] = []
        self._refused: list[Refusal] = []
        # Whether a transaction has begun with the batch in hand.
        self._tried = False
        committed = settings.ack == "committed"
        self._company_sec = 0.0 if committed else settings.commit_interval_sec
        self._lock = threading.Lock()
        self._waiting = 0
        self._refuses_new = False
        self._flushes_now = False
        self._given_up = False
        self._ends_by_sec = math.inf
        self._failures = 0
        self._saved_errors = 0  # Not known before the first commit has asked the database.
        self._thread: threading.Thread | None = None
        self.dead = False
        self.trouble = ""

    @property
    def depth(self) -> int:
        """Readings that were accepted and are not yet stored, the batch in hand included."""
        return self._waiting

    @property
    def full(self) -> bool:
        """Whether the next reading would be refused."""
        return self._waiting >= self._settings.write_queue_maxsize

    def submit(self, reading: Reading, receipt: Receipt | None = None) -> int:
        """Queue a reading and note when its station sent; the number that wait, it included.

        The receipt is settled once the reading is committed or the database has refused it.
        Raises QueueFull, or WriterClosed when the process stops, the thread has died or the
        database is damaged.
        """
        entry = batch.entry_of(reading, self._clock(), receipt)
        with self._lock:
            # Also when it is refused below: a station that sends is not silent.
            arrived_ms = int(entry.arrived_sec * 1000)
            self._gauges.note_received(_STATION_INDEX[reading.endpoint], arrived_ms)
            if self._refuses_new:
                raise WriterClosed("the service is stopping")
            if self.dead:
                raise WriterClosed("the writer has died")
            if self._database.damage.known:
                raise WriterClosed("the database is damaged")
            if self.full:
                raise QueueFull(f"queue full, {self._waiting} wait")
            if self._waiting == 0:
                self._slot.queue_oldest_ms = arrived_ms
            self._waiting += 1
            self._queue.put(entry)
            self._show_waiting()
            return self._waiting

    def step(self) -> int:
        """Settle what waits, at most one batch; the number of rows settled, 0 on failure."""
        self._take(patient=False)
        return self._store() if self._batch else 0

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
        self._queue.put(None)
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
            self._thread.join()
        while self._waiting and self._clock() < deadline:
            if not self.step():
                self._pause()
        return self._finish()

    def _finish(self) -> int:
        """Put what is left into a file, keep what was refused; the number of readings left."""
        left = self._waiting
        if left and self._save_rest():
            self._batch, self._waiting = [], 0
            # They are not lost, should this process be killed before it has ended.
            self._show_waiting()
        self._leftovers.close()
        self.rejected_queue.finish()
        return left

    def _save_rest(self) -> bool:
        entries = [*self._batch, *batch.rest_of(self._queue)]
        return self._leftovers.save(self._queue_id, self._settled, entries, self.trouble)

    def _run(self) -> None:
        try:
            self._leftovers.step()
            while self._unfinished():
                self._take(patient=True)
                if self._batch and not self._store():
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
            return self._waiting > 0 and not self._given_up and in_time

    @property
    def _is_left_alone(self) -> bool:
        """Whether the process ends without `close`: its main thread is gone, whatever it died of.

        The interpreter waits for this thread then, and nobody is left to stop it.
        """
        return not threading.main_thread().is_alive()

    def _take(self, patient: bool) -> None:
        """Fill the batch in hand; patient: wait for a first row and then for company."""
        if self._batch:
            return
        first = self._next(self._leftovers.pause_sec if patient else 0)
        if first is None:
            return
        self._batch.append(first)
        self._slot.queue_oldest_ms = int(first.arrived_sec * 1000)
        company_until = first.arrived_sec + self._company_sec
        while len(self._batch) < self._settings.batch_max_rows:
            hurried = not patient or self._flushes_now or self._is_left_alone
            wait_sec = 0.0 if hurried else max(0.0, company_until - self._clock())
            entry = self._next(min(wait_sec, LOOK_SEC))
            if entry is not None:
                self._batch.append(entry)
            elif wait_sec <= LOOK_SEC or self._flushes_now:
                return

    def _next(self, wait_sec: float) -> Entry | None:
        """The next entry, or None when there was none in time or `flush_now` was called."""
        try:
            return self._queue.get(block=wait_sec != 0, timeout=wait_sec)
        except queue.Empty:
            return None

    def _store(self) -> int:
        """Commit the batch in hand; the rows settled, or 0 when it stays in hand."""
        try:
            self._commit()
        except Exception as error:
            self._fail(error)
            return 0
        return self._settle()

    def _commit(self) -> None:
        try:
            self._transact(batch.insert_all)
        except Exception as error:
            if kind_of(error) == "store":
                raise
            self._transact(partial(batch.insert_each, settings=self._settings))

    def _transact(self, insert: Callable[[Connection, list[Entry]], list[Refusal]]) -> None:
        end = self._settled + len(self._batch)
        with self._database.commit() as connection:
            # Only a batch that was tried may be there all the same: its commit has failed, or the
            # thread died between the commit and the end of `_settle`.
            tried, self._tried = self._tried, True
            if not tried or settled.up_to(connection, self._queue_id) < end:
                self._refused = insert(connection, self._batch)
                settled.note(connection, self._queue_id, end)
            if not self._settled:
                self._leftovers.forget_settled(connection, self._gauges.queue_ids())
            errors = self._gauges.errors_total()
            if errors > self._saved_errors:
                counters.raise_to(connection, counters.WRITE_ERRORS, errors)
        self._saved_errors = errors

    def _settle(self) -> int:
        batch.settle(self._batch, self._refused)
        self._slot.errors += len(self._refused)
        count = len(self._batch)
        # At once: what was counted must not be in hand any more, whatever kills this thread.
        self._settled, self._batch, self._refused = self._settled + count, [], []
        self._tried = False
        with self._lock:
            self._waiting -= count
            self._show_waiting()
        if self._failures:
            self._recover()
        return count

    def _fail(self, error: Exception) -> None:
        self._failures += 1
        self._slot.errors += 1
        self._slot.trouble = 1
        self.trouble = reason_of(error)
        if self._failures == self._settings.write_retries + 1:
            log.warning(
                "Cannot store readings, %d wait and are tried again: %s",
                self._waiting,
                self.trouble,
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
        doubled = self._settings.write_backoff_base_sec * 2 ** min(self._failures - 1, 20)
        with suppress(queue.Empty):
            self._wake.get(timeout=min(doubled, LONGEST_PAUSE_SEC))

    def _show_waiting(self) -> None:
        self._slot.queue_length = self._waiting
        self._slot.queue_peak = max(self._slot.queue_peak, self._waiting)
