"""Each task is guarded by itself: what fails is named, and the others go on."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.postgres.hosts import LeasedName
from flask10x.history import rollups
from flask10x.readings.stations import BUILT_IN
from flask10x.recording.shared_queue import WorkerSlot
from flask10x.runtime import database_file, periodic_tasks
from flask10x.runtime import store as store_module
from flask10x.runtime.added_stations import AddedStations
from flask10x.runtime.alerting.watcher import AlertWatcher
from flask10x.runtime.backup_schedule import BackupSchedule
from flask10x.runtime.database_file import Inspection
from flask10x.runtime.other_hosts import OtherHosts
from flask10x.runtime.periodic_tasks import PeriodicTask
from flask10x.runtime.retention_schedule import Retention
from flask10x.runtime.rollup_schedule import Follower
from flask10x.runtime.setup_files import SetupFiles
from flask10x.runtime.station_watch import SilenceLearning, StationWatch
from flask10x.runtime.store import Store
from flask10x.system.gauges import TASKS_MAX, Gauges
from flask10x.web.app import create_app
from tests.e2e.service import wait_until
from tests.support import databases
from tests.support.both_engines import readiness

# What each periodic task calls first.
WORK: dict[str, tuple[object, str]] = {
    "WAL": (database_file, "look_at_wal"),
    "killed workers": (store_module, "look_at_workers"),
    "queues": (store_module, "look_at_queues"),
    "silent stations": (StationWatch, "step"),
    "roll-ups": (Follower, "step"),
    "inspection": (Inspection, "_check"),
    "alerts": (AlertWatcher, "step"),
    "retention": (Retention, "step"),
    "other hosts": (OtherHosts, "step"),
    "host name": (LeasedName, "step"),
    "usual pauses": (SilenceLearning, "step"),
    "setup files": (SetupFiles, "step"),
    "added stations": (AddedStations, "step"),
    "backups": (BackupSchedule, "step"),
}
# On PostgreSQL there is no file to look after; its tasks are never done.
OF_FILE = ("WAL", "inspection")
# A file of SQLite has one host to itself.
NEVER_DONE = OF_FILE if databases.ON_POSTGRES else ("other hosts", "host name")
DONE = [name for name in periodic_tasks.NAMES if name not in NEVER_DONE]
of_file = pytest.mark.sqlite_only("tasks for the file of the database")


class Faults:
    """Makes each periodic task raise what a test says, and counts who was called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.raised: dict[str, BaseException] = {}
        self.called: list[str] = []
        for name, (owner, method) in WORK.items():
            monkeypatch.setattr(owner, method, self._wrapped(name, getattr(owner, method)))

    def _wrapped(self, name: str, work: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*of_work: object) -> object:
            self.called.append(name)
            if name in self.raised:
                raise self.raised[name]
            return work(*of_work)

        return wrapped


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    return Faults(monkeypatch)


@pytest.fixture
def store(
    faults: Faults, settings: Settings, database: Database, caplog: pytest.LogCaptureFixture
) -> Iterator[Store]:
    """A store whose tasks a test does by hand."""
    caplog.set_level(logging.INFO, logger="flask10x")
    # No test of tasks makes a backup, whatever time of the day it is.
    app = create_app(replace(settings, backup_time="off"))
    store: Store = app.extensions["flask10x"]
    store._follower._look_at_sec = 0
    yield store
    store.close()


@pytest.fixture
def clients(store: Store, settings: Settings) -> Iterator[list[FlaskClient]]:
    """Both workers."""
    apps = [
        create_app(settings, WorkerSlot.alone(settings, store.gauges, number)) for number in (0, 1)
    ]
    yield [app.test_client() for app in apps]
    for app in apps:
        other: Store = app.extensions["flask10x"]
        other.close()


def step(store: Store) -> None:
    """What the threads of a worker do each second."""
    store._monitor.step()
    if store._file is not None:
        store._file.inspection.step()
    store._alert_monitor.step()


