"""The faults of a run, one after the other; each leaves everything as it found it.

Each asserts that it has hit what it is meant for, and gives how often.
"""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests.e2e.service import Service, wait_until
from tests.faults.cluster.bounds import BOUNDS
from tests.faults.cluster.database_cluster import DatabaseCluster
from tests.faults.cluster.hosts import group_of, set_clock, start, wait_until_ready
from tests.faults.cluster.machine import Machine, state_of

# Longer than Patroni's `ttl`: meanwhile another one leads.
LONGER_THAN_TTL_SEC = 35.0
FULL_FOR_SEC = 20.0
AWAY_FOR_SEC = 20.0
ENDING_FOR_SEC = 8.0
DEAD_HOST_FOR_SEC = 5.0
# Seconds by which a clock is wrong, one after the other: as after a wrong setting, and mended.
DAY_SEC = 86_400
JUMPS_SEC = (DAY_SEC, 0, -DAY_SEC, 0)
WRONG_FOR_SEC = 6.0
# A host is stopped until it is caught between two statements of a commit: about each third try.
CATCHES_MAX = 300
# So long it has to have been silent to be the one that stands still.
HELD_FOR_SEC = 0.5
# Less room than anything needs.
FULL_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Scene:
    """What a fault may happen to."""

    cluster: DatabaseCluster
    hosts: Sequence[Service]


Fault = Callable[[Scene], int]


@contextmanager
def taken_over(scene: Scene, fault: str) -> Iterator[None]:
    """After the block, another machine leads, in a history of its own."""
    cluster = scene.cluster
    before, timeline = cluster.leader(), cluster.timeline()
    yield

    def other_leads() -> bool:
        return any(machine is not before for machine in cluster.leaders())

    wait_until(other_leads, BOUNDS[fault].within_sec, f"{before.name} is replaced")
    assert cluster.timeline() > timeline, f"the timeline is still {timeline}"


def killed_leader(scene: Scene) -> int:
    """The machine of the leader dies, and comes back once another one leads."""
    with taken_over(scene, "pg-leader-killed"):
        dead = scene.cluster.kill_leader()
        assert not dead.processes()
        scene.cluster.wait_for_standby()
    dead.start()
    return 1


def crashed_leader(scene: Scene) -> int:
    """PostgreSQL of the leader is killed; Patroni is not."""
    postmaster = scene.cluster.leader().postmaster
    crashed = scene.cluster.crash_leader()
    wait_until(lambda: not is_alive(postmaster), 60, "PostgreSQL is dead")
    assert crashed.processes(), "Patroni lives"
    return 1


def frozen_leader(scene: Scene) -> int:
    """The leader does nothing for a while, and goes on as if nothing had been."""
    with taken_over(scene, "pg-leader-frozen"):
        frozen = scene.cluster.leader()
        wait_until(lambda: is_frozen(frozen), 60, "the leader stands still")
        time.sleep(LONGER_THAN_TTL_SEC)
        assert frozen.is_frozen()
    frozen.thaw()
    return 1


def is_frozen(machine: Machine) -> bool:
    """Stop it, with what it has started meanwhile; whether all of it stands still."""
    machine.freeze()
    return machine.is_frozen()


def killed_standby(scene: Scene) -> int:
    """The machine that confirms commits dies, and comes back."""
    (name,) = scene.cluster.confirming()
    dead = scene.cluster.kill_standby()
    assert dead.name == name
    assert not dead.processes()
    bound_sec = BOUNDS["pg-standby-killed"].within_sec
    wait_until(lambda: scene.cluster.confirming() - {name}, bound_sec, f"{name} is replaced")
    dead.start()
    return 1


def unplugged_leader(scene: Scene) -> int:
    """Nobody hears the leader any more."""
    with taken_over(scene, "pg-leader-unplugged"):
        silent = scene.cluster.unplug_leader()
        time.sleep(LONGER_THAN_TTL_SEC)
    silent.plug()
    return 1


def parted_leader(scene: Scene) -> int:
    """The services hear the leader, the other two machines don't."""
    with taken_over(scene, "pg-leader-parted"):
        parted = scene.cluster.part_leader()
        time.sleep(LONGER_THAN_TTL_SEC)
    parted.join()
    return 1


def unplugged_standby(scene: Scene) -> int:
    """Nobody hears the machine that confirms commits any more."""
    (name,) = scene.cluster.confirming()
    silent = scene.cluster.unplug_standby()
    assert silent.name == name
    bound_sec = BOUNDS["pg-standby-unplugged"].within_sec
    wait_until(lambda: scene.cluster.confirming() - {name}, bound_sec, f"{name} is replaced")
    time.sleep(DEAD_HOST_FOR_SEC)
    silent.plug()
    return 1


def parted_services(scene: Scene) -> int:
    """The nodes hear each other, and no service host hears any of them."""
    with scene.cluster.parted_services():
        time.sleep(AWAY_FOR_SEC)
        assert not scene.cluster.leaders(), "they are heard"
    return 1


def unplugged_host(scene: Scene) -> int:
    """No node hears one service host any more; boards reach it as before."""
    host = random.choice(scene.hosts)
    with scene.cluster.silenced(group_of(host)):
        time.sleep(LONGER_THAN_TTL_SEC)
        assert host.get("/readyz").status == 503, "it hears the database"
    return 1


