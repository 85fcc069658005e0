"""Gauges: the few numbers that every worker must show alike.

One anonymous shared memory, made by the master before it forks, seen by all workers. Not
prometheus_client's multiprocess mode: that keeps a file per process id in a folder which must be
wiped at every start, grows with each worker that is replaced and can end up unreadable, all to
merge metrics of any kind. Ours are a handful of integers that need no file and no merging rule.

Nothing is locked. Each number has one process that writes it: the owner of the slot, or for
`silent` and `high_water` the elected monitor; `errors_base` is written once. Only `queue_peak` has
two: its owner raises it, the monitor sets it back to 0, so a peak that falls into the same
microsecond may go unseen.
"""

import mmap
from collections.abc import Container

# Settings allow 16 workers; on a reload the old ones overlap with as many new ones, and one that
# was killed may not have been tidied up yet.
SLOTS = 64
SHARED_FIELDS = 3
SLOT_FIELDS = 5
# A 32-bit Pi writes each in two halves. What we count stays below 2**31, so a reader that comes
# in between sees an unchanged upper half.
BYTES_PER_FIELD = 8


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
    """All slots and what the monitor knows; make it before the fork."""

    silent = Field(0)
    """Bit n is set while the station at index n of the registry is known to be silent."""
    high_water = Field(1)
    """1 from the warning of a high queue until the queues are low again, else 0."""
    errors_base = Field(2)
    """The total of errors saved in the database before this start; -1 until it was read."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, (SHARED_FIELDS + SLOTS * SLOT_FIELDS) * BYTES_PER_FIELD)
        self.words = memoryview(self._memory).cast("q")
        self.start = 0
        self.errors_base = -1
        self.slots = tuple(
            Slot(self.words, SHARED_FIELDS + number * SLOT_FIELDS) for number in range(SLOTS)
        )

    def slot(self, number: int) -> Slot:
        """The slot at this place, 0 to 63."""
        return self.slots[number]

    def free_slot(self, live_pids: Container[int]) -> Slot:
        """The first slot that belongs to nobody, or to a process that is no longer alive.

        For the master before it forks. A worker that it forked a moment ago may not have claimed
        its slot yet: claim for those you know first. Raises LookupError when all 64 are taken.
        """
        for slot in self.slots:
            if slot.pid == 0 or slot.pid not in live_pids:
                return slot
        raise LookupError(f"all {SLOTS} slots belong to live workers")

    def release(self, pid: int) -> None:
        """Give back the slot of a process that has ended; harmless when it had none."""
        for slot in self.slots:
            if slot.pid == pid:
                slot.release()

    def queue_length(self) -> int:
        """Readings that were accepted and not yet stored, over all workers."""
        return sum(slot.queue_length for slot in self.slots)

    def errors_total(self) -> int:
        """Failed commits and refused rows, those before this start included once loaded."""
        return max(self.errors_base, 0) + sum(slot.errors for slot in self.slots)

    def trouble(self) -> bool:
        """Whether any worker cannot store readings now."""
        return any(slot.trouble for slot in self.slots)

    def is_silent(self, station: int) -> bool:
        """Whether the station at this index is known to be silent."""
        return bool(self.silent >> station & 1)

    def set_silent(self, station: int, silent: bool) -> None:
        """Note that the station at this index fell silent, or sends again."""
        bit = 1 << station
        self.silent = self.silent | bit if silent else self.silent & ~bit

    def close(self) -> None:
        """Give the memory back to the system; the numbers cannot be read any more."""
        self.words.release()
        self._memory.close()
