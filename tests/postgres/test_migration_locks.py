"""No migration keeps readings waiting: what it locks for long it does not read, and never rewrites.

A hundred million rows are not needed to see it. In the transaction of a migration PostgreSQL says
which locks it holds on each table, whether the table has other files than before (it was
rewritten), and how many rows of it were read. A strong lock on a table of which nothing is read or
written is held for milliseconds, whatever its size.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import alembic.command
import pytest
from alembic.config import Config
from sqlalchemy import Connection, Engine, event, text

from flask10x.config import settings as settings_module
from flask10x.config.settings import Settings
from flask10x.database import schema, station_columns
from flask10x.database.database import Database
from tests.e2e.service import wait_until
from tests.support import databases, former, postgres
from tests.support.stations import WITH_BALCONY

# Those that grow with what is measured.
LARGE = ("readings", "rollups", "rollup_days", "rejected", "accepted_keys")
# With any of them on a table no reading can be stored
# (https://www.postgresql.org/docs/17/explicit-locking.html#LOCKING-TABLES).
STRONG = ("ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock")
FIRST = schema.chain()[0]
ROWS = 500
FILL = (
    "INSERT INTO readings (id, endpoint, received_at, temperature) SELECT i, 'data',"
    f" 1756000000000 + i * 60000, 20 FROM generate_series(1, {ROWS}) AS i"
)
LOCKS = text("""
SELECT relation.relname, locks.mode
FROM pg_locks AS locks JOIN pg_class AS relation ON relation.oid = locks.relation
WHERE locks.pid = pg_backend_pid() AND locks.granted AND relation.relname = ANY(:names)
""")
FILES = text("SELECT relname, pg_relation_filenode(oid) FROM pg_class WHERE relname = ANY(:names)")
# Of this transaction, also what the making of an index or a check of a constraint reads.
READ = text("""
SELECT relname, seq_scan + coalesce(idx_scan, 0) + n_tup_ins + n_tup_upd + n_tup_del
FROM pg_stat_xact_user_tables WHERE relname = ANY(:names)
""")
NAMES = {"names": list(LARGE)}


class Held(NamedTuple):
    """A table that one transaction has locked so that nothing can be stored."""

    table: str
    is_rewritten: bool
    is_read: bool


@contextmanager
def watched(database: Any) -> Iterator[list[Held]]:
    """What each transaction in the block holds when it is about to be committed."""
    held: list[Held] = []
    files = dict(database.execute(FILES.text.replace(":names", "%s"), (list(LARGE),)).fetchall())

    def look(connection: Connection) -> None:
        locked = {name for name, mode in connection.execute(LOCKS, NAMES) if mode in STRONG}
        if not locked:
            return
        now = {row[0]: row[1] for row in connection.execute(FILES, NAMES)}
        read = {row[0]: row[1] for row in connection.execute(READ, NAMES)}
        for name in sorted(locked):
            held.append(Held(name, now.get(name) != files.get(name), bool(read.get(name))))

    event.listen(Engine, "commit", look)
    try:
        yield held
    finally:
        event.remove(Engine, "commit", look)


@pytest.fixture
def settings(tmp_path: Any) -> Iterator[Settings]:
    server, name = postgres.shared(), databases.name_of(tmp_path)
    server.create(name)
    environment = {"FLASK10X_DATA_DIR": str(tmp_path), "FLASK10X_DATABASE_URL": server.url(name)}
    yield settings_module.load(environment)
    server.drop(name)


@pytest.fixture
def other(settings: Settings) -> Iterator[Any]:
    with postgres.shared().connect(databases.name_of(settings.data_dir)) as connection:
        yield connection


def migrate(settings: Settings, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(schema.migrations()))
    config.attributes["settings"] = settings
    alembic.command.upgrade(config, revision)


@pytest.fixture
def filled(settings: Settings, other: Any) -> Settings:
    """A database as the first migration makes it, with rows."""
    migrate(settings, FIRST)
    other.execute(FILL)
    return settings


@pytest.mark.parametrize("revision", schema.chain())
def test_a_migration_reads_and_rewrites_nothing_that_it_locks(
    settings: Settings, other: Any, revision: str
) -> None:
    """The first one as it takes a database over."""
    if revision == FIRST:
        former.run(other, "0012")
        other.execute("DELETE FROM readings")
    else:
        migrate(settings, schema.chain()[schema.chain().index(revision) - 1])
    other.execute(FILL)
    with watched(other) as held:
        migrate(settings, revision)
    assert [each for each in held if each.is_rewritten or each.is_read] == []


def test_a_column_of_a_new_station_reads_and_rewrites_nothing(filled: Settings, other: Any) -> None:
    schema.upgrade(filled)
    database = Database(filled)
    try:
        with watched(other) as held:
            added = station_columns.add_missing(database, WITH_BALCONY)
    finally:
        database.close()
    assert added
    assert {each.table for each in held} == {"readings"}
    assert [each for each in held if each.is_rewritten or each.is_read] == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("CREATE INDEX slow ON readings (temperature)", Held("readings", False, True)),
        ("ALTER TABLE readings ALTER temperature TYPE TEXT", Held("readings", True, True)),
        ("ALTER TABLE readings ADD CHECK (temperature < 99)", Held("readings", False, True)),
        ("ALTER TABLE readings ADD COLUMN at TIMESTAMP DEFAULT now()", None),
        ("ALTER TABLE readings ADD COLUMN at FLOAT DEFAULT random()", Held("readings", True, True)),
        ("ALTER TABLE readings ALTER endpoint SET NOT NULL", None),
    ],
)
def test_what_would_hold_readings_up_is_seen(
    filled: Settings, other: Any, change: str, expected: Held | None
) -> None:
    database = Database(filled)
    try:
        with watched(other) as held, database.migration() as connection:
            connection.exec_driver_sql("DROP VIEW IF EXISTS v_data, epoch_data")
            for view in connection.exec_driver_sql(
                "SELECT viewname FROM pg_views WHERE schemaname = current_schema()"
            ).scalars():
                connection.exec_driver_sql(f'DROP VIEW "{view}"')
            connection.exec_driver_sql(change)
    finally:
        database.close()
    slow = [each for each in held if each.is_rewritten or each.is_read]
    assert slow == ([expected] if expected else [])
    assert held


# An autovacuum that looks at the table for minutes.
SLOW_VACUUM = {
    "autovacuum": "on",
    "autovacuum_naptime": "1s",
    "autovacuum_vacuum_cost_delay": "100ms",
    "autovacuum_vacuum_cost_limit": 1,
}
DEAD = """
INSERT INTO readings (id, endpoint, received_at)
SELECT i, 'data', i FROM generate_series(1, 50000) AS i;
DELETE FROM readings WHERE id % 2 = 0
"""
VACUUMS = (
    "SELECT 1 FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'"
    " AND query LIKE '%VACUUM%public.readings%'"
)
WITHIN_SEC = 60.0


# With a server of its own.
@pytest.mark.tools
def test_a_migration_does_not_give_up_because_of_an_autovacuum(tmp_path: Path) -> None:
    with postgres.own_server(**SLOW_VACUUM) as server, server.connect() as other:
        environment = {"FLASK10X_DATA_DIR": str(tmp_path), "FLASK10X_DATABASE_URL": server.url()}
        settings = settings_module.load(environment)
        former.run(other, "0012")
        other.execute("DELETE FROM readings")
        other.execute(DEAD)
        wait_until(lambda: bool(other.execute(VACUUMS).fetchall()), WITHIN_SEC, "it is vacuumed")
        schema.upgrade(settings)
        at = other.execute("SELECT version_num FROM alembic_version").fetchall()
    assert at == [(schema.all_revisions()[-1],)]
