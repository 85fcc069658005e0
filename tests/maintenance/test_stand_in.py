"""What answers in the place of the service while an update goes back, as systemd starts it."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flask10x.maintenance import stand_in
from tests.e2e.senders import HOST, ask, raw_connection, read_answer
from tests.e2e.test_held_port import HAND_OVER

pytestmark = pytest.mark.usefixtures("standing_in")


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server((HOST, 0)) as listener:
        script = Path(stand_in.__file__)
        words = ["bash", "-c", HAND_OVER, str(listener.fileno()), sys.executable, "-I", str(script)]
        with subprocess.Popen(words, pass_fds=[listener.fileno()], cwd="/") as process:
            yield listener.getsockname()[1]
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0


@pytest.fixture
def standing_in(port: int) -> None:
    """It has answered once, so that SIGTERM does not come before it listens for that."""
    ask(port, "GET", "/healthz")


def test_a_reading_is_asked_for_again(port: int) -> None:
    for path in ("/data2", "/api/v1/readings"):
        answer = ask(port, "POST", path, b'{"co2": 650}', "application/json")
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert json.loads(answer.body) == {"status": "queued_failed"}


def test_a_page_too(port: int) -> None:
    assert ask(port, "GET", "/history").status == 503


def test_a_sender_that_announces_more_than_it_sends_is_answered(port: int) -> None:
    with raw_connection(port) as sock:
        sock.sendall(b"POST /data HTTP/1.1\r\nHost: pi\r\nContent-Length: 30\r\n\r\n{}")
        assert read_answer(sock).status == 503
