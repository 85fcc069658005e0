"""Slow and hostile clients: `/healthz` answers within 2 s, and readings come in, whatever they do.

The bound is the requirement's own. explanation/slow-clients.md has the figures of a real run.
"""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.e2e.attacks import (
    ATTACKS,
    HEAD,
    Attack,
    fill,
    half_bodies,
    half_heads,
    oversize,
    silent,
    slow_readers,
    slowest_answer_sec,
    under,
)
from tests.e2e.conftest import make_services
from tests.e2e.senders import check_ingest_answer, raw_connection, read_answer, reading_of
from tests.e2e.service import PROJECT, Service, open_files, wait_until

pytestmark = pytest.mark.tools

HEALTHY_WITHIN_SEC = 2.0
PROBED_FOR_SEC = 1.5
# More than the kernel holds for a connection; in CSV about 4 MB.
ROWS = 100_000
# Gunicorn's loop looks once a second, and a busy machine later.
GIVEN_UP_WITHIN_SEC = 20.0


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with make_services(tmp_path_factory.mktemp("attacked")) as make:
        made = make(commit_interval_sec=0)
        fill(made.database, ROWS)
        yield made


@pytest.mark.parametrize(
    "attack",
    # `test_all_attacks_together` has most of them at once.
    [
        pytest.param(attack, id=name, marks=[pytest.mark.long] if name != "half_bodies" else [])
        for name, attack in ATTACKS.items()
    ],
)
def test_the_service_answers_under_attack(running: Service, attack: Attack) -> None:
    workers = running.workers()
    with under(attack, running.port):
        assert (
            slowest_answer_sec(running.port, PROBED_FOR_SEC, running.workers())
            <= HEALTHY_WITHIN_SEC
        )
        before = running.count()
        answer = running.post("data2", reading_of(1))
        assert (answer.status, answer.json) == (200, {"status": "enqueued"})
        running.wait_for_rows(before + 1)
    assert running.workers() == workers, "a worker was killed"


def test_all_attacks_together(running: Service) -> None:
    """And with as many connections as a worker lets wait, several times over."""
    with ExitStack() as stack:
        for attack in (half_heads, half_bodies, oversize, slow_readers, *[silent] * 50):
            stack.enter_context(under(attack, running.port))
        assert (
            slowest_answer_sec(running.port, PROBED_FOR_SEC, running.workers())
            <= HEALTHY_WITHIN_SEC
        )


def test_a_late_request_is_told_what_is_missing(running: Service) -> None:
    with under(half_bodies, running.port) as socks:
        answers = [read_answer(sock) for sock in socks]
    for answer in answers:
        check_ingest_answer(answer)
        assert answer.status == 408
        assert answer.json["error"] == "request timeout"
        assert answer.json["hint"].startswith("within 10 s came 20 of the ")
    running.wait_for_line(" ERROR Request of 127.0.0.1 given up: ")


def test_a_silent_connection_is_closed_without_a_word(running: Service) -> None:
    with under(silent, running.port) as socks:
        for sock in socks:
            sock.settimeout(GIVEN_UP_WITHIN_SEC)
            assert sock.recv(100) == b""


def test_a_sender_that_closes_too_early_is_told_so(running: Service) -> None:
    """MicroPython's Content-Length can be too great as well; then nothing more comes."""
    with raw_connection(running.port) as sock:
        sock.sendall(HEAD + b"Content-Length: 30\r\n\r\n{}")
        sock.shutdown(socket.SHUT_WR)
        answer = read_answer(sock)
    check_ingest_answer(answer)
    assert answer.status == 400
    assert answer.json["hint"] == "the sender closed after 2 of the 30 bytes of Content-Length"


def test_what_is_no_request_is_told_so_and_fills_no_log(running: Service) -> None:
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    wires = {
        b"nonsense\r\n\r\n": 400,
        chunked + b"zz\r\n": 400,
        chunked + b"2\r\n{}XX0\r\n\r\n": 400,
        HEAD.replace(b"data2", b"healthz") + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n": 400,
        HEAD + b"Expect: wonders\r\n\r\n": 417,
        HEAD + b"Transfer-Encoding: secret\r\n\r\n": 501,
        HEAD.replace(b"data2", b"a" * 9000) + b"\r\n": 414,
        HEAD + b"A: " + b"a" * 9000 + b"\r\n\r\n": 431,
    }
    before = len(running.log())
    for wire, status in list(wires.items()) * 3:
        with raw_connection(running.port) as sock:
            sock.sendall(wire)
            answer = read_answer(sock)
            assert sock.recv(100) == b"", "one answer, and the end"
        check_ingest_answer(answer)
        assert (answer.status, answer.headers["content-type"]) == (status, "application/json")
        assert answer.json["hint"]
        assert answer.headers.keys() >= {
            "x-content-type-options",
            "cross-origin-resource-policy",
        }
    running.wait_for_line("refused: ", after=before)
    lines = running.settled_log()[before:]
    assert 1 <= sum("refused: " in line for line in lines) <= len(running.workers())
    assert not any("Traceback" in line for line in lines)


def test_an_empty_line_behind_a_body_is_no_request(running: Service) -> None:
    """As many a sketch for an Arduino sends it."""
    body = json.dumps(reading_of(1)).encode()
    with raw_connection(running.port) as sock:
        sock.sendall(HEAD + b"Content-Length: %d\r\n\r\n%s\r\n" % (len(body), body))
        assert read_answer(sock).status == 200
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(100) == b""


def test_a_body_too_long_is_refused_before_it_is_sent(running: Service) -> None:
    expected = HEAD + b"Expect: 100-continue\r\nContent-Length: 65537\r\n\r\n"
    with raw_connection(running.port) as sock:
        sock.sendall(expected)
        assert sock.recv(12) == b"HTTP/1.1 413"


def test_a_sender_that_does_not_wait_for_the_refusal_still_reads_it(running: Service) -> None:
    body = b"x" * 600_000
    with raw_connection(running.port) as sock:
        sock.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body))
        sock.sendall(body)
        answer = read_answer(sock)
    check_ingest_answer(answer)
    assert (answer.status, answer.headers["connection"]) == (413, "close")


def test_a_reader_at_its_own_pace_gets_all_of_it(running: Service) -> None:
    whole = running.get("/history.csv").body
    assert whole.count(b"\r\n") > ROWS
    with under(slow_readers, running.port):
        assert running.get("/history.csv").body.count(b"\r\n") >= whole.count(b"\r\n")


def test_a_file_is_served_whole(running: Service) -> None:
    """Files are sent another way than answers made by the program."""
    web = PROJECT / "flask10x" / "web"
    files = {"icon.svg": web / "static" / "icon.svg"}
    files["history.js"] = web / "pages" / "history" / "script.js"
    for name, file in files.items():
        assert running.get(f"/static/{name}").body == file.read_bytes()


def test_connections_of_all_attacks_are_gone_afterwards(running: Service) -> None:
    def connections() -> int:
        files = [open_files(worker) for worker in running.workers()]
        return sum(name.startswith("socket:") for names in files for name in names)

    running.get("/healthz")
    with under(oversize, running.port), under(half_heads, running.port):
        running.get("/healthz")
    wait_until(lambda: connections() < 20, GIVEN_UP_WITHIN_SEC, "the workers hold no connection")


def test_a_stop_is_not_held_up_by_slow_readers(running: Service) -> None:
    with under(slow_readers, running.port):
        assert slowest_answer_sec(running.port, 0.5, running.workers()) <= HEALTHY_WITHIN_SEC
        running.stop()
    running.start()
