"""What answers beside the service during an update, as systemd starts it."""

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flask10x.maintenance import stand_in
from tests.e2e.senders import HOST, Answer, ask, raw_connection, read_answer
from tests.e2e.test_held_port import HAND_OVER


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    with socket.create_server((HOST, 0)) as listener:
        yield listener


@pytest.fixture(scope="module")
def port(listener: socket.socket) -> Iterator[int]:
    script = Path(stand_in.__file__)
    words = ["bash", "-c", HAND_OVER, str(listener.fileno()), sys.executable, "-I", str(script)]
    with subprocess.Popen(words, pass_fds=[listener.fileno()], cwd="/") as process:
        port = listener.getsockname()[1]
        # It has answered once, so that SIGTERM does not come before it listens for that.
        ask(port, "GET", "/healthz")
        yield port
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_a_reading_is_asked_for_again(port: int) -> None:
    def post(path: str) -> Answer:
        return ask(port, "POST", path, b'{"co2": 650}', "application/json")

    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(post, ["/data2", "/api/v1/readings"] * 20))
    for answer in answers:
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert json.loads(answer.body) == {"status": "queued_failed"}


def test_a_page_too(port: int) -> None:
    assert ask(port, "GET", "/history").status == 503


def test_a_sender_that_announces_more_than_it_sends_is_answered(port: int) -> None:
    with raw_connection(port) as sock:
        sock.sendall(b"POST /data HTTP/1.1\r\nHost: pi\r\nContent-Length: 30\r\n\r\n{}")
        assert read_answer(sock).status == 503


def test_what_the_service_takes_is_left_to_it(listener: socket.socket, port: int) -> None:
    """A program that takes what comes, beside it, gets all of it."""

    def serve() -> None:
        for _n in range(100):
            connection, _address = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    # It is the same socket for both, and the other one has made it so that nothing waits.
    listener.setblocking(True)
    # It ends by count: told to end, it could stop before it takes the last connection, and the
    # stand-in would rightly answer that one.
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    statuses = [ask(port, "GET", "/healthz").status for _n in range(100)]
    assert statuses == [200] * 100
    thread.join()
