"""The daily backup that the service makes itself: when, and when it makes none."""

import logging
from dataclasses import dataclass, replace
from datetime import datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.runtime.backup_schedule import (
    AFTER_START_MS,
    LOOK_EVERY_MS,
    RETRY_MS,
    BackupSchedule,
    last_run,
    moments,
    next_at,
)
from flask10x.system.background import Background
from flask10x.system.backup_files import finished
from tests.e2e.service import wait_until
from tests.support.rows import insert_readings, pico

TOKYO = ZoneInfo("Asia/Tokyo")
BERLIN = ZoneInfo("Europe/Berlin")
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def at(text: str, zone: ZoneInfo = TOKYO) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


NINE = at("2025-08-24 09:00")
NIGHT = at("2025-08-24 03:30")


@dataclass
class Clock:
    """The clock of the wall and that of the machine."""

    now: int = NINE

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, timezone="Asia/Tokyo", backup_time="03:30")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def schedule(settings: Settings, database: Database, clock: Clock) -> BackupSchedule:
    return BackupSchedule(settings, database, clock, clock)


def begin(database: Database, ms: int) -> None:
    """The first reading came then."""
    with database.commit() as connection:
        insert_readings(connection, [pico(1000.0, ms)])


def lay(settings: Settings, name: str) -> None:
    """A backup that something else has made."""
    settings.backup_dir.mkdir(exist_ok=True)
    (settings.backup_dir / f"flask10x-{name}.sqlite3").write_bytes(b"some")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders of the commands that are started, none of which runs."""
    found: list[str] = []

    def start(background: Background, _about: object, _environment: object) -> None:
        found.append(background.folder.name)

    monkeypatch.setattr(Background, "start", start)
    return found


def test_the_moments_around_now() -> None:
    night = time(3, 30)
    assert moments(night, TOKYO, NINE) == (NIGHT, NIGHT + DAY_MS)
    assert moments(night, TOKYO, NIGHT) == (NIGHT, NIGHT + DAY_MS)
    assert moments(night, TOKYO, NIGHT - 1) == (NIGHT - DAY_MS, NIGHT)


def test_a_day_of_25_hours_has_one_moment() -> None:
    # At three it was two again.
    before, after = at("2025-10-26 02:30", BERLIN), at("2025-10-27 02:30", BERLIN)
    assert after - before == 25 * HOUR_MS
    assert moments(time(2, 30), BERLIN, before + 2 * HOUR_MS) == (before, after)


@pytest.mark.parametrize(
    ("newest", "began", "expected"),
    [
        # Nothing is there to be backed up.
        (None, None, "2025-08-25 03:30"),
        (None, "2025-08-24 08:00", "2025-08-25 03:30"),
        # It is due since the night.
        (None, "2025-08-20 08:00", "2025-08-24 03:30"),
        ("2025-08-20 03:30", "2025-08-01 08:00", "2025-08-24 03:30"),
        # A timer makes one each night.
        ("2025-08-24 00:35", "2025-08-01 08:00", "2025-08-25 03:30"),
        ("2025-08-23 12:00", "2025-08-01 08:00", "2025-08-25 03:30"),
        # By hand, an hour ago.
        ("2025-08-24 08:00", "2025-08-01 08:00", "2025-08-26 03:30"),
    ],
)
def test_when_the_next_one_is_made(
    settings: Settings, newest: str | None, began: str | None, expected: str
) -> None:
    times = (at(newest) if newest else None, at(began) if began else None)
    assert next_at(settings, *times, NINE) == at(expected)
    assert next_at(replace(settings, backup_time="off"), *times, NINE) == 0


def test_a_missed_one_is_made_soon_after_the_start(
    settings: Settings,
    database: Database,
    schedule: BackupSchedule,
    clock: Clock,
    started: list[str],
) -> None:
    begin(database, NINE - 30 * DAY_MS)
    lay(settings, "20250822-033000")
    assert not schedule.step() and started == []
    clock.now += AFTER_START_MS
    assert schedule.step() and started == ["scheduled"]
    # One that came to nothing is not tried each minute.
    clock.now += RETRY_MS - 1
    assert not schedule.step() and len(started) == 1
    clock.now += 1
    assert schedule.step() and len(started) == 2


def test_none_is_made_after_a_timer_has_made_one(
    settings: Settings,
    database: Database,
    schedule: BackupSchedule,
    clock: Clock,
    started: list[str],
) -> None:
    begin(database, NINE - 30 * DAY_MS)
    lay(settings, "20250824-003500")
    clock.now += AFTER_START_MS
    assert schedule.step() and started == []
    # Until the timer does not any more.
    clock.now = NIGHT + DAY_MS - 1
    assert schedule.step() and started == []
    clock.now += LOOK_EVERY_MS
    assert schedule.step() and started == ["scheduled"]


def test_off_makes_none(
    settings: Settings, database: Database, clock: Clock, started: list[str]
) -> None:
    begin(database, NINE - 30 * DAY_MS)
    schedule = BackupSchedule(replace(settings, backup_time="off"), database, clock, clock)
    clock.now += 10 * DAY_MS
    assert schedule.step() and started == []


def test_a_folder_that_does_not_answer_holds_nothing_up(
    schedule: BackupSchedule,
    clock: Clock,
    started: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(schedule._folder, "ask", lambda _look: False)
    clock.now += AFTER_START_MS
    assert schedule.step() and started == []


def test_the_service_makes_a_whole_backup_and_keeps_as_many_as_are_set(
    settings: Settings,
    database: Database,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="flask10x")
    begin(database, NINE - 30 * DAY_MS)
    for day in (20, 21, 22):
        lay(settings, f"202508{day}-033000")
    data = 'backup_keep = 2\ntimezone = "Asia/Tokyo"\n'
    (settings.data_dir / "settings.toml").write_text(data)
    schedule = BackupSchedule(settings, database, clock, clock)
    clock.now += AFTER_START_MS
    assert schedule.step()
    wait_until(lambda: schedule._thread and not schedule._thread.is_alive(), 60, "the backup")
    schedule.step()
    files = finished(settings.backup_dir)
    assert len(files) == 2 and files[0].name == "flask10x-20250822-033000.sqlite3"
    run = last_run(settings)
    assert run is not None and (run.status, run.about.browser) == (0, "")
    assert "The daily backup is made: " in caplog.text


def test_one_that_fails_is_named_in_the_log(
    settings: Settings,
    database: Database,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    begin(database, NINE - 30 * DAY_MS)
    away = replace(settings, backup_dir=tmp_path / "usb" / "backups")
    schedule = BackupSchedule(away, database, clock, clock)
    clock.now += AFTER_START_MS
    assert schedule.step()
    wait_until(lambda: schedule._thread and not schedule._thread.is_alive(), 60, "the backup")
    schedule.step()
    assert "The daily backup was not made" in caplog.text
    assert "is the disk mounted?" in caplog.text
    assert last_run(away) is not None
