"""Migrating: a database that can't be written now, wrong migrations, refused readings of before.

What the migrations of the roll-ups do with old databases is tested in `test_rollups.py`.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import alembic.command
import pytest
from alembic.config import Config
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database import schema
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


REJECTED = "id, endpoint, received_at, end_bytes, reading_id, media_type, reasons, hint, body"


def downgrade(settings: Settings, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(schema.migrations()))
    config.attributes["settings"] = settings
    alembic.command.downgrade(config, revision)


@pytest.mark.sqlite_only("databases on PostgreSQL begin with version 0012")
def test_a_database_of_before_the_codes_keeps_its_rejected_readings(
    settings: Settings, path: Path
) -> None:
    schema.upgrade(settings)
    downgrade(settings, "0005")
    bodies = "x'7b7d'), (9, 'data2', 6, 1024, 3, 'text/plain', '{}', 'hint', zeroblob(60000))"
    execute(
        path,
        f"INSERT INTO rejected ({REJECTED}) VALUES"
        f" (7, 'data', 5, 512, NULL, '', '{{\"co2\": \"missing\"}}', '', {bodies}",
    )
    before = select(path, f"SELECT {REJECTED} FROM rejected")
    assert "codes" not in {row[1] for row in select(path, "PRAGMA table_info(rejected)")}
    schema.upgrade(settings)
    assert select(path, f"SELECT {REJECTED} FROM rejected") == before
    assert select(path, "SELECT id, codes FROM rejected") == [(7, None), (9, None)]
    execute(path, "UPDATE rejected SET codes = '[null]'")
    downgrade(settings, "0005")
    assert select(path, f"SELECT {REJECTED} FROM rejected") == before
    # An id is never given twice, also after this.
    execute(path, "DELETE FROM rejected")
    assert select(path, "SELECT seq FROM sqlite_sequence WHERE name = 'rejected'") == [(9,)]


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


@pytest.mark.sqlite_only("databases on PostgreSQL begin with version 0012")
def test_a_database_of_before_the_zones_keeps_its_exports(settings: Settings, path: Path) -> None:
    schema.upgrade(settings)
    downgrade(settings, "0006")
    columns = "name, first_id, last_id, import_id, begin_bytes, size_bytes, checksum, inode"
    known = ("PicodataX.csv", 1, 5, 2, 35, 259, 4_000_000_000, 7)
    execute(path, f"INSERT INTO exports ({columns}) VALUES {known}")
    execute(path, "INSERT INTO exports (name, first_id, last_id, import_id) VALUES ('x', 0, 0, 0)")
    names = [row[1] for row in select(path, "PRAGMA table_info(exports)")]
    assert names == [*columns.split(", "), "changed_ns"]
    schema.upgrade(settings)
    assert select(path, f"SELECT {columns} FROM exports WHERE last_id = 5") == [known]
    zones = "SELECT zone, last_received_at, last_time FROM exports"
    assert select(path, zones) == [(None, None, None)] * 2
    execute(path, "UPDATE exports SET zone = 'UTC', last_received_at = 1, last_time = 'x'")
    downgrade(settings, "0006")
    assert select(path, f"SELECT {columns} FROM exports WHERE last_id = 5") == [known]


@pytest.mark.sqlite_only("databases on PostgreSQL begin with version 0012")
def test_a_database_of_before_the_late_readings_keeps_its_rows(
    settings: Settings, path: Path
) -> None:
    """And those that came late stay at their times when it goes back."""
    schema.upgrade(settings)
    downgrade(settings, "0007")
    execute(path, "INSERT INTO readings (endpoint, received_at, pressure) VALUES ('data', 5, 1.5)")
    bodies = "(7, 'data', 5, 512, NULL, '', '{}', '', x'7b7d')"
    execute(path, f"INSERT INTO rejected ({REJECTED}) VALUES {bodies}")
    schema.upgrade(settings)
    readings = "SELECT id, received_at, arrived_at, pressure FROM readings"
    assert select(path, readings) == [(1, 5, None, 1.5)]
    assert select(path, "SELECT id, measured_at, digest FROM rejected") == [(7, None, None)]
    execute(path, "INSERT INTO readings (endpoint, received_at, arrived_at) VALUES ('data', 6, 9)")
    execute(path, "INSERT INTO accepted_keys VALUES (0, x'00', 9)")
    execute(path, "INSERT INTO sqlite_sequence (name, seq) VALUES ('accepted keys', 1)")
    downgrade(settings, "0007")
    assert select(path, "SELECT id, received_at FROM readings") == [(1, 5), (2, 6)]
    assert select(path, "SELECT name FROM sqlite_sequence ORDER BY 1") == [
        ("readings",),
        ("rejected",),
    ]
