"""Routes and status pages: one answer whichever worker answers, and after a restart."""

import json
import re
import socket

import pytest

from tests.e2e.conftest import MakeService
from tests.e2e.senders import HOST, Answer, ask, raw_connection, read_answer, reading_of
from tests.e2e.service import Service, wait_until

ASKED_TIMES = 10
BODIES: dict[str, object] = {
    "data": {"pressure": 1013.25, "temperature": 25.1},
    "data2": reading_of(5419),
    "data3": {"temperature": 20.5, "humidity": 40, "pressure": 1000, "gas_res": 8500},
    "data4": {
        "mh_z19": {"co2": 700},
        "mq_2": {"analog_value": 120, "voltage": 0.5},
        "ds18b20": {"temperature": 19.5},
        "dht11": {"temperature": 20, "humidity": 45},
    },
}
METRICS = {
    "queue_length",
    "queue_warn_threshold",
    "write_success_total",
    "write_error_total",
    "last_received",
    "inactivity_seconds",
    "inactivity_warn_threshold_sec",
}


def post_through_both_workers(service: Service, endpoint: str) -> int:
    """Post, each time over another connection, until each worker has taken one; how many times."""
    service.wait_for_workers()
    body = json.dumps(BODIES[endpoint]).encode()
    head = f"POST /{endpoint} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(body)}\r\n\r\n"
    taken: list[int | None] = []

    def both_have_taken_one() -> bool:
        with raw_connection(service.port) as sock:
            sock.sendall(head.encode() + body)
            assert read_answer(sock).status == 200
            # Its worker keeps the connection for some seconds.
            taken.append(service.worker_of(sock))
        return service.workers() <= {*taken}

    wait_until(both_have_taken_one, 60, "each worker takes one")
    return len(taken)


def accepted_by(service: Service, sock: socket.socket) -> int:
    """The worker that took this connection."""
    found: list[int] = []

    def accepted() -> bool:
        worker = service.worker_of(sock)
        found.extend([] if worker is None else [worker])
        return worker is not None

    wait_until(accepted, 25, "a worker accepts the connection")
    return found[0]


def stable(metrics: Answer) -> dict[str, object]:
    """The numbers that may not change while nothing arrives."""
    assert metrics.status == 200
    return {name: value for name, value in metrics.json.items() if name != "inactivity_seconds"}


def check_inactivity(answers: list[Answer]) -> None:
    """Whole seconds that only grow, as time passes, for the stations that have sent."""
    seen = [answer.json["inactivity_seconds"] for answer in answers]
    for endpoint in BODIES:
        seconds = [each[endpoint] for each in seen]
        if None in seconds:
            assert set(seconds) == {None}
            continue
        assert all(isinstance(value, int) for value in seconds)
        assert seconds == sorted(seconds)


def ask_both_workers(service: Service) -> tuple[dict[str, object], bytes]:
    """The one answer of /metrics and the one of /history/json, whichever worker is asked."""
    metrics, histories = (
        [service.get(path) for _ in range(ASKED_TIMES)] for path in ("/metrics", "/history/json")
    )
    first = stable(metrics[0])
    assert [stable(answer) for answer in metrics] == [first] * len(metrics)
    check_inactivity(metrics)
    assert {answer.status for answer in histories} == {200}
    assert len({answer.body for answer in histories}) == 1
    return first, histories[0].body


@pytest.mark.tools
def test_one_answer_whichever_worker_answers_and_after_a_restart(service: MakeService) -> None:
    running = service(commit_interval_sec=0)
    sent = 0
    for endpoint in ("data", "data2", "data4"):
        sent += post_through_both_workers(running, endpoint)
    assert running.post("data", {"pressure": "n/a"}).status == 400
    running.wait_for_rows(sent)
    wait_until(
        lambda: running.get("/metrics").json["queue_length"] == 0, 60, "the queues are empty"
    )

    before, history = ask_both_workers(running)
    check_numbers(before, sent)
    assert len(json.loads(history)) == sent

    running.stop()
    running.start()
    assert ask_both_workers(running) == (before, history)
    running.stop()


def check_numbers(metrics: dict[str, object], sent: int) -> None:
    assert {*metrics, "inactivity_seconds"} >= METRICS
    assert metrics["queue_warn_threshold"] == 4000
    assert metrics["inactivity_warn_threshold_sec"] == 120
    assert metrics["write_success_total"] == sent
    assert metrics["write_error_total"] == 0
    last = metrics["last_received"]
    assert isinstance(last, dict)
    assert last.keys() == BODIES.keys()
    assert last["data3"] is None
    for endpoint in ("data", "data2", "data4"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", last[endpoint])


def test_a_new_service_has_received_nothing(service: MakeService) -> None:
    running = service()
    metrics = running.get("/metrics").json
    assert metrics["last_received"] == dict.fromkeys(BODIES)
    assert metrics["inactivity_seconds"] == dict.fromkeys(BODIES)
    assert metrics["write_success_total"] == metrics["queue_length"] == 0
    history = running.get("/history/json")
    assert (history.status, history.json) == (200, [])


@pytest.mark.parametrize("endpoint", BODIES)
def test_a_station_takes_a_post_and_nothing_else(running: Service, endpoint: str) -> None:
    before = running.count()
    body = json.dumps(BODIES[endpoint]).encode()
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        answer = ask(running.port, method, f"/{endpoint}", body, "application/json")
        assert answer.status == 405
        assert "POST" in answer.headers["allow"]
    for path in (f"/{endpoint}/", f"/{endpoint.upper()}", f"/{endpoint}x"):
        answer = ask(running.port, "POST", path, body, "application/json")
        assert answer.status == 404, "a redirect would lose the reading"
        assert "location" not in answer.headers
    posted = running.post(endpoint, BODIES[endpoint])
    assert (posted.status, posted.json) == (200, {"status": "enqueued"})
    running.wait_for_rows(before + 1)


def test_the_pages_that_operators_open(running: Service) -> None:
    health = running.get("/healthz")
    assert (health.status, health.json) == (200, {"status": "ok"})
    assert running.get("/readyz").status == 200
    for path in ("/", "/history"):
        page = running.get(path)
        assert page.status == 200
        assert page.headers["content-type"].startswith("text/html")
    assert running.get("/nowhere").status == 404
