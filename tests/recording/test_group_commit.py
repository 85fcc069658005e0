"""One commit for the queues of all workers, whichever worker makes it and whichever is killed."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
from sqlalchemy import event

from flask10x.config.settings import Settings
from flask10x.database import queue_notes
from flask10x.database.database import Database
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from flask10x.recording import batch, leftovers
from flask10x.recording.batch import Receipt
from flask10x.recording.shared_queue import SharedQueue, SharedQueues, WorkerSlot
from flask10x.recording.writer import Writer
from flask10x.system.gauges import Gauges
from tests.conftest import MakeSettings
from tests.e2e.service import wait_until
from tests.recording.test_writer import commits_in_doubt
from tests.support.both_engines import REFUSED, refuse
from tests.support.rows import execute, pico, select
from tests.support.stations import WITH_BALCONY

STORED = "SELECT pressure FROM readings ORDER BY id"
NO_TWO = refuse("readings", "NEW.pressure = 2", "two is not wanted")


class Workers:
    """Workers as a service has them, but without threads until they are started."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.gauges = Gauges(BUILT_IN.by_endpoint)
        self.queues = SharedQueues.anonymous(settings.write_queue_maxsize)
        self.settings, self._database = settings, database
        self.first, self.second = self.worker(0), self.worker(1)

    def worker(self, slot: int) -> Writer:
        self.gauges.slot(slot).claim(4711 + slot)
        arguments = (self.settings, self._database, WorkerSlot(self.gauges, self.queues, slot))
        return Writer(*arguments, end_worker=lambda: None)


@pytest.fixture
def workers(make_settings: MakeSettings, database: Database) -> Iterator[Workers]:
    settings = make_settings(BATCH_MAX_ROWS=4, WRITE_BACKOFF_BASE_SEC=0.001)
    workers = Workers(settings, database)
    yield workers
    for writer in (workers.first, workers.second):
        writer.close(5)


@contextmanager
def counted_commits(database: Database) -> Iterator[list[int]]:
    commits: list[int] = []

    def note(_connection: object) -> None:
        commits.append(1)

    event.listen(database.writer, "commit", note)
    yield commits
    event.remove(database.writer, "commit", note)


def stored(database: Database) -> list[float]:
    return [pressure for (pressure,) in select(database.path, STORED)]


def test_one_commit_stores_what_waits_in_all_queues_its_own_first(
    workers: Workers, database: Database
) -> None:
    for number in (1, 2):
        workers.first.submit(pico(number))
    for number in (3, 4, 5):
        workers.second.submit(pico(number))
    with counted_commits(database) as commits:
        assert workers.second.step() == 4
        assert stored(database) == [3, 4, 5, 1]
        assert (workers.first.depth, workers.second.depth) == (1, 0)
        assert workers.second.step() == 1
        assert workers.first.step() == 0
    assert len(commits) == 2


def test_a_worker_whose_readings_are_stored_only_informs_the_requests(
    workers: Workers, database: Database
) -> None:
    """Also when it has waited for its turn meanwhile."""
    receipt = Receipt()
    workers.second.submit(pico(1), receipt)
    with counted_commits(database) as commits:
        assert workers.first.step() == 1
        assert not receipt.wait(0)
        assert workers.second._store() == 0
    assert receipt.wait(0)
    assert receipt.refusal == ""
    assert len(commits) == 1
    assert workers.second.trouble == ""


def test_a_worker_of_before_a_reload_stores_readings_of_a_new_station(
    workers: Workers, database: Database
) -> None:
    execute(database.path, "ALTER TABLE readings ADD COLUMN soil_wet REAL")
    workers.second.submit(pico(1))
    for values in ((21.5, 40.0), (None, 41.0)):
        reading = Reading("balcony-1", 5, values)
        workers.queues[1].append(batch.entry_of(WITH_BALCONY, reading))
    assert workers.first.step() == 3
    stored_now = select(database.path, "SELECT endpoint, temperature, soil_wet FROM readings")
    assert stored_now == [("data", 25.1, None), ("balcony-1", 21.5, 40), ("balcony-1", None, 41)]


