"""Gauges, counts and histograms in memory that all workers share.

Every worker shows the same numbers, and a worker that dies takes none of them along.
"""

import mmap
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from ctypes import Array, Structure, c_char, c_int64, sizeof
from dataclasses import dataclass
from itertools import accumulate
from typing import Self

from flask10x.system import clock
from flask10x.system.last_requests import LastRequest, LastRequests, UnknownName, UnknownNames

# Counts in memory that all workers share have a row for each worker, and a column for each count.
#
# Each number has one process that writes it, so there is no lock. The counts of a worker that is
# killed stay, and the next owner of its row continues from there: a total never falls.

NUMBER_BYTES = 8


class SharedCounts:
    """All at 0; make it before the fork."""

    def __init__(self, rows: int, columns: int) -> None:
        """Memory is only used for counts that are written."""
        self._columns = columns
        memory = mmap.mmap(-1, rows * columns * NUMBER_BYTES)
        self._numbers = memoryview(memory).cast("q")

    def add(self, row: int, column: int, amount: int = 1) -> None:
        """Count; only the owner of the row may call it, and one of its threads at a time."""
        self._numbers[row * self._columns + column] += amount

    def total(self, column: int) -> int:
        """Return the sum of all rows."""
        return sum(self._numbers[column :: self._columns])


@dataclass(frozen=True, slots=True)
class Histogram:
    """The values observed since the service started."""

    bounds: tuple[int, ...]
    """The upper bounds, rising and inclusive."""
    at_most: tuple[int, ...]
    """How many values are within each bound; the last number counts all values."""
    sum: int
    """All values added up."""


class SharedHistogram:
    """Of whole numbers; make it before the fork."""

    def __init__(self, rows: int, bounds: Sequence[int]) -> None:
        """A row for each worker; `bounds` as in `Histogram`."""
        self._bounds = tuple(bounds)
        self._sum = len(self._bounds) + 1
        self._counts = SharedCounts(rows, self._sum + 1)

    def observe(self, row: int, value: int) -> None:
        """Count a value; only the owner of the row calls it, from one thread at a time."""
        self._counts.add(row, bisect_left(self._bounds, value))
        self._counts.add(row, self._sum, value)

    def read(self) -> Histogram:
        """Return what all workers have observed."""
        counts = [self._counts.total(column) for column in range(self._sum)]
        return Histogram(self._bounds, tuple(accumulate(counts)), self._counts.total(self._sum))


# A lone reading, what a house sends in a tenth of a second, a full batch (500 by default).
BATCH_ROWS_BOUNDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
# A PC commits in less than a millisecond, a good card in some, and one that stalls takes seconds.
COMMIT_US_BOUNDS = (
    *(500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000),
    *(1_000_000, 2_500_000, 5_000_000),
)


@dataclass(frozen=True, slots=True)
class StationTotals:
    """The readings of one station since the service started."""

    accepted: int
    """Readings that were queued; some of them may repeat a stored one."""
    refused: int
    """Invalid readings, which are among the rejected ones."""
    turned_away: int
    """Valid readings without room in the queue, or while nothing could be stored."""


# Gauges are the few numbers that every worker must show alike.
#
# They lie in one anonymous shared memory, which the master makes before it forks.
# prometheus_client's multiprocess mode would merge metrics of any kind, but it keeps a file per
# process id in a folder that must be emptied at every start, grows with each worker that is
# replaced, and can become unreadable. Our handful of integers needs no file and no merging rule.
#
# There is no lock. Most numbers have one process that writes them: the owner of the slot; the
# master for `killed`; the elected monitor for `high_water`, `silent_since_ms`, `long_wal` and what
# it has logged; a periodic task for its `failing_since_ms`, and the alerts for `learned_sec`; the
# holder of the commit lock for `expected_rows` and `commit_us`. `errors_base`, `taken_away`,
# `rescued` and `damage` are written once. The worker that has a suspicion writes `suspicion`, and
# the worker that inspects the file clears it and writes `inspected`. Each worker counts in a row of
# its own. Where a number has several writers, the error is small: of two workers that accept
# readings of one station at once, the slower one may leave a time some milliseconds old.

