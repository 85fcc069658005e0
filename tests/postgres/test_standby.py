"""What DATABASE_READ_URL names answers pages, exports and backups, while it is proven to be near.

The standby is a real one. Where it stands still, its replay is paused: that is a standby which is
late, and follows later.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from flask10x.config.settings import Settings
from flask10x.database import engines
from flask10x.database.database import Database
from flask10x.database.postgres import driver
from flask10x.database.postgres import standby as module
from flask10x.database.postgres.standby import Position, Replayed, judged
from flask10x.errors import StandbyFailed
from flask10x.export.append import export
from flask10x.maintenance.backup import backup
from flask10x.maintenance.check import check
from flask10x.web.app import create_app
from tests.e2e.service import wait_until
from tests.postgres.service import NAME, follow, rows, settings_on
from tests.support.postgres import PostgresServer, own_server, standby_of

tools = pytest.mark.tools
WITHIN_SEC = 60.0
LATE = 'id="late"'
STORE = "/data"
PICO = {"temperature": 25.1, "pressure": 1013.25}
START = Position("7", "flask10x", 3, 1000, 500.0, 100.0)
STANDBY = Replayed("7", "flask10x", True, 1, 3, 1000, 400.0, "10.0.0.6", 5432)


# What is proven


@pytest.mark.parametrize(
    ("replayed", "obstacle", "delay_sec"),
    [
        # It has all that was there when the primary was asked, two seconds ago.
        ({}, "", 2.0),
        # It has the commit of a second ago: by the primary's clock it is 502 now.
        ({"lsn": 999, "last_commit_sec": 501.0}, "", 1.0),
        ({"lsn": 999, "last_commit_sec": 491.9}, "late", 10.1),
        ({"lsn": 999, "last_commit_sec": None}, "late", None),
        # The primary's clock was set back since.
        ({"lsn": 999, "last_commit_sec": 600.0}, "late", None),
        ({"is_standby": False}, "no_standby", None),
        ({"system_identifier": "8"}, "other_database", None),
        ({"database": "other"}, "other_database", None),
        ({"receivers": 0}, "cut_off", None),
        ({"timeline": None}, "hidden", None),
        # It has more than the new primary, but not what that one has.
        ({"timeline": 2, "lsn": 2000}, "other_timeline", None),
    ],
)
def test_a_standby_is_read_from_where_its_delay_is_proven(
    replayed: dict[str, Any], obstacle: str, delay_sec: float | None
) -> None:
    server = judged(STANDBY._replace(**replayed), [START], 102.0)
    assert server.obstacle == obstacle
    assert server.delay_sec == pytest.approx(delay_sec)


def test_an_older_place_of_the_primary_proves_a_longer_delay() -> None:
    later = START._replace(lsn=2000, asked_sec=104.0, clock_sec=504.0)
    server = judged(STANDBY._replace(last_commit_sec=None), [START, later], 105.0)
    assert (server.obstacle, server.delay_sec) == ("", 5.0)


def test_nothing_is_proven_while_the_primary_does_not_answer() -> None:
    assert judged(STANDBY, [], 102.0).obstacle == "primary_away"
    assert judged(STANDBY, [START], 110.1).obstacle == "primary_away"


# A real one


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with own_server() as server:
        yield server


@pytest.fixture(scope="module")
def standby(server: PostgresServer) -> Iterator[PostgresServer]:
    with standby_of(server, "db2") as standby:
        yield standby


@pytest.fixture
def settings(server: PostgresServer, standby: PostgresServer, tmp_path: Path) -> Settings:
    server.drop(NAME)
    settings = settings_on(
        server,
        tmp_path,
        DATABASE_READ_URL=standby.url(NAME),
        ACK="committed",
        ACK_TIMEOUT_SEC=8,
        COMMIT_INTERVAL_SEC=0,
        QUERY_TIMEOUT_SEC=60,
    )
    follow(server, standby)
    return settings


@contextmanager
def paused(standby: PostgresServer) -> Iterator[None]:
    """In the block it replays nothing."""
    with standby.connect() as connection:
        connection.execute("SELECT pg_wal_replay_pause()")
        state = "SELECT pg_get_wal_replay_pause_state()"
        wait_until(
            lambda: connection.execute(state).fetchone() == ("paused",), WITHIN_SEC, "it pauses"
        )
        try:
            yield
        finally:
            connection.execute("SELECT pg_wal_replay_resume()")


@contextmanager
def application(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings)
    store = app.extensions["flask10x"]
    store.open()
    try:
        yield app
    finally:
        store.close()


@contextmanager
def near_application(
    settings: Settings, server: PostgresServer, standby: PostgresServer
) -> Iterator[Flask]:
    """An application whose one reading is read from the standby."""
    with application(settings) as app:
        store(app, 1)
        follow(server, standby)
        wait_for(app, "")
        yield app


def wait_for(app: Flask, obstacle: str) -> None:
    database = app.extensions["flask10x"].database

    def is_so() -> bool:
        server = database.read_server(1.0)
        return server is not None and server.obstacle == obstacle

    wait_until(is_so, WITHIN_SEC, f"the standby is found to be: {obstacle or 'near'}")


def numbers(app: Flask, query: str = "") -> list[float]:
    """The temperatures that a program gets."""
    answer = app.test_client().get(f"/history/json{query}")
    assert answer.status_code == 200
    return [reading["data"]["temperature"] for reading in answer.get_json()]


def store(app: Flask, temperature: float) -> None:
    answer = app.test_client().post(STORE, json=PICO | {"temperature": temperature})
    assert answer.status_code == 200


@tools
def test_pages_come_from_the_standby_and_say_so(
    settings: Settings, server: PostgresServer, standby: PostgresServer
) -> None:
    with near_application(settings, server, standby) as app:
        with paused(standby):
            store(app, 2)
            assert numbers(app) == [1]
            for path in ("/history", "/records", "/uptime"):
                assert LATE in app.test_client().get(path).text, path
            # Of the state of the house, what may be changed there, and what follows the log.
            for path in ("/", "/notes", "/alerts", "/status"):
                assert LATE not in app.test_client().get(path).text, path
            assert numbers(app, "?since=1") == [2]
            latest = app.test_client().get("/api/v1/latest").get_json()
            assert "2.0" in str(latest)
        follow(server, standby)
        assert numbers(app) == [1, 2]
    # The database of the settings without a standby is as ever.
    with application(replace(settings, database_read_url="")) as app:
        assert LATE not in app.test_client().get("/history").text


@tools
def test_a_late_standby_is_not_read_from(
    settings: Settings,
    server: PostgresServer,
    standby: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with near_application(settings, server, standby) as app:
        delay_max_sec = 2.0
        monkeypatch.setattr(module, "DELAY_MAX_SEC", delay_max_sec)
        with paused(standby):
            store(app, 2)
            # Before that an older place of the primary may still prove that it is near.
            late_sec = monotonic() + delay_max_sec
            wait_until(lambda: monotonic() > late_sec, WITHIN_SEC, "nothing proves it any more")
            wait_for(app, "late")
            assert numbers(app) == [1, 2]
            assert LATE not in app.test_client().get("/history").text
            page = app.test_client().get("/status").text
            assert "it is late by more than" in page
            scraped = app.test_client().get("/metrics/prometheus").text
            assert "flask10x_database_read_standby_used 0.0" in scraped
            delay = next(
                line
                for line in scraped.splitlines()
                if line.startswith("flask10x_database_read_standby_delay_seconds ")
            )
            assert float(delay.rpartition(" ")[2]) > 2
        follow(server, standby)
        wait_for(app, "")
        answer = app.test_client().get("/readyz").get_json()["database"]["read_from"]
        assert answer["obstacle"] is None
        assert answer["standby"].endswith(f":{standby.port}")
        assert 0 <= answer["delay_seconds"] < 2


@tools
def test_who_changes_something_sees_it(
    settings: Settings, server: PostgresServer, standby: PostgresServer
) -> None:
    with near_application(settings, server, standby) as app, paused(standby):
        client = app.test_client()
        note = {"what": "note", "about": "data", "from": "2025-08-24 09:00"}
        answer = client.post("/notes/write", data=note | {"text": "Window open"})
        assert answer.status_code < 400, answer.text
        assert client.get_cookie("flask10x-changed")
        assert "Window open" in client.get("/history?from=2025-08-24&to=2025-08-25").text
        assert LATE in app.test_client().get("/history").text
        store(app, 2)
        for query in ("", "?limit=5"):
            lines = client.get(f"/history.csv{query}").text.splitlines()
            # Of one that has changed nothing the newest reading may be missing.
            others = app.test_client().get(f"/history.csv{query}").text.splitlines()
            assert len(lines) == len(others) + 1, query


@tools
def test_what_the_standby_cannot_answer_the_primary_does(
    settings: Settings, server: PostgresServer, standby: PostgresServer
) -> None:
    with near_application(settings, server, standby) as app:
        with paused(standby), server.connect(NAME) as connection:
            # What an update has added, say, is not there yet.
            for change in ("pressure TO pressure_", "pressure_ TO pressure"):
                connection.execute(f"ALTER TABLE readings RENAME COLUMN {change}".encode())
        follow(server, standby)
        with standby.connect(NAME) as connection:
            assert connection.execute("SELECT 1 FROM readings").fetchone()
        database = app.extensions["flask10x"].database
        with pytest.raises(StandbyFailed), database.late_query() as late:
            assert late is not None
            late.execute(text("SELECT no_such_column FROM readings"))
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'flask10x'"
        with standby.connect() as connection:
            connection.execute(ended.encode())
        assert numbers(app) == [1]


@tools
def test_a_query_in_the_way_of_the_replay_is_made_again_on_the_primary(
    settings: Settings, server: PostgresServer, standby: PostgresServer
) -> None:
    with standby.connect() as admin:
        admin.execute("ALTER SYSTEM SET max_standby_streaming_delay = 0")
        admin.execute("SELECT pg_reload_conf()")
    try:
        with application(settings) as app:
            for number in range(20):
                store(app, number)
            follow(server, standby)
            wait_for(app, "")
            database = app.extensions["flask10x"].database
            seen: list[int] = []

            def read(connection: Any) -> int:
                count = text("SELECT count(*) FROM readings")
                first: int = connection.execute(count).scalar_one()
                if not seen:
                    with server.connect(NAME) as other:
                        other.execute("DELETE FROM readings WHERE id < 10")
                    seen.append(first)
                    # The snapshot still needs what the vacuum removes.
                    in_the_way = partial(_is_ended, connection, server)
                    wait_until(in_the_way, WITHIN_SEC, "the replay goes on")
                return first

            assert database.until(20, read) == 11
            assert seen == [20]
    finally:
        with standby.connect() as admin:
            admin.execute("ALTER SYSTEM RESET max_standby_streaming_delay")
            admin.execute("SELECT pg_reload_conf()")


def _is_ended(connection: Any, server: PostgresServer) -> bool:
    """Raises the conflict."""
    # Again, for it leaves what some other transaction still sees.
    with server.connect(NAME) as other:
        other.execute("VACUUM readings")
    connection.execute(text("SELECT 1"))
    return False


@tools
def test_while_it_is_away_the_primary_answers(
    settings: Settings, server: PostgresServer, standby: PostgresServer
) -> None:
    with near_application(settings, server, standby) as app:
        standby.stop()
        try:
            assert numbers(app) == [1]
            wait_for(app, "away")
            assert numbers(app) == [1]
        finally:
            standby.start()
        wait_for(app, "")


@tools
def test_a_frozen_one_costs_a_page_a_second(
    settings: Settings, server: PostgresServer, standby: PostgresServer
) -> None:
    with near_application(settings, server, standby) as app:
        standby.freeze()
        try:
            assert numbers(app) == [1]
            wait_for(app, "away")
        finally:
            standby.thaw()
        wait_for(app, "")


@tools
def test_so_does_one_whose_connection_was_not_used_for_some_time(
    settings: Settings,
    server: PostgresServer,
    standby: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with near_application(settings, server, standby) as app:
        # Such a connection is asked first whether it still leads anywhere.
        monkeypatch.setattr(driver, "HEARD_WITHIN_SEC", 0.0)
        monkeypatch.setattr(driver, "ANSWER_WITHIN_SEC", WITHIN_SEC)
        monkeypatch.setattr(driver.PatientConnection, "silence_max_sec", WITHIN_SEC)
        assert numbers(app) == [1]
        standby.freeze()
        try:
            began_sec = monotonic()
            assert numbers(app) == [1]
            assert monotonic() - began_sec < WITHIN_SEC / 2
        finally:
            standby.thaw()


@tools
def test_another_server_is_not_read_from(settings: Settings, server: PostgresServer) -> None:
    levels = {}
    with own_server() as other:
        other.create(NAME)
        for name, url in (
            ("primary", server.url(NAME)),
            ("no such", f"{server.url(NAME)}_other"),
            ("other", other.url(NAME)),
        ):
            findings = check(replace(settings, database_read_url=url))
            found = next(finding for finding in findings if finding.name == "read from")
            levels[name] = found.level, found.details["obstacle"]
    assert levels == {
        "primary": ("FAIL", "no_standby"),
        "no such": ("WARN", "away"),
        "other": ("FAIL", "no_standby"),
    }
    assert "read from" not in {
        finding.name for finding in check(replace(settings, database_read_url=""))
    }


@tools
def test_a_standby_of_another_cluster_is_not_read_from(settings: Settings) -> None:
    with own_server() as other:
        other.create(NAME)
        with standby_of(other, "db3") as standby:
            findings = check(replace(settings, database_read_url=standby.url(NAME)))
    found = next(finding for finding in findings if finding.name == "read from")
    assert (found.level, found.details["obstacle"]) == ("FAIL", "other_database")


@tools
def test_a_role_that_may_not_see_the_history_reads_from_the_primary(
    settings: Settings, server: PostgresServer, standby: PostgresServer
) -> None:
    with server.connect(NAME) as connection:
        connection.execute("DROP ROLE IF EXISTS plain")
        connection.execute("CREATE ROLE plain LOGIN")
        connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO plain")
    try:
        url = standby.url(NAME).replace("//postgres@", "//plain@")
        plain = replace(settings, database_read_url=url)
        follow(server, standby)
        found = next(f for f in check(plain) if f.name == "read from")
        assert (found.level, found.details["obstacle"]) == ("FAIL", "hidden")
        with server.connect(NAME) as connection:
            connection.execute("GRANT pg_monitor TO plain")
        follow(server, standby)
        found = next(f for f in check(plain) if f.name == "read from")
        assert (found.level, found.details["obstacle"]) == ("ok", "")
    finally:
        server.drop(NAME)
        with server.connect() as connection:
            connection.execute("DROP ROLE plain")


@tools
def test_the_csv_files_have_each_reading_in_the_order_of_the_log(
    settings: Settings, server: PostgresServer, standby: PostgresServer
) -> None:
    """A standby only lags: what it lacks of an export comes from the primary."""
    with standby.connect() as admin:
        admin.execute("ALTER SYSTEM SET recovery_min_apply_delay = '150ms'")
        admin.execute("SELECT pg_reload_conf()")
    served: list[str] = []
    try:
        with application(settings) as app:
            wait_for(app, "")
            with closing(Database(settings)) as database:
                wait_until(lambda: _is_near(database), WITHIN_SEC, "the standby answers")
                reads = database.until

                def noted(last: int, read: Any) -> Any:
                    def noted_read(connection: Any) -> Any:
                        standing = "SELECT pg_is_in_recovery()"
                        is_late = connection.execute(text(standing)).scalar_one()
                        served.append("standby" if is_late else "primary")
                        return read(connection)

                    return reads(last, noted_read)

                database.until = noted  # type: ignore[method-assign]
                for number in range(0, 40, 4):
                    for each in (number, number + 1):
                        store(app, each)
                    follow(server, standby)
                    export(settings, database)
                    store(app, number + 2)
                    with paused(standby):
                        store(app, number + 3)
                        export(settings, database)
    finally:
        with standby.connect() as admin:
            admin.execute("ALTER SYSTEM RESET recovery_min_apply_delay")
            admin.execute("SELECT pg_reload_conf()")
    written = (settings.csv_dir / "PicodataX.csv").read_bytes().splitlines()
    stored = rows(server, "SELECT temperature FROM readings ORDER BY id")
    assert [float(line.split(b",")[2]) for line in written[1:]] == [one for (one,) in stored]
    assert stored == [(float(number),) for number in range(40)]
    assert {*served} == {"standby", "primary"}


def _is_near(database: Database) -> bool:
    server = database.read_server(1.0)
    return server is not None and not server.obstacle


@tools
def test_a_backup_has_what_was_committed_before_it(
    settings: Settings,
    server: PostgresServer,
    standby: PostgresServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "DELAY_MAX_SEC", 3.0)
    with application(settings) as app:
        store(app, 1)
        with engines.of(settings).caught_up() as near:
            assert near is not None
        first = backup(settings, tmp_path / "backups")
        assert _readings(first.path) == [1]
        with paused(standby):
            store(app, 2)
            with engines.of(settings).caught_up() as near:
                assert near is None
            second = backup(settings, tmp_path / "backups")
        assert _readings(second.path) == [1, 2]


def _readings(path: Path) -> list[float]:
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT temperature FROM readings ORDER BY id").fetchall()
    return [temperature for (temperature,) in found]
