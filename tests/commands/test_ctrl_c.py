"""Ctrl+C in a long command is told as one, leaves nothing half, and calls nothing damaged."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from flask10x.database.engine import Database
from flask10x.maintenance.backup import LOCK_NAME, backup
from tests.support.databases import environment_of
from tests.support.rows import execute

WITHIN_SEC = 60.0

# Runs the command, whose statement STATEMENT stands still at its first look around.
STANDING = """
import signal, sys, time
from flask10x.commands.main import main
from flask10x.database.sqlite import file
from flask10x.database.sqlite.driver import Driver

wanted, file.STEPS_BETWEEN_SIGNALS = sys.argv[1], 20
begun = set()
# Who runs the tests in the background may have let it be ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
usual = Driver.set_progress_handler

def set_progress_handler(driver, look, steps):
    def stand():
        if begun:
            begun.clear()
            print("stands", file=sys.stderr, flush=True)
            time.sleep(60)
        return look()

    def note(sql):
        if sql.startswith(wanted):
            begun.add(sql)

    driver.set_trace_callback(note)
    usual(driver, stand, steps)

Driver.set_progress_handler = set_progress_handler
main(sys.argv[2:])
"""


def interrupted(
    settings: Settings, statement: str, *arguments: str, language: str = "C"
) -> tuple[int, str, str]:
    """Run a command and press Ctrl+C in this statement: its exit status, output and errors."""
    process = subprocess.Popen(
        [sys.executable, "-c", STANDING, statement, *arguments],
        env={
            **environment_of(settings.data_dir),
            "FLASK10X_TIMEZONE": "Asia/Tokyo",
            **{"LC_ALL": language, "PYTHONUTF8": "1"},
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    with process:
        assert process.stderr is not None
        first = process.stderr.readline()
        assert first == "stands\n", first + process.stderr.read()
        process.send_signal(signal.SIGINT)
        try:
            output, errors = process.communicate(timeout=WITHIN_SEC)
        finally:
            process.kill()
    return process.returncode, output, errors


@pytest.fixture
def readings(database: Database) -> Database:
    execute(
        database.path,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
        " INSERT INTO readings (endpoint, received_at, pressure)"
        " SELECT 'data', 1700000000000 + i * 60000, 1000 FROM n",
    )
    return database


@pytest.mark.parametrize("statement", ["VACUUM INTO", "PRAGMA integrity_check"])
def test_backup(settings: Settings, readings: Database, tmp_path: Path, statement: str) -> None:
    folder = tmp_path / "usb"
    ended = interrupted(settings, statement, "backup", str(folder))
    assert ended == (1, "", "\nAborted!\n")
    assert list(folder.iterdir()) == [folder / LOCK_NAME]
    assert backup(settings, folder).rows == 2000


def test_restore_leaves_the_database_as_it_was(
    settings: Settings, readings: Database, tmp_path: Path
) -> None:
    made = backup(settings, tmp_path / "usb").path
    before = readings.path.read_bytes()
    there = set(settings.data_dir.iterdir())
    ended = interrupted(settings, "PRAGMA integrity_check", "restore", str(made))
    assert ended == (1, "", "\nAborted!\n")
    assert readings.path.read_bytes() == before
    left = set(settings.data_dir.iterdir()) - there
    assert [path for path in left if path.suffix != ".lock"] == []


@pytest.mark.parametrize(
    ("options", "statement"), [([], "PRAGMA quick_check"), (["--full"], "PRAGMA integrity_check")]
)
def test_check(settings: Settings, readings: Database, options: list[str], statement: str) -> None:
    ended = interrupted(settings, statement, "check", *options)
    assert ended == (1, "", "\nAborted!\n")


def test_in_japanese(settings: Settings, readings: Database, tmp_path: Path) -> None:
    ended = interrupted(
        settings, "VACUUM INTO", "backup", str(tmp_path / "usb"), language="ja_JP.UTF-8"
    )
    assert ended == (1, "", "\n中断しました。\n")
