"""A worker or everything is killed at a line of the writer, wherever that is in a commit.

All readings come in at one moment by their clock, and some have equal values.
"""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import MakeService
from tests.e2e.load import Load
from tests.e2e.service import Service, wait_until
from tests.faults.equals import body_of
from tests.faults.repeat import early_promise, repeated
from tests.faults.test_inside import hooked
from tests.faults.test_kills import goes_on, settle, wait_for_ready_workers
from tests.faults.test_stops import answers

pytestmark = pytest.mark.tools

# About as many as one turn of the writer has, with a look after what others have left.
LINES = 400


def strike(steer: Path, victim: str) -> None:
    """Let the next writer that looks die so many lines later."""
    written = steer.with_suffix(".new")
    written.write_text(f"{random.randrange(1, LINES)} {victim}")
    written.rename(steer)


def use_until_dead(running: Service, numbers: Iterator[int]) -> Load:
    """Send to a service that starts, if it gets so far, until all its processes are gone."""
    load = Load(running.port, numbers, body_of=body_of)
    wait_until(lambda: not running.members() or answers(running), 30, "it answers or is dead")
    with load.running():
        wait_until(lambda: not running.members(), 60, "everything is dead")
    return load


@early_promise
@repeated(3, 50)
def test_a_worker_that_is_killed_at_any_line_of_its_writer(
    service: MakeService, numbers: Iterator[int], promise: dict[str, Any], times: int
) -> None:
    running = service(start=False, **promise)
    hooked(running, "FAULT_CLOCK_STANDS")
    steer = hooked(running, "FAULT_DIE_AT_LINE")
    running.start()
    load = Load(running.port, numbers, body_of=body_of)
    with load.running():
        for _ in range(times):
            settle(load)
            before = set(wait_for_ready_workers(running))
            strike(steer, "worker")
            wait_until(lambda: before - running.workers(), 30, "a worker is dead")  # noqa: B023
        wait_for_ready_workers(running)
    load.check_answers()
    goes_on(running, [load])


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("times", [15])
def test_everything_is_killed_at_any_line_and_again_while_the_rest_is_stored(
    service: MakeService, numbers: Iterator[int], promise: dict[str, Any], times: int
) -> None:
    running = service(start=False, **promise)
    hooked(running, "FAULT_CLOCK_STANDS")
    steer = hooked(running, "FAULT_DIE_AT_LINE")
    loads: list[Load] = []
    for _ in range(times):
        running.start()
        loads.append(load := Load(running.port, numbers, body_of=body_of))
        with load.running():
            settle(load)
            strike(steer, "all")
            wait_until(lambda: not running.members(), 30, "everything is dead")
        for _again in range(random.randrange(3)):
            strike(steer, "all")
            running.launch()
            loads.append(use_until_dead(running, numbers))
    running.start()
    goes_on(running, loads)
