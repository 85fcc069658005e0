"""The writer: batches, faults that are real, and what each leaves behind."""

import errno
import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, event

from flask10x.config.settings import Settings
from flask10x.database.counters import write_errors_name
from flask10x.database.database import Database
from flask10x.errors import QueueFull, WriterClosed
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from flask10x.recording.batch import Receipt
from flask10x.recording.shared_queue import SharedQueue, SharedQueues, WorkerSlot
from flask10x.recording.writer import Writer
from flask10x.system.gauges import Gauges
from tests.conftest import MakeSettings
from tests.support.both_engines import (
    BUSY,
    REFUSED,
    make_impatient,
    note_updates,
    refuse,
    write_lock,
)
from tests.support.rows import execute, pico, select

STORED = "SELECT pressure FROM readings ORDER BY id"


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    return make_settings(WRITE_QUEUE_MAXSIZE=10, BATCH_MAX_ROWS=4, WRITE_BACKOFF_BASE_SEC=0.001)


@pytest.fixture
def queues(settings: Settings) -> SharedQueues:
    """As the master makes them for all workers."""
    return SharedQueues.anonymous(settings.write_queue_maxsize)


@pytest.fixture
def writer(settings: Settings, database: Database, queues: SharedQueues) -> Iterator[Writer]:
    writer = Writer(
        settings,
        database,
        WorkerSlot(Gauges(BUILT_IN.by_endpoint), queues, 0),
        end_worker=lambda: None,
    )
    yield writer
    writer.close(5)


def test_a_batch_is_stored_in_order(writer: Writer, database: Database) -> None:
    assert [writer.submit(pico(n)) for n in (1, 2, 3)] == [1, 2, 3]
    writer.submit(Reading("data4", 7, (650.0, 1.0, 2.0, None, 3.0, 4.0)))
    assert writer.step() == 4
    assert writer.depth == 0
    assert select(database.path, "SELECT * FROM v_data4") == [
        (4, "1970-01-01 00:00:00", 650.0, 1.0, 2.0, None, 3.0, 4.0)
    ]
    assert select(database.path, "SELECT id, endpoint, received_at, pressure FROM readings") == [
        (1, "data", 1_756_000_000_000, 1.0),
        (2, "data", 1_756_000_000_000, 2.0),
        (3, "data", 1_756_000_000_000, 3.0),
        (4, "data4", 7, None),
    ]


def test_a_whole_batch_waits_for_no_company(
    make_settings: MakeSettings, database: Database, queues: SharedQueues
) -> None:
    settings = make_settings(WRITE_QUEUE_MAXSIZE=10, BATCH_MAX_ROWS=4, COMMIT_INTERVAL_SEC=600)
    writer = Writer(
        settings,
        database,
        WorkerSlot(Gauges(BUILT_IN.by_endpoint), queues, 0),
        end_worker=lambda: None,
    )
    writer.start()
    for n in range(4):
        writer.submit(pico(n))

    until_stored(database, 4)

    writer.close(5)


def test_what_is_answered_after_its_commit_waits_for_no_interval(
    make_settings: MakeSettings, database: Database, queues: SharedQueues
) -> None:
    settings = make_settings(WRITE_QUEUE_MAXSIZE=10, COMMIT_INTERVAL_SEC=600)
    writer = Writer(
        settings,
        database,
        WorkerSlot(Gauges(BUILT_IN.by_endpoint), queues, 0),
        end_worker=lambda: None,
    )
    writer.start()
    writer.submit(pico(1))
    # Until the thread sleeps for the interval: then it has to be woken.
    threading.Event().wait(0.05)
    receipts = [Receipt(), Receipt()]
    for number, receipt in enumerate(receipts, 2):
        writer.submit(pico(number), receipt)

    assert [receipt.wait(60) for receipt in receipts] == [True, True]
    assert select(database.path, STORED) == [(1.0,), (2.0,), (3.0,)]

    writer.close(5)


def until_stored(database: Database, number: int) -> None:
    """Return when so many readings are stored; the time limit of the suite ends it otherwise."""
    while select(database.path, "SELECT count(*) FROM readings") != [(number,)]:
        threading.Event().wait(0.01)


