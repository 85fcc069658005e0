"""The queues in shared memory: entries in order, each once, whatever dies at whatever point."""

import errno
import os
import resource
import threading
from collections.abc import Callable, Iterator
from ctypes import Structure, sizeof
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from flask10x.errors import QueueFull, QueueUnreadable
from flask10x.readings.parse import Reading, flat
from flask10x.readings.stations import BUILT_IN
from flask10x.recording.batch import entry_of
from flask10x.recording.entry import Entry
from flask10x.recording.shared_queue import (
    HEADER_BYTES,
    LINE_BYTES,
    Header,
    Marks,
    SharedQueue,
    SharedQueues,
)
from tests.e2e.service import wait_until
from tests.support.rows import pico

PLACES = 4


@pytest.fixture
def queues() -> SharedQueues:
    return SharedQueues.anonymous(PLACES)


@pytest.fixture
def queue(queues: SharedQueues) -> SharedQueue:
    queues[1].claim()
    return queues[1]


def entry(number: int) -> Entry:
    return entry_of(BUILT_IN, pico(number), arrived_ms=1000 * number)


def pressures(entries: list[Entry]) -> list[float]:
    return [entry.row["pressure"] for entry in entries]


def fill(queue: SharedQueue, *numbers: int) -> None:
    queue.use()
    for number in numbers:
        queue.append(entry(number))


def test_entries_wait_in_order_with_their_numbers(queue: SharedQueue) -> None:
    warned = replace(pico(7), warnings={"temperature": "doubtful"})
    doubtful = entry_of(BUILT_IN, warned, arrived_ms=5)
    assert [queue.append(entry(4)), queue.append(doubtful)] == [1, 2]
    first, second = queue.waiting(10)
    assert first == replace(entry(4), number=1)
    assert second == replace(doubtful, number=2)
    assert second.warned == ("warnings.data.temperature",)
    assert queue.waiting(1) == [first]
    assert queue.length == 2


def test_what_is_settled_waits_no_more(queue: SharedQueue) -> None:
    fill(queue, 1, 2, 3)
    queue.settle(2)
    assert pressures(queue.waiting(10)) == [3]
    # A stop has saved more than a commit that began before.
    queue.settle(1)
    assert queue.length == 1
    assert queue.marks.oldest_ms == 3000
    queue.settle(3)
    assert (queue.length, queue.waiting(10)) == (0, [])


