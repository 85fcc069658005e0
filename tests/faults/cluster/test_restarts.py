"""One PostgreSQL server without a standby, ended and started again under load."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.service import Service
from tests.faults.cluster.hosts import service_hosts, wait_until_ready
from tests.faults.cluster.run import checked, running
from tests.support.postgres import PostgresServer, obstacle, own_server

pytestmark = [
    pytest.mark.tools,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(obstacle()), reason=f"no PostgreSQL here: {obstacle()}"),
]
DATABASE = "flask10x"
TIMES = 3
AWAY_SEC = 3.0


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with own_server(fsync="on", full_page_writes="on") as made:
        made.create(DATABASE)
        yield made


@pytest.fixture
def hosts(tmp_path: Path, server: PostgresServer) -> Iterator[list[Service]]:
    with service_hosts(tmp_path, server.url(DATABASE)) as made:
        yield made


def killed(server: PostgresServer) -> None:
    server.kill()


def stopped_at_once(server: PostgresServer) -> None:
    server.stop(signal.SIGQUIT)


def stopped(server: PostgresServer) -> None:
    server.stop(signal.SIGINT)


@pytest.mark.parametrize("end", [stopped_at_once, stopped, killed], ids=lambda end: end.__name__)
def test_a_restart_under_load_loses_nothing(
    end: Callable[[PostgresServer], None], server: PostgresServer, hosts: list[Service]
) -> None:
    def happen() -> int:
        end(server)
        time.sleep(AWAY_SEC)
        server.start()
        return 1

    def mended() -> None:
        for host in hosts:
            wait_until_ready(host)

    with running(hosts, server.url(DATABASE)) as run:
        for _ in range(TIMES):
            turn = run.take_turn("pg-restarted", happen, mended)
            sys.stdout.write(f"{turn}\n")
    checked(run, hosts[0])
