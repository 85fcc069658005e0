"""Bars of long work: they end at 100 % on a terminal, and elsewhere nothing is drawn."""

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from flask10x.config import settings as settings_module
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.history import rollups
from flask10x.readings.stations import BUILT_IN
from tests.support import databases
from tests.support.commands import in_words, run_command
from tests.support.csv_folder import NAME, csv_file, database_file, put
from tests.support.databases import environment_of
from tests.support.new_database import lay_new_database
from tests.support.rows import execute, insert_series
from tests.support.terminal import on_terminal

# SQLite is looked at every 100,000 of its steps: enough rows for a bar to move between its ends.
ROWS = 50_000
STATIONS = ["PicodataX.csv", "BedRoomEnv.csv", "OutsideEnv.csv", "LR_env.csv"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a reading of `/data` every ten seconds, rolled up."""
    folder = tmp_path_factory.mktemp("model")
    settings = settings_module.load(environment_of(folder))
    lay_new_database(database_file(settings))
    insert_series(
        database_file(settings),
        ROWS,
        endpoint="'data'",
        received_at="1755999990000 + i * 10000",
        pressure="990.5 + (i - 1) % 20",
        temperature="25.0",
    )
    with closing(Database(settings)) as database:
        while rollups.follow(BUILT_IN, database):
            pass
    whole = [] if databases.ON_POSTGRES else [database_file(settings).name]
    assert [path.name for path in folder.glob("*.sqlite3*")] == whole
    return database_file(settings)


@pytest.fixture
def filled(settings: Settings, model: Path) -> Settings:
    """The settings of a copy of it that no process has open."""
    if databases.ON_POSTGRES:
        databases.lay(settings.data_dir, databases.name_of(model.parent))
    else:
        shutil.copy(model, database_file(settings))
    return settings


def rebuild(settings: Settings, *names: str) -> None:
    """Export again, without a bar."""
    environment = {
        **environment_of(settings.data_dir),
        "FLASK10X_TIMEZONE": "Asia/Tokyo",
    }
    assert run_command(["export", "--rebuild", *names], environment).returncode == 0


def assert_filled(percentages: list[int]) -> None:
    assert percentages == sorted(percentages)
    assert percentages[0] == 0
    assert percentages[-1] == 100


@pytest.mark.tools
def test_export_rebuild(filled: Settings) -> None:
    shown = on_terminal(filled, "export", "--rebuild")
    assert shown.status == 0, shown.screen
    assert list(shown.bars) == STATIONS
    for percentages in shown.bars.values():
        assert_filled(percentages)
    # Pages of 5000 rows: the bar moves between its ends.
    assert len(shown.bars[NAME]) > 2
    assert f"{NAME}: {ROWS} rows written" in shown.output


def test_export_rebuild_compares_the_old_rows(filled: Settings) -> None:
    rebuild(filled, NAME)
    put(filled, csv_file(filled).read_bytes() + b"\r\n")
    shown = on_terminal(filled, "export", "--rebuild", NAME)
    assert list(shown.bars) == [NAME, f"{NAME}, old rows"]
    for percentages in shown.bars.values():
        assert_filled(percentages)


@pytest.mark.tools
def test_export_verify(filled: Settings) -> None:
    rebuild(filled)
    shown = on_terminal(filled, "export", "--verify")
    assert shown.status == 0
    assert list(shown.bars) == STATIONS
    for percentages in shown.bars.values():
        assert_filled(percentages)
    assert len(shown.bars[NAME]) > 2
    assert "equal" in shown.output


def test_a_bar_stays_where_the_work_was_broken_off(filled: Settings) -> None:
    rebuild(filled, NAME)
    execute(database_file(filled), f"UPDATE readings SET pressure = 1 WHERE id = {ROWS - 1}")
    shown = on_terminal(filled, "export", "--verify", NAME)
    assert shown.status == 1
    assert "DIFFERENT" in shown.screen
    assert shown.bars[NAME][0] == 0
    assert 0 < shown.bars[NAME][-1] < 100


def test_backup_and_restore(filled: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "usb"
    shown = on_terminal(filled, "backup", str(folder))
    assert shown.status == 0, shown.screen
    copied = ["rows"] if databases.ON_POSTGRES else ["copy"]
    assert list(shown.bars) == [*copied, "check"]
    for percentages in shown.bars.values():
        assert_filled(percentages)
        assert len(percentages) > 2
    (copy,) = folder.glob("*.sqlite3")
    if databases.ON_POSTGRES:
        # A backup is not restored in the place of a server.
        return
    shown = on_terminal(filled, "restore", str(copy))
    assert shown.status == 0, shown.screen
    assert list(shown.bars) == ["check", "readings"]
    for percentages in shown.bars.values():
        assert_filled(percentages)


@pytest.mark.parametrize(
    "arguments",
    [["export", "--rebuild"], ["export", "--verify"], ["rollups", "--rebuild"], ["backup"]],
)
def test_nothing_is_drawn_into_a_file(filled: Settings, arguments: list[str]) -> None:
    result = in_words(run_command(arguments, environment_of(filled.data_dir)))
    assert (result.returncode, result.stderr) == (0, "")
    assert "%" not in result.stdout
    assert "\r" not in result.stdout
