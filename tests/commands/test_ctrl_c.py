"""Ctrl+C in a long command is reported as such, leaves nothing half done, and damages nothing."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.paths import database_path
from flask10x.maintenance.backup import LOCK_NAME, backup
from tests.e2e.service import wait_until
from tests.support import databases
from tests.support.databases import environment_of
from tests.support.rows import insert_series, on_postgres, select

WITHIN_SEC = 60.0
# On PostgreSQL: how many statements wait for somebody who has locked a table.
WAITING = (
    "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
    " WHERE datname = current_database() AND NOT granted"
)

# Runs the command, whose statement STATEMENT of SQLite waits at its first look around.
STANDING = """
import sys, time
from flask10x.commands.main import main
from flask10x.database.sqlite import file
from flask10x.database.sqlite.driver import Driver

statement, file.STEPS_BETWEEN_SIGNALS = sys.argv[1], 20
begun = set()
usual = Driver.set_progress_handler

def set_progress_handler(driver, look, steps):
    def stand():
        if begun:
            begun.clear()
            print("stands", file=sys.stderr, flush=True)
            time.sleep(60)
        return look()

    def note(sql):
        if sql.startswith(statement):
            begun.add(sql)

    driver.set_trace_callback(note)
    usual(driver, stand, steps)

Driver.set_progress_handler = set_progress_handler
main(sys.argv[2:])
"""


Ended = tuple[int, str, str]


def interrupted(settings: Settings, statement: str, *arguments: str, language: str = "C") -> Ended:
    """Press Ctrl+C in this statement of SQLite: the command's exit status, output and errors."""
    with _started(settings, statement, *arguments, language=language) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        assert first == "stands\n", first + process.stderr.read()
        return _press(process)


def interrupted_at(settings: Settings, table: str, *arguments: str, language: str = "C") -> Ended:
    """Press it while the command waits for the server, which has locked this table."""
    path = database_path(settings)
    with on_postgres(path) as holder, holder.transaction():
        holder.execute(f"LOCK TABLE {table}")
        with _started(settings, "none of them", *arguments, language=language) as process:
            wait_until(
                lambda: select(path, WAITING) == [(1,)] or process.poll() is not None,
                WITHIN_SEC,
                "the command waits",
            )
            return _press(process)


@contextmanager
def _started(
    settings: Settings, statement: str, *arguments: str, language: str
) -> Iterator["subprocess.Popen[str]"]:
    environment = {**environment_of(settings.data_dir), "FLASK10X_TIMEZONE": "Asia/Tokyo"}
    with subprocess.Popen(
        [sys.executable, "-c", STANDING, statement, *arguments],
        env={**environment, "LC_ALL": language, "PYTHONUTF8": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _press(process: "subprocess.Popen[str]") -> Ended:
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=WITHIN_SEC)
    return process.returncode, output, errors


@pytest.fixture
def readings(database: Database) -> Database:
    insert_series(
        database.path,
        2000,
        endpoint="'data'",
        received_at="1700000000000 + i * 60000",
        pressure="1000",
    )
    return database


def interrupted_copy(settings: Settings, folder: Path, language: str = "C") -> Ended:
    """Press it in the middle of what a backup copies."""
    if databases.ON_POSTGRES:
        # All readings are in the file by then.
        return interrupted_at(
            settings, "rollups", "backup", "--whole", str(folder), language=language
        )
    return interrupted(settings, "VACUUM INTO", "backup", "--whole", str(folder), language=language)


def test_backup(settings: Settings, readings: Database, tmp_path: Path) -> None:
    folder = tmp_path / "usb"
    assert interrupted_copy(settings, folder) == (1, "", "\nAborted!\n")
    assert list(folder.iterdir()) == []
    assert backup(settings, folder).rows == 2000


def test_check_of_a_backup(settings: Settings, readings: Database, tmp_path: Path) -> None:
    folder = tmp_path / "usb"
    ended = interrupted(settings, "PRAGMA integrity_check", "backup", str(folder))
    assert ended == (1, "", "\nAborted!\n")
    assert list(folder.iterdir()) == [folder / LOCK_NAME]
    assert backup(settings, folder).rows == 2000


@pytest.mark.sqlite_only("a file takes the place of a file")
def test_restore_leaves_the_database_as_it_was(
    settings: Settings, readings: Database, tmp_path: Path
) -> None:
    copy = backup(settings, tmp_path / "usb").path
    before = readings.path.read_bytes()
    there = set(settings.data_dir.iterdir())
    ended = interrupted(settings, "PRAGMA integrity_check", "restore", str(copy))
    assert ended == (1, "", "\nAborted!\n")
    assert readings.path.read_bytes() == before
    remaining = set(settings.data_dir.iterdir()) - there
    assert [path for path in remaining if path.suffix != ".lock"] == []


@pytest.mark.parametrize(
    ("options", "statement"), [([], "PRAGMA quick_check"), (["--full"], "PRAGMA integrity_check")]
)
def test_check(settings: Settings, readings: Database, options: list[str], statement: str) -> None:
    if databases.ON_POSTGRES:
        ended = interrupted_at(settings, "readings", "check", *options)
    else:
        ended = interrupted(settings, statement, "check", *options)
    assert ended == (1, "", "\nAborted!\n")


def test_in_japanese(settings: Settings, readings: Database, tmp_path: Path) -> None:
    ended = interrupted_copy(settings, tmp_path / "usb", language="ja_JP.UTF-8")
    assert ended == (1, "", "\n中断しました。\n")


# A signal while Python clears away its modules, which takes longer than many a command.
AT_THE_END = """
import builtins, os, signal, sys
from flask10x.commands.main import main

class Last:
    def __del__(self, kill=os.kill, own=os.getpid(), number=signal.SIGINT):
        kill(own, number)

builtins.last = Last()
main(sys.argv[1:])
"""


def test_a_command_that_has_done_its_work_ends_as_such(settings: Settings) -> None:
    """It ended by the signal, as if it had been interrupted."""
    done = subprocess.run(
        [sys.executable, "-c", AT_THE_END, "check", "--help"],
        env=environment_of(settings.data_dir),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("Usage:")
