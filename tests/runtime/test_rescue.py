"""Files of the database are taken away: who notices, what is copied, what the next start says."""

import logging
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from flask10x.database.damage import Damage
from flask10x.database.database import Database
from flask10x.database.sqlite import rescue_copy, rescued
from flask10x.errors import DatabaseDamaged
from flask10x.readings.stations import BUILT_IN
from flask10x.runtime.database_file import OpenFiles, Rescue
from flask10x.system import disk
from flask10x.system.gauges import Gauges
from flask10x.system.pace import FIRST_SEC
from tests.support.rows import execute, select

pytestmark = pytest.mark.sqlite_only("what was in its files is copied")

READINGS = "SELECT count(*) FROM readings"


class House:
    """Workers over one database, each with its own files; a clock that a test sets."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.gauges = Gauges(BUILT_IN.by_endpoint)
        self.monotonic_sec = 50.0
        self.made: list[tuple[Database, Rescue]] = []

    def worker(self) -> tuple[Database, Rescue]:
        database = Database(self.settings, Damage(self.gauges))
        rescue = Rescue(self.settings, database, self.gauges, lambda: self.monotonic_sec)
        rescue.begin()
        self.made.append((database, rescue))
        return database, rescue

    def copies(self) -> list[Path]:
        return rescued.copies(self.made[0][0].path)


@pytest.fixture
def house(
    settings: Settings, database: Database, caplog: pytest.LogCaptureFixture
) -> Iterator[House]:
    caplog.set_level(logging.INFO, logger="flask10x")
    house = House(settings)
    yield house
    for worker, rescue in house.made:
        rescue.close()
        worker.reader.dispose()
        worker.writer.dispose()


def store(database: Database, times: int = 1) -> None:
    with database.commit() as connection:
        for number in range(times):
            connection.exec_driver_sql(
                "INSERT INTO readings (endpoint, received_at, pressure) VALUES ('data', ?, 1)",
                (number,),
            )


def take(database: Database, suffix: str = "-wal") -> None:
    database.path.with_name(f"{database.path.name}{suffix}").unlink()


def check_copy(copies: list[Path], readings: int) -> None:
    """There is one, it is sound and holds so many."""
    (copy,) = copies
    assert copy.stat().st_mode & 0o777 == 0o640
    assert select(copy, READINGS) == [(readings,)]
    assert select(copy, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize("suffix", ["-wal", "-shm", ""])
def test_what_is_taken_away_is_copied_whole(
    house: House, caplog: pytest.LogCaptureFixture, suffix: str
) -> None:
    database, rescue = house.worker()
    store(database, 5)
    rescue.step()
    assert house.gauges.damage == ""
    take(database, suffix)
    # Acknowledged before a worker has noticed.
    store(database, 2)
    rescue.step()

    name = f"{database.path}{suffix}"
    assert house.gauges.damage == f"{name} was deleted or moved away while in use"
    with pytest.raises(DatabaseDamaged, match=r"copied to flask10x\.sqlite3\.rescued-"):
        store(database)
    (copy,) = house.copies()
    check_copy([copy], 7)
    assert f"up to reading 7, is copied to {copy}: stop the service" in caplog.text
    rescue.step()
    assert house.copies() == [copy]


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_another_file_under_the_name_is_noticed(house: House, suffix: str) -> None:
    database, rescue = house.worker()
    store(database)
    rescue.step()
    other = database.path.with_name("other")
    other.touch()
    other.rename(f"{database.path}{suffix}")
    rescue.step()
    assert "was replaced by another file while in use" in house.gauges.damage
    check_copy(house.copies(), 1)


def test_a_file_that_is_renamed_is_recognised(house: House) -> None:
    database, rescue = house.worker()
    store(database)
    rescue.step()
    Path(f"{database.path}-wal").rename(database.path.with_name("elsewhere"))
    rescue.step()
    assert house.gauges.damage.endswith("-wal was deleted or moved away while in use")


def test_a_file_that_is_renamed_within_the_first_second_is_recognised(house: House) -> None:
    database, rescue = house.worker()
    database.path.rename(database.path.with_name("elsewhere"))
    rescue.step()
    assert house.gauges.damage == f"{database.path} was deleted or moved away while in use"


def test_two_workers_make_one_copy(house: House) -> None:
    (first, watch), (second, other) = house.worker(), house.worker()
    store(first)
    store(second)
    take(first)
    other.step()
    watch.step()
    check_copy(house.copies(), 2)


def test_a_worker_that_came_later_has_nothing_to_copy(house: House) -> None:
    database, rescue = house.worker()
    store(database)
    take(database)
    rescue.step()
    (copy,) = house.copies()
    later = house.worker()[1]
    later.step()
    assert house.copies() == [copy]


def test_without_room_there_is_no_half_copy_and_it_is_tried_again(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    database, rescue = house.worker()
    store(database)
    take(database)
    before = set(database.path.parent.iterdir())
    monkeypatch.setattr(disk, "free_bytes", lambda _folder: 1000)
    for _ in range(3):
        rescue.step()
    assert set(database.path.parent.iterdir()) == before
    lines = [r for r in caplog.records if "cannot be copied yet" in r.getMessage()]
    assert len(lines) == 1
    assert "not enough space" in lines[0].getMessage()

    monkeypatch.undo()
    rescue.step()
    assert house.copies() == [], "it is not time yet"
    house.monotonic_sec += FIRST_SEC
    rescue.step()
    check_copy(house.copies(), 1)


def test_a_folder_that_is_gone_is_to_be_made_again(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    database, rescue = house.worker()
    folder = database.path.parent
    store(database, 3)
    rescue.step()
    shutil.rmtree(folder)
    rescue.step()
    (lines,) = [r.getMessage() for r in caplog.records if "cannot be copied yet" in r.getMessage()]
    assert lines.endswith(f"; make the folder again: mkdir -p {folder}")
    assert database.damage.reason.endswith(
        "; do not stop the service before what was stored is copied"
    )

    folder.mkdir()
    house.monotonic_sec += FIRST_SEC
    rescue.step()
    check_copy(house.copies(), 3)
    assert "do not stop" not in database.damage.reason


def test_a_copy_that_breaks_off_leaves_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, rescue = house.worker()
    store(database)
    take(database)
    before = set(database.path.parent.iterdir())

    def broken(_path: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(disk, "sync", broken)
    rescue.step()
    assert set(database.path.parent.iterdir()) == before
    monkeypatch.undo()
    house.monotonic_sec += FIRST_SEC
    (database.path.parent / ".flask10x-rescue-1.tmp").write_bytes(b"of one that was killed")
    rescue.step()
    check_copy(house.copies(), 1)
    assert not list(database.path.parent.glob(".flask10x-rescue-*"))


def test_a_stop_makes_the_copy_that_was_not_made_yet(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    database, rescue = house.worker()
    store(database)
    take(database)
    rescue.close()
    check_copy(house.copies(), 1)


def test_what_could_not_be_copied_at_the_stop_is_said(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    database, rescue = house.worker()
    store(database)
    take(database)
    monkeypatch.setattr(disk, "free_bytes", lambda _folder: 1000)
    rescue.close()
    assert "could not be copied before this worker ends: " in caplog.text


def test_the_next_start_keeps_to_the_richer_copy_until_it_is_used(
    house: House, settings: Settings
) -> None:
    database, rescue = house.worker()
    store(database, 3)
    take(database)
    rescue.step()
    (copy,) = house.copies()
    for worker, watch in house.made:
        watch.close()
        worker.reader.dispose()
        worker.writer.dispose()
    execute(database.path, "DELETE FROM readings", "DELETE FROM sqlite_sequence")

    again = House(settings)
    second, watch = again.worker()
    assert again.gauges.damage.startswith(f"{copy.name} holds readings that the database lacks (3)")
    with pytest.raises(DatabaseDamaged):
        store(second)
    watch.close()

    used = rescued.put_aside(copy)
    assert used.exists() and rescued.copies(database.path) == []
    third, watch = House(settings).worker()
    assert third.damage.reason == ""
    watch.close()
    for worker in (second, third):
        worker.reader.dispose()
        worker.writer.dispose()


@pytest.mark.parametrize("content", [b"", b"no database" * 400])
def test_a_copy_that_cannot_be_read_counts_as_none(database: Database, content: bytes) -> None:
    copy = database.path.with_name("flask10x.sqlite3.rescued-20250824-090000")
    copy.write_bytes(content)
    assert rescued.copies(database.path) == [copy]
    assert rescue_copy.richer(database.path) is None


def test_other_files_in_place_are_no_matter(database: Database) -> None:
    files = OpenFiles(database.path)
    assert files.lost() == ""
    with closing(sqlite3.connect(database.path)) as other:
        other.execute("PRAGMA journal_mode = WAL").fetchall()
        other.execute("UPDATE counters SET value = 1")
        assert files.lost() == ""
    # SQLite itself deletes both when the last connection closes.
    assert not Path(f"{database.path}-wal").exists()
    assert files.lost() == ""


@pytest.mark.usefixtures("database")
def test_a_file_that_was_away_between_two_looks_is_found_within_a_minute(
    database: Database,
) -> None:
    files, path = OpenFiles(database.path), database.path
    with closing(sqlite3.connect(path)) as held:
        held.execute("SELECT * FROM counters").fetchall()
        assert files.lost() == ""
        away = path.rename(path.with_name("away"))
        shutil.copy(away, path)
        with closing(sqlite3.connect(path)) as foreign:
            foreign.execute("SELECT * FROM counters").fetchall()
            path.unlink()
            away.rename(path)
            found = [files.lost() for _second in range(60)]
    assert {*found} == {"", f"{path} was replaced by another file while in use"}


def test_a_folder_that_does_not_answer_proves_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, rescue = house.worker()

    def broken(_path: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "stat", broken)
    rescue.step()
    monkeypatch.undo()
    assert house.gauges.damage == ""
