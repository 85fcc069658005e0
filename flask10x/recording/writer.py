"""The writer: one worker's queue, and the thread that sees to it that what waits there is stored.

The queue lies in memory that all workers share and that outlives them (`shared_queue`), so a
worker that is killed takes nothing along. Whichever thread gets the commit lock commits what waits
in all queues (`group_commit`); the others find their readings settled and only say so to whoever
waits for that. When the store fails (locked, full, I/O error), everything stays where it is and is
tried again for ever with growing pauses; meanwhile the queue fills and refuses. When the database
refuses a row, that row is reported and counted, kept among the rejected readings, and the rest of
its batch is stored.

The thread sleeps until its queue has something, and is woken once for all that comes until nothing
is left. With ACK=committed it waits about a millisecond at most then (`CommitDelay`); it tells each
request what has become of its reading.
"""

import logging
import math
import os
import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from flask10x.config.settings import Settings
from flask10x.database import counters, queue_notes
from flask10x.database.database import Database
from flask10x.database.error_codes import kind_of, reason_of
from flask10x.errors import LockTimeout, QueueFull, QueueUnreadable, WriterClosed
from flask10x.readings.parse import Reading
from flask10x.recording import batch
from flask10x.recording.batch import NotStored, Receipt, Refusal
from flask10x.recording.entry import Entry
from flask10x.recording.leftovers import Leftovers
from flask10x.recording.rejected import RejectedQueue
from flask10x.recording.shared_queue import SharedQueue, SharedQueues
from flask10x.system.clock import monotonic_sec
from flask10x.system.gauges import Gauges

# How long a commit waits for company: for readings that senders are about to send.
#
# Whoever waits for its commit sends again soon after it, and a commit costs about the same however
# many readings it stores. So with ACK=committed the next one waits for as many as were in the last
# one and came while it ran, in the queues of all workers. The worker that gets the last of them
# commits them all, without any rival for the lock. A wait that was for nothing has cost no more
# than a commit, and a sender that is alone never waits.

# Where a commit takes long, readings come together by themselves while it runs.
COMMIT_DELAY_MAX_SEC = 0.001


class CommitDelay:
    """The readings that the next commit waits for; all workers expect the same."""

    def __init__(self, gauges: Gauges, queues: SharedQueues) -> None:
        """Nothing is expected before the first commit."""
        self._gauges, self._queues = gauges, queues

    @property
    def wait_sec(self) -> float:
        """How long to wait for them at most: as long as the last commit took, or less."""
        return min(self._gauges.commit_us / 1e6, COMMIT_DELAY_MAX_SEC)

    def is_full(self) -> bool:
        """Whether as many wait as are expected; asked for each reading."""
        return self._queues.length() >= self._gauges.expected_rows

    def expect(self, rows: int, took_sec: float) -> None:
        """After a commit of so many rows, by whoever has the turn."""
        self._gauges.expected_rows = rows + self._queues.length()
        self._gauges.commit_us = int(took_sec * 1e6)


# A group commit: what waits in the queues of all workers goes into one transaction.
#
# Whoever has the commit lock takes this worker's readings first and then those of the others, also
# of one that was killed. While a commit reaches the disk, all that arrive form the next.
#
# A commit that fails may have stored its batch all the same, and whoever makes one may be killed
# before it has said so. So each commit notes how far it leaves each queue settled
# (`database/queue_notes.py`), and marks the queues before it begins: what was tried before is
# looked up there, by whoever comes next, and not stored again.

Insert = Callable[[Connection, list[Entry], Settings], NotStored]


@dataclass(frozen=True, slots=True)
class Portion:
    """What one queue gives to a batch."""

    queue: SharedQueue
    entries: list[Entry]
    id: str
    """Of the queue when it had these entries: the next owner of its slot may give it another."""

    @property
    def last(self) -> int:
        """The number of its last entry."""
        return self.entries[-1].number


