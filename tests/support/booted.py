"""A system that is booted for a test: this one's files, or a folder's, with a layer in memory.

It has its own systemd and network, so the ports of the service are free there. Nothing of it is
left.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.service import PATIENCE_SEC, wait_until

# In a mount namespace of its own: nothing of it is seen outside, and all goes with its end, but for
# its control group. Without one of its own, systems would share the groups of their units.
BOOT = """
set -e
mount --make-rprivate /
mount -t tmpfs none "$0"
mkdir "$0/upper" "$0/work" "$0/root"
mount -t overlay none -o "lowerdir=$2,upperdir=$0/upper,workdir=$0/work" "$0/root"
umount -l /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mkdir "/sys/fs/cgroup/$3"
echo $$ > "/sys/fs/cgroup/$3/cgroup.procs"
# It keeps packages from starting services, where this system is an image for builds.
rm -f "$0/root/usr/sbin/policy-rc.d"
exec systemd-nspawn --quiet --directory="$0/root" --bind-ro="$1:/packages" --boot --register=no \\
  --keep-unit --private-network --console=read-only
"""
# Its control group, from the innermost; succeeds once there is none.
REMOVE_GROUP = """
umount -l /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
find "/sys/fs/cgroup/$0" -depth -type d -exec rmdir {} +
[ ! -e "/sys/fs/cgroup/$0" ]
"""
BOOT_WITHIN_SEC = 60.0
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root"}
# A Debian of what it needs to boot, and what a wheel and a package need of it.
DEBIAN = "ca-certificates,dbus,iproute2,libstdc++6,python3,python3-venv,systemd-sysv,tzdata"


@dataclass
class Machine:
    """The booted system, by its first process."""

    leader: int

    def command(self, *words: str, only_network: bool = False) -> list[str]:
        """A command in it; with `only_network` this system's program in its network."""
        parts = ["--net"] if only_network else ["--mount", "--uts", "--ipc", "--net", "--pid"]
        return ["nsenter", f"--target={self.leader}", *parts, "--", *words]

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """The outcome of a command in it, whatever its status."""
        return subprocess.run(
            self.command(*words), env=ENVIRONMENT, capture_output=True, text=True, check=False
        )

    def path(self, name: str) -> Path:
        """A file of it, as seen from here."""
        return Path(f"/proc/{self.leader}/root{name}")


@contextmanager
def empty_debian(suite: str) -> Iterator[Path]:
    """A folder with a Debian without anything of ours, in `debian`; skipped where none is made."""
    if os.geteuid() or shutil.which("mmdebstrap") is None:
        pytest.skip("no empty Debian is made here: mmdebstrap, and root for it")
    # Not in a file system that is itself a layer: no other one can lie over it.
    folder = Path(tempfile.mkdtemp(prefix="flask10x-debian-", dir="/var/tmp"))
    try:
        words = ["mmdebstrap", "--quiet", "--variant=important", f"--include={DEBIAN}", suite]
        made = subprocess.run(
            [*words, str(folder / "debian")], capture_output=True, text=True, check=False
        )
        assert made.returncode == 0, made.stderr
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def booted(folder: Path, packages: Path, of: Path = Path("/")) -> Iterator[Machine]:
    """Boot a system of these files, with a folder as /packages; skipped where that can't be."""
    needed = ("systemd-nspawn", "unshare", "nsenter")
    missing = [name for name in needed if shutil.which(name) is None]
    if os.geteuid() or missing:
        pytest.skip(f"no systemd is booted here: {missing or 'only root may'}")
    output = folder / "boot"
    group = f"flask10x-{uuid.uuid4().hex}"
    command = ["unshare", "--mount", "bash", "-c", BOOT, str(folder), str(packages), str(of), group]
    with output.open("w") as file:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )
    try:
        wait_until(lambda: process.poll() is not None or _leader(process), 30, "it is there")
        leader = _leader(process)
        if leader is None:
            pytest.skip(f"no systemd is booted here: {output.read_text()[-300:]}")
        machine = Machine(leader)
        wait_until(lambda: _is_up(machine), BOOT_WITHIN_SEC, "systemd has booted")
        yield machine
    finally:
        for pid in filter(None, [_leader(process), process.pid]):
            # The first of them ends the second.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        _remove_group(group)


def _remove_group(group: str) -> None:
    """Remove the control group, once the last process in it has ended."""
    words = ["unshare", "--mount", "bash", "-c", REMOVE_GROUP, group]

    def is_removed() -> bool:
        return subprocess.run(words, capture_output=True, check=False).returncode == 0

    wait_until(is_removed, PATIENCE_SEC, "its processes have ended")


def _is_up(machine: Machine) -> bool:
    state = machine.run("systemctl", "is-system-running").stdout.strip()
    return state in ("running", "degraded")


def _leader(process: "subprocess.Popen[bytes]") -> int | None:
    """The systemd that systemd-nspawn, which the process has become, has started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    try:
        for child in children.read_text().split():
            if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                return int(child)
    except OSError:
        pass
    return None
