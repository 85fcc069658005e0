"""The disk cannot be read for a moment: SQLite calls it damage, and it is none."""

from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.e2e.conftest import MakeService
from tests.e2e.load import Load
from tests.e2e.service import Service, wait_until
from tests.faults.figures import account, record
from tests.faults.read_error import SOURCE, ReadError, compiled
from tests.faults.repeat import repeated
from tests.faults.sender import Sender
from tests.faults.test_damage import FOUND, backup, read_everything, seeded, start_inspected
from tests.faults.test_kills import wait_for_ready_workers

pytestmark = [pytest.mark.tools, pytest.mark.sqlite_only("reads of the file")]

SUSPECTED = "WARNING The database may be damaged, nothing is written until it was looked at: "
CLEARED = "INFO Readings are stored again, no damage was found: "
UNREAD = f"{CLEARED}some of it cannot be read now: "


@pytest.fixture(scope="session")
def read_error_shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(SOURCE, tmp_path_factory.mktemp("shim"))


@pytest.fixture
def frail(service: MakeService, read_error_shim: Path, tmp_path: Path) -> tuple[Service, ReadError]:
    """A service whose database is longer than SQLite's cache, and the reads of it."""
    made = seeded(service)
    backup(made).unlink()
    reads = ReadError(read_error_shim, made.database.resolve(), tmp_path / "reads")
    made.environment |= reads.environment()
    return made, reads


def lines(service: Service, text: str) -> list[str]:
    return [line for line in service.log() if text in line]


def strike_until_suspected(service: Service, reads: ReadError) -> None:
    """Let reads fail, one at a time: some of them SQLite calls by their name, and tries again."""
    before = len(lines(service, SUSPECTED))

    def is_suspected() -> bool:
        if reads.has_struck:
            reads.strike()
        read_everything(service)
        return len(lines(service, SUSPECTED)) > before

    wait_until(is_suspected, 60, "it is suspected")
    reads.rest()


def is_cleared(service: Service) -> bool:
    """Whether every suspicion has ended, so that the next one is a new one."""
    return len(lines(service, SUSPECTED)) == len(lines(service, CLEARED))


def read_until(service: Service, text: str, more_than: int) -> None:
    """Download the history until a line of the log has this text once more."""

    def is_there() -> bool:
        read_everything(service)
        return len(lines(service, text)) > more_than

    wait_until(is_there, 60, f"a line: {text}")


@repeated(1, 20)
def test_one_read_that_fails_stops_the_storing_for_a_moment_only(
    frail: tuple[Service, ReadError], numbers: Iterator[int], times: int
) -> None:
    running, reads = frail
    start_inspected(running)
    wait_for_ready_workers(running)
    load = Load(running.port, numbers)
    with load.running():
        for number in range(times):
            strike_until_suspected(running, reads)
            wait_until(lambda: is_cleared(running), 120, f"it was looked at, {number}")
    last = Sender(running, numbers)
    last.check_goes_on()
    running.stop()

    running.check_integrity()
    assert lines(running, FOUND) == []
    assert len(lines(running, SUSPECTED)) >= times
    assert is_cleared(running)
    counted = account(running, [load, last])
    assert counted.lost == set()
    record("read-fails", "ACK=enqueued", times, counted)


@pytest.mark.long
def test_a_disk_that_cannot_be_read_for_long_is_not_damaged(
    frail: tuple[Service, ReadError], numbers: Iterator[int]
) -> None:
    running, reads = frail
    start_inspected(running)
    sender = Sender(running, numbers)
    sender.check_goes_on()
    with reads.lasting():
        read_until(running, UNREAD, 0)
        wait_until(lambda: "inspection" in failing(running), 30, "the inspection fails")
        sender.post_times(10)
    # The looks of a disk that fails for long have growing pauses.
    wait_until(lambda: running.get("/readyz").status == 200, 120, "it was looked at")
    sender.check_goes_on()
    running.wait_for_line("The periodic task 'inspection' works again", 60)
    running.stop()

    running.check_integrity()
    assert lines(running, FOUND) == []
    counted = account(running, [sender])
    assert counted.lost == set()
    record("read-fails", "ACK=enqueued", 1, counted)


def failing(service: Service) -> list[str]:
    answer = service.get("/readyz")
    return list(answer.json.get("failing", []))


def test_a_read_that_fails_at_the_start_is_tried_again(
    frail: tuple[Service, ReadError], numbers: Iterator[int]
) -> None:
    running, reads = frail
    reads.strike()
    running.launch()
    wait_until(lambda: reads.has_struck, 60, "a read has failed")
    wait_until(lambda: answers(running), 60, "it answers")
    Sender(running, numbers).check_goes_on()
    running.stop()
    assert lines(running, FOUND) == []


def answers(service: Service) -> bool:
    with suppress(OSError, HTTPException):
        return service.get("/healthz").status == 200
    return False
