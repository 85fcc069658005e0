"""Locks between processes and between threads."""

import subprocess
import sys
from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from flask10x.database.paths import database_path
from flask10x.database.running_service import hold_database
from flask10x.errors import LockTimeout, ServiceRunning
from flask10x.system.locks import FileLock, lock_path
from tests.conftest import MakeSettings

HOLD = """
import fcntl, sys
file = open(sys.argv[1], "a")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return lock_path(tmp_path / "flask10x.sqlite3", "commit")


def test_the_lock_file_lies_beside_the_database(tmp_path: Path, path: Path) -> None:
    assert path == tmp_path / "flask10x.commit.lock"


def test_one_object_gives_its_lock_once(path: Path) -> None:
    lock = FileLock(path)
    assert lock.try_acquire()
    assert not lock.try_acquire()
    lock.release()
    lock.release()
    assert lock.try_acquire()
    lock.close()


def test_two_objects_exclude_each_other(path: Path) -> None:
    lock, other = FileLock(path), FileLock(path)
    assert lock.try_acquire()
    with pytest.raises(LockTimeout, match=r"flask10x\.commit\.lock was held elsewhere for 0\.05 s"):
        other.acquire(0.05)
    lock.release()
    other.acquire(0)
    lock.close()
    other.close()


def test_the_death_of_a_process_frees_its_lock(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        lock = FileLock(path)
        assert not lock.try_acquire()
        holder.kill()
        holder.wait()
        lock.acquire(5)
        lock.close()


def test_a_second_service_is_refused_with_the_first_ones_process(settings: Settings) -> None:
    first = hold_database(settings)
    with pytest.raises(
        ServiceRunning, match=r"process \d+\) already uses .*flask10x\.(sqlite3|postgresql)"
    ):
        hold_database(settings)
    first.close()
    hold_database(settings).close()


@pytest.mark.sqlite_only("another name of the file")
def test_two_names_of_one_database_have_the_same_locks(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    (tmp_path / "link.sqlite3").symlink_to(tmp_path / "flask10x.sqlite3")

    link = make_settings(DATABASE_URL=f"sqlite:///{tmp_path}/link.sqlite3")

    assert database_path(link) == database_path(make_settings())
