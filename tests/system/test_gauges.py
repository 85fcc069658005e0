"""One shared memory that every process of the service sees alike."""

import gc
import os
import time
from collections.abc import Callable
from ctypes import Structure, sizeof

import pytest

from flask10x.system.gauges import STATION_NAMES_MAX, Gauges, Slot, StationTimes

HOUSE = ("data", "data2", "data3", "data4")


@pytest.fixture
def gauges() -> Gauges:
    return Gauges(HOUSE)


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
    assert gauges.errors_total() == 0
    assert gauges.trouble() is False
    assert (gauges.high_water, gauges.errors_base) == (0, -1)
    assert (gauges.killed, gauges.killed_logged) == (0, 0)
    assert [gauges.station(station).last_received_ms for station in HOUSE] == [0, 0, 0, 0]
    assert [gauges.station(station).silent_since_ms for station in HOUSE] == [0, 0, 0, 0]
    assert [gauges.slot(0).pid, gauges.slot(63).pid] == [0, 0]


def test_knows_since_when_each_station_is_awaited() -> None:
    before = int(time.monotonic() * 1000)
    gauges = Gauges(HOUSE)
    for station in HOUSE:
        assert before <= gauges.station(station).awaited_since_ms <= int(time.monotonic() * 1000)


def test_what_a_forked_worker_writes_is_seen_by_all(gauges: Gauges) -> None:
    def first() -> None:
        slot = gauges.slot(0)
        slot.claim(os.getpid())
        slot.booted_ms = 3
        slot.errors = 2
        slot.trouble = 1

    def second() -> None:
        assert gauges.slot(0).booted_ms == 3
        gauges.slot(1).errors += 5
        gauges.note_received("data3", 86_400_000)
        gauges.station("data4").silent_since_ms = -5_000

    in_child(first)
    in_child(second)

    assert gauges.errors_total() == 7
    assert gauges.trouble() is True
    assert gauges.station("data3").last_received_ms == 86_400_000
    assert gauges.station("data4").silent_since_ms == -5_000
    assert gauges.slot(0).pid not in (0, os.getpid())


def test_every_field_has_its_own_place(gauges: Gauges) -> None:
    gauges.high_water, gauges.errors_base = 102, 103
    gauges.killed, gauges.killed_logged = 104, 106
    for place, station in enumerate(HOUSE):
        gauges.note_received(station, place + 200)
        gauges.station(station).silent_since_ms = place + 300
    for number in range(64):
        slot = gauges.slot(number)
        slot.pid, slot.booted_ms = number + 1000, number + 2000
        slot.errors, slot.trouble = number + 4000, number % 2

    assert (gauges.high_water, gauges.errors_base) == (102, 103)
    assert (gauges.killed, gauges.killed_logged) == (104, 106)
    assert [gauges.station(station).last_received_ms for station in HOUSE] == [200, 201, 202, 203]
    assert [gauges.station(station).silent_since_ms for station in HOUSE] == [300, 301, 302, 303]
    first = gauges.slot(0)
    assert (first.pid, first.booted_ms) == (1000, 2000)
    last = gauges.slot(63)
    assert (last.pid, last.booted_ms) == (1063, 2063)
    assert (last.errors, last.trouble) == (4063, 1)
    assert gauges.slot(0).trouble == 0


def test_a_released_slot_keeps_its_errors(gauges: Gauges) -> None:
    slot = gauges.slot(0)
    slot.claim(4711)
    slot.errors, slot.trouble = 11, 1

    slot.release()

    assert (slot.pid, slot.trouble) == (0, 0)
    assert gauges.errors_total() == 11


def test_a_worker_that_was_killed_is_counted_once(gauges: Gauges) -> None:
    slot = gauges.slot(3)
    slot.claim(4711)
    slot.errors, slot.trouble = 11, 1

    gauges.record_killed(4711)
    gauges.record_killed(4711)

    assert gauges.killed == 1
    assert (slot.pid, slot.trouble) == (0, 0)
    assert gauges.errors_total() == 11


def test_a_worker_that_gave_its_slot_back_was_not_killed(gauges: Gauges) -> None:
    gauges.slot(0).claim(4711)
    gauges.slot(0).release()
    gauges.slot(1).claim(4713)

    gauges.record_killed(4711)
    gauges.record_killed(4712)

    assert gauges.killed == 0
    assert gauges.slot(1).pid == 4713


def test_the_end_of_an_unknown_process_changes_nothing(gauges: Gauges) -> None:
    gauges.slot(0).claim(4711)
    gauges.slot(0).trouble = 1

    gauges.record_killed(4712)

    assert gauges.slot(0).pid == 4711
    assert gauges.trouble()


def test_the_next_owner_of_a_killed_workers_slot_starts_at_zero(gauges: Gauges) -> None:
    slot = gauges.slot(0)
    slot.claim(4711)
    slot.errors, slot.trouble = 11, 1

    slot.claim(4712)

    assert (slot.pid, slot.trouble) == (4712, 0)
    assert slot.errors == 11


