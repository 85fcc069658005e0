"""A worker that waits for its database."""

from dataclasses import replace
from threading import Event

import pytest

from flask10x.alerts import state_file
from flask10x.alerts.state_file import StateFile, path_of
from flask10x.config.alerts.rules import Alerts, DatabaseTrouble
from flask10x.config.settings import Settings
from flask10x.database.paths import database_path
from flask10x.database.sqlite.engine import EQUAL_LOOKS
from flask10x.readings.stations import BUILT_IN
from flask10x.recording.shared_queue import WorkerSlot
from flask10x.runtime import waiting
from flask10x.runtime.alerting.watcher import AlertWatcher
from flask10x.runtime.waiting import Waiting
from flask10x.system.gauges import Gauges
from tests.e2e.service import wait_until
from tests.support.new_database import lay_new_database


@pytest.mark.sqlite_only("a file that is copied")
def test_a_copy_that_is_still_written_is_not_taken(settings: Settings) -> None:
    worker = Waiting(settings, WorkerSlot.alone(settings))
    path = database_path(settings)
    assert not worker.step()
    lay_new_database(path)
    whole = path.read_bytes()
    for end in range(512, len(whole), 512):
        path.write_bytes(whole[:end])
        assert not worker.step()
    path.write_bytes(whole)
    looks = EQUAL_LOOKS
    assert [worker.step() for _ in range(looks)] == [False] * (looks - 1) + [True]
    path.unlink()
    assert not worker.step()


def test_its_end_is_no_killed_worker(settings: Settings) -> None:
    gauges = Gauges(BUILT_IN.by_endpoint)
    gauges.slot(0).claim(1234)
    worker = Waiting(settings, WorkerSlot.alone(settings, gauges))
    worker.open()
    worker.close()
    gauges.record_killed(1234)
    assert gauges.killed == 0


def test_an_alert_fires_where_the_state_of_alerts_exists(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "LOOK_EVERY_SEC", 0.01)
    settings = replace(settings, alerts=Alerts(rules=(DatabaseTrouble(for_sec=0),)))
    file = StateFile(path_of(settings))
    with file.writing() as connection:
        assert state_file.active(connection, 0) == []
    workers = [
        Waiting(settings, WorkerSlot.alone(settings, number=number), "no database here")
        for number in (0, 1)
    ]
    for worker in workers:
        worker.open()

    def is_noted() -> bool:
        with file.reading() as connection:
            return [alert.facts for alert in state_file.active(connection, 0)] == [
                {"reason": "no database here"}
            ]

    wait_until(is_noted, 60, "it is noted once")
    for worker in workers:
        worker.close()
    file.close()


def test_a_state_of_alerts_that_does_not_answer_does_not_hold_up_its_end(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "LOOK_EVERY_SEC", 0.01)
    monkeypatch.setattr(waiting, "END_WITHIN_SEC", 0.01)
    is_asked, goes_on, has_ended = Event(), Event(), Event()

    def hang(_watcher: AlertWatcher) -> None:
        is_asked.set()
        goes_on.wait(60)
        has_ended.set()

    monkeypatch.setattr(AlertWatcher, "step", hang)
    path_of(settings).touch()
    worker = Waiting(settings, WorkerSlot.alone(settings), "no database here")
    worker.open()
    assert is_asked.wait(60)
    worker.close()
    assert not has_ended.is_set()
    goes_on.set()


def test_nothing_is_made_where_it_is_not(settings: Settings) -> None:
    worker = Waiting(settings, WorkerSlot.alone(settings), "no database here")
    worker.open()
    worker.close()
    assert not path_of(settings).exists()
