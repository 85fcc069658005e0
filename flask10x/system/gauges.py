"""Gauges: the few numbers that every worker must show alike.

One anonymous shared memory, made by the master before it forks, seen by all workers. Not
prometheus_client's multiprocess mode: that keeps a file per process id in a folder which must be
wiped at every start, grows with each worker that is replaced and can end up unreadable, all to
merge metrics of any kind. Ours are a handful of integers that need no file and no merging rule.

Nothing is locked. Most numbers have one process that writes them: the owner of the slot; the master
for `killed` and `lost`; the elected monitor for `high_water`, `silent_since`, `long_wal` and what
it has told; `errors_base`, `started`, `file_id`, `inspected` and `damage` are written once. Where
there are several, little can go wrong: of two workers that hear a station at once the slower may
leave a time some milliseconds old, and a `queue_peak` that its owner raises in the microsecond in
which the monitor sets it back to 0 may go unseen.
"""

import mmap
import time

from flask10x.readings.stations import STATIONS

# Settings allow 16 workers; on a reload the old ones overlap with as many new ones, and one that
# was killed may not have been tidied up yet.
SLOTS = 64
SHARED_FIELDS = 10
SLOT_FIELDS = 6
# A 32-bit Pi writes each in two halves. What we count stays below 2**31, so a reader that comes
# in between sees an unchanged upper half; that of a time changes once in 50 days of uptime.
BYTES_PER_FIELD = 8
# The reason of a damage, for people; a longer one is cut.
TEXT_BYTES = 240


class Field:
    """One signed 64-bit number at a fixed place of whoever has `words` and a `start`."""

    def __init__(self, offset: int) -> None:
        self._offset = offset

    def __get__(self, holder: "Slot | Gauges", owner: type | None = None) -> int:
        return holder.words[holder.start + self._offset]

    def __set__(self, holder: "Slot | Gauges", value: int) -> None:
        holder.words[holder.start + self._offset] = value


class Slot:
    """The numbers of one worker; only that worker writes them."""

    pid = Field(0)
    """The process that owns the slot, 0 when nobody does."""
    queue_length = Field(1)
    """Readings that it has accepted and not yet stored."""
    queue_peak = Field(2)
    """The greatest `queue_length` since the monitor looked last."""
    errors = Field(3)
    """Failed commits and refused rows since the service started, of all who had this slot."""
    trouble = Field(4)
    """1 while its writer cannot store readings, else 0."""
    queue_oldest_ms = Field(5)
    """When the reading that waits longest was accepted, in milliseconds of CLOCK_MONOTONIC.

    Of this worker's readings, all that were accepted before it are stored. Without meaning while
    `queue_length` is 0.
    """

    def __init__(self, words: "memoryview[int]", start: int) -> None:
        self.words = words
        self.start = start

    def claim(self, pid: int) -> None:
        """Make this the slot of `pid`, its numbers at 0 but for `errors`; harmless when it is."""
        if self.pid != pid:
            self.release()
            self.pid = pid

    def release(self) -> None:
        """Give the slot back; `errors` stays, for a total never falls."""
        self.queue_length = 0
        self.queue_peak = 0
        self.trouble = 0
        self.pid = 0


