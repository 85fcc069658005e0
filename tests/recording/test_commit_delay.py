"""With ACK=committed a commit waits for the readings that are about to come, and for no more."""

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import event

from flask10x.database.database import Database
from flask10x.database.engine import DatabaseEngine
from flask10x.recording.batch import Receipt
from flask10x.recording.commit_delay import CommitDelay
from flask10x.recording.writer import Writer
from tests.conftest import MakeSettings
from tests.recording.test_group_commit import Workers, counted_commits
from tests.support.rows import pico

# No test waits for so long: what is stored was not waited for in vain.
LONG_SEC = 1000
# That of a file.
MAX_SEC = DatabaseEngine.commit_delay_max_sec
SOON_SEC = 30


@pytest.fixture
def workers(make_settings: MakeSettings, database: Database) -> Iterator[Workers]:
    workers = Workers(make_settings(ACK="committed"), database)
    yield workers
    for writer in (workers.first, workers.second):
        writer.close(5)


@pytest.fixture
def patient(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> Workers:
    """Workers that expect three readings together, and wait for them for long."""
    for worker in (workers.first, workers.second):
        monkeypatch.setattr(worker._delay, "max_sec", LONG_SEC)
    workers.gauges.expected_rows, workers.gauges.commit_us = 3, LONG_SEC * 1_000_000
    return workers


def submitted(writer: Writer, number: float) -> Receipt:
    receipt = Receipt()
    writer.submit(pico(number), receipt)
    return receipt


def test_what_a_commit_had_and_what_came_while_it_ran_is_expected_again(
    workers: Workers, database: Database
) -> None:
    expected = CommitDelay(workers.gauges, workers.queues, MAX_SEC)
    assert expected.is_full()
    workers.first.submit(pico(1))
    workers.second.submit(pico(2))

    def send(_connection: object) -> None:
        workers.second.submit(pico(3))

    event.listen(database.writer, "commit", send, once=True)
    assert workers.first.step() == 2
    assert workers.gauges.expected_rows == 3
    assert not expected.is_full()
    workers.first.submit(pico(4))
    assert not expected.is_full()
    workers.second.submit(pico(5))
    assert expected.is_full()


def test_a_sender_that_is_alone_is_never_waited_for(workers: Workers) -> None:
    expected = CommitDelay(workers.gauges, workers.queues, MAX_SEC)
    for number in range(3):
        workers.first.submit(pico(number))
        assert expected.is_full()
        assert workers.first.step() == 1


def test_the_wait_is_as_long_as_the_last_commit_but_a_millisecond_at_most(
    workers: Workers,
) -> None:
    expected = CommitDelay(workers.gauges, workers.queues, MAX_SEC)
    assert expected.wait_sec == 0
    expected.expect(2, 0.0005)
    assert expected.wait_sec == 0.0005
    expected.expect(2, 3)
    assert expected.wait_sec == 0.001


def test_the_last_one_that_comes_ends_the_wait(patient: Workers, database: Database) -> None:
    with counted_commits(database) as commits:
        patient.first.start()
        receipts = [submitted(patient.first, number) for number in range(3)]
        assert all(receipt.wait(SOON_SEC) for receipt in receipts)
    assert len(commits) == 1


def test_the_worker_that_gets_the_last_one_commits_them_all(
    patient: Workers, database: Database
) -> None:
    with counted_commits(database) as commits:
        patient.first.submit(pico(1))
        patient.first.submit(pico(2))
        patient.second.start()
        assert submitted(patient.second, 3).wait(SOON_SEC)
    assert (len(commits), patient.first.depth) == (1, 0)


def test_readings_that_do_not_come_delay_no_commit(workers: Workers) -> None:
    workers.gauges.expected_rows, workers.gauges.commit_us = 3, LONG_SEC * 1_000_000
    workers.first.start()
    assert submitted(workers.first, 1).wait(SOON_SEC)
    assert workers.gauges.expected_rows == 1


def test_a_stop_waits_for_no_company(patient: Workers) -> None:
    patient.first.start()
    receipt = submitted(patient.first, 1)
    assert not receipt.wait(0)
    threading.Thread(target=patient.first.refuse_new).start()
    assert receipt.wait(SOON_SEC)