# Settings allow 16 workers; on a reload the old ones overlap with as many new ones, and the slot of
# one that was killed may not be released yet.
SLOTS = 64
# Twice as many as there are.
TASKS_MAX = 16
# A reload may add up to 200 stations; a place is not reused, because an old worker may still write
# to it.
STATION_NAMES_MAX = 1000
# The reason of a damage or a suspicion, for people; a longer text is cut.
TEXT_BYTES = 240


def numbers(*names: str) -> tuple[tuple[str, type[c_int64]], ...]:
    """Return fields of these names for a Structure: numbers that are written with one store."""
    return tuple((name, c_int64) for name in names)


class Slot(Structure):
    """The numbers of one worker, which alone writes them."""

    # A 32-bit Pi writes each number in two halves. Our counts stay below 2**31, so a reader that
    # comes in between sees an unchanged upper half; that of a time changes once in 50 days.
    _fields_ = numbers("pid", "errors", "trouble", "booted_ms")
    # Without a dictionary a misspelt name is an error, instead of a number of this process alone.
    __slots__ = ()

    pid: int
    """The process that owns the slot, or 0."""
    errors: int
    """Failed commits and refused rows since the service started, of all owners of this slot."""
    trouble: int
    """1 while its writer cannot store readings, else 0."""
    booted_ms: int
    """When it began to serve, in milliseconds of CLOCK_MONOTONIC; 0 before, -1 if it never could.

    It stays when the slot is released, until the master assigns the slot again.
    """

    def claim(self, pid: int) -> None:
        """Make this the slot of `pid`, all numbers but `errors` 0; harmless if it is already."""
        if self.pid != pid:
            self.release()
            self.pid = pid

    def release(self) -> None:
        """Release the slot; `errors` stays, because a total never falls."""
        self.trouble = 0
        self.pid = 0


# The position of `errors` among the numbers of a slot.
ERRORS_AT = [name for name, _ in Slot._fields_].index("errors")


class StationTimes(Structure):
    """The times of one station, in milliseconds of CLOCK_MONOTONIC."""

    _fields_ = numbers("last_received_ms", "silent_since_ms", "awaited_since_ms", "learned_sec")
    __slots__ = ()

    last_received_ms: int
    """When its last reading was accepted; 0 if none was since the service started."""
    silent_since_ms: int
    """Since when it is silent; 0 while it is not."""
    awaited_since_ms: int
    """Since when readings of it are expected: the start, or the reload that added it."""
    learned_sec: int
    """After how long its silence is longer than usual; 0 while that is not learned."""


class SharedText:
    """A text in the field of this name, cut to TEXT_BYTES."""

    def __init__(self, field: str) -> None:
        self._field = field

    def __get__(self, gauges: "Gauges", _owner: type) -> str:
        text: bytes = getattr(gauges, self._field)
        return text.decode(errors="ignore")

    def __set__(self, gauges: "Gauges", text: str) -> None:
        setattr(gauges, self._field, text.encode(errors="replace")[:TEXT_BYTES])


