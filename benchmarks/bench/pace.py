"""POSTs at a steady pace, whatever the answers take; each is timed from when it was due.

Who sends the next reading only after the last answer leaves out just those that a slow server would
have made wait ("coordinated omission"). Here each reading has its moment. `python -m
benchmarks.bench.pace PORT PER_SEC SECONDS` is the process; it prints a line of JSON.
"""

import heapq
import json
import os
import selectors
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass, field

from benchmarks.bench.results import latencies

BODY = b'{"co2": 650, "temperature": 25.1, "humidity": 52, "pressure": 1013.2, "gas_res": 12561247}'
REQUEST = (
    b"POST /data2 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n%s\r\n" + BODY
)
# A sender gives up after a few seconds; here it is waited for, so that the slowest is known.
ANSWER_WITHIN_SEC = 20.0
# Senders are other machines, with a processor of their own. Here they share one with what is
# measured, so they go first, where that is allowed.
NICENESS = -10
READ_BYTES = 4096
# One that is sent later than this was held up by this process, not by the server.
LATE_MS = 100


@dataclass(slots=True)
class Sender:
    """One connection, and what it waits for."""

    sock: socket.socket
    due_sec: float
    is_used: bool = False
    """Whether it has had an answer before; the server may then close it at any moment."""
    received: bytes = b""

    def is_answered(self) -> bool:
        """Whether a whole answer is there: a head and the body of the length that it names."""
        _, mark, body = self.received.partition(b"\r\n\r\n")
        return bool(mark) and len(body) >= int(self._header(b"content-length") or 0)

    @property
    def is_kept(self) -> bool:
        """Whether the server keeps the connection after this answer."""
        return self._header(b"connection").lower() != b"close"

    def _header(self, wanted: bytes) -> bytes:
        head, _, _ = self.received.partition(b"\r\n\r\n")
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == wanted:
                return value.strip()
        return b""

    @property
    def status(self) -> int:
        """Of the answer."""
        return int(self.received.split(None, 2)[1])


@dataclass(slots=True)
class Pace:
    """So many readings a second to a port, over kept connections or one for each."""

    port: int
    keep_alive: bool = False
    latencies_ms: list[float] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)
    """By how much each was sent later than it was due: the fault of this process."""
    statuses: Counter[int] = field(default_factory=Counter)
    broken: int = 0
    _free: list[socket.socket] = field(default_factory=list)
    _waiting: dict[int, Sender] = field(default_factory=dict)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def run(self, per_sec: float, seconds: float) -> None:
        """Send for so long, then wait for the last answers."""
        start_sec = time.perf_counter()
        due = [start_sec + number / per_sec for number in range(round(per_sec * seconds))]
        heapq.heapify(due)
        gives_up_sec = start_sec + seconds + ANSWER_WITHIN_SEC
        while due or self._waiting:
            now_sec = time.perf_counter()
            while due and due[0] <= now_sec:
                self._send(heapq.heappop(due))
                now_sec = time.perf_counter()
            if now_sec > gives_up_sec:
                self.broken += len(self._waiting)
                break
            self._receive((due[0] if due else gives_up_sec) - now_sec)

    def close(self) -> None:
        """Close the connections that are kept, and those that wait in vain."""
        for sock in [*self._free, *(sender.sock for sender in self._waiting.values())]:
            sock.close()
        self._selector.close()

    def account(self) -> dict[str, float]:
        """Latencies, what was refused and broken, how late it was sent; `kept_pace` is 1 or 0."""
        accepted = self.statuses[200]
        late_p99_ms = latencies(self.late_ms)["p99_ms"]
        return {
            **latencies(self.latencies_ms),
            "accepted": accepted,
            "refused": sum(self.statuses.values()) - accepted,
            "broken": self.broken,
            "late_p99_ms": late_p99_ms,
            "kept_pace": float(late_p99_ms <= LATE_MS),
        }

    def _send(self, due_sec: float) -> None:
        self.late_ms.append((time.perf_counter() - due_sec) * 1000)
        while self._free:
            if self._sent(Sender(self._free.pop(), due_sec, is_used=True)):
                return
        self._send_anew(due_sec)

    def _send_anew(self, due_sec: float) -> None:
        try:
            sock = socket.create_connection(("127.0.0.1", self.port), ANSWER_WITHIN_SEC)
        except OSError:
            self.broken += 1
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self._sent(Sender(sock, due_sec)):
            self.broken += 1

    def _sent(self, sender: Sender) -> bool:
        close = b"" if self.keep_alive else b"Connection: close\r\n"
        try:
            sender.sock.sendall(REQUEST % (len(BODY), close))
        except OSError:
            sender.sock.close()
            return False
        self._waiting[sender.sock.fileno()] = sender
        self._selector.register(sender.sock, selectors.EVENT_READ)
        return True

    def _receive(self, within_sec: float) -> None:
        for key, _ in self._selector.select(max(within_sec, 0)):
            sender = self._waiting[key.fd]
            try:
                piece = sender.sock.recv(READ_BYTES)
            except OSError:
                piece = b""
            sender.received += piece
            if sender.is_answered():
                self._answered(sender, key.fd)
            elif not piece:
                self._ended(sender, key.fd)

    def _answered(self, sender: Sender, number: int) -> None:
        self.latencies_ms.append((time.perf_counter() - sender.due_sec) * 1000)
        self.statuses[sender.status] += 1
        self._forget(number)
        if self.keep_alive and sender.is_kept:
            self._free.append(sender.sock)
        else:
            sender.sock.close()

    def _ended(self, sender: Sender, number: int) -> None:
        """The server has closed without an answer; of a kept connection that is no fault."""
        self._forget(number)
        sender.sock.close()
        if sender.is_used and not sender.received:
            self._send_anew(sender.due_sec)
        else:
            self.broken += 1

    def _forget(self, number: int) -> None:
        self._selector.unregister(number)
        del self._waiting[number]


def paced(
    port: int, per_sec: float, seconds: float, *, keep_alive: bool = False
) -> dict[str, float]:
    """The account of such a pace, kept by a process of its own."""
    command = [sys.executable, "-m", "benchmarks.bench.pace", str(port), str(per_sec), str(seconds)]
    command += ["--keep-alive"] if keep_alive else []
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Print the account of the pace that the command line asks for."""
    port, per_sec, seconds, *options = sys.argv[1:]
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    with closing(Pace(int(port), keep_alive="--keep-alive" in options)) as pace:
        pace.run(float(per_sec), float(seconds))
        print(json.dumps(pace.account()))


if __name__ == "__main__":
    main()
