"""A group commit: what waits in the queues of all workers goes into one transaction.

The holder of the commit lock takes its own worker's readings first and then those of the others,
also of a worker that was killed. While a commit reaches the disk, the readings that arrive form
the next one.

A commit that has failed may nevertheless have stored its batch, and its worker may be killed
before it has marked the batch as settled. So each commit notes in the database how far it settles
each queue (`database/queue_notes.py`), and marks the queues before it begins: entries that were
tried before are looked up in these notes by the next commit, and are not stored again.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from flask10x.config.settings import Settings
from flask10x.database import counters, queue_notes
from flask10x.database.database import Database
from flask10x.database.error_codes import kind_of
from flask10x.errors import QueueUnreadable
from flask10x.recording import batch
from flask10x.recording.batch import NotStored, Refusal
from flask10x.recording.commit_delay import CommitDelay
from flask10x.recording.entry import Entry
from flask10x.recording.leftovers import Leftovers
from flask10x.recording.shared_queue import SharedQueue, WorkerSlot

Insert = Callable[[Connection, list[Entry], Settings], NotStored]


@dataclass(slots=True)
class Portion:
    """The entries of one queue in a batch."""

    queue: SharedQueue
    entries: list[Entry]
    id: str
    """Of the queue when it had these entries: the next owner of its slot may give it another."""
    done: int = 0
    """Up to which entry an earlier commit has settled the queue."""

    @property
    def last(self) -> int:
        """The number of its last entry."""
        return self.entries[-1].number

    def begin(self, connection: Connection) -> list[Entry]:
        """Mark the entries as tried; those that no earlier commit has settled."""
        queue = self.queue
        in_doubt = queue.in_doubt
        self.done = queue_notes.up_to(connection, self.id) if in_doubt else queue.marks.settled
        queue.try_up_to(self.last)
        return [entry for entry in self.entries if entry.number > self.done]

    def note(self, connection: Connection, not_stored: NotStored) -> None:
        """Note in this transaction that its entries are settled, and which of them how."""
        reasons: dict[int, str | None] = {id(entry): why for entry, why in not_stored.refused}
        reasons |= dict.fromkeys(map(id, not_stored.duplicates))
        new = [entry for entry in self.entries if entry.number > self.done]
        self.queue.note_not_stored(
            new, {entry.number: reasons[id(entry)] for entry in new if id(entry) in reasons}
        )
        queue_notes.note(connection, self.id, self.done, self.last)


class GroupCommit:
    """Commits for one worker; it belongs to the writer's thread."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        slot: WorkerSlot,
        leftovers: Leftovers,
        delay: CommitDelay,
    ) -> None:
        """For the worker that has this slot."""
        self._settings = settings
        self._database = database
        self._slot = slot
        self._leftovers = leftovers
        self._delay = delay
        self._has_forgotten = False
        # Unknown until the first commit has read it from the database.
        self._saved_errors = 0
        self._errors_name = counters.write_errors_name(settings)

    def once(self) -> int:
        """Commit up to BATCH_MAX_ROWS waiting entries; return the number of rows settled.

        The number is 0 if other workers settled all of it while this one waited for the lock.
        Raises the errors of `Database.commit`, or QueueUnreadable; then everything still waits.
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
            gauges = self._slot.gauges
            gauges.batch_rows.observe(self._slot.number, rows)
            gauges.commit_times_us.observe(self._slot.number, int(took_sec * 1e6))
        batch.log_refusals(refused)
        self._slot.numbers.errors += len(refused)
        return rows

    def _portions(self) -> list[Portion]:
        portions: list[Portion] = []
        rows_left = self._settings.batch_max_rows
        queues, own_number = self._slot.queues, self._slot.number
        for number in sorted(queues.not_empty(), key=lambda other: other != own_number):
            try:
                entries = queues[number].waiting(rows_left)
            except QueueUnreadable:
                # The queue of another worker is no obstacle; its owner reports it.
                if number == own_number:
                    raise
                continue
            if entries:
                # In this order: if the id was new in between, all these entries are settled.
                portions.append(Portion(queues[number], entries, queues[number].id))
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
        """Insert the new entries in one transaction; those that the database has refused."""
        with self._database.transaction() as connection:
            new = [entry for portion in portions for entry in portion.begin(connection)]
            not_stored = insert(connection, new, self._settings) if new else NotStored()
            for portion in portions:
                if portion.done < portion.last:
                    portion.note(connection, not_stored)
            # What the table needs besides: forget notes of queues that are gone, save the errors.
            if not self._has_forgotten and not self._slot.queues.others_exist:
                self._leftovers.forget_settled(connection, self._slot.queues.ids())
            errors = self._slot.gauges.errors_total()
            if errors > self._saved_errors:
                counters.raise_to(connection, self._errors_name, errors)
        self._has_forgotten, self._saved_errors = True, errors
        return not_stored.refused
