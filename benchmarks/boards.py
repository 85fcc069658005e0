"""Many boards that each send every minute, as boards do: `make bench BENCH="--only boards"`.

They lose requests and answers on the Wi-Fi, try again as the programs in the field do, bring what
they have kept while they were offline, and come back all at once after a power cut. What was
acknowledged is compared with the table: none may be lost, and none with a key may be there twice.

The boards are one process, `python -m benchmarks.boards PORT ...`: an event loop without a task for
each, so that it takes far less of the two cores than what is measured; its share is one of the
values. It ends by itself.
"""

import argparse
import heapq
import json
import os
import random
import resource
import selectors
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path

from benchmarks import servers
from benchmarks.load import LATE_MS, NICENESS, READ_BYTES, Sender
from benchmarks.memory import memory_mb
from benchmarks.results import Run, latencies
from benchmarks.servers import Bench, Row
from tests.e2e.senders import HOST, ask
from tests.e2e.service import Service, wait_until
from tests.support.postgres import PostgresServer, obstacle

# The boards.

INTERVAL_SEC = 60.0
# Longer than that the programs for boards do not wait for an answer.
TIMEOUT_SEC = 5.0
# Of a hundred exchanges so many fail on the way: in half of them the request does not arrive, in
# half of them the answer.
LOSS = 0.02
# As TOGETHER_MAX of the program for the Pico W.
TOGETHER_MAX = 20
# A wait of 1 s, then 2, and so on, after which a reading is given up.
TRIES_MAX = 6
# How long the Wi-Fi was away before "late".
KEPT_READINGS = 10
# After a power cut the boards start within so many seconds of each other.
START_SPREAD_SEC = 2.0
# For what was sent last, and its retries.
DRAIN_SEC = 45.0
LAST_TRIES_SEC = (1.0, 15.0)
# From here on the numbers of readings without a key.
UNKEYED_FROM = 10**9
STAGES = ("steady", "late", "morning")
# A number is stored as a measurement, by which it is found again.
DATA = '{"temperature": 21.5, "humidity": 48.2, "co2": 612, "pressure": 1009.1, "gas_res": %d}'
HEAD = (
    "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n%s"
    "Content-Length: %d\r\nConnection: close\r\n\r\n%s"
)


@dataclass(slots=True, eq=False)
class Board:
    """One board: what it has measured and not got rid of."""

    number: int
    station: str
    waiting: list[tuple[int, float]] = field(default_factory=list)
    """Number and moment of each reading."""
    tries: int = 0
    is_busy: bool = False
    is_heard: bool = False
    """Whether it has had a 200."""

    @property
    def is_program(self) -> bool:
        """Half of them run a program of `/devices`: a batch with ids, tried again each minute."""
        return self.number % 4 < 2

    @property
    def has_key(self) -> bool:
        """A quarter sends single readings with a key and tries soon; the last has no key."""
        return self.number % 4 < 3

    def request(self, now_sec: float, run: str) -> tuple[bytes, list[tuple[int, float]]]:
        """What it sends now, and the readings that are in it."""
        if self.is_program:
            together = self.waiting[:TOGETHER_MAX]
            path, headers = "/api/v1/readings", ""
            items = [
                f'{{"endpoint": "{self.station}", "id": "{run}-{number}", "data": {DATA % number}'
                + (f', "age_s": {age_sec:.1f}}}' if (age_sec := now_sec - at_sec) > 1 else "}")
                for number, at_sec in together
            ]
            body = f"[{', '.join(items)}]"
        else:
            together = self.waiting[:1]
            number = together[0][0]
            path, body = f"/{self.station}", DATA % number
            headers = f"Idempotency-Key: {run}-{number}\r\n" if self.has_key else ""
        return (HEAD % (path, headers, len(body), body)).encode(), together


@dataclass(slots=True, eq=False)
class Exchange:
    """A request under way."""

    board: Board
    sender: Sender
    readings: list[tuple[int, float]]


