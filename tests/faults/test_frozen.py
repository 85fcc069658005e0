"""A service that is frozen, watched as systemd watches it: by what it says and how long it waits.

The test listens in systemd's place. With a booted systemd it is in `tests/e2e/test_package.py`.
"""

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import make_services
from tests.e2e.senders import reading_of
from tests.e2e.service import PATIENCE_SEC, Service, wait_until
from tests.e2e.test_stopping import reload_workers
from tests.faults import slow_disk
from tests.faults.read_error import compiled
from tests.support.databases import ON_POSTGRES
from tests.support.new_database import lay_new_database

WATCHDOG_SEC = 4
# Gunicorn's `timeout` and its next looks.
REPLACED_WITHIN_SEC = 30 + PATIENCE_SEC
# Twice as long as systemd waits here; in the long run what a worn card may take.
SLOW_MS, WORN_MS = 8_000, 30_000


class Heard:
    """What systemd hears, each with the time at which it came."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.words: list[tuple[float, str]] = []

    def listen(self, seconds: float) -> list[str]:
        """What comes within this time."""
        until, before = time.monotonic() + seconds, len(self.words)
        while (rest := until - time.monotonic()) > 0:
            self._sock.settimeout(rest)
            try:
                word = self._sock.recv(1000).decode()
            except TimeoutError:
                break
            self.words.append((time.monotonic(), word))
        return [word for _, word in self.words[before:]]

    def wait_for(self, word: str) -> None:
        """Return when it is heard."""
        wait_until(
            lambda: any(word in heard for heard in self.listen(0.2)), PATIENCE_SEC, f"{word} heard"
        )


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[Heard]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        yield Heard(sock)


@pytest.fixture
def service(tmp_path: Path, heard: Heard) -> Iterator[Service]:
    with make_services(tmp_path) as make:
        service = make(start=False)
        service.environment |= {
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "WATCHDOG_USEC": str(WATCHDOG_SEC * 1_000_000),
        }
        yield service


@pytest.mark.tools
def test_what_a_service_says_from_its_start_to_its_stop(service: Service, heard: Heard) -> None:
    service.launch()
    heard.wait_for("READY=1")
    assert service.get("/healthz").status == 200
    assert any("Worker starts" in line for line in service.log())
    heard.wait_for("WATCHDOG=1")
    reload_workers(service)
    heard.wait_for("READY=1")
    said = [word for _, word in heard.words]
    assert sum("RELOADING=1\nMONOTONIC_USEC=" in word for word in said) == 1
    service.stop()
    assert "STOPPING=1" in heard.listen(1)


@pytest.mark.tools
@pytest.mark.timeout(600)
def test_a_frozen_worker_is_replaced_and_nothing_is_lost(service: Service, heard: Heard) -> None:
    service.start()
    # One that still opens its database has more time: a large one may need it.
    wait_until(
        lambda: sum("Worker starts" in line for line in service.log()) == service.number_of_workers,
        PATIENCE_SEC,
        "all workers serve",
    )
    frozen, other = service.workers()
    sent = 0
    while sent < 50:
        assert service.post("data2", reading_of(sent)).status == 200
        sent += 1
    os.kill(frozen, signal.SIGSTOP)
    wait_until(
        lambda: heard.listen(0.5) is not None and frozen not in service.workers(),
        REPLACED_WITHIN_SEC,
        "the frozen worker is replaced",
    )
    service.wait_for_workers()
    assert other in service.workers()
    assert service.post("data2", reading_of(sent)).status == 200
    service.wait_for_rows(sent + 1)
    service.stop()


@pytest.mark.long
@pytest.mark.tools
@pytest.mark.timeout(600)
def test_a_frozen_master_says_nothing_and_its_readings_are_kept(
    service: Service, heard: Heard
) -> None:
    service.start()
    os.kill(service.pid, signal.SIGSTOP)
    heard.listen(WATCHDOG_SEC / 2)
    assert heard.listen(WATCHDOG_SEC) == []
    # Its workers receive meanwhile.
    for number in range(50):
        assert service.post("data2", reading_of(number)).status == 200
    # What systemd does after WatchdogSec, and after TimeoutStopSec with all of them.
    os.kill(service.pid, signal.SIGTERM)
    os.killpg(service.pid, signal.SIGKILL)
    service.process.wait()
    service.start()
    service.wait_for_rows(50)
    service.stop()


@pytest.mark.tools
@pytest.mark.timeout(900)
@pytest.mark.parametrize("slow_ms", [SLOW_MS, pytest.param(WORN_MS, marks=pytest.mark.long)])
def test_a_slow_card_ends_nothing(
    service: Service, heard: Heard, tmp_path_factory: pytest.TempPathFactory, slow_ms: int
) -> None:
    shim = compiled(slow_disk.SOURCE, tmp_path_factory.mktemp("slow"))
    lay_new_database(service.database)
    # What a start syncs takes as long.
    slow_disk.slow_down(service, shim, slow_ms)
    service.launch()
    wait_until(lambda: "READY=1" in "".join(heard.listen(1)), 10 * slow_ms / 1000, "it is ready")
    workers = service.workers()
    began = time.monotonic()
    for number in range(10):
        assert service.post("data2", reading_of(number)).status == 200
    while service.count() < 10:
        assert "WATCHDOG=1" in heard.listen(WATCHDOG_SEC)
        assert time.monotonic() - began < 10 * slow_ms / 1000
    if ON_POSTGRES:
        # Its server has a disk of its own, so all may have been stored at once.
        assert "WATCHDOG=1" in heard.listen(WATCHDOG_SEC)
    else:
        assert time.monotonic() - began > slow_ms / 1000 / 2
    assert service.workers() == workers
    service.close()
