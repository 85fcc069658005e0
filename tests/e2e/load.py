"""Load: several clients that post one reading after the other, and the account of it."""

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException

from tests.e2e.senders import ANSWER_TIMEOUT_SEC, LATEST_ANSWER_SEC, Client, reading_of
from tests.e2e.service import Service, wait_until

BURST_SEC = 0.2
BURST_ANSWERS = 50
# A client's rest after each answer: whatever a service does under load meets this one too, and
# more would only take the processor from the tests beside it. Long variants rest not at all.
REST_SEC = 0.01


@dataclass(slots=True)
class Load:
    """Clients that post numbered readings to `endpoint`, each with a rest after each answer.

    Every reading has a number that no other reading of this object's `numbers` has. Half of the
    clients keep their connection. A client ends when told to, or when its connection is refused.
    """

    port: int
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    clients: int = 4
    body_of: Callable[[int], object] = reading_of
    """What is posted for a number; only an account by numbers needs them to differ."""
    endpoint: str = "data2"
    acknowledged: list[int] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    slowest_sec: float = 0.0
    slowest: str = ""
    """What came of the slowest one: its status, or the error that ended it."""
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Let the clients begin."""
        for index in range(self.clients):
            keep_alive = index % 2 == 0
            thread = threading.Thread(target=self._run, args=(keep_alive,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Let each client finish its request, and wait for all of them."""
        self._stop.set()
        for thread in self._threads:
            thread.join(ANSWER_TIMEOUT_SEC + 5)
            assert not thread.is_alive(), "a client hangs"

    @contextmanager
    def running(self) -> Iterator[None]:
        """The clients post while the block runs."""
        self.start()
        try:
            yield
        finally:
            self.stop()

    def burst(self) -> None:
        """Return after a while of posting; the clients go on."""
        ends = time.monotonic() + BURST_SEC
        enough = len(self.acknowledged) + BURST_ANSWERS
        wait_until(
            lambda: time.monotonic() > ends and len(self.acknowledged) >= enough, 60, "a burst"
        )

    def check_answers(self, within_sec: float = LATEST_ANSWER_SEC) -> None:
        """A worker that stops may refuse with 503; nothing else, and nothing late."""
        assert self.statuses.keys() <= {200, 503}, self.statuses
        assert self.slowest_sec < within_sec, f"{self.slowest_sec:.1f} s: {self.slowest}"

    def _run(self, keep_alive: bool) -> None:
        client = Client(self.port, keep_alive=keep_alive)
        try:
            while not self._stop.is_set():
                self._post_next(client)
                time.sleep(REST_SEC)
        except ConnectionRefusedError:
            pass
        finally:
            client.close()

    def _post_next(self, client: Client) -> None:
        number = next(self.numbers)
        started = time.monotonic()
        try:
            answer = client.post(self.endpoint, json.dumps(self.body_of(number)).encode())
        except ConnectionRefusedError:
            raise
        except (OSError, HTTPException) as error:
            self._note(number, None, repr(error), started)
        else:
            self._note(number, answer.status, "", started)

    def _note(self, number: int, status: int | None, error: str, started: float) -> None:
        seconds = time.monotonic() - started
        with self._lock:
            self.sent.append(number)
            if seconds > self.slowest_sec:
                self.slowest_sec, self.slowest = seconds, str(status or error)
            if status is None:
                self.broken.append(error)
                return
            self.statuses[status] += 1
            if status == 200:
                self.acknowledged.append(number)


def check_rows(service: Service, loads: Sequence[Load]) -> None:
    """Acknowledged readings are rows, each once, and no row is a reading that nobody sent."""
    stored = stored_numbers(service)
    acknowledged = {number for load in loads for number in load.acknowledged}
    assert acknowledged - stored.keys() == set(), "acknowledged but not stored"
    assert stored.keys() - {number for load in loads for number in load.sent} == set()
    assert [number for number, times in stored.items() if times > 1] == []


def stored_numbers(service: Service) -> Counter[int]:
    """How often each reading's own number is stored."""
    rows = service.rows("SELECT gas_resistance FROM readings WHERE endpoint = 'data2'")
    return Counter(int(number) for (number,) in rows)
