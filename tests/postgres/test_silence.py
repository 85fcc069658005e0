"""A server that does not answer: nothing waits for it for ever, and all goes on when it answers."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError, OperationalError

from flask10x.database.database import Database
from flask10x.database.error_codes import QueryTooLong, code_of
from flask10x.database.postgres import connections, driver
from flask10x.web.app import create_app
from tests.e2e.attacks import waits_for_processor
from tests.e2e.service import wait_until
from tests.postgres.service import NAME, rows, settings_on, writer_on
from tests.support.postgres import PostgresServer, own_server
from tests.support.rows import pico

SOON_SEC = 1.0
WITHIN_SEC = 60.0


def running_sec() -> float:
    """The clock, without how long threads of this process were kept from the processor so far.

    Of all of them: what one of them has to wait with the interpreter's lock, the others wait, too.
    """
    return time.monotonic() - sum(waits_for_processor([os.getpid()]).values()) / 1e9


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
def test_a_statement_a_commit_and_a_ping_are_broken_off(
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
        # The begin of a transaction by itself, which nothing has to wait for long.
        with pytest.raises(OperationalError), database.reader.begin() as connection:
            connection.execute(text("SELECT 1"))
    finally:
        server.thaw()
    with database.reader.begin() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1


@pytest.mark.tools
def test_once_the_server_was_lost_pages_wait_for_one_thread_that_connects_again(
    server: PostgresServer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would wait for each of several hosts, and all threads of pages with them."""
    plain, names = driver.PatientConnection.connect, list[str]()

    def connect(*arguments: Any, **named: Any) -> Any:
        names.append(threading.current_thread().name)
        return plain(*arguments, **named)

    def page() -> int:
        with database.query() as connection:
            return int(connection.execute(text("SELECT 1")).scalar_one())

    assert page() == 1
    monkeypatch.setattr(driver, "HEARD_WITHIN_SEC", 0.0)
    monkeypatch.setattr(driver.PatientConnection, "connect", connect)
    server.freeze()
    try:
        with ThreadPoolExecutor(4) as threads:
            with pytest.raises(DBAPIError):
                threads.submit(page).result()
            asked = [threads.submit(page) for _ in range(12)]
            assert all(isinstance(one.exception(), DBAPIError) for one in asked)
        assert database.no_answer
    finally:
        server.thaw()
    assert {*names} == {"answering"}
    wait_until(lambda: _answers(page), WITHIN_SEC, "a page is answered")
    assert database.no_answer == ""


def _answers(page: Callable[[], int]) -> bool:
    with suppress(DBAPIError):
        return page() == 1
    return False


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
        # It was made by then, but no sender was answered.
        wait_until(lambda: stored(server) == [(1, 8.0)], 60, "the COMMIT is made")
        assert writer.step() == 1
    assert stored(server) == [(1, 8.0)]


