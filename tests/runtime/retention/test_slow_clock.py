"""A clock that is set years ahead makes no reading old."""

from dataclasses import dataclass

import pytest

from flask10x.database.database import Database
from flask10x.runtime.retention_schedule import SAVE_EVERY_MS, SlowClock
from tests.support.rows import execute, file_row, select

NOW = 1_756_000_000_000
DAY = 86_400_000
YEARS = 4000 * DAY


@dataclass
class Clocks:
    wall: int = NOW
    monotonic: int = 5000

    def of(self, database: Database) -> SlowClock:
        return SlowClock(database, lambda: self.wall, lambda: self.monotonic)

    def passes(self, ms: int) -> None:
        self.wall += ms
        self.monotonic += ms


@pytest.fixture
def clocks(database: Database) -> Clocks:
    execute(
        database.path,
        file_row(last_id=9, last_received_at=NOW - DAY),
    )
    return Clocks()


def test_it_begins_with_the_newest_exported_reading(database: Database, clocks: Clocks) -> None:
    clocks.wall += YEARS
    assert clocks.of(database).time_ms() == NOW - DAY


def test_it_catches_up_at_twice_the_pace(database: Database, clocks: Clocks) -> None:
    slow = clocks.of(database)
    slow.time_ms()
    clocks.passes(DAY // 2)
    assert slow.time_ms() == NOW
    clocks.passes(10 * DAY)
    assert slow.time_ms() == clocks.wall


def test_a_leap_of_the_wall_clock_is_none(database: Database, clocks: Clocks) -> None:
    slow = clocks.of(database)
    slow.time_ms()
    clocks.passes(DAY)
    assert slow.time_ms() == NOW + DAY
    clocks.wall += YEARS
    clocks.passes(1000)
    assert slow.time_ms() == NOW + DAY + 2000
    clocks.wall -= YEARS
    assert slow.time_ms() == NOW + DAY + 1000


def test_it_goes_on_after_a_start_from_where_it_was(database: Database, clocks: Clocks) -> None:
    slow = clocks.of(database)
    slow.time_ms()
    clocks.passes(SAVE_EVERY_MS)
    slow.time_ms()
    clocks.wall += YEARS
    assert clocks.of(database).time_ms() == NOW - DAY + 2 * SAVE_EVERY_MS
    saved = select(database.path, "SELECT value FROM counters WHERE name = 'retention.clock_ms'")
    assert saved == [(NOW - DAY + 2 * SAVE_EVERY_MS,)]


def test_before_the_first_export_it_is_1970(database: Database) -> None:
    assert Clocks().of(database).time_ms() == 0
    assert select(database.path, "SELECT * FROM counters") == []
