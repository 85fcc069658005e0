"""A single reading that is sent again: by its key, and by its body where a setting says so."""

import logging
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from flask10x.database.database import Database
from flask10x.recording.writer import Writer
from flask10x.runtime.store import Store
from flask10x.system import clock
from flask10x.web.app import create_app
from tests.conftest import MakeSettings
from tests.support.rows import select

GOOD = {"pressure": 1013.25, "temperature": "25.1C"}
BAD = {"pressure": "low"}
KEY = {"Idempotency-Key": "boot 7, reading 12 °"}
ENQUEUED, DUPLICATE = {"status": "enqueued"}, {"status": "duplicate"}


def test_one_key_is_one_reading_of_a_station(
    client: FlaskClient, writer: Writer, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert client.post("/data", json=BAD, headers=KEY).status_code == 400
    # Of two that wait the commit stores one.
    assert client.post("/data", json=GOOD, headers=KEY).json == ENQUEUED
    assert client.post("/data", json=GOOD, headers=KEY).json == ENQUEUED
    assert writer.step() == 2
    again = client.post("/data", json=GOOD, headers=KEY)
    assert caplog.messages[-1] == "/data OK duplicate"
    assert (again.status_code, again.json) == (200, DUPLICATE)
    other = {"temperature": 1, "humidity": 2, "pressure": 3, "gas_res": 4}
    assert client.post("/data3", json=other, headers=KEY).json == ENQUEUED
    assert client.post("/data", json=GOOD).json == ENQUEUED
    assert writer.step() == 2
    assert select(database.path, "SELECT count(*) FROM readings") == [(3,)]


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_that_is_none_is_refused_and_the_reading_kept(
    client: FlaskClient, store: Store, key: str
) -> None:
    answer = client.post("/data", json=GOOD, headers={"Idempotency-Key": key})
    details = {"Idempotency-Key": "1 to 255 bytes are needed"}
    assert (answer.status_code, answer.json) == (
        400,
        {"error": "validation failed", "details": details},
    )
    assert store.writer.rejected_queue.depth == 1


@pytest.fixture
def with_window(make_settings: MakeSettings) -> Iterator[FlaskClient]:
    app = create_app(make_settings(REPEAT_WINDOW_SEC=60))
    yield app.test_client()
    app.extensions["flask10x"].close()


def test_an_equal_body_within_the_window_is_a_repeat(
    with_window: FlaskClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, store = with_window, with_window.application.extensions["flask10x"]
    now_ms = clock.now_ms()
    monkeypatch.setattr(clock, "now_ms", lambda: now_ms)
    assert client.post("/data", json=BAD).status_code == 400
    assert client.post("/data", json=BAD).status_code == 400
    assert client.post("/data", json=GOOD).json == ENQUEUED
    store.writer.step()
    assert client.post("/data", json=GOOD).json == DUPLICATE
    # A key says more than the body, and readings of a batch may well be equal.
    assert client.post("/data", json=GOOD, headers=KEY).json == ENQUEUED
    assert (client.post("/data", json=[GOOD, GOOD]).json or {})["accepted"] == 2
    store.writer.step()
    assert client.post("/data", json=GOOD).json == DUPLICATE
    now_ms += 60_000
    assert client.post("/data", json=GOOD).json == ENQUEUED
    store.writer.step()
    assert select(database.path, "SELECT count(*) FROM readings") == [(5,)]
