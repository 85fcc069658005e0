"""The nginx site of deploy/: it holds slow clients, and changes no answer of the contract."""

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from flask10x.readings.parse import BODY_MAX_BYTES
from flask10x.web.limits import BATCH_MAX_BYTES, CHANNELS
from tests.e2e.attacks import ATTACKS, HEAD, Attack, fill, slow_readers, slowest_answer_sec, under
from tests.e2e.conftest import make_services
from tests.e2e.proxy import Proxy, needs_nginx
from tests.e2e.senders import (
    HOST,
    Answer,
    ask,
    check_ingest_answer,
    exchange,
    raw_connection,
    read_answer,
)
from tests.e2e.service import Service, reserved_port, wait_until
from tests.e2e.test_events import open_page
from tests.e2e.test_golden import check_answer, recorded
from tests.e2e.test_senders import (
    GOOD,
    LIMIT_BYTES,
    STORED,
    WIRE,
    check_stored,
    in_chunks,
    newest,
    padded,
    sized,
)
from tests.e2e.test_slow_clients import HEALTHY_WITHIN_SEC, PROBED_FOR_SEC, ROWS

pytestmark = [needs_nginx, pytest.mark.tools]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with make_services(tmp_path_factory.mktemp("behind")) as make:
        made = make(commit_interval_sec=0)
        fill(made.database, ROWS)
        yield made