class GroupCommit:
    """One worker's way to commit; it belongs to the writer's thread."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        gauges: Gauges,
        queues: SharedQueues,
        slot_number: int,
        leftovers: Leftovers,
        delay: CommitDelay,
    ) -> None:
        """Of the worker that has this slot."""
        self._settings = settings
        self._database = database
        self._gauges = gauges
        self._queues = queues
        self._number = slot_number
        self._leftovers = leftovers
        self._delay = delay
        self._has_forgotten = False
        # Not known before the first commit has asked the database.
        self._saved_errors = 0
        self._errors_name = counters.write_errors_name(settings)

    def once(self) -> int:
        """Commit what waits, at most BATCH_MAX_ROWS; the number of rows settled.

        That is 0 when others have settled all of it before this worker got its turn. Raises what
        `Database.commit` raises, or QueueUnreadable; then everything still waits.
        """
        with self._database.turn():
            portions = self._portions()
            if not portions:
                return 0
            began_sec = time.monotonic()
            refused = self._commit(portions)
            for portion in portions:
                portion.queue.settle(portion.last)
            rows = sum(len(portion.entries) for portion in portions)
            took_sec = time.monotonic() - began_sec
            self._delay.expect(rows, took_sec)
            counts = self._gauges.counts
            counts.batch_rows.observe(self._number, rows)
            counts.commit_us.observe(self._number, int(took_sec * 1e6))
        batch.log_refusals(refused)
        self._gauges.slot(self._number).errors += len(refused)
        return rows

    def _portions(self) -> list[Portion]:
        portions: list[Portion] = []
        rows_left = self._settings.batch_max_rows
        for number in sorted(self._queues.not_empty(), key=lambda other: other != self._number):
            try:
                entries = self._queues[number].waiting(rows_left)
            except QueueUnreadable:
                # That of another one is no obstacle; its owner says it.
                if number == self._number:
                    raise
                continue
            if entries:
                # In this order: of an id that was new in between, these are all settled.
                portions.append(Portion(self._queues[number], entries, self._queues[number].id))
            rows_left -= len(entries)
            if not rows_left:
                break
        return portions

    def _commit(self, portions: list[Portion]) -> list[Refusal]:
        try:
            return self._transact(portions, batch.insert_all)
        except Exception as error:
            if kind_of(error) == "store":
                raise
            return self._transact(portions, batch.insert_each)

    def _transact(self, portions: list[Portion], insert: Insert) -> list[Refusal]:
        """Insert what is not there yet, in one transaction; all that the database has refused."""
        with self._database.transaction() as connection:
            done = [_done(connection, portion) for portion in portions]
            for portion in portions:
                portion.queue.try_up_to(portion.last)
            new = [
                [entry for entry in portion.entries if entry.number > number]
                for portion, number in zip(portions, done, strict=True)
            ]
            together = [entry for entries in new for entry in entries]
            found = insert(connection, together, self._settings) if together else NotStored()
            for portion, entries in zip(portions, new, strict=True):
                if entries:
                    portion.queue.note_not_stored(entries, _reasons(entries, found))
                    queue_notes.note(connection, portion.id, portion.last)
            errors = self._note_others(connection)
        self._has_forgotten, self._saved_errors = True, errors
        return found.refused + [
            refusal
            for portion, number in zip(portions, done, strict=True)
            for refusal in _refused_before(portion, number)
        ]

    def _note_others(self, connection: Connection) -> int:
        """Forget the queues that nobody needs, save the count of errors; that count."""
        if not self._has_forgotten and not self._queues.others_exist:
            self._leftovers.forget_settled(connection, self._queues.ids())
        errors = self._gauges.errors_total()
        if errors > self._saved_errors:
            counters.raise_to(connection, self._errors_name, errors)
        return errors


def _done(connection: Connection, portion: Portion) -> int:
    """Up to which entry a queue is settled, by whatever commit."""
    queue = portion.queue
    return queue_notes.up_to(connection, portion.id) if queue.in_doubt else queue.marks.settled


def _reasons(entries: Iterable[Entry], found: NotStored) -> dict[int, str | None]:
    """Why these entries of one queue are not stored, by their numbers; as `SharedQueue` has it."""
    reasons: dict[int, str | None] = {id(entry): reason for entry, reason in found.refused}
    reasons |= dict.fromkeys(map(id, found.duplicates))
    return {entry.number: reasons[id(entry)] for entry in entries if id(entry) in reasons}


def _refused_before(portion: Portion, number: int) -> list[Refusal]:
    """What an earlier commit has refused of the entries up to this number."""
    before = [entry for entry in portion.entries if entry.number <= number]
    if not before:
        return []
    reasons = portion.queue.not_stored(before[0].number, before[-1].number)
    return [(entry, reason) for entry in before if (reason := reasons.get(entry.number))]


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
        self._delay = CommitDelay(gauges, queues)
        self._group_commit = GroupCommit(
            settings, database, gauges, queues, slot_number, self._leftovers, self._delay
        )
        self._places = min(settings.write_queue_maxsize, queues.places)
        self._receipts: deque[tuple[int, Receipt]] = deque()
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        # Whether the thread will look at the queue again without being woken.
        self._awake = True
        # Whether the thread waits for readings that it is to be woken for.
        self._delays = False
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
        if slept or hurries or (self._delays and self._delay.is_full()):
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
        """Sleep while nothing waits in this worker's queue, then until the commit delay is over.

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
            self._wait_for_more()
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

    def _wait_for_more(self) -> None:
        """Sleep until as many wait as are expected, in all queues, or it has taken too long.

        Where the last of them comes to another worker, that one stores them all meanwhile.
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
