"""`flask10x verify` beside backups that an older version has made."""

from dataclasses import replace
from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from flask10x.database import schema
from flask10x.maintenance.backup import backup
from tests.commands.test_main import run
from tests.maintenance.test_new_database import path, store
from tests.support import former
from tests.support.rows import execute

__all__ = ("path",)
pytestmark = pytest.mark.sqlite_only("the tables of a file are changed from outside")


@pytest.fixture
def made(settings: Settings, path: Path) -> Path:
    """The newest backup, without a sum; the database has one more reading."""
    copy = backup(settings, settings.backup_dir).path
    copy.with_name(f"{copy.name}.sha256").unlink()
    store(settings, 4)
    return copy


@pytest.mark.parametrize("revision", ["0012", "0018", *schema.chain()[:-1]])
def test_a_backup_of_an_older_version_is_compared(
    settings: Settings, made: Path, revision: str, capsys: pytest.CaptureFixture[str]
) -> None:
    former.bring_back(replace(settings, database_url=f"sqlite:///{made}"), made, revision)
    before = made.read_bytes()
    capsys.readouterr()
    assert run("verify") == 0, capsys.readouterr()
    assert f"3 readings of {made}: 0 different" in capsys.readouterr().out
    execute(made, "UPDATE readings SET pressure = 7 WHERE id = 2")
    assert run("verify") == 1
    output = capsys.readouterr().out
    assert "reading 2 " in output and "no such" not in output
    assert made.read_bytes() != before


def test_one_that_cannot_be_migrated_is_left_out(
    settings: Settings, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its tables are others: nothing of them says that the database is wrong."""
    execute(
        made,
        "UPDATE alembic_version SET version_num = '0008'",
        "ALTER TABLE readings DROP COLUMN arrived_at",
    )
    capsys.readouterr()
    assert run("verify") == 0
    assert ", no backup: 0 different" in capsys.readouterr().out
    # One before it is compared in its place, once there is one.
    before = made.with_name("flask10x-20200101-000000.sqlite3")
    before.write_bytes(backup(settings, settings.data_dir / "other").path.read_bytes())
    assert run("verify") == 0
    assert f"4 readings of {before}: 0 different" in capsys.readouterr().out
