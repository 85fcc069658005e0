"""Migrating: a filled database goes on, one that is too old or can't be written now is refused."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database import schema
from flask10x.database.paths import shown_name
from flask10x.errors import DatabaseDamaged, SchemaError
from tests.support import databases
from tests.support.both_engines import BUSY, write_lock
from tests.support.rows import execute, select


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / databases.FILE_NAME
    databases.lay_empty_database(path)
    return path


@pytest.mark.sqlite_only("on PostgreSQL a migration waits for another one")
def test_a_locked_database_is_an_error_in_one_line(settings: Settings, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(SchemaError) as caught:
            schema.upgrade(settings)
    assert str(caught.value) == f"{path} cannot be migrated: {BUSY}"
    schema.upgrade(settings)


def test_a_locked_database_that_is_up_to_date_is_no_error(settings: Settings, path: Path) -> None:
    schema.upgrade(settings)
    with write_lock(path):
        schema.upgrade(settings)


def test_a_database_of_a_newer_program(settings: Settings, path: Path) -> None:
    schema.upgrade(settings)
    execute(path, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaError, match="is at version 9999, made by a newer Flask10X"):
        schema.upgrade(settings)


@pytest.mark.sqlite_only("a file")
def test_a_file_that_is_no_database(settings: Settings, path: Path) -> None:
    path.write_bytes(b"current_time,Pressure,Tempereture\r\n" * 100)
    with pytest.raises(DatabaseDamaged, match="SQLITE_NOTADB: file is not a database"):
        schema.upgrade(settings)


def test_wrong_sql_keeps_its_traceback(settings: Settings, path: Path) -> None:
    execute(path, "CREATE TABLE readings (id INTEGER)")
    with pytest.raises(DBAPIError, match=r'"?readings"? already exists'):
        schema.upgrade(settings)


@pytest.mark.parametrize("version", ["0001", "0011"])
def test_a_database_of_before_the_first_version_stays_as_it_is(
    settings: Settings, path: Path, version: str
) -> None:
    schema.upgrade(settings)
    execute(path, f"UPDATE alembic_version SET version_num = '{version}'")
    with pytest.raises(SchemaError) as caught:
        schema.upgrade(settings)
    assert str(caught.value) == (
        f"{shown_name(settings)} is at version {version}, and this program can migrate databases"
        ' from version 0012 on; see docs/en/howto/update.md, "Coming from a database older than'
        ' 0012"'
    )
    assert select(path, "SELECT version_num FROM alembic_version") == [(version,)]


@pytest.mark.sqlite_only("a disk below a file")
@pytest.mark.parametrize("code", ["SQLITE_CORRUPT", "SQLITE_IOERR_CORRUPTFS"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_disk_that_fails_for_a_moment_does_not_end_the_start(
    settings: Settings, path: Path, monkeypatch: pytest.MonkeyPatch, code: str, times: int
) -> None:
    schema.upgrade(settings)
    monkeypatch.setattr(schema, "LOOK_PAUSE_SEC", 0)
    failing, usual = [code] * times, schema.current

    def current(connection: Connection) -> str | None:
        if failing:
            error = sqlite3.DatabaseError("a test")
            error.sqlite_errorname = failing.pop()
            raise DBAPIError("SELECT", None, error)
        return usual(connection)

    monkeypatch.setattr(schema, "current", current)
    if times < schema.LOOKS:
        schema.upgrade(settings)
        return
    with pytest.raises((DatabaseDamaged, SchemaError), match=f"{code}: a test"):
        schema.upgrade(settings)
