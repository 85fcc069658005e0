"""A dry run says what would be stored, and leaves no trace."""

import logging
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from flask10x.runtime.store import Store
from flask10x.system import clock

GOOD = {"pressure": "101325Pa", "temperature": "77F", "device": "pico"}
WOULD = {
    "status": "dry_run",
    "would": "enqueued",
    "reading": {"pressure": 1013.25, "temperature": 25.0},
    "units": {"pressure": "hPa", "temperature": "°C"},
}
# 2025-08-24 11:00:12 in Tokyo.
NOW_MS = 1_756_000_812_345
DRY = "?dry_run=1"


@pytest.fixture(autouse=True)
def no_trace(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(clock, "now_ms", lambda: NOW_MS)
    metrics = client.get("/metrics").json
    store: Store = client.application.extensions["flask10x"]
    yield
    assert client.get("/metrics").json == metrics
    assert (store.writer.depth, store.writer.rejected_queue.depth) == (0, 0)
    assert store.writer.rejected_queue.depth == 0
    assert store.gauges.last_request("data") is None
    assert caplog.messages == []


def test_a_good_and_a_bad_reading(client: FlaskClient) -> None:
    answer = client.post(f"/data{DRY}", json=GOOD)
    assert (answer.status_code, answer.json) == (200, WOULD)
    bad = client.post(f"/data{DRY}", json={"presure": 1, "temperature": 151})
    assert (bad.status_code, bad.json) == (
        400,
        {
            "error": "validation failed",
            "details": {
                "pressure": "required field missing",
                "temperature": "above maximum 150",
            },
            "hint": "unknown field presure: did you mean pressure?",
        },
    )
    assert client.post(f"/data{DRY}", data=b"x" * 65_537).status_code == 413
    headers = {"Idempotency-Key": ""}
    assert client.post(f"/data{DRY}", json=GOOD, headers=headers).status_code == 400
    wrong = client.post("/data?dry_run=yes", json=GOOD)
    assert (wrong.status_code, wrong.json) == (
        400,
        {"error": "invalid query", "details": {"dry_run": "1 or 0 is needed"}},
    )


def test_a_batch_and_an_array(client: FlaskClient) -> None:
    late = {"endpoint": "data", "data": GOOD, "age_s": 12, "id": 1}
    body = [late, late, {"endpoint": "data", "data": {}}, {"endpoint": "new", "data": GOOD}]
    answer = client.post(f"/api/v1/readings{DRY}&ack=committed", json=body).json or {}
    assert {name: answer[name] for name in answer if name != "results"} == {
        "status": "dry_run",
        "accepted": 1,
        "duplicate": 1,
        "refused": 2,
    }
    measured = {"measured_at": "2025-08-24T11:00:00.345+09:00"}
    assert answer["results"][:2] == [
        WOULD | {"would": "committed"} | measured,
        {"status": "dry_run", "would": "duplicate"},
    ]
    assert answer["results"][3]["hint"].endswith("flask10x stations add new")
    array = client.post(f"/data{DRY}", json=[GOOD, {"data": {}, "id": []}]).json or {}
    assert (array["accepted"], array["refused"]) == (1, 1)
    assert client.post(f"/api/v1/readings{DRY}", data=b"{").status_code == 400
