"""The memory that workers share is full or not to be had, and processes are killed."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import MakeService
from tests.e2e.load import Load
from tests.e2e.service import Service, wait_until
from tests.faults.equals import body_of
from tests.faults.repeat import early_promise
from tests.faults.shared_memory import FOLDER, put_in_place
from tests.faults.test_kills import goes_on, kill_all, settle, wait_for_ready_workers
from tests.faults.test_stops import answers
from tests.faults.test_store import fill
from tests.support.both_engines import write_lock
from tests.support.outside_faults import small_disk


@pytest.fixture
def own_memory(tmp_path: Path) -> Iterator[Path]:
    """A small file system for /dev/shm; skips the test where none can be mounted."""
    command = ["unshare", "--mount", "true"]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root may give a process another /dev/shm")
    with small_disk(tmp_path / "memory", "16m") as folder:
        yield folder


@contextmanager
def closed(running: Service) -> Iterator[None]:
    """Nothing of the service runs any more after the block: its file system is unmounted then."""
    try:
        yield
    finally:
        running.close()


@pytest.mark.tools
@early_promise
def test_memory_that_is_full_refuses_and_loses_nothing(
    service: MakeService, numbers: Iterator[int], promise: dict[str, Any], own_memory: Path
) -> None:
    running = service(start=False, **promise)
    put_in_place(running, own_memory)
    with closed(running):
        running.start()
        load = Load(running.port, numbers, body_of=body_of)
        with load.running():
            settle(load)
            ballast = fill(own_memory)
            settle_on(load, 503)
            victim = wait_for_ready_workers(running)[0]
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: victim not in running.workers(), 25, "it is gone")
            wait_for_ready_workers(running)
            kill_all(running)
        ballast.unlink()
        load.check_answers()
        running.start()
        goes_on(running, [load])


def settle_on(load: Load, status: int) -> None:
    """Return when a further reading was answered so."""
    before = load.statuses[status]
    wait_until(lambda: load.statuses[status] > before, 30, f"an answer with {status}")


@pytest.mark.tools
@pytest.mark.parametrize("how", [pytest.param("ro", marks=pytest.mark.long), "full"])
def test_without_shared_memory_a_killed_worker_still_loses_nothing(
    service: MakeService, numbers: Iterator[int], own_memory: Path, how: str
) -> None:
    running = service(start=False)
    put_in_place(running, own_memory, *([how] if how == "ro" else []))
    if how == "full":
        fill(own_memory)
    with closed(running):
        running.start()
        load = Load(running.port, numbers, body_of=body_of)
        with load.running():
            for _ in range(3):
                settle(load)
                victim = wait_for_ready_workers(running)[0]
                os.kill(victim, signal.SIGKILL)
                wait_until(lambda: victim not in running.workers(), 25, "gone")  # noqa: B023
            wait_for_ready_workers(running)
        load.check_answers()
        goes_on(running, [load])
    warned = [line for line in running.log() if " WARNING " in line and str(FOLDER) in line]
    assert len(warned) == 1, running.log()


# More than come between two commits.
QUEUE = 200


@pytest.mark.tools
@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("times", [3])
def test_what_killed_services_left_waits_as_long_as_nothing_can_be_stored(
    service: MakeService, numbers: Iterator[int], times: int
) -> None:
    """One killed service after the other, which find the queues full, and then a stop."""
    running = service(start=False, write_queue_maxsize=QUEUE)
    loads: list[Load] = []
    for _ in range(times):
        with write_lock_at_rest(running):
            for left in (kill_all, kill_all, Service.stop):
                running.start()
                running.wait_for_workers()
                loads.append(load := Load(running.port, numbers, body_of=body_of))
                with load.running():
                    settle_on(load, 503)
                left(running)
    running.start()
    acknowledged = sum(len(load.acknowledged) for load in loads)
    wait_until(lambda: running.count() >= acknowledged, 60, "what was left is stored")
    goes_on(running, loads)


@contextmanager
def write_lock_at_rest(running: Service) -> Iterator[None]:
    """The database is locked by somebody from before the start on."""
    running.start()
    running.stop()
    with write_lock(running.database):
        yield


@pytest.mark.tools
@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("times", [5])
def test_a_start_beside_workers_whose_master_was_killed_takes_what_they_leave(
    service: MakeService, numbers: Iterator[int], promise: dict[str, Any], times: int
) -> None:
    """They still store or save their queues when the new service begins."""
    running, following = service(**promise), service(start=False, **promise)
    loads: list[Load] = []
    for number in range(times):
        loads.append(load := Load(running.port, numbers, body_of=body_of))
        with load.running():
            settle(load)
            with write_lock(running.database):
                before = len(load.sent)
                wait_until(lambda: len(load.sent) > before + 8, 30, "more come")  # noqa: B023
                orphans = running.members() - {running.pid}
                os.kill(running.pid, signal.SIGKILL)
                running.process.wait(25)
                if number % 2:
                    os.kill(min(orphans), signal.SIGKILL)
                following.launch()
        running, following = following, running
        wait_until(lambda: answers(running), 60, "the new one answers")  # noqa: B023
        wait_for_ready_workers(running)
    goes_on(running, loads)