def test_what_a_stop_has_saved_during_a_commit_stays_settled(
    queue: SharedQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in a file, so that the next owner of the slot would store it a second time."""
    fill(queue, 1, 2, 3)
    read = os.pread

    def save_meanwhile(fd: int, count: int, offset: int) -> bytes:
        monkeypatch.setattr(os, "pread", read)
        queue.settle(3)
        return read(fd, count, offset)

    monkeypatch.setattr(os, "pread", save_meanwhile)
    queue.settle(1)
    assert (queue.marks.settled, queue.length) == (3, 0)


def test_of_two_that_settle_at_once_one_waits(queue: SharedQueue, tmp_path: Path) -> None:
    """Between its look at the mark and its store no other process may store."""
    fill(queue, 1, 2, 3)
    begun, gone_on = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        with queue.settling():
            os.write(begun[1], b".")
            os.read(gone_on[0], 1)
            queue.marks.settled = 3
            os._exit(0)
    os.read(begun[0], 1)
    settles = threading.Thread(target=queue.settle, args=(1,))
    settles.start()
    wait_until(lambda: waits_for_a_lock(os.getpid()), 30, "it waits")
    os.write(gone_on[1], b".")
    os.waitpid(pid, 0)
    settles.join()
    assert queue.marks.settled == 3


def waits_for_a_lock(pid: int) -> bool:
    """Whether the process waits for a lock on a file (proc_locks(5))."""
    lines = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and f" {pid} " in line for line in lines)


def test_a_process_that_takes_the_slot_over_goes_on(queues: SharedQueues) -> None:
    def first_owner() -> None:
        queues[0].claim()
        fill(queues[0], 1, 2)
        os.kill(os.getpid(), 9)

    in_child(first_owner)
    assert pressures(queues[0].waiting(10)) == [1, 2]
    before = queues.ids()
    queues[0].claim()
    assert queues.ids() == before != set()
    assert queues[0].append(entry(3)) == 3
    assert pressures(queues[0].waiting(10)) == [1, 2, 3]
    assert (queues.length(), queues.not_empty(), queues.oldest_ms()) == (3, [0], 1000)


def in_child(work: Callable[[], None]) -> None:
    """Do it in a forked process and wait for its end."""
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(1)
    os.waitpid(pid, 0)


def test_places_are_used_again_once_they_are_released(queue: SharedQueue) -> None:
    fill(queue, 1, 2, 3, 4)
    with pytest.raises(QueueFull):
        queue.append(entry(5))
    queue.settle(3)
    with pytest.raises(QueueFull):
        # Its owner has not yet looked what became of them.
        queue.append(entry(5))
    queue.release(3)
    fill(queue, 5, 6, 7)
    assert pressures(queue.waiting(10)) == [4, 5, 6, 7]


def test_a_queue_that_is_mostly_empty_takes_one_place(queue: SharedQueue) -> None:
    for number in range(1, 20):
        fill(queue, number)
        assert queue.marks.base == number - 1
        queue.settle(number)
        queue.release(number)


def test_what_was_being_written_at_a_death_is_none(
    queue: SharedQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(queue, 1)
    write = os.pwrite

    def die(fd: int, data: bytes, offset: int) -> int:
        write(fd, data[:30], offset)
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(os, "pwrite", die)
        queue.append(entry(2))
    assert pressures(queue.waiting(10)) == [1]
    queue.claim()
    fill(queue, 3)
    assert pressures(queue.waiting(10)) == [1, 3]


def no_memory(*_: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("pwrite", [no_memory, lambda *_: 10])
def test_without_memory_nothing_is_taken(
    queue: SharedQueue, monkeypatch: pytest.MonkeyPatch, pwrite: Callable[..., int]
) -> None:
    fill(queue, 1)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(os, "pwrite", pwrite)
        queue.append(entry(2))
    assert pressures(queue.waiting(10)) == [1]
    assert queue.append(entry(2)) == 2


def test_why_the_database_has_refused_some_reaches_the_owner(queue: SharedQueue) -> None:
    fill(queue, 1, 2, 3)
    entries = queue.waiting(10)
    queue.note_not_stored(entries, {2: "two is not wanted", 3: "長" * 1000})
    assert pressures(queue.waiting(10)) == [1, 2, 3], "it may have to be stored all the same"
    queue.settle(3)
    reasons = queue.not_stored(*queue.unreleased())
    assert reasons.keys() == {2, 3}
    assert reasons[2] == "two is not wanted"
    shown = reasons[3] or ""
    assert shown == "長" * len(shown) != ""


def test_a_refusal_is_forgotten_when_the_next_try_stores_the_reading(queue: SharedQueue) -> None:
    fill(queue, 1, 2)
    entries = queue.waiting(10)
    queue.note_not_stored(entries, {2: "not today"})
    queue.note_not_stored(entries, {})
    assert queue.not_stored(1, 2) == {}


def test_a_refusal_of_an_earlier_entry_at_the_same_place_says_nothing(queue: SharedQueue) -> None:
    fill(queue, 1)
    queue.note_not_stored(queue.waiting(1), {1: "no"})
    queue.settle(1)
    queue.release(1)
    fill(queue, 2)
    queue.note_not_stored(queue.waiting(1), {})
    assert queue.not_stored(1, 2) == {}


def test_what_is_not_as_it_was_written_is_said(queues: SharedQueues) -> None:
    fill(queues[0], 1, 2)
    queues[0].marks.base = 1
    with pytest.raises(QueueUnreadable, match="entry 1 of queue"):
        queues[0].waiting(10)


@pytest.mark.parametrize(
    "values",
    [
        (
            *(1234.5678901234567, 12345.678901234567, 3.123456789012345),
            *(85.0, 25.123456789012, 52.12345),
        ),
        (-1.0, 12345.678901234567, 3.123456789012345, -127.0, -25.123456789012345, None),
    ],
)
def test_no_line_is_longer_than_its_place(
    queue: SharedQueue, values: tuple[float | None, ...]
) -> None:
    paths = [path for path, _ in flat(BUILT_IN.by_endpoint["data4"], values)]
    reading = Reading("data4", 253_402_300_799_999, values, dict.fromkeys(paths, "doubtful"))
    queue.marks.appended = queue.marks.settled = 2**31
    queue.claim()
    queue.append(entry_of(BUILT_IN, reading, arrived_ms=2**53))
    (found,) = queue.waiting(1)
    assert found.row["received_at"] == reading.received_at


def test_a_line_too_long_is_an_error_and_not_taken(queue: SharedQueue) -> None:
    with pytest.raises(ValueError, match="no room"):
        queue.append(Entry(entry(1).row, ("x" * LINE_BYTES,)))
    assert queue.length == 0


def test_the_peak_is_that_since_the_last_look(queues: SharedQueues) -> None:
    fill(queues[0], 1, 2, 3)
    queues[0].settle(3)
    assert [queues.take_peak(), queues.take_peak()] == [3, 0]
    fill(queues[5], 1)
    assert [queues.take_peak(), queues.take_peak()] == [1, 1]


@pytest.mark.parametrize("structure", [Header, Marks])
def test_every_number_has_8_bytes_where_a_processor_writes_them_at_once(
    structure: type[Structure],
) -> None:
    for name, *_ in structure._fields_:
        field = getattr(structure, name)
        assert (field.offset % 8, field.size % 8) == (0, 0), name
    assert sizeof(structure) % 8 == 0


class Killed(BaseException):
    """A process ends at this point."""


class Steps:
    """Lets the process that takes the step with this number die before it, whatever the step is."""

    def __init__(self, dies_at: int) -> None:
        self._left = dies_at

    def take(self) -> None:
        self._left -= 1
        if self._left == 0:
            raise Killed


@pytest.fixture(scope="module")
def stepping() -> Iterator[Callable[[int], None]]:
    """Each write to the file, and to a mark, is a step; the next one that dies is set by this."""
    current = [Steps(0)]
    write = os.pwrite

    def pwrite(fd: int, data: bytes, offset: int) -> int:
        current[0].take()
        # A kill may tear a line, too.
        write(fd, data[: len(data) // 2], offset)
        current[0].take()
        return write(fd, data, offset)

    def setting(marks: Marks, name: str, value: object) -> None:
        current[0].take()
        Structure.__setattr__(marks, name, value)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pwrite", pwrite)
        patch.setattr(Marks, "__setattr__", setting)
        yield lambda dies_at: current.__setitem__(0, Steps(dies_at))


ACTIONS = st.sampled_from(["append", "append", "commit", "commit one", "release", "take over"])


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([("append", 0), ("append", 0), ("commit", 2), ("commit one", 0)])
@given(st.lists(st.tuples(ACTIONS, st.integers(0, 12)), max_size=40))
def test_each_entry_is_stored_once_wherever_a_worker_dies(
    stepping: Callable[[int], None], actions: list[tuple[str, int]]
) -> None:
    """A model of workers and of the database; `dies_at` 0 is an action in which no process dies."""
    stepping(0)
    queues = SharedQueues.anonymous(PLACES)
    queue = queues[0]
    queue.claim()
    stored: list[float] = []
    noted = 0
    acknowledged: list[int] = []

    def commit(rows_max: int) -> None:
        nonlocal noted
        entries = queue.waiting(rows_max)
        if not entries:
            return
        done = noted if queue.in_doubt else queue.marks.settled
        queue.try_up_to(entries[-1].number)
        stored.extend(pressures([pressure for pressure in entries if pressure.number > done]))
        noted = max(noted, entries[-1].number)
        queue.settle(entries[-1].number)

    for number, (action, dies_at) in enumerate(actions, start=1):
        stepping(dies_at)
        try:
            if action == "append":
                queue.append(entry(number))
                acknowledged.append(number)
            elif action.startswith("commit"):
                commit(1 if action == "commit one" else PLACES)
            elif action == "release":
                queue.release(queue.unreleased()[1])
            else:
                queue.claim()
        except QueueFull:
            continue
        except Killed:
            # Another process takes over, with what lies in memory.
            stepping(0)
            queue = queues[0]
            queue.claim()
    stepping(0)
    commit(PLACES)
    assert [pressure for pressure in stored if pressure in acknowledged] == acknowledged
    assert len(set(stored)) == len(stored)
    assert set(stored) <= set(range(1, len(actions) + 1))


def test_a_full_file_system_is_no_signal(tmp_path: Path) -> None:
    """As `ulimit -f` or a full /dev/shm: the process is not killed, the reading is refused."""
    queues = SharedQueues.anonymous(PLACES)

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (HEADER_BYTES, HEADER_BYTES))
        try:
            queues[3].append(entry(1))
        except OSError as error:
            (tmp_path / "said").write_text(str(error.strerror))

    in_child(limited)
    assert (tmp_path / "said").read_text() == os.strerror(errno.EFBIG)
    assert queues.length() == 0


def test_a_queue_is_read_once_its_slot_was_assigned() -> None:
    queues = SharedQueues.anonymous(10)
    assert queues.not_empty() == []

    queues[5].use()
    queues[2].claim()
    fill(queues[2], 1)

    assert queues.not_empty() == [2]
    assert queues[5].length == 0
