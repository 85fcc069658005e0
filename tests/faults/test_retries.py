"""Boards that send again whatever they have no answer for, while the service is killed under them.

Each reading has a key, and each is stored exactly once, however often it was sent.
"""

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from typing import Any

import pytest

from tests.e2e.conftest import MakeService
from tests.e2e.senders import HOST, reading_of
from tests.e2e.service import Service, wait_until
from tests.faults.test_kills import kill_all, moment

pytestmark = pytest.mark.tools

BOARDS = 4
BATCH_READINGS = 5
PAUSE_SEC = 0.02
ANSWERED_BETWEEN_KILLS = 10
KILLS = 10


class Board:
    """Sends its own numbers, one by one or in batches, each until it is answered with 200."""

    def __init__(self, service: Service, number: int, *, batches: bool) -> None:
        self._service, self._batches = service, batches
        self._next = 10_000 * (number + 1)
        self._stop = threading.Event()
        self.accepted: Counter[int] = Counter()
        """How often each number was answered as a new reading."""
        self.done: list[int] = []
        """The numbers that were answered, in their order."""
        self.unanswered = 0
        """How often it had to send again because the service was gone, or went meanwhile."""
        self.surprises: list[object] = []
        self.thread = threading.Thread(target=self._run)

    def stop(self) -> None:
        """End it once what it has begun is answered."""
        self._stop.set()
        self.thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            count = BATCH_READINGS if self._batches else 1
            numbers = [*range(self._next, self._next + count)]
            self._next += count
            self._send_until_answered(numbers, again=False)
            self.done += numbers
            if random.random() < 0.3:
                # The answer was lost on its way to the board, say.
                self._send_until_answered(numbers, again=True)

    def _send_until_answered(self, numbers: list[int], *, again: bool) -> None:
        while (answered := self._send(numbers)) is None:
            time.sleep(PAUSE_SEC)
        for number, status in zip(numbers, answered, strict=True):
            if status in ("enqueued", "committed") and not again:
                self.accepted[number] += 1
            # While the first one waits for its commit.
            elif status != "duplicate" and not (again and status == "enqueued"):
                self.surprises.append((number, status))

    def _send(self, numbers: list[int]) -> list[str] | None:
        """What was answered for each of them; None when they have to be sent again."""
        connection = HTTPConnection(HOST, self._service.port, timeout=10)
        try:
            connection.request("POST", *self._request(numbers))
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, HTTPException, ValueError):
            self.unanswered += 1
            return None
        finally:
            connection.close()
        if response.status != 200:
            if response.status != 503:
                self.surprises.append(answer)
            return None
        return [one["status"] for one in answer.get("results", [answer])]

    def _request(self, numbers: list[int]) -> tuple[str, str, dict[str, str]]:
        headers = {"Content-Type": "application/json"}
        if self._batches:
            items = [
                {"endpoint": "data2", "id": number, "data": reading_of(number)}
                for number in numbers
            ]
            return "/api/v1/readings", json.dumps(items), headers
        (number,) = numbers
        return "/data2", json.dumps(reading_of(number)), headers | {"Idempotency-Key": f"{number}"}


@contextmanager
def sending(service: Service) -> Iterator[list[Board]]:
    """Half of the boards send single readings, half batches."""
    boards = [Board(service, number, batches=number % 2 > 0) for number in range(BOARDS)]
    for board in boards:
        board.thread.start()
    try:
        yield boards
    finally:
        for board in boards:
            board.stop()


def wait_for_answers(boards: list[Board]) -> None:
    """Until each board has got some more of its numbers answered, and a moment longer."""
    enough = {board: len(board.done) + ANSWERED_BETWEEN_KILLS for board in boards}
    wait_until(lambda: all(len(board.done) >= n for board, n in enough.items()), 60, "answers")
    moment()


@pytest.mark.long
@pytest.mark.timeout(600)
def test_each_key_is_stored_once_whichever_process_is_killed(
    service: MakeService, promise: dict[str, Any]
) -> None:
    """A worker, and then all of it, while boards send again what was not answered."""
    running = service(**promise)
    with sending(running) as boards:
        for _ in range(KILLS):
            wait_for_answers(boards)
            os.kill(random.choice([*running.workers()]), signal.SIGKILL)
            wait_for_answers(boards)
            kill_all(running)
            running.start()
        wait_for_answers(boards)
    running.stop()
    running.check_integrity()
    assert [board.surprises for board in boards] == [[]] * BOARDS
    assert all(set(board.accepted.values()) <= {1} for board in boards)
    assert all(board.unanswered >= KILLS for board in boards), "a kill that nobody noticed"
    stored = Counter(
        int(number) for (number,) in running.rows("SELECT gas_resistance FROM readings")
    )
    assert stored == Counter(number for board in boards for number in board.done)
