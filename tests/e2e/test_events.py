"""Open pages of a running service: they hold up nobody, and nothing waits for them."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.e2e.conftest import MakeService
from tests.e2e.senders import HOST
from tests.e2e.service import Service, open_files, processes, wait_until

PAGES = 20
HEAD = b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"


class OpenPage:
    """One that follows the events."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._came = b""

    def event(self, within_sec: float) -> Any:
        """The next event of readings that came, or the first; None at the end of the answer."""
        until = time.monotonic() + within_sec
        while True:
            event, found, rest = self._came.partition(b"\n\n")
            if found:
                self._came = rest
                told = json.loads(event.rpartition(b"data: ")[2])
                # Something comes each ten seconds, and is of no station.
                if told["last_id"] is not None and told["stations"] != []:
                    return told
                continue
            self._sock.settimeout(max(0.001, until - time.monotonic()))
            came = self._sock.recv(4096)
            if not came:
                return None
            self._came += came


@contextmanager
def open_page(port: int) -> Iterator[OpenPage]:
    with socket.create_connection((HOST, port)) as sock:
        sock.sendall(HEAD)
        yield OpenPage(sock)


def connections(service: Service) -> int:
    """The sockets of the workers."""
    workers = [pid for pid, parent, _ in processes() if parent == service.pid]
    return sum(name.startswith("socket:") for pid in workers for name in open_files(pid))


def is_closed(port: int) -> bool:
    try:
        socket.create_connection((HOST, port)).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.tools
def test_all_are_told_and_none_is_waited_for(service: MakeService) -> None:
    """Also of what another process has stored; one that has gone is forgotten at once."""
    running = service(commit_interval_sec=0)
    running.wait_for_workers()
    with ExitStack() as stack:
        pages = [stack.enter_context(open_page(running.port)) for _ in range(PAGES)]
        firsts = {page.event(20)["last_id"] for page in pages}
        assert firsts == {0}
        # They take no thread: a page is answered, and a reading.
        assert running.get("/history").status == 200
        assert running.post("data", {"pressure": 1000, "temperature": 20}).status == 200
        for page in pages:
            assert page.event(20) == {"last_id": 1, "stations": ["data"]}
        old = running.folder / "BedRoomEnv.csv"
        head = "current_time,CO2,Tempereture,Humidity,Pressure,GasResistance"
        old.write_text(f"{head}\r\n2025-08-24 09:00:00,650,25,50,1000,5000\r\n", newline="")
        assert running.command("import", str(old)).returncode == 0
        for page in pages:
            assert page.event(20) == {"last_id": 2, "stations": ["data2"]}
        # A worker that was still starting has opened its own by now, too.
        opened = connections(running)
        assert opened >= PAGES
    wait_until(lambda: connections(running) <= opened - PAGES, 12, "their connections are closed")
    with open_page(running.port) as one, open_page(running.port) as other:
        assert one.event(20) and other.event(20)
        began_sec = time.monotonic()
        running.stop()
        # Each would have been waited for as long as a request in flight, 10 s.
        assert time.monotonic() - began_sec < 8
        assert one.event(20) is None and other.event(20) is None


@pytest.mark.tools
def test_none_keeps_a_thread_or_a_stop(service: MakeService) -> None:
    """By another way to write its path, and by asking again while the service stops."""
    running = service(workers=1, threads=1)
    with socket.create_connection((HOST, running.port)) as sock:
        sock.sendall(HEAD.replace(b"/events", b"//events"))
        sock.settimeout(5)
        assert sock.recv(12) == b"HTTP/1.1 200"
        assert running.get("/history").status == 200
    with socket.create_connection((HOST, running.port)) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert sock.recv(4096)
        stopping = threading.Thread(target=running.stop)
        began_sec = time.monotonic()
        stopping.start()
        # The browser's connection is there still, and the end of the stream was told already.
        wait_until(lambda: is_closed(running.port), 20, "it takes no more connections")
        sock.sendall(HEAD)
        stopping.join()
        # It would be waited for as long as a request in flight, 10 s.
        assert time.monotonic() - began_sec < 8
        sock.settimeout(20)
        assert sock.recv(12) == b"HTTP/1.1 200"
        while sock.recv(4096):
            pass


@pytest.mark.tools
def test_they_keep_no_reading_out_where_files_are_few(service: MakeService) -> None:
    running = service(start=False, workers=1, commit_interval_sec=0)
    running.wrapper = ("prlimit", "--nofile=64")
    running.start()
    with ExitStack() as stack:
        answers = []
        for _ in range(PAGES):
            sock = stack.enter_context(socket.create_connection((HOST, running.port)))
            sock.sendall(HEAD)
            sock.settimeout(20)
            answers.append(sock.recv(12))
        # An eighth of the files of a process.
        assert answers == [b"HTTP/1.1 200"] * 8 + [b"HTTP/1.1 503"] * 12
        assert running.post("data", {"pressure": 1000, "temperature": 20}).status == 200
