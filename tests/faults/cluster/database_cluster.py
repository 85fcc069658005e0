"""Three machines with a database that stands in for a dead leader, and the faults of them."""

import json
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import psycopg

from tests.e2e.service import wait_until
from tests.faults.cluster.machine import HOSTS, USER, Machine
from tests.faults.cluster.network import GATEWAY, Network

PROGRAMS = {
    "/usr/bin/etcd": "etcd-server",
    "/usr/bin/patroni": "patroni",
    "/usr/lib/python3/dist-packages/etcd": "python3-etcd",
    "/usr/lib/postgresql/17/bin/postgres": "postgresql-17",
    "/usr/sbin/ip": "iproute2",
    "/usr/sbin/mkfs.ext4": "e2fsprogs",
    "/usr/sbin/nft": "nftables",
    "/usr/bin/cc": "gcc",
}
NAME = "flask10x"
PASSWORD = "secret-flask10x"
SUPERUSER_PASSWORD = "secret-postgres"
PORT = 5432
PATRONI_PORT = 8008
RUNNING = {"running", "streaming"}
STARTED_WITHIN_SEC = 300.0
LED_WITHIN_SEC = 300.0
CONNECT_TIMEOUT_SEC = 2


def lacking() -> str:
    """Why a cluster cannot be had here; empty when it can."""
    packages = [package for program, package in PROGRAMS.items() if not Path(program).exists()]
    if packages:
        return f"not installed: {', '.join(packages)}"
    made = subprocess.run(["unshare", "--net", "--ipc", "true"], capture_output=True, check=False)
    return "" if made.returncode == 0 else "network namespaces cannot be made here (not root?)"


