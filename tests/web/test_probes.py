"""Health, readiness, metrics."""

import threading
import time

import pytest
from flask.testing import FlaskClient

from flask10x.config.settings import Settings
from flask10x.database.counters import write_errors_name
from flask10x.database.database import Database
from flask10x.readings.parse import Reading
from flask10x.recording.shared_queue import WorkerSlot
from flask10x.recording.writer import Writer
from flask10x.runtime.store import Store
from flask10x.system.gauges import Gauges
from flask10x.web.app import create_app
from tests.support.both_engines import (
    BUSY,
    POSTGRES,
    make_impatient,
    readiness,
    write_lock,
)
from tests.support.html import words
from tests.support.rows import execute, pico

# A look does not wait for the lock, as a commit does.
LOCKED = '55P03: could not obtain lock on row in relation "log"' if POSTGRES else BUSY


def test_the_root_answers(client: FlaskClient) -> None:
    assert client.get("/").status_code == 200


def test_the_fields_of_each_station_are_listed(client: FlaskClient) -> None:
    text = words(client.get("/api").text)
    assert "/data4" in text and "gas_res" in text


def test_health(client: FlaskClient) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_ready(client: FlaskClient) -> None:
    answer = client.get("/readyz")
    assert (answer.status_code, readiness(answer.get_json())) == (
        200,
        {"status": "ready", "queue_oldest_seconds": None},
    )


def test_not_ready_while_the_database_is_locked(client: FlaskClient, database: Database) -> None:
    store: Store = client.application.extensions["flask10x"]
    make_impatient(store.database)
    with write_lock(database.path):
        answer = client.get("/readyz")
    assert answer.status_code == 503
    said = readiness(answer.get_json())
    (reason,) = said.pop("reasons")
    assert said == {"status": "not ready", "queue_oldest_seconds": None}
    assert reason == f"the database cannot be written: {LOCKED}"
    assert client.get("/readyz").status_code == 200


def test_not_ready_with_a_full_queue(client: FlaskClient, writer: Writer) -> None:
    while not writer.full:
        writer.submit(pico(1))
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["reasons"] == ["the queue is full: 5000 readings wait"]


def test_not_ready_when_another_worker_is_in_trouble(client: FlaskClient, store: Store) -> None:
    store.gauges.slot(7).trouble = 1
    answer = client.get("/readyz")
    assert answer.json is not None
    assert answer.json["reasons"] == ["another worker cannot store readings"]


def test_not_ready_without_a_writer(client: FlaskClient, writer: Writer) -> None:
    writer.dead = True
    answer = client.get("/readyz")
    assert answer.json is not None
    assert answer.json["reasons"] == ["the writer thread has died"]


def test_metrics_of_an_empty_store(client: FlaskClient, settings: Settings) -> None:
    nothing = dict.fromkeys(["data", "data2", "data3", "data4"])
    host = {"host": settings.host_name} if settings.on_postgres else {}
    assert client.get("/metrics").json == host | {
        "queue_length": 0,
        "queue_warn_threshold": 4000,
        "write_success_total": 0,
        "write_error_total": 0,
        "last_received": nothing,
        "inactivity_seconds": nothing,
        "inactivity_warn_threshold_sec": 120,
    }


