"""Boards that send to two service hosts, with keys and without.

One with keys asks the other host for what the first does not answer, and sends each reading until
some host has answered it with 200. One without knows one host only and sends no reading twice.
"""

import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException

from tests.e2e.senders import HOST, JSON_TYPE, ask, reading_of
from tests.e2e.service import Service

NUMBER = 8
BATCH_READINGS = 5
REST_SEC = 0.1
PAUSE_SEC = 0.2
# ACK_TIMEOUT_SEC is 2 s; boards wait no longer than this, and then don't know.
TIMEOUT_SEC = 6.0
NUMBERS_EACH = 10_000_000
# From this on they are numbers of boards without keys.
UNKEYED_FROM = NUMBERS_EACH * (NUMBER + 1)
ENDPOINT = "data2"
# The end of what a 503 says of a reading that waits: all others say that it was not taken.
MAY_BE_STORED = "; it may yet be stored"


class Board:
    """Sends its own numbers, one by one or in batches."""

    def __init__(self, hosts: Sequence[Service], number: int, *, batches: bool) -> None:
        self._ports = itertools.cycle([host.port for host in hosts][:: -1 if number % 4 > 1 else 1])
        self._port = next(self._ports)
        self._batches = batches
        self._next = NUMBERS_EACH * (number + 1)
        self._stop, self._give_up = threading.Event(), threading.Event()
        self.done: list[int] = []
        """The numbers that were answered with 200, in their order."""
        self.accepted: Counter[int] = Counter()
        """How often each was answered as a new one, and not as a repeat."""
        self.answered_at_sec: list[float] = []
        """When, in monotonic seconds, something new was acknowledged."""
        self.sent = self.refused = self.unanswered = 0
        self.surprises: list[object] = []
        self.thread = threading.Thread(target=self._run, name=f"board {number}")

    def stop(self) -> None:
        """End it once what it has begun is answered."""
        self._stop.set()
        self.thread.join()

    def give_up(self) -> None:
        """End it at once; nobody will ask what became of its last numbers."""
        self._give_up.set()
        self.stop()

    def _run(self) -> None:
        while not self._stop.is_set():
            count = BATCH_READINGS if self._batches else 1
            numbers = [*range(self._next, self._next + count)]
            self._next += count
            self.sent += count
            self._send_until_answered(numbers, again=False)
            if self._give_up.is_set():
                return
            self.done += numbers
            if random.random() < 0.1:
                # The answer was lost on its way, say; the other host is asked.
                self._port = next(self._ports)
                self._send_until_answered(numbers, again=True)
            time.sleep(REST_SEC)

    def _send_until_answered(self, numbers: list[int], *, again: bool) -> None:
        while (answered := self._send(numbers)) is None:
            if self._give_up.is_set():
                return
            self._port = next(self._ports)
            time.sleep(PAUSE_SEC)
        self.answered_at_sec.append(time.monotonic())
        for number, status in zip(numbers, answered, strict=True):
            if status == "committed" and not again:
                self.accepted[number] += 1
            elif status != "duplicate":
                self.surprises.append((number, status))

    def _send(self, numbers: list[int]) -> list[str] | None:
        """What was answered for each of them; None when they have to be sent again."""
        connection = HTTPConnection(HOST, self._port, timeout=TIMEOUT_SEC)
        try:
            connection.request("POST", *self._request(numbers))
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, HTTPException, ValueError):
            self.unanswered += 1
            return None
        finally:
            connection.close()
        if response.status == 200:
            return [one["status"] for one in answer.get("results", [answer])]
        self.refused += 1
        if response.status != 503:
            self.surprises.append((response.status, answer))
        return None

    def _request(self, numbers: list[int]) -> tuple[str, str, dict[str, str]]:
        headers = {"Content-Type": "application/json", "Connection": "close"}
        if self._batches:
            items = [
                {"endpoint": ENDPOINT, "id": number, "data": reading_of(number)}
                for number in numbers
            ]
            return "/api/v1/readings", json.dumps(items), headers
        (number,) = numbers
        headers["Idempotency-Key"] = f"{number}"
        return f"/{ENDPOINT}", json.dumps(reading_of(number)), headers


class UnkeyedBoard:
    """Posts to one host, as a board that was never told of keys; each reading has another value.

    It sends nothing again, so each of its posts is stored once or not at all.
    """

    def __init__(self, host: Service, number: int) -> None:
        self._port = host.port
        self._numbers = itertools.count(UNKEYED_FROM + NUMBERS_EACH * number)
        self._stop = threading.Event()
        self.acknowledged: list[int] = []
        """The numbers that were answered with 200, in their order."""
        self.unsure: set[int] = set()
        """Those that may be stored: without an answer, or with one that says so."""
        self.answered_at_sec: list[float] = []
        """When, in monotonic seconds, something was acknowledged."""
        self.sent = self.refused = self.unanswered = 0
        self.surprises: list[object] = []
        self.thread = threading.Thread(target=self._run, name=f"board {number} without keys")

    def stop(self) -> None:
        """End it after the answer to its last post."""
        self._stop.set()
        self.thread.join()

    def give_up(self) -> None:
        """The same: it asks no second time."""
        self.stop()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._post(next(self._numbers))
            time.sleep(REST_SEC)

    def _post(self, number: int) -> None:
        self.sent += 1
        body = json.dumps(reading_of(number)).encode()
        try:
            answer = ask(self._port, "POST", f"/{ENDPOINT}", body, JSON_TYPE, TIMEOUT_SEC)
            told = answer.json
        except (OSError, HTTPException, ValueError):
            self.unanswered += 1
            self.unsure.add(number)
            return
        if (answer.status, told) == (200, {"status": "committed"}):
            self.acknowledged.append(number)
            self.answered_at_sec.append(time.monotonic())
            return
        self.refused += 1
        if answer.status != 503 or told["status"] != "queued_failed":
            self.surprises.append((answer.status, told))
        elif told.get("detail", "").endswith(MAY_BE_STORED):
            self.unsure.add(number)


@contextmanager
def boards(hosts: Sequence[Service]) -> Iterator[tuple[list[Board], list[UnkeyedBoard]]]:
    """Eight with keys, and for each host one without.

    Half of those with keys send single readings, half batches, half of each to another host first.
    """
    keyed = [Board(hosts, number, batches=number % 2 > 0) for number in range(NUMBER)]
    unkeyed = [UnkeyedBoard(host, number) for number, host in enumerate(hosts)]
    made: list[Board | UnkeyedBoard] = [*keyed, *unkeyed]
    for board in made:
        board.thread.start()
    try:
        yield keyed, unkeyed
    finally:
        for board in made:
            board.give_up()
