"""Processes killed outright, and a second service on the same database."""

import itertools
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import MakeService
from tests.e2e.senders import LATEST_ANSWER_SEC, Answer, check_ingest_answer, reading_of
from tests.e2e.service import WORKERS, Service, open_files, wait_until
from tests.support import postgres
from tests.support.both_engines import POSTGRES, write_lock


def database_files(service: Service, pid: int) -> set[str]:
    """Which of the database's files a process has open."""
    names = {f"{service.database}{suffix}" for suffix in ("", "-wal", "-shm", "-journal")}
    return names & set(open_files(pid))


def has_opened_the_database(service: Service, pid: int) -> bool:
    """Whether a process has a file of the database open, or a connection to its server."""
    if not POSTGRES:
        return bool(database_files(service, pid))
    server = f":{postgres.shared().port:04X}"
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    connections = {f"socket:[{line[9]}]" for line in lines if line[2].endswith(server)}
    return bool(connections & set(open_files(pid)))


@pytest.mark.sqlite_only("open files of the database")
def test_a_database_is_held_by_one_service_until_it_stops(service: MakeService) -> None:
    first = service()
    for number in range(20):
        assert first.post("data2", reading_of(number)).status == 200
    first.wait_for_rows(20)
    check_master_holds_no_handle(first)

    second = service(start=False)
    second.launch()
    status = second.process.wait(25)
    assert status != 0
    assert f"process {first.pid}" in second.output()
    assert "Traceback" not in second.output()
    assert second.members() == set()

    assert first.post("data2", reading_of(21)).status == 200
    first.wait_for_rows(21)
    first.stop()
    second.start()
    assert second.post("data2", reading_of(22)).status == 200
    second.stop()
    assert second.count() == 22


def check_master_holds_no_handle(running: Service) -> None:
    held = [database_files(running, worker) for worker in running.workers()]
    assert str(running.database) in set().union(*held), "a worker does hold it"
    assert database_files(running, running.pid) == set()


@pytest.mark.tools
def test_a_lock_held_by_another_process_fills_the_queue_and_loses_nothing(
    service: MakeService,
) -> None:
    running = service(write_queue_maxsize=20, commit_interval_sec=0)
    assert running.post("data2", reading_of(0)).status == 200
    running.wait_for_rows(1)

    with write_lock(running.database):
        held = HeldLock(running)
        held.post_until_refused(3.0)
        held.check_not_ready()
    assert held.refused > 0
    assert 20 <= len(held.acknowledged) <= 2 * 20, "each worker queues what its bound allows"

    running.wait_for_rows(1 + len(held.acknowledged))
    wait_until(lambda: running.get("/readyz").status == 200, 25, "/readyz is 200 again")
    assert running.post("data2", reading_of(1_000_000)).status == 200
    running.wait_for_rows(2 + len(held.acknowledged))
    stored = running.rows("SELECT gas_resistance FROM readings ORDER BY 1")
    assert [number for (number,) in stored] == [0.0, *held.acknowledged, 1_000_000.0]
    running.stop()
    # A thread writes the log; after the stop it is whole.
    warnings = [line for line in running.log() if " WARNING " in line]
    # What is held for long is said, too.
    others = [line for line in warnings if "Cannot store readings, " not in line]
    assert len(others) == 1 and len(warnings) <= 1 + WORKERS, warnings


class HeldLock:
    """What senders and operators see while somebody else holds the write lock."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.acknowledged: list[float] = []
        self.refused = 0

    def post_until_refused(self, seconds: float) -> None:
        """Post numbered readings so long, and until one is refused; each is answered in time."""
        ends = time.monotonic() + seconds
        for number in itertools.count(1):
            started = time.monotonic()
            if started > ends and self.refused:
                return
            answer = self._service.post("data2", reading_of(number))
            assert time.monotonic() - started < LATEST_ANSWER_SEC
            if answer.status == 200:
                self.acknowledged.append(float(number))
            else:
                self._check_refusal(answer)

    def _check_refusal(self, answer: Answer) -> None:
        check_ingest_answer(answer)
        assert (answer.status, answer.json) == (503, {"status": "queued_failed"})
        assert int(answer.headers["retry-after"]) > 0
        self.refused += 1

    def check_not_ready(self) -> None:
        """/readyz says that readings cannot be stored, and why; /healthz is untouched."""
        answer = self._service.get("/readyz")
        assert answer.status == 503
        assert answer.json["reasons"]
        assert all(reason for reason in answer.json["reasons"])
        assert self._service.get("/healthz").status == 200