def test_readiness_says_how_long_the_oldest_reading_has_waited(
    client: FlaskClient, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.submit(pico(1))
    oldest_ms = time.monotonic_ns() // 1_000_000
    monkeypatch.setattr(time, "monotonic_ns", lambda: (oldest_ms + 2500) * 1_000_000)
    found = client.get("/readyz").json
    assert found is not None
    assert 2.5 <= found["queue_oldest_seconds"] < 3.5
    writer.step()
    found = client.get("/readyz").json
    assert found is not None
    assert found["queue_oldest_seconds"] is None


def test_metrics_come_from_the_database(
    client: FlaskClient, writer: Writer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(
        database.path,
        "INSERT INTO readings (endpoint, received_at) VALUES ('data3', 1756000000000)",
        "INSERT INTO readings (endpoint, received_at) VALUES ('data', 1756000000999)",
        "INSERT INTO counters VALUES ('write_errors', 3)",
    )
    writer.submit(Reading("data2", 1_756_000_060_000, (1.0, 2.0, 3.0, 4.0, 5.0)))
    monkeypatch.setattr(time, "time_ns", lambda: 1_756_000_100_500_000_000)
    found = client.get("/metrics").json
    assert found is not None
    assert found["queue_length"] == 1
    assert found["write_success_total"] == 2
    assert found["write_error_total"] == 3
    assert found["last_received"] == {
        "data": "2025-08-24 10:46:40",
        "data2": None,
        "data3": "2025-08-24 10:46:40",
        "data4": None,
    }
    silence = found["inactivity_seconds"]
    assert (silence["data"], silence["data3"], silence["data4"]) == (99, 100, None)


def test_silence_is_counted_from_the_last_accepted_reading(
    client: FlaskClient, writer: Writer, gauges: Gauges, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wall clock, here a day wrong, has no say; nor does a reading that is stored later."""
    writer.submit(pico(1, 1_756_000_000_000))
    writer.step()
    gauges.note_received("data", 5_000_000)
    gauges.note_received("data2", 5_100_001)
    gauges.note_received("data3", 9_999_999)
    monkeypatch.setattr(time, "time_ns", lambda: 1_756_086_400_000_000_000)
    monkeypatch.setattr(time, "monotonic_ns", lambda: 5_101_000_000_000)
    found = client.get("/metrics").json
    assert found is not None
    assert found["last_received"]["data"] == "2025-08-24 10:46:40"
    assert found["last_received"]["data2"] is None
    assert found["inactivity_seconds"] == {"data": 101, "data2": 0, "data3": 0, "data4": None}


def test_every_worker_counts_silence_alike(
    client: FlaskClient, settings: Settings, gauges: Gauges, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = create_app(settings, WorkerSlot.alone(settings, gauges, 1))
    gauges.note_received("data4", 5_000_000)
    monkeypatch.setattr(time, "monotonic_ns", lambda: 5_145_000_000_000)
    found = client.get("/metrics").json
    assert found is not None
    assert found["inactivity_seconds"]["data4"] == 145
    assert other.test_client().get("/metrics").json == found
    other_store: Store = other.extensions["flask10x"]
    other_store.close()


def test_a_clock_that_ran_ahead_gives_no_negative_silence(
    client: FlaskClient, database: Database
) -> None:
    execute(
        database.path,
        "INSERT INTO readings (endpoint, received_at) VALUES ('data', 4000000000000)",
    )
    found = client.get("/metrics").json
    assert found is not None
    assert found["inactivity_seconds"]["data"] == 0


def test_the_total_stays_when_the_rows_go(
    client: FlaskClient, writer: Writer, database: Database
) -> None:
    writer.submit(pico(1))
    writer.step()
    execute(database.path, "DELETE FROM readings")
    found = client.get("/metrics").json
    assert found is not None
    assert found["write_success_total"] == 1
    assert found["last_received"]["data"] is None


def test_a_second_worker_adds_no_errors_that_the_first_has_saved(
    client: FlaskClient, store: Store, settings: Settings, database: Database
) -> None:
    execute(database.path, f"INSERT INTO counters VALUES ('{write_errors_name(settings)}', 40)")
    store.open()
    store.gauges.slot(0).errors = 2
    execute(database.path, "UPDATE counters SET value = 42")
    other = Store(settings, WorkerSlot.alone(settings, store.gauges, 1))
    other.open()
    found = client.get("/metrics").json
    other.close()
    assert found is not None
    assert found["write_error_total"] == 42


def test_an_open_store_has_its_threads_and_ends_them(store: Store, client: FlaskClient) -> None:
    store.open()
    names = {thread.name for thread in threading.enumerate()}
    assert {"writer", "monitor"} <= names
    assert client.post("/data", json={"pressure": 1, "temperature": 2}).status_code == 200
    assert store.close() == 0
