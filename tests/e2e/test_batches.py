"""Batches, late readings and keys over real processes."""

import json
import time

import pytest

from flask10x.web.limits import BATCH_MAX_BYTES
from tests.e2e.conftest import MakeService
from tests.e2e.senders import HOST, Answer, exchange, reading_of
from tests.e2e.service import Service, wait_until
from tests.support.both_engines import write_lock

DOOR = "api/v1/readings"
# 2025-08-24 11:00:00 in Tokyo.
LATE_SEC = 1_756_000_800


def item(number: int, **more: object) -> dict[str, object]:
    return {"endpoint": "data2", "data": reading_of(number), "id": number} | more


def counts(answer: Answer) -> tuple[int, int, int]:
    body = answer.json
    assert len(body["results"]) == sum(body.get(name, 0) for name in NAMES)
    return body["accepted"], body["duplicate"], body["refused"]


NAMES = ("accepted", "duplicate", "refused", "failed")


def test_a_thousand_of_all_kinds(running: Service) -> None:
    before = running.count()
    kinds: list[dict[str, object]] = [
        {},
        {"measured_at": LATE_SEC},
        {"measured_at": "2025-08-24T11:00:01", "data": {"co2": "寒い"}},
        {"age_s": 3600},
        {"age_s": 3600, "measured_at": LATE_SEC},
        {"measured_at": 0},
        {"measured_at": time.time() + 90_000},
        {"endpoint": "ベランダ"},
        {"measured_at": time.time() + 80_000},
        {"data": reading_of(0) | {"co2": "６５０ppm", "temperature": "25,1℃"}},
    ]
    body = [item(number, **kinds[number % 10]) for number in range(998)]
    body += [item(0), item(1, measured_at=LATE_SEC)]
    answer = running.post(DOOR, body)
    assert (answer.status, counts(answer)) == (200, (498, 2, 500))
    running.wait_for_rows(before + 498)
    again = running.post(DOOR, body)
    assert (again.status, counts(again)) == (200, (0, 500, 500))
    late = (
        "SELECT count(*), min(arrived_at) >= min(received_at) FROM readings WHERE received_at = ?"
    )
    assert running.rows(late, LATE_SEC * 1000) == [(100, 1)]
    # The array of a station has ids too, and its own limit of bytes.
    array = [{"data": reading_of(5), "id": number} for number in range(2000, 2010)]
    assert counts(running.post("data2", array)) == (10, 0, 0)
    running.wait_for_rows(before + 508)
    assert counts(running.post("data2", array)) == (0, 10, 0)
    assert running.post("data2", b"[{}" + b" " * 65_536 + b"]").status == 413
    running.wait_for_rows(before + 508)
    assert running.post(DOOR, b"[" + b" " * BATCH_MAX_BYTES).status == 413


def test_a_large_body_may_come_in_chunks(running: Service) -> None:
    before = running.count()
    body = json.dumps([item(3000, id="chunks")]).encode() + b" " * 300_000
    head = f"POST /{DOOR} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
    chunks = (body[at : at + 1000] for at in range(0, len(body), 1000))
    sent = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    request = f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + sent + b"0\r\n\r\n"
    assert counts(exchange(running.port, request)) == (1, 0, 0)
    running.wait_for_rows(before + 1)


def test_a_late_reading_is_of_its_time_and_its_station_is_heard(running: Service) -> None:
    before = running.count()
    data = {"temperature": 12.5, "humidity": 50, "pressure": 1000, "gas_res": 1}
    body = [{"endpoint": "data3", "data": data, "measured_at": LATE_SEC}]
    answer = running.post(f"{DOOR}?ack=committed", body)
    assert answer.json["results"] == [{"status": "committed"}]
    assert running.count() == before + 1
    assert running.get("/metrics").json["inactivity_seconds"]["data3"] < 60
    running.export()
    csv = (running.csv_dir / "OutsideEnv.csv").read_text(encoding="utf-8")
    assert csv.splitlines()[-1] == "2025-08-24 11:00:00,12.5,50.0,1000.0,1.0"
    shown = running.get("/history/json?endpoint=data3&from=2025-08-24&to=2025-08-24").json
    assert [reading["timestamp"] for reading in shown] == ["2025-08-24 11:00:00"]


def details(service: Service) -> object:
    """What it counts; how far the roll-ups are changes by itself, and of how many is counted."""
    answer = service.get("/metrics/details").json
    del answer["rollups"]["done"]
    return answer


def test_a_dry_run_leaves_nothing(running: Service) -> None:
    lines, rows = len(running.settled_log()), running.count()
    metrics = details(running)
    batch = [item(1, id="dry"), item(2, data={}), item(3, endpoint="new"), 7]
    for path, body, status in (
        (DOOR, batch, 200),
        (DOOR, b"{", 400),
        ("data2", reading_of(1), 200),
        ("data2", [reading_of(1), {}], 200),
        ("data2", {"co2": "high"}, 400),
        ("new", {}, 404),
    ):
        answer = running.post(f"{path}?dry_run=1", body)
        assert (answer.status, b'"enqueued"' in answer.body) == (status, status == 200)
    assert running.count() == rows
    assert details(running) == metrics
    assert running.log()[lines:] == []


@pytest.mark.long
def test_a_batch_into_a_full_queue_is_stored_once_whatever_happens(service: MakeService) -> None:
    running = service(write_queue_maxsize=60, batch_max_rows=50)
    body = [item(number) for number in range(100)]
    with write_lock(running.database):
        answer = running.post(DOOR, body)
        assert (answer.status, counts(answer)) == (503, (60, 0, 0))
        assert answer.headers["retry-after"] == "5"
        assert answer.json["results"][-1] == {"status": "queued_failed"}
        # The other worker has room for the rest, and knows what waits in the queue of the first.
        wait_until(lambda: running.post(DOOR, body).status == 200, 60, "the other one takes it")
        assert counts(running.post(DOOR, body)) == (0, 100, 0)
        running.close()
    running.start()
    assert counts(running.post(DOOR, body)) == (0, 100, 0)
    running.wait_for_rows(100)