class Gauges:
    """All slots, when each station was heard, and what the monitor knows; make it before the fork.

    A station is named by its index in the registry. Times are milliseconds of CLOCK_MONOTONIC:
    the same in every process of the machine, and nobody can set that clock.
    """

    high_water = Field(0)
    """1 from the warning of a high queue until the queues are low again, else 0."""
    errors_base = Field(1)
    """The total of errors saved in the database before this start; -1 until it was read."""

    killed = Field(2)
    """Workers that ended without giving back their slot, since the service started."""
    lost = Field(3)
    """Readings that waited in them; one whose commit had just returned is counted too."""
    killed_logged = Field(4)
    """How many of the killed workers the log has told of."""
    lost_logged = Field(5)
    """How many of the lost readings the log has told of."""
    started = Field(9)
    """When the service started: nobody was silent before, for nobody listened."""

    long_wal = Field(6)
    """1 from the warning of a long WAL until it is short again, else 0."""
    file_id = Field(7)
    """Which file the database was when the service started; 0 when nobody has looked yet."""
    inspected = Field(8)
    """1 when the whole file has been looked through since the service started, else 0."""

    def __init__(self) -> None:
        silent_at = SHARED_FIELDS + len(STATIONS)
        slots_at = silent_at + len(STATIONS)
        self._text_at = (slots_at + SLOTS * SLOT_FIELDS) * BYTES_PER_FIELD
        self._memory = mmap.mmap(-1, self._text_at + TEXT_BYTES)
        self.words = memoryview(self._memory)[: self._text_at].cast("q")
        self.start = 0
        self.errors_base = -1
        self.started = int(time.monotonic() * 1000)
        self._heard = self.words[SHARED_FIELDS:silent_at]
        self._silent_since = self.words[silent_at:slots_at]
        self.slots = tuple(
            Slot(self.words, slots_at + number * SLOT_FIELDS) for number in range(SLOTS)
        )

    def slot(self, number: int) -> Slot:
        """The slot at this place, 0 to 63."""
        return self.slots[number]

    def record_killed(self, pid: int) -> None:
        """Note that a process has ended; one that still has its slot was killed."""
        for slot in self.slots:
            if slot.pid == pid:
                # The monitor looks at `lost` once it has seen that `killed` has grown.
                self.lost += slot.queue_length
                self.killed += 1
                slot.release()

    def queue_length(self) -> int:
        """Readings that were accepted and not yet stored, over all workers."""
        return sum(slot.queue_length for slot in self.slots)

    def queue_oldest_ms(self) -> int | None:
        """When the reading that waits longest was accepted, over all workers; None: none waits.

        In milliseconds of CLOCK_MONOTONIC, which is the same in every process of the machine.
        """
        # In this order: a queue that is found empty had stored everything a moment ago.
        waiting = [slot.queue_oldest_ms for slot in self.slots if slot.queue_length]
        return min(waiting, default=None)

    def errors_total(self) -> int:
        """Failed commits and refused rows, those before this start included once loaded."""
        return max(self.errors_base, 0) + self._errors_since_start()

    def load_errors(self, saved: int) -> None:
        """Take the total of the database as the base, unless a worker has done so before.

        What this run has counted and saved already is in both, so it is taken off.
        """
        if self.errors_base < 0:
            self.errors_base = max(0, saved - self._errors_since_start())

    def _errors_since_start(self) -> int:
        return sum(slot.errors for slot in self.slots)

    def trouble(self) -> bool:
        """Whether any worker cannot store readings now."""
        return any(slot.trouble for slot in self.slots)

    @property
    def damage(self) -> str:
        """Why nothing may be written to the database any more; empty while it is sound."""
        text = self._memory[self._text_at :].rstrip(b"\0")
        return text.decode(errors="ignore")

    @damage.setter
    def damage(self, reason: str) -> None:
        text = reason.encode(errors="replace")[:TEXT_BYTES]
        self._memory[self._text_at :] = text.ljust(TEXT_BYTES, b"\0")

    def is_damaged(self) -> bool:
        """Whether there is a `damage`; asked for each reading, so it decodes nothing."""
        return self._memory[self._text_at] != 0

    def note_received(self, station: int, monotonic_ms: int) -> None:
        """Note that a reading of the station was accepted; any worker may."""
        self._heard[station] = monotonic_ms

    def last_received_ms(self, station: int) -> int:
        """When its last reading was accepted; 0 when none was since the service started."""
        return self._heard[station]

    def silent_since(self, station: int) -> int:
        """Since when a station is known to be silent; 0 when it is not silent."""
        return self._silent_since[station]

    def set_silent_since(self, station: int, monotonic_ms: int) -> None:
        """Note that the station is silent since then, or with 0 that it sends again."""
        self._silent_since[station] = monotonic_ms

    def close(self) -> None:
        """Give the memory back to the system; the numbers cannot be read any more."""
        for view in (self._heard, self._silent_since, self.words):
            view.release()
        self._memory.close()
