"""Killed at any call that writes, a removal has happened whole or not at all."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.paths import database_path
from flask10x.export.append import export
from flask10x.export.rebuild import rebuild
from flask10x.export.verify import verify
from flask10x.readings.stations import BUILT_IN
from tests.runtime.retention.test_removal import follow, sums_of
from tests.support import compared_rollups, databases
from tests.support.csv_folder import csv_file, database_file, store
from tests.support.new_database import lay_new_database
from tests.support.rows import execute, select
from tests.support.strace import DRIVER, need_strace, runs

PICO = BUILT_IN.by_endpoint["data"]
REMOVE = """
def remove(_arguments):
    from flask10x.config import settings
    from flask10x.database.database import Database
    from flask10x.readings.stations import BUILT_IN
    from flask10x.runtime import removal
    removal.PIECE_ROWS = 4
    config = settings.load()
    database = Database(config)
    found = removal.StationRemoval(config, database, BUILT_IN.by_endpoint["data"])
    assert found.step(2_000_000_000_000).readings == 4
    database.close()
"""
REMOVING = DRIVER.replace("for arguments", REMOVE + "\nfor arguments").replace(
    'main(["export", *arguments.split()])', "remove(arguments); sys.exit(0)"
)

# Of what is sent to a server only the last two messages come after the commit: so every second one,
# which takes minutes.
EVERY = pytest.param(2, marks=pytest.mark.long) if databases.ON_POSTGRES else 9
FLOORS = "SELECT floor_last_id FROM csv_files WHERE floor_last_id IS NOT NULL"


@contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    database = Database(settings)
    try:
        yield database
    finally:
        database.close()


@pytest.mark.tools
@pytest.mark.parametrize("every", [EVERY, pytest.param(1, marks=pytest.mark.long)])
def test_killed_while_removing(
    make_settings: Callable[..., Settings], tmp_path: Path, every: int
) -> None:
    need_strace()
    settings = make_settings(DATA_DIR=tmp_path / "data", SYNCHRONOUS="FULL")
    lay_new_database(database_path(settings))
    store(settings, *range(10))
    with opened(settings) as database:
        assert export(settings, database, [PICO])[0].rows == 10
        follow(database)
    before, content = sums(settings), csv_file(settings).read_bytes()
    saved = tmp_path / "saved"
    shutil.copytree(settings.data_dir, saved, copy_function=shutil.copy2)
    shutil.rmtree(settings.data_dir)

    def put_back() -> None:
        """By names: the file that the export knows stays the same inode."""
        databases.put_back(settings.data_dir)
        settings.data_dir.mkdir(exist_ok=True)
        for path in settings.data_dir.rglob("flask10x*"):
            path.unlink()
        for path in saved.rglob("*"):
            target = settings.data_dir / path.relative_to(saved)
            if path.is_dir():
                target.mkdir(exist_ok=True)
            elif path.name.startswith("flask10x"):
                shutil.copy2(path, target)

    shutil.copytree(saved, settings.data_dir, copy_function=shutil.copy2)
    mark_anew(settings)
    if databases.ON_POSTGRES:
        databases.save(settings.data_dir)
    else:
        shutil.copy2(database_file(settings), saved / database_file(settings).name)
    deaths, left = 0, set()
    with runs(settings.data_dir, REMOVING) as found:
        for died in found.deaths(put_back, every=every):
            deaths += 1
            rows = len(select(database_file(settings), "SELECT id FROM readings"))
            gone = select(database_file(settings), "SELECT last_id, readings FROM removed")
            floors = select(database_file(settings), FLOORS)
            assert (rows, gone, floors) in ((10, [], []), (6, [(4, 4)], [(4,)])), died
            left.add(rows)
            assert sums(settings) == before, died
            check(settings, content, died)
    assert left == {10, 6}
    assert deaths > 5


def check(settings: Settings, content: bytes, died: str) -> None:
    with opened(settings) as database:
        assert not verify(settings, database, [PICO])[0].failed, died
        assert not rebuild(settings, database, [PICO])[0].failed, died
        assert csv_file(settings).read_bytes() == content, died
        looked = list(compared_rollups.hours(BUILT_IN, database))
        assert not [one for found in looked for one in found.differences], died


def sums(settings: Settings) -> object:
    with opened(settings) as database:
        return sums_of(database)


def mark_anew(settings: Settings) -> None:
    """The copied file is the one that the export has left."""
    status = csv_file(settings).stat()
    execute(
        database_file(settings),
        f"UPDATE csv_files SET inode = {status.st_ino}, changed_ns = {status.st_ctime_ns}",
    )
