"""The queues of all workers, in one file in memory that outlives each of them.

A queue belongs to a slot of the gauges, not to a process: the next owner of the slot continues with
the entries that wait there. Entries have the numbers 1, 2, 3, ...; each has a place of its own in
the file and is written there before it is counted, so an entry does not count if its process was
killed while it wrote it. An append takes no lock: only the owner of the slot writes `appended`,
with one store; a worker that has stored or saved entries writes `settled`; the entries between the
two wait.

    header          the marks of each queue, mapped into memory
    queue of slot 0 its places, one after the other; used again in a circle
    queue of slot 1 ...

A place holds the line of its entry (`entry.line_of`), and after it the reason why the entry is not
stored, if there is one; both are written with `pwrite`, for which a full memory is an error and not
the signal that it is for a mapping (man 7 shm_overview, man 2 mmap).
"""

import fcntl
import json
import mmap
import os
import secrets
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from ctypes import Array, Structure, c_char, c_int64, sizeof
from dataclasses import dataclass
from errno import ENOSPC

from flask10x.config.settings import Settings
from flask10x.errors import QueueFull, QueueUnreadable
from flask10x.recording.entry import Entry, entry_in, line_of
from flask10x.system.gauges import SLOTS, Gauges, Slot, numbers

# Every file begins with this; another layout has another number.
MAGIC = b"Flask10X queue 2"
# 16 hexadecimal digits.
ID_BYTES = 16
# The longest line that a station may have (`readings/stations.py`), so that a place has 2 KiB.
LINE_BYTES = 1664
# The reason of a refusal is cut to this; an answer shows 200 characters of it.
REASON_BYTES = 384
PLACE_BYTES = LINE_BYTES + REASON_BYTES


class Marks(Structure):
    """How far one queue has come; each number is written with one store."""

    _fields_ = (
        ("id", c_char * ID_BYTES),
        *numbers("base", "appended", "settled", "tried", "saved", "refused", "oldest_ms", "peak"),
    )
    __slots__ = ()

    id: bytes
    """Which queue it is, for `database/queue_notes.py`; empty before the slot was first used."""
    base: int
    """The entry after this one is at the first place."""
    appended: int
    """The last entry that was accepted; only the owner writes it."""
    settled: int
    """The last entry that is stored, or kept among the rejected readings."""
    tried: int
    """The last entry with which a transaction has begun."""
    saved: int
    """The last entry that a stop has put into a file of leftovers; only the owner writes it."""
    refused: int
    """The last entry that has ever had a reason why it is not stored."""
    oldest_ms: int
    """When the entry that waits longest was accepted, or earlier; meaningless if none waits.

    In milliseconds of CLOCK_MONOTONIC. All entries of this queue that were accepted before it are
    settled.
    """
    peak: int
    """The most entries that waited since the monitor looked last."""

    @property
    def length(self) -> int:
        """How many entries wait."""
        # In this order: an entry that is appended or settled in between counts as waiting.
        settled = self.settled
        return max(0, self.appended - settled)


class Header(Structure):
    """The start of the file."""

    _fields_ = (
        ("magic", c_char * len(MAGIC)),
        ("places", c_int64),
        ("used", c_int64),
        ("marks", Marks * SLOTS),
    )
    __slots__ = ("__weakref__",)

    magic: bytes
    places: int
    """How many entries may wait in each queue."""
    used: int
    """How many of the first slots were ever in use; the queues of the others are empty."""
    marks: "Array[Marks]"


