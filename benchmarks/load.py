"""The one load program: readings at a pace or as fast as they are answered, or people with pages.

A client that sends the next reading only after the last answer leaves out just those readings that
a slow server would have made wait ("coordinated omission"). At a pace each reading has its moment,
and its latency counts from there. `python -m benchmarks.load PORT ...` is the process, so that it
has a processor of its own; it prints a line of JSON.
"""

import argparse
import heapq
import json
import math
import os
import random
import re
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse

from benchmarks.results import latencies

BODY = b'{"co2": 650, "temperature": 25.1, "humidity": 52, "pressure": 1013.2, "gas_res": 12561247}'
POST = (
    b"POST /data2 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n%%s\r\n%s" % (len(BODY), BODY)
)
GET = b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%%s\r\n"
CLOSE = b"Connection: close\r\n"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CLOSED = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
# A sender gives up after a few seconds; here it is waited for, so that the slowest is measured.
ANSWER_WITHIN_SEC = 20.0
# Senders are other machines, with a processor of their own. Here they share one with what is
# measured, so they go first, where that is allowed.
NICENESS = -10
READ_BYTES = 65536
# A reading that is sent later than this was held up by this process, not by the server.
LATE_MS = 100
# After a refused connection: a server that is away would else be asked without an end.
PAUSE_SEC = 0.1
# As `SPREAD_MS` of `static/live.js`.
SPREAD_SEC = 0.4
# The load settles before it counts.
WARM_UP_SEC = 1.0


@dataclass(slots=True)
class Sender:
    """One connection, and what it waits for."""

    sock: socket.socket
    due_sec: float
    is_used: bool = False
    """Whether it has had an answer before; the server may then close it at any moment."""
    received: bytes = b""
    """The head, and what came with it."""
    missing: float = math.nan
    """Bytes of the body that have not come; NaN before the head, infinite without a length."""

    def take(self, piece: bytes) -> bool:
        """Add what came; whether the answer is whole."""
        if math.isnan(self.missing):
            self.received += piece
            head, mark, body = self.received.partition(b"\r\n\r\n")
            if mark:
                length = LENGTH.search(head)
                self.received = head
                self.missing = int(length[1]) - len(body) if length else math.inf
        else:
            self.missing -= len(piece)
        # Without a length the answer ends with the connection.
        return self.missing == 0 or (self.missing == math.inf and not piece)

    @property
    def status(self) -> int:
        """The status of the answer."""
        return int(self.received.split(None, 2)[1])

    @property
    def is_kept(self) -> bool:
        """Whether the server keeps the connection after this answer."""
        return CLOSED.search(self.received) is None


