"""A database for measuring is one of ours, with roll-ups that are current or not made yet."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.bench import filled
from flask10x.config import settings as settings_module
from flask10x.database.engine import Database
from flask10x.history import rollup_check, rollups
from flask10x.readings.stations import BUILT_IN

ROWS = 3_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("filled")
    filled.database_of(made, ROWS)
    return made


def test_it_has_so_many_readings_of_four_stations_and_is_one_file(folder: Path) -> None:
    file = filled.database_of(folder, ROWS)

    with closing(sqlite3.connect(file)) as connection:
        found = connection.execute("SELECT endpoint, count(*) FROM readings GROUP BY endpoint")
        assert dict(found) == dict.fromkeys(("data", "data2", "data3", "data4"), ROWS // 4)
    assert [path.name for path in folder.iterdir() if path.is_file()] == [file.name]


def test_it_is_made_once(folder: Path) -> None:
    file = filled.database_of(folder, ROWS)
    before = file.stat().st_mtime_ns

    assert filled.database_of(folder, ROWS).stat().st_mtime_ns == before


def test_its_rollups_are_what_its_readings_give_until_they_are_let_lag(
    folder: Path, tmp_path: Path
) -> None:
    database_file = tmp_path / "flask10x.sqlite3"
    database_file.write_bytes(filled.database_of(folder, ROWS).read_bytes())
    # Of SQLite on whichever engine the tests run.
    database = Database(settings_module.load({"FLASK10X_DATA_DIR": str(tmp_path)}))
    try:
        looked = list(rollup_check.verify(BUILT_IN, database))
        assert sum(part.readings for part in looked) == ROWS
        assert not [difference for part in looked for difference in part.differences]

        filled.let_rollups_lag(database_file)

        with database.reader.begin() as connection:
            assert rollups.behind(connection) == ROWS
    finally:
        database.close()