@pytest.mark.parametrize(
    ("name", "error"),
    [
        *((name, ValueError("a bug")) for name in DONE),
        # All tasks have one place where an error is caught, whatever it is.
        *((DONE[0], error) for error in (SystemExit(1), MemoryError())),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value),
)
def test_a_task_that_fails_is_named_and_ends_no_other(
    store: Store,
    faults: Faults,
    clients: list[FlaskClient],
    caplog: pytest.LogCaptureFixture,
    name: str,
    error: BaseException,
) -> None:
    store.gauges.note_received("data3", 1)
    faults.raised[name] = error
    begin_sec = time.monotonic()
    for times in (1, 2, 3):
        step(store)
        assert [faults.called.count(other) for other in DONE] == [times] * len(DONE)

    (failed,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert failed.getMessage() == f"The periodic task '{name}' failed; it is tried again"
    assert failed.exc_info and failed.exc_info[1] is error
    alarm = "Endpoint 'data3' inactive for"
    assert (alarm in caplog.text) == (name != "silent stations")
    for client in clients:
        answer = client.get("/readyz")
        assert answer.status_code == 200
        assert readiness(answer.get_json()) == {
            "status": "ready",
            "queue_oldest_seconds": None,
            "failing": [name],
        }
        seconds = client.get("/metrics/details").get_json()["failing_seconds"]
        assert seconds.keys() == set(periodic_tasks.NAMES)
        assert 0 <= seconds.pop(name) <= time.monotonic() - begin_sec + 1
        assert set(seconds.values()) == {None}

    caplog.clear()
    faults.raised.clear()
    step(store)
    step(store)
    (line,) = [record for record in caplog.records if record.name.endswith(".periodic_tasks")]
    assert line.levelno == logging.INFO
    assert line.getMessage().startswith(f"The periodic task '{name}' works again after ")
    for client in clients:
        ready = readiness(client.get("/readyz").get_json())
        assert ready == {"status": "ready", "queue_oldest_seconds": None}
        assert set(client.get("/metrics/details").get_json()["failing_seconds"].values()) == {None}


def test_all_tasks_may_fail_at_once(
    store: Store, faults: Faults, clients: list[FlaskClient]
) -> None:
    faults.raised = dict.fromkeys(DONE, ValueError("a bug"))
    step(store)
    for client in clients:
        assert client.get("/readyz").get_json()["failing"] == DONE


def test_an_error_in_the_rollups_leaves_the_silence_alarm(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_connection: object) -> int:
        raise ValueError("for the test")

    monkeypatch.setattr(rollups, "behind", broken)
    store.gauges.note_received("data3", 1)
    store._monitor.step()
    assert "Endpoint 'data3' inactive for" in caplog.text


def test_a_failing_task_is_shown_beside_the_reasons(
    store: Store, faults: Faults, clients: list[FlaskClient]
) -> None:
    faults.raised["queues"] = ValueError("a bug")
    step(store)
    store.gauges.slot(7).trouble = 1
    answer = clients[0].get("/readyz")
    assert answer.status_code == 503
    assert readiness(answer.get_json()) == {
        "status": "not ready",
        "reasons": ["another worker cannot store readings"],
        "queue_oldest_seconds": None,
        "failing": ["queues"],
    }


def test_the_next_elected_process_repeats_nothing_and_logs_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="flask10x")
    gauges = Gauges(BUILT_IN.by_endpoint)
    works: list[bool] = []

    def work() -> None:
        if not works:
            raise ValueError("a bug")

    first, second = (PeriodicTask("queues", work, gauges) for _ in range(2))
    first.run()
    second.run()
    assert len(caplog.records) == 1
    works.append(True)
    second.run()
    assert periodic_tasks.failing(gauges) == []
    assert caplog.records[1].getMessage() == "The periodic task 'queues' works again after 0s"


def test_a_task_that_had_nothing_to_do_does_not_work_again() -> None:
    gauges = Gauges(BUILT_IN.by_endpoint)
    gauges.failing_since_ms[periodic_tasks.NAMES.index("roll-ups")] = 1
    PeriodicTask("roll-ups", lambda: False, gauges).run()
    assert periodic_tasks.failing(gauges) == ["roll-ups"]


def test_the_gauges_have_room_for_every_task() -> None:
    assert len(periodic_tasks.NAMES) <= TASKS_MAX
    assert WORK.keys() == set(periodic_tasks.NAMES)
    with pytest.raises(ValueError, match="not in tuple"):
        PeriodicTask("dishes", lambda: None, Gauges(BUILT_IN.by_endpoint))


@of_file
def test_an_inspection_that_cannot_begin_is_said_once_and_tried_again(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert store._file is not None
    inspection = store._file.inspection
    faults = [OSError("no locks"), OSError("no locks")]
    acquire = inspection._lock.try_acquire

    def try_acquire() -> bool:
        if faults:
            raise faults.pop()
        return acquire()

    monkeypatch.setattr(inspection._lock, "try_acquire", try_acquire)
    inspection.start()
    wait_until(lambda: store.gauges.inspected, 60, "it has looked")
    errors = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert errors == ["The inspection cannot begin and goes on trying"]
