"""A host that stands still in the middle of a commit holds the others up for a moment only."""

import time
from collections.abc import Callable
from math import inf

import psycopg
import pytest
from sqlalchemy import Connection, event

from flask10x.database.postgres import connections, statements
from flask10x.recording.accepted_keys import key_of
from flask10x.recording.writer import Writer
from tests.postgres.hosts import Hosts
from tests.postgres.service import writer_on
from tests.support.rows import insert_readings, pico

# In the place of the seconds of a service.
STOPPED_MS = 300
WITHIN_SEC = 5.0
BATCH_ROWS = 500
STORED = "SELECT id, pressure FROM readings ORDER BY id"


def in_the_transaction(writer: Writer, meanwhile: Callable[[], None]) -> None:
    """Do that once while the writer has written its rows and not committed them."""

    @event.listens_for(writer._database.writer, "commit", once=True)
    def commit(_connection: Connection) -> None:
        meanwhile()


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "IDLE_MS", STOPPED_MS)


def commit_of_other(hosts: Hosts) -> Callable[[], None]:
    """What another host does meanwhile: it stores a reading, however often it has to try."""
    database = hosts.database("other")

    def commit() -> None:
        began_sec = time.monotonic()
        database.commit_change(lambda connection: insert_readings(connection, [pico(2)]))
        assert time.monotonic() - began_sec < WITHIN_SEC

    return commit


@pytest.mark.usefixtures("_soon")
def test_one_that_stood_still_in_its_transaction_stores_its_readings_later_and_once(
    hosts: Hosts,
) -> None:
    with writer_on(hosts.settings("one")) as writer:
        writer.submit(pico(1))
        in_the_transaction(writer, commit_of_other(hosts))
        assert writer.step() == 0
        assert writer.trouble.startswith("25P03: ")
        assert hosts.run(STORED) == [(1, 2.0)]
        assert writer.step() == 1
        assert not writer.trouble
    assert hosts.run(STORED) == [(1, 2.0), (2, 1.0)]


def test_the_server_never_waits_for_a_host_in_the_middle_of_a_statement(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There no limit of an idle transaction would count: the others would wait for ever."""
    for many_ways in ("copy", "executemany", "stream"):
        monkeypatch.setattr(psycopg.Cursor, many_ways, None)
    monkeypatch.setattr(psycopg.Connection, "pipeline", None)
    with writer_on(hosts.settings("one")) as writer:
        for number in range(BATCH_ROWS):
            writer.submit(pico(number), key=key_of("data", b"%d" % number))
        assert writer.step() == BATCH_ROWS
    assert hosts.run("SELECT count(*), max(id), max(pressure) FROM readings") == [
        (BATCH_ROWS, BATCH_ROWS, BATCH_ROWS - 1.0)
    ]
    assert hosts.run("SELECT count(DISTINCT digest) FROM accepted_keys") == [(BATCH_ROWS,)]


def test_rows_go_to_the_server_as_they_are(hosts: Hosts) -> None:
    names = ("endpoint", "received_at", "pressure", "temperature")
    rows = [
        ("data", 1, -0.0, None),
        ('a "b" \\ {c}, NULL', 2, 1e300, 5e-324),
        ("NULL", 3, inf, 0.1 + 0.2),
        ("", 9_007_199_254_740_993, 1, -1.5),
    ]
    with hosts.database("one").commit() as connection:
        statements.insert_rows(connection, names, rows)
    columns = ", ".join(names)
    stored = hosts.run(f"SELECT id, {columns} FROM readings ORDER BY id")
    assert repr(stored) == repr(
        [
            (1, "data", 1, -0.0, None),
            (2, 'a "b" \\ {c}, NULL', 2, 1e300, 5e-324),
            (3, "NULL", 3, inf, 0.30000000000000004),
            (4, "", 9_007_199_254_740_993, 1.0, -1.5),
        ]
    )
