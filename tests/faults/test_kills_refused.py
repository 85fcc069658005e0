"""Workers are killed while the database refuses some of the readings."""

import os
import random
import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import MakeService
from tests.e2e.load import Load, stored_numbers
from tests.e2e.service import Service, wait_until
from tests.faults.repeat import harder_promise, repeated
from tests.faults.test_kills import kill_all, settle, wait_for_ready_workers
from tests.faults.test_store import kept_as_rejected
from tests.support.both_engines import refuse
from tests.support.rows import execute

pytestmark = pytest.mark.tools

POISON_EACH = 7


def poison(service: Service, error: str) -> None:
    """Let the database refuse some readings in this way."""
    seventh = f"CAST(NEW.gas_resistance AS INTEGER) % {POISON_EACH} = 0"
    execute(service.database, refuse("readings", seventh, "poison", error))


@harder_promise
@pytest.mark.parametrize("error", ["ABORT", pytest.param("ROLLBACK", marks=pytest.mark.long)])
@repeated(2, 10)
def test_kills_while_some_readings_are_refused(
    service: MakeService, numbers: Iterator[int], promise: dict[str, Any], error: str, times: int
) -> None:
    """Each reading is a row or among the rejected, once, and nobody is told the wrong thing."""
    running = service(**promise)
    poison(running, error)
    loads: list[Load] = []
    for number in range(times):
        loads.append(load := Load(running.port, numbers))
        with load.running():
            settle(load)
            workers = wait_for_ready_workers(running)
            if number % 4 == 1:
                kill_all(running)
            else:
                os.kill(random.choice(workers), signal.SIGKILL)
                wait_until(lambda: not {*workers} <= running.workers(), 25, "gone")  # noqa: B023
        if number % 4 == 1:
            running.start()
        wait_for_ready_workers(running)
    wait_until(lambda: running.get("/metrics").json["queue_length"] == 0, 60, "nothing waits")
    running.stop()

    running.check_integrity()
    sent = Counter(number for load in loads for number in load.sent)
    acknowledged = {number for load in loads for number in load.acknowledged}
    stored, kept = stored_numbers(running), Counter(kept_as_rejected(running))
    assert stored - sent == kept - sent == Counter(), "more often than sent"
    assert acknowledged - stored.keys() == acknowledged & kept.keys(), "neither or both"
    assert all(number % POISON_EACH == 0 for number in kept)
    assert kept
    if promise:
        assert not acknowledged & kept.keys(), "200 for a reading that was refused"
        refused = sum(load.statuses[400] for load in loads)
        assert refused <= len(kept)
