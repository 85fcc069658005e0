"""Backup, check and restore beside a real service that receives."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from flask10x.config import settings as settings_module
from flask10x.config.settings import Settings
from flask10x.maintenance import backup as backup_module
from flask10x.maintenance.backup import backup
from tests.e2e.conftest import MakeService
from tests.e2e.load import Load, check_rows
from tests.e2e.senders import reading_of
from tests.e2e.service import Service, wait_until
from tests.support.both_engines import POSTGRES, write_lock

BACKUPS = 20


def settings_of(service: Service) -> Settings:
    return settings_module.load(service.environment)


def numbers_in(path: Path) -> set[int]:
    """The numbers of the readings in a backup, which has to be sound."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = connection.execute("SELECT gas_resistance FROM readings").fetchall()
    return {int(number) for (number,) in rows}


@pytest.mark.tools
@pytest.mark.parametrize(
    "interval_sec", [pytest.param(0.1, id="default"), pytest.param(1, marks=pytest.mark.long)]
)
def test_each_backup_under_load_holds_what_was_acknowledged_before(
    service: MakeService, tmp_path: Path, interval_sec: float
) -> None:
    running = service(commit_interval_sec=interval_sec)
    settings = settings_of(running)
    before: list[set[int]] = []
    backups: list[Path] = []
    load = Load(running.port)
    with load.running():
        load.burst()
        for number in range(BACKUPS):
            before.append(set(load.acknowledged))
            # Each in its own folder: the names in one folder are a second apart.
            done = backup(settings, tmp_path / f"backups-{number}")
            assert done.warnings == ()
            backups.append(done.path)
    load.check_answers()
    for acknowledged, path in zip(before, backups, strict=True):
        assert acknowledged - numbers_in(path) == set()
        assert sorted(path.parent.glob("flask10x-*")) == [path, Path(f"{path}.sha256")]
    running.stop()
    check_rows(running, [load])
    running.check_integrity()


def test_a_service_in_trouble_is_told_of_by_backup_and_check(
    service: MakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = service()
    monkeypatch.setattr(backup_module, "PATIENCE_SEC", 0.5)
    assert running.post("data2", reading_of(1)).status == 200
    running.wait_for_rows(1)
    with write_lock(running.database):
        assert running.post("data2", reading_of(2)).status == 200
        done = backup(settings_of(running), tmp_path / "backups")
        wait_until(lambda: running.get("/readyz").status == 503, 25, "/readyz is 503")
        checked = running.command("check")
    (warning,) = done.warnings
    assert "the service cannot store its newest readings now" in warning
    assert numbers_in(done.path) == {1}
    assert checked.returncode == 1
    (line,) = [line for line in checked.stdout.splitlines() if " service: " in line]
    assert line.startswith(f"FAIL service: process {running.pid}, runs since 20")
    # Which of the two workers answers decides how much it knows of the reason. Where the roll-ups'
    # commit waits for the database, the writer waits for the lock that they hold.
    reason = r"(SQLITE_BUSY|55P03|LockTimeout|another worker).*; readings have waited for \d+ s$"
    assert re.search(reason, line), line
    running.wait_for_rows(2)
    assert backup(settings_of(running), tmp_path / "backups").rows == 2


def test_check_beside_a_service_that_is_well(service: MakeService) -> None:
    running = service(commit_interval_sec=0)
    assert running.post("data2", reading_of(1)).status == 200
    running.wait_for_rows(1)
    assert running.command("backup").returncode == 0
    checked = running.command("check", "--full")
    assert (checked.returncode, checked.stderr) == (0, "")
    lines = checked.stdout.splitlines()
    # A server of which no second one is asked for is a reason to warn.
    expected = [line for line in lines if POSTGRES and line.startswith("WARN standby: There ")]
    assert {line[:5] for line in lines if line not in expected} == {"ok   "}, checked.stdout
    assert len(expected) == int(POSTGRES)
    assert f"ok   service: process {running.pid}, runs since 20" in checked.stdout
    assert "ok   received: All stations are sending as usual." in checked.stdout
    running.stop()
    assert "WARN service: does not run" in running.command("check").stdout


@pytest.mark.tools
@pytest.mark.sqlite_only("only a file can be put back")
def test_restore_needs_a_stopped_service_and_gives_the_old_state_back(
    service: MakeService,
) -> None:
    running = service(commit_interval_sec=0)
    for number in (1, 2):
        assert running.post("data2", reading_of(number)).status == 200
    running.wait_for_rows(2)
    assert running.command("backup").returncode == 0
    (copy,) = (running.data_dir / "backups").glob("flask10x-*.sqlite3")
    assert running.post("data2", reading_of(3)).status == 200
    running.wait_for_rows(3)

    refused = running.command("restore", str(copy))
    assert refused.returncode == 1
    assert f"the service (process {running.pid}) uses {running.database}" in refused.stderr
    assert running.count() == 3
    running.stop()

    restored = running.command("restore", str(copy))
    assert restored.returncode == 0, restored.stderr
    assert f"{running.database}: restored from {copy}, 2 rows" in restored.stdout
    (kept,) = running.data_dir.glob("*.replaced-*")
    assert numbers_in(kept) == {1, 2, 3}
    running.start()
    assert running.count() == 2
    assert running.post("data2", reading_of(4)).status == 200
    running.wait_for_rows(3)
    assert numbers_in(copy) == {1, 2}
    running.check_integrity()
