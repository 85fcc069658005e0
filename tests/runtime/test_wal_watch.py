"""How long the WAL of the database is, seen from outside."""

import logging
import os
from pathlib import Path

import pytest

from flask10x.readings.stations import BUILT_IN
from flask10x.runtime.database_file import WalWatch
from flask10x.system.gauges import Gauges
from tests.runtime.conftest import Said

pytestmark = pytest.mark.sqlite_only("the watch over its WAL")

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
def wal(database: Path, gauges: Gauges, caplog: pytest.LogCaptureFixture) -> WalWatch:
    caplog.set_level(logging.INFO, logger="flask10x")
    return WalWatch(database, gauges)


def wal_of(database: Path, size: int) -> None:
    """A WAL of this size, without its bytes."""
    wal = database.with_name("flask10x.sqlite3-wal")
    wal.touch()
    os.truncate(wal, size)


def test_a_long_wal_is_warned_of_once_and_its_end_is_logged(
    wal: WalWatch, database: Path, gauges: Gauges, said: Said
) -> None:
    wal.step()
    wal_of(database, 15 * MB)
    wal.step()
    assert said() == []

    wal_of(database, 17 * MB)
    wal.step()
    (line,) = said()
    assert line.startswith("WARNING flask10x.sqlite3-wal has grown to 17 MB: ")

    other = WalWatch(database, gauges)
    wal_of(database, 5 * MB)
    other.step()
    assert said() == []

    wal_of(database, 4 * MB)
    other.step()
    assert said() == ["INFO flask10x.sqlite3-wal is short again: 4 MB"]
    other.step()
    assert said() == []
