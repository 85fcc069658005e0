"""One machine with a database: etcd, Patroni and its PostgreSQL, in a namespace of their own.

They run on the files of deploy/cluster, with addresses and places of the test.
"""

import os
import shutil
import signal
import struct
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.e2e.service import PROJECT, wait_until
from tests.faults.cluster.disk import Disk
from tests.faults.cluster.network import Network, run

DEPLOYED = PROJECT / "deploy" / "cluster"
CLOCK_SOURCE = Path(__file__).with_name("clockjump.c")
HOSTS = (11, 12, 13)
# The addresses of the deployed files.
EXAMPLE_NETWORK = "10.0.0."
OWN = "# Its own."
DISK_BYTES = 3 << 30
# Of etcd, which keeps 64 MB for each of its logs.
ETCD_DISK_BYTES = 1 << 30
USER = "postgres"
# What the deployed files have for real machines, and a test on one machine has not.
SMALLER = {
    # Its shared memory in files of its own folder, which go with it.
    "shared_buffers: 512MB": "shared_buffers: 64MB\n        dynamic_shared_memory_type: mmap",
    "max_wal_size: 1GB": "max_wal_size: 256MB",
    "max_slot_wal_keep_size: 8GB": "max_slot_wal_keep_size: 1GB",
    "CHANGE-": "secret-",
    # It would reset the machine that the tests run on.
    "mode: required": 'mode: "off"',
}


