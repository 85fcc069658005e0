"""Migrating on PostgreSQL: several hosts at once, rights, people's own views, times in views."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import alembic.command
import pytest
from alembic.config import Config
from sqlalchemy.exc import DBAPIError

from flask10x.config import settings as settings_module
from flask10x.config.settings import Settings
from flask10x.database import counters, schema
from flask10x.database.database import Database
from flask10x.database.postgres import statements as on_postgres
from flask10x.database.postgres.connections import TAKE_THE_MIGRATION
from flask10x.database.sqlite import statements as on_sqlite
from flask10x.errors import DatabaseUnreachable, SchemaError
from flask10x.readings.stations import BUILT_IN, Station, Stations
from tests.support import databases, postgres
from tests.support.stations import BALCONY, WITH_BALCONY

# A path as no shell and no SQL would like it.
WILD = "soil 100% {wet} 'or' :not"
STATIONS = """
[stations.balcony]
label = "Balcony"
[stations.balcony.measurements.soil_wet]
unit = "%"
"""
LONG = "土壌水分" * 10


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """Those of a database that was never migrated."""
    server, name = postgres.shared(), databases.name_of(tmp_path)
    server.create(name)
    environment = {"FLASK10X_DATA_DIR": str(tmp_path), "FLASK10X_DATABASE_URL": server.url(name)}
    yield settings_module.load(environment)
    server.drop(name)


@pytest.fixture
def other(settings: Settings) -> Iterator[Any]:
    """Another program's connection; what fails in it undoes nothing before it."""
    with postgres.shared().connect(databases.name_of(settings.data_dir)) as connection:
        yield connection


def columns(other: Any, view: str) -> list[str]:
    result = other.execute(f'SELECT * FROM "{view}" LIMIT 0')
    return [column.name for column in result.description]


def wetter(station: Station, name: str, path: str = "") -> Station:
    """The station with one more measurement."""
    more = replace(BALCONY.measurements[1], path=path or name, column=name)
    return replace(station, measurements=(*station.measurements, more))


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_lacks_letters_gets_no_tables(settings: Settings, encoding: str) -> None:
    server, name = postgres.shared(), databases.name_of(settings.data_dir)
    server.drop(name)
    with server.connect("postgres") as connection:
        connection.execute(
            f'CREATE DATABASE "{name}" TEMPLATE template0 ENCODING {encoding} LOCALE "C"'
        )
    with pytest.raises(SchemaError, match=f"{encoding}, .*createdb --encoding UTF8 --locale"):
        schema.upgrade(settings)
    with server.connect(name) as connection:
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        assert connection.execute(tables).fetchone() == (0,)


def test_texts_are_stored_as_they_are_whatever_the_url_says(settings: Settings, other: Any) -> None:
    settings = replace(settings, database_url=f"{settings.database_url}?client_encoding=latin1")
    schema.upgrade(settings)
    with closing(Database(settings)) as database:
        with database.commit() as connection:
            counters.add(connection, LONG, 1)
        with database.reader.begin() as connection:
            assert counters.value_of(connection, LONG) == 1
    assert other.execute("SELECT name FROM counters").fetchall() == [(LONG,)]


@pytest.mark.tools
def test_of_hosts_that_migrate_at_once_each_is_content(
    settings: Settings, other: Any, tmp_path: Path
) -> None:
    """They find an empty database, and one of them makes the tables."""
    hosts = []
    for number in range(3):
        folder = tmp_path / f"host{number}"
        folder.mkdir()
        (folder / "stations.toml").write_text(STATIONS, encoding="utf-8")
        environment = {
            "FLASK10X_DATA_DIR": str(folder),
            "FLASK10X_DATABASE_URL": settings.database_url,
        }
        command = [sys.executable, "-m", "flask10x", "migrate"]
        hosts.append(
            subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.PIPE)
        )
    said = [host.communicate()[0].decode() for host in hosts]
    assert [host.returncode for host in hosts] == [0, 0, 0]
    at = f"{settings.database_url} is at version {schema.all_revisions()[-1]}"
    assert {text.splitlines()[-1] for text in said} == {at}
    versions = other.execute("SELECT version_num FROM alembic_version").fetchall()
    assert versions == [(schema.all_revisions()[-1],)]
    assert other.execute("SELECT name, last_id FROM log").fetchall() == [("readings", 0)]
    assert columns(other, "v_balcony") == ["id", "time", "soil_wet"]


def test_a_migration_waits_for_that_of_another_host(settings: Settings, other: Any) -> None:
    with ThreadPoolExecutor(1) as host:
        with other.transaction():
            other.execute(TAKE_THE_MIGRATION)
            waiting = host.submit(schema.upgrade, settings)
            waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            while other.execute(waits).fetchone() != (1,):
                assert not waiting.done()
        assert waiting.result() == []


def test_models_and_migrations_agree(settings: Settings) -> None:
    config = Config()
    config.set_main_option("script_location", str(schema.migrations()))
    config.attributes["settings"] = settings
    schema.upgrade(settings)
    alembic.command.check(config)


