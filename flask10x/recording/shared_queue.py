"""The queues of all workers, in one file in memory that outlives each of them.

A queue belongs to a slot of the gauges, not to a process: whoever takes the slot over goes on with
what waits there. Entries have the numbers 1, 2, 3, ...; each has a place of its own in the file and
is written there before it is counted, so one that was being written when its process was killed
is none. Who appends locks nothing: `appended` is written by the owner of the slot with one store,
`settled` by whoever has stored or saved something, and what waits lies between the two.

    header          the marks of each queue, mapped into memory
    queue of slot 0 its places, one after the other; used again in a circle
    queue of slot 1 ...

A place holds the line of its entry (`leftover_file.line_of`), and behind it why the entry is not
stored, if it is not; both are written with `pwrite`, for which a full memory is an error and not
the signal that it is for a mapping (man 7 shm_overview, man 2 mmap).
"""

import fcntl
import json
import mmap
import os
import secrets
import stat
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from ctypes import Array, Structure, c_char, c_int64, sizeof
from dataclasses import dataclass
from errno import ENOSPC
from hashlib import sha256
from itertools import count
from pathlib import Path

from flask10x.config.settings import Settings
from flask10x.database.paths import database_path
from flask10x.errors import QueueFull, QueueUnreadable, ServiceRunning
from flask10x.recording.entry import KEYED, Entry, entry_in, line_of
from flask10x.system.gauges import SLOTS, Gauges, Slot

# What a file has to begin with; one of another layout begins with another number.
MAGIC = b"Flask10X queue 2"
# 16 hexadecimal digits.
ID_BYTES = 16
# The longest line that a station may have (`readings/stations.py`), so that a place has 2 KiB.
LINE_BYTES = 1664
# The reason of a refusal, cut to this; an answer shows 200 characters of it.
REASON_BYTES = 384
PLACE_BYTES = LINE_BYTES + REASON_BYTES


class Marks(Structure):
    """How far one queue has come; each number is written with one store."""

    _fields_ = (
        ("id", c_char * ID_BYTES),
        ("base", c_int64),
        ("appended", c_int64),
        ("settled", c_int64),
        ("tried", c_int64),
        ("saved", c_int64),
        ("refused", c_int64),
        ("oldest_ms", c_int64),
        ("peak", c_int64),
    )
    __slots__ = ()

    id: bytes
    """Which queue it is, for `database/queue_notes.py`; empty before the slot was first used."""
    base: int
    """The entry after this one is at the first place."""
    appended: int
    """The last entry that was accepted; only the owner writes it."""
    settled: int
    """The last one that is stored, or kept among the rejected."""
    tried: int
    """The last one with which a transaction has begun."""
    saved: int
    """The last one that a stop has put into a file of leftovers; only the owner writes it."""
    refused: int
    """The last one that has ever had a reason why it is not stored."""
    oldest_ms: int
    """When the entry that waits longest was accepted, or earlier; without meaning if none waits.

    In milliseconds of CLOCK_MONOTONIC. Of this queue, what was accepted before it is settled.
    """
    peak: int
    """The most that waited since the monitor looked last."""

    @property
    def length(self) -> int:
        """How many wait."""
        # In this order: what is appended in between is seen, what is settled counts as waiting.
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
    """How many of the first slots were ever given to somebody; the other queues are empty."""
    marks: "Array[Marks]"


