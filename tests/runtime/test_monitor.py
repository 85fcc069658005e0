"""Silence and backlog are warned of once, by one process (contract, sections 4 and 6.5)."""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from flask10x.config import settings
from flask10x.config.settings import Settings
from flask10x.readings.stations import BUILT_IN, Stations
from flask10x.recording.shared_queue import SharedQueues
from flask10x.runtime.periodic_tasks import Monitor, PeriodicTask, failing
from flask10x.runtime.station_watch import StationWatch
from flask10x.runtime.worker_watch import look_at_queues, look_at_workers
from flask10x.system import logs
from flask10x.system.gauges import Gauges
from flask10x.system.locks import FileLock
from tests.runtime.conftest import Said
from tests.support.databases import environment_of

YESTERDAY_MS = 1_756_000_000_000
TODAY_MS = 1_756_086_400_000


class House:
    """A clock, readings and monitors that a test moves by hand.

    `last` is what the database holds; `send` is what a worker notes when it accepts a reading.
    """

    def __init__(self, folder: Path) -> None:
        self.settings: Settings = settings.load(environment_of(folder))
        self.gauges = Gauges(BUILT_IN.by_endpoint)
        self.queues = SharedQueues.anonymous(5000)
        self.path = folder / "flask10x.monitor.lock"
        self.locks: list[FileLock] = []
        self.monotonic_sec = 50.0
        for endpoint in BUILT_IN.by_endpoint:
            self.gauges.station(endpoint).awaited_since_ms = 50_000
        self.last: dict[str, int | None] = dict.fromkeys(("data", "data2", "data3", "data4"))
        self.asked = 0
        self.fault: Exception | None = None

    def monitor(self) -> Monitor:
        self.locks.append(FileLock(self.path))
        stations = StationWatch(
            self.settings, self.gauges, self.last_received, lambda: self.monotonic_sec
        )
        look = partial(look_at_queues, self.settings, self.gauges, self.queues)
        tasks = [
            PeriodicTask("killed workers", partial(look_at_workers, self.gauges), self.gauges),
            PeriodicTask("queues", look, self.gauges),
            PeriodicTask("silent stations", stations.step, self.gauges),
        ]
        return Monitor(self.locks[-1], tasks)

    def record_killed(self, pid: int) -> None:
        """A worker was killed."""
        self.gauges.slot(0).claim(pid)
        self.gauges.record_killed(pid)

    def let_wait(self, slot: int, length: int) -> None:
        """So many readings wait in the queue of this slot."""
        self.queues[slot].marks.appended = self.queues[slot].marks.settled + length

    def last_received(self) -> dict[str, int | None]:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return self.last

    def send(self, endpoint: str) -> None:
        self.gauges.note_received(endpoint, int(self.monotonic_sec * 1000))

    def wait(self, seconds: int, *monitors: Monitor) -> None:
        """Let the time pass second by second, each with a step of these monitors."""
        for _ in range(seconds):
            self.monotonic_sec += 1
            for monitor in monitors:
                monitor.step()

    def close(self) -> None:
        for lock in self.locks:
            lock.close()


