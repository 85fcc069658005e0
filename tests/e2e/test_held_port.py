"""A port that systemd holds (deploy/flask10x.socket): no sender is refused, whatever restarts.

The test listens in systemd's place, and hands the socket over as systemd does (man 3
sd_listen_fds). Each sender sends again, with its key, what was not answered.
"""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from tests.e2e.senders import HOST, reading_of
from tests.e2e.service import Service, wait_until

pytestmark = pytest.mark.tools

# Bash, for which a number of a descriptor may have several digits; the process keeps its id.
HAND_OVER = 'exec 3<&"$0"; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@"'
SENDERS, EVERY_SEC = 40, 1.0
# Boards give up later (contract, section 7).
ANSWERED_WITHIN_SEC = 5.0
# As in the unit.
RESTART_SEC = 1.0
SETTLED_SEC = 2.0
# Sooner than it is asked to: what is stored late is stored, and a test ends.
LATER_SEC = 1.0


class HeldService(Service):
    """The service behind a socket that stays open while it is away."""

    def __init__(self, folder: Path, listener: socket.socket) -> None:
        super().__init__(folder, listener.getsockname()[1], {})
        self._listener = listener
        self.wrapper = ("bash", "-c", HAND_OVER, str(listener.fileno()))

    def launch(self, *options: str) -> None:
        """As systemd starts it, without a wait for its answers."""
        self.spawn(*options, inherited=[self._listener.fileno()])

    def restart(self) -> None:
        """`systemctl restart`: start at once when the former one has ended."""
        self.stop()
        self.launch()

    def kill(self) -> None:
        """kill -9 of all its processes, and the start by `Restart=`."""
        os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        time.sleep(RESTART_SEC)
        self.launch()


@dataclass
class Senders:
    """Boards that send a reading each second, each over a connection of its own."""

    port: int
    name: str = ""
    """What their keys begin with: others may have sent to this service before."""
    answered: dict[str, int] = field(default_factory=dict)
    """How often each reading was sent until it had its 200."""
    slowest_sec: float = 0.0
    """The longest that one of them waited for an answer."""
    sent_later: int = 0
    """How often one was asked to send again later, by a 503 that says when."""
    refused: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def sending(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._run, args=(n,)) for n in range(SENDERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _run(self, sender: int) -> None:
        # They are not all at once.
        self._stop.wait(sender * EVERY_SEC / SENDERS)
        number = 0
        while not self._stop.is_set():
            began = time.monotonic()
            self._send(f"{self.name}{sender}-{number}", sender * 10_000 + number)
            number += 1
            self._stop.wait(max(0.0, EVERY_SEC - (time.monotonic() - began)))

    def _send(self, key: str, number: int) -> None:
        began, tries = time.monotonic(), 0
        while True:
            tries += 1
            try:
                status = self._post(key, number)
                if status != 503:
                    break
                with self._lock:
                    self.sent_later += 1
                    self.slowest_sec = max(self.slowest_sec, time.monotonic() - began)
                time.sleep(LATER_SEC)
                began = time.monotonic()
            except ConnectionRefusedError as error:
                self.refused.append(repr(error))
                return
            except (OSError, HTTPException):
                # It was under way when all was killed.
                assert time.monotonic() - began < 60
        with self._lock:
            self.slowest_sec = max(self.slowest_sec, time.monotonic() - began)
            if status == 200:
                self.answered[key] = tries
            else:
                self.refused.append(str(status))

    def _post(self, key: str, number: int) -> int:
        connection = HTTPConnection(HOST, self.port, timeout=30)
        try:
            headers = {"Content-Type": "application/json", "Idempotency-Key": key}
            headers["Connection"] = "close"
            connection.request("POST", "/data2", json.dumps(reading_of(number)), headers)
            answer = connection.getresponse()
            assert answer.status != 503 or answer.getheader("Retry-After")
            return answer.status
        finally:
            connection.close()


@pytest.fixture
def held(tmp_path: Path) -> Iterator[HeldService]:
    with socket.create_server((HOST, 0), backlog=4096) as listener:
        service = HeldService(tmp_path, listener)
        yield service
        service.discard()


def took_sec(held: HeldService, away: Callable[[], None], workers: int) -> float:
    """Return how many seconds pass until the log counts so many booted workers."""
    began = time.monotonic()
    away()
    wait_until(lambda: held.output().count("Booting worker") >= workers, 60, "it runs again")
    return time.monotonic() - began


def test_no_sender_is_refused_whatever_restarts(held: HeldService) -> None:
    began = time.monotonic()
    held.start()
    start_sec = time.monotonic() - began
    senders = Senders(held.port)
    with senders.sending():
        time.sleep(SETTLED_SEC)
        back_sec = [took_sec(held, held.restart, 4)]
        time.sleep(SETTLED_SEC)
        back_sec.append(took_sec(held, held.kill, 6))
        time.sleep(SETTLED_SEC)
    assert (senders.refused, senders.sent_later) == ([], 0)
    # A booted worker still has to load the program, which takes less than a whole start.
    assert senders.slowest_sec < max(ANSWERED_WITHIN_SEC, max(back_sec) + start_sec)
    held.wait_for_rows(len(senders.answered))
    stored = [value for (value,) in held.rows("SELECT gas_resistance FROM readings")]
    assert len({*stored}) == len(stored)
    held.stop()