class DatabaseCluster:
    """Patroni's cluster of three nodes in strict synchronous mode."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="flask10x-cluster-"))
        # Not for the tests only: PostgreSQL runs as another user.
        self._folder.chmod(0o755)
        self._network = Network(HOSTS)
        self.machines = [Machine(self._folder, self._network, n) for n in range(len(HOSTS))]

    # From the start to the end

    def start(self) -> None:
        """Start all machines, and make the user and the database of the service."""
        for machine in self.machines:
            machine.prepare()
            machine.start()
        self.wait_for_standby(STARTED_WITHIN_SEC)
        with self.connected(self.leader()) as connection:
            connection.execute(f"CREATE ROLE {NAME} LOGIN PASSWORD '{PASSWORD}'")
            connection.execute(f"CREATE DATABASE {NAME} OWNER {NAME}")

    def close(self) -> None:
        """End everything that belongs to it, whatever state it is in."""
        for machine in self.machines:
            with suppress(AssertionError):
                machine.join()
            machine.discard()
        self._network.close()
        shutil.rmtree(self._folder)

    def logs(self) -> str:
        """What the programs have said last."""
        return "\n".join(machine.logs() for machine in self.machines)

    # Who is what

    @property
    def service_address(self) -> str:
        """The address from which services connect."""
        return self._network.address(GATEWAY)

    @property
    def url(self) -> str:
        """What the service hosts have as FLASK10X_DATABASE_URL."""
        hosts = "&".join(f"host={machine.address}:{PORT}" for machine in self.machines)
        return (
            f"postgresql+psycopg://{NAME}:{PASSWORD}@/{NAME}?{hosts}"
            "&target_session_attrs=read-write"
        )

    @contextmanager
    def connected(self, machine: Machine, database: str = "postgres") -> Iterator[Any]:
        """A superuser's connection to this machine; raises psycopg.Error when there is none."""
        with psycopg.connect(
            host=machine.address,
            port=PORT,
            user=USER,
            password=SUPERUSER_PASSWORD,
            dbname=database,
            connect_timeout=CONNECT_TIMEOUT_SEC,
            autocommit=True,
            # A frozen machine does not answer, and tests are not to wait for it.
            options="-c statement_timeout=10000",
        ) as connection:
            yield connection

    def leaders(self) -> list[Machine]:
        """The machines that take writes; more than one for a moment when one was cut off."""
        return [machine for machine in self.machines if self._takes_writes(machine)]

    def _takes_writes(self, machine: Machine) -> bool:
        with suppress(psycopg.Error), self.connected(machine) as connection:
            return not connection.execute("SELECT pg_is_in_recovery()").fetchone()[0]
        return False

    def leader(self, within_sec: float = LED_WITHIN_SEC) -> Machine:
        """The machine that takes writes; waits until there is one."""
        found: list[Machine] = []

        def is_led() -> bool:
            found[:] = self.leaders()
            return bool(found)

        wait_until(is_led, within_sec, "the cluster has a leader")
        return found[0]

    def timeline(self) -> int:
        """The history that the leader writes; each new leader begins another one."""
        found: list[int] = []

        def is_told() -> bool:
            with suppress(psycopg.Error), self.connected(self.leader()) as connection:
                statement = "SELECT pg_walfile_name(pg_current_wal_lsn())"
                found[:] = [int(connection.execute(statement).fetchone()[0][:8], 16)]
            return bool(found)

        wait_until(is_told, LED_WITHIN_SEC, "the leader tells its timeline")
        return found[0]

    def confirming(self) -> set[str]:
        """The names of those for which a commit waits, as PostgreSQL has it."""
        statement = "SELECT application_name FROM pg_stat_replication WHERE sync_state = 'sync'"
        with suppress(psycopg.Error), self.connected(self.leader()) as connection:
            return {name for (name,) in connection.execute(statement).fetchall()}
        return set()

    def holders_of_the_turn(self) -> set[int]:
        """The server's processes that may commit now and do nothing with it."""
        statement = (
            "SELECT a.pid FROM pg_stat_activity a JOIN pg_locks l USING (pid)"
            " WHERE a.state = 'idle in transaction' AND l.granted AND l.mode = 'RowShareLock'"
            " AND l.relation = 'log'::regclass"
        )
        with self.connected(self.leader(), NAME) as connection:
            return {pid for (pid,) in connection.execute(statement).fetchall()}

    def members(self) -> dict[str, str]:
        """What the leader says of each node that runs: `leader`, `sync_standby`, `replica`."""
        # One that was cut off may still take itself for the leader; then nobody knows.
        leaders = self.leaders()
        if len(leaders) == 1:
            with suppress(OSError, HTTPException, ValueError):
                connection = HTTPConnection(leaders[0].address, PATRONI_PORT, timeout=2)
                with closing(connection):
                    connection.request("GET", "/cluster")
                    members = json.loads(connection.getresponse().read())["members"]
                return {m["name"]: m["role"] for m in members if m["state"] in RUNNING}
        return {}

    def standbys(self) -> list[Machine]:
        """Those that follow the leader, the synchronous one first."""
        roles = self.members()
        found = [m for m in self.machines if roles.get(m.name) in {"sync_standby", "replica"}]
        return sorted(found, key=lambda machine: roles[machine.name] == "replica")

    def has_synchronous_standby(self) -> bool:
        """Whether a second machine has all that was acknowledged, and may take the lead."""
        return {"leader", "sync_standby"} <= {*self.members().values()}

    def wait_for_standby(self, within_sec: float = LED_WITHIN_SEC) -> None:
        """Return when there is a leader with a synchronous standby."""
        wait_until(self.has_synchronous_standby, within_sec, "there is a synchronous standby")

    def wait_until_whole(self, within_sec: float = STARTED_WITHIN_SEC) -> None:
        """Return when all three machines run together again, each in its role."""
        whole = ["leader", "replica", "sync_standby"]
        wait_until(
            lambda: sorted(self.members().values()) == whole,
            within_sec,
            "the cluster is whole",
        )

    # The faults; each leaves it to the caller to wait and to mend

    def kill_leader(self) -> Machine:
        """Switch the leader off; `start` of the machine switches it on again."""
        leader = self.leader()
        leader.kill()
        return leader

    def crash_leader(self) -> Machine:
        """Kill the leader's PostgreSQL only; Patroni mends that by itself."""
        leader = self.leader()
        leader.crash_postgres()
        return leader

    def kill_standby(self) -> Machine:
        """Switch off the synchronous standby."""
        standby = self.standbys()[0]
        standby.kill()
        return standby

    def unplug_leader(self) -> Machine:
        """Pull the leader's cable; `plug` of the machine ends it."""
        leader = self.leader()
        leader.unplug()
        return leader

    def part_leader(self) -> Machine:
        """Separate the leader from the other two while the services reach all; `join` ends it."""
        leader = self.leader()
        leader.part()
        return leader

    def unplug_standby(self) -> Machine:
        """Pull the cable of the synchronous standby; `plug` of the machine ends it."""
        standby = self.standbys()[0]
        standby.unplug()
        return standby

    @contextmanager
    def parted_services(self) -> Iterator[None]:
        """While the block runs, no service host hears any machine; they hear each other."""
        self._network.part_services()
        try:
            yield
        finally:
            self._network.join_services()

    @contextmanager
    def silenced(self, group: int) -> Iterator[None]:
        """While the block runs, no machine hears the processes of this group."""
        self._network.silence(group)
        try:
            yield
        finally:
            self._network.let_speak()

    def now_sec(self, machine: Machine) -> float:
        """What PostgreSQL of this machine takes for the time, in seconds since 1970."""
        with self.connected(machine) as connection:
            statement = "SELECT extract(epoch FROM clock_timestamp())"
            return float(connection.execute(statement).fetchone()[0])

    def fill_leaders_disk(self) -> Machine:
        """No room on the leader's disk; `free_disk` of the machine ends it."""
        leader = self.leader()
        leader.fill_disk()
        return leader

    def cut_power_of_all(self) -> None:
        """All machines lose their power: what none of them has synced is nowhere any more."""
        for machine in self.machines:
            machine.cut_power()
        self.kill_all()
        for machine in self.machines:
            machine.restore_power()

    def kill_all(self) -> None:
        """No database any more."""
        for machine in self.machines:
            machine.signal(signal.SIGKILL)
        for machine in self.machines:
            machine.kill()

    def start_all(self) -> None:
        """Switch on all that are off."""
        for machine in self.machines:
            if not machine.processes():
                machine.start()

    def terminate_commits(self, seconds: float) -> int:
        """End the services' connections in the middle of a COMMIT, for so long; how many."""
        # What is sent ends with it, and it is where the server waits for a disk or a standby.
        waits = "lower(wait_event) IN ('syncrep', 'walsync', 'walwrite')"
        return self._end(seconds, "pg_terminate_backend", f"query ILIKE '%COMMIT' AND {waits}")

    def cancel_waits(self, seconds: float) -> int:
        """Cancel commits that wait for the standby, for so long; how many were cancelled."""
        return self._end(seconds, "pg_cancel_backend", "wait_event = 'SyncRep'")

    def _end(self, seconds: float, function: str, condition: str) -> int:
        statement = (
            f"SELECT count(*) FILTER (WHERE {function}(pid)) FROM pg_stat_activity"
            f" WHERE usename = '{NAME}' AND state = 'active' AND {condition}"
        )
        number = 0
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            with suppress(psycopg.Error), self.connected(self.leader()) as connection:
                while time.monotonic() < ends:
                    number += connection.execute(statement).fetchone()[0]
        return number
