"""Files and the room for them."""

import os
import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.export.append import export
from flask10x.export.rebuild import rebuild
from flask10x.importing.importer import import_file
from flask10x.maintenance.backup import backup
from flask10x.system import disk
from flask10x.system.locks import FileLock, lock_path
from tests.support.csv_folder import store


def test_sync_takes_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    disk.sync(tmp_path / "file")
    disk.sync(tmp_path)
    with pytest.raises(FileNotFoundError):
        disk.sync(tmp_path / "none")


def test_sizes(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("xyz")
    assert disk.size(tmp_path / "file") == 3
    assert disk.size(tmp_path / "none") == 0
    assert disk.free_bytes(tmp_path) > 0


def test_a_moment_in_local_time() -> None:
    tokyo, honolulu = (disk.moment(ZoneInfo(z)) for z in ("Asia/Tokyo", "Pacific/Honolulu"))
    assert re.fullmatch(r"\d{8}-\d{6}", tokyo)
    assert honolulu < tokyo


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files for others")
def test_what_root_makes_belongs_to_the_owner_of_the_folder(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    """A command run with sudo would lock the service's user out of its own files."""
    store(settings, 0)
    for path in (tmp_path, *tmp_path.iterdir()):
        os.chown(path, 12_345, 12_346)
    old = settings.csv_dir / "BedRoomEnv.csv"
    FileLock(lock_path(database.path, "export")).close()
    assert not any(outcome.failed for outcome in export(settings, database))
    old.unlink()
    assert not any(outcome.failed for outcome in rebuild(settings, database))
    old.write_bytes(old.read_bytes() + b"torn")
    os.chown(old, 12_345, 12_346)
    assert import_file(settings, database, old).rejected == 1
    backup(settings, settings.backup_dir)
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in tmp_path.rglob("*")}
    assert owners == {(12_345, 12_346)}
    assert {".flask10x-backup.lock", "flask10x.export.lock", "BedRoomEnv.csv.rejected.csv"} <= {
        path.name for path in tmp_path.rglob("*")
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files for others")
def test_root_gives_away_nothing_that_a_link_leads_to(tmp_path: Path) -> None:
    folder, system = tmp_path / "folder", tmp_path / "shadow"
    folder.mkdir()
    system.write_text("x")
    os.chown(folder, 12_345, 12_346)
    (folder / "a.lock").symlink_to(system)
    FileLock(folder / "a.lock").close()
    (folder / "link").symlink_to(system)
    disk.leave_to_owner(folder / "link", folder)
    assert (system.stat().st_uid, system.stat().st_gid) == (0, os.getegid())
