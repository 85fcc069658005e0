"""A group commit: what waits in the queues of all workers goes into one transaction.

Whoever has the commit lock takes this worker's readings first and then those of the others, also of
one that was killed. While a commit reaches the disk, all that arrive form the next.

A commit that fails may have stored its batch all the same, and whoever makes one may be killed
before it has said so. So each commit notes how far it leaves each queue settled
(`database/queue_notes.py`), and marks the queues before it begins: what was tried before is looked
up there, by whoever comes next, and not stored again.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from flask10x.config.settings import Settings
from flask10x.database import counters, queue_notes
from flask10x.database.engine import Database
from flask10x.database.error_codes import kind_of
from flask10x.errors import QueueUnreadable
from flask10x.recording import batch
from flask10x.recording.batch import NotStored, Refusal
from flask10x.recording.company import Company
from flask10x.recording.entry import Entry
from flask10x.recording.leftovers import Leftovers
from flask10x.recording.shared_queue import SharedQueue, SharedQueues
from flask10x.system.gauges import Gauges

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
        company: Company,
    ) -> None:
        """Of the worker that has this slot."""
        self._settings = settings
        self._database = database
        self._gauges = gauges
        self._queues = queues
        self._number = slot_number
        self._leftovers = leftovers
        self._company = company
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
            self._company.expect(rows, took_sec)
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