@pytest.fixture(scope="module")
def proxy(running: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with reserved_port() as port:
        made = Proxy(tmp_path_factory.mktemp("nginx") / "prefix", port, running.port)
        made.check()
        made.start()
        yield made
        made.stop()


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_the_service_answers_under_attack(running: Service, proxy: Proxy, attack: Attack) -> None:
    with under(attack, proxy.port):
        assert (
            slowest_answer_sec(proxy.port, PROBED_FOR_SEC, running.workers()) <= HEALTHY_WITHIN_SEC
        )
        before = running.count()
        check_stored(running, exchange(proxy.port, sized(GOOD)), before, STORED)
    assert proxy.files() == [], "something was written to the card"


@pytest.mark.parametrize("wire", WIRE.values(), ids=WIRE.keys())
def test_a_good_reading_is_stored_however_it_is_sent(
    running: Service, proxy: Proxy, wire: bytes
) -> None:
    before = running.count()
    check_stored(running, exchange(proxy.port, wire), before, STORED)


def test_the_recorded_requests_give_the_recorded_answers(running: Service, proxy: Proxy) -> None:
    for case in recorded():
        body = case["body"].encode()
        answer = ask(proxy.port, "POST", f"/{case['endpoint']}", body, case["content_type"])
        check_answer(answer, case)


@pytest.mark.parametrize(
    "path",
    [
        "/history/json",
        "/history/json?limit=1000",
        "/history.csv",
        "/history.csv?limit=5",
        "/history/json?from=nonsense",
        "/nowhere",
        "/static/nothing.css",
        "/static/icon.svg",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_answers_are_the_same_bytes(
    running: Service, proxy: Proxy, method: str, path: str
) -> None:
    # What the tests before have sent is stored a moment after its answer.
    oldest = "queue_oldest_seconds"
    wait_until(lambda: running.get("/readyz").json[oldest] is None, 60, "all is stored")
    wire = f"{method} {path} HTTP/1.1\r\nHost: pi:8888\r\nConnection: close\r\n\r\n".encode()
    with_nginx, without = exchange(proxy.port, wire), exchange(running.port, wire)
    assert (with_nginx.status, with_nginx.body) == (without.status, without.body)
    own = {"date", "server", "connection"}
    assert {k: v for k, v in with_nginx.headers.items() if k not in own} == {
        k: v for k, v in without.headers.items() if k not in own
    }


def test_open_pages_are_told_at_once_and_keep_no_reading_out(
    running: Service, proxy: Proxy
) -> None:
    """More of them than an address may have requests at work."""
    with ExitStack() as stack:
        pages = [stack.enter_context(open_page(proxy.port)) for _ in range(25)]
        for page in pages:
            page.event(20)
        before = running.count()
        check_stored(running, exchange(proxy.port, sized(GOOD)), before, STORED)
        assert all(page.event(5)["stations"] for page in pages)


def test_the_service_sees_the_name_that_was_asked_for(proxy: Proxy) -> None:
    """Pages show links to themselves, and the name is checked."""
    page = exchange(proxy.port, b"GET /history HTTP/1.1\r\nHost: kitchen:8888\r\n\r\n")
    assert page.status == 200
    assert b"kitchen:8888" in page.body


def test_a_body_as_long_as_the_limit_is_stored(running: Service, proxy: Proxy) -> None:
    for wire in (sized(padded(LIMIT_BYTES)), in_chunks(padded(LIMIT_BYTES))):
        before = running.count()
        check_stored(running, exchange(proxy.port, wire), before, STORED)
    assert proxy.files() == []


def test_a_body_one_byte_longer_is_refused_in_our_words(running: Service, proxy: Proxy) -> None:
    long = padded(LIMIT_BYTES + 1)
    for wire in (sized(long), in_chunks(long)):
        answer = exchange(proxy.port, wire)
        check_ingest_answer(answer)
        assert answer.status == 413
        assert answer.json == exchange(running.port, wire).json
        assert answer.json["limit_bytes"] == BODY_MAX_BYTES
        assert answer.headers["content-type"] == "application/json"


def test_a_batch_may_be_longer_and_has_a_limit_too(running: Service, proxy: Proxy) -> None:
    path, kind = "/api/v1/readings", "application/json"
    item = json.dumps([{"endpoint": "data", "data": json.loads(GOOD)}]).encode()
    before = running.count()
    answer = ask(proxy.port, "POST", path, item.ljust(BATCH_MAX_BYTES), kind)
    assert (answer.status, answer.json["accepted"]) == (200, 1)
    running.wait_for_rows(before + 1)
    answer = ask(proxy.port, "POST", path, item.ljust(BATCH_MAX_BYTES + 1), kind)
    assert (answer.status, answer.json["limit_bytes"]) == (413, BATCH_MAX_BYTES)
    for path, status in (("/write", 204), ("/api/v2/write", 204), (f"{CHANNELS}1/data", 404)):
        answer = ask(proxy.port, "POST", path, b" ".ljust(BODY_MAX_BYTES + 1), kind)
        assert answer.status == status, path
    assert proxy.files() == []


def test_a_sender_may_wait_for_100_continue(running: Service, proxy: Proxy) -> None:
    before = running.count()
    with raw_connection(proxy.port) as sock:
        sock.sendall(HEAD.replace(b"data2", b"data") + b"Expect: 100-continue\r\n")
        sock.sendall(b"Content-Length: %d\r\n\r\n" % len(GOOD))
        assert sock.recv(1024).startswith(b"HTTP/1.1 100 ")
        sock.sendall(GOOD)
        check_stored(running, read_answer(sock), before, STORED)


def test_the_log_names_whom_nginx_asks_for(running: Service, proxy: Proxy) -> None:
    """And not whom a stranger says to be."""
    head = b"Origin: http://evil.example\r\nX-Real-IP: 10.9.8.7\r\nContent-Length: 2\r\n\r\n{}"
    assert exchange(proxy.port, HEAD + head).status == 403

    text = "refused: posted by another origin"
    running.wait_for_line(text)
    last = [line for line in running.log() if text in line][-1]
    assert last.endswith(f", from {HOST} through {HOST}")


def test_what_a_client_says_of_its_scheme_is_replaced(proxy: Proxy) -> None:
    head = b"GET /history HTTP/1.1\r\nHost: pi\r\nConnection: close\r\n"
    for lie in (b"X-Forwarded-Proto: https\r\n", b"X-Forwarded-Proto: https\r\n" * 2):
        page = exchange(proxy.port, head + lie + b"\r\n")
        assert page.status == 200
        assert b"http://pi/" in page.body
        assert b"https://pi" not in page.body


@pytest.mark.parametrize(
    ("wire", "status"),
    [
        (b"get / HTTP/1.1\r\nHost: pi\r\n\r\n", 400),
        (b"GET /%00 HTTP/1.1\r\nHost: pi\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"TRACE / HTTP/1.1\r\nHost: pi\r\n\r\n", 405),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: pi\r\n\r\n", 414),
        (HEAD + b"A: " + b"a" * 9000 + b"\r\n\r\n", 431),
        (HEAD + b"Transfer-Encoding: secret\r\n\r\n", 501),
        (b"GET / HTTP/3.0\r\nHost: pi\r\n\r\n", 505),
    ],
)
def test_what_is_no_request_is_refused_in_our_shape(proxy: Proxy, wire: bytes, status: int) -> None:
    answer = exchange(proxy.port, wire)
    check_ingest_answer(answer)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/json")
    assert list(answer.json) == ["error"]


@pytest.mark.long
def test_a_late_request_is_closed(proxy: Proxy) -> None:
    """nginx sends no 408, it closes; that is what howto/nginx.md says."""
    heads = [b"", HEAD[:40], HEAD + b"Content-Length: 30\r\n\r\n{"]
    for head in heads:
        with raw_connection(proxy.port) as sock:
            sock.sendall(head)
            assert sock.recv(100) == b"", head


def test_a_refusal_of_the_service_passes(running: Service, proxy: Proxy) -> None:
    answer = ask(proxy.port, "POST", "/data", b"[]", "application/json")
    check_ingest_answer(answer)
    assert answer.status == 400
    assert answer.json["error"] == "validation failed"


def test_too_many_requests_of_one_address_are_refused_in_our_shape(proxy: Proxy) -> None:
    def refused() -> bool:
        # While they begin: the service answers 503 to most of so many downloads, and then there is
        # room again.
        with ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(under(slow_readers, proxy.port))
            for _ in range(50):
                answers.append(ask(proxy.port, "GET", "/healthz"))
                if answers[-1].status == 429:
                    return True
        return False

    answers: list[Answer] = []
    wait_until(refused, 60, "nginx refuses")
    assert answers[-1].json == {"error": "too many requests"}
    assert answers[-1].headers["retry-after"] == "5"


def test_a_service_that_is_away_is_told_in_our_shape(running: Service, proxy: Proxy) -> None:
    running.stop(signal.SIGTERM)
    try:
        answer = ask(proxy.port, "POST", "/data", GOOD, "application/json")
    finally:
        running.start()
    check_ingest_answer(answer)
    assert (answer.status, answer.json) == (502, {"error": "bad gateway"})
    assert answer.headers["retry-after"] == "5"
    before = running.count()
    check_stored(running, exchange(proxy.port, sized(GOOD)), before, STORED)
    assert newest(running) == STORED
