"""Commands of upkeep where the readings are in PostgreSQL: what they do, and what they refuse."""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.tables import rollup_zone
from flask10x.errors import RestoreError
from flask10x.maintenance.backup import backup
from flask10x.maintenance.check import check
from flask10x.maintenance.restore import restore
from tests.postgres.copying import add_reading, differences, in_file, make_full, on_postgres
from tests.support import postgres


@pytest.fixture
def server(settings: Settings) -> Iterator[Settings]:
    if reason := postgres.obstacle():
        pytest.skip(reason)
    with on_postgres(settings) as made:
        make_full(made)
        yield made


@pytest.mark.tools
def test_a_backup_is_a_file_with_all_that_is_kept(server: Settings, tmp_path: Path) -> None:
    done = backup(server, tmp_path / "backups")
    assert done.rows == 12
    assert sorted(path.name for path in done.path.parent.glob("[!.]*")) == [
        done.path.name,
        f"{done.path.name}.sha256",
    ]
    digest = hashlib.sha256(done.path.read_bytes()).hexdigest()
    noted = done.path.with_name(f"{done.path.name}.sha256").read_text()
    assert noted == f"{digest}  {done.path.name}\n"
    assert differences(server, in_file(server, done.path)) == []
    with closing(sqlite3.connect(done.path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_a_backup_is_restored_to_a_service_on_sqlite(settings: Settings, tmp_path: Path) -> None:
    if reason := postgres.obstacle():
        pytest.skip(reason)
    with on_postgres(settings) as server:
        for co2 in range(600, 612):
            add_reading(server, co2)
        done = backup(server, tmp_path / "backups")
        home = in_file(server, tmp_path / "home.sqlite3")
        assert restore(home, done.path).contents.rows == 12
        add_reading(home, 700)
        assert differences(server, home) == [
            "readings 13: only in the copy",
            "sequences readings, number: 12, in the copy 13",
        ]


def test_what_a_service_never_writes_is_named_when_it_is_restored(
    server: Settings, tmp_path: Path
) -> None:
    done = backup(server, tmp_path / "backups")
    home = in_file(server, tmp_path / "home.sqlite3")
    assert restore(home, done.path).contents.rows == 2
    (named,) = tmp_path.rglob("*.rejected.csv")
    tables = [line.partition(",")[0] for line in named.read_text().splitlines()]
    # Ten rows, and of each of the twelve a column with a name that no station can give.
    assert tables.count("readings") == 10 + 12


def test_a_backup_is_not_restored_in_the_place_of_a_server(
    server: Settings, tmp_path: Path
) -> None:
    done = backup(server, tmp_path / "backups")
    command = f"flask10x copy --from sqlite:///{done.path} --to postgresql"
    with pytest.raises(RestoreError) as refused:
        restore(server, done.path)
    assert command in str(refused.value)


def test_a_check_looks_at_the_server(server: Settings) -> None:
    # What a service never has: two zones of the days.
    with closing(Database(server)) as database, database.commit() as connection:
        connection.execute(delete(rollup_zone))
    findings = {finding.name: str(finding) for finding in check(server)}
    assert findings["PostgreSQL"].startswith("ok   PostgreSQL: 1")
    assert findings["encoding"] == "ok   encoding: UTF8"
    assert findings["standby"].startswith("WARN standby: There is no synchronous standby")
    assert findings["schema"].startswith("ok ")
    assert not {"integrity", "WAL", "rescued", "SQLite"} & set(findings)


def test_a_server_that_does_not_answer_is_a_finding(server: Settings) -> None:
    (finding,) = [f for f in check(gone(server)) if f.name == "database"]
    assert finding.level == "FAIL"
    assert "does not exist" in finding.text


def gone(settings: Settings) -> Settings:
    """Settings with a database that there is not."""
    return replace(settings, database_url=f"{settings.database_url}_gone")