class Machine:
    """A node of the cluster; what is killed can be started again on the same disk."""

    def __init__(self, folder: Path, network: Network, number: int) -> None:
        self.number = number
        self.host = HOSTS[number]
        self.name = f"db{number + 1}"
        self.address = network.address(self.host)
        self._network = network
        self._folder = folder / self.name
        self._disk = Disk(self._folder / "disk", DISK_BYTES)
        self._etcd_disk = Disk(self._folder / "etcd-disk", ETCD_DISK_BYTES)
        self._filler = self._disk.path / "filler"
        self._children: list[subprocess.Popen[bytes]] = []
        self._clock, self._clock_shim = self._folder / "clock", self._folder / "clockjump.so"

    @property
    def data(self) -> Path:
        """PostgreSQL's folder."""
        return self._disk.path / "data"

    @property
    def _etcd_data(self) -> Path:
        return self._etcd_disk.path / "data"

    def prepare(self) -> None:
        """Make its disks, and write the settings."""
        for disk in (self._disk, self._etcd_disk):
            disk.make()
        self._etcd_data.mkdir(mode=0o700)
        for place in (self._folder, self._disk.path, self._etcd_disk.path, self._etcd_data):
            shutil.chown(place, USER, USER)
        for disk in (self._disk, self._etcd_disk):
            disk.sync()
        options = ["-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(self._clock_shim)]
        run("cc", *options, str(CLOCK_SOURCE))
        self.set_clock(0)
        settings = self._folder / "patroni.yml"
        settings.write_text(self._localized("patroni.yml"), encoding="utf-8")
        shutil.chown(settings, USER, USER)

    def _localized(self, name: str) -> str:
        text = (DEPLOYED / name).read_text(encoding="utf-8")
        text = own_lines(text, self.name, f"{EXAMPLE_NETWORK}{self.host}")
        places = {
            EXAMPLE_NETWORK: self.address.removesuffix(f"{self.host}"),
            "/var/lib/postgresql/17/flask10x": str(self.data),
            "/var/lib/postgresql/.pgpass": str(self._folder / "pgpass"),
            "/var/run/postgresql": str(self._folder),
            "/var/lib/etcd/flask10x": str(self._etcd_data),
        }
        for old, new in (places | SMALLER).items():
            text = text.replace(old, new)
        return text

    # Its processes

    def start(self) -> None:
        """Switch it on: etcd and Patroni, which starts PostgreSQL."""
        lines = self._localized("etcd").splitlines()
        settings = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
        # Not the disk that tests fill: etcd is to live on.
        self._run("etcd", {**settings, "ETCD_LOG_LEVEL": "warn"}, "/usr/bin/etcd")
        patroni = ("/usr/bin/patroni", str(self._folder / "patroni.yml"))
        clock = {"LD_PRELOAD": str(self._clock_shim), "CLOCKJUMP": str(self._clock)}
        self._run("patroni", {"LC_ALL": "C.UTF-8", **clock}, *patroni)

    def _run(self, name: str, environment: dict[str, str], *command: str) -> None:
        # Not `ip netns exec`, which makes a mount namespace that holds the disks of all machines.
        # Shared memory of its own ends with its last process, also after a kill.
        inside = ("nsenter", f"--net={self._network.file(self.host)}", "unshare", "--ipc")
        as_user = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups")
        with (self._folder / f"{name}.log").open("ab") as log:
            self._children.append(
                subprocess.Popen(
                    [*inside, *as_user, *command],
                    cwd=self._folder,
                    env={"PATH": os.environ["PATH"], **environment},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )

    def processes(self) -> list[int]:
        """All that run on it."""
        return self._network.processes(self.host)

    def signal(self, how: signal.Signals) -> None:
        """Send a signal to all of its processes, PostgreSQL's included."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, how)

    def kill(self) -> None:
        """Switch it off: all of its processes are killed at once."""

        def none_left() -> bool:
            # Patroni may have started another one meanwhile.
            self.signal(signal.SIGKILL)
            return not self.processes()

        wait_until(none_left, 60, f"{self.name} is dead")
        for child in self._children:
            child.wait()
        self._children.clear()

    def cut_power(self) -> None:
        """Its disks keep what was synced, and nothing else; `restore_power` comes before `start`.

        At this moment all of it stands still; `kill` ends it.
        """
        self.signal(signal.SIGSTOP)
        for disk in (self._disk, self._etcd_disk):
            disk.cut_power()

    def restore_power(self) -> None:
        """Mount its disks again."""
        for disk in (self._disk, self._etcd_disk):
            disk.restore_power()

    @property
    def postmaster(self) -> int:
        """The process id of its PostgreSQL."""
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def crash_postgres(self) -> None:
        """Only PostgreSQL is killed; Patroni sees it and has it started or replaced."""
        postmaster = self.postmaster
        for pid in self.processes():
            with suppress(ProcessLookupError, FileNotFoundError):
                if pid == postmaster or _parent_of(pid) == postmaster:
                    os.kill(pid, signal.SIGKILL)

    def freeze(self) -> None:
        """Stop PostgreSQL and Patroni in the middle of what they do.

        Not etcd: one that leads and goes on after a pause ends the leases of others, the one of the
        new leader among them, and the old one leads again. It is for the watchdog to end that.
        """
        for pid in self.processes():
            if _name_of(pid) not in ("etcd", ""):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)

    def is_frozen(self) -> bool:
        """Whether all of it but etcd stands still."""
        states = [state_of(pid) for pid in self.processes() if _name_of(pid) not in ("etcd", "")]
        return bool(states) and {*states} <= {*"TZ"}

    def thaw(self) -> None:
        """Let them go on, as if nothing had been."""
        self.signal(signal.SIGCONT)

    def set_clock(self, wrong_by_sec: int) -> None:
        """Let PostgreSQL's clock be wrong by so many seconds."""
        # In place: processes have it in their memory.
        with self._clock.open("r+b" if self._clock.exists() else "wb") as file:
            file.write(struct.pack("q", wrong_by_sec))

    # Its network and its disk

    def unplug(self) -> None:
        """Pull its cable."""
        self._network.unplug(self.host)

    def plug(self) -> None:
        """Put the cable in again."""
        self._network.plug(self.host)

    def part(self) -> None:
        """Separate it from the other nodes; the services reach it as before."""
        self._network.part(self.host)

    def join(self) -> None:
        """Undo `part`."""
        self._network.join(self.host)

    def fill_disk(self) -> None:
        """Take all the room of its disk, and what becomes free within a moment."""
        with self._filler.open("ab") as file:
            for size in (1 << 24, 1 << 20, 1 << 12):
                with suppress(OSError):
                    while True:
                        os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), size)

    def free_disk(self) -> None:
        """Give the room back; the file does not come back with the power after a cut."""
        self._filler.unlink(missing_ok=True)
        self._disk.sync()

    @property
    def free_bytes(self) -> int:
        """The room that PostgreSQL's disk has."""
        return shutil.disk_usage(self._disk.path).free

    def said(self, text: str) -> int:
        """How often PostgreSQL or Patroni has said this so far."""
        return (self._folder / "patroni.log").read_text(errors="replace").count(text)

    def logs(self) -> str:
        """The ends of what its processes have written."""
        return "\n".join(
            f"--- {self.name} {file.name}\n{file.read_text(errors='replace')[-3000:]}"
            for file in sorted(self._folder.glob("*.log"))
        )

    def discard(self) -> None:
        """End all, and take its disks away."""
        self.kill()
        for disk in (self._disk, self._etcd_disk):
            disk.discard()


def own_lines(text: str, name: str, address: str) -> str:
    """The file of another node than the example's: the lines below "Its own" have its values."""
    lines, own = [], False
    for line in text.splitlines():
        own = line.strip() == OWN or (own and bool(line.strip()) and "#" not in line)
        example = (("db1", name), (f"{EXAMPLE_NETWORK}11", address))
        for old, new in example if own else ():
            line = line.replace(old, new)  # noqa: PLW2901
        lines.append(line)
    return "\n".join(lines) + "\n"


def state_of(pid: int) -> str:
    """`T` when it stands still; `Z` when it has ended, or is no more."""
    with suppress(ProcessLookupError, FileNotFoundError):
        return _stat_of(pid)[0]
    return "Z"


def _parent_of(pid: int) -> int:
    return int(_stat_of(pid)[1])


def _stat_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _name_of(pid: int) -> str:
    """The program that it runs; empty when it is no more."""
    with suppress(ProcessLookupError, FileNotFoundError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""