@pytest.fixture
def house(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[House]:
    caplog.set_level(logging.INFO, logger="flask10x")
    house = House(tmp_path)
    yield house
    house.close()


def test_a_station_is_silent_after_three_of_its_own_intervals(house: House, said: Said) -> None:
    """But not before INACTIVITY_WARN_SEC, which stands for all that have no interval."""
    intervals_sec = {"data2": 60, "data3": 20}
    stations = [replace(s, interval_sec=intervals_sec.get(s.endpoint)) for s in BUILT_IN.all]
    house.settings = replace(house.settings, stations=Stations(tuple(stations)))
    house.last |= dict.fromkeys(("data", "data2", "data3"), YESTERDAY_MS)
    monitor = house.monitor()

    house.wait(121, monitor)
    assert said() == [
        "WARNING Endpoint 'data' inactive for 121s (threshold 120s)",
        "WARNING Endpoint 'data3' inactive for 121s (threshold 120s)",
    ]
    house.wait(59, monitor)
    assert said() == []
    house.wait(1, monitor)
    assert said() == ["WARNING Endpoint 'data2' inactive for 181s (threshold 180s)"]


def test_a_station_that_a_reload_has_added_is_awaited_since_then(house: House, said: Said) -> None:
    """Although it sent before it was left out, and the service has run for long."""
    house.last["data3"] = YESTERDAY_MS
    house.wait(300)
    house.gauges.add_stations(["data3"])
    house.gauges.station("data3").awaited_since_ms = 350_000
    monitor = house.monitor()

    house.wait(120, monitor)
    assert said() == []
    house.wait(1, monitor)
    assert said() == ["WARNING Endpoint 'data3' inactive for 121s (threshold 120s)"]


def test_silence_is_warned_of_once_and_ends_with_a_line(house: House, said: Said) -> None:
    house.last["data3"] = YESTERDAY_MS
    house.wait(145)
    monitor = house.monitor()

    monitor.step()
    assert said() == ["WARNING Endpoint 'data3' inactive for 145s (threshold 120s)"]

    house.wait(155, monitor)
    assert said() == []

    house.send("data3")
    monitor.step()
    assert said() == ["INFO Endpoint 'data3' is sending again after 300s"]

    house.wait(100, monitor)
    assert said() == []


def test_killed_workers_are_logged_once_whichever_process_is_elected(
    house: House, said: Said
) -> None:
    first, second = house.monitor(), house.monitor()
    first.step()
    house.record_killed(4711)

    first.step()
    assert said() == [
        "WARNING Killed workers: 1 (1 since the start);"
        " the readings that they had accepted are kept and stored"
    ]
    first.step()
    first.close()
    second.step()
    assert said() == []

    house.record_killed(4712)
    house.record_killed(4713)
    second.step()
    assert said() == [
        "WARNING Killed workers: 2 (3 since the start);"
        " the readings that they had accepted are kept and stored"
    ]
    house.wait(5, second)
    assert said() == []


def test_what_a_killed_monitor_may_not_have_written_is_logged_again(
    house: House, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed() -> None:
        raise SystemError("as if this process were killed")

    first, second = house.monitor(), house.monitor()
    house.record_killed(4711)
    with monkeypatch.context() as patch:
        patch.setattr(logs, "flush", killed)
        first.step()
    assert said()[0].startswith("WARNING Killed workers: 1 ")

    first.close()
    second.step()
    assert said()[0] == (
        "WARNING Killed workers: 1 (1 since the start);"
        " the readings that they had accepted are kept and stored"
    )
    house.wait(5, second)
    assert said() == []


def test_the_threshold_is_a_setting(tmp_path: Path, house: House, said: Said) -> None:
    house.settings = settings.load(
        {**environment_of(tmp_path), "FLASK10X_INACTIVITY_WARN_SEC": "30"}
    )
    monitor = house.monitor()
    house.send("data2")

    monitor.step()
    house.wait(30, monitor)
    assert said() == []
    house.wait(1, monitor)
    assert said() == ["WARNING Endpoint 'data2' inactive for 31s (threshold 30s)"]


def test_stations_fall_silent_one_by_one(house: House, said: Said) -> None:
    monitor = house.monitor()
    house.send("data")
    house.send("data4")
    house.wait(60, monitor)
    house.send("data4")
    house.wait(70, monitor)
    assert said() == ["WARNING Endpoint 'data' inactive for 121s (threshold 120s)"]

    house.wait(60, monitor)
    assert said() == ["WARNING Endpoint 'data4' inactive for 121s (threshold 120s)"]

    house.send("data4")
    monitor.step()
    assert said() == ["INFO Endpoint 'data4' is sending again after 130s"]
    house.send("data")
    monitor.step()
    assert said() == ["INFO Endpoint 'data' is sending again after 190s"]


def test_a_station_that_never_sent_is_not_warned_of(house: House, said: Said) -> None:
    monitor = house.monitor()
    house.wait(1000, monitor)
    assert said() == []

    house.send("data2")
    house.wait(121, monitor)
    assert said() == ["WARNING Endpoint 'data2' inactive for 121s (threshold 120s)"]


def test_a_service_that_was_away_blames_no_station_for_it(house: House, said: Said) -> None:
    house.last = dict.fromkeys(("data", "data2", "data3"), YESTERDAY_MS)
    monitor = house.monitor()
    monitor.step()
    house.wait(60, monitor)
    house.send("data")
    house.wait(60, monitor)
    assert said() == []

    house.wait(1, monitor)
    assert said() == [
        "WARNING Endpoint 'data2' inactive for 121s (threshold 120s)",
        "WARNING Endpoint 'data3' inactive for 121s (threshold 120s)",
    ]
    house.wait(59, monitor)
    assert said() == []
    house.wait(1, monitor)
    assert said() == ["WARNING Endpoint 'data' inactive for 121s (threshold 120s)"]


def test_silence_counts_from_the_services_start_not_from_a_workers(
    house: House, said: Said
) -> None:
    house.last["data"] = YESTERDAY_MS
    first = house.monitor()
    house.wait(100, first)
    first.close()

    second = house.monitor()
    house.wait(20, second)
    assert said() == []
    house.wait(1, second)
    assert said() == ["WARNING Endpoint 'data' inactive for 121s (threshold 120s)"]


def test_rows_that_an_import_stores_are_no_sign_of_life(house: House, said: Said) -> None:
    house.last["data"] = YESTERDAY_MS
    house.wait(145)
    monitor = house.monitor()
    monitor.step()
    assert len(said()) == 1

    house.last["data"] = TODAY_MS
    house.last["data2"] = YESTERDAY_MS
    house.wait(10, monitor)
    assert said() == []


def test_the_database_is_asked_once(house: House) -> None:
    monitor = house.monitor()
    house.wait(300, monitor)
    assert house.asked == 1


def test_a_database_that_cannot_be_read_is_said_once_and_asked_again(
    house: House, said: Said
) -> None:
    house.last["data"] = YESTERDAY_MS
    house.wait(60)
    house.fault = OSError("disk I/O error")
    monitor = house.monitor()
    monitor.step()
    (line,) = said()
    assert line.startswith("WARNING Cannot read which endpoints have sent: ")
    assert "disk I/O error" in line

    house.wait(4, monitor)
    assert house.asked == 1
    house.wait(60, monitor)
    assert house.asked == 13
    assert said() == []

    house.fault = None
    house.wait(5, monitor)
    assert said() == ["WARNING Endpoint 'data' inactive for 125s (threshold 120s)"]
    house.wait(100, monitor)
    assert house.asked == 14


def test_a_bug_where_the_database_is_asked_is_shown_and_silences_no_alarm(
    house: House, said: Said
) -> None:
    house.fault = ValueError("a bug")
    monitor = house.monitor()
    house.send("data")
    house.wait(122, monitor)
    assert failing(house.gauges) == ["silent stations"]
    assert said() == [
        "ERROR The periodic task 'silent stations' failed; it is tried again",
        "WARNING Endpoint 'data' inactive for 121s (threshold 120s)",
    ]

    house.fault = None
    house.wait(5, monitor)
    assert failing(house.gauges) == []
    (line,) = said()
    assert line.startswith("INFO The periodic task 'silent stations' works again after ")


def test_stations_are_watched_while_the_database_cannot_be_read(house: House, said: Said) -> None:
    house.fault = OSError("disk I/O error")
    monitor = house.monitor()
    house.send("data")
    house.wait(121, monitor)
    house.send("data")
    house.wait(1, monitor)

    assert said()[1:] == [
        "WARNING Endpoint 'data' inactive for 121s (threshold 120s)",
        "INFO Endpoint 'data' is sending again after 121s",
    ]


def test_a_high_queue_is_warned_of_once_until_it_is_low(house: House, said: Said) -> None:
    monitor = house.monitor()

    house.let_wait(1, 3999)
    monitor.step()
    assert said() == []

    house.let_wait(1, 4000)
    monitor.step()
    assert said() == ["WARNING Write queue high watermark reached: 4000/5000"]

    for length in (5000, 3000, 4500, 2000):
        house.let_wait(1, length)
        monitor.step()
    assert said() == []

    house.let_wait(1, 1999)
    monitor.step()
    assert said() == ["INFO Write queue is low again: 1999/5000"]

    house.let_wait(1, 4321)
    monitor.step()
    assert said() == ["WARNING Write queue high watermark reached: 4321/5000"]


def test_a_peak_between_two_steps_is_seen_once(house: House, said: Said) -> None:
    monitor = house.monitor()
    house.queues[0].marks.peak = 4100
    house.let_wait(1, 7)

    monitor.step()
    assert said() == ["WARNING Write queue high watermark reached: 4100/5000"]
    assert house.queues[0].marks.peak == 0

    monitor.step()
    assert said() == ["INFO Write queue is low again: 7/5000"]


def test_two_half_full_queues_are_no_backlog(house: House, said: Said) -> None:
    """The limit is each worker's own: 2500 + 2500 refuses no reading."""
    house.let_wait(0, 2500)
    house.let_wait(1, 2500)

    house.monitor().step()

    assert said() == []


def test_the_longest_queue_decides_when_it_is_low(house: House, said: Said) -> None:
    monitor = house.monitor()
    house.let_wait(0, 4000)
    house.let_wait(1, 4000)
    monitor.step()
    house.let_wait(0, 0)
    monitor.step()

    assert said() == ["WARNING Write queue high watermark reached: 4000/5000"]


def test_the_smallest_queue_can_be_low_again(tmp_path: Path, house: House, said: Said) -> None:
    house.settings = settings.load(
        {**environment_of(tmp_path), "FLASK10X_WRITE_QUEUE_MAXSIZE": "1"}
    )
    monitor = house.monitor()
    for length in (1, 1, 0):
        house.let_wait(0, length)
        monitor.step()

    assert said() == [
        "WARNING Write queue high watermark reached: 1/1",
        "INFO Write queue is low again: 0/1",
    ]


def test_only_the_elected_looks(house: House, said: Said) -> None:
    first, second = house.monitor(), house.monitor()
    house.last["data"] = YESTERDAY_MS
    house.wait(200)
    house.let_wait(0, 4000)

    house.wait(20, first, second)

    assert (first.elected, second.elected) == (True, False)
    assert house.asked == 1
    assert said() == [
        "WARNING Write queue high watermark reached: 4000/5000",
        "WARNING Endpoint 'data' inactive for 201s (threshold 120s)",
    ]


def test_the_next_one_takes_over_and_repeats_nothing(house: House, said: Said) -> None:
    first, second = house.monitor(), house.monitor()
    house.last["data"] = YESTERDAY_MS
    house.wait(200)
    house.let_wait(0, 4000)
    house.wait(10, first, second)
    assert len(said()) == 2

    first.close()
    house.wait(20, second)
    assert (first.elected, second.elected) == (False, True)
    assert said() == []

    house.let_wait(0, 0)
    house.wait(1, second)
    assert said() == ["INFO Write queue is low again: 0/5000"]
    house.send("data")
    house.wait(5, second)
    assert said() == ["INFO Endpoint 'data' is sending again after 231s"]


def test_a_station_that_came_back_while_no_process_was_elected(house: House, said: Said) -> None:
    house.last["data3"] = YESTERDAY_MS
    house.wait(145)
    first = house.monitor()
    first.step()
    first.close()
    assert len(said()) == 1

    house.wait(155)
    house.send("data3")
    house.wait(60)
    second = house.monitor()
    house.wait(60, second)
    assert said() == ["INFO Endpoint 'data3' is sending again after 300s"]
    house.wait(1, second)
    assert said() == ["WARNING Endpoint 'data3' inactive for 121s (threshold 120s)"]


def test_a_failed_step_is_said_once_and_ends_nothing(
    house: House, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flask10x.runtime.periodic_tasks.TICK_SEC", 0.001)
    monitor = house.monitor()
    stop, tried = threading.Event(), threading.Event()
    faults = [OSError("no locks"), SystemExit("no locks")]

    def step() -> None:
        if faults:
            raise faults.pop()
        tried.set()

    monkeypatch.setattr(monitor, "step", step)
    thread = threading.Thread(target=monitor.run, args=(stop,))
    thread.start()
    assert tried.wait(30)
    stop.set()
    thread.join(30)

    assert not thread.is_alive()
    assert said() == ["ERROR The monitor failed and goes on trying"]


def test_the_thread_gives_the_lock_back(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask10x.runtime.periodic_tasks.TICK_SEC", 0.001)
    stop, asked = threading.Event(), threading.Event()

    def last_received() -> dict[str, int | None]:
        asked.set()
        return {}

    monkeypatch.setattr(house, "last_received", last_received)
    monitor = house.monitor()
    thread = threading.Thread(target=monitor.run, args=(stop,))
    thread.start()
    assert asked.wait(30)
    stop.set()
    thread.join(30)

    assert not thread.is_alive()
    other = FileLock(house.path)
    assert other.try_acquire()
    other.close()


class Worker:
    """A forked process with a monitor that steps on request."""

    def __init__(self, house: House) -> None:
        orders, self._order = os.pipe()
        self._answer, answers = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._serve(house, orders, answers)
            finally:
                os._exit(1)
        os.close(orders)
        os.close(answers)

    def _serve(self, house: House, orders: int, answers: int) -> None:
        os.close(self._order)
        logs.configure(house.settings)
        monitor = house.monitor()
        while os.read(orders, 1):
            monitor.step()
            logs.flush()
            os.write(answers, b"y" if monitor.elected else b"n")

    def step(self) -> bool:
        """One step; whether it is the elected one."""
        os.write(self._order, b".")
        answer = os.read(self._answer, 1)
        assert answer in (b"y", b"n")
        return answer == b"y"

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._order)
        os.close(self._answer)


def test_a_killed_worker_is_succeeded_and_the_warning_is_logged_once(house: House) -> None:
    house.last["data3"] = YESTERDAY_MS
    house.wait(145)
    first, second = Worker(house), Worker(house)

    assert (first.step(), second.step()) == (True, False)
    first.kill()
    assert second.step()
    house.wait(155)
    house.send("data3")
    third = Worker(house)
    assert not third.step()
    assert second.step()
    second.kill()
    assert third.step()
    third.kill()

    file = house.settings.log_dir / "flask10x.log"
    assert [line[20:] for line in file.read_text("utf-8").splitlines()] == [
        "WARNING Endpoint 'data3' inactive for 145s (threshold 120s)",
        "INFO Endpoint 'data3' is sending again after 300s",
    ]
