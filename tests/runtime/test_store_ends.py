"""Every exit ends: a process whose main thread is gone, whatever it died of, is over soon after."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.paths import database_path
from flask10x.recording.entry import entries_of, leftover_files
from flask10x.recording.shared_queue import WorkerSlot
from flask10x.runtime.store import Store
from tests.support import databases
from tests.support.databases import environment_of
from tests.support.new_database import lay_new_database
from tests.support.rows import select

# A process that waits for its writer for ever would be here until then.
ENDS_WITHIN_SEC = 60
OPENED = """
import json, sqlite3, sys
from flask10x.config import settings
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from flask10x.recording import writer
from flask10x.runtime import store as store_module
from flask10x.recording.shared_queue import WorkerSlot
writer.DRAIN_SEC = store_module.DRAIN_SEC = 1.0
config = settings.load(json.loads(sys.argv[1]) | {"FLASK10X_COMMIT_INTERVAL_SEC": "60"})
store = store_module.Store(config, WorkerSlot.alone(config))
"""
# Where nothing holds the database a busy machine has its time to store them; nothing else waits.
PATIENT = OPENED.replace("DRAIN_SEC = 1.0", "DRAIN_SEC = 20.0")
SUBMITTED = "[store.writer.submit(Reading('data', at_ms, (1.0, 2.0))) for at_ms in range(20)]\n"
# What Python says of a clock beyond the year 2262, wherever it is asked for the time.
CLOCK_ENDS = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: None)
def beyond(): raise OverflowError("timestamp too large to convert to C PyTime_t")
time.time = time.time_ns = beyond
store.close()
"""
LOCKED = """
holder = sqlite3.connect(store.database.path, isolation_level=None)
holder.execute("BEGIN IMMEDIATE")
"""
OF_FILE = () if databases.ON_POSTGRES else ("inspection",)
ENDS = {
    "an exception": "raise SystemError('the test')",
    "sys.exit": "sys.exit(7)",
    "an exception after a stop": "store.writer.refuse_new()\nraise SystemError('the test')",
    "closing fails": "store.writer.close = lambda sec: 1 / 0\nstore.close()",
}


def run(folder: Path, *parts: str) -> subprocess.CompletedProcess[str]:
    """A process of these lines; fails when it does not end."""
    return subprocess.run(
        [sys.executable, "-c", "\n".join(parts), json.dumps(environment_of(folder))],
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN_SEC,
        check=False,
    )


@pytest.fixture
def folder(settings: Settings) -> Path:
    lay_new_database(database_path(settings))
    return settings.data_dir


@pytest.mark.parametrize("how", ENDS)
def test_a_process_whose_closing_is_skipped_ends_and_stores_what_it_has(
    settings: Settings, folder: Path, how: str
) -> None:
    result = run(folder, PATIENT, "store.open()", SUBMITTED, ENDS[how])
    assert result.returncode != 0, result.stderr
    rows = select(database_path(settings), "SELECT received_at FROM readings ORDER BY id")
    assert rows == [(at_ms,) for at_ms in range(20)]


@pytest.mark.sqlite_only("another program that holds the file")
@pytest.mark.parametrize("how", ["an exception", "an exception after a stop"])
def test_it_leaves_to_the_next_start_what_it_cannot_store(
    settings: Settings, folder: Path, how: str
) -> None:
    run(folder, OPENED, "store.open()", LOCKED, SUBMITTED, ENDS[how])
    (file,) = leftover_files(folder)
    assert len([*entries_of(file)]) == 20
    assert select(database_path(settings), "SELECT 1 FROM readings") == []


def test_a_clock_that_ends_costs_no_reading(settings: Settings, folder: Path) -> None:
    """The log can't be written then, nor a connection be opened."""
    result = run(folder, OPENED, "store.open()", SUBMITTED, CLOCK_ENDS)
    assert result.returncode != 0, result.stderr
    stored = len(select(database_path(settings), "SELECT 1 FROM readings"))
    unstored = sum(len([*entries_of(file)]) for file in leftover_files(folder))
    assert stored + unstored == 20


@pytest.mark.tools
@pytest.mark.parametrize("thread", ["writer", "monitor", "alerts", *OF_FILE])
def test_a_thread_that_cannot_be_made_ends_the_process(
    settings: Settings, folder: Path, thread: str
) -> None:
    refusing = (
        "import threading\n"
        "usual = threading.Thread.start\n"
        "def start(thread):\n"
        f'    if thread.name == {thread!r}: raise RuntimeError("can\'t start new thread")\n'
        "    usual(thread)\n"
        "threading.Thread.start = start\n"
    )
    for closing in ("store.open()", "try: store.open()\nfinally: store.close()"):
        result = run(folder, OPENED, refusing, closing)
        assert result.returncode == 1
        assert result.stderr.splitlines()[-1] == "RuntimeError: can't start new thread"


def test_what_fails_while_a_store_closes_keeps_nothing_open(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(settings, WorkerSlot.alone(settings))
    store.open()

    def fail(*_: object) -> None:
        raise OSError("the test")

    monkeypatch.setattr(store._follower, "close", fail)
    if store._file is not None:
        monkeypatch.setattr(store._file.inspection, "close", fail)
    with pytest.raises(OSError, match="the test"):
        store.close()
    assert store.close() == 0
