"""Processes that are killed, stopped and reloaded under load."""

import os
import random
import re
import signal
import time
from collections.abc import Iterator
from typing import Any

from tests.e2e.conftest import MakeService
from tests.e2e.load import Load
from tests.e2e.service import WORKERS, Service, wait_until
from tests.e2e.test_crashes import database_files
from tests.e2e.test_stopping import reload_workers
from tests.faults.figures import account, record
from tests.faults.repeat import harder_promise, repeated
from tests.faults.sender import Sender

BOOTS_WITHIN_SEC = 60.0


def ready_workers(service: Service) -> list[int]:
    """The workers that have opened the database."""
    ready = []
    for worker in service.workers():
        try:
            if database_files(service, worker):
                ready.append(worker)
        except OSError:
            continue
    return ready


def wait_for_ready_workers(service: Service) -> list[int]:
    """Return the workers as soon as all of them have opened the database."""
    found: list[int] = []

    def ready() -> bool:
        found[:] = ready_workers(service)
        return len(found) == WORKERS

    wait_until(ready, BOOTS_WITHIN_SEC, "both workers have opened the database")
    return found


def moment() -> None:
    """Let a random moment pass: where in a commit the fault strikes shall differ."""
    time.sleep(random.uniform(0, 0.1))


@repeated(10, 200)
def test_a_killed_worker_loses_nothing(
    service: MakeService, numbers: Iterator[int], promise: dict[str, Any], times: int
) -> None:
    running = service(**promise)
    load = Load(running.port, numbers)
    with load.running():
        for _ in range(times):
            victim = random.choice(wait_for_ready_workers(running))
            moment()
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: victim not in running.workers(), 10, "it is gone")  # noqa: B023
        wait_for_ready_workers(running)
    load.check_answers()
    assert running.process.poll() is None
    last = Sender(running, numbers)
    last.check_goes_on()
    wait_until(lambda: told_of(running) == times, 10, "the log tells of every killed worker")
    running.stop()

    running.check_integrity()
    counted = account(running, [load, last])
    assert counted.lost == set()
    record("worker-kill", variant(promise), times, counted)


def told_of(service: Service) -> int:
    """How many killed workers the log tells of in all."""
    told = re.findall(r"Killed workers: (\d+) \((\d+) since the start\)", "\n".join(service.log()))
    if not told:
        return 0
    killed = int(told[-1][1])
    assert sum(int(new) for new, _ in told) >= killed, "no killed worker goes without its line"
    return killed


def variant(promise: dict[str, Any]) -> str:
    """The promise as the table names it."""
    return f"ACK={promise.get('ack', 'enqueued')}"


@repeated(2, 50)
def test_when_the_master_is_killed_nothing_is_lost(
    service: MakeService, numbers: Iterator[int], promise: dict[str, Any], times: int
) -> None:
    running = service(start=False, **promise)
    loads: list[Load] = []
    for _ in range(times):
        running.start()
        load = Load(running.port, numbers)
        with load.running():
            load.burst()
            os.kill(running.pid, signal.SIGKILL)
            running.process.wait(10)
            wait_until(lambda: not running.members(), 30, "the orphaned workers are gone")
        load.check_answers()
        loads.append(load)
    check_stops_are_logged(running, 2 * times)
    running.start()
    last = Sender(running, numbers)
    last.check_goes_on()
    running.stop()

    running.check_integrity()
    counted = account(running, [*loads, last])
    assert counted.lost == set()
    record("master-kill", variant(promise), times, counted)


def check_stops_are_logged(service: Service, workers: int) -> None:
    """Each worker has said that it leaves nothing behind."""
    stops = [line for line in service.log() if "Worker stops" in line]
    assert len(stops) == workers
    assert all(line.endswith("Worker stops: 0 readings not stored") for line in stops)


@harder_promise
@repeated(2, 50)
def test_a_reload_under_load_loses_nothing(
    service: MakeService, numbers: Iterator[int], promise: dict[str, Any], times: int
) -> None:
    running = service(**promise)
    load = Load(running.port, numbers)
    with load.running():
        for _ in range(times):
            load.burst()
            reload_workers(running)
    assert load.statuses.keys() == {200}, load.statuses
    assert load.broken == []
    load.check_answers()
    last = Sender(running, numbers)
    last.check_goes_on()
    running.stop()

    running.check_integrity()
    check_stops_are_logged(running, WORKERS * (times + 1))
    counted = account(running, [load, last])
    assert counted.lost == set()
    record("hup", variant(promise), times, counted)


@harder_promise
@repeated(3, 50)
def test_workers_that_boot_together_after_a_crash_are_not_in_each_others_way(
    service: MakeService, numbers: Iterator[int], promise: dict[str, Any], times: int
) -> None:
    running = service(start=False, **promise)
    loads: list[Load] = []
    seen = 0
    for _ in range(times):
        running.start()
        load = Load(running.port, numbers)
        with load.running():
            load.burst()
            moment()
            seen = running.count()
            os.killpg(running.pid, signal.SIGKILL)
            running.process.wait(10)
            wait_until(lambda: not running.members(), 10, "everything is gone")
        loads.append(load)
        assert running.count() >= seen, "what others have seen is stored"
    running.start()
    wait_for_ready_workers(running)
    last = Sender(running, numbers)
    last.check_goes_on()
    running.stop()

    running.check_integrity()
    loud = [line for line in running.log() if " INFO " not in line]
    assert loud == [], "no worker found the database locked"
    counted = account(running, [*loads, last])
    assert counted.lost == set()
    record("boot-together", variant(promise), times, counted)
