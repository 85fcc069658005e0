"""The state file as pages read it: missing, broken, locked, changed by others."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from flask10x.alerts import active as state_module
from flask10x.alerts.active import STAMP_MS, TROUBLE_MS, AlertState
from flask10x.alerts.state_file import NAME
from flask10x.database.sqlite import driver
from flask10x.system import clock
from tests.support.alert_rows import AlertRows

LONG_AGO_NS = 1_000_000_000


class Clocks:
    """Both clocks, moved by hand."""

    wall_ms = 10**12
    monotonic_ms = 0


@pytest.fixture(autouse=True)
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    hands = Clocks()
    monkeypatch.setattr(clock, "now_ms", lambda: hands.wall_ms)
    monkeypatch.setattr(clock, "monotonic_ms", lambda: hands.monotonic_ms)
    return hands


@pytest.fixture
def state(tmp_path: Path) -> AlertState:
    return AlertState(tmp_path / NAME)


@pytest.fixture
def rows(tmp_path: Path) -> AlertRows:
    return AlertRows(tmp_path)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """One entry for each time that the file was opened."""
    opened: list[Path] = []
    connect = driver.connect

    def counting(path: Path, query: str, timeout_sec: float) -> object:
        opened.append(path)
        return connect(path, query, timeout_sec)

    monkeypatch.setattr(driver, "connect", counting)
    return opened


@pytest.fixture
def locked(rows: AlertRows) -> Iterator[None]:
    """A tool has the file for itself."""
    rows.alert("disk")
    with closing(sqlite3.connect(rows.path, isolation_level=None)) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("DELETE FROM mutes")
        yield
        connection.execute("ROLLBACK")


def age(rows: AlertRows) -> None:
    """Nobody has written to it for long."""
    for path in rows.path.parent.glob(f"{NAME}*"):
        os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))


def test_there_is_no_file_and_none_is_made(
    state: AlertState, tmp_path: Path, reads: list[Path]
) -> None:
    known = state.current()
    assert (known.active, known.trouble, reads) == ((), "", [])
    assert list(tmp_path.iterdir()) == []
    with state.reading() as connection:
        assert connection is None


def test_an_unchanged_file_is_read_once(
    state: AlertState, rows: AlertRows, reads: list[Path]
) -> None:
    rows.alert("disk")
    age(rows)
    reads.clear()
    for _ in range(5):
        assert [alert.rule for alert in state.current().active] == ["disk"]
    assert len(reads) == 1


def test_what_was_written_is_seen_at_once(state: AlertState, rows: AlertRows) -> None:
    for number in range(1, 4):
        rows.alert("silence", f"data{number}")
        assert len(state.current().active) == number


def test_a_file_that_was_just_written_to_is_read_again(
    state: AlertState, rows: AlertRows, reads: list[Path], clocks: Clocks
) -> None:
    """Two writes within one tick of the kernel's clock leave the same stamp."""
    rows.alert("disk")
    clocks.wall_ms = rows.path.stat().st_mtime_ns // 1_000_000 + STAMP_MS - 1
    reads.clear()
    state.current()
    state.current()
    assert len(reads) == 2


def test_a_file_that_is_none_is_said_and_left_alone_for_a_while(
    state: AlertState, rows: AlertRows, reads: list[Path], clocks: Clocks
) -> None:
    rows.path.write_bytes(b"no database at all, but long enough to be looked at" * 20)
    assert "SQLITE_NOTADB" in state.current().trouble
    state.current()
    assert len(reads) == 1
    rows.path.unlink()
    clocks.monotonic_ms += TROUBLE_MS
    assert state.current().trouble == ""


def test_the_file_from_before_a_trouble_is_read_again(
    state: AlertState, rows: AlertRows, clocks: Clocks
) -> None:
    """Somebody moves it away and back, which leaves its stamp as it was."""
    rows.alert("disk")
    age(rows)
    assert len(state.current().active) == 1
    aside = rows.path.rename(rows.path.with_name("aside"))
    rows.path.write_bytes(b"no database at all, but long enough to be looked at" * 20)
    assert state.current().trouble
    aside.rename(rows.path)
    clocks.monotonic_ms += TROUBLE_MS
    assert len(state.current().active) == 1


def test_an_alert_without_its_facts_is_one(state: AlertState, rows: AlertRows) -> None:
    for facts in ("{", "[1]", ""):
        rows.alert("disk", facts, facts={"free": 1})
        with closing(sqlite3.connect(rows.path)) as connection, connection:
            connection.execute("UPDATE alerts SET facts = subject")
    assert [dict(alert.facts) for alert in state.current().active] == [{}, {}, {}]


@pytest.mark.usefixtures("locked")
def test_a_locked_file_is_said(state: AlertState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "BUSY_TIMEOUT_SEC", 0.0)
    known = state.current()
    assert known.active == ()
    assert "locked" in known.trouble


def test_a_file_without_tables_is_one_that_is_being_made(
    state: AlertState, rows: AlertRows
) -> None:
    rows.path.touch()
    assert state.current().trouble == ""


def test_it_is_read_beside_one_who_writes(state: AlertState, rows: AlertRows) -> None:
    rows.alert("disk")
    with closing(sqlite3.connect(rows.path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM alerts")
        assert len(state.current().active) == 1
        connection.execute("ROLLBACK")


def test_many_threads_ask_at_once(state: AlertState, rows: AlertRows) -> None:
    rows.alert("disk")
    seen: list[int] = []
    threads = [
        threading.Thread(target=lambda: seen.append(len(state.current().active))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 8
