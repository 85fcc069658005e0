"""When old readings go: by the settings of each station, a piece at a time, never by surprise."""

import logging
from collections.abc import Callable, Iterator
from zoneinfo import ZoneInfo

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.export.append import export
from flask10x.history import days, rollups
from flask10x.readings.stations import BUILT_IN
from flask10x.runtime import removal
from flask10x.runtime.retention_schedule import LOOK_EVERY_MS, PAUSE_MS, Retention
from tests.support.csv_folder import FIRST_MS, csv_file, store
from tests.support.rows import select

PICO = BUILT_IN.by_endpoint["data"]
DAY_MS = 86_400_000
MakeSettings = Callable[..., Settings]


class Time:
    def __init__(self) -> None:
        self.now_ms = FIRST_MS + 10_000
        self.monotonic_ms = 0

    def passes(self, ms: int) -> None:
        self.now_ms += ms
        self.monotonic_ms += ms


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "PIECE_ROWS", 3)


@pytest.fixture
def time() -> Iterator[Time]:
    yield Time()


def readings(database: Database) -> int:
    return int(select(database.path, "SELECT count(*) FROM readings")[0][0])


def finish(settings: Settings, database: Database) -> None:
    """Ten readings that all followers have finished with."""
    store(settings, *range(10))
    assert export(settings, database, [PICO])[0].rows == 10
    while rollups.follow(BUILT_IN, database):
        pass
    while days.follow(BUILT_IN, database, ZoneInfo("Asia/Tokyo"), rollups.save_at_once):
        pass


def retention(settings: Settings, database: Database, time: Time) -> Retention:
    return Retention(settings, database, lambda: time.now_ms, lambda: time.monotonic_ms)


def test_by_default_nothing_is_ever_removed(
    settings: Settings, database: Database, time: Time
) -> None:
    finish(settings, database)
    task = retention(settings, database, time)
    for _ in range(9):
        time.passes(10_000 * DAY_MS)
        task.step()
    assert readings(database) == 10


def test_old_readings_go_in_pieces_with_pauses(
    make_settings: MakeSettings, database: Database, time: Time
) -> None:
    settings = make_settings(RETENTION_DAYS=30)
    finish(settings, database)
    task = retention(settings, database, time)
    time.passes(LOOK_EVERY_MS)
    assert task.step()
    assert readings(database) == 10
    time.passes(31 * DAY_MS)
    removed = []
    for _ in range(4):
        task.step()
        removed.append(readings(database))
        time.passes(PAUSE_MS - 1)
        assert task.step() is False
        time.passes(1)
    assert removed == [7, 4, 1, 1]


def test_why_they_stay_is_said_once_a_day(
    make_settings: MakeSettings,
    database: Database,
    time: Time,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = make_settings(RETENTION_DAYS=30)
    finish(settings, database)
    csv_file(settings).unlink()
    task = retention(settings, database, time)
    time.passes(LOOK_EVERY_MS)
    task.step()
    time.passes(31 * DAY_MS)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            task.step()
            time.passes(LOOK_EVERY_MS)
    assert caplog.messages == [
        "Old readings of data stay: file gone; run: flask10x export PicodataX.csv"
    ]
    assert readings(database) == 10