def test_a_reading_is_heard_even_when_it_is_refused(
    settings: Settings, database: Database, queues: SharedQueues
) -> None:
    """Also while the store fails or the queue is full: a station that sends is not silent."""
    now_sec = 100.25
    gauges = Gauges(BUILT_IN.by_endpoint)
    writer = Writer(settings, database, WorkerSlot(gauges, queues, 0), clock=lambda: now_sec)
    writer.submit(Reading("data4", 7, (650.0, 1.0, 2.0, None, 3.0, 4.0)))
    make_impatient(database)
    with write_lock(database.path):
        assert writer.step() == 0
        now_sec = 160.5
        for n in range(9):
            writer.submit(pico(n))
        assert [gauges.station(name).last_received_ms for name in BUILT_IN.by_endpoint] == [
            160_500,
            0,
            0,
            100_250,
        ]
        now_sec = 200.0
        with pytest.raises(QueueFull):
            writer.submit(pico(9))
    assert writer.close(5) == 0
    with pytest.raises(WriterClosed):
        writer.submit(pico(10))
    assert [gauges.station(name).last_received_ms for name in BUILT_IN.by_endpoint] == [
        200_000,
        0,
        0,
        100_250,
    ]


def test_all_workers_note_what_they_hear_in_one_place(
    settings: Settings, database: Database, queues: SharedQueues
) -> None:
    gauges = Gauges(BUILT_IN.by_endpoint)
    first = Writer(settings, database, WorkerSlot(gauges, queues, 0), lambda: 10.0)
    second = Writer(settings, database, WorkerSlot(gauges, queues, 1), lambda: 20.0)
    first.submit(pico(1))
    assert gauges.station("data").last_received_ms == 10_000
    second.submit(pico(2))
    assert gauges.station("data").last_received_ms == 20_000


def test_a_successor_saves_the_errors_that_a_killed_worker_could_not(
    settings: Settings, database: Database, queues: SharedQueues
) -> None:
    gauges = Gauges(BUILT_IN.by_endpoint)
    gauges.slot(0).claim(4711)
    gauges.slot(0).errors = 3
    gauges.record_killed(4711)
    successor = Writer(settings, database, WorkerSlot(gauges, queues, 0))
    successor.submit(pico(1))
    assert successor.step() == 1
    assert select(database.path, "SELECT * FROM counters") == [(write_errors_name(settings), 3)]


def test_errors_are_written_only_when_there_are_new_ones(
    settings: Settings, database: Database, queues: SharedQueues
) -> None:
    execute(
        database.path,
        f"INSERT INTO counters VALUES ('{write_errors_name(settings)}', 40)",
        "CREATE TABLE written (value INTEGER)",
        note_updates("counters", "value", "written"),
    )
    gauges = Gauges(BUILT_IN.by_endpoint)
    gauges.load_errors(40)
    writer = Writer(settings, database, WorkerSlot(gauges, queues, 0))
    for errors in (0, 0, 2, 2):
        gauges.slot(0).errors = errors
        writer.submit(pico(1))
        assert writer.step() == 1
    successor = Writer(settings, database, WorkerSlot(gauges, queues, 1))
    successor.submit(pico(1))
    assert successor.step() == 1
    assert select(database.path, "SELECT value FROM written") == [(42,)]


def test_the_oldest_that_waits_moves_with_what_is_stored(
    settings: Settings, database: Database, queues: SharedQueues
) -> None:
    now_sec = 100.0
    gauges = Gauges(BUILT_IN.by_endpoint)
    writer = Writer(settings, database, WorkerSlot(gauges, queues, 0), clock=lambda: now_sec)
    seen = [queues.oldest_ms()]
    for number in range(6):
        now_sec = 100.0 + number
        writer.submit(pico(number))
        seen.append(queues.oldest_ms())
    assert seen == [None, *[100_000] * 6]
    make_impatient(database)
    with write_lock(database.path):
        assert writer.step() == 0
        assert queues.oldest_ms() == 100_000
    # Four rows make a batch.
    assert writer.step() == 4
    assert queues.oldest_ms() == 104_000
    assert writer.step() == 2
    assert queues.oldest_ms() is None
    now_sec = 200.0
    writer.submit(pico(7))
    assert queues.oldest_ms() == 200_000
    writer.close(5)


def test_a_batch_has_no_more_rows_than_allowed(writer: Writer) -> None:
    for n in range(6):
        writer.submit(pico(n))
    assert [writer.step(), writer.step(), writer.step()] == [4, 2, 0]


def test_a_full_queue_refuses_and_takes_again(writer: Writer, database: Database) -> None:
    for n in range(10):
        writer.submit(pico(n))
    assert writer.full
    with pytest.raises(QueueFull):
        writer.submit(pico(99))
    writer.step()
    writer.submit(pico(10))
    while writer.step():
        pass
    assert [p for (p,) in select(database.path, STORED)] == list(range(11))


