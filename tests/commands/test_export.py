"""`flask10x export` and the script for cron: what they print, where, and the exit status."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from flask10x.commands import export as command
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.export.outcome import FileOutcome
from flask10x.system.locks import FileLock, lock_path
from tests.support import csv_folder
from tests.support.commands import in_words, run_command
from tests.support.csv_folder import csv_file, database_file
from tests.support.databases import ON_POSTGRES, environment_of
from tests.support.rows import select

ROOT = Path(__file__).parents[2]


def run_script(settings: Settings, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "importtime", str(ROOT / "scripts" / "export_csv.py"), *options],
        env={**environment_of(settings.data_dir), "FLASK10X_TIMEZONE": "Asia/Tokyo"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_script_for_cron(settings: Settings, database: Database) -> None:
    csv_folder.store(settings, 0)
    result = run_script(settings)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[0] == f"{settings.csv_dir}/PicodataX.csv: 1 row appended"
    assert len(result.stdout.splitlines()) == 4
    # It starts in a blink on a Pi because it loads neither Flask nor Alembic.
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "sqlalchemy" in imported
    assert not imported & {"flask", "werkzeug", "alembic", "gunicorn", "portalocker"}
    positions = select(
        database_file(settings), "SELECT name, last_id FROM csv_files WHERE last_id > 0"
    )
    assert positions == [("PicodataX.csv", 1)]


@pytest.mark.parametrize("option", ["--dry-run", "--help", "--no-such-option"])
def test_the_script_takes_options_as_the_command_does(
    settings: Settings, database: Database, option: str
) -> None:
    csv_folder.store(settings, 0)
    result = run_script(settings, option)
    assert (result.returncode == 0) == (option != "--no-such-option")
    assert "would be appended" in result.stdout + result.stderr or option != "--dry-run"
    assert not settings.csv_dir.exists()


def test_two_exports_at_once(settings: Settings, database: Database) -> None:
    csv_folder.store(settings, 0)
    lock = FileLock(lock_path(database_file(settings), "export"))
    assert lock.try_acquire()
    result = run_script(settings)
    lock.close()
    assert result.returncode == 3
    assert "another export or an import is running; this one did nothing" in result.stderr
    assert not settings.csv_dir.exists()


@pytest.mark.sqlite_only("a file that is not there")
def test_without_a_database(settings: Settings) -> None:
    result = run_script(settings)
    assert result.returncode == 1
    assert "there is no database" in result.stderr
    assert not (settings.data_dir / "flask10x.sqlite3").exists()


@pytest.mark.sqlite_only("what is left of a file")
def test_without_a_database_a_rescued_copy_is_named(settings: Settings) -> None:
    settings.data_dir.mkdir(exist_ok=True)
    copy = settings.data_dir / "flask10x.sqlite3.rescued-20250824-090000"
    copy.touch()
    result = run_script(settings)
    assert result.returncode == 1
    assert f"{copy} holds what it had: flask10x restore {copy}" in result.stderr
    assert "migrate" not in result.stderr


def test_a_failure_shows_in_the_exit_status(settings: Settings, database: Database) -> None:
    csv_folder.store(settings, 0)
    csv_folder.put(settings, b"something else")
    result = run_script(settings)
    assert result.returncode == 1
    assert "PicodataX.csv: the first line is" in result.stderr


def flask10x(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **environment_of(settings.data_dir),
        "FLASK10X_TIMEZONE": "Asia/Tokyo",
        "FLASK10X_SYNCHRONOUS": "NORMAL",
    }
    return in_words(run_command(["export", *arguments], environment, folder=ROOT))


def test_the_command(settings: Settings, database: Database) -> None:
    csv_folder.store(settings, 0)
    path = csv_file(settings)
    result = flask10x(settings, "--dry-run", "PicodataX.csv")
    assert (result.returncode, result.stdout) == (0, f"{path}: 1 row would be appended\n")
    result = flask10x(settings, "PicodataX.csv")
    assert (result.returncode, result.stdout) == (0, f"{path}: 1 row appended\n")
    result = flask10x(settings, "--verify", "PicodataX.csv")
    at = "2025-08-24 10:46:40"
    assert (result.returncode, result.stdout) == (0, f"{path}: 1 row, {at} to {at}, equal\n")
    path.write_bytes(b"")
    result = flask10x(settings, "--verify", "PicodataX.csv")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"{path}: 0 rows; DIFFERENT: the file of the last export is gone; the next export"
        " starts a new one\n"
    )
    result = flask10x(settings, "--rebuild", "PicodataX.csv")
    assert (result.returncode, result.stdout) == (0, f"{path}: 1 row written\n")


def test_an_archived_file_is_named(settings: Settings, database: Database) -> None:
    csv_folder.store(settings, 0, 1)
    assert flask10x(settings).returncode == 0
    place = settings.data_dir / "2025.csv"
    csv_file(settings).rename(place)
    assert flask10x(settings).returncode == 0
    result = flask10x(settings, "--archived", str(csv_file(settings)))
    assert result.returncode == 1
    assert result.stderr == (
        f"flask10x: {csv_file(settings)}: it is no file that an export has written and that was"
        " moved away later\n"
    )
    result = flask10x(settings, "--archived", str(place))
    assert result.stdout == f"{place}: an archived file of /data, which was PicodataX.csv\n"
    query = "SELECT endpoint, path, last_id FROM csv_files WHERE kind = 'archived'"
    rows = select(database_file(settings), query)
    assert rows == [("data", str(place), 2)]
    result = flask10x(settings, "--verify", "--archived", str(place))
    assert "--archived cannot be combined with other options" in result.stderr


def test_wrong_arguments(settings: Settings, database: Database) -> None:
    for arguments in (
        ["--whole"],
        ["BedRoom.csv"],
        ["--verify", "--whole"],
        ["--dry-run", "--rebuild"],
        ["--rebuild", "--verify"],
    ):
        result = flask10x(settings, *arguments)
        assert result.returncode == 2
        assert "Usage: " in result.stderr
    assert "--rebuild and --verify do not go together" in result.stderr
    assert not settings.csv_dir.exists()
    result = flask10x(settings, "BedRoom.csv")
    assert result.stderr.splitlines()[-1] == (
        "Error: Invalid value for FILES: there is no 'BedRoom.csv'; did you mean BedRoomEnv.csv?"
        " There are: PicodataX.csv, BedRoomEnv.csv, OutsideEnv.csv, LR_env.csv"
    )


def test_positions_are_synced_even_if_readings_are_not(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With NORMAL a power cut may take the last commits back; the files would be ahead of them."""
    values: list[object] = []
    query = "SHOW synchronous_commit" if ON_POSTGRES else "PRAGMA synchronous"

    def look(_: Settings, database: Database, __: object) -> list[FileOutcome]:
        with database.writer.connect() as connection:
            values.append(connection.exec_driver_sql(query).scalar_one())
        return []

    for name, value in environment_of(settings.data_dir).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FLASK10X_SYNCHRONOUS", "NORMAL")
    monkeypatch.setattr(command, "export", look)
    assert command.run() == 0
    assert values == ["on" if ON_POSTGRES else 2]


@pytest.mark.sqlite_only("an empty database on a server is none yet")
def test_an_older_database_asks_for_its_migration(settings: Settings) -> None:
    database_file(settings).parent.mkdir(exist_ok=True)
    sqlite3.connect(database_file(settings)).close()
    result = flask10x(settings)
    assert result.returncode == 1
    assert "the database is older than this program; run: flask10x migrate" in result.stderr
