"""Stops at the worst moment, and two services that want one database."""

import json
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from flask10x.recording.queue_file import queue_path
from tests.e2e.conftest import MakeService
from tests.e2e.load import Load
from tests.e2e.senders import raw_connection, read_answer, reading_of
from tests.e2e.service import STOP_WITHIN_SEC, WORKERS, Service, wait_until
from tests.e2e.test_status import accepted_by
from tests.faults.figures import Account, account, record
from tests.faults.repeat import early_promise, repeated
from tests.faults.sender import Sender, wait_for_leftovers
from tests.faults.test_inside import hooked
from tests.faults.test_kills import variant
from tests.support.both_engines import POSTGRES, write_lock

QUEUE = 50


def fill_queues(service: Service, load: Load, *, committed: bool = False) -> None:
    """Post until every worker refuses; needs somebody who holds the write lock."""
    with load.running():
        wait_until(
            lambda: service.get("/metrics").json["queue_length"] == WORKERS * QUEUE,
            30,
            "the queues of both workers are full",
        )
    # With ACK=committed those in the queue were told that they may yet be stored.
    assert load.statuses.keys() == ({503} if committed else {200, 503})
    assert len(load.acknowledged) == load.statuses[200]


@pytest.mark.tools
@early_promise
@repeated(1, 50)
def test_sigterm_at_a_full_queue_with_a_slow_request_in_flight(
    service: MakeService, numbers: Iterator[int], promise: dict[str, Any], times: int
) -> None:
    # The shorter the time to wait for a commit, the sooner a queue is full under ACK=committed.
    running = service(start=False, write_queue_maxsize=QUEUE, ack_timeout_sec=0.1, **promise)
    loads: list[Load] = []
    slow = Sender(running, numbers)
    for _ in range(times):
        running.start()
        running.wait_for_workers()
        loads.append(load := Load(running.port, numbers))
        with write_lock(running.database):
            fill_queues(running, load, committed=bool(promise))
            request = SlowRequest(running, slow)
            running.process.send_signal(signal.SIGTERM)
            # As slow as a board on a bad network; meanwhile the queue can't be stored.
            time.sleep(1)
        request.finish()
        assert running.process.wait(STOP_WITHIN_SEC) == 0
        assert running.members() == set()
    running.environment["FLASK10X_ACK_TIMEOUT_SEC"] = "8"
    running.start()
    last = Sender(running, numbers)
    last.check_goes_on()
    running.stop()

    running.check_integrity()
    stops = [line for line in running.log() if "Worker stops" in line]
    assert len(stops) == WORKERS * (times + 1)
    assert all(line.endswith(" 0 readings not stored") for line in stops)
    counted = account(running, [*loads, slow, last])
    assert counted.lost == set()
    if not promise:
        assert counted.stored == counted.acknowledged
    record("sigterm-full", variant(promise), times, counted)


