"""Processes that are killed, stopped and reloaded under load."""

import os
import random
import re
import signal
import time
from collections.abc import Container, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import MakeService
from tests.e2e.load import Load
from tests.e2e.senders import LATEST_ANSWER_SEC
from tests.e2e.service import WORKERS, Service, wait_until
from tests.e2e.test_crashes import has_opened_the_database
from tests.e2e.test_stopping import reload_workers
from tests.faults import slow_disk
from tests.faults.equals import body_of, counted
from tests.faults.figures import Count, account, record, record_kills
from tests.faults.read_error import compiled
from tests.faults.repeat import early_promise, harder_promise, repeated
from tests.faults.sender import Sender

BOOTS_WITHIN_SEC = 60.0
# What a start takes here, about.
BOOT_SEC = 1.0
USUAL_SENDERS = 4
# A few may all come between two requests.
MANY_KILLS = 20


def ready_workers(service: Service) -> list[int]:
    """The workers that have opened the database."""
    ready = []
    for worker in service.workers():
        try:
            if has_opened_the_database(service, worker):
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


@dataclass(frozen=True, slots=True)
class Shape:
    """How a service is used while it is killed."""

    senders: int
    slower_ms: int
    """What each fsync takes besides."""


USUAL = Shape(USUAL_SENDERS, 0)
SHAPES = [USUAL, Shape(32, 0), Shape(USUAL_SENDERS, 20), Shape(32, 20)]


def killed(short: int, long: int = 50) -> pytest.MarkDecorator:
    """Run the test with `times` as `short` in the usual shape; in the long run in each shape."""
    marks = [pytest.mark.long, pytest.mark.timeout(1800)]
    each = [
        pytest.param(shape, long, marks=marks, id=f"{shape.senders}-{shape.slower_ms}ms-{long}")
        for shape in SHAPES
    ]
    return pytest.mark.parametrize(("shape", "times"), [(USUAL, short), *each])