HEADER_BYTES = -(-sizeof(Header) // mmap.PAGESIZE) * mmap.PAGESIZE


class SharedQueue:
    """The queue of one slot, as one process sees it.

    `append` belongs to the owner of the slot; the rest of what changes something to whoever holds
    the commit lock, or SQLite's own one where that is switched off.
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
        """Which queue it is."""
        return self.marks.id.decode()

    @property
    def length(self) -> int:
        """How many entries wait."""
        return self.marks.length

    @property
    def held(self) -> int:
        """How many places are taken: by entries that wait, and by those not yet released."""
        return self.marks.appended - self._released

    @property
    def in_doubt(self) -> bool:
        """Whether entries that wait may be settled all the same: `queue_notes.up_to` knows."""
        return max(self.marks.tried, self.marks.saved) > self.marks.settled

    def use(self) -> None:
        """Let everybody look at it from now on.

        Where several processes get slots, the one that gives them out calls it, so that of two at
        once neither undoes what the other has written.
        """
        if self._header.used <= self._number:
            self._header.used = self._number + 1

    def claim(self) -> None:
        """Go on with it as the owner of its slot.

        When its entries are in a file of leftovers it becomes another queue: to note that it is
        settled up to one that came later would say so of those in the file too.
        """
        self.use()
        marks = self.marks
        self._released = marks.settled
        if not marks.id or (marks.saved and not marks.length):
            marks.id = secrets.token_hex(ID_BYTES // 2).encode()
            marks.saved = 0

    def append(self, entry: Entry) -> int:
        """Add an entry at the end, with the next number; the number.

        Raises QueueFull, or OSError when there is no memory for it.
        """
        marks = self.marks
        number = marks.appended + 1
        if self._released == marks.appended:
            # Nothing is there that anybody has yet to read: begin at the first place again, so
            # that a queue that is mostly empty takes one page of memory.
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

        Raises QueueUnreadable when one of them is not where it should be, or OSError.
        """
        first = self.marks.settled + 1
        last = min(self.marks.appended, self.marks.settled + rows_max)
        return [self._entry(number, place) for number, place in self._read(first, last)]

    def keyed(self, first: int, last: int) -> list[Entry]:
        """The entries with a key between these two that are still there; raises OSError."""
        found = []
        for number, place in self._read(first, last):
            if KEYED in place:
                # One that is not there is settled, and another one may have its place.
                with suppress(QueueUnreadable):
                    found.append(self._entry(number, place))
        return found

    def try_up_to(self, number: int) -> None:
        """Mark that a transaction begins with the entries up to this one."""
        # An earlier one may have had more of them.
        self.marks.tried = max(self.marks.tried, number)

    def settle(self, number: int) -> None:
        """Note that the entries up to this one are settled."""
        marks = self.marks
        if marks.appended > number > marks.settled:
            # What is stored stays so, whatever the next one looks like.
            with suppress(QueueUnreadable, OSError):
                ((_, place),) = self._read(number + 1, number + 1)
                marks.oldest_ms = self._entry(number + 1, place).arrived_ms
        with self.settling():
            # A stop may have saved more of them meanwhile, or another commit stored them.
            marks.settled = max(marks.settled, number)

    @contextmanager
    def settling(self) -> Iterator[None]:
        """Hold the mark of what is settled, against all other processes, for some microseconds.

        A lock of fcntl(2) on the byte with the number of the slot, which belongs to the process;
        one that is killed frees it.
        """
        fcntl.lockf(self._fd, fcntl.LOCK_EX, 1, self._number)
        try:
            yield
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, self._number)

    def note_not_stored(self, entries: Sequence[Entry], reasons: dict[int, str | None]) -> None:
        """Keep why the database refuses some of these, by their numbers; None of a duplicate.

        Of the others nothing. Before the commit: afterwards nobody could tell, should this process
        be killed.
        """
        marks = self.marks
        if not reasons and marks.refused <= marks.settled:
            return
        marks.refused = max(marks.refused, entries[-1].number)
        for entry in entries:
            self._write_reason(entry.number, reasons.get(entry.number, ""))

    def unreleased(self) -> tuple[int, int]:
        """The first and the last settled entry that the owner has not released yet."""
        return self._released + 1, self.marks.settled

    def release(self, number: int) -> None:
        """Let the places up to this entry be used again; by the owner only."""
        self._released = number

    def not_stored(self, first: int, last: int) -> dict[int, str | None]:
        """Why some of the entries between these two were not stored, by their numbers.

        What the database has said when it refused one; None for a duplicate.
        """
        if self.marks.refused < first:
            return {}
        reasons = {
            number: _reason_in(number, place[LINE_BYTES:])
            for number, place in self._read(first, last)
        }
        return {number: reason for number, reason in reasons.items() if reason != ""}

    def _write_reason(self, number: int, reason: str | None) -> None:
        while len(line := _reason_line(number, reason)) > REASON_BYTES:
            reason = reason and reason[: len(reason) * 3 // 4]
        self._write(line, self._offset(number, self.marks.base) + LINE_BYTES)

    def _write(self, data: bytes, offset: int) -> None:
        if os.pwrite(self._fd, data, offset) != len(data):
            raise OSError(ENOSPC, os.strerror(ENOSPC))

    def _offset(self, number: int, base: int) -> int:
        return self._start + (number - base - 1) % self._places * PLACE_BYTES

    def _read(self, first: int, last: int) -> Iterator[tuple[int, bytes]]:
        """The number of each entry between these two and what its place holds."""
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
        """Of this open file, which has a header; it is closed when nobody has a queue of it."""
        header = Header.from_buffer(mmap.mmap(fd, HEADER_BYTES))
        self.places: int = header.places
        """How many entries may wait in each queue."""
        self.others_exist = False
        """Whether another file may hold queues of the same database; set before the fork.

        What is noted of those in the database is still needed.
        """
        self._header = header
        self._queues = [SharedQueue(fd, header, number) for number in range(SLOTS)]
        # Whoever has a queue has its marks, and so the header.
        weakref.finalize(header, os.close, fd)

    @classmethod
    def anonymous(cls, places: int) -> "SharedQueues":
        """New ones in memory without a name, which ends with its last process."""
        fd = os.memfd_create("flask10x-queue")
        prepare(fd, places)
        return cls(fd)

    def __getitem__(self, number: int) -> SharedQueue:
        """The queue of the slot with this number, 0 to 63."""
        return self._queues[number]

    def not_empty(self) -> list[int]:
        """The numbers of the slots whose queue is not empty; asked for each commit."""
        marks = self._header.marks
        return [number for number in range(self._header.used) if marks[number].length]

    def length(self) -> int:
        """Readings that were accepted and not yet stored, over all workers; asked for each one."""
        marks = self._header.marks
        return sum(marks[number].length for number in range(self._header.used))

    def ids(self) -> set[str]:
        """Those that have an id."""
        return {marks.id.decode() for marks in self._header.marks if marks.id}

    def oldest_ms(self) -> int | None:
        """When the reading that waits longest was accepted, over all workers; None: none waits.

        In milliseconds of CLOCK_MONOTONIC, which is the same in every process of the machine.
        """
        # In this order: a queue that is found empty had stored everything a moment ago.
        waiting = [marks.oldest_ms for marks in self._header.marks if marks.length]
        return min(waiting, default=None)

    def take_peak(self) -> int:
        """The most that waited in any queue since the last call."""
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

    @property
    def numbers(self) -> Slot:
        """The gauges that only this worker writes."""
        return self.gauges.slot(self.number)

    @property
    def queue(self) -> SharedQueue:
        """The queue of this worker."""
        return self.queues[self.number]


def prepare(fd: int, places: int) -> None:
    """Make the header of a new file; raises OSError when there is no memory for it.

    Its first bytes come last: a file without them has nothing in it.
    """
    # Set aside: a mapping without memory behind it would be a signal.
    os.posix_fallocate(fd, 0, HEADER_BYTES)
    header = Header.from_buffer(mmap.mmap(fd, HEADER_BYTES))
    header.places = places
    header.magic = MAGIC


def _reason_line(number: int, reason: str | None) -> bytes:
    return (json.dumps([number, reason], ensure_ascii=False) + "\n").encode(errors="replace")


def _reason_in(number: int, written: bytes) -> str | None:
    text = written.partition(b"\n")[0]
    try:
        found, reason = json.loads(text)
    except (ValueError, TypeError):
        return ""
    if found != number:
        return ""
    return None if reason is None else str(reason)


# Where the queues of a service lie: a file in memory, found by name after a death of all of it.
#
# The service makes it at its start and removes it at its end when nothing waits. One that is there
# already is of a service that was killed, and the new one goes on with it: what waits in its
# queues is stored by the new workers as their own. Only the holder of the service lock may call
# this.

# RAM under a name (man 7 shm_overview); every user may make files there.
FOLDER = Path("/dev/shm")  # noqa: S108
# Readings are for this user only.
MODE = 0o600
# A process that ends frees its locks one after the other, that of the database perhaps first.
DYING_SEC = 5.0
POLL_SEC = 0.02
# Not through a link that somebody else has put there.
OPEN_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


class QueueFile:
    """The file of one database's queues, and the queues in it."""

    def __init__(self, settings: Settings) -> None:
        """Go on with the file that is there, or make one.

        Where that can't be, the queues lie in memory without a name, and a warning says why: then
        a death of the whole service loses what waits, one of a worker does not.
        Raises ServiceRunning when another service has it.
        """
        self.path = queue_path(database_path(settings))
        self.warnings: list[str] = []
        self.found = 0
        """How many readings waited in a file that was there already."""
        places = settings.write_queue_maxsize
        self._has_name = True
        try:
            self.queues = self._open(places)
        except OSError as error:
            self._has_name = False
            self.warnings.append(
                f"{self.path} cannot be used: {error.strerror or error}; if the whole service is"
                " killed, readings that wait are lost"
            )
            self.queues = SharedQueues.anonymous(places)
        self._look_for_others()

    def remove(self) -> int:
        """Remove the file if nothing waits in it; the number of readings that wait."""
        waiting = self.queues.length()
        if self._has_name and not waiting:
            with suppress(OSError):
                self.path.unlink()
        return waiting

    @property
    def lasts(self) -> bool:
        """Whether the next start finds what waits: it has a name that nobody has taken away."""
        return self._has_name and self.path.exists()

    def what_becomes_of(self, waiting: int) -> str:
        """Of so many readings that wait when the service has ended."""
        if self.lasts:
            return f"{waiting} readings wait in memory for the next start; a reboot loses them"
        return f"{waiting} readings are lost: the memory in which they waited has no name"

    def _open(self, places: int) -> SharedQueues:
        try:
            fd = os.open(self.path, OPEN_FLAGS)
        except FileNotFoundError:
            return self._make(places)
        try:
            _require_own(fd)
            self._hold(fd)
            begun = os.pread(fd, len(MAGIC), 0)
            is_gone = os.fstat(fd).st_nlink == 0
        except (OSError, ServiceRunning):
            os.close(fd)
            raise
        if is_gone:
            # Who held it has ended in an orderly way meanwhile.
            os.close(fd)
            return self._open(places)
        if begun != MAGIC:
            os.close(fd)
            self._set_aside(begun)
            return self._make(places)
        queues = SharedQueues(fd)
        self.found = queues.length()
        if self.found or queues.places == places:
            return queues
        self.path.unlink()
        return self._make(places)

    def _make(self, places: int) -> SharedQueues:
        fd = os.open(self.path, OPEN_FLAGS | os.O_CREAT | os.O_EXCL, MODE)
        try:
            # The umask may have taken away more than it should.
            os.fchmod(fd, MODE)
            self._hold(fd)
            prepare(fd, places)
        except OSError:
            os.close(fd)
            self.path.unlink()
            raise
        return SharedQueues(fd)

    def _hold(self, fd: int) -> None:
        """Lock the file for as long as a process of this service lives; raises ServiceRunning.

        The lock beside the database is gone when somebody deletes its file, and two services in
        one queue would write over what the other has accepted.
        """
        give_up_sec = time.monotonic() + DYING_SEC
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() >= give_up_sec:
                    text = f"another Flask10X service already uses {self.path}, and its database"
                    raise ServiceRunning(f"{text}; stop it first") from error
                time.sleep(POLL_SEC)
            else:
                return

    def _set_aside(self, begun: bytes) -> None:
        """Take the name from a file that begins like this; in one that nobody has filled is none.

        A service that was killed as it began leaves such a one.
        """
        if not begun.strip(b"\0"):
            self.path.unlink()
            return
        suffixes = (f".other-{number}" if number else ".other" for number in count())
        names = map(self.path.with_suffix, suffixes)
        self.path.rename(next(name for name in names if not os.path.lexists(name)))

    def _look_for_others(self) -> None:
        """Warn of files of this database in which readings may wait that nobody stores here."""
        user, _, database = self.path.stem.rpartition("-")
        for other in sorted(FOLDER.glob(f"flask10x-*-{database}.*")):
            if other == self.path:
                continue
            of_user = other.stem.rpartition("-")[0] == user
            whose = "version, which" if of_user else "user, whose service"
            self.warnings.append(f"{other} is of another {whose} can store what waits in it")
            self.queues.others_exist = True
        if not self._has_name and os.path.lexists(self.path):
            self.queues.others_exist = True


def queue_path(database: Path) -> Path:
    """The file for this database and this user."""
    name = sha256(os.fsencode(database)).hexdigest()[:32]
    return FOLDER / f"flask10x-{os.geteuid()}-{name}.queue"


def _require_own(fd: int) -> None:
    """Raises PermissionError when somebody else may have made or may write it."""
    status = os.fstat(fd)
    if (
        not stat.S_ISREG(status.st_mode)
        or status.st_uid != os.geteuid()
        or stat.S_IMODE(status.st_mode) != MODE
        or status.st_nlink != 1
    ):
        raise PermissionError("it is not a file of this user alone")
