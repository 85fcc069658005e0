"""When the service brings the roll-ups up to date, and what trouble does to it."""

import logging
from dataclasses import dataclass
from datetime import UTC

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.history import days, rollups
from flask10x.readings.stations import BUILT_IN
from flask10x.recording.shared_queue import WorkerSlot
from flask10x.runtime.periodic_tasks import PeriodicTask, failing
from flask10x.runtime.rollup_schedule import EVERY_SEC, LOOK_EVERY_SEC, Follower
from flask10x.runtime.store import Store
from flask10x.system.gauges import Gauges
from tests.support.both_engines import BUSY, write_lock
from tests.support.corrections import correct
from tests.support.rows import insert_readings, pico, select

POSITION = "SELECT last_id FROM followers WHERE name = 'rollups'"


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def follower(database: Database, clock: Clock) -> Follower:
    return Follower(BUILT_IN, UTC, database, clock)


def put(database: Database, count: int) -> None:
    with database.commit() as connection:
        insert_readings(connection, (pico(n) for n in range(count)))


def position(database: Database) -> int:
    positions = select(database.path, POSITION)
    return int(positions[0][0]) if positions else 0


def test_days_are_made_where_a_former_version_kept_none(
    database: Database, follower: Follower, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(days, "PIECE_DAYS", 2)
    put(database, 3)
    rollups.follow(BUILT_IN, database)
    with database.commit() as connection:
        insert_readings(connection, (pico(n, n * 86_400_000) for n in range(7)))
    rollups.follow(BUILT_IN, database)
    assert select(database.path, "SELECT * FROM rollup_days") == []
    clock.now += LOOK_EVERY_SEC
    pieces = 0
    # A piece each second, then nothing until the next look.
    while follower.step():
        pieces += 1
    assert pieces > 3
    (counts,) = select(
        database.path,
        "SELECT (SELECT sum(readings) FROM rollup_days), (SELECT sum(readings) FROM rollups)",
    )
    assert counts[0] == counts[1] > 0


def test_a_few_readings_wait_for_the_hour(
    database: Database, follower: Follower, clock: Clock
) -> None:
    put(database, 3)
    while clock.now < 1000 + EVERY_SEC:
        follower.step()
        assert position(database) == 0
        clock.now += 30
    follower.step()
    assert position(database) == 3
    put(database, 1)
    clock.now += EVERY_SEC - 1
    follower.step()
    assert position(database) == 3
    clock.now += LOOK_EVERY_SEC
    follower.step()
    assert position(database) == 4


def test_many_are_taken_at_once_a_piece_a_step(
    database: Database, follower: Follower, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollups, "PIECE_ROWS", 10)
    put(database, 25)
    follower.step()
    assert position(database) == 0
    clock.now += LOOK_EVERY_SEC
    positions = []
    for _ in range(3):
        follower.step()
        positions.append(position(database))
    # The last few are not worth a commit before the hour is over.
    assert positions == [10, 20, 20]


def test_what_is_left_of_a_correction_is_made_at_the_next_look(
    database: Database, follower: Follower, clock: Clock
) -> None:
    """Of one whose writer was killed, or that an update has found."""
    put(database, 3)
    rollups.follow(BUILT_IN, database)
    with database.commit() as connection:
        correct(connection, "data", "pressure", None, None, offset=-0.5)
        correct(connection, "data", "temperature", 0, 0)
    clock.now += LOOK_EVERY_SEC
    assert follower.step()
    assert select(database.path, "SELECT count(unapplied_ms) FROM corrections") == [(0,)]
    totals = "SELECT minimum FROM rollups WHERE measurement = 'pressure'"
    assert select(database.path, totals) == [(-0.5,)]


def test_trouble_is_logged_once_and_tried_again(
    database: Database, follower: Follower, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    task = PeriodicTask(
        "roll-ups",
        follower.step,
        Gauges(BUILT_IN.by_endpoint),
        "Roll-ups cannot be brought up to date",
    )
    put(database, 3)
    clock.now += EVERY_SEC
    with write_lock(database.path):
        task.run()
        clock.now += LOOK_EVERY_SEC
        task.run()
    warning = f"Roll-ups cannot be brought up to date: {BUSY}"
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.WARNING, warning)
    assert position(database) == 0
    task.run()
    assert position(database) == 0
    clock.now += LOOK_EVERY_SEC
    task.run()
    assert position(database) == 3


def test_an_unexpected_error_is_tried_again_no_sooner(
    database: Database, follower: Follower, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    def broken(_connection: object) -> int:
        asked.append(clock.now)
        raise ValueError("a bug")

    monkeypatch.setattr(rollups, "behind", broken)
    gauges = Gauges(BUILT_IN.by_endpoint)
    task = PeriodicTask("roll-ups", follower.step, gauges)
    clock.now += LOOK_EVERY_SEC
    for times in (1, 2, 3):
        task.run()
        task.run()
        assert (len(asked), failing(gauges)) == (times, ["roll-ups"])
        clock.now += LOOK_EVERY_SEC


def test_a_damaged_database_is_left_alone(
    database: Database, follower: Follower, clock: Clock
) -> None:
    put(database, 3)
    clock.now += EVERY_SEC
    database.damage.report("for the test")
    follower.step()
    assert position(database) == 0


def test_a_stopping_service_takes_no_more_pieces(
    database: Database, follower: Follower, clock: Clock
) -> None:
    put(database, 3)
    clock.now += EVERY_SEC
    follower.close()
    follower.step()
    assert position(database) == 0


def test_the_elected_process_follows(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    stepped: list[str] = []
    monkeypatch.setattr(Follower, "step", lambda _: stepped.append("step"))
    monkeypatch.setattr(Follower, "close", lambda _: stepped.append("close"))
    store = Store(settings, WorkerSlot.alone(settings))
    store._monitor.step()
    assert stepped == ["step"]
    store.close()
    assert stepped == ["step", "close"]