def test_a_right_that_is_not_granted_is_said(settings: Settings, other: Any) -> None:
    """Who operates the database grants it; the service goes on by itself then."""
    role = databases.name_of(settings.data_dir)
    other.execute(f'CREATE ROLE "{role}" LOGIN')
    try:
        url = settings.database_url.replace("postgres@", f"{role}@")
        with pytest.raises(DatabaseUnreachable, match="42501: permission denied for schema public"):
            schema.upgrade(replace(settings, database_url=url))
        other.execute(f'GRANT CREATE ON SCHEMA public TO "{role}"')
        assert schema.upgrade(replace(settings, database_url=url)) == []
    finally:
        other.execute(f'DROP OWNED BY "{role}"')
        other.execute(f'DROP ROLE "{role}"')


def test_a_server_that_is_not_there_is_said(settings: Settings) -> None:
    away = "postgresql+psycopg://me:secret@/mine?host=127.0.0.1:1&host=127.0.0.1:2"
    with pytest.raises(
        DatabaseUnreachable, match=r"127.0.0.1:1,127.0.0.1:2/mine cannot be read"
    ) as found:
        schema.upgrade(replace(settings, database_url=away))
    assert "secret" not in str(found.value)
    assert "\n" not in str(found.value)


def test_wrong_sql_keeps_its_traceback(settings: Settings, other: Any) -> None:
    other.execute("CREATE TABLE readings (id INTEGER)")
    with pytest.raises(DBAPIError, match='relation "readings" already exists'):
        schema.upgrade(settings)
    assert other.execute("SELECT to_regclass('alembic_version')").fetchone() == (None,)


@pytest.mark.tools
def test_who_reads_for_long_holds_up_no_commit_but_a_new_column(
    settings: Settings, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others would wait behind a change that waits, so it is given up and tried again."""
    schema.upgrade(settings)
    monkeypatch.setattr("flask10x.database.database.WRITE_BUSY_TIMEOUT_MS", 20)
    monkeypatch.setattr("flask10x.database.database.COMMIT_PAUSE_SEC", 0.001)
    changed = replace(settings, stations=WITH_BALCONY)
    with other.transaction():
        other.execute("SELECT count(*) FROM readings")
        with pytest.raises(DatabaseUnreachable, match="55P03"):
            schema.upgrade(changed)
    assert schema.upgrade(changed) == ["soil_wet"]


def test_views_get_columns_and_keep_who_may_read_them(settings: Settings, other: Any) -> None:
    schema.upgrade(settings)
    other.execute("GRANT SELECT ON v_data TO PUBLIC")
    other.execute("CREATE VIEW own AS SELECT time, pressure FROM v_data")
    stations = Stations((wetter(BUILT_IN.all[0], "soil_wet", WILD), *BUILT_IN.all[1:]))
    schema.upgrade(replace(settings, stations=stations))
    assert columns(other, "v_data") == ["id", "time", "pressure", "temperature", WILD]
    assert columns(other, "own") == ["time", "pressure"]
    granted = "SELECT has_table_privilege('pg_monitor', 'v_data', 'SELECT')"
    assert other.execute(granted).fetchone() == (True,)
    # Nothing is written when nothing is missing.
    with other.transaction():
        other.execute("SELECT last_id FROM log FOR UPDATE")
        assert schema.upgrade(replace(settings, stations=stations)) == []


@pytest.mark.tools
def test_a_view_upon_which_others_have_built_stays(settings: Settings, other: Any) -> None:
    stations = Stations((wetter(BUILT_IN.all[0], "soil_wet"), *BUILT_IN.all[1:]))
    schema.upgrade(replace(settings, stations=stations))
    other.execute("CREATE VIEW own AS SELECT soil_wet FROM v_data")
    schema.upgrade(settings)
    assert columns(other, "v_data") == ["id", "time", "pressure", "temperature", "soil_wet"]
    assert columns(other, "epoch_data")[-1] == "temperature"
    other.execute("DROP VIEW own")
    schema.upgrade(settings)
    assert columns(other, "v_data") == ["id", "time", "pressure", "temperature"]


def test_a_path_too_long_for_a_name_is_shown_by_its_column(settings: Settings, other: Any) -> None:
    """PostgreSQL would cut it, and two might become one."""
    station = wetter(wetter(BALCONY, "depth", f"{LONG}1"), "deeper", f"{LONG}2")
    changed = replace(settings, stations=Stations((*BUILT_IN.all, station)))
    assert schema.upgrade(changed) == ["soil_wet", "depth", "deeper"]
    assert columns(other, "v_balcony-1")[-2:] == ["depth", "deeper"]
    assert schema.upgrade(changed) == []


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/St_Johns", "Europe/Berlin"])
def test_the_time_of_a_view_is_that_of_sqlite(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    """In the zone of the session that reads it."""
    moments = [0, 999, -1, -1500, 1_756_000_000_999, 1_711_846_800_000, 4_102_444_799_000]
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    database = Database(settings)
    try:
        with database.reader.begin() as connection:
            connection.exec_driver_sql(f"SET LOCAL timezone = '{zone}'")
            here = [
                connection.exec_driver_sql(
                    f"SELECT {on_postgres.LOCAL_TIME} FROM (SELECT {at}::bigint AS received_at) x"
                ).scalar_one()
                for at in moments
            ]
        with closing(sqlite3.connect(":memory:")) as sqlite:
            there = [
                sqlite.execute(
                    f"SELECT {on_sqlite.LOCAL_TIME} FROM (SELECT {at} AS received_at)"
                ).fetchone()[0]
                for at in moments
            ]
    finally:
        database.close()
        monkeypatch.undo()
        time.tzset()
    assert here == there
