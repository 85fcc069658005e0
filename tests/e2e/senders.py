"""Senders: clients as they are found in the field, from keep-alive loops to raw sockets."""

import json
import select
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any

HOST = "127.0.0.1"
JSON_TYPE = "application/json"
# A sender in the field gives up after 3 to 5 s (contract, section 7); a test waits longer, so that
# a late answer is reported as late and not as a broken connection.
ANSWER_TIMEOUT_SEC = 15.0
LATEST_ANSWER_SEC = 3.0
SHORT_ANSWER_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON; `NaN` and its like are no JSON and raise ValueError."""
        return json.loads(self.body, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _answer_of(response: HTTPResponse) -> Answer:
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())


def ask(
    port: int,
    method: str,
    path: str,
    body: bytes | None = None,
    content_type: str | None = None,
    timeout_sec: float = ANSWER_TIMEOUT_SEC,
) -> Answer:
    """One request over its own connection."""
    connection = HTTPConnection(HOST, port, timeout=timeout_sec)
    try:
        headers = {"Connection": "close"}
        if content_type is not None:
            headers["Content-Type"] = content_type
        connection.request(method, path, body, headers)
        return _answer_of(connection.getresponse())
    finally:
        connection.close()


@contextmanager
def raw_connection(port: int) -> Iterator[socket.socket]:
    """A plain TCP connection to the service."""
    with socket.create_connection((HOST, port), timeout=ANSWER_TIMEOUT_SEC) as sock:
        yield sock


def read_answer(sock: socket.socket) -> Answer:
    """The next answer on this connection; interim `100 Continue` answers are skipped."""
    response = HTTPResponse(sock, method="POST")
    try:
        response.begin()
        return _answer_of(response)
    finally:
        response.close()


def exchange(port: int, request: bytes) -> Answer:
    """Send these bytes as they are over one connection and read the answer."""
    with raw_connection(port) as sock:
        sock.sendall(request)
        return read_answer(sock)


def check_ingest_answer(answer: Answer) -> None:
    """What every answer of an ingest route owes a small board (contract, section 7)."""
    assert answer.headers.get("content-length") == str(len(answer.body)), answer
    assert "transfer-encoding" not in answer.headers, answer
    assert "content-encoding" not in answer.headers, answer
    assert "location" not in answer.headers, answer
    assert not 300 <= answer.status < 400, answer
    assert len(answer.body) <= SHORT_ANSWER_BYTES, answer


def reading_of(number: int) -> dict[str, float]:
    """A good `/data2` reading that carries a number of its own as its gas resistance."""
    return {"co2": 650, "temperature": 25.1, "humidity": 52, "pressure": 1013.2, "gas_res": number}


# The service closes a connection that brings nothing for 5 s; an older one may just be closing.
IDLE_SEC = 4


class Client:
    """One sender that keeps its connection while it is in use, or opens one for each reading."""

    def __init__(self, port: int, *, keep_alive: bool) -> None:
        self._connection = HTTPConnection(HOST, port, timeout=ANSWER_TIMEOUT_SEC)
        self._keep_alive = keep_alive
        self._headers = {"Connection": "keep-alive" if keep_alive else "close"}
        self._answered_at_sec = time.monotonic()

    def post(self, endpoint: str, body: bytes, content_type: str = JSON_TYPE) -> Answer:
        """Post one body; raises what the connection raises, and can be used again after that."""
        headers = self._headers | ({"Content-Type": content_type} if content_type else {})
        if time.monotonic() - self._answered_at_sec > IDLE_SEC or self._was_closed:
            self._connection.close()
        try:
            self._connection.request("POST", f"/{endpoint}", body, headers)
            answer = _answer_of(self._connection.getresponse())
        except (OSError, HTTPException):
            self._connection.close()
            raise
        self._answered_at_sec = time.monotonic()
        if not self._keep_alive:
            self._connection.close()
        return answer

    @property
    def _was_closed(self) -> bool:
        """Whether the service has closed the connection since its answer, as urllib3 looks."""
        sock: socket.socket | None = self._connection.sock
        return sock is not None and bool(select.select([sock], [], [], 0)[0])

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
