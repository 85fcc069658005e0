"""One PostgreSQL server without a standby, ended and started again under load."""

import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.service import Service
from tests.faults.cluster.hosts import service_hosts, wait_until_ready
from tests.faults.cluster.run import Outcome, checked, record, running
from tests.support.postgres import PostgresServer, obstacle, own_server

pytestmark = pytest.mark.skipif(bool(obstacle()), reason=f"no PostgreSQL here: {obstacle()}")
# Of the table of figures: one server, or three with a standby.
ALONE = "alone"
DATABASE = "flask10x"
TIMES = 3
AWAY_SEC = 3.0
OFTEN = 10
HOUR_SEC = 3600.0


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


def restarted(
    server: PostgresServer,
    hosts: list[Service],
    fault: str,
    end: Callable[[PostgresServer], None],
    *,
    times: int = 1,
    away_sec: float = AWAY_SEC,
) -> Outcome:
    """Let it happen so many times under load; what the boards noticed, and what is stored."""

    def happen() -> int:
        end(server)
        time.sleep(away_sec)
        server.start()
        return 1

    def mended() -> None:
        for host in hosts:
            wait_until_ready(host)

    with running(hosts, server.url(DATABASE)) as run:
        for _ in range(times):
            turn = run.take_turn(fault, happen, mended)
            sys.stdout.write(f"{turn}\n")
    return checked(run, hosts[0])


@pytest.mark.tools
@pytest.mark.timeout(600)
@pytest.mark.parametrize("end", [stopped_at_once, stopped, killed], ids=lambda end: end.__name__)
def test_a_restart_under_load_loses_nothing(
    end: Callable[[PostgresServer], None], server: PostgresServer, hosts: list[Service]
) -> None:
    restarted(server, hosts, "pg-restarted", end, times=TIMES)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_many_restarts_under_load_lose_nothing(
    server: PostgresServer, hosts: list[Service]
) -> None:
    def end(server: PostgresServer) -> None:
        random.choice([stopped_at_once, stopped, killed])(server)

    record(restarted(server, hosts, "pg-restarted", end, times=OFTEN), ALONE)


@pytest.mark.long
@pytest.mark.timeout(2 * HOUR_SEC)
def test_after_an_hour_without_a_database_all_goes_on(
    server: PostgresServer, hosts: list[Service]
) -> None:
    """By itself: nobody starts anything but the database."""
    outcome = restarted(server, hosts, "pg-hour-away", killed, away_sec=HOUR_SEC)
    record(outcome, ALONE)
