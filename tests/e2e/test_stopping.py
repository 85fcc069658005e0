"""Signals under full load: every reading that was answered with 200 is a row afterwards."""

import itertools
import signal
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import MakeService
from tests.e2e.load import Load, check_rows
from tests.e2e.service import Service, wait_until


@pytest.fixture
def numbers() -> Iterator[int]:
    """The numbers of all readings of one test, each once."""
    return itertools.count(1)


def stop_under_load(service: Service, how: signal.Signals, numbers: Iterator[int]) -> Load:
    """Start, post from four clients, signal while they post; the exit status has to be 0."""
    service.start()
    load = Load(service.port, numbers)
    with load.running():
        load.burst()
        service.stop(how)
    load.check_answers()
    return load


@pytest.mark.parametrize(
    ("how", "times"),
    [
        (signal.SIGTERM, 1),
        pytest.param(signal.SIGINT, 1, marks=pytest.mark.tools),
        pytest.param(signal.SIGTERM, 20, marks=pytest.mark.long),
        pytest.param(signal.SIGINT, 100, marks=[pytest.mark.long, pytest.mark.timeout(600)]),
    ],
    ids=["SIGTERM", "SIGINT", "SIGTERM-long", "SIGINT-long"],
)
def test_a_stop_under_load_loses_nothing(
    service: MakeService, numbers: Iterator[int], how: signal.Signals, times: int
) -> None:
    running = service(start=False)
    loads: list[Load] = []
    for _ in range(times):
        loads.append(stop_under_load(running, how, numbers))
        check_rows(running, loads)
    running.check_integrity()


@pytest.mark.tools
def test_sighup_under_load_replaces_the_workers_and_loses_nothing(
    service: MakeService, numbers: Iterator[int]
) -> None:
    running = service()
    load = Load(running.port, numbers)
    with load.running():
        load.burst()
        reload_workers(running)
        load.burst()
    # Unlike at a stop, the listening socket stays open: no sender notices anything.
    assert load.statuses.keys() == {200}
    assert load.broken == []
    load.check_answers()
    running.stop()
    check_rows(running, [load])
    running.check_integrity()


def reload_workers(service: Service) -> None:
    service.wait_for_workers()
    before = service.workers()
    service.process.send_signal(signal.SIGHUP)

    def replaced() -> bool:
        after = service.workers()
        return len(after) == service.number_of_workers and not before & after

    wait_until(replaced, 25, "all workers are replaced")
    assert service.process.poll() is None
    assert service.get("/healthz").json == {"status": "ok"}
