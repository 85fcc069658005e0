"""Two services on a cluster of three database nodes: faults in turns lose nothing."""

import random
import sys
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest

from tests.e2e.service import Service
from tests.faults.cluster.database_cluster import DatabaseCluster, lacking
from tests.faults.cluster.faults import FAULTS, Scene, mended
from tests.faults.cluster.hosts import service_hosts
from tests.faults.cluster.run import Run, checked, record, running

pytestmark = pytest.mark.skipif(
    bool(lacking()), reason=f"no cluster of databases here: {lacking()}"
)

QUICK = (
    "pg-commit-terminated",
    "pg-wait-cancelled",
    "pg-leader-killed",
    "pg-host-killed",
    "pg-power-cut",
)
LONG_SEC = 30 * 60


@pytest.fixture
def cluster() -> Iterator[DatabaseCluster]:
    made = DatabaseCluster()
    try:
        made.start()
        made.wait_until_whole()
        yield made
    finally:
        # Shown of a test that has failed.
        sys.stdout.write(made.logs())
        made.close()


@pytest.fixture
def hosts(tmp_path: Path, cluster: DatabaseCluster) -> Iterator[list[Service]]:
    with service_hosts(tmp_path, cluster.url) as made:
        yield made


def take_turn(run: Run, scene: Scene, fault: str) -> None:
    turn = run.take_turn(fault, lambda: FAULTS[fault](scene), lambda: mended(scene))
    sys.stdout.write(f"{time.strftime('%T')} {turn}\n")
    sys.stdout.flush()
    turn.check()


@pytest.mark.long
@pytest.mark.tools
@pytest.mark.timeout(900)
def test_a_few_faults_lose_nothing(cluster: DatabaseCluster, hosts: list[Service]) -> None:
    scene = Scene(cluster, hosts)
    with running(hosts, cluster.url) as run:
        for fault in QUICK:
            take_turn(run, scene, fault)
    checked(run, hosts[0])


@pytest.mark.long
@pytest.mark.timeout(2 * LONG_SEC)
def test_faults_in_turns_for_half_an_hour_lose_nothing(
    cluster: DatabaseCluster, hosts: list[Service]
) -> None:
    scene = Scene(cluster, hosts)
    ends_sec = time.monotonic() + LONG_SEC
    with running(hosts, cluster.url) as run:
        for fault in cycle(FAULTS):
            take_turn(run, scene, fault)
            time.sleep(random.uniform(0, 3))
            if time.monotonic() > ends_sec and len(run.turns) % len(FAULTS) == 0:
                break
    record(checked(run, hosts[0]), "cluster")