@dataclass(slots=True)
class Load:
    """Requests to a port, each due at a moment; its account when they are answered."""

    port: int
    request: bytes = POST
    keep_alive: bool = True
    repeats: bool = False
    """Whether an answer makes the next request due: as fast as they are answered."""
    latencies_ms: list[float] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)
    """By how much each was sent later than it was due: the fault of this process."""
    statuses: Counter[int] = field(default_factory=Counter)
    broken: int = 0
    warm_up_accepted: int = 0
    cpu_sec: float = 0.0
    """Processor time of this process, of the warm-up none."""
    _due: list[float] = field(default_factory=list)
    _ends_sec: float = math.inf
    _free: list[socket.socket] = field(default_factory=list)
    _waiting: dict[int, Sender] = field(default_factory=dict)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def run_paced(self, per_sec: float, seconds: float) -> None:
        """Send so many a second, then wait for the last answers."""
        start_sec = time.perf_counter()
        self._due = [start_sec + number / per_sec for number in range(round(per_sec * seconds))]
        self._run(start_sec + seconds)

    def run_full(self, connections: int, seconds: float) -> None:
        """Send over so many connections as fast as they are answered; forget the warm-up."""
        self.repeats = True
        for length_sec in (WARM_UP_SEC, seconds):
            self.warm_up_accepted = self.statuses[200]
            self.latencies_ms, self.late_ms, self.statuses = [], [], Counter()
            self._due = [time.perf_counter()] * connections
            self._run(time.perf_counter() + length_sec)

    def run_until_input_ends(self, connections: int) -> None:
        """The same until the standard input ends; what is under way then is not waited for."""
        self.repeats = True
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        self._due = [time.perf_counter()] * connections
        self._run(math.inf)

    def _run(self, ends_sec: float) -> None:
        self._ends_sec, began_cpu_sec = ends_sec, time.process_time()
        gives_up_sec = ends_sec + ANSWER_WITHIN_SEC
        while self._due or self._waiting:
            now_sec = time.perf_counter()
            while self._due and self._due[0] <= now_sec:
                self._send(heapq.heappop(self._due))
                now_sec = time.perf_counter()
            if now_sec > gives_up_sec:
                self.broken += len(self._waiting)
                break
            until_sec = self._due[0] if self._due else gives_up_sec
            if not self._receive(None if until_sec == math.inf else max(until_sec - now_sec, 0)):
                break
        self.cpu_sec = time.process_time() - began_cpu_sec

    def close(self) -> None:
        """Close the connections that are kept, and those that wait in vain."""
        for sock in [*self._free, *(sender.sock for sender in self._waiting.values())]:
            sock.close()
        self._selector.close()

    def account(self) -> dict[str, float]:
        """Latencies, answers by status, what was refused and broken; `kept_pace` is 1 or 0."""
        accepted = self.statuses[200]
        late_p99_ms = latencies(self.late_ms)["p99_ms"]
        return {
            **latencies(self.latencies_ms),
            **{f"status_{status}": number for status, number in self.statuses.items()},
            "accepted": accepted,
            "accepted_in_all": accepted + self.warm_up_accepted,
            "refused": sum(self.statuses.values()) - accepted,
            "broken": self.broken,
            "sender_cpu_sec": self.cpu_sec,
            "late_p99_ms": late_p99_ms,
            "kept_pace": float(late_p99_ms <= LATE_MS),
        }

    def _send(self, due_sec: float) -> None:
        self.late_ms.append((time.perf_counter() - due_sec) * 1000)
        while self._free:
            if self._is_sent(Sender(self._free.pop(), due_sec, is_used=True)):
                return
        self._send_by_new_connection(due_sec)

    def _send_by_new_connection(self, due_sec: float) -> None:
        try:
            sock = socket.create_connection(("127.0.0.1", self.port), ANSWER_WITHIN_SEC)
        except OSError:
            self._note_broken()
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self._is_sent(Sender(sock, due_sec)):
            self._note_broken()

    def _is_sent(self, sender: Sender) -> bool:
        try:
            sender.sock.sendall(self.request % (b"" if self.keep_alive else CLOSE))
        except OSError:
            sender.sock.close()
            return False
        self._waiting[sender.sock.fileno()] = sender
        self._selector.register(sender.sock, selectors.EVENT_READ)
        return True

    def _receive(self, within_sec: float | None) -> bool:
        """Take what has come; False at the end of the input."""
        for key, _ in self._selector.select(within_sec):
            if key.fileobj is sys.stdin:
                return False
            sender = self._waiting[key.fd]
            try:
                piece = sender.sock.recv(READ_BYTES)
            except OSError:
                piece = b""
            if sender.take(piece):
                self._note_answer(sender, key.fd)
            elif not piece:
                self._note_end(sender, key.fd)
        return True

    def _note_answer(self, sender: Sender, number: int) -> None:
        now_sec = time.perf_counter()
        self.latencies_ms.append((now_sec - sender.due_sec) * 1000)
        self.statuses[sender.status] += 1
        self._forget(number)
        if self.keep_alive and sender.is_kept:
            self._free.append(sender.sock)
        else:
            sender.sock.close()
        self._repeat(now_sec)

    def _note_end(self, sender: Sender, number: int) -> None:
        """The server has closed without an answer; of a kept connection that is no fault."""
        self._forget(number)
        sender.sock.close()
        if sender.is_used and not sender.received:
            self._send_by_new_connection(sender.due_sec)
        else:
            self._note_broken()

    def _note_broken(self) -> None:
        self.broken += 1
        self._repeat(time.perf_counter() + PAUSE_SEC)

    def _repeat(self, due_sec: float) -> None:
        if self.repeats and due_sec < self._ends_sec:
            heapq.heappush(self._due, due_sec)

    def _forget(self, number: int) -> None:
        self._selector.unregister(number)
        del self._waiting[number]


