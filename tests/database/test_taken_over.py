"""A database that a version before the first migration has made is taken over as a whole."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import alembic.command
import pytest
from alembic.config import Config
from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import Inspector

from flask10x.config.settings import Settings
from flask10x.database import schema
from flask10x.database.postgres.statements import READS_CATALOG
from flask10x.errors import SchemaError
from tests.support import databases, former, postgres
from tests.support.rows import execute, select

# What the databases hold.
Row = tuple[object, ...]
ROWS: dict[str, Row] = {
    "readings": (7, "data", 5),
    "counters": ("write_errors", 3),
    "followers": ("rollups", 7),
    "exports": ("PicodataX.csv", 1, 5, 2),
    "rejected": (7, "data", 5, 512),
    "notes": (2, None, 0, 1, "window"),
    "rollups": ("data", "pressure", 0, 1, 1),
}
FORMER_INDEX = {"ix_readings_endpoint_received_at": (["endpoint", "received_at", "id"], False)}
# What later versions keep elsewhere: 0020 and 0021.
MOVED = ("exports", "rejected", "archived_files", "unknown_readings")
SINCE_0015: dict[str, Row] = {
    "archived_files": ("data", 259, 77),
    "unknown_readings": (1, "balcony", 5),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / databases.FILE_NAME


def stored(path: Path, rows: Mapping[str, Row]) -> dict[str, Row]:
    """The first columns of each of these tables' only row."""
    found: dict[str, Row] = {}
    for table, row in rows.items():
        (whole,) = select(path, f"SELECT * FROM {table}")
        found[table] = whole[: len(row)]
    return found


def assert_rows_stay(path: Path, *, has_later: bool) -> None:
    """Each row is there, also those that have another table now."""
    rows = {table: row for table, row in ROWS.items() if table not in MOVED}
    assert stored(path, rows) == rows
    files: list[tuple[object, ...]] = [("current", 5, 2)]
    rejected: list[tuple[object, ...]] = [("data", None)]
    if has_later:
        files.append(("archived", 5, 0))
        rejected.insert(0, ("balcony", 1))
    query = "SELECT kind, last_id, import_id FROM csv_files ORDER BY id"
    assert select(path, query) == files
    assert select(path, "SELECT endpoint, earlier FROM rejected ORDER BY endpoint") == rejected


def tables(path: Path) -> dict[str, Any]:
    """All tables with what they are made of; on PostgreSQL functions and settings, too."""
    found: dict[str, Any] = {}
    for inspector in inspected(path):
        for name in inspector.get_table_names():
            columns = {
                column["name"]: (str(column["type"]), column["nullable"], column["default"])
                for column in inspector.get_columns(name)
            }
            indexes = {
                i["name"]: (i["column_names"], i["unique"]) for i in inspector.get_indexes(name)
            }
            key = inspector.get_pk_constraint(name)["constrained_columns"]
            found[name] = (columns, indexes, key)
    if databases.ON_POSTGRES:
        in_public = "'public'::regnamespace"
        for query in (
            f"SELECT 'function ' || proname, prosrc FROM pg_proc WHERE pronamespace = {in_public}",
            "SELECT 'settings of ' || relname, reloptions FROM pg_class"
            f" WHERE relnamespace = {in_public} AND reloptions IS NOT NULL",
            "SELECT 'trigger ' || tgname, tgtype FROM pg_trigger WHERE NOT tgisinternal",
        ):
            found |= dict(select(path, query))
    return found


def inspected(path: Path) -> Iterator[Inspector]:
    url = f"sqlite:///{path}"
    if databases.ON_POSTGRES:
        url = postgres.shared().url(databases.name_of(path.parent))
    engine = create_engine(url)
    # The catalog has numbers of 4 bytes.
    setattr(engine.dialect, READS_CATALOG, True)
    try:
        yield inspect(engine)
    finally:
        engine.dispose()


def configuration(settings: Settings) -> Config:
    config = Config(attributes={"settings": settings})
    config.set_main_option("script_location", str(schema.migrations()))
    return config


@pytest.mark.parametrize("revision", ["0012", "0018"])
def test_it_has_then_what_a_new_one_has_and_its_rows(
    settings: Settings, path: Path, revision: str
) -> None:
    databases.lay_empty_database(path)
    schema.upgrade(settings)
    new = tables(path)
    databases.empty(path)
    former.lay(path, revision)
    rows = ROWS if revision == "0012" else ROWS | SINCE_0015
    assert stored(path, rows) == rows
    schema.upgrade(settings)
    assert_rows_stay(path, has_later=revision != "0012")
    now = tables(path)
    different = {name for name in new.keys() | now.keys() if new.get(name) != now.get(name)}
    if (databases.ON_POSTGRES, revision) == (True, "0012"):
        # To make the index again would hold up commits; it only takes more space.
        columns, _indexes, key = new["readings"]
        assert (different, now["readings"]) == ({"readings"}, (columns, FORMER_INDEX, key))
    else:
        assert different == set()
        alembic.command.check(configuration(settings))
    version = select(path, "SELECT version_num FROM alembic_version")
    assert version == [(schema.all_revisions()[-1],)]
    # Ids go on behind the highest one that there was.
    execute(path, "INSERT INTO readings (endpoint, received_at) VALUES ('data', 6)")
    assert select(path, "SELECT max(id) FROM readings") == [(8,)]


def test_what_is_wrong_in_it_leaves_it_as_it_was(settings: Settings, path: Path) -> None:
    """As a view that has the name of a table that it gets."""
    former.lay(path, "0012")
    execute(path, "CREATE VIEW unknown_readings AS SELECT 1 AS x")
    before = tables(path)
    with pytest.raises(Exception, match="unknown_readings"):
        schema.upgrade(settings)
    assert tables(path) == before
    assert select(path, "SELECT version_num FROM alembic_version") == [("0012",)]
    execute(path, "DROP VIEW unknown_readings")
    schema.upgrade(settings)
    assert_rows_stay(path, has_later=False)


def test_nothing_leads_back_to_before_the_first(settings: Settings, path: Path) -> None:
    databases.lay_empty_database(path)
    schema.upgrade(settings)
    with pytest.raises(SchemaError, match="there is no version 0018; there are: 0019"):
        schema.downgrade(settings, "0018")
