"""Somebody deletes files of the database under the service: what they held is copied at once."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import make_services
from tests.e2e.load import Load
from tests.e2e.senders import reading_of
from tests.e2e.service import Service, wait_until
from tests.faults.figures import Account, account, record
from tests.faults.repeat import harder_promise, repeated
from tests.faults.sender import Sender, wait_for_leftovers
from tests.faults.test_damage import (
    check_closed,
    is_closed,
    numbers_in,
    start_inspected,
)
from tests.faults.test_kills import variant, wait_for_ready_workers

pytestmark = [pytest.mark.tools, pytest.mark.sqlite_only("deleted files of the database")]

COPIED = "CRITICAL Everything that was stored, up to reading "
WAL, SHARED_MEMORY, DATABASE = "-wal", "-shm", ""

each_file = pytest.mark.parametrize(
    "names",
    [
        pytest.param([WAL], id="the WAL"),
        pytest.param([SHARED_MEMORY], id="the shared memory", marks=pytest.mark.long),
        pytest.param([WAL, SHARED_MEMORY], id="both", marks=pytest.mark.long),
        pytest.param([DATABASE, WAL, SHARED_MEMORY], id="all", marks=pytest.mark.long),
    ],
)


@harder_promise
@each_file
@repeated(1, 5)
def test_files_that_are_deleted_while_the_service_runs(
    tmp_path: Any, numbers: Iterator[int], promise: dict[str, Any], names: list[str], times: int
) -> None:
    for number in range(times):
        with make_services(tmp_path / str(number)) as service:
            counted = delete_files(service(start=False, **promise), Load(0, numbers), names)
        record("files-lost", variant(promise), 1, counted)


def delete_files(service: Service, load: Load, names: list[str]) -> Account:
    """Delete them under load, then kill the service; what was acknowledged comes back."""
    lose_files(service, load, names)
    committed = service.environment.get("FLASK10X_ACK") == "committed"
    (copy,) = wait_for_copy(service)
    assert copy.stat().st_mode & 0o777 == 0o640
    in_copy = set(numbers_in(service, copy))
    if committed:
        assert set(load.acknowledged) <= in_copy
        kill(service)
    else:
        # What was in the queues goes into files, for the next start.
        service.stop()
    assert len([line for line in service.log() if COPIED in line]) == 1

    # Whatever the names lead to now, it is not what was stored.
    if names != [SHARED_MEMORY]:
        check_warned(service, load.numbers)
    done = service.command("restore", str(copy))
    assert done.returncode == 0, done.stderr
    assert not copy.exists()
    assert copy.with_name(f"{copy.name}.restored").exists()

    service.start()
    last = Sender(service, load.numbers)
    last.check_goes_on()
    wait_for_leftovers(service)
    service.stop()
    service.check_integrity()
    counted = account(service, [load, last])
    assert counted.lost == set()
    return counted


def lose_files(service: Service, load: Load, names: list[str]) -> None:
    start_inspected(service)
    wait_for_ready_workers(service)
    load.port = service.port
    with load.running():
        load.burst()
        for name in names:
            service.database.with_name(f"{service.database.name}{name}").unlink()
        wait_until(lambda: is_closed(service), 30, "it is found")
    check_closed(service, load.numbers)


def wait_for_copy(service: Service) -> list[Any]:
    service.wait_for_line(COPIED, 60)
    found = list(service.data_dir.glob("flask10x.sqlite3.rescued-*"))
    reasons = " ".join(service.get("/readyz").json["reasons"])
    assert "while in use" in reasons
    assert f"is copied to {found[0].name}" in reasons
    return found


def kill(service: Service) -> None:
    os.killpg(service.pid, signal.SIGKILL)
    service.close()


def check_warned(service: Service, numbers: Iterator[int]) -> None:
    """The next start stores nothing into the poorer database, and says what to do."""
    service.starts_migrated = False
    service.start()
    if service.database.exists():
        wait_until(lambda: is_closed(service), 30, "it is said")
        check_closed(service, numbers)
        words = " holds readings that the database lacks ("
        assert "FAIL rescued" in service.command("check").stdout
    else:
        # Nor is a new one made.
        words = " holds what it had: "
        assert service.post("data2", reading_of(next(numbers))).status == 503
    (reason,) = service.get("/readyz").json["reasons"]
    assert words in reason
    assert "flask10x restore" in reason
    service.stop()
