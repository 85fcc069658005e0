"""A backup that is older than a CSV file which an export has set aside since."""

import zlib
from contextlib import closing
from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.export.append import export
from flask10x.export.only_copies import OnlyCopy, load, lost
from flask10x.export.rebuild import rebuild
from flask10x.maintenance.backup import backup
from flask10x.maintenance.restore import restore
from tests.support.csv_folder import (
    FIRST_MS,
    HEADER,
    NAME,
    csv_file,
    database_file,
    line,
    lines,
    store,
)
from tests.support.new_database import lay_new_database
from tests.support.rows import execute, select

pytestmark = pytest.mark.sqlite_only("a file takes the place of a file")
ARCHIVED = "PicodataX-until-2025-08-24.csv"


def export_now(settings: Settings) -> None:
    with closing(Database(settings)) as database:
        export(settings, database)


def only_copies(settings: Settings, database: Database) -> list[OnlyCopy]:
    with database.reader.begin() as connection:
        return load(settings, connection)


@pytest.fixture
def copy(settings: Settings) -> Path:
    """A backup with three readings; later they are exported, with one more."""
    lay_new_database(database_file(settings))
    store(settings, 0, 1, 2)
    copy = backup(settings, settings.data_dir / "usb").path
    store(settings, 3)
    export_now(settings)
    return copy


def archive(settings: Settings, *numbers: int) -> Path:
    """The file is moved away, and the next export has followed it, with these readings."""
    path = csv_file(settings).rename(settings.csv_dir / ARCHIVED)
    moved = f"UPDATE csv_files SET path = '{path}'"
    execute(database_file(settings), moved)
    if numbers:
        store(settings, *numbers)
    export_now(settings)
    assert csv_file(settings).read_bytes() == HEADER + lines(*numbers)
    return path


def exported(settings: Settings, copy: Path, *numbers: int) -> bytes:
    """What the station's file has after a restore, once these were received and exported."""
    csv_file(settings).unlink()
    restore(settings, copy)
    if numbers:
        store(settings, *numbers)
    export_now(settings)
    return csv_file(settings).read_bytes() if csv_file(settings).exists() else b""


def test_its_rows_are_not_written_again(settings: Settings, copy: Path) -> None:
    """They stood in the archived file, and again in the one that followed it."""
    path = archive(settings, 4)
    assert exported(settings, copy, 7, 8) == HEADER + lines(7, 8)
    assert path.read_bytes() == HEADER + lines(0, 1, 2, 3)
    # The reading 3 is not in this database: its id is that of the reading 7.
    query = "SELECT path, first_id, last_id FROM csv_files WHERE kind = 'archived'"
    assert select(database_file(settings), query) == [(str(path), 0, 3)]


@pytest.mark.parametrize("removed", [0, 2])
def test_nor_those_of_a_file_that_was_not_archived_yet(settings: Settings, removed: int) -> None:
    """The backup has it as the file that is written; its name is that of the next one."""
    lay_new_database(database_file(settings))
    store(settings, 0, 1, 2)
    export_now(settings)
    if removed:
        size = len(HEADER + lines(*range(removed)))
        checksum = zlib.crc32(HEADER + lines(*range(removed)))
        execute(
            database_file(settings),
            f"DELETE FROM readings WHERE id <= {removed}",
            f"UPDATE csv_files SET floor_last_id = {removed}, floor_size_bytes = {size},"
            f" floor_checksum = {checksum} WHERE name = '{NAME}'",
            "INSERT INTO removed (endpoint, last_id, last_ms, readings)"
            f" VALUES ('data', {removed}, {FIRST_MS + 1000 * removed - 1}, {removed})",
        )
    copy = backup(settings, settings.data_dir / "usb").path
    path = archive(settings)
    restore(settings, copy)
    with closing(Database(settings)) as database:
        (outcome,) = rebuild(settings, database, [settings.stations.by_endpoint["data"]])
        assert not outcome.failed
        assert lost(only_copies(settings, database), read=True) == []
    store(settings, 7)
    export_now(settings)
    assert csv_file(settings).read_bytes() == HEADER + line(7)
    assert path.read_bytes() == HEADER + lines(0, 1, 2)


@pytest.mark.parametrize("kind", ["gone", "changed", "a folder"])
def test_a_file_that_is_not_what_it_was_has_no_rows(
    settings: Settings, copy: Path, kind: str
) -> None:
    """The CSV files of the backup's time may have been put back."""
    path = archive(settings, 4)
    if kind == "changed":
        path.write_bytes(HEADER + lines(0, 1))
    else:
        path.unlink()
    if kind == "a folder":
        path.mkdir()
    assert exported(settings, copy, 7) == HEADER + lines(0, 1, 2, 7)


def test_other_readings_have_no_rows_in_it(settings: Settings, copy: Path) -> None:
    """The copy is of another database: its ids are those of other readings."""
    archive(settings, 4)
    execute(copy, "UPDATE readings SET received_at = received_at + 60000")
    copy.with_name(f"{copy.name}.sha256").unlink()
    written = exported(settings, copy)
    assert written.count(b"\n") == 4 and b"10:47:40,990.5" in written
