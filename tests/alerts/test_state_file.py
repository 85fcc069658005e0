"""The state file: who may read it, what is written to it, by how many threads at once."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import insert

from flask10x.alerts import state_file
from flask10x.alerts.active import AlertState
from flask10x.alerts.state_file import StateFile, put_aside
from flask10x.database.paths import SHARED_MEMORY, WAL, beside


@pytest.fixture
def file(tmp_path: Path) -> Iterator[StateFile]:
    file = StateFile(tmp_path / "alerts.sqlite3")
    yield file
    file.close()


def test_it_is_private_with_all_that_is_beside_it(file: StateFile) -> None:
    before = os.umask(0)
    try:
        with file.writing() as connection:
            state_file.mute(connection, "silence", "data2", 5)
        modes = {entry.name: entry.stat().st_mode & 0o777 for entry in file.path.parent.iterdir()}
    finally:
        os.umask(before)
    names = ("alerts.sqlite3", "alerts.sqlite3-wal", "alerts.sqlite3-shm")
    assert modes == dict.fromkeys(names, 0o640)


def test_opening_it_again_writes_nothing(file: StateFile) -> None:
    with file.writing() as connection:
        state_file.mute(connection, "silence", "data2", 5)
    wal = file.path.with_name("alerts.sqlite3-wal")
    before = wal.stat().st_size
    other = StateFile(file.path)
    with other.reading() as connection:
        assert len(state_file.muted(connection, 0)) == 1
    assert wal.stat().st_size == before
    other.close()


def test_the_former_name_of_a_rule_becomes_that_of_now(file: StateFile) -> None:
    row = {"kind": "refused", "since_ms": 1, "entered_ms": 2, "facts": "{}", "reminded_ms": 2}
    with file.writing() as connection:
        for rule in ("refused", "mine"):
            values = row | {"rule": rule, "subject": "data"}
            connection.execute(insert(state_file.alerts).values(values))
        state_file.mute(connection, "refused", "data", 5)
        connection.exec_driver_sql("PRAGMA user_version = 1")
    file.close()
    assert AlertState(file.path).current().active == ()
    with file.reading() as connection:
        active = state_file.active(connection, 0)
        assert [(each.rule, each.kind) for each in active] == [
            ("mine", "rejected"),
            ("rejected", "rejected"),
        ]
        assert active[1].muted_until_ms == 5
    assert len(AlertState(file.path).current().active) == 2


def test_many_threads_may_use_it_at_once(file: StateFile) -> None:
    def use(number: int) -> int:
        with file.writing() as connection:
            state_file.mute(connection, "silence", f"station{number}", 5)
        with file.reading() as connection:
            return len(state_file.muted(connection, 0))

    with ThreadPoolExecutor(12) as threads:
        counts = list(threads.map(use, range(24)))
    assert max(counts) == 24


def test_what_fails_leaves_nothing(file: StateFile) -> None:
    def write_and_fail() -> None:
        with file.writing() as connection:
            state_file.mute(connection, "silence", "data2", 5)
            raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        write_and_fail()
    with file.reading() as connection:
        assert connection.execute(state_file.mutes.select()).all() == []


def test_it_says_when_it_is_another_one(file: StateFile) -> None:
    assert not file.is_replaced(), "nothing is open"
    with file.reading() as connection:
        assert state_file.muted(connection, 0) == []
    assert not file.is_replaced()
    file.path.rename(file.path.with_name("elsewhere"))
    assert file.is_replaced()
    file.close()
    assert not file.is_replaced()


def test_it_is_put_aside_with_what_sqlite_keeps_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "alerts.sqlite3"
    path.write_bytes(b"broken")
    beside(path, WAL).write_bytes(b"its WAL")
    beside(path, SHARED_MEMORY).write_bytes(b"made again from the WAL")
    aside = put_aside(StateFile(path), ValueError("why"), "20250824-120000")
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == {
        "alerts.sqlite3.damaged-20250824-120000": b"broken",
        "alerts.sqlite3.damaged-20250824-120000-wal": b"its WAL",
    }
    assert aside == tmp_path / "alerts.sqlite3.damaged-20250824-120000"
