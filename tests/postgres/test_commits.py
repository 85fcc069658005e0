"""A commit of unknown outcome, and one that is on one machine only: stored once, said when so.

A standby that does not exist makes each COMMIT wait, after it was made here.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flask10x.recording.batch import Receipt
from flask10x.recording.writer import Writer
from tests.e2e.service import wait_until
from tests.postgres.service import NAME, name_standby, rows, settings_on, writer_on
from tests.support.postgres import PostgresServer, own_server
from tests.support.rows import pico

WAITS = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
STORED = "SELECT pressure FROM readings ORDER BY id"
WITHIN_SEC = 30.0


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with own_server() as server:
        yield server


@pytest.fixture
def writer(server: PostgresServer, tmp_path: Path) -> Iterator[Writer]:
    server.drop(NAME)
    with writer_on(settings_on(server, tmp_path, ACK="committed")) as writer:
        yield writer


@contextmanager
def standby_away(server: PostgresServer) -> Iterator[None]:
    """Synchronous commits wait for one that is not there."""
    name_standby(server, "no_standby")
    try:
        yield
    finally:
        name_standby(server, "")


def end_the_wait(server: PostgresServer, how: str) -> None:
    """Wait for a COMMIT that waits, and call this function with its backend."""
    wait_until(lambda: bool(rows(server, WAITS)), WITHIN_SEC, "a COMMIT waits")
    rows(server, f"SELECT {how}(pid) FROM ({WAITS}) AS waiting")


@pytest.mark.parametrize("how", ["pg_cancel_backend", "pg_terminate_backend"])
def test_what_one_machine_has_is_not_acknowledged_and_stored_once(
    server: PostgresServer, writer: Writer, how: str
) -> None:
    receipt = Receipt()
    with standby_away(server):
        writer.submit(pico(7), receipt)
        ending = threading.Thread(target=end_the_wait, args=(server, how))
        ending.start()
        assert writer.step() == 0
        ending.join()
        # It is there, and may be gone with this machine.
        assert rows(server, STORED) == [(7.0,)]
        assert not receipt.wait(0)
        if how == "pg_cancel_backend":
            assert writer.trouble.startswith("CommitNotReplicated: ")
        # The next try stores nothing new, and waits for the standby all the same.
        ending = threading.Thread(target=end_the_wait, args=(server, how))
        ending.start()
        assert writer.step() == 0
        ending.join()
        assert not receipt.wait(0)
    assert writer.step() == 1
    assert receipt.wait(0)
    assert not receipt.refusal
    assert not writer.trouble
    assert rows(server, STORED) == [(7.0,)]


def test_a_stop_does_not_wait_for_the_standby(server: PostgresServer, writer: Writer) -> None:
    with standby_away(server):
        writer.submit(pico(7))
        writer.start()
        wait_until(lambda: bool(rows(server, WAITS)), WITHIN_SEC, "a COMMIT waits")
        assert writer.close(0) == 1
        leftover = list(Path(writer._settings.data_dir).glob("leftover-*"))
        assert len(leftover) == 1
    # The next start stores them, or knows that they are stored.
    with writer_on(writer._settings) as following:
        following._leftovers.step()
    assert rows(server, STORED) == [(7.0,)]


def test_where_no_replication_is_asked_for_nothing_waits(
    server: PostgresServer, tmp_path: Path
) -> None:
    server.drop(NAME)
    settings = settings_on(server, tmp_path, SYNCHRONOUS="NORMAL")
    with standby_away(server), writer_on(settings) as writer:
        writer.submit(pico(7))
        assert writer.step() == 1
