"""One shared memory that every process of the service sees alike."""

import os
from collections.abc import Callable, Iterator

import pytest

from flask10x.gauges import Gauges


@pytest.fixture
def gauges() -> Iterator[Gauges]:
    gauges = Gauges()
    yield gauges
    gauges.close()


def in_child(work: Callable[[], None]) -> None:
    """Do it in a forked process and wait for its end."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def test_starts_empty(gauges: Gauges) -> None:
    assert gauges.queue_length() == 0
    assert gauges.errors_total() == 0
    assert gauges.trouble() is False
    assert (gauges.silent, gauges.high_water, gauges.errors_base) == (0, 0, -1)
    assert [gauges.slot(0).pid, gauges.slot(63).pid] == [0, 0]


def test_what_a_forked_worker_writes_is_seen_by_all(gauges: Gauges) -> None:
    def first() -> None:
        slot = gauges.slot(0)
        slot.claim(os.getpid())
        slot.queue_length = 3
        slot.errors = 2
        slot.trouble = 1

    def second() -> None:
        assert gauges.queue_length() == 3
        gauges.slot(1).queue_length = 4
        gauges.slot(1).errors += 5
        gauges.set_silent(2, True)

    in_child(first)
    in_child(second)

    assert gauges.queue_length() == 7
    assert gauges.errors_total() == 7
    assert gauges.trouble() is True
    assert gauges.is_silent(2)
    assert gauges.slot(0).pid not in (0, os.getpid())


def test_every_field_has_its_own_place(gauges: Gauges) -> None:
    gauges.silent, gauges.high_water, gauges.errors_base = 101, 102, 103
    for number in range(64):
        slot = gauges.slot(number)
        slot.pid, slot.queue_length, slot.queue_peak = number + 1000, number + 2000, number + 3000
        slot.errors, slot.trouble = number + 4000, number % 2

    assert (gauges.silent, gauges.high_water, gauges.errors_base) == (101, 102, 103)
    last = gauges.slot(63)
    assert (last.pid, last.queue_length, last.queue_peak) == (1063, 2063, 3063)
    assert (last.errors, last.trouble) == (4063, 1)
    assert gauges.slot(0).trouble == 0


def test_a_released_slot_keeps_its_errors(gauges: Gauges) -> None:
    slot = gauges.slot(0)
    slot.claim(4711)
    slot.queue_length, slot.queue_peak, slot.errors, slot.trouble = 9, 10, 11, 1

    gauges.release(4711)

    assert (slot.pid, slot.queue_length, slot.queue_peak, slot.trouble) == (0, 0, 0, 0)
    assert gauges.errors_total() == 11


def test_release_of_an_unknown_process_changes_nothing(gauges: Gauges) -> None:
    gauges.slot(0).claim(4711)
    gauges.slot(0).queue_length = 9

    gauges.release(4712)

    assert gauges.slot(0).pid == 4711
    assert gauges.queue_length() == 9


def test_the_next_owner_of_a_killed_workers_slot_starts_at_zero(gauges: Gauges) -> None:
    killed = gauges.slot(0)
    killed.claim(4711)
    killed.queue_length, killed.queue_peak, killed.errors, killed.trouble = 9, 10, 11, 1

    slot = gauges.free_slot(live_pids={5000})
    slot.claim(4712)

    assert slot is killed
    assert (slot.pid, slot.queue_length, slot.queue_peak, slot.trouble) == (4712, 0, 0, 0)
    assert slot.errors == 11


def test_claiming_twice_keeps_the_numbers(gauges: Gauges) -> None:
    slot = gauges.slot(0)
    slot.claim(4711)
    slot.queue_length = 9

    slot.claim(4711)

    assert slot.queue_length == 9


def test_free_slot_passes_over_live_workers(gauges: Gauges) -> None:
    gauges.slot(0).claim(4711)
    gauges.slot(1).claim(4712)

    assert gauges.free_slot(live_pids={4711, 4712}) is gauges.slot(2)
    assert gauges.free_slot(live_pids={4711}) is gauges.slot(1)


def test_no_slot_is_free_when_64_workers_live(gauges: Gauges) -> None:
    for number in range(64):
        gauges.slot(number).claim(number + 1)

    with pytest.raises(LookupError, match="all 64 slots belong to live workers"):
        gauges.free_slot(live_pids=range(1, 65))


def test_errors_of_earlier_starts_are_added_once_loaded(gauges: Gauges) -> None:
    gauges.slot(0).errors = 2
    assert gauges.errors_total() == 2

    gauges.errors_base = 40

    assert gauges.errors_total() == 42


def test_silence_is_kept_per_station(gauges: Gauges) -> None:
    gauges.set_silent(0, True)
    gauges.set_silent(3, True)
    gauges.set_silent(3, True)
    gauges.set_silent(0, False)
    gauges.set_silent(1, False)

    assert [gauges.is_silent(station) for station in range(4)] == [False, False, False, True]


def test_closed_memory_cannot_be_read() -> None:
    gauges = Gauges()
    gauges.close()

    with pytest.raises(ValueError, match="released"):
        gauges.queue_length()