def paced(port: int, per_sec: float, seconds: float, *, keep_alive: bool) -> dict[str, float]:
    """The account of readings at a pace."""
    return _of_process(port, "--per-sec", per_sec, "--seconds", seconds, keep_alive=keep_alive)


def full(port: int, connections: int, seconds: float, *, keep_alive: bool) -> dict[str, float]:
    """The account of as many readings as are answered."""
    options = ("--connections", connections, "--seconds", seconds)
    return _of_process(port, *options, keep_alive=keep_alive)


def _of_process(port: int, *options: object, keep_alive: bool) -> dict[str, float]:
    command = _command(port, *options, *([] if keep_alive else ["--close"]))
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    account: dict[str, float] = json.loads(done.stdout)
    return account


def _command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "benchmarks.load", *map(str, arguments)]


@contextmanager
def people(port: int, path: str, how_many: int, how: str = "--get") -> Iterator[dict[str, float]]:
    """People load a page again and again while the block runs; their account is filled in then.

    With `--follow` as `how` they have it open, and it loads itself after each event.
    """
    command = _command(port, how, path, "--connections", how_many, "--close")
    account: dict[str, float] = {}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield account
        finally:
            output, _ = process.communicate()
            account.update(json.loads(output or "{}"))


class OpenPage:
    """A page that is told of readings and then asks for itself, as `static/live.js` does."""

    def __init__(self, port: int, path: str) -> None:
        self._port, self._path = port, path
        self._news = threading.Event()
        self._last_id: int | None = None
        self.answers_ms: list[float] = []
        for run in (self._listen, self._ask):
            threading.Thread(target=run, daemon=True).start()

    def _get(self, path: str) -> HTTPResponse:
        connection = HTTPConnection("127.0.0.1", self._port)
        headers = {"Accept": "text/html", "Accept-Encoding": "gzip"}
        if self._last_id is not None:
            headers["Flask10X-Last-Id"] = str(self._last_id)
        connection.request("GET", path, headers=headers)
        return connection.getresponse()

    def _listen(self) -> None:
        for line in self._get("/events"):
            if line.startswith(b"data: "):
                told = json.loads(line.removeprefix(b"data: "))["last_id"]
                before, self._last_id = self._last_id, told
                if None not in (before, told) and told != before:
                    self._news.set()

    def _ask(self) -> None:
        while self._news.wait():
            time.sleep(random.random() * SPREAD_SEC)
            self._news.clear()
            began_sec = time.monotonic()
            self._get(self._path).read()
            took_sec = time.monotonic() - began_sec
            self.answers_ms.append(took_sec * 1000)
            time.sleep(took_sec)


def follow(port: int, path: str, how_many: int) -> dict[str, float]:
    """The account of so many open pages until the input ends."""
    pages = [OpenPage(port, path) for _ in range(how_many)]
    sys.stdin.read()
    answers_ms = [took_ms for page in pages for took_ms in page.answers_ms]
    return {"answered": float(len(answers_ms)), **latencies(answers_ms or [0.0])}


def main() -> None:
    """Print the account of the load that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--get", metavar="PATH", help="GET this until the input ends")
    parser.add_argument("--follow", metavar="PATH", help="have this page open until then")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--per-sec", type=float, help="a pace; else as fast as it is answered")
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--close", action="store_true", help="a connection for each request")
    given = parser.parse_args()
    if given.follow:
        print(json.dumps(follow(given.port, given.follow, given.connections)))
        return
    request = GET % given.get.encode() if given.get else POST
    if not given.get:
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    with closing(Load(given.port, request, not given.close)) as load:
        if given.get:
            load.run_until_input_ends(given.connections)
        elif given.per_sec:
            load.run_paced(given.per_sec, given.seconds)
        else:
            load.run_full(given.connections, given.seconds)
        print(json.dumps(load.account()))


if __name__ == "__main__":
    main()
