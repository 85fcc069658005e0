"""What systemd hears of a master, by its socket; with real ones it is in `faults/test_frozen`."""

import math
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from flask10x.readings.stations import BUILT_IN
from flask10x.server.systemd import (
    RELOAD_WITHIN_SEC,
    SILENT_WORKER_SEC,
    STUCK_SEC,
    Reporting,
    Systemd,
)
from flask10x.system.gauges import Gauges

PID = 4711
WATCHDOG_SEC = 120


class Worker:
    """What is used of gunicorn's: where it is, and when it gave its last sign of life."""

    def __init__(self, slot_number: int, bench: "Bench") -> None:
        self.pid = 1000 + slot_number
        self.slot_number = slot_number
        self.alive_sec = bench.now_sec
        self.tmp = SimpleNamespace(last_update=lambda: self.alive_sec)


class Bench:
    """A master with two workers, its clock, and systemd's socket."""

    def __init__(self, heard: socket.socket) -> None:
        self.now_sec = 5000.0
        self.heard = heard
        self.murdered = self.stopped = 0
        self.gauges = Gauges(BUILT_IN.by_endpoint)
        self.server = SimpleNamespace(WORKERS={}, murder_workers=self.murder, stop=self.stop)
        self.environ = {
            "NOTIFY_SOCKET": heard.getsockname(),
            "WATCHDOG_USEC": str(WATCHDOG_SEC * 1_000_000),
            "WATCHDOG_PID": str(PID),
        }
        self.systemd = Systemd(self.environ, PID)
        self.overdue_since_sec = math.inf
        self.reporting = Reporting(
            *(self.server, self.systemd, self.gauges),
            lambda: self.overdue_since_sec,
            lambda: self.now_sec,
        )
        self.fork(0, 1)

    def murder(self) -> None:
        self.murdered += 1

    def stop(self, graceful: bool = True) -> None:
        self.stopped += 1 + graceful

    def fork(self, *slots: int) -> None:
        self.server.WORKERS = {1000 + n: Worker(n, self) for n in slots}

    def boot(self, *slots: int) -> None:
        self.gauges.serving = 1
        for number in slots:
            self.gauges.slot(number).booted_ms = 1

    def said(self) -> list[str]:
        """What systemd has heard since it was asked last, without texts for people."""
        lines = []
        try:
            while True:
                lines += self.heard.recv(1000).decode().split("\n")
        except BlockingIOError:
            return [line for line in lines if not line.startswith("STATUS=")]

    def turns(self, seconds: float, *, silent: bool = False) -> list[str]:
        """The arbiter's turns in so many seconds, and what is heard; all workers live, or none."""
        said = []
        for _ in range(int(seconds / 5)):
            self.now_sec += 5
            for worker in () if silent else self.server.WORKERS.values():
                worker.alive_sec = self.now_sec
            self.server.murder_workers()
            said += self.said()
        return said


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.setblocking(False)
        yield Bench(heard)


@pytest.fixture
def ready(bench: Bench) -> Bench:
    bench.boot(0, 1)
    assert bench.turns(5) == ["READY=1", "WATCHDOG=1"]
    return bench


def test_it_is_ready_when_a_worker_serves(bench: Bench) -> None:
    assert bench.turns(300) == []
    bench.boot(1)
    assert bench.turns(5) == ["READY=1", "WATCHDOG=1"]


def test_no_other_process_gets_the_socket(bench: Bench) -> None:
    assert bench.environ == {}


def test_it_reports_four_times_in_the_time_that_it_has(ready: Bench) -> None:
    assert ready.turns(WATCHDOG_SEC * 10) == ["WATCHDOG=1"] * 40
    assert ready.murdered == 1 + WATCHDOG_SEC * 10 / 5


def test_nothing_is_said_where_systemd_has_not_started_it(bench: Bench) -> None:
    alone = Systemd({}, PID)
    alone.say("READY=1")
    assert (alone.watchdog_us, bench.said()) == (0, [])


def test_a_watchdog_of_another_process_is_not_ours(bench: Bench) -> None:
    assert Systemd({"WATCHDOG_USEC": "5", "WATCHDOG_PID": "1"}, PID).watchdog_us == 0
    assert Systemd({"WATCHDOG_USEC": "5"}, PID).watchdog_us == 5


def test_a_socket_that_is_gone_ends_nothing() -> None:
    assert not Systemd({"NOTIFY_SOCKET": "/nowhere/notify"}, PID).say("READY=1")


def test_what_a_busy_systemd_did_not_get_is_said_again(bench: Bench) -> None:
    bench.boot(0, 1)
    address = bench.heard.getsockname()
    Path(address).rename(f"{address}.away")
    assert bench.turns(30) == []
    Path(f"{address}.away").rename(address)
    assert bench.turns(5) == ["READY=1", "WATCHDOG=1"]


def test_no_sign_of_life_from_a_worker_and_no_worker_are_not_well(ready: Bench) -> None:
    ready.turns(SILENT_WORKER_SEC, silent=True)
    assert ready.turns(WATCHDOG_SEC, silent=True) == []
    # It was replaced.
    ready.fork(0, 1)
    assert "WATCHDOG=1" in ready.turns(WATCHDOG_SEC)
    ready.server.WORKERS = {}
    assert ready.turns(WATCHDOG_SEC) == []


def test_a_reading_that_waits_for_ten_minutes_is_not_well(ready: Bench) -> None:
    """A slow card takes less."""
    ready.overdue_since_sec = ready.now_sec
    assert ready.turns(STUCK_SEC) == ["WATCHDOG=1"] * int(STUCK_SEC / WATCHDOG_SEC * 4)
    ready.turns(10)
    assert ready.turns(WATCHDOG_SEC) == []
    ready.overdue_since_sec = ready.now_sec
    assert "WATCHDOG=1" in ready.turns(WATCHDOG_SEC)


def test_a_card_that_refuses_is_tried_again_for_ever(ready: Bench) -> None:
    ready.overdue_since_sec = ready.now_sec
    ready.gauges.slot(1).trouble = 1
    assert len(ready.turns(STUCK_SEC * 3)) == STUCK_SEC * 3 / WATCHDOG_SEC * 4


def test_a_reload_ends_when_its_workers_serve(ready: Bench) -> None:
    ready.reporting.begin_reload()
    first, second = ready.said()
    assert first == "RELOADING=1"
    assert second.startswith("MONOTONIC_USEC=")
    ready.fork(2, 3)
    ready.boot(2)
    assert "READY=1" not in ready.turns(30)
    ready.boot(3)
    assert "READY=1" in ready.turns(5)
    assert "READY=1" not in ready.turns(300)


def test_a_reload_does_not_wait_for_ever(ready: Bench) -> None:
    ready.reporting.begin_reload()
    ready.fork(2, 3)
    assert "READY=1" in ready.turns(RELOAD_WITHIN_SEC + 5)


def test_a_migration_may_take_hours(ready: Bench) -> None:
    with ready.reporting.away():
        assert ready.said() == ["WATCHDOG_USEC=0"]
        ready.now_sec += 10_000
    assert ready.said() == [f"WATCHDOG_USEC={WATCHDOG_SEC}000000", "WATCHDOG=1"]
    assert ready.turns(5) == ["WATCHDOG=1"]


def test_before_it_is_ready_systemd_waits_by_itself(bench: Bench) -> None:
    with bench.reporting.away():
        pass
    bench.reporting.begin_reload()
    assert bench.said() == []


def test_a_stop_is_said_first(ready: Bench) -> None:
    ready.server.stop(False)
    assert (ready.said(), ready.stopped) == (["STOPPING=1"], 1)