def test_ids_are_never_used_twice(writer: Writer, database: Database) -> None:
    writer.submit(pico(1))
    writer.step()
    execute(database.path, "DELETE FROM readings")
    writer.submit(pico(2))
    writer.step()
    assert select(database.path, "SELECT id FROM readings") == [(2,)]


def test_a_locked_database_keeps_the_batch(
    writer: Writer, settings: Settings, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    make_impatient(database)
    caplog.set_level(logging.INFO, "flask10x.recording.writer")
    writer.submit(pico(1))
    with write_lock(database.path):
        assert [writer.step() for _ in range(8)] == [0] * 8
        assert writer.depth == 1
        assert writer.trouble == BUSY
    writer.submit(pico(2))
    # What has come meanwhile is stored with it.
    assert writer.step() == 2
    assert writer.trouble == ""
    assert select(database.path, STORED) == [(1.0,), (2.0,)]
    # The failures were counted, and the count outlives the process.
    assert select(database.path, "SELECT * FROM counters") == [(write_errors_name(settings), 8)]
    warning, info = caplog.records
    said = f"Cannot store readings, 1 wait and are tried again: {BUSY}"
    assert (warning.levelname, warning.message) == ("WARNING", said)
    said = "Storing readings again after 8 failed tries"
    assert (info.levelname, info.message) == ("INFO", said)


@pytest.mark.sqlite_only("its limit of pages stands for a full disk")
def test_a_full_disk_keeps_the_batch(
    writer: Writer, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    full = True

    def limit(connection: sqlite3.Connection, _record: object) -> None:
        if full:
            connection.execute("PRAGMA max_page_count = 1")

    event.listen(database.writer, "connect", limit)
    for n in range(4):
        writer.submit(pico(n))
    while writer.step():
        writer.submit(pico(1000))
    assert "SQLITE_FULL" in writer.trouble
    stored = len(select(database.path, STORED))
    full = False
    assert writer.step() > 0
    while writer.step():
        pass
    assert len(select(database.path, STORED)) > stored
    assert not writer.depth


def test_a_refused_row_is_reported_and_its_mates_are_stored(
    writer: Writer, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    execute(
        database.path,
        refuse("readings", "NEW.pressure = 2", "two is not wanted"),
    )
    for n in (1, 2, 3):
        writer.submit(pico(n))
    assert writer.step() == 3
    assert select(database.path, STORED) == [(1.0,), (3.0,)]
    assert writer.trouble == ""
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert f"{REFUSED}: two is not wanted" in record.message
    assert '"pressure": 2' in record.message
    writer.submit(pico(4))
    writer.step()
    assert select(database.path, "SELECT value FROM counters") == [(1,)]
    assert select(database.path, "SELECT id FROM readings") == [(1,), (2,), (3,)]


def test_a_refusal_that_rolls_everything_back_costs_its_row_only(
    writer: Writer, database: Database
) -> None:
    execute(
        database.path,
        refuse("readings", "CAST(NEW.pressure AS INTEGER) % 2 = 0", "even", "ROLLBACK"),
        refuse("readings", "NEW.pressure = 3", "three", name="refuse_three"),
    )
    receipts = {n: Receipt() for n in (5, 2, 3, 7)}
    for n, receipt in receipts.items():
        writer.submit(pico(n, n), receipt)
    assert writer.step() == 4
    assert select(database.path, "SELECT id, pressure FROM readings") == [(1, 5.0), (2, 7.0)]
    assert select(database.path, "SELECT received_at FROM rejected ORDER BY id") == [(2,), (3,)]
    assert [n for n, receipt in receipts.items() if receipt.refusal] == [2, 3]
    assert writer.trouble == ""


@contextmanager
def commits_in_doubt(database: Database) -> Iterator[None]:
    """Each commit is reported as failed, and is there all the same."""
    usual = database.transaction

    @contextmanager
    def transaction() -> Iterator[Connection]:
        with usual() as connection:
            yield connection
        raise OSError(errno.EIO, "the disk would not sync")

    database.transaction = transaction  # type: ignore[method-assign]
    yield
    database.transaction = usual  # type: ignore[method-assign]


def test_a_commit_that_was_reported_as_failed_is_not_made_again(
    writer: Writer, database: Database
) -> None:
    """As when the disk did not sync, and the WAL was recovered before the batch is tried again."""
    for n in (1, 1, 2):
        writer.submit(pico(n))
    with commits_in_doubt(database):
        assert writer.step() == 0
    writer.submit(pico(1))
    assert writer.step() == 4
    assert select(database.path, STORED) == [(1.0,), (1.0,), (2.0,), (1.0,)]
    assert writer.depth == 0


def test_a_thread_that_dies_right_after_its_commit_leaves_nothing_to_store_twice(
    writer: Writer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise SystemExit

    writer.submit(pico(1))
    with monkeypatch.context() as patch:
        patch.setattr(SharedQueue, "settle", die)
        with pytest.raises(SystemExit):
            writer.step()
    assert writer.close(5) == 0
    assert select(database.path, STORED) == [(1.0,)]


def test_what_such_a_commit_refused_is_reported_as_refused(
    writer: Writer, database: Database
) -> None:
    execute(
        database.path,
        refuse("readings", "NEW.pressure = 2", "two is not wanted"),
    )
    receipts = {n: Receipt() for n in (1, 2, 3)}
    for n, receipt in receipts.items():
        writer.submit(pico(n), receipt)
    with commits_in_doubt(database):
        assert writer.step() == 0
    with write_lock(database.path):
        make_impatient(database)
        assert writer.step() == 0
    assert writer.step() == 3
    assert [n for n, receipt in receipts.items() if receipt.refusal] == [2]
    assert select(database.path, STORED) == [(1.0,), (3.0,)]
    assert select(database.path, "SELECT count(*) FROM rejected") == [(1,)]


def test_the_thread_stores_everything_before_it_ends(writer: Writer, database: Database) -> None:
    writer.start()
    for n in range(9):
        writer.submit(pico(n))
    assert writer.close(10) == 0
    assert [p for (p,) in select(database.path, STORED)] == list(range(9))
    with pytest.raises(WriterClosed):
        writer.submit(pico(10))


def test_a_stop_without_end_is_given_up(
    writer: Writer, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    make_impatient(database)
    writer.start()
    with write_lock(database.path):
        writer.submit(pico(1))
        assert writer.close(0.1) == 1
    (said,) = (r for r in caplog.records if "Stopping with 1 readings not stored" in r.message)
    assert said.levelname == "WARNING"
    # Its row is in a file (test_leftovers.py), so a second close has nothing left.
    assert writer.close(5) == 0
    assert select(database.path, STORED) == []


def test_what_is_in_a_file_does_not_wait_any_more(
    settings: Settings, database: Database, queues: SharedQueues
) -> None:
    gauges = Gauges(BUILT_IN.by_endpoint)
    gauges.slot(0).claim(7)
    writer = Writer(settings, database, WorkerSlot(gauges, queues, 0), end_worker=lambda: None)
    make_impatient(database)
    with write_lock(database.path):
        writer.submit(pico(1))
        assert writer.close(0) == 1
    # While it closes the rest, a copy of a large database say, it may be killed.
    gauges.record_killed(7)
    assert queues.length() == 0


def test_a_batch_whose_commit_outlasts_the_database_stays_in_hand(
    settings: Settings, database: Database, queues: SharedQueues
) -> None:
    """The rescued copy may lack it, so it does not count as stored: it goes into a file."""
    gauges = Gauges(BUILT_IN.by_endpoint)
    writer = Writer(settings, database, WorkerSlot(gauges, queues, 0), end_worker=lambda: None)
    receipt = Receipt()
    writer.submit(pico(1), receipt)

    def report(_connection: Connection) -> None:
        database.damage.report("the WAL was deleted")

    event.listen(database.writer, "commit", report)
    assert writer.step() == 0
    assert not receipt.wait(0)
    assert writer.close(0) == 1
    assert len(list(settings.data_dir.glob("leftover-*.jsonl"))) == 1


def test_a_dead_thread_is_said_and_ends_the_worker(
    settings: Settings, database: Database, queues: SharedQueues, caplog: pytest.LogCaptureFixture
) -> None:
    gauges = Gauges(BUILT_IN.by_endpoint)
    ended = threading.Event()
    writer = Writer(settings, database, WorkerSlot(gauges, queues, 0), end_worker=ended.set)
    store = writer._store

    def die() -> int:
        raise SystemExit

    writer._store = die  # type: ignore[method-assign]
    writer.start()
    writer.submit(pico(1))
    assert ended.wait(60)
    assert writer.dead
    assert gauges.trouble()
    with pytest.raises(WriterClosed):
        writer.submit(pico(2))
    assert any(r.levelname == "CRITICAL" for r in caplog.records)
    # What was accepted is stored by the one who ends the worker.
    writer._store = store  # type: ignore[method-assign]
    assert writer.close(10) == 0
    assert select(database.path, STORED) == [(1.0,)]