def test_a_refusal_reaches_the_worker_that_has_taken_the_reading(
    workers: Workers, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    execute(database.path, NO_TWO)
    receipts = {number: Receipt() for number in (1, 2, 3)}
    for number, receipt in receipts.items():
        workers.second.submit(pico(number), receipt)
    assert workers.first.step() == 3
    # Their places may be needed before it looks.
    assert workers.second.submit(pico(4)) == 1
    workers.second.step()
    refusals = {number: receipt.refusal for number, receipt in receipts.items()}
    assert refusals == {1: "", 2: f"{REFUSED}: two is not wanted", 3: ""}
    (record,) = caplog.records
    assert '"pressure": 2' in record.message
    assert stored(database) == [1, 3, 4]
    assert workers.gauges.slot(0).errors == 1


def test_what_one_worker_has_committed_in_doubt_the_other_stores_once(
    workers: Workers, database: Database
) -> None:
    execute(database.path, NO_TWO)
    receipts = {number: Receipt() for number in (1, 2, 1.5)}
    for number, receipt in receipts.items():
        workers.second.submit(pico(int(number)), receipt)
    with commits_in_doubt(database):
        assert workers.first.step() == 0
    workers.second.submit(pico(3))
    assert workers.second.step() == 4
    assert stored(database) == [1, 1, 3]
    assert [number for number, receipt in receipts.items() if receipt.refusal] == [2]
    assert select(database.path, "SELECT count(*) FROM rejected") == [(1,)]


def in_child(work: Callable[[], None]) -> None:
    """Do it in a forked process, which is killed at its end at the latest."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)


@pytest.mark.parametrize("dies_in", ["settle", "note_not_stored"])
def test_who_is_killed_round_its_commit_stores_nothing_twice(
    make_settings: MakeSettings, database: Database, monkeypatch: pytest.MonkeyPatch, dies_in: str
) -> None:
    """After it, before it has said that they are settled; or before it."""
    settings = make_settings()
    queues, gauges = SharedQueues.anonymous(10), Gauges(BUILT_IN.by_endpoint)

    def work() -> None:
        own = Database(settings)
        writer = Writer(settings, own, WorkerSlot(gauges, queues, 0))
        for number in (1, 1, 2):
            writer.submit(pico(number))
        monkeypatch.setattr(SharedQueue, dies_in, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        writer.step()

    in_child(work)
    assert stored(database) == ([1, 1, 2] if dies_in == "settle" else [])
    assert queues.length() == 3
    with closing(Database(settings)) as own:
        successor = Writer(settings, own, WorkerSlot(gauges, queues, 0), end_worker=lambda: None)
        successor.submit(pico(3))
        assert successor.depth == 4
        assert successor.close(5) == 0
    assert stored(database) == [1, 1, 2, 3]


def test_what_a_killed_worker_has_left_is_stored_by_the_others(
    workers: Workers, database: Database
) -> None:
    """Before another worker takes its slot over, and also at a stop."""
    for number in (1, 2):
        workers.second.submit(pico(number))
    workers.gauges.record_killed(4712)
    assert workers.first.close(5) == 0
    assert stored(database) == [1, 2]


def test_who_takes_a_slot_over_stores_what_waits_there_without_a_new_reading(
    workers: Workers, database: Database
) -> None:
    workers.second.submit(pico(1))
    successor = workers.worker(1)
    successor.start()
    receipt = Receipt()
    successor.submit(pico(2), receipt)
    assert receipt.wait(30)
    successor.close(5)
    assert stored(database) == [1, 2]


def test_a_worker_that_stops_leaves_the_queue_of_one_that_runs(
    workers: Workers, database: Database
) -> None:
    workers.second.submit(pico(1))
    assert workers.first.close(5) == 0
    assert (workers.second.depth, stored(database)) == (1, [])


def test_a_worker_in_trouble_is_over_it_when_another_one_has_stored_its_readings(
    workers: Workers,
    database: Database,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At once, and not when it looks the next time."""
    monkeypatch.setattr(leftovers, "LOOK_EVERY_SEC", 3600.0)
    receipt = Receipt()
    with commits_in_doubt(database):
        workers.second.submit(pico(1), receipt)
        while workers.second._failures <= 3:
            workers.second.step()
    assert workers.gauges.trouble()
    assert workers.first.step() == 1
    workers.second.start()
    assert receipt.wait(30)
    wait_until(lambda: not workers.gauges.trouble(), 30, "it says that it is over")
    workers.second.close(5)
    assert stored(database) == [1]
    assert caplog.messages[0].startswith("Cannot store readings, 1 wait")


@pytest.mark.parametrize("others_exist", [False, True])
def test_what_is_noted_of_queues_in_another_file_is_kept(
    workers: Workers, database: Database, others_exist: bool
) -> None:
    """Of another version, say: what it has tried is looked up there once it is back."""
    with database.commit() as connection:
        queue_notes.note(connection, "of another file", 0, 3)
    workers.queues.others_exist = others_exist
    workers.first.submit(pico(1))
    assert workers.first.step() == 1
    with database.commit() as connection:
        assert ("of another file" in queue_notes.queues(connection)) == others_exist