HEADER_BYTES = -(-sizeof(Header) // mmap.PAGESIZE) * mmap.PAGESIZE


class SharedQueue:
    """The queue of one slot, as one process sees it.

    Only the owner of the slot may call `append`. The other methods that change something require
    the commit lock, or SQLite's own lock where that is switched off.
    """

    def __init__(self, fd: int, header: Header, number: int) -> None:
        """The queue of the slot with this number."""
        self._fd = fd
        self._header = header
        self._number = number
        self._places = header.places
        self._start = HEADER_BYTES + number * self._places * PLACE_BYTES
        self.marks = header.marks[number]
        self._released = 0

    @property
    def id(self) -> str:
        """The id of the queue."""
        return self.marks.id.decode()

    @property
    def length(self) -> int:
        """How many entries wait."""
        return self.marks.length

    @property
    def held(self) -> int:
        """How many places are in use: by entries that wait, and by those not released yet."""
        return self.marks.appended - self._released

    @property
    def in_doubt(self) -> bool:
        """Whether entries that wait may be settled already: `queue_notes.up_to` says it."""
        return max(self.marks.tried, self.marks.saved) > self.marks.settled

    def use(self) -> None:
        """Let all processes look at the queue from now on.

        Where several processes get slots, the process that assigns them calls it, so that two at
        once do not undo each other's writing.
        """
        if self._header.used <= self._number:
            self._header.used = self._number + 1

    def claim(self) -> None:
        """Continue with the queue as the owner of its slot.

        If its entries are in a file of leftovers, it gets a new id: a note that it is settled up to
        a later entry would hold for the entries in the file, too.
        """
        self.use()
        marks = self.marks
        self._released = marks.settled
        if not marks.id or (marks.saved and not marks.length):
            marks.id = secrets.token_hex(ID_BYTES // 2).encode()
            marks.saved = 0

    def append(self, entry: Entry) -> int:
        """Add an entry at the end, and return its number, the next one.

        Raises QueueFull, or OSError if there is no memory for it.
        """
        marks = self.marks
        number = marks.appended + 1
        if self._released == marks.appended:
            # No entry has to be read any more: begin at the first place again, so that a queue
            # that is mostly empty takes one page of memory.
            marks.base = marks.appended
        elif self.held >= self._places:
            raise QueueFull(f"queue full, {self.held} wait")
        line = line_of(number, entry, arrived_ms=entry.arrived_ms).encode()
        if len(line) > LINE_BYTES:
            raise ValueError(f"a line of {len(line)} bytes has no room in the queue")
        self._write(line, self._offset(number, marks.base))
        if marks.settled == marks.appended:
            marks.oldest_ms = entry.arrived_ms
        marks.appended = number
        marks.peak = max(marks.peak, marks.length)
        return number

    def waiting(self, rows_max: int) -> list[Entry]:
        """The entries that wait longest, at most so many; oldest first.

        Raises QueueUnreadable if one of them is not in its place, or OSError.
        """
        first = self.marks.settled + 1
        last = min(self.marks.appended, self.marks.settled + rows_max)
        return [self._entry(number, place) for number, place in self._places_of(first, last)]

    def try_up_to(self, number: int) -> None:
        """Mark that a transaction begins with the entries up to this one."""
        # An earlier transaction may have had more entries.
        self.marks.tried = max(self.marks.tried, number)

    def settle(self, number: int) -> None:
        """Note that the entries up to this one are settled."""
        marks = self.marks
        if marks.appended > number > marks.settled:
            # The entries are stored, even if the next one cannot be read.
            with suppress(QueueUnreadable, OSError):
                ((_, place),) = self._places_of(number + 1, number + 1)
                marks.oldest_ms = self._entry(number + 1, place).arrived_ms
        with self.settling():
            # Meanwhile a stop may have saved more entries, or another commit have stored them.
            marks.settled = max(marks.settled, number)

    @contextmanager
    def settling(self) -> Iterator[None]:
        """Exclude all other processes from the mark `settled`, for some microseconds.

        It is a lock of fcntl(2) on the byte with the number of the slot; the kernel frees it if the
        process is killed.
        """
        fcntl.lockf(self._fd, fcntl.LOCK_EX, 1, self._number)
        try:
            yield
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, self._number)

    def note_not_stored(self, entries: Sequence[Entry], reasons: dict[int, str | None]) -> None:
        """Keep the reasons why some of these entries are not stored, by their numbers.

        The reason of a duplicate is None. It is called before the commit: after it the reasons
        would be lost if this process were killed.
        """
        marks = self.marks
        if not reasons and marks.refused <= marks.settled:
            return
        marks.refused = max(marks.refused, entries[-1].number)
        for entry in entries:
            number, reason = entry.number, reasons.get(entry.number, "")
            while True:
                line = (json.dumps([number, reason], ensure_ascii=False) + "\n").encode(
                    errors="replace"
                )
                if len(line) <= REASON_BYTES:
                    break
                reason = reason and reason[: len(reason) * 3 // 4]
            self._write(line, self._offset(number, marks.base) + LINE_BYTES)

    def unreleased(self) -> tuple[int, int]:
        """The first and the last settled entry that the owner has not released yet."""
        return self._released + 1, self.marks.settled

    def release(self, number: int) -> None:
        """Let the places up to this entry be used again; only the owner calls it."""
        self._released = number

    def not_stored(self, first: int, last: int) -> dict[int, str | None]:
        """The reasons why some entries between these two were not stored, by their numbers.

        The reason is the message of the database, or None for a duplicate.
        """
        if self.marks.refused < first:
            return {}
        reasons: dict[int, str | None] = {}
        for number, place in self._places_of(first, last):
            # An entry that was stored has none, or an empty one.
            with suppress(ValueError, TypeError):
                of_entry, reason = json.loads(place[LINE_BYTES:].partition(b"\n")[0])
                if of_entry == number and reason != "":
                    reasons[number] = reason
        return reasons

    def _write(self, data: bytes, offset: int) -> None:
        if os.pwrite(self._fd, data, offset) != len(data):
            raise OSError(ENOSPC, os.strerror(ENOSPC))

    def _offset(self, number: int, base: int) -> int:
        return self._start + (number - base - 1) % self._places * PLACE_BYTES

    def _places_of(self, first: int, last: int) -> Iterator[tuple[int, bytes]]:
        """The number of each entry between these two, and the content of its place."""
        base, each = self.marks.base, PLACE_BYTES
        while first <= last:
            place = (first - base - 1) % self._places
            count = min(last - first + 1, self._places - place)
            data = os.pread(self._fd, count * each, self._offset(first, base)).ljust(count * each)
            for index in range(count):
                yield first + index, data[index * each : (index + 1) * each]
            first += count

    def _entry(self, number: int, place: bytes) -> Entry:
        line, end, _ = place[:LINE_BYTES].partition(b"\n")
        try:
            entry = entry_in(line.decode())
        except (ValueError, TypeError, LookupError) as error:
            raise QueueUnreadable(f"entry {number} of queue {self.id}: {error!r}") from error
        if not end or entry.number != number:
            raise QueueUnreadable(f"entry {number} of queue {self.id}: found {entry.number}")
        return entry


class SharedQueues:
    """The queues of all slots; make it before the fork."""

    def __init__(self, fd: int) -> None:
        """The queues of this open file with a header; it is closed with the last queue of it."""
        header = Header.from_buffer(mmap.mmap(fd, HEADER_BYTES))
        self.places: int = header.places
        """How many entries may wait in each queue."""
        self.others_exist = False
        """Whether another file may hold queues of the same database; set before the fork.

        Then the notes of those queues in the database are still needed.
        """
        self._header = header
        self._queues = [SharedQueue(fd, header, number) for number in range(SLOTS)]
        # Each queue refers to its marks, and so to the header.
        weakref.finalize(header, os.close, fd)

    @classmethod
    def anonymous(cls, places: int) -> "SharedQueues":
        """New queues in memory without a name, which ends with its last process."""
        fd = os.memfd_create("flask10x-queue")
        prepare(fd, places)
        return cls(fd)

    def __getitem__(self, number: int) -> SharedQueue:
        """The queue of the slot with this number, 0 to 63."""
        return self._queues[number]

    def not_empty(self) -> list[int]:
        """The numbers of the slots whose queue is not empty; called for each commit."""
        marks = self._header.marks
        return [number for number in range(self._header.used) if marks[number].length]

    def length(self) -> int:
        """How many readings of all workers wait to be stored; called for each reading."""
        marks = self._header.marks
        return sum(marks[number].length for number in range(self._header.used))

    def ids(self) -> set[str]:
        """The ids of all queues that have one."""
        return {marks.id.decode() for marks in self._header.marks if marks.id}

    def oldest_ms(self) -> int | None:
        """When the reading of any worker that waits longest was accepted; None if none waits.

        In milliseconds of CLOCK_MONOTONIC, which is the same in every process of the machine.
        """
        # In this order: a queue that has just become empty needs no time.
        waiting = [marks.oldest_ms for marks in self._header.marks if marks.length]
        return min(waiting, default=None)

    def take_peak(self) -> int:
        """The most readings that waited in any queue since the last call."""
        highest = 0
        for marks in self._header.marks:
            highest = max(highest, marks.length, marks.peak)
            marks.peak = 0
        return highest


@dataclass(frozen=True, slots=True)
class WorkerSlot:
    """One worker's slot in the memory that all workers share."""

    gauges: Gauges
    queues: SharedQueues
    number: int
    """Of the slot, 0 to 63."""

    @classmethod
    def alone(
        cls, settings: Settings, gauges: Gauges | None = None, number: int = 0
    ) -> "WorkerSlot":
        """A slot with queues of its own, and with gauges of its own unless some are passed."""
        gauges = gauges or Gauges(settings.stations.by_endpoint)
        return cls(gauges, SharedQueues.anonymous(settings.write_queue_maxsize), number)

    @property
    def numbers(self) -> Slot:
        """The gauges that only this worker writes."""
        return self.gauges.slot(self.number)

    @property
    def queue(self) -> SharedQueue:
        """The queue of this worker."""
        return self.queues[self.number]


def prepare(fd: int, places: int) -> None:
    """Make the header of a new file; raises OSError if there is no memory for it.

    Its first bytes are written last: a file without them is empty.
    """
    # Allocated, because writing to a mapping without memory would be a signal.
    os.posix_fallocate(fd, 0, HEADER_BYTES)
    header = Header.from_buffer(mmap.mmap(fd, HEADER_BYTES))
    header.places = places
    header.magic = MAGIC
