"""A real standby: what is acknowledged is on it, and `/readyz` says how it is."""

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.postgres.server import synchronous_standbys
from flask10x.health.database import server_state
from flask10x.health.words import SERVER
from flask10x.web.app import create_app
from tests.e2e.service import wait_until
from tests.postgres.service import NAME, follow, name_standby, rows, settings_on, writer_on
from tests.support.postgres import HOST, PostgresServer, own_server, standby_of
from tests.support.rows import pico

pytestmark = pytest.mark.tools
WITHIN_SEC = 30.0


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with own_server() as server:
        yield server


@pytest.fixture(scope="module")
def standby(server: PostgresServer) -> Iterator[PostgresServer]:
    with standby_of(server, "db2") as standby:
        yield standby


@pytest.fixture
def settings(server: PostgresServer, standby: PostgresServer, tmp_path: Path) -> Iterator[Settings]:
    server.drop(NAME)
    settings = settings_on(server, tmp_path, ACK="committed")
    name_standby(server, "db2")
    follows(server)
    # What its disk has it shows a moment later, the tables too.
    follow(server, standby)
    yield settings
    name_standby(server, "")


def follows(server: PostgresServer) -> None:
    seen = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
    wait_until(lambda: rows(server, seen) == [(1,)], WITHIN_SEC, "the standby follows")


def readyz(settings: Settings) -> tuple[int, dict[str, Any]]:
    app = create_app(settings)
    try:
        answer = app.test_client().get("/readyz")
        return answer.status_code, answer.get_json()
    finally:
        app.extensions["flask10x"].close()


def text_of(settings: Settings, path: str) -> str:
    app = create_app(settings)
    try:
        return app.test_client().get(path, follow_redirects=True).text
    finally:
        app.extensions["flask10x"].close()


def test_readyz_says_which_server_it_is_and_what_follows(
    server: PostgresServer, settings: Settings
) -> None:
    status, answer = readyz(settings)
    assert (status, answer["status"]) == (200, "ready")
    assert "warnings" not in answer
    database = answer["database"]
    (standby,) = database.pop("standbys")
    version = rows(server, "SHOW server_version")[0][0]
    assert database == {
        "engine": "postgresql",
        "host": HOST,
        "port": server.port,
        "version": version,
        "synchronous_standbys": 1,
    }
    assert (standby["name"], standby["state"], standby["sync"]) == ("db2", "streaming", "sync")
    assert standby["lag_bytes"] >= 0


def test_readyz_warns_of_one_machine_and_of_what_it_may_not_see(
    server: PostgresServer, settings: Settings
) -> None:
    name_standby(server, "")
    status, answer = readyz(settings)
    assert (status, answer["warnings"]) == (200, [SERVER["one_machine"]])
    assert "同期スタンバイがない" in text_of(settings, "/status?lang=ja")
    name_standby(server, "db2, db3")
    with server.connect(NAME) as connection:
        connection.execute("CREATE ROLE plain LOGIN")
        connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO plain")
    plain = settings_as(settings, "plain")
    status, answer = readyz(plain)
    assert (status, answer["warnings"]) == (200, [SERVER["hidden"]])
    assert answer["database"]["synchronous_standbys"] is None
    assert [one["lag_bytes"] for one in answer["database"]["standbys"]] == [None]
    with server.connect(NAME) as connection:
        connection.execute("GRANT pg_monitor TO plain")
    status, answer = readyz(plain)
    assert (status, answer["database"]["synchronous_standbys"]) == (200, 1)


def settings_as(settings: Settings, role: str) -> Settings:
    url = settings.database_url.replace("//postgres@", f"//{role}@")
    return replace(settings, database_url=url)


def test_what_is_acknowledged_is_on_the_standby(
    server: PostgresServer, standby: PostgresServer, settings: Settings
) -> None:
    with writer_on(settings) as writer:
        for number in range(1, 6):
            writer.submit(pico(number))
            assert writer.step() == 1
            # Its disk has it; it is shown there a moment later.
            is_there = partial(has_stored, standby, number)
            wait_until(is_there, WITHIN_SEC, "it is there")


def has_stored(server: PostgresServer, number: int) -> bool:
    return rows(server, "SELECT count(*) FROM readings") == [(number,)]


def test_a_frozen_standby_holds_the_acknowledgement_up_and_is_named(
    server: PostgresServer, standby: PostgresServer, settings: Settings
) -> None:
    waits = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    with writer_on(settings) as writer:
        standby.freeze()
        try:
            writer.submit(pico(7))
            storing = threading.Thread(target=writer.step)
            storing.start()
            wait_until(lambda: bool(rows(server, waits)), WITHIN_SEC, "it waits")
            rows(server, f"SELECT pg_cancel_backend(pid) FROM ({waits}) AS waiting")
            storing.join()
            assert writer.trouble.startswith("CommitNotReplicated: ")
            assert writer.depth == 1
        finally:
            standby.thaw()
        assert writer.step() == 1
    seen = "SELECT pressure FROM readings"
    wait_until(lambda: rows(standby, seen) == [(7.0,)], WITHIN_SEC, "it is there, once")


def test_commits_that_would_wait_for_ever_are_a_reason(
    server: PostgresServer, standby: PostgresServer, settings: Settings
) -> None:
    name_standby(server, "FIRST 2 (db2, db3)")
    waiting = SERVER["commits_wait"].format(found=1, wanted=2)
    with closing(Database(settings)) as database:
        state = server_state(settings, database)
        assert state is not None
        assert [str(one) for one in state.obstacles] == [waiting]
    status, answer = readyz(settings)
    assert (status, answer["reasons"]) == (503, [waiting])


@pytest.mark.parametrize(
    ("names", "number"),
    [("", 0), ("db2", 1), ("*", 1), ("FIRST 2 (a, b)", 2), ("any 3 (*)", 3), ("2 (a,b)", 2)],
)
def test_how_many_standbys_have_to_have_a_commit(names: str, number: int) -> None:
    assert synchronous_standbys(names) == number


def test_of_several_hosts_the_one_that_is_written_to_is_taken(
    server: PostgresServer, standby: PostgresServer, settings: Settings
) -> None:
    hosts = f"host={HOST}:{standby.port}&host={HOST}:{server.port}"
    url = f"postgresql+psycopg://postgres@/{NAME}?{hosts}"
    with closing(Database(replace(settings, database_url=url))) as database:
        state = server_state(settings, database)
        assert state is not None
        assert state.primary is not None
        assert state.primary.port == server.port
        with database.commit():
            pass


def test_a_standby_alone_is_not_taken_for_the_database(
    standby: PostgresServer, settings: Settings
) -> None:
    def follows() -> bool:
        try:
            return rows(standby, "SELECT to_regclass('log') IS NOT NULL") == [(True,)]
        except psycopg.OperationalError:
            # The database itself is yet to come.
            return False

    wait_until(follows, WITHIN_SEC, "the standby follows")
    alone = replace(settings, database_url=standby.url(NAME))
    with writer_on(alone) as writer:
        writer.submit(pico(7))
        assert writer.step() == 0
        refused = "25006: cannot execute SELECT FOR UPDATE in a read-only transaction"
        assert writer.trouble == refused
    status, answer = readyz(alone)
    assert status == 503
    assert SERVER["standby"] in answer["reasons"]
    # What it says of others is of no use to who wants to write.
    assert "warnings" not in answer
    page = text_of(alone, "/status?lang=en")
    assert "The server is a standby, or only reads: it takes no writes." in page
    assert "no synchronous standby" not in page
    assert psycopg.errors.lookup("25006").__name__ == "ReadOnlySqlTransaction"
