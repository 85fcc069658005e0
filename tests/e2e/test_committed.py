"""ACK=committed over real processes: a 200 is a row, whoever is killed a moment later."""

import itertools
import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.conftest import MakeService
from tests.e2e.load import Load, check_rows, stored_numbers
from tests.e2e.senders import (
    HOST,
    LATEST_ANSWER_SEC,
    check_ingest_answer,
    exchange,
    reading_of,
)
from tests.e2e.service import Service, wait_until
from tests.support.both_engines import write_lock

KILLS = 3
# Three times as many as both workers have threads to work with.
WAITING_SENDERS = 12


def test_the_answer_says_committed_and_the_row_is_there(service: MakeService) -> None:
    # The interval of the other mode would hold the answer back for a minute.
    running = service(ack="committed", commit_interval_sec=60)
    for number in range(20):
        answer = running.post("data2", reading_of(number))
        check_ingest_answer(answer)
        assert (answer.status, answer.json) == (200, {"status": "committed"})
        assert running.count() == number + 1
    body = json.dumps(reading_of(20)).encode()
    head = f"POST /data2 HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
    keyed = f"{head}Idempotency-Key: 20\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    statuses = [exchange(running.port, keyed).json["status"] for _ in range(3)]
    assert (statuses, running.count()) == (["committed", "duplicate", "duplicate"], 21)
    running.stop()


@pytest.mark.tools
def test_a_killed_worker_takes_nothing_that_was_answered(service: MakeService) -> None:
    running = service(ack="committed")
    load = Load(running.port)
    with load.running():
        for _ in range(KILLS):
            load.burst()
            kill_a_worker(running)
        load.burst()
    assert load.statuses.keys() == {200}
    running.stop()
    check_rows(running, [load])
    running.check_integrity()


@pytest.mark.long
def test_killed_workers_take_nothing_again_and_again(service: MakeService) -> None:
    running = service(ack="committed")
    load = Load(running.port)
    with load.running():
        for _ in range(50):
            load.burst()
            kill_a_worker(running)
    running.stop()
    check_rows(running, [load])
    running.check_integrity()


def kill_a_worker(service: Service) -> None:
    service.wait_for_workers()
    victim = min(service.workers())
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: victim not in service.workers(), 25, "the killed worker is gone")
    service.wait_for_workers()


@pytest.mark.tools
@pytest.mark.parametrize(
    "how",
    [
        pytest.param(signal.SIGTERM, id="SIGTERM"),
        pytest.param(signal.SIGINT, id="SIGINT", marks=pytest.mark.long),
    ],
)
def test_who_waits_at_a_stop_is_answered(service: MakeService, how: signal.Signals) -> None:
    running = service(start=False, ack="committed")
    numbers = itertools.count(1)
    loads = []
    for _ in range(2):
        running.start()
        load = Load(running.port, numbers)
        with load.running():
            load.burst()
            running.stop(how)
        load.check_answers()
        loads.append(load)
        check_rows(running, loads)
    running.check_integrity()


@pytest.mark.tools
def test_a_lock_held_elsewhere_is_a_503_in_time_and_nothing_is_lost(service: MakeService) -> None:
    running = service(ack="committed", ack_timeout_sec=0.5)
    assert running.post("data2", reading_of(0)).status == 200
    with write_lock(running.database):
        for number in (1, 2, 3):
            started = time.monotonic()
            answer = running.post("data2", reading_of(number))
            assert time.monotonic() - started < LATEST_ANSWER_SEC
            check_ingest_answer(answer)
            assert answer.status == 503
            assert answer.json == {
                "status": "queued_failed",
                "detail": "not committed within 0.5 s; it may yet be stored",
            }
            assert int(answer.headers["retry-after"]) > 0
        assert running.get("/readyz").status == 503
    # "It may yet be stored": the readings were kept and go in as soon as it is possible.
    running.wait_for_rows(4)
    wait_until(lambda: running.get("/readyz").status == 200, 25, "/readyz is 200 again")
    assert running.post("data2", reading_of(4)).json == {"status": "committed"}
    assert sorted(stored_numbers(running)) == [0, 1, 2, 3, 4]
    running.stop()


def test_who_waits_for_a_commit_holds_up_nobody(service: MakeService) -> None:
    """More senders than threads, while nothing can be committed: each is let in at once."""
    running = service(ack="committed", ack_timeout_sec=8)
    numbers = range(WAITING_SENDERS)
    with ThreadPoolExecutor(WAITING_SENDERS) as senders:
        with write_lock(running.database):
            answers = senders.map(lambda n: running.post("data2", reading_of(n)), numbers)
            wait_until(
                lambda: running.get("/metrics").json["queue_length"] == WAITING_SENDERS,
                30,
                "all wait together",
            )
        # One that had to wait for another's end to be let in would have outlasted its time.
        assert [answer.status for answer in answers] == [200] * WAITING_SENDERS
    running.stop()
    assert sorted(stored_numbers(running)) == list(numbers)
