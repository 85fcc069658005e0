"""A network of its own for the machines of a test: a namespace each, joined by a bridge.

The tests and the services stand in the host's own namespace and have an address on the bridge.
Packets that are cut vanish without an answer, as by a pulled cable.
"""

import os
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

# For measurements between networks (RFC 2544), so that no real machine has it.
PREFIX = "198.18"
NOWHERE = "02:00:00:00:00:fe"
GATEWAY = 1
# Where `ip netns add` puts them.
NAMESPACES = Path("/var/run/netns")


def run(*command: str) -> str:
    """What the command has said; raises when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


class Network:
    """A bridge and one namespace for each machine; `close` takes them away again."""

    def __init__(self, hosts: Iterable[int]) -> None:
        # Names of links have 15 characters at most; the process id tells runs at one time apart.
        self._name = f"fx{os.getpid()}"
        self._third = os.getpid() % 250
        self._hosts = [*hosts]
        try:
            self._lay()
        except AssertionError:
            self.close()
            raise

    def _lay(self) -> None:
        run("ip", "link", "add", self._name, "type", "bridge")
        run("ip", "address", "add", f"{self.address(GATEWAY)}/24", "dev", self._name)
        run("ip", "link", "set", self._name, "up")
        for host in self._hosts:
            space, link = self.space(host), self._link(host)
            run("ip", "netns", "add", space)
            peer = ("peer", "name", "eth0", "netns", space)
            run("ip", "link", "add", link, "type", "veth", *peer)
            run("ip", "link", "set", link, "master", self._name, "up")
            run("ip", "-n", space, "address", "add", f"{self.address(host)}/24", "dev", "eth0")
            run("ip", "-n", space, "link", "set", "eth0", "up")
            run("ip", "-n", space, "link", "set", "lo", "up")

    def address(self, host: int) -> str:
        """The address of a machine; `GATEWAY` is that of the tests and the services."""
        return f"{PREFIX}.{self._third}.{host}"

    def space(self, host: int) -> str:
        """The name of a machine's namespace."""
        return f"{self._name}-{host}"

    def file(self, host: int) -> Path:
        """Where `nsenter` finds it."""
        return NAMESPACES / self.space(host)

    def _link(self, host: int) -> str:
        return f"{self._name}h{host}"

    def processes(self, host: int) -> list[int]:
        """Every process of a machine."""
        return [int(pid) for pid in run("ip", "netns", "pids", self.space(host)).split()]

    def unplug(self, host: int) -> None:
        """Nobody hears this machine any more, neither the others nor the services."""
        run("ip", "link", "set", self._link(host), "down")

    def plug(self, host: int) -> None:
        """The cable is in again."""
        run("ip", "link", "set", self._link(host), "up")

    def part(self, host: int) -> None:
        """The other machines and this one don't hear each other; the services hear them all."""
        for other in self._others(host):
            self._mislead(host, other)
            self._mislead(other, host)

    def join(self, host: int) -> None:
        """They hear each other again."""
        for other in self._others(host):
            self._lead(host, other)
            self._lead(other, host)

    def part_services(self) -> None:
        """What the machines send to the services vanishes; the machines hear each other."""
        for host in self._hosts:
            self._mislead(host, GATEWAY)

    def join_services(self) -> None:
        """The services hear the machines again."""
        for host in self._hosts:
            self._lead(host, GATEWAY)

    def silence(self, group: int) -> None:
        """What processes of this group send to the machines vanishes."""
        table = ("inet", self._name)
        run("nft", "add", "table", *table)
        hook = "{ type filter hook output priority 0 ; }"
        run("nft", "add", "chain", *table, "out", hook)
        to = ("ip", "daddr", f"{self.address(0)}/24")
        run("nft", "add", "rule", *table, "out", "meta", "skgid", str(group), *to, "drop")

    def let_speak(self) -> None:
        """All are heard again."""
        with suppress(AssertionError):
            run("nft", "delete", "table", "inet", self._name)

    def _lead(self, host: int, other: int) -> None:
        place = ("to", self.address(other), "dev", "eth0")
        command = ["ip", "-n", self.space(host), "neigh", "flush", "nud", "permanent", *place]
        subprocess.run(command, capture_output=True, check=False)

    def _mislead(self, host: int, other: int) -> None:
        place = (self.address(other), "lladdr", NOWHERE, "dev", "eth0", "nud", "permanent")
        run("ip", "-n", self.space(host), "neigh", "replace", *place)

    def _others(self, host: int) -> list[int]:
        return [other for other in self._hosts if other != host]

    def close(self) -> None:
        """Take the namespaces and the bridge away, as far as they are there."""
        self.let_speak()
        for host in self._hosts:
            # The namespace takes its end of the link along, and that the other end.
            subprocess.run(
                ["ip", "netns", "delete", self.space(host)], capture_output=True, check=False
            )
        subprocess.run(["ip", "link", "delete", self._name], capture_output=True, check=False)
