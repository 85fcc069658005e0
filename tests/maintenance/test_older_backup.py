"""A backup of an older version is looked at through a migrated copy."""

from dataclasses import replace
from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from flask10x.database import schema
from flask10x.errors import CopyError
from flask10x.maintenance import older_backup
from flask10x.system import disk
from tests.maintenance.test_new_database import PRESSURES, copy, path
from tests.support import former
from tests.support.rows import execute, select

__all__ = ("copy", "path")
pytestmark = pytest.mark.sqlite_only("a backup is a file of SQLite")
REVISIONS = ("0012", "0018", *schema.chain())
VERSION = "SELECT version_num FROM alembic_version"


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def bring_back(settings: Settings, copy: Path, revision: str) -> None:
    former.bring_back(replace(settings, database_url=f"sqlite:///{copy}"), copy, revision)


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_it_has_its_rows_in_the_tables_of_this_version(
    settings: Settings, copy: Path, revision: str
) -> None:
    bring_back(settings, copy, revision)
    before, rows, beside = copy.read_bytes(), select(copy, PRESSURES), names(settings.data_dir)
    with older_backup.migrated(settings, copy) as migrated:
        assert migrated != copy
        assert select(migrated, PRESSURES) == rows != []
        assert select(migrated, VERSION) == [(REVISIONS[-1],)]
        # It is complete by itself, so that it can be read as what nobody writes.
        assert names(settings.data_dir) - beside == {migrated.name}
        assert migrated.stat().st_mode & 0o007 == 0
    assert names(settings.data_dir) == beside
    assert copy.read_bytes() == before


def test_one_of_this_version_is_not_copied(settings: Settings, copy: Path) -> None:
    with older_backup.migrated(settings, copy) as migrated:
        assert migrated == copy
    assert copy.exists()


def test_what_a_killed_run_has_left_is_replaced(settings: Settings, copy: Path) -> None:
    bring_back(settings, copy, REVISIONS[0])
    left = settings.data_dir / older_backup.COPY
    left.write_bytes(b"half of it")
    left.with_name(f"{left.name}-wal").write_bytes(b"and a WAL")
    with older_backup.migrated(settings, copy) as migrated:
        assert len(select(migrated, PRESSURES)) == 3
    assert not left.exists()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("UPDATE alembic_version SET version_num = '0008'", "older than 0012"),
        ("UPDATE alembic_version SET version_num = '9999'", "made by a newer Flask10X"),
        ("DROP TABLE alembic_version", "no such table"),
    ],
)
def test_one_that_cannot_be_migrated_is_named(
    settings: Settings, copy: Path, change: str, why: str
) -> None:
    execute(copy, change)
    beside = names(settings.data_dir)
    with pytest.raises(CopyError, match=why) as raised, older_backup.migrated(settings, copy):
        pass
    assert str(copy) in str(raised.value)
    assert names(settings.data_dir) == beside


def test_without_room_none_is_made(
    settings: Settings, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring_back(settings, copy, REVISIONS[0])
    monkeypatch.setattr(disk, "free_bytes", lambda _: 1_000_000)
    beside = names(settings.data_dir)
    with pytest.raises(OSError, match="not enough space"), older_backup.migrated(settings, copy):
        pass
    assert names(settings.data_dir) == beside
