"""The tests' own server: it keeps what was committed, and it never outlives who has started it."""

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support import postgres
from tests.support.postgres import PostgresServer, own_server

ENDS_WITHIN_SEC = 30.0
# One that was not frozen answers in less than a hundredth of it.
FROZEN_FOR_SEC = 0.2
# A run of tests that is killed while it has a server.
RUN = """
import os, signal, sys
from tests.support.postgres import announce, shared
announce()
server = shared()
print(server.folder, server.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with own_server() as server:
        yield server


@pytest.mark.tools
def test_what_was_committed_is_there_after_a_kill(server: PostgresServer) -> None:
    with server.connect() as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS seven")
    server.kill()
    with pytest.raises(psycopg.OperationalError):
        server.connect()
    server.start()
    with server.connect() as connection:
        assert connection.execute("SELECT seven FROM kept").fetchall() == [(7,)]


@pytest.mark.tools
def test_a_frozen_one_answers_when_it_goes_on(server: PostgresServer) -> None:
    with server.connect() as connection:
        server.freeze()
        sent = connection.pgconn
        sent.send_query(b"SELECT 1")
        assert not select.select([sent.socket], [], [], FROZEN_FOR_SEC)[0]
        server.thaw()
        assert (result := sent.get_result()) is not None
        assert result.get_value(0, 0) == b"1"
        assert sent.get_result() is None


@pytest.mark.tools
def test_nothing_is_left_of_it_when_the_tests_are_killed() -> None:
    ours = (postgres.FOLDER_VARIABLE, postgres.RUN_VARIABLE)
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    done = subprocess.run(
        [sys.executable, "-c", RUN], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout, done.stderr
    folder, pid = done.stdout.split()
    deadline = time.monotonic() + ENDS_WITHIN_SEC
    while (Path(folder).exists() or is_running(pid)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(folder).exists()
    assert not is_running(pid)


def test_a_new_database_is_as_its_template_is() -> None:
    server = postgres.shared()
    server.create("old")
    with server.connect("old") as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS seven")
    server.create("new", "old")
    with server.connect("new") as connection:
        assert connection.execute("SELECT seven FROM kept").fetchall() == [(7,)]
        server.drop("new")
    server.drop("old")
    assert not server.exists("new")


def is_running(pid: str) -> bool:
    """Whether the process lives; one without a `waitpid` does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
