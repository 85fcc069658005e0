"""The migrations as `check` and `restore` see them, without Alembic."""

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.exc import OperationalError

from flask10x.config.settings import Settings
from flask10x.database import schema
from flask10x.database.database import Database
from flask10x.database.sqlite.file import open_read_only
from tests.support.rows import execute


def test_the_chain_is_alembics() -> None:
    config = Config()
    config.set_main_option("script_location", str(schema.migrations()))
    scripts = list(ScriptDirectory.from_config(config).walk_revisions())
    assert schema.all_revisions() == [script.revision for script in reversed(scripts)]
    assert schema.all_revisions()[0] == "0012"


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