# The note of what is frozen, or that of its repetition, is the first under its name in `log`.
@pytest.mark.parametrize("before", [1, 254, 255])
def test_a_commit_that_its_server_has_not_begun_is_not_made_after_its_repetition(
    server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    monkeypatch.setattr(connections, "WRITE_SILENCE_SEC", SOON_SEC)
    server.drop(NAME)
    with writer_on(settings_on(server, tmp_path)) as writer:
        # Its connection is there then, and its queue has a note.
        for _ in range(before):
            writer.submit(pico(7))
        assert writer.step() == before
        frozen: list[int] = []

        def freeze_backend(connection: Connection) -> None:
            frozen.append(driver.connection_of(connection).info.backend_pid)
            os.kill(frozen[0], signal.SIGSTOP)

        event.listen(writer._database.writer, "commit", freeze_backend)
        writer.submit(pico(8))
        assert writer.step() == 0
        event.remove(writer._database.writer, "commit", freeze_backend)
        # What was sent to the frozen one lies there, and its lock is free.
        writer.submit(pico(9))
        assert writer.step() == 2
        os.kill(frozen[0], signal.SIGCONT)
        ended = f"SELECT pid FROM pg_stat_activity WHERE pid = {frozen[0]}"
        wait_until(lambda: not rows(server, ended), 60, "the frozen one has done what was sent")
        writer.submit(pico(10))
        assert writer.step() == 1
    pressures = [7.0] * before + [8.0, 9.0, 10.0]
    assert stored(server) == list(enumerate(pressures, 1))


@pytest.mark.tools
def test_who_asks_how_it_is_waits_no_longer_when_the_server_stops_at_that_moment(
    server: PostgresServer, tmp_path: Path
) -> None:
    with closing(Database(settings_on(server, tmp_path))) as database:
        with database.reader.begin():
            pass
        began = running_sec()
        with pytest.raises(OperationalError), database.promptly():
            server.freeze()
            try:
                with database.reader.begin() as connection:
                    connection.execute(text("SELECT 1"))
            finally:
                took_sec = running_sec() - began
                server.thaw()
        assert took_sec < STATUS_WITHIN_SEC


def test_a_server_that_answers_after_the_close_leaves_no_connection_open(
    server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PROMPT_SEC", 0.1)
    closed = Event()
    sessions: list[Any] = []
    with closing(Database(settings_on(server, tmp_path))) as database:

        @event.listens_for(database.reader, "commit")
        def wait(connection: Connection) -> None:
            sessions.append(connection.connection.driver_connection)
            closed.wait(60)

        with pytest.raises(DBAPIError), database.promptly():
            pass
        wait_until(lambda: bool(sessions), 60, "the server is asked")
    closed.set()
    wait_until(lambda: sessions[0].closed, 60, "the connection is closed")


STATUS_PATHS = ("/readyz", "/metrics", "/metrics/details", "/metrics/prometheus", "/status")
STATUS_WITHIN_SEC = 2.0


def test_how_the_service_is_can_be_asked_within_two_seconds_however_many_ask(
    server: PostgresServer, tmp_path: Path
) -> None:
    app = create_app(settings_on(server, tmp_path))
    answers: list[tuple[str, int, float, str]] = []

    def ask(path: str) -> None:
        began = time.monotonic()
        answer = app.test_client().get(path)
        answers.append((path, answer.status_code, time.monotonic() - began, answer.text))

    try:
        for path in STATUS_PATHS:
            ask(path)
        assert {status for _, status, _, _ in answers} == {200}
        answers.clear()
        server.freeze()
        try:
            # As a worker: it answers two at a time.
            with ThreadPoolExecutor(2) as pool:
                began = running_sec()
                list(pool.map(ask, STATUS_PATHS * 4))
                took_sec = running_sec() - began
        finally:
            server.thaw()
    finally:
        app.extensions["flask10x"].close()
    assert took_sec < STATUS_WITHIN_SEC
    assert {(path, status) for path, status, _, _ in answers} == {
        ("/readyz", 503),
        ("/metrics", 503),
        ("/metrics/details", 503),
        ("/metrics/prometheus", 200),
        ("/status", 200),
    }
    for path, _, _, said in answers:
        if path in ("/readyz", "/metrics", "/metrics/details"):
            assert "NoAnswer: no answer for " in said
        if path == "/metrics/prometheus":
            assert 'flask10x_scrape_part_success{part="database"} 0.0' in said


def freeze(server: PostgresServer, _connection: Connection) -> None:
    server.freeze()


def stored(server: PostgresServer) -> list[tuple[Any, ...]]:
    return rows(server, "SELECT id, pressure FROM readings ORDER BY id")


@pytest.mark.parametrize("calls", [1, 2, 3])
def test_ctrl_c_while_a_connection_is_tried_is_ctrl_c(
    database: Database, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    with database.reader.begin() as connection:
        connection.execute(text("SELECT 1"))
    clock = chain([1.0] * (calls - 1), interrupted(), repeat(1.0))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(driver, "monotonic", clock.__next__)
        for _ in range(10):
            with database.reader.begin() as connection:
                connection.execute(text("SELECT 1"))
    with database.reader.begin() as connection:
        assert connection.execute(text("SELECT 2")).scalar_one() == 2


def interrupted() -> Iterator[float]:
    raise KeyboardInterrupt
    yield
