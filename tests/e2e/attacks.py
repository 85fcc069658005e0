"""Attacks: clients that send or read slowly, by accident or on purpose, and hold on."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPException
from pathlib import Path

from tests.e2e.senders import HOST, ask, reading_of
from tests.support.rows import insert_series

BODY = json.dumps(reading_of(1)).encode()
HEAD = b"POST /data2 HTTP/1.1\r\nHost: pi\r\nContent-Type: application/json\r\n"
OVERSIZE = b"Content-Length: 200000\r\n\r\n" + b"x" * 1000
# Never anywhere near what a real reader's device has; so the kernel takes little for it.
SMALL_BUFFER_BYTES = 4096
PROBE_PAUSE_SEC = 0.05
# Like an impatient person with a browser; a silenced service is told from a slow one by then.
PROBE_GIVES_UP_SEC = 12.0

Socks = list[socket.socket]
Attack = Callable[[int], "Iterator[Socks]"]


def _connected(port: int, number: int, first: bytes) -> Iterator[Socks]:
    """Connections that have sent this much, and stay open."""
    with ExitStack() as stack:
        socks = []
        for _ in range(number):
            sock = socket.socket()
            stack.callback(sock.close)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER_BYTES)
            sock.settimeout(PROBE_GIVES_UP_SEC)
            sock.connect((HOST, port))
            sock.sendall(first)
            socks.append(sock)
        yield socks


def silent(port: int) -> Iterator[Socks]:
    """Eight connections on which nothing comes."""
    return _connected(port, 8, b"")


def half_heads(port: int) -> Iterator[Socks]:
    """Eight requests whose head breaks off."""
    return _connected(port, 8, HEAD[:40])


def half_bodies(port: int) -> Iterator[Socks]:
    """Eight requests whose body breaks off."""
    length = b"Content-Length: %d\r\n\r\n" % len(BODY)
    return _connected(port, 8, HEAD + length + BODY[:20])


def half_chunks(port: int) -> Iterator[Socks]:
    """Eight chunked bodies that break off within a chunk."""
    return _connected(port, 8, HEAD + b"Transfer-Encoding: chunked\r\n\r\n40\r\n" + BODY[:20])


def oversize(port: int) -> Iterator[Socks]:
    """Forty bodies that are too long by their Content-Length, begun and held open."""
    return _connected(port, 40, HEAD + OVERSIZE)


def oversize_elsewhere(port: int) -> Iterator[Socks]:
    """Forty such bodies for a route that takes none."""
    return _connected(port, 40, HEAD.replace(b"/data2", b"/healthz") + OVERSIZE)


def dribble(port: int) -> Iterator[Socks]:
    """Eight senders, half of them in the head and half in the body, of one byte a second."""
    head = contextmanager(_connected)(port, 4, HEAD)
    body = contextmanager(_connected)(port, 4, HEAD + b"Content-Length: 300\r\n\r\n{")
    with head as in_heads, body as in_bodies, _each_second(in_heads + in_bodies, _send_byte):
        yield in_heads + in_bodies


def slow_readers(port: int) -> Iterator[Socks]:
    """Eight downloads of the whole history, read at a byte a second."""
    asked = contextmanager(_connected)(port, 8, b"GET /history.csv HTTP/1.1\r\nHost: pi\r\n\r\n")
    with asked as socks, _each_second(socks, lambda sock: sock.recv(1)):
        yield socks


def slow_page_readers(port: int) -> Iterator[Socks]:
    """Eight pages of the history that are never read."""
    line = b"GET /history/json?limit=1000 HTTP/1.1\r\nHost: pi\r\n\r\n"
    return _connected(port, 8, line)


ATTACKS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        silent,
        half_heads,
        half_bodies,
        half_chunks,
        dribble,
        oversize,
        oversize_elsewhere,
        slow_readers,
        slow_page_readers,
    )
}


def _send_byte(sock: socket.socket) -> None:
    sock.send(b"a")


@contextmanager
def _each_second(socks: Socks, act: Callable[[socket.socket], object]) -> Iterator[None]:
    done = threading.Event()

    def run() -> None:
        while not done.wait(1):
            for sock in socks:
                try:
                    act(sock)
                except OSError:
                    continue

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextmanager
def under(attack: Attack, port: int) -> Iterator[Socks]:
    """The attack goes on while the block runs."""
    with contextmanager(attack)(port) as socks:
        yield socks


def slowest_answer_sec(port: int, for_sec: float, workers: Iterable[int] = ()) -> float:
    """Ask `/healthz` again and again for so long; one that never came counts as infinitely slow.

    For how long other programs kept the processor from one of the workers' threads is taken off: a
    test that shares the machine with many must not find the service slow for it.
    """
    slowest, end = 0.0, time.monotonic() + for_sec
    while time.monotonic() < end:
        waits, asked = waits_for_processor(workers), time.monotonic()
        if not healthy(port):
            return float("inf")
        answered = time.monotonic()
        slowest = max(slowest, answered - asked - starved_sec(waits, workers))
        time.sleep(PROBE_PAUSE_SEC)
    return slowest


def waits_for_processor(workers: Iterable[int]) -> dict[Path, int]:
    """For how many ns each thread could have run but had no processor (kernel: sched-stats)."""
    waits = {}
    for worker in workers:
        for thread in Path(f"/proc/{worker}/task").glob("*"):
            with suppress(OSError):
                waits[thread] = int((thread / "schedstat").read_text().split()[1])
    return waits


def starved_sec(before: dict[Path, int], workers: Iterable[int]) -> float:
    """How long the one thread that had to wait longest for a processor has waited since then."""
    now = waits_for_processor(workers)
    return max((now[thread] - before.get(thread, 0) for thread in now), default=0) / 1e9


def healthy(port: int) -> bool:
    """Whether `/healthz` answers 200 before an impatient person gives up."""
    try:
        return ask(port, "GET", "/healthz", timeout_sec=PROBE_GIVES_UP_SEC).status == 200
    except (OSError, HTTPException):
        return False


def fill(database: Path, rows: int) -> None:
    """Readings stored behind the service's back, a minute apart, so that a download is long."""
    first = 1_700_000_000_000
    insert_series(
        database,
        rows,
        endpoint="'data'",
        received_at=f"{first} + 60000 * (i - 1)",
        pressure="(i - 1) % 2000",
        temperature="(i - 1) % 40 + 0.1",
    )
