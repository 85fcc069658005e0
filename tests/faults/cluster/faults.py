"""The faults of a run, one after the other; each leaves everything as it found it."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.e2e.service import Service
from tests.faults.cluster.database_cluster import DatabaseCluster
from tests.faults.cluster.hosts import start, wait_until_ready

# Longer than Patroni's `ttl`: meanwhile another one leads.
LONGER_THAN_TTL_SEC = 35.0
FULL_FOR_SEC = 20.0
AWAY_FOR_SEC = 20.0
ENDING_FOR_SEC = 8.0
DEAD_HOST_FOR_SEC = 5.0


@dataclass(frozen=True, slots=True)
class Scene:
    """What a fault may happen to."""

    cluster: DatabaseCluster
    hosts: Sequence[Service]


Fault = Callable[[Scene], int]


def killed_leader(scene: Scene) -> int:
    """The machine of the leader dies, and comes back once another one leads."""
    dead = scene.cluster.kill_leader()
    scene.cluster.wait_for_standby()
    dead.start()
    return 1


def crashed_leader(scene: Scene) -> int:
    """PostgreSQL of the leader is killed; Patroni is not."""
    scene.cluster.crash_leader()
    return 1


def frozen_leader(scene: Scene) -> int:
    """The leader does nothing for a while, and goes on as if nothing had been."""
    frozen = scene.cluster.freeze_leader()
    time.sleep(LONGER_THAN_TTL_SEC)
    frozen.thaw()
    return 1


def killed_standby(scene: Scene) -> int:
    """The machine that confirms commits dies, and comes back."""
    dead = scene.cluster.kill_standby()
    scene.cluster.wait_for_standby()
    dead.start()
    return 1


def unplugged_leader(scene: Scene) -> int:
    """Nobody hears the leader any more."""
    silent = scene.cluster.unplug_leader()
    time.sleep(LONGER_THAN_TTL_SEC)
    silent.plug()
    return 1


def parted_leader(scene: Scene) -> int:
    """The services hear the leader, the other two machines don't."""
    parted = scene.cluster.part_leader()
    time.sleep(LONGER_THAN_TTL_SEC)
    parted.join()
    return 1


def terminated_commits(scene: Scene) -> int:
    """Connections are ended in the middle of COMMIT."""
    return scene.cluster.terminate_commits(ENDING_FOR_SEC)


def cancelled_waits(scene: Scene) -> int:
    """Commits that wait for the standby are cancelled: while it is frozen, say, so that they do."""
    standby = scene.cluster.standbys()[0]
    standby.freeze()
    cancelled = scene.cluster.cancel_waits(ENDING_FOR_SEC)
    standby.thaw()
    return cancelled


def full_disk(scene: Scene) -> int:
    """The leader's disk is full, and has room again."""
    full = scene.cluster.fill_leaders_disk()
    time.sleep(FULL_FOR_SEC)
    full.free_disk()
    return 1


def database_away(scene: Scene) -> int:
    """All three machines are off for a while."""
    scene.cluster.kill_all()
    time.sleep(AWAY_FOR_SEC)
    scene.cluster.start_all()
    return 1


def killed_host(scene: Scene) -> int:
    """A service host dies, and its service starts again."""
    dead = random.choice(scene.hosts)
    dead.close()
    time.sleep(DEAD_HOST_FOR_SEC)
    start(dead)
    return 1


# By their names in the table of figures.
FAULTS: dict[str, Fault] = {
    "pg-leader-killed": killed_leader,
    "pg-standby-killed": killed_standby,
    "pg-commit-terminated": terminated_commits,
    "pg-leader-parted": parted_leader,
    "pg-wait-cancelled": cancelled_waits,
    "pg-leader-frozen": frozen_leader,
    "pg-host-killed": killed_host,
    "pg-leader-unplugged": unplugged_leader,
    "pg-disk-full": full_disk,
    "pg-leader-crashed": crashed_leader,
    "pg-database-away": database_away,
}


def mended(scene: Scene) -> None:
    """Return when all machines and both hosts do their part again."""
    for machine in scene.cluster.machines:
        if not machine.processes():
            machine.start()
    scene.cluster.wait_until_whole()
    for host in scene.hosts:
        wait_until_ready(host)
