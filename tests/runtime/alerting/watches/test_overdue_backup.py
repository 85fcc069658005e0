"""Backups that are not made, and folders that are away."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from flask10x.config.alerts.rules import BackupOverdue
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.health import copies
from flask10x.health.copies import NewestBackup
from flask10x.runtime.alerting import service_watches
from flask10x.runtime.alerting.service_watches import CheckWatch
from tests.runtime.alerting.watches.home import DAY_MS, NINE_MS, Clock, Noted, active_alert, firing

STICK = Path("/media/stick/flask10x")


class Folder:
    """BACKUP_DIR, the folder of its copies, and the oldest reading."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.made_at: int | None = None
        self.copied_at: int | None = None
        self.first_at: int | None = NINE_MS - DAY_MS
        self.answers = threading.Event()
        self.answers.set()
        self.settings, self.database = settings, database

    def newest(self, folder: Path, *_: object) -> NewestBackup | None:
        self.answers.wait()
        made_at = self.copied_at if folder == STICK else self.made_at
        if made_at is None:
            return None
        return NewestBackup(path=folder / "b", made_at=made_at, bytes=1)

    def beginning(self, _connection: object) -> SimpleNamespace:
        return SimpleNamespace(at=self.first_at)

    def watch(self) -> CheckWatch:
        return CheckWatch(BackupOverdue(after_sec=3 * 86_400), self.settings, self.database)


@pytest.fixture
def folder(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Folder]:
    folder = Folder(settings, database)
    monkeypatch.setattr(copies, "newest_backup", folder.newest)
    monkeypatch.setattr(service_watches, "beginning", folder.beginning)
    yield folder
    folder.answers.set()


def test_it_is_overdue_after_three_days_and_over_with_the_next(folder: Folder) -> None:
    clock, noted = Clock(), Noted()
    watch = folder.watch()
    folder.made_at = NINE_MS
    assert noted.step(watch, clock.moment(after_sec=3 * 86_400)) == []
    assert noted.step(watch, clock.moment(after_sec=60)) == ["+"]
    assert noted.last[""].since_ms == NINE_MS + 3 * DAY_MS
    assert noted.last[""].facts == {"newest_at": NINE_MS, "after_sec": 259_200}
    folder.made_at = clock.wall_ms
    assert noted.step(watch, clock.moment(after_sec=60)) == ["-"]


def test_without_any_the_oldest_reading_counts(folder: Folder) -> None:
    clock, noted = Clock(), Noted()
    watch = folder.watch()
    assert noted.step(watch, clock.moment(after_sec=60)) == []
    assert noted.step(watch, clock.moment(after_sec=2 * 86_400)) == ["+"]
    assert noted.last[""].facts["newest_at"] is None


def test_an_empty_database_needs_none(folder: Folder) -> None:
    folder.first_at = None
    assert firing(folder.watch().step(Clock().moment(), {})) == [False]


def test_a_stick_that_was_pulled_out_takes_no_backup_back(folder: Folder) -> None:
    clock, noted = Clock(), Noted()
    watch = folder.watch()
    folder.made_at, folder.first_at = NINE_MS, NINE_MS - 300 * DAY_MS
    assert noted.step(watch, clock.moment(after_sec=60)) == []
    folder.made_at = None
    assert noted.step(watch, clock.moment(after_sec=60)) == []
    assert noted.step(watch, clock.moment(after_sec=3 * 86_400)) == ["+"]


def test_a_copy_that_is_not_made_any_more_is_overdue_while_backups_are_made(
    folder: Folder,
) -> None:
    folder.settings = replace(folder.settings, backup_copy_dir=STICK)
    clock, noted = Clock(), Noted()
    watch = folder.watch()
    folder.made_at = folder.copied_at = NINE_MS
    assert noted.step(watch, clock.moment(after_sec=2 * 86_400)) == []
    folder.made_at = clock.wall_ms
    # Pulled out: the last copy that was seen counts.
    folder.copied_at = None
    assert noted.step(watch, clock.moment(after_sec=86_400)) == []
    assert noted.step(watch, clock.moment(after_sec=60)) == ["+"]
    assert noted.last[""].since_ms == NINE_MS + 3 * DAY_MS
    assert noted.last[""].facts == {
        "newest_at": NINE_MS,
        "after_sec": 259_200,
        "folder": "/media/stick/flask10x",
    }
    folder.made_at = folder.copied_at = clock.wall_ms
    assert noted.step(watch, clock.moment(after_sec=60)) == ["-"]


def test_a_stick_without_a_copy_has_three_days_from_the_first_look(folder: Folder) -> None:
    folder.settings = replace(folder.settings, backup_copy_dir=STICK)
    clock, noted = Clock(), Noted()
    watch = folder.watch()
    folder.made_at = NINE_MS + 2 * DAY_MS
    assert noted.step(watch, clock.moment()) == []
    assert noted.step(watch, clock.moment(after_sec=3 * 86_400)) == []
    assert noted.step(watch, clock.moment(after_sec=60)) == ["+"]
    assert noted.last[""].facts["newest_at"] is None


def test_a_folder_that_never_answers_holds_up_nothing(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_watches, "PATIENCE_SEC", 0)
    clock = Clock()
    watch = folder.watch()
    folder.answers.clear()
    for _ in range(3):
        assert firing(watch.step(clock.moment(after_sec=60), {})) == [None]
    folder.made_at = NINE_MS
    folder.answers.set()
    monkeypatch.setattr(service_watches, "PATIENCE_SEC", 10)
    assert firing(watch.step(clock.moment(after_sec=60), {})) == [False]


def test_a_thread_that_could_not_be_started_is_started_at_the_next_look(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_thread: object) -> None:
        raise RuntimeError("can't start new thread")

    clock, watch = Clock(), folder.watch()
    folder.made_at = NINE_MS
    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError):
            watch.step(clock.moment(), {})
    assert firing(watch.step(clock.moment(after_sec=60), {})) == [False]


def test_a_clock_that_is_not_set_yet_ends_nothing(folder: Folder) -> None:
    clock = Clock()
    folder.made_at = NINE_MS - 5 * DAY_MS
    active = {("backup", ""): active_alert("backup", "backup", "", NINE_MS - 2 * DAY_MS)}
    clock.wall_ms = NINE_MS - 4 * DAY_MS
    assert firing(folder.watch().step(clock.moment(), active)) == [None]
