"""The database's files from outside: its WAL's length, and that it stays the same file."""

import logging
import os
from pathlib import Path

import pytest

from flask10x.database.damage import Damage
from flask10x.readings.stations import BUILT_IN
from flask10x.runtime.database_file import FileWatch
from flask10x.system.gauges import Gauges
from tests.runtime.conftest import Said

pytestmark = pytest.mark.sqlite_only("the watch over its files")

MB = 1_000_000


@pytest.fixture
def gauges() -> Gauges:
    return Gauges(BUILT_IN.by_endpoint)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "flask10x.sqlite3"
    path.touch()
    return path


@pytest.fixture
def files(database: Path, gauges: Gauges, caplog: pytest.LogCaptureFixture) -> FileWatch:
    caplog.set_level(logging.INFO, logger="flask10x")
    files = FileWatch(database, gauges, Damage(gauges))
    files.begin()
    return files


def look(files: FileWatch) -> None:
    files.watch_identity()
    files.watch_wal()


def wal_of(database: Path, size: int) -> None:
    """A WAL of this size, without its bytes."""
    wal = database.with_name("flask10x.sqlite3-wal")
    wal.touch()
    os.truncate(wal, size)


def test_a_long_wal_is_warned_of_once_and_its_end_is_logged(
    files: FileWatch, database: Path, gauges: Gauges, said: Said
) -> None:
    look(files)
    wal_of(database, 15 * MB)
    look(files)
    assert said() == []

    wal_of(database, 17 * MB)
    look(files)
    (line,) = said()
    assert line.startswith("WARNING flask10x.sqlite3-wal has grown to 17 MB: ")

    other = FileWatch(database, gauges, Damage(gauges))
    wal_of(database, 5 * MB)
    look(other)
    assert said() == []

    wal_of(database, 4 * MB)
    look(other)
    assert said() == ["INFO flask10x.sqlite3-wal is short again: 4 MB"]
    look(other)
    assert said() == []


def test_a_database_that_stays_is_not_spoken_of(
    files: FileWatch, gauges: Gauges, said: Said
) -> None:
    for _ in range(3):
        look(files)
    assert (said(), gauges.damage) == ([], "")


def test_a_database_that_is_moved_away_is_damage(
    files: FileWatch, database: Path, gauges: Gauges
) -> None:
    database.rename(database.with_name("elsewhere"))
    look(files)
    assert gauges.damage == f"{database} was deleted or moved away"


def test_another_file_under_the_name_is_damage(
    files: FileWatch, database: Path, gauges: Gauges
) -> None:
    other = database.with_name("other")
    other.touch()
    other.rename(database)
    look(files)
    assert gauges.damage == f"{database} was replaced by another file"


def test_a_worker_that_starts_later_keeps_to_the_first_file(
    files: FileWatch, database: Path, gauges: Gauges
) -> None:
    other = database.with_name("other")
    other.touch()
    other.rename(database)
    later = FileWatch(database, gauges, Damage(gauges))
    later.begin()
    look(later)
    assert gauges.damage == f"{database} was replaced by another file"


def test_a_folder_that_does_not_answer_proves_nothing(
    files: FileWatch, gauges: Gauges, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_path: Path) -> os.stat_result:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "stat", broken)
    look(files)
    assert gauges.damage == ""


def test_a_folder_that_did_not_answer_at_the_start_proves_nothing_either(
    database: Path, gauges: Gauges, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_path: Path) -> os.stat_result:
        raise OSError(5, "Input/output error")

    files = FileWatch(database, gauges, Damage(gauges))
    with monkeypatch.context() as disk_is_away:
        disk_is_away.setattr(Path, "stat", broken)
        files.begin()
    look(files)
    assert gauges.damage == ""
    database.unlink()
    look(files)
    assert gauges.damage == f"{database} was deleted or moved away"
