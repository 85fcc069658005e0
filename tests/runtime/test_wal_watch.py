"""How long the WAL of the database is, seen from outside."""

import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from flask10x.readings.stations import BUILT_IN
from flask10x.runtime.database_file import look_at_wal
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
def look(database: Path, gauges: Gauges, caplog: pytest.LogCaptureFixture) -> Callable[[], None]:
    caplog.set_level(logging.INFO, logger="flask10x")
    return partial(look_at_wal, database, gauges)


def wal_of(database: Path, size: int) -> None:
    """A WAL of this size, without its bytes."""
    wal = database.with_name("flask10x.sqlite3-wal")
    wal.touch()
    os.truncate(wal, size)


def test_a_long_wal_is_warned_of_once_and_its_end_is_logged(
    look: Callable[[], None], database: Path, said: Said
) -> None:
    look()
    wal_of(database, 15 * MB)
    look()
    assert said() == []

    wal_of(database, 17 * MB)
    look()
    (line,) = said()
    assert line.startswith("WARNING flask10x.sqlite3-wal has grown to 17 MB: ")

    # The next worker has the same gauges.
    wal_of(database, 5 * MB)
    look()
    assert said() == []

    wal_of(database, 4 * MB)
    look()
    assert said() == ["INFO flask10x.sqlite3-wal is short again: 4 MB"]
    look()
    assert said() == []
