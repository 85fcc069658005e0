"""Power cuts under load: what was synced is there afterwards, and the database is sound."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from flask10x.config import settings as settings_module
from flask10x.database import schema
from flask10x.database.paths import database_path
from tests.e2e.conftest import MakeService
from tests.e2e.load import Load
from tests.e2e.service import Service, wait_until
from tests.faults.figures import account, record
from tests.faults.power import Power, mixed
from tests.faults.read_error import compiled
from tests.faults.repeat import harder_promise, repeated
from tests.faults.sender import Sender
from tests.faults.shared_memory import shared_files
from tests.faults.test_kills import moment, variant
from tests.support.new_database import lay_new_database
from tests.support.outside_faults import killed_at, needs_strace
from tests.support.rows import execute, select

SOURCE = Path(__file__).with_name("powercut.c")
SEED = 20_261_124


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shim, compiled."""
    return compiled(SOURCE, tmp_path_factory.mktemp("shim"))


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In memory: the shim alone decides what is synced, and a busy disk would stop the service."""
    return tmp_path_factory.mktemp("power")


@pytest.fixture
def power(shim: Path, tmp_path: Path) -> Power:
    folder = (tmp_path / "data").resolve()
    folder.mkdir()
    return Power(shim, folder, tmp_path / "shadow")


WRITES = """
import os
synced = os.open("synced", os.O_RDWR | os.O_CREAT)
os.write(synced, b"first")
os.fsync(synced)
os.write(synced, b" second")
os.write(os.open("never", os.O_RDWR | os.O_CREAT), b"lost")
os.rename("old", "new")
"""


def test_the_shim_keeps_what_was_synced_and_nothing_else(power: Power) -> None:
    (power.folder / "old").write_bytes(b"old")
    power.switch_on()
    environment = os.environ | power.environment()
    subprocess.run([sys.executable, "-c", WRITES], cwd=power.folder, env=environment, check=True)
    assert (power.folder / "synced").read_bytes() == b"first second"

    power.cut()
    left = {file.name: file.read_bytes() for file in power.folder.iterdir()}
    assert left == {"synced": b"first", "old": b"old"}

    power.switch_on()
    resynced = WRITES + "os.fdatasync(synced)\n"
    subprocess.run([sys.executable, "-c", resynced], cwd=power.folder, env=environment, check=True)
    power.cut()
    left = {file.name: file.read_bytes() for file in power.folder.iterdir()}
    assert left == {"synced": b"first second", "never": b"", "new": b"old"}


def test_a_torn_file_holds_sectors_of_both() -> None:
    synced, written = b"a" * 512 * 40, b"b" * 512 * 60
    found = [mixed(synced, written, random.Random(seed)) for seed in range(40)]
    assert {len(content) for content in found} == {512 * 40, 512 * 60}
    assert {content[at] for content in found for at in range(0, 20480, 512)} == {97, 98}


@pytest.mark.sqlite_only("what a power cut leaves of the file")
@pytest.mark.tools
@harder_promise
# With NORMAL the same cut has to lose something, or it was none.
@pytest.mark.parametrize("synchronous", ["FULL", "NORMAL"])
@repeated(2, 100, timeout_sec=3600)
def test_a_power_cut_under_load(
    service: MakeService,
    numbers: Iterator[int],
    promise: dict[str, Any],
    synchronous: str,
    power: Power,
    times: int,
    tmp_path: Path,
) -> None:
    logs = tmp_path / "logs"
    running = service(start=False, synchronous=synchronous, log_dir=logs, **promise)
    running.log_dir = logs
    running.environment |= power.environment()
    # What nobody has synced is gone with the power, a database from elsewhere too.
    running.starts_migrated = False
    choice = random.Random(SEED)
    loads: list[Load] = []
    left: set[int] = set()
    committed = committed_lost = 0
    for number in range(times):
        power.switch_on()
        running.start()
        loads.append(load := Load(running.port, numbers))
        with load.running():
            load.burst()
            moment()
            seen = stored(running)
            shared = shared_files(running)
            kill(running)
        assert len(shared) == 1, "what waits lies in memory, and is gone with the power"
        shared.pop().unlink()
        power.cut(choice if number % 2 else None)
        committed += len(seen - left)
        left = stored_after_cut(running)
        committed_lost += len(seen - left)
    assert committed > 0
    power.switch_on()
    running.start()
    last = Sender(running, numbers)
    last.check_goes_on()
    running.stop()

    running.check_integrity()
    loud = [line for line in running.log() if " INFO " not in line]
    assert loud == []
    counted = account(running, [*loads, last])
    if synchronous == "FULL":
        assert committed_lost == 0, "others have seen it, so it was synced"
        if promise:
            assert counted.lost == set(), "acknowledged after the commit"
    else:
        assert committed_lost > 0, "the shim has cut something"
    settings = f"{variant(promise)}, SYNCHRONOUS={synchronous}"
    notes = {"committed": committed, "committed_lost": committed_lost}
    record("power-cut", settings, times, counted, **notes)


def stored(service: Service) -> set[int]:
    """The numbers that a connection of the test's own sees."""
    rows = service.rows("SELECT gas_resistance FROM readings")
    return {int(number) for (number,) in rows}


def kill(service: Service) -> None:
    """Everything stops at once."""
    os.killpg(service.pid, signal.SIGKILL)
    service.process.wait(25)
    wait_until(lambda: not service.members(), 25, "everything is gone")


def stored_after_cut(service: Service) -> set[int]:
    """What is left, which has to be sound; seen on a copy, for the service recovers it first."""
    copy = service.folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(service.data_dir, copy)
    with closing(sqlite3.connect(copy / service.database.name)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = connection.execute("SELECT gas_resistance FROM readings").fetchall()
    return {int(number) for (number,) in rows}


SOIL = """
[stations.balcony]
label = "Balcony"
[stations.balcony.measurements.soil_wet]
unit = "%"
[stations.balcony.measurements.soil_salt]
unit = ""
"""


@pytest.mark.sqlite_only("what a power cut leaves of the file")
@pytest.mark.tools
@needs_strace
@pytest.mark.long
def test_a_power_cut_at_each_sync_while_columns_are_added(power: Power, tmp_path: Path) -> None:
    environment = {"FLASK10X_DATA_DIR": str(power.folder), "XDG_STATE_HOME": str(tmp_path)}
    config = settings_module.load(environment)
    database = database_path(config)
    lay_new_database(database)
    for number in range(200):
        execute(database, f"INSERT INTO readings (endpoint, received_at) VALUES ('data', {number})")
    before = database.read_bytes()
    (power.folder / "stations.toml").write_text(SOIL)
    config = settings_module.load(environment)
    found = set()
    for number in count(1):
        for file in power.folder.glob("flask10x.sqlite3*"):
            file.unlink()
        database.write_bytes(before)
        power.switch_on()
        died = killed_at("fdatasync", number, ["migrate"], environment | power.environment())
        power.cut(random.Random(number) if number % 2 else None)
        found.add(frozenset(missing_of(database)))
        schema.upgrade(config)
        assert missing_of(database) == []
        assert select(database, "SELECT received_at FROM readings") == [(n,) for n in range(200)]
        assert select(database, "SELECT * FROM v_balcony") == []
        assert select(database, "PRAGMA integrity_check") == [("ok",)]
        if not died:
            break
    # Before the first one, between both, and after them.
    assert {len(missing) for missing in found} == {2, 1, 0}


def missing_of(database: Path) -> list[str]:
    there = {row[1] for row in select(database, "PRAGMA table_info(readings)")}
    return [name for name in ("soil_wet", "soil_salt") if name not in there]