@dataclass(slots=True)
class Boards:
    """All boards, and what they were answered; `run` ends by itself."""

    ports: Sequence[int]
    boards: list[Board]
    late_ms: list[float] = field(default_factory=list)
    """By how much each request was sent later than it was due: the fault of this process."""
    answers_ms: list[float] = field(default_factory=list)
    """From when a request was due; of one without an answer the board's time limit."""
    counted: Counter[str] = field(default_factory=Counter)
    acknowledged: list[int] = field(default_factory=list)
    _name: str = field(default_factory=lambda: f"{random.getrandbits(32):x}")
    _events: list[tuple[float, int, Callable[[float], None]]] = field(default_factory=list)
    _order: Iterator[int] = field(default_factory=count)
    _numbers: Iterator[int] = field(default_factory=count)
    _unkeyed: Iterator[int] = field(default_factory=lambda: count(UNKEYED_FROM))
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _under_way: int = 0
    _ends_sec: float = 0.0
    _last_heard_sec: float = 0.0

    def run(self, stage: str, seconds: float, first: int = 0) -> dict[str, float]:
        """Let them send for so long; numbers begin at `first`."""
        self._numbers, self._unkeyed = count(first), count(UNKEYED_FROM + first)
        began_sec, began_cpu_sec = time.perf_counter(), time.process_time()
        self._ends_sec = began_sec + seconds
        for board in self.boards:
            if stage == "late" and board.is_program:
                for ago in range(KEPT_READINGS, 0, -1):
                    self._measure(board, began_sec - ago * INTERVAL_SEC)
            spread_sec = START_SPREAD_SEC if stage == "morning" else INTERVAL_SEC
            first_sec = began_sec + random.random() * spread_sec
            if first_sec < self._ends_sec:
                self._at(first_sec, partial(self._turn, board))
        until_sec = self._ends_sec + DRAIN_SEC
        # Turns that come after the end are no events any more, so what is left is under way.
        while (self._events or self._under_way) and (now_sec := time.perf_counter()) < until_sec:
            while self._events and self._events[0][0] <= now_sec:
                due_sec, _, action = heapq.heappop(self._events)
                action(due_sec)
                now_sec = time.perf_counter()
            next_sec = self._events[0][0] if self._events else until_sec
            self._receive(max(0.0, min(next_sec, until_sec) - now_sec))
        cpu_share = (time.process_time() - began_cpu_sec) / seconds
        heard_sec = self._last_heard_sec - began_sec
        unheard = sum(not board.is_heard for board in self.boards)
        heard = {"all_heard_sec": heard_sec, "never_heard": unheard}
        return self._account(seconds, cpu_share) | heard

    def _account(self, seconds: float, cpu_share: float) -> dict[str, float]:
        late_ms = latencies(self.late_ms)["p99_ms"]
        counted = self.counted
        return {
            "offered": counted["measured"],
            "offered_per_sec": counted["measured"] / seconds,
            "requests_per_sec": counted["sent"] / seconds,
            "answered_200": counted["status_200"] / max(counted["awaited"], 1),
            "refused": counted["refused"],
            "refused_without_time": counted["refused_without_time"],
            "unanswered": counted["unanswered"],
            "not_connected": counted["not_connected"],
            "lost_on_the_way": counted["lost_on_the_way"],
            "given_up": counted["given_up"],
            "waiting_at_boards": sum(len(board.waiting) for board in self.boards),
            **latencies(self.answers_ms),
            "sender_cpu": cpu_share,
            "late_p99_ms": late_ms,
            "kept_pace": float(late_ms <= LATE_MS),
        }

    # A board

    def _at(self, at_sec: float, action: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (at_sec, next(self._order), action))

    def _measure(self, board: Board, at_sec: float) -> None:
        number = next(self._numbers if board.has_key else self._unkeyed)
        self.counted["measured"] += 1
        board.waiting.append((number, at_sec))

    def _turn(self, board: Board, due_sec: float) -> None:
        self._measure(board, due_sec)
        if due_sec + INTERVAL_SEC < self._ends_sec:
            self._at(due_sec + INTERVAL_SEC, partial(self._turn, board))
        if not board.is_busy:
            self._send(board, due_sec)

    def _send(self, board: Board, due_sec: float) -> None:
        now_sec = time.perf_counter()
        self.late_ms.append((now_sec - due_sec) * 1000)
        board.is_busy = True
        self.counted["sent"] += 1
        request, readings = board.request(now_sec, self._name)
        chance = random.random()
        if chance < LOSS / 2:
            self._lose(board, readings, now_sec)
            return
        sock = self._connected(board)
        exchange = Exchange(board, Sender(sock, due_sec), readings)
        self._under_way += 1
        wait_for = selectors.EVENT_READ
        try:
            sock.send(request)
        except (BlockingIOError, OSError):
            # The queue of connections is full: the kernel tries again after a second.
            wait_for = selectors.EVENT_WRITE
            exchange.sender.received = b""
        if chance < LOSS and wait_for == selectors.EVENT_READ:
            self._under_way -= 1
            sock.close()
            self._lose(board, readings, now_sec)
            return
        self._selector.register(sock, wait_for, (exchange, request))
        self._at(now_sec + TIMEOUT_SEC, partial(self._give_up, exchange))

    def _connected(self, board: Board) -> socket.socket:
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A try that failed goes to the other host, as behind a proxy.
        port = self.ports[(board.number // 4 + board.tries) % len(self.ports)]
        sock.connect_ex((HOST, port))
        return sock

    def _lose(self, board: Board, readings: list[tuple[int, float]], now_sec: float) -> None:
        self.counted["lost_on_the_way"] += 1
        self._at(now_sec + TIMEOUT_SEC, lambda at_sec: self._fail(board, readings, at_sec, 0.0))

    def _fail(
        self, board: Board, readings: list[tuple[int, float]], now_sec: float, wait_sec: float
    ) -> None:
        """No answer, or one to come again after so many seconds."""
        board.is_busy, board.tries = False, board.tries + 1
        if board.is_program:
            # With its next reading; after the end once more, so that none is left.
            if now_sec + INTERVAL_SEC > self._ends_sec and board.tries < TRIES_MAX:
                again_sec = now_sec + max(wait_sec, random.uniform(*LAST_TRIES_SEC))
                self._at(again_sec, partial(self._again, board))
            return
        if not board.has_key and (wait_sec or board.tries > 1):
            # Such programs look at no status; what had no answer is sent once more.
            self._drop(board, readings)
        elif board.tries >= TRIES_MAX:
            self._drop(board, readings)
        else:
            pause_sec = 2.0 ** (board.tries - 1) * random.uniform(0.8, 1.2) if board.has_key else 0
            self._at(now_sec + max(wait_sec, pause_sec), partial(self._again, board))

    def _drop(self, board: Board, readings: list[tuple[int, float]]) -> None:
        self.counted["given_up"] += 1
        board.tries = 0
        del board.waiting[: len(readings)]

    def _again(self, board: Board, due_sec: float) -> None:
        if board.waiting and not board.is_busy:
            self._send(board, due_sec)

    # Answers

    def _receive(self, within_sec: float) -> None:
        for key, events in self._selector.select(within_sec):
            exchange, request = key.data
            sock: socket.socket = exchange.sender.sock
            if events & selectors.EVENT_WRITE:
                with suppress(OSError):
                    sock.send(request)
                    self._selector.modify(sock, selectors.EVENT_READ, key.data)
                    continue
                self._end(exchange, "not_connected")
                continue
            try:
                piece = sock.recv(READ_BYTES)
            except BlockingIOError:
                continue
            except OSError:
                piece = b""
            if exchange.sender.take(piece):
                self._note_answer(exchange)
            elif not piece:
                self._end(exchange, "not_connected")

    def _note_answer(self, exchange: Exchange) -> None:
        board, now_sec, status = exchange.board, time.perf_counter(), exchange.sender.status
        self._close(exchange)
        self.answers_ms.append((now_sec - exchange.sender.due_sec) * 1000)
        self.counted["awaited"] += 1
        self.counted[f"status_{status}"] += 1
        if status == 200:
            board.is_busy, board.tries = False, 0
            if not board.is_heard:
                board.is_heard, self._last_heard_sec = True, now_sec
            self.acknowledged.extend(number for number, _ in exchange.readings)
            del board.waiting[: len(exchange.readings)]
            if board.waiting:
                self._send(board, now_sec)
            return
        wait_sec = retry_after(exchange.sender.received)
        self.counted["refused"] += 1
        self.counted["refused_without_time"] += wait_sec is None
        self._fail(board, exchange.readings, now_sec, wait_sec or 1.0)

    def _give_up(self, exchange: Exchange, _due_sec: float) -> None:
        if exchange.sender.sock.fileno() >= 0:
            self._end(exchange, "unanswered")

    def _end(self, exchange: Exchange, why: str) -> None:
        now_sec = time.perf_counter()
        self._close(exchange)
        self.counted["awaited"] += 1
        self.counted[why] += 1
        self.answers_ms.append(max(TIMEOUT_SEC, now_sec - exchange.sender.due_sec) * 1000)
        self._fail(exchange.board, exchange.readings, now_sec, 0.0)

    def _close(self, exchange: Exchange) -> None:
        self._under_way -= 1
        self._selector.unregister(exchange.sender.sock)
        exchange.sender.sock.close()


def retry_after(head: bytes) -> float | None:
    """The seconds of that header, or None."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"retry-after":
            return float(value)
    return None


# What they send to.

SQLITE, ONE, TWO = PLACES = ("SQLite", "PostgreSQL", "PostgreSQL, two services")
SIZES: dict[int, Sequence[str]] = {
    100: STAGES[:1],
    1_000: (STAGES[0], STAGES[2]),
    10_000: STAGES,
}
# With the built-in ones as many as a file of stations may have; the boards share them.
STATIONS = 196
# Each board sends once, and a second time after a power cut.
STAGE_SEC = {"steady": 60.0, "late": 60.0, "morning": 75.0}
# Boards that send each minute, until one machine does not bear them.
KNEE_SIZES = (5_000, 10_000, 20_000, 30_000, 40_000, 60_000, 80_000, 100_000, 130_000, 160_000)
KNEE_SEC = 20.0
KNEE_P99_MS = 1000.0
POSTGRES_OPTIONS = {
    "fsync": "on",
    "full_page_writes": "on",
    "autovacuum": "on",
    "jit": "on",
    "shared_buffers": "512MB",
}
SAMPLE_EVERY_SEC = 1.0
STORED_WITHIN_SEC = 120.0
ENDS_WITHIN_SEC = 60.0
NUMBERS = "SELECT gas_resistance FROM readings WHERE gas_resistance IS NOT NULL AND id > 0"
STATION = """
[stations.{name}]
interval_sec = 60
[stations.{name}.measurements]
temperature = {{ unit = "°C" }}
humidity = {{ unit = "%" }}
co2 = {{ unit = "ppm" }}
pressure = {{ unit = "hPa" }}
gas_resistance = {{ unit = "Ω", path = "gas_res" }}
"""


def station_name(number: int) -> str:
    """The endpoint of that station."""
    return f"board{number}"


@dataclass(slots=True)
class Place:
    """Services that boards send to, with what is behind them."""

    services: Sequence[Service]
    stations: int
    server: PostgresServer | None = None
    first: int = 0
    """The next number of a reading."""
    counts: dict[str, int] = field(default_factory=dict)
    queue_most: int = 0
    memory_most_mb: float = 0.0

    def run(self, bench: Bench, boards: int, stage: str, seconds: float) -> dict[str, float]:
        """Let so many boards send for that long; what came of it."""
        self.queue_most, self.memory_most_mb = 0, 0.0
        before = servers.used_sec(self.services, self.server)
        with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
            file = Path(folder) / "acknowledged.json"
            with self._sampled():
                account = self._send(boards, stage, seconds, file)
            now = servers.used_sec(self.services, self.server)
            used = {name: sec - before[name] for name, sec in now.items()}
            acknowledged = json.loads(file.read_text())
        return (
            account
            | {f"{name}_cpu": sec / seconds for name, sec in used.items()}
            | {"queue_most": self.queue_most, "memory_mb": self.memory_most_mb}
            | {"boards": boards, "stations": self.stations}
            | self._compared(acknowledged, seconds)
        )

    def _send(self, boards: int, stage: str, seconds: float, file: Path) -> dict[str, float]:
        options: dict[str, object] = {
            "--boards": boards,
            "--stations": self.stations,
            "--stage": stage,
            "--seconds": seconds,
            "--first": self.first,
            "--acknowledged": file,
        }
        command = [sys.executable, "-m", "benchmarks.boards"]
        command += [str(service.port) for service in self.services]
        command += [str(word) for option in options.items() for word in option]
        within_sec = seconds + DRAIN_SEC + ENDS_WITHIN_SEC
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, check=True, timeout=within_sec
        )
        account: dict[str, float] = json.loads(done.stdout)
        self.first += int(account["offered"])
        return account

    def _compared(self, acknowledged: Sequence[int], seconds: float) -> dict[str, float]:
        """The table beside what was acknowledged, once all that waits is stored."""
        wait_until(self._has_stored_all, STORED_WITHIN_SEC, "all is stored")
        stored = Counter(self._stored())
        earlier = sum(self.counts.values())
        self.counts = {"stored": stored.total()}
        keyed = [times for number, times in stored.items() if number < UNKEYED_FROM]
        unkeyed = [times for number, times in stored.items() if number >= UNKEYED_FROM]
        return {
            "acknowledged": len(acknowledged),
            "stored_per_sec": (stored.total() - earlier) / seconds,
            "lost": len({*acknowledged} - stored.keys()),
            # Since the first run of this place.
            "twice": sum(times - 1 for times in keyed),
            "twice_without_key": sum(times - 1 for times in unkeyed),
        }

    def _stored(self) -> list[int]:
        if self.server is None:
            with closing(sqlite3.connect(self.services[0].database)) as connection:
                return [int(number) for (number,) in connection.execute(NUMBERS)]
        with self.server.connect(DATABASE) as connection:
            # `statements` counts who reads the table whole.
            connection.execute("SET enable_seqscan = off")
            return [int(number) for (number,) in connection.execute(NUMBERS).fetchall()]

    def _has_stored_all(self) -> bool:
        return not any(queue_length(service) for service in self.services)

    @contextmanager
    def _sampled(self) -> Iterator[None]:
        """Note the longest queue and the most memory while the block runs."""
        ended = threading.Event()

        def sample() -> None:
            while not ended.wait(SAMPLE_EVERY_SEC):
                # A service with ten thousand boards at once may answer late, or with 503.
                with suppress(OSError, KeyError):
                    lengths = [queue_length(service) for service in self.services]
                    self.queue_most = max(self.queue_most, sum(lengths))
                memory = sum(memory_mb(service.pid) for service in self.services)
                self.memory_most_mb = max(self.memory_most_mb, memory)

        thread = threading.Thread(target=sample)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def queue_length(service: Service) -> int:
    """How many readings wait at this service."""
    length: int = ask(service.port, "GET", "/metrics").json["queue_length"]
    return length


DATABASE = "boards"


@contextmanager
def place_of(
    name: str, bench: Bench, stations: int, options: Mapping[str, object] | None = None
) -> Iterator[Place]:
    """The services of that name on an empty database, each of which acknowledges a commit.

    `options` are those of PostgreSQL beside ours.
    """
    with bench.place() as folder, ExitStack() as stack:
        server = None
        settings: dict[str, object] = {"ack": "committed"}
        if name != SQLITE:
            # As root the server runs as another user.
            folder.chmod(0o755)
            server = PostgresServer(folder / "postgres", {**POSTGRES_OPTIONS, **(options or {})})
            stack.callback(server.close)
            server.start()
            server.create(DATABASE)
            settings["database_url"] = server.url(DATABASE)
        services = []
        for host in ("host1", "host2")[: 2 if name == TWO else 1]:
            data = folder / host / "data"
            data.mkdir(parents=True)
            text = "".join(STATION.format(name=station_name(n)) for n in range(stations))
            (data / "stations.toml").write_text(text, encoding="utf-8")
            own = settings | ({"host_name": host} if server else {})
            services.append(stack.enter_context(servers.ours(folder / host, None, **own)))
        yield Place(services, stations, server)


def boards(bench: Bench) -> Iterator[Run]:
    """Each number of boards at each place: on a usual day, after an outage, after a power cut."""
    for name in _places():
        for size in [bench.rows] if bench.rows else SIZES:
            with place_of(name, bench, min(size, STATIONS)) as place:
                for stage in SIZES.get(size, STAGES):
                    values = place.run(bench, size, stage, STAGE_SEC[stage])
                    yield Run("boards", f"{name}; {size}; {stage}", 0, values)


def knee(bench: Bench) -> Iterator[Run]:
    """More and more boards, until the slowest hundredth waits for a second or some are refused."""
    for name in _places():
        with place_of(name, bench, STATIONS) as place:
            for size in (bench.rows,) if bench.rows else KNEE_SIZES:
                values = place.run(bench, size, "steady", KNEE_SEC)
                values["is_borne"] = float(is_borne(values))
                yield Run("knee", f"{name}; {size}", 0, values)
                if not values["is_borne"]:
                    break


def is_borne(values: dict[str, float]) -> bool:
    """Whether all of so many boards are answered in time."""
    failed = sum(values[name] for name in ("refused", "unanswered", "not_connected"))
    return not failed and values["p99_ms"] <= KNEE_P99_MS


def _places() -> Sequence[str]:
    if reason := obstacle():
        print(f"Only on SQLite: {reason}")
        return PLACES[:1]
    return PLACES


ROWS: dict[str, Row] = {"boards": boards, "knee": knee}


def main() -> None:
    """Print the account of a stage, and write which readings were acknowledged."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.boards", description=__doc__)
    parser.add_argument("ports", type=int, nargs="+")
    parser.add_argument("--boards", type=int, default=1000)
    parser.add_argument("--stations", type=int, default=1, help="that they share")
    parser.add_argument("--stage", choices=STAGES, default=STAGES[0])
    parser.add_argument("--seconds", type=float, default=INTERVAL_SEC)
    parser.add_argument("--first", type=int, default=0, help="the first number of a reading")
    parser.add_argument("--acknowledged", type=Path, help="a file for what was acknowledged")
    given = parser.parse_args()
    # A connection for each board that waits for its answer.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with suppress(PermissionError):
        # Boards have processors of their own.
        mine = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, 0, min(NICENESS, mine))
    each = [Board(n, station_name(n % given.stations)) for n in range(given.boards)]
    all_of_them = Boards(given.ports, each)
    account = all_of_them.run(given.stage, given.seconds, given.first)
    if given.acknowledged:
        given.acknowledged.write_text(json.dumps(all_of_them.acknowledged))
    print(json.dumps(account))


if __name__ == "__main__":
    main()