@pytest.fixture(scope="session")
def slow_sync(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shim of a slow card, compiled."""
    return compiled(slow_disk.SOURCE, tmp_path_factory.mktemp("slow"))


@pytest.fixture
def used(
    service: MakeService, promise: dict[str, Any], shape: Shape, request: pytest.FixtureRequest
) -> Service:
    """A service of this shape, not started."""
    running = service(start=False, **promise)
    if shape.slower_ms:
        shim: Path = request.getfixturevalue("slow_sync")
        slow_disk.slow_down(running, shim, shape.slower_ms)
    return running


def settle(load: Load) -> None:
    """Return when as many readings as there are senders have been answered; they go on."""
    enough = len(load.acknowledged) + load.clients
    wait_until(lambda: len(load.acknowledged) >= enough, 30, "senders are answered")
    moment()


def goes_on(running: Service, loads: Sequence[Load]) -> Count:
    """The service goes on and is stopped; everything acknowledged is stored, once."""
    last = Load(running.port, loads[0].numbers, body_of=body_of)
    with last.running():
        last.burst()
    assert last.statuses.keys() == {200}, last.statuses
    running.stop()
    running.check_integrity()
    found = counted(running, [*loads, last])
    assert (found.lost, found.doubled) == (0, 0), found
    return found


def check_kills(
    running: Service, loads: list[Load], promise: dict[str, Any], shape: Shape, **kills: int
) -> None:
    """The same, and keep the figures of so many kills."""
    found = goes_on(running, loads)
    ((victim, times),) = kills.items()
    record_kills(victim, variant(promise), times, found, **asdict(shape))


@pytest.mark.tools
@early_promise
@killed(3)
def test_killed_workers(
    used: Service, numbers: Iterator[int], promise: dict[str, Any], shape: Shape, times: int
) -> None:
    used.start()
    load = Load(used.port, numbers, shape.senders, body_of)
    dead, boots_sec = 0, []
    with load.running():
        while dead < times:
            settle(load)
            workers = wait_for_ready_workers(used)
            # Sometimes both at once: nobody is there to go on with what they leave.
            victims = workers if times - dead > 1 and not random.randrange(5) else workers[:1]
            random.shuffle(victims)
            began = time.monotonic()
            for victim in victims:
                os.kill(victim, signal.SIGKILL)
            dead += len(victims)
            wait_until(lambda: not {*victims} & used.workers(), 25, "they are gone")  # noqa: B023
            wait_for_ready_workers(used)
            boots_sec.append(time.monotonic() - began)
    # Who sends while both are away waits for one of them, which a busy machine starts slowly.
    load.check_answers(max(LATEST_ANSWER_SEC, 2 * max(boots_sec)))
    assert used.process.poll() is None
    wait_until(lambda: told_of(used) == times, 25, "the log tells of every killed worker")
    check_in_flight([load], times)
    check_kills(used, [load], promise, shape, worker=times)


@pytest.mark.tools
@early_promise
@killed(2)
def test_a_killed_master(
    used: Service, numbers: Iterator[int], promise: dict[str, Any], shape: Shape, times: int
) -> None:
    loads: list[Load] = []
    for _ in range(times):
        used.start()
        loads.append(load := Load(used.port, numbers, shape.senders, body_of))
        with load.running():
            settle(load)
            os.kill(used.pid, signal.SIGKILL)
            used.process.wait(25)
            wait_until(lambda: not used.members(), 30, "the orphaned workers are gone")
        load.check_answers()
    # A worker that has hardly begun has no application to stop.
    check_stops(used, range(times, WORKERS * times + 1))
    used.start()
    check_kills(used, loads, promise, shape, master=times)


@pytest.mark.tools
@early_promise
@killed(2)
def test_everything_is_killed(
    used: Service, numbers: Iterator[int], promise: dict[str, Any], shape: Shape, times: int
) -> None:
    """Each time the workers boot together, and in each second start one is killed meanwhile."""
    loads: list[Load] = []
    seen = 0
    for number in range(times):
        if number % 2:
            kill_while_it_boots(used)
        used.start()
        assert used.count() >= seen, "what others have seen is stored"
        loads.append(load := Load(used.port, numbers, shape.senders, body_of))
        with load.running():
            settle(load)
            seen = used.count()
            kill_all(used)
    check_in_flight(loads, times)
    used.start()
    wait_for_ready_workers(used)
    check_kills(used, loads, promise, shape, all=times)
    loud = [line for line in used.log() if " INFO " not in line]
    assert loud == [], "no worker found the database locked"


def check_in_flight(loads: Sequence[Load], kills: int) -> None:
    """Of many kills some have met a request: its connection broke without an answer."""
    assert kills < MANY_KILLS or any(load.broken for load in loads), "no request was in flight"


def kill_while_it_boots(service: Service) -> None:
    """Start it and kill everything, at a moment between the first line of it and its answers."""
    service.launch()
    time.sleep(random.uniform(0, BOOT_SEC))
    kill_all(service)


def kill_all(service: Service) -> None:
    """SIGKILL for every process of the service, at one moment."""
    os.killpg(service.pid, signal.SIGKILL)
    service.process.wait(25)
    wait_until(lambda: not service.members(), 25, "everything is gone")


def told_of(service: Service) -> int:
    """How many killed workers the log tells of in all."""
    told = re.findall(r"Killed workers: (\d+) \((\d+) since the start\)", "\n".join(service.log()))
    assert sum(int(new) for new, _ in told) >= (int(told[-1][1]) if told else 0), told
    return int(told[-1][1]) if told else 0


def variant(promise: dict[str, Any]) -> str:
    """The promise as the table names it."""
    return f"ACK={promise.get('ack', 'enqueued')}"


def check_stops(service: Service, workers: Container[int]) -> None:
    """So many workers have said that they leave nothing behind, and none that it does."""
    stops = [line for line in service.log() if "Worker stops" in line]
    assert len(stops) in workers
    assert all(line.endswith("Worker stops: 0 readings not stored") for line in stops)


@pytest.mark.long
@pytest.mark.tools
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
    check_stops(running, [WORKERS * (times + 1)])
    counted = account(running, [load, last])
    assert counted.lost == set()
    record("hup", variant(promise), times, counted)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("times", [30])
def test_workers_killed_during_a_reload(
    service: MakeService, numbers: Iterator[int], promise: dict[str, Any], times: int
) -> None:
    """Old and new workers run side by side, and one of them is killed."""
    running = service(**promise)
    load = Load(running.port, numbers, body_of=body_of)
    with load.running():
        for _ in range(times):
            settle(load)
            before = set(wait_for_ready_workers(running))
            running.process.send_signal(signal.SIGHUP)
            wait_until(lambda: running.workers() - before, 25, "new ones come")  # noqa: B023
            moment()
            victim = random.choice(sorted(running.workers()))
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: not before & running.workers(), 30, "the old are gone")  # noqa: B023
    load.check_answers()
    goes_on(running, [load])
