"""Garbage is kept in no hurry, within bounds, and never at a good reading's cost."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.errors import LockTimeout
from flask10x.readings.reasons import Reason
from flask10x.recording.rejected import RejectedReading
from flask10x.recording.rejected_queue import RejectedQueue
from flask10x.recording.writer import Writer
from tests.conftest import MakeSettings
from tests.support.both_engines import BUSY, make_impatient, refuse, write_lock
from tests.support.rows import execute, pico, select

AT = 1_756_000_000_000
# A body of data4 with a failed sensor, as it is found in the field.
TYPICAL = (
    b'{"mh_z19": {"co2": 650}, "mq_2": {"analog_value": 1200, "voltage": 0.97}, '
    b'"ds18b20": {"temperature": null}, "dht11": {"temperature": 25, "humidity": 52}}'
)
KEPT = "SELECT received_at FROM rejected ORDER BY id"


class Clock:
    def __init__(self) -> None:
        self.now_sec = 1000.0

    def __call__(self) -> float:
        return self.now_sec


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rejected_queue(settings: Settings, database: Database, clock: Clock) -> RejectedQueue:
    return RejectedQueue(settings, database, clock)


def refused(number: int = 0, body: bytes = TYPICAL) -> RejectedReading:
    reasons = {"ds18b20.temperature": Reason("missing")}
    return RejectedReading("data4", number, "application/json", body, reasons)


def kept(database: Database) -> list[int]:
    return [at for (at,) in select(database.path, KEPT)]


def counter(database: Database, name: str) -> list[tuple[int]]:
    return select(database.path, f"SELECT value FROM counters WHERE name = '{name}'")


def test_a_lone_refusal_is_stored_at_once_and_the_next_after_a_pause(
    rejected_queue: RejectedQueue, clock: Clock, database: Database
) -> None:
    rejected_queue.take(refused(1))
    rejected_queue.step()
    rejected_queue.take(refused(2))
    rejected_queue.take(refused(3))
    clock.now_sec += 4.9
    rejected_queue.step()
    assert kept(database) == [1]
    clock.now_sec += 0.2
    rejected_queue.step()
    assert kept(database) == [1, 2, 3]
    assert rejected_queue.depth == 0


def test_what_comes_too_fast_is_dropped_and_counted(
    rejected_queue: RejectedQueue,
    clock: Clock,
    database: Database,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "flask10x.recording.rejected_queue")
    for number in range(1000):
        rejected_queue.take(refused(number))
    # Each of these needs one page of 512 bytes, and 320 KiB may wait.
    assert rejected_queue.depth == 640
    rejected_queue.step()
    assert kept(database) == list(range(128))
    assert counter(database, "rejected_dropped") == [(360,)]
    assert caplog.messages == ["360 refused readings were not kept, they came too fast"]
    # 64 KiB at 4 KiB a second.
    clock.now_sec += 15.9
    rejected_queue.step()
    assert len(kept(database)) == 128
    clock.now_sec += 0.2
    rejected_queue.step()
    assert len(kept(database)) == 256
    assert counter(database, "rejected_dropped") == [(360,)]


def test_a_flood_writes_little_however_long_it_lasts(
    rejected_queue: RejectedQueue, clock: Clock, database: Database
) -> None:
    seconds = 600
    for _ in range(seconds):
        for number in range(50):
            rejected_queue.take(refused(number))
        rejected_queue.step()
        clock.now_sec += 1.0
    assert rejected_queue.depth <= 640
    ((rows,),) = select(database.path, "SELECT count(*) FROM rejected")
    # One page each; 4 KiB a second are 8 rows a second.
    assert 7 * seconds < rows <= 8 * seconds + 128
    ((dropped,),) = counter(database, "rejected_dropped")
    assert dropped >= 50 * seconds - rows - 640 - 16 * 50


def test_bodies_of_the_greatest_length_fit(
    rejected_queue: RejectedQueue, clock: Clock, database: Database
) -> None:
    for number in range(6):
        rejected_queue.take(refused(number, b"x" * 65536))
    assert rejected_queue.depth == 4
    rejected_queue.step()
    assert kept(database) == [0]
    rejected_queue.finish()
    assert kept(database) == [0, 1, 2, 3]
    # What was dropped before is counted as soon as something is stored.
    assert counter(database, "rejected_dropped") == [(2,)]


def test_the_oldest_go_and_are_counted(
    make_settings: MakeSettings,
    database: Database,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "flask10x.recording.rejected_queue")
    rejected_queue = RejectedQueue(make_settings(REJECTED_MAX_ROWS=10), database, clock)
    for number in range(12):
        rejected_queue.take(refused(number))
    rejected_queue.step()
    assert kept(database) == [3, 4, 5, 6, 7, 8, 9, 10, 11]
    assert counter(database, "rejected_evicted") == [(3,)]
    assert caplog.messages == ["The table of rejected readings is full: the oldest 3 are gone"]


def test_a_locked_database_keeps_them_waiting_and_is_said_once(
    rejected_queue: RejectedQueue,
    clock: Clock,
    database: Database,
    caplog: pytest.LogCaptureFixture,
) -> None:
    make_impatient(database)
    rejected_queue.take(refused(1))
    with write_lock(database.path):
        for _ in range(3):
            rejected_queue.step()
            clock.now_sec += 60
        (said,) = caplog.messages
        assert said == f"Cannot keep refused readings: {BUSY}"
        rejected_queue.finish()
        assert caplog.messages[1:] == ["Stopping with 1 refused readings not kept"]
    rejected_queue.step()
    assert kept(database) == [1]


def test_a_refusal_that_the_database_refuses_too_is_dropped(
    rejected_queue: RejectedQueue,
    clock: Clock,
    database: Database,
    caplog: pytest.LogCaptureFixture,
) -> None:
    execute(
        database.path,
        refuse("rejected", "NEW.received_at = 2", "two is not wanted"),
    )
    rejected_queue.take(refused(2))
    rejected_queue.step()
    assert rejected_queue.depth == 0
    assert "two is not wanted" in caplog.messages[0]
    rejected_queue.take(refused(3))
    clock.now_sec += 60
    rejected_queue.step()
    assert kept(database) == [3]
    assert counter(database, "rejected_dropped") == [(1,)]


def test_the_writer_keeps_them_and_also_when_it_closes(writer: Writer, database: Database) -> None:
    writer.start()
    writer.rejected_queue.take(refused(1))
    # Behind a good reading they need not wait for the next idle look.
    writer.submit(pico(1))
    writer.rejected_queue.take(refused(2))
    assert writer.close(10) == 0
    assert kept(database) == [1, 2]


def wal_bytes(database: Path) -> int:
    return database.with_name(database.name + "-wal").stat().st_size


@pytest.mark.sqlite_only("bytes of the WAL are counted")
def test_a_refused_reading_costs_the_card_no_more_than_a_good_one(
    rejected_queue: RejectedQueue, clock: Clock, writer: Writer, database: Database
) -> None:
    """Both alone in their commits, over 200 of them, as a sensor sends them every 20 s."""
    writer.submit(pico(0))
    writer.step()
    good_at = wal_bytes(database.path)
    for number in range(200):
        writer.submit(pico(number))
        writer.step()
    refused_at = wal_bytes(database.path)
    for number in range(200):
        rejected_queue.take(refused(number))
        rejected_queue.step()
        clock.now_sec += 20
    end = wal_bytes(database.path)
    assert len(kept(database)) == 200
    assert end - refused_at <= refused_at - good_at


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize("made", [True, False])
def test_what_a_commit_of_unknown_end_has_kept_is_not_kept_again(
    rejected_queue: RejectedQueue,
    clock: Clock,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    made: bool,
    settled: bool,
) -> None:
    """The answer to COMMIT was lost, or its row is on one machine only."""
    commit = database.commit

    @contextmanager
    def unanswered() -> Iterator[Connection]:
        if made:
            with commit() as connection:
                yield connection
            raise LockTimeout("outcome unknown")
        with pytest.raises(OSError), commit() as connection:
            yield connection
            raise OSError
        raise LockTimeout("outcome unknown")

    # Its row is there, or was there and is gone.
    knocking = replace(refused(1), endpoint="porch", is_storable=False)
    rejected_queue.take_unknown(knocking)
    if settled:
        rejected_queue.step()
        clock.now_sec += 60
        execute(database.path, "DELETE FROM rejected")
        rejected_queue.take_unknown(knocking)
    for number in range(700):
        rejected_queue.take(refused(number))
    for _ in range(2):
        monkeypatch.setattr(database, "commit", unanswered)
        rejected_queue.step()
        # Nothing of what has come since is taken for kept.
        rejected_queue.take(refused(1000))
        monkeypatch.undo()
        clock.now_sec += 60
    rejected_queue.finish()
    assert sorted(kept(database)) == sorted([*range(640), 1])
    assert counter(database, "rejected_dropped") == [(60 + 2,)]
