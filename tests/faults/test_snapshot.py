"""A reader that holds an old state of the database, so that the WAL cannot begin anew."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.e2e.conftest import MakeService
from tests.e2e.load import Load
from tests.e2e.service import Service, wait_until
from tests.faults.figures import account, record
from tests.faults.repeat import harder_promise, lasting
from tests.faults.sender import Sender
from tests.faults.shared_memory import FOLDER
from tests.faults.test_kills import variant

pytestmark = [pytest.mark.tools, pytest.mark.sqlite_only("the WAL beside the file")]

LIMIT_BYTES = 4_000_000
ALARM_BYTES = 16_000_000
# What one commit of the churn rewrites, and the pause after it. SQLite's own wait for a lock looks
# every tenth of a second: without pauses the service would wait for the test.
CHURN_BYTES = 1_000_000
FOR_OTHERS_SEC = 0.2


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In memory: a commit waits for no disk there, so whoever waits does so for the reader."""
    with TemporaryDirectory(dir=FOLDER, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def wal_bytes(service: Service) -> int:
    """The size of the WAL."""
    return service.database.with_name(f"{service.database.name}-wal").stat().st_size


@contextmanager
def snapshot(database: Path) -> Iterator[None]:
    """A forgotten shell: a transaction that has read something and does not end."""
    with closing(sqlite3.connect(database, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM readings").fetchall()
        yield
        reader.execute("ROLLBACK")


def churn(database: Path, size: int) -> None:
    """Let the WAL grow by so many bytes, as hours of readings would: by many short commits."""
    with closing(sqlite3.connect(database, isolation_level=None, timeout=10)) as other:
        other.execute("PRAGMA wal_autocheckpoint = 0")
        other.execute("CREATE TABLE churn (bytes BLOB)")
        other.execute("INSERT INTO churn VALUES (zeroblob(?))", (CHURN_BYTES,))
        for _ in range(size // CHURN_BYTES + 1):
            other.execute("UPDATE churn SET bytes = randomblob(?)", (CHURN_BYTES,))
            time.sleep(FOR_OTHERS_SEC)
        other.execute("DROP TABLE churn")


def lines(service: Service, level: str) -> list[str]:
    """What the log says of the WAL at this level."""
    return [line for line in service.log() if f" {level} flask10x.sqlite3-wal " in line]


@harder_promise
@lasting(2, 60)
def test_a_reader_that_holds_a_snapshot(
    service: MakeService, numbers: Iterator[int], promise: dict[str, Any], seconds: float
) -> None:
    running = service(**promise)
    load = Load(running.port, numbers)
    with load.running():
        load.burst()
        with snapshot(running.database):
            churn(running.database, ALARM_BYTES)
            sender = Sender(running, numbers)
            sender.post_for(seconds)
            wait_until(lambda: lines(running, "WARNING"), 60, "the log warns")
            longest = wal_bytes(running)
        wait_until(lambda: wal_bytes(running) <= LIMIT_BYTES, 30, "the WAL is short again")
        wait_until(lambda: lines(running, "INFO"), 60, "the log says so")
    assert load.statuses.keys() == {200}, "nobody has waited for the reader"
    load.check_answers()
    sender.check_goes_on()
    running.stop()

    running.check_integrity()
    assert len(lines(running, "WARNING")) == len(lines(running, "INFO")) == 1
    counted = account(running, [load, sender])
    assert counted.lost == set()
    record("snapshot", variant(promise), 1, counted, seconds=seconds, wal_bytes=longest)
