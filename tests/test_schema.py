"""Migrating a database that cannot be written now, and migrations that are wrong."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from flask10x import schema
from flask10x.errors import SchemaError
from flask10x.settings import Settings


def test_a_locked_database_is_an_error_in_one_line(settings: Settings, tmp_path: Path) -> None:
    schema.upgrade(settings)
    with closing(sqlite3.connect(tmp_path / "flask10x.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(SchemaError) as caught:
            schema.upgrade(settings)
    path = tmp_path / "flask10x.sqlite3"
    assert str(caught.value) == f"{path} cannot be migrated: SQLITE_BUSY: database is locked"


def test_wrong_sql_keeps_its_traceback(settings: Settings, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "flask10x.sqlite3")) as other:
        other.execute("CREATE TABLE readings (id)")
    with pytest.raises(OperationalError, match="table readings already exists"):
        schema.upgrade(settings)
