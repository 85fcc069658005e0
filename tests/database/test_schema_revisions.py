"""The migrations as `check` and `restore` see them, without Alembic."""

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.exc import OperationalError

from flask10x.config.settings import Settings
from flask10x.database import schema
from flask10x.database.database import Database
from flask10x.database.sqlite.file import open_read_only
from flask10x.recording import rejected
from flask10x.recording.rejected import Waiting
from tests.support.databases import ON_POSTGRES
from tests.support.rows import execute, select


def test_the_chain_is_alembics() -> None:
    config = Config()
    config.set_main_option("script_location", str(schema.migrations()))
    scripts = list(ScriptDirectory.from_config(config).walk_revisions())
    assert schema.chain() == [script.revision for script in reversed(scripts)]
    assert schema.all_revisions() == [*schema.TAKEN_OVER, *schema.chain()]


def test_a_migrated_database_is_at_the_newest(database: Database) -> None:
    with database.reader.begin() as connection:
        assert schema.current(connection) == schema.all_revisions()[-1]


@pytest.mark.sqlite_only("on PostgreSQL: tests/postgres/test_schema.py")
def test_a_database_that_was_never_migrated(settings: Settings) -> None:
    path = settings.data_dir / "other.sqlite3"
    execute(path, "CREATE TABLE notes (text)")
    with (
        open_read_only(path).connect() as connection,
        pytest.raises(OperationalError, match="no such table: alembic_version"),
    ):
        schema.current(connection)


def test_readings_of_paths_without_a_station_are_taken_over(
    settings: Settings, database: Database
) -> None:
    """0020: those of `unknown_readings` behind those of `rejected`, which keep their ids."""
    schema.downgrade(settings, "0019")
    path, text = database.path, '{"endpoint": "there is no such station"}'
    one, two, three = ("'1'", "'2'", "'3'") if ON_POSTGRES else ("x'31'", "x'32'", "x'33'")
    execute(
        path,
        "INSERT INTO rejected (endpoint, received_at, end_bytes, media_type, reasons, hint, body)"
        f" VALUES ('porch', 30, 512, 'a', '{text}', '', {three})",
        f"INSERT INTO unknown_readings VALUES (1, 'porch', 10, 5, NULL, 'a', {one})",
        f"INSERT INTO unknown_readings VALUES (2, 'porch', 20, NULL, NULL, 'a', {two})",
    )
    schema.upgrade(settings)
    columns = "id, endpoint, received_at, measured_at, end_bytes, reasons, earlier"
    assert select(path, f"SELECT {columns} FROM rejected ORDER BY id") == [
        (1, "porch", 30, None, 512, text, None),
        (2, "porch", 10, 5, 512, text, 1),
        (3, "porch", 20, None, 512, text, 1),
    ]
    with database.reader.begin() as connection:
        assert rejected.waiting(connection, "porch") == Waiting(3, 10, 30)
        last = rejected.latest(connection, "porch")
    assert last is not None and last.body == b"3"
    schema.downgrade(settings, "0019")
    assert select(path, "SELECT * FROM unknown_readings ORDER BY id") == [
        (2, "porch", 10, 5, None, "a", b"1"),
        (3, "porch", 20, None, None, "a", b"2"),
    ]
    assert select(path, "SELECT id FROM rejected") == [(1,)]
