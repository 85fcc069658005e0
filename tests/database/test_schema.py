"""Migrating a database that cannot be written now, and migrations that are wrong."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from flask10x.config.settings import Settings
from flask10x.database import schema
from flask10x.errors import DatabaseDamaged, SchemaError
from tests.support.rows import execute


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "flask10x.sqlite3"


def test_a_locked_database_is_an_error_in_one_line(settings: Settings, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(SchemaError) as caught:
            schema.upgrade(settings)
    assert str(caught.value) == f"{path} cannot be migrated: SQLITE_BUSY: database is locked"
    schema.upgrade(settings)


def test_a_locked_database_that_is_up_to_date_is_no_error(settings: Settings, path: Path) -> None:
    schema.upgrade(settings)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        schema.upgrade(settings)


def test_a_database_of_a_newer_program(settings: Settings, path: Path) -> None:
    schema.upgrade(settings)
    execute(path, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaError, match="is at version 9999, made by a newer Flask10X"):
        schema.upgrade(settings)


def test_a_file_that_is_no_database(settings: Settings, path: Path) -> None:
    path.write_bytes(b"current_time,Pressure,Tempereture\r\n" * 100)
    with pytest.raises(DatabaseDamaged, match="SQLITE_NOTADB: file is not a database"):
        schema.upgrade(settings)


def test_wrong_sql_keeps_its_traceback(settings: Settings, path: Path) -> None:
    execute(path, "CREATE TABLE readings (id)")
    with pytest.raises(OperationalError, match="table readings already exists"):
        schema.upgrade(settings)