def test_claiming_twice_keeps_the_numbers(gauges: Gauges) -> None:
    slot = gauges.slot(0)
    slot.claim(4711)
    slot.trouble = 1

    slot.claim(4711)

    assert slot.trouble == 1


def test_errors_of_earlier_starts_are_added_once_loaded(gauges: Gauges) -> None:
    gauges.slot(0).errors = 2
    assert gauges.errors_total() == 2

    gauges.errors_base = 40

    assert gauges.errors_total() == 42


def test_the_saved_errors_are_loaded_once(gauges: Gauges) -> None:
    gauges.load_errors(40)
    assert gauges.errors_total() == 40

    gauges.slot(0).errors = 2
    gauges.load_errors(42)

    assert gauges.errors_total() == 42


@pytest.mark.parametrize(("saved", "total"), [(42, 42), (2, 2), (1, 2), (0, 2)])
def test_errors_of_this_run_are_not_counted_twice(gauges: Gauges, saved: int, total: int) -> None:
    """The database could not be read when the first worker started."""
    gauges.slot(5).errors = 2

    gauges.load_errors(saved)

    assert gauges.errors_total() == total


def test_a_start_without_saved_errors_is_a_start_that_was_loaded(gauges: Gauges) -> None:
    gauges.load_errors(0)
    gauges.slot(0).errors = 3
    gauges.load_errors(1)

    assert (gauges.errors_base, gauges.errors_total()) == (0, 3)


def test_a_station_sends_again_and_again(gauges: Gauges) -> None:
    gauges.note_received("data2", 5_000)
    gauges.note_received("data2", 4_294_967_296_000)
    assert [gauges.station(station).last_received_ms for station in HOUSE] == [
        0,
        4_294_967_296_000,
        0,
        0,
    ]


def test_silence_is_kept_per_station(gauges: Gauges) -> None:
    gauges.station("data").silent_since_ms = 7_000
    gauges.station("data4").silent_since_ms = 9_000
    gauges.station("data").silent_since_ms = 0

    assert [gauges.station(station).silent_since_ms for station in HOUSE] == [0, 0, 0, 9_000]


def test_there_is_room_for_every_station() -> None:
    gauges = Gauges(f"s{n}" for n in range(STATION_NAMES_MAX))
    last = f"s{STATION_NAMES_MAX - 1}"
    gauges.note_received(last, 1)
    gauges.station(last).silent_since_ms = 2
    gauges.slot(0).pid, gauges.slot(63).trouble = 4711, 1

    assert (gauges.station(last).last_received_ms, gauges.station(last).silent_since_ms) == (1, 2)
    assert (gauges.slot(0).pid, gauges.trouble(), gauges.station("s0").last_received_ms) == (
        4711,
        True,
        0,
    )
    with pytest.raises(ValueError, match="more than 1000 stations since the service started"):
        gauges.add_stations(["s0", "balcony"])
    assert gauges.station(last).last_received_ms == 1


def test_a_station_that_is_added_has_its_own_place_in_processes_forked_later(
    gauges: Gauges,
) -> None:
    gauges.note_received("data4", 1)
    gauges.add_stations(["balcony", "cellar"])

    in_child(lambda: gauges.note_received("cellar", 2))

    assert [gauges.station(name).last_received_ms for name in (*HOUSE, "balcony", "cellar")] == [
        0,
        0,
        0,
        1,
        0,
        2,
    ]


def test_a_station_that_was_there_before_begins_again() -> None:
    gauges = Gauges(["data", "balcony"])
    for station in ("data", "balcony"):
        gauges.note_received(station, 1)
        gauges.station(station).silent_since_ms = 2
    before = int(time.monotonic() * 1000)

    gauges.add_stations(["balcony"])

    assert [gauges.station(name).last_received_ms for name in ("data", "balcony")] == [1, 0]
    assert [gauges.station(name).silent_since_ms for name in ("data", "balcony")] == [2, 0]
    assert gauges.station("balcony").awaited_since_ms >= before


def test_a_station_that_was_not_added_overwrites_nothing(gauges: Gauges) -> None:
    with pytest.raises(KeyError):
        gauges.note_received("balcony", 1)
    assert [gauges.station(name).last_received_ms for name in HOUSE] == [0, 0, 0, 0]


def test_a_slot_outlives_the_gauges_that_it_is_a_part_of() -> None:
    slot = Gauges(HOUSE).slot(63)
    gc.collect()
    slot.errors = 7
    assert slot.errors == 7


def test_a_number_that_is_not_shared_cannot_be_set(gauges: Gauges) -> None:
    for part in (gauges, gauges.slot(0)):
        with pytest.raises(AttributeError):
            part.erorrs = 1


@pytest.mark.parametrize("structure", [Gauges, Slot, StationTimes])
def test_every_number_has_8_bytes_where_a_processor_writes_them_at_once(
    structure: type[Structure],
) -> None:
    for name, *_ in structure._fields_:
        field = getattr(structure, name)
        assert name.startswith("_") or (field.offset % 8, field.size % 8) == (0, 0), name
    assert sizeof(structure) % 8 == 0