class SlowRequest:
    """A reading whose last byte is kept back until `finish`."""

    def __init__(self, service: Service, sender: Sender) -> None:
        self._sender = sender
        self._number = next(sender.numbers)
        body = json.dumps(reading_of(self._number)).encode()
        self._connection = raw_connection(service.port)
        self._sock = self._connection.__enter__()
        self._sock.sendall(b"POST /data2 HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body))
        self._sock.sendall(body[:-1])
        self._rest = body[-1:]
        accepted_by(service, self._sock)

    def finish(self) -> None:
        """Send the rest; the answer has to come, and counts as any other."""
        self._sock.sendall(self._rest)
        answer = read_answer(self._sock)
        self._connection.__exit__(None, None, None)
        self._sender.sent.append(self._number)
        self._sender.statuses[answer.status] += 1
        assert answer.status in (200, 503), answer
        if answer.status == 200:
            self._sender.acknowledged.append(self._number)


@pytest.mark.tools
@repeated(1, 10)
def test_what_a_stop_cannot_store_is_stored_by_the_next_start(
    service: MakeService, numbers: Iterator[int], times: int
) -> None:
    """The store is out of reach to the end of the drain."""
    running = service(start=False, write_queue_maxsize=QUEUE)
    senders: list[Load | Sender] = []
    for _ in range(times):
        running.start()
        running.wait_for_workers()
        load = Load(running.port, numbers)
        with write_lock(running.database):
            fill_queues(running, load)
            running.stop()
        senders.append(load)
    running.start()
    senders.append(last := Sender(running, numbers))
    last.check_goes_on()
    wait_for_leftovers(running)
    running.stop()

    running.check_integrity()
    for said in ("Stopping with 50 readings not stored: ", "Stored 50 readings that a stop had"):
        assert len([line for line in running.log() if said in line]) == WORKERS * times
    counted = account(running, senders)
    assert counted.lost == set()
    record("stop-locked", "ACK=enqueued", times, counted)


@pytest.mark.long
@pytest.mark.parametrize("short_of", ["nothing", "threads"])
def test_what_a_worker_has_left_that_is_killed_during_a_stop_survives_a_reboot(
    service: MakeService, numbers: Iterator[int], short_of: str
) -> None:
    running = service(start=False, workers=1, commit_interval_sec=600)
    marker = hooked(running, "FAULT_NO_THREADS")
    running.start()
    sender = Sender(running, numbers)
    sender.post_times(3)
    (worker,) = running.workers()
    os.kill(worker, signal.SIGSTOP)
    marker.write_text(short_of)
    running.process.send_signal(signal.SIGTERM)
    # It replaces nobody from here on.
    wait_until(lambda: "Handling signal: term" in running.output(), 30, "the master stops")
    os.kill(worker, signal.SIGKILL)
    assert running.process.wait(STOP_WITHIN_SEC) == 0
    assert not queue_path(running.database.resolve()).exists(), "nothing waits in memory"
    marker.unlink()
    running.start()
    wait_for_leftovers(running)
    running.stop()
    assert account(running, [sender]).lost == set()
    assert running.count() == 3


@pytest.mark.long
@pytest.mark.tools
@repeated(1, 10)
def test_equal_readings_that_a_stop_cannot_store_are_all_stored(
    service: MakeService, times: int
) -> None:
    """Both workers leave readings of the same millisecond with the same values."""
    running = service(start=False, write_queue_maxsize=QUEUE)
    hooked(running, "FAULT_CLOCK_STANDS")
    loads: list[Load] = []
    for _ in range(times):
        running.start()
        running.wait_for_workers()
        loads.append(load := Load(running.port, body_of=lambda _number: reading_of(1)))
        with write_lock(running.database):
            fill_queues(running, load)
            running.stop()
    running.start()
    acknowledged = sum(load.statuses[200] for load in loads)
    wait_for_leftovers(running)
    running.stop()

    running.check_integrity()
    assert running.count() == acknowledged == WORKERS * QUEUE * times
    assert len(running.rows("SELECT DISTINCT received_at FROM readings")) <= times + 1
    refused = sum(load.statuses[503] for load in loads)
    sent = sum(len(load.sent) for load in loads)
    counted = Account(sent, acknowledged, refused, 0, running.count(), frozenset())
    record("stop-equal", "ACK=enqueued", times, counted)


@pytest.mark.tools
@repeated(1, 20)
def test_of_two_services_that_start_together_one_gets_the_database(
    service: MakeService, numbers: Iterator[int], times: int
) -> None:
    first = service(start=False)
    # The same database under another name: the locks have to be the same all the same.
    second = service(start=False, **other_name(first))
    loads: list[Load] = []
    for _ in range(times):
        for one in (first, second):
            one.launch()
        wait_until(lambda: ended(first) or ended(second), 30, "one of the two has ended")
        winner, loser = (second, first) if ended(first) else (first, second)
        assert loser.process.wait(30) == 1
        assert f"(process {winner.pid}) already uses" in loser.output()
        wait_until(lambda: answers(winner), 30, "the other one answers")  # noqa: B023
        loads.append(load := Load(winner.port, numbers))
        with load.running():
            load.burst()
        assert load.statuses.keys() == {200}
        winner.stop()
    first.start()
    last = Sender(first, numbers)
    last.check_goes_on()
    first.stop()

    first.check_integrity()
    assert [line for line in first.log() if " INFO " not in line] == []
    counted = account(first, [*loads, last])
    assert counted.lost == set()
    record("two-services", "ACK=enqueued", times, counted)


def other_name(service: Service) -> dict[str, str]:
    """The setting of another name of the database of this service."""
    service.data_dir.mkdir()
    if POSTGRES:
        return {"database_url": service.environment["FLASK10X_DATABASE_URL"] + "?connect_timeout=9"}
    link = service.folder / "link.sqlite3"
    link.symlink_to(service.database)
    return {"database_url": f"sqlite:///{link}"}


def ended(service: Service) -> bool:
    """Whether the service is no longer running."""
    return service.process.poll() is not None


def answers(service: Service) -> bool:
    """Whether the service listens and answers."""
    try:
        return service.get("/healthz").status == 200
    except OSError:
        return False