def wrong_clock_of_host(scene: Scene) -> int:
    """The clock of a service host jumps by a day, both ways, and is mended each time."""
    host = random.choice(scene.hosts)
    for wrong_by_sec in JUMPS_SEC:
        set_clock(host, wrong_by_sec)
        time.sleep(WRONG_FOR_SEC)
        shown_ms = host.get("/api/v1/time").json["epoch_ms"]
        assert abs(shown_ms / 1000 - time.time() - wrong_by_sec) < DAY_SEC / 2
    return len(JUMPS_SEC)


def wrong_clock_of_leader(scene: Scene) -> int:
    """The same of the leader's PostgreSQL, by whose clock leases expire."""
    leader = scene.cluster.leader()
    for wrong_by_sec in JUMPS_SEC:
        leader.set_clock(wrong_by_sec)
        time.sleep(WRONG_FOR_SEC)
        shown_sec = scene.cluster.now_sec(leader)
        assert abs(shown_sec - time.time() - wrong_by_sec) < DAY_SEC / 2
    return len(JUMPS_SEC)


def terminated_commits(scene: Scene) -> int:
    """Connections are ended in the middle of COMMIT."""
    return scene.cluster.terminate_commits(ENDING_FOR_SEC)


def cancelled_waits(scene: Scene) -> int:
    """Commits that wait for the standby are cancelled: while it is frozen, say, so that they do."""
    standby = scene.cluster.standbys()[0]
    wait_until(lambda: is_frozen(standby), 60, "the standby stands still")
    cancelled = scene.cluster.cancel_waits(ENDING_FOR_SEC)
    standby.thaw()
    return cancelled


def full_disk(scene: Scene) -> int:
    """The leader's disk is full, and has room again."""
    no_room = "No space left on device"
    said = scene.cluster.leader().said(no_room)
    # Where its log still has room it goes on leading, and only refuses what needs more.
    full = scene.cluster.fill_leaders_disk()
    assert full.free_bytes < FULL_BYTES
    time.sleep(FULL_FOR_SEC)
    assert full.said(no_room) > said, "PostgreSQL had room enough"
    full.free_disk()
    return 1


def database_away(scene: Scene) -> int:
    """All three machines are off for a while."""
    scene.cluster.kill_all()
    assert not [machine for machine in scene.cluster.machines if machine.processes()]
    time.sleep(AWAY_FOR_SEC)
    scene.cluster.start_all()
    return 1


def power_cut(scene: Scene) -> int:
    """All three lose their power at one moment: what no disk has synced is gone."""
    scene.cluster.cut_power_of_all()
    assert not [machine for machine in scene.cluster.machines if machine.processes()]
    time.sleep(AWAY_FOR_SEC)
    scene.cluster.start_all()
    return 1


def killed_host(scene: Scene) -> int:
    """A service host dies, and its service starts again."""
    dead = random.choice(scene.hosts)
    processes = dead.members()
    assert processes
    dead.close()
    assert not [pid for pid in processes if is_alive(pid)]
    time.sleep(DEAD_HOST_FOR_SEC)
    start(dead)
    return 1


def frozen_host(scene: Scene) -> int:
    """A service host stands still while it has the turn to commit, until that is taken from it."""
    host = random.choice(scene.hosts)
    held = catch_with_the_turn(scene, host)
    try:
        bound_sec = BOUNDS["pg-host-frozen"].within_sec
        freed = "the turn is taken from it"
        wait_until(lambda: not held & scene.cluster.holders_of_the_turn(), bound_sec, freed)
        # For a while the other one goes on alone.
        time.sleep(DEAD_HOST_FOR_SEC)
        assert {state_of(pid) for pid in host.members()} <= {*"TZ"}
    finally:
        signal_all(host, signal.SIGCONT)
    return 1


def catch_with_the_turn(scene: Scene, host: Service) -> set[int]:
    """Stop all of this host while it holds the row of `log`; the server's processes that wait."""
    for _ in range(CATCHES_MAX):
        signal_all(host, signal.SIGSTOP)
        wait_until(lambda: {state_of(pid) for pid in host.members()} <= {*"TZ"}, 25, "it is still")
        if held := scene.cluster.holders_of_the_turn():
            time.sleep(HELD_FOR_SEC)
            if held := held & scene.cluster.holders_of_the_turn():
                return held
        signal_all(host, signal.SIGCONT)
        time.sleep(random.uniform(0, 0.1))
    raise AssertionError("the host was never stopped in a commit")


def signal_all(host: Service, how: signal.Signals) -> None:
    """Send a signal to all processes of the service."""
    os.killpg(host.pid, how)


def is_alive(pid: int) -> bool:
    """Whether there is still a process of this id that has not ended."""
    return state_of(pid) not in "ZX"


# By their names in the table of figures.
FAULTS: dict[str, Fault] = {
    "pg-leader-killed": killed_leader,
    "pg-standby-killed": killed_standby,
    "pg-commit-terminated": terminated_commits,
    "pg-leader-parted": parted_leader,
    "pg-wait-cancelled": cancelled_waits,
    "pg-host-frozen": frozen_host,
    "pg-leader-frozen": frozen_leader,
    "pg-host-killed": killed_host,
    "pg-leader-unplugged": unplugged_leader,
    "pg-disk-full": full_disk,
    "pg-power-cut": power_cut,
    "pg-leader-crashed": crashed_leader,
    "pg-standby-unplugged": unplugged_standby,
    "pg-host-unplugged": unplugged_host,
    "pg-host-clock": wrong_clock_of_host,
    "pg-services-parted": parted_services,
    "pg-leader-clock": wrong_clock_of_leader,
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
