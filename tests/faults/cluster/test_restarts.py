"""One PostgreSQL server without a standby, ended and started again under load; also by its power.

`fsync` is what a power cut tries, so the same cut of a server without it has to lose something.
"""

import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.e2e.load import Load
from tests.e2e.service import Service, wait_until
from tests.faults.cluster import disk
from tests.faults.cluster.disk import Disk
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
DISK_BYTES = 2 << 30
CUTS = 3
# Many commits, and far fewer seconds than after which the kernel writes by itself (30).
READINGS_BEFORE_A_CUT = 40


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
            turn.check()
    return checked(run, hosts[0])


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "end",
    [stopped_at_once, stopped, killed],
    ids=lambda end: end.__name__,
)
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


@dataclass(frozen=True, slots=True)
class Powered:
    """A server whose data lie on a disk of its own."""

    server: PostgresServer
    disk: Disk

    def cut(self) -> None:
        """Its power is gone, and comes back; the server is not started."""
        self.server.cut_power(self.disk.cut_power)
        self.disk.restore_power()


@contextmanager
def powered(folder: Path, *, fsync: str) -> Iterator[Powered]:
    """A server that runs; all that it has so far is synced."""
    place = Disk(folder, DISK_BYTES)
    place.make()
    server = PostgresServer(place.path / "server", {"fsync": fsync, "full_page_writes": "on"})
    try:
        server.start()
        server.create(DATABASE)
        place.sync()
        yield Powered(server, place)
    finally:
        server.close()
        place.discard()


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that the server's user can pass through; skips the test where no power is cut."""
    if reason := disk.obstacle():
        pytest.skip(f"no disk's power can be cut here: {reason}")
    folder = Path(tempfile.mkdtemp(prefix="flask10x-power-", dir="/tmp"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_power_cut_under_load_loses_nothing(tmp_path: Path, reachable: Path) -> None:
    with (
        powered(reachable / "disk", fsync="on") as one,
        service_hosts(tmp_path, one.server.url(DATABASE)) as hosts,
    ):
        restarted(one.server, hosts, "pg-power-cut", lambda _server: one.cut(), times=CUTS)


@pytest.mark.long
def test_what_is_not_synced_is_lost_by_the_same_power_cut(tmp_path: Path, reachable: Path) -> None:
    """So the test before would fail with a server that only says that it has synced."""
    lost = {}
    for fsync in ("on", "off"):
        with powered(reachable / fsync, fsync=fsync) as one:
            url = one.server.url(DATABASE)
            lost[fsync] = lost_by_a_cut(one, tmp_path / fsync, url)
    sys.stdout.write(f"lost: {lost}\n")
    assert lost["on"] == 0
    assert lost["off"] > 0, "the power was not cut"


def lost_by_a_cut(one: Powered, folder: Path, url: str) -> int:
    """How many acknowledged readings are gone; all of them, if it cannot even be started again."""
    with service_hosts(folder, url, 1) as (host,):
        one.disk.sync()
        load = Load(host.port)
        with load.running():
            wait_until(lambda: len(load.acknowledged) >= READINGS_BEFORE_A_CUT, 30, "some are")
            one.cut()
        host.close()
    with suppress(AssertionError):
        one.server.start()
        return len({*load.acknowledged} - stored(one.server))
    return len(load.acknowledged)


def stored(server: PostgresServer) -> set[int]:
    """The numbers of the readings that are there, none of them if even the table is not."""
    with suppress(psycopg.Error), server.connect(DATABASE) as connection:
        rows = connection.execute("SELECT gas_resistance FROM readings").fetchall()
        return {int(number) for (number,) in rows}
    return set()
