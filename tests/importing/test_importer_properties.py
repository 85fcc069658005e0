"""The import against a reference of three lines, on files and databases made up at random."""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.importing import old_file
from tests.conftest import MakeSettings
from tests.support.databases import examples
from tests.support.old_files import NAME, Line, local_rows, run, write
from tests.support.rows import execute, select

# The night in which 02:00 to 03:00 comes twice.
BERLIN = ZoneInfo("Europe/Berlin")
MIDNIGHT = datetime(2025, 10, 26, 0, 0, tzinfo=UTC)

# Few values and few seconds, so that equal rows are frequent.
pressures = st.sampled_from([None, 1.0, 2.0])
seconds = st.sampled_from([0, 1, 1800, 3599, 3600, 3601, 5400, 7199, 7200, 90_000, 90_001])


@dataclass(frozen=True)
class Row:
    """A row of the file: its instant, its pressure, how its time is written."""

    second: int
    pressure: float | None
    style: str

    @property
    def line(self) -> str:
        shown = f"{(MIDNIGHT + timedelta(seconds=self.second)).astimezone(BERLIN):{self.style}}"
        return f"{shown},{'' if self.pressure is None else self.pressure},"

    @property
    def local(self) -> Line:
        shown = (MIDNIGHT + timedelta(seconds=self.second)).astimezone(BERLIN)
        return f"{shown:%Y-%m-%d %H:%M:%S}", self.pressure


rows = st.builds(
    Row, seconds, pressures, st.sampled_from(["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f"])
)
# Mostly in the order of time, as files are.
files = st.lists(rows, max_size=25) | st.lists(rows, max_size=25).map(
    lambda rows_of_file: sorted(rows_of_file, key=lambda row: row.second)
)
live = st.lists(st.tuples(seconds, st.integers(0, 999), pressures), max_size=8)
lines_a_block = st.integers(1, 6)
# After how many rows the file ended when an import ran, and after how many blocks that was killed.
runs = st.lists(st.tuples(st.integers(0, 25), st.none() | st.integers(0, 5)), max_size=3)


@pytest.fixture
def berlin(make_settings: MakeSettings) -> Settings:
    return make_settings(TIMEZONE="Europe/Berlin")


class Killed(Exception):
    """Stands for SIGKILL."""


def store_live(database: Database, stored: list[tuple[int, int, float | None]]) -> None:
    """Start with these rows and no other."""
    start = int(MIDNIGHT.timestamp())
    execute(
        database.path,
        *(f"DELETE FROM {table}" for table in ("readings", "imports")),
        *(
            "INSERT INTO readings (endpoint, received_at, pressure)"
            f" VALUES ('data', {(start + second) * 1000 + ms}, {pressure or 'NULL'})"
            for second, ms, pressure in stored
        ),
    )


@given(files, live, lines_a_block, runs)
@hypothesis_settings(
    max_examples=examples(120),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_each_row_is_there_as_often_as_in_the_file_or_before(
    berlin: Settings,
    database: Database,
    file: list[Row],
    before: list[tuple[int, int, float | None]],
    block_lines: int,
    runs_before: list[tuple[int, int | None]],
) -> None:
    store_live(database, before)
    there = local_rows(database, BERLIN)
    path = berlin.data_dir / NAME
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(old_file, "BLOCK_BYTES", block_lines * 30)
        for length, blocks in runs_before:
            import_until_killed(berlin, database, path, file[:length], blocks)
        write(path, *(row.line for row in file))
        run(berlin, database, path)
        check(database, file, there)
        assert run(berlin, database, path) == (0, len(file), 0)
        check(database, file, there)


def import_until_killed(
    settings: Settings, database: Database, path: Path, file: list[Row], blocks: int | None
) -> None:
    write(path, *(row.line for row in file))
    done = 0

    def advance(_: int) -> None:
        nonlocal done
        done += 1
        if blocks is not None and done > blocks:
            raise Killed

    with suppress(Killed):
        run(settings, database, path, advance=advance)


def check(database: Database, file: list[Row], there: Counter[Line]) -> None:
    in_file = Counter(row.local for row in file)
    # For Counters `|` is the larger of both.
    assert local_rows(database, BERLIN) == there | in_file
    # Nothing was exported, so each row of the file must be known to be in it.
    is_imported = "EXISTS (SELECT 1 FROM imports WHERE readings.id BETWEEN first_id AND last_id)"
    assert local_rows(database, BERLIN, is_imported) == in_file
    overlapping = (
        "SELECT count(*) FROM imports AS a JOIN imports AS b ON a.id < b.id"
        " AND a.first_id <= b.last_id AND b.first_id <= a.last_id"
    )
    assert select(database.path, overlapping) == [(0,)]


@given(st.lists(rows, max_size=40), lines_a_block)
@hypothesis_settings(
    max_examples=examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_an_empty_database_has_the_file_in_its_order(
    berlin: Settings, database: Database, file: list[Row], block_lines: int
) -> None:
    store_live(database, [])
    path = write(berlin.data_dir / NAME, *(row.line for row in file))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(old_file, "BLOCK_BYTES", block_lines * 30)
        run(berlin, database, path)
    rows_of_file = select(database.path, "SELECT received_at, pressure FROM readings ORDER BY id")
    assert [
        (f"{datetime.fromtimestamp(ms // 1000, BERLIN):%Y-%m-%d %H:%M:%S}", pressure)
        for ms, pressure in rows_of_file
    ] == [row.local for row in file]
