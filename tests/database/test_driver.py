"""Errors of SQLite whose message is no UTF-8 are errors with a code."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database import schema
from flask10x.database.damage import Damage
from flask10x.database.database import Database
from flask10x.database.error_codes import code_of, kind_of
from flask10x.database.paths import database_path
from flask10x.database.sqlite.driver import Driver, connect
from flask10x.database.sqlite.file import damages, make_single_file, open_read_only
from flask10x.errors import DatabaseDamaged, DatabaseSuspected
from flask10x.readings.stations import BUILT_IN
from flask10x.system.gauges import Gauges
from tests.support.broken_schema import break_schema, overwrite_schema
from tests.support.new_database import lay_new_database

pytestmark = pytest.mark.sqlite_only("its errors")

QUOTED = r'malformed database schema \(v_data2\) - near "SEL\\xff\\xfe\\xfd": syntax error'
TRIES = 30


@pytest.fixture
def broken(settings: Settings) -> Path:
    path = database_path(settings)
    lay_new_database(path)
    break_schema(path)
    return path


@pytest.fixture
def driver(broken: Path) -> Iterator[Driver]:
    with closing(connect(broken, "mode=rw", 1)) as driver:
        yield driver


@pytest.mark.parametrize(
    "action",
    [
        lambda driver: driver.execute("SELECT 1 FROM readings"),
        lambda driver: driver.cursor().execute("SELECT 1 FROM readings"),
        lambda driver: driver.cursor().executemany("DELETE FROM readings WHERE id = ?", [(1,)]),
    ],
)
def test_the_message_is_an_error_with_the_code_of_damage(
    driver: Driver, action: Callable[[Driver], object]
) -> None:
    with pytest.raises(sqlite3.DatabaseError, match=QUOTED) as caught:
        action(driver)
    assert code_of(caught.value) == "SQLITE_CORRUPT"
    assert caught.value.sqlite_errorcode == sqlite3.SQLITE_CORRUPT


def test_a_commit_and_a_rollback_work_as_usual() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None, factory=Driver)) as driver:
        driver.execute("CREATE TABLE readings (id INTEGER PRIMARY KEY)")
        driver.execute("BEGIN")
        driver.rollback()
        driver.execute("BEGIN")
        driver.execute("INSERT INTO readings VALUES (7)")
        driver.commit()
        assert driver.execute("SELECT id FROM readings").fetchall() == [(7,)]


def test_a_value_of_ours_that_cannot_be_encoded_is_no_damage(database: Database) -> None:
    query = "SELECT ?"
    with pytest.raises(UnicodeEncodeError) as caught, database.reader.begin() as connection:
        connection.exec_driver_sql(query, ("\ud800",))
    assert kind_of(caught.value) == "row"
    assert not database.damage.is_damaged


def test_each_program_that_reads_it_says_so(settings: Settings, broken: Path) -> None:
    damage = Damage(Gauges(BUILT_IN.by_endpoint))
    database = Database(settings, damage)
    with pytest.raises(DBAPIError), database.reader.begin() as connection:
        connection.exec_driver_sql("SELECT 1 FROM readings")
    assert damage.suspicion.startswith("SQLITE_CORRUPT: malformed database schema (v_data2)")
    with pytest.raises(DatabaseSuspected), database.commit():
        pytest.fail("nothing may be written")
    database.close()


def test_a_start_reports_it(settings: Settings, broken: Path) -> None:
    with pytest.raises(DatabaseDamaged, match=QUOTED):
        schema.upgrade(settings)


def test_a_file_cannot_be_made_single(broken: Path) -> None:
    with pytest.raises(sqlite3.DatabaseError):
        make_single_file(broken)


def test_the_check_quotes_undecodable_bytes_with_escapes(database: Database) -> None:
    """The name of an index with wrong contents, say, comes in a row of the answer."""
    with closing(sqlite3.connect(database.path)) as other:
        other.execute("CREATE INDEX spoilt ON counters (value)")
        other.execute("INSERT INTO counters VALUES ('a', 1)")
        other.execute("PRAGMA writable_schema = ON")
        other.execute("UPDATE sqlite_schema SET sql = replace(sql, 'value', 'name')"
                      " WHERE name = 'spoilt'")  # fmt: skip
        other.execute("UPDATE sqlite_schema SET name = CAST(x'73ff' AS TEXT),"
                      " sql = replace(sql, 'spoilt', CAST(x'73ff' AS TEXT))"
                      " WHERE name = 'spoilt'")  # fmt: skip
        other.commit()
    with open_read_only(database.path).connect() as connection:
        lines = damages(connection, full=True)
        assert any("index s\\xff" in line for line in lines), lines


@pytest.mark.parametrize("seed", range(TRIES))
def test_whatever_is_broken_in_the_schema_the_start_says_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(schema, "LOOK_PAUSE_SEC", 0)
    path = database_path(settings)
    lay_new_database(path)
    overwrite_schema(path, seed)
    try:
        schema.upgrade(settings)
    except DatabaseDamaged as error:
        assert str(error).startswith("SQLITE_")