class Gauges(Structure):
    """All slots, the times of each station, and what the monitor knows; make it before the fork.

    A station is named by its endpoint. Times are milliseconds of CLOCK_MONOTONIC, which is the same
    in every process of the machine and cannot be set. The memory is freed with the last object that
    shows a part of it.
    """

    _fields_ = (
        *numbers("high_water", "errors_base", "killed", "killed_logged", "long_wal"),
        *numbers("inspected", "serving", "taken_away"),
        *numbers("expected_rows", "commit_us", "links_tried", "link_logged_ms"),
        ("failing_since_ms", c_int64 * TASKS_MAX),
        ("slots", Slot * SLOTS),
        ("_damage_text", c_char * TEXT_BYTES),
        ("_suspicion_text", c_char * TEXT_BYTES),
        ("_rescued_text", c_char * TEXT_BYTES),
        ("_stations", StationTimes * STATION_NAMES_MAX),
    )
    __slots__ = (
        *("_accepted", "_places", "_refused", "_requests", "_turned_away", "_unknown"),
        *("batch_rows", "commit_times_us"),
    )

    high_water: int
    """1 from the warning of a high queue until the queues are low again, else 0."""
    errors_base: int
    """The total of errors that the database had at this start; -1 until it was read."""

    killed: int
    """Workers that ended without releasing their slot, since the service started."""
    killed_logged: int
    """How many of the killed workers are in the log."""

    long_wal: int
    """1 from the warning of a long WAL until it is short again, else 0."""
    inspected: int
    """1 since the whole file was read without an error in this run of the service, else 0."""
    serving: int
    """1 since the first worker of this start began to serve, else 0."""
    taken_away: int
    """1 since a file of the database was removed that a worker can still copy, else 0."""
    expected_rows: int
    """How many readings are expected to wait together for the next commit; 0 before the first."""
    commit_us: int
    """How long the last commit took, in microseconds."""
    links_tried: int
    """How many links of administrators were tried in vain since the log said so."""
    link_logged_ms: int
    """When it said so; 0 if it never has."""
    failing_since_ms: "Array[c_int64]"
    """Since when each periodic task fails, by its place in the list of tasks; 0 while it works."""
    slots: "Array[Slot]"
    """One for each worker, by its number."""

    batch_rows: SharedHistogram
    """How many readings each commit has settled."""
    commit_times_us: SharedHistogram
    """How long each commit took, in microseconds."""

    _damage_text: bytes
    _suspicion_text: bytes
    _rescued_text: bytes
    _stations: "Array[StationTimes]"

    def __new__(cls, endpoints: Iterable[str]) -> Self:  # noqa: ARG004
        """Return a view of new shared memory."""
        return cls.from_buffer(mmap.mmap(-1, sizeof(cls)))

    def __init__(self, endpoints: Iterable[str]) -> None:
        """All numbers are 0 but `errors_base`. Raises ValueError for too many stations."""
        self.errors_base = -1
        self._places: dict[str, int] = {}
        self._requests = LastRequests(STATION_NAMES_MAX)
        self._unknown = UnknownNames(SLOTS)
        self._accepted = SharedCounts(SLOTS, STATION_NAMES_MAX)
        self._refused = SharedCounts(SLOTS, STATION_NAMES_MAX)
        self._turned_away = SharedCounts(SLOTS, STATION_NAMES_MAX)
        self.batch_rows = SharedHistogram(SLOTS, BATCH_ROWS_BOUNDS)
        # A 32-bit Pi writes its sum in two halves; the upper one changes once in 71 minutes of
        # commits.
        self.commit_times_us = SharedHistogram(SLOTS, COMMIT_US_BOUNDS)
        self.add_stations(endpoints)

    def forget_file(self) -> None:
        """Take the file of the database for another one, while no worker runs."""
        self.inspected = 0

    def add_stations(self, endpoints: Iterable[str]) -> None:
        """Expect readings of these stations from now on, also of those that were there before.

        Their counts stay, because a total never falls. Only processes that are forked later have
        the stations. Raises ValueError, and adds none, if there is no room for so many names since
        the start.
        """
        added = tuple(endpoints)
        new = [name for name in dict.fromkeys(added) if name not in self._places]
        if len(self._places) + len(new) > STATION_NAMES_MAX:
            raise ValueError(f"more than {STATION_NAMES_MAX} stations since the service started")
        for name in new:
            self._places[name] = len(self._places)
        for name in added:
            self._stations[self._places[name]] = StationTimes(awaited_since_ms=clock.monotonic_ms())

    def station(self, endpoint: str) -> StationTimes:
        """Return the times of this station.

        This method and those that count raise KeyError for a station that was not added before the
        fork.
        """
        return self._stations[self._places[endpoint]]

    def slot(self, number: int) -> Slot:
        """Return the slot at this place, 0 to 63."""
        return self.slots[number]

    def record_killed(self, pid: int) -> None:
        """Note the end of a process; if it still owns its slot, it was killed."""
        for slot in self.slots:
            if slot.pid == pid:
                self.killed += 1
                slot.release()

    def errors_total(self) -> int:
        """Return the number of failed commits and refused rows.

        Once loaded, those before this start are among them.
        """
        return max(self.errors_base, 0) + self._errors_since_start()

    def load_errors(self, saved: int) -> None:
        """Take the total of the database as the base, unless a worker has done so before.

        Errors that this run has saved already are in both, so they are subtracted.
        """
        if self.errors_base < 0:
            self.errors_base = max(0, saved - self._errors_since_start())

    def _errors_since_start(self) -> int:
        # Called for each commit: without an object per slot it takes a tenth of the time.
        numbers = memoryview(self.slots).cast("B").cast("q")
        return sum(numbers[ERRORS_AT :: len(Slot._fields_)])

    def trouble(self) -> bool:
        """Return whether a worker cannot store readings now."""
        return any(slot.trouble for slot in self.slots)

    damage = SharedText("_damage_text")
    """Why nothing may be written to the database any more; empty while it is sound."""
    suspicion = SharedText("_suspicion_text")
    """Why nothing is written until the database has been inspected; empty usually."""
    rescued = SharedText("_rescued_text")
    """The name of the copy of a database that was taken away; empty before there is one."""

    def is_damaged(self) -> bool:
        """Return whether there is a `damage`; called for each reading, so it decodes nothing."""
        return self._damage_text != b""

    def is_suspected(self) -> bool:
        """Return whether there is a `suspicion`; called for each commit."""
        return self._suspicion_text != b""

    def note_received(self, endpoint: str, monotonic_ms: int) -> None:
        """Note that a reading of the station was accepted; any worker may call it."""
        self.station(endpoint).last_received_ms = monotonic_ms

    def count_accepted(self, slot_number: int, endpoint: str) -> None:
        """Count a reading that was queued; only the owner of the slot calls it."""
        self._accepted.add(slot_number, self._places[endpoint])

    def count_refused(self, slot_number: int, endpoint: str) -> None:
        """Count an invalid reading; only the owner of the slot calls it."""
        self._refused.add(slot_number, self._places[endpoint])

    def count_turned_away(self, slot_number: int, endpoint: str) -> None:
        """Count a reading that could not be queued; only the owner of the slot calls it."""
        self._turned_away.add(slot_number, self._places[endpoint])

    def station_totals(self, endpoint: str) -> StationTotals:
        """Return the counts of the station by all workers since the service started."""
        counts = (self._accepted, self._refused, self._turned_away)
        return StationTotals(*(count.total(self._places[endpoint]) for count in counts))

    def note_request(self, endpoint: str, request: LastRequest) -> None:
        """Keep the last request of the station's board; any worker may call it."""
        self._requests.note(self._places[endpoint], request)

    def last_request(self, endpoint: str) -> LastRequest | None:
        """Return the last request of its board since the service started, or None."""
        return self._requests.at(self._places[endpoint])

    def note_unknown(
        self, slot_number: int, name: str, path: str, sender: str, *, body: bytes = b""
    ) -> None:
        """Note a request for an unknown name; only the owner of the slot calls it."""
        self._unknown.note(slot_number, name, path, sender, clock.now_ms(), body=body)

    def unknown_names(self) -> list[UnknownName]:
        """Return the unknown names since the service started, the most frequent one first."""
        return self._unknown.all(SLOTS)
