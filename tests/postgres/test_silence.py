"""A server that stands still: nobody waits for it for ever, and all goes on when it does."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError, OperationalError

from flask10x.database.engine import Database
from flask10x.database.error_codes import code_of
from flask10x.database.postgres import connections, driver
from flask10x.database.query_limit import QueryTooLong
from tests.e2e.service import wait_until
from tests.postgres.service import rows, settings_on, writer_on
from tests.support.postgres import PostgresServer, own_server
from tests.support.rows import pico

SOON_SEC = 1.0


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with own_server() as server:
        yield server


@pytest.fixture
def database(
    server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Database]:
    settings = settings_on(server, tmp_path)
    for module, name in (
        (driver, "ANSWER_WITHIN_SEC"),
        (connections, "WRITE_SILENCE_SEC"),
        (connections, "READ_SILENCE_SEC"),
        (connections, "BEYOND_LIMIT_SEC"),
    ):
        monkeypatch.setattr(module, name, SOON_SEC)
    monkeypatch.setattr(driver.PatientConnection, "silence_max_sec", SOON_SEC)
    monkeypatch.setattr(connections, "CONNECT_TIMEOUT_SEC", 2)
    with closing(Database(settings)) as database:
        yield database


@pytest.mark.tools
def test_a_statement_a_commit_and_a_ping_are_given_up(
    server: PostgresServer, database: Database
) -> None:
    with pytest.raises(DBAPIError) as commit, database.commit() as connection:
        connection.execute(text("INSERT INTO counters VALUES ('frozen', 1)"))
        server.freeze()
    server.thaw()
    assert code_of(commit.value) == "NoAnswer"
    with pytest.raises(OperationalError), database.reader.begin() as connection:
        server.freeze()
        connection.execute(text("SELECT 1"))
    server.thaw()
    with database.reader.begin() as connection:
        connection.execute(text("SELECT 1"))
    server.freeze()
    try:
        # It asks whether the connection is alive, and for another one then.
        with pytest.raises(OperationalError), database.reader.begin():
            pass
    finally:
        server.thaw()
    with database.reader.begin() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1


def test_a_query_has_its_own_limit_and_a_slow_server_is_none_that_is_silent(
    server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "READ_SILENCE_SEC", SOON_SEC)
    settings = settings_on(server, tmp_path, QUERY_TIMEOUT_SEC=1)
    with closing(Database(settings)) as database:
        with database.query() as connection:
            connection.execute(text("SELECT pg_sleep(0.6)"))
        with pytest.raises(QueryTooLong), database.query() as connection:
            connection.execute(text("SELECT pg_sleep(20)"))
        rows_slowly = "SELECT repeat('x', 9000), pg_sleep(0.15) FROM generate_series(1, 6)"
        with database.reader.begin() as connection:
            assert len(connection.execute(text(rows_slowly)).all()) == 6


@pytest.mark.tools
def test_what_waits_is_broken_off_when_the_process_ends(
    server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "ENDING_SEC", SOON_SEC)
    with (
        closing(Database(settings_on(server, tmp_path))) as database,
        pytest.raises(OperationalError),
        database.reader.begin() as connection,
    ):
        database.break_off()
        connection.execute(text("SELECT pg_sleep(20)"))


def test_a_commit_that_was_made_after_all_is_not_made_again(
    server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "WRITE_SILENCE_SEC", SOON_SEC)
    with writer_on(settings_on(server, tmp_path)) as writer:
        writer.submit(pico(8))
        freezes = partial(freeze, server)
        event.listen(writer._database.writer, "commit", freezes)
        assert writer.step() == 0
        event.remove(writer._database.writer, "commit", freezes)
        server.thaw()
        # It was made by then, but nobody was told.
        wait_until(lambda: stored(server) == [(1, 8.0)], 10, "the COMMIT is made")
        assert writer.step() == 1
    assert stored(server) == [(1, 8.0)]


def freeze(server: PostgresServer, _connection: Connection) -> None:
    server.freeze()


def stored(server: PostgresServer) -> list[tuple[Any, ...]]:
    return rows(server, "SELECT id, pressure FROM readings ORDER BY id")
