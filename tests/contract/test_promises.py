"""What each answer of an ingest route promises: ACK, partial readings, refused readings kept."""

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.export.append import export
from flask10x.readings.stations import BUILT_IN
from flask10x.recording.batch import Receipt
from flask10x.recording.shared_queue import SharedQueues, WorkerSlot
from flask10x.recording.writer import Writer
from flask10x.runtime.store import Store
from flask10x.system.gauges import Gauges
from tests.conftest import MakeSettings
from tests.support.both_engines import REFUSED, make_impatient, refuse, write_lock
from tests.support.rows import execute, pico, select

GOOD = {"pressure": 1013.25, "temperature": "25,1 C"}
LIVING_ROOM = {
    "mh_z19": {"co2": 650},
    "mq_2": {"analog_value": 1200, "voltage": 0.97},
    "ds18b20": {"temperature": -127},
    "dht11": {"temperature": None, "humidity": 52},
}
NO_TWO = refuse("readings", "NEW.pressure = 2", "two is not wanted")
MAY_YET = {
    "status": "queued_failed",
    "detail": "not committed within 0.2 s; it may yet be stored",
}
REJECTED = "SELECT endpoint, reasons, hint, media_type, body FROM rejected ORDER BY id"
PRESSURES = "SELECT pressure FROM readings ORDER BY id"


@pytest.fixture
def settings(make_settings: MakeSettings, request: pytest.FixtureRequest) -> Settings:
    given: dict[str, object] = getattr(request, "param", {})
    return make_settings(COMMIT_INTERVAL_SEC=60, WRITE_BACKOFF_BASE_SEC=0.01, **given)


@pytest.fixture
def running(writer: Writer) -> Writer:
    """The writer with its thread; the application's fixture closes it."""
    writer.start()
    return writer


def with_settings(**given: object) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("settings", [given], indirect=True, ids=[""])


def wait_for(writer: Writer, readings: int) -> None:
    """Return when so many wait in the queue."""
    deadline = time.monotonic() + 60
    while writer.depth < readings:
        assert time.monotonic() < deadline
        time.sleep(0.001)


committed = with_settings(ACK="committed", ACK_TIMEOUT_SEC=0.2)
patient = with_settings(ACK="committed", ACK_TIMEOUT_SEC=8)


@patient
def test_committed_means_committed(
    client: FlaskClient,
    running: Writer,
    database: Database,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """At once, although the interval of the other mode is a minute here."""
    caplog.set_level(logging.INFO, "flask10x.web.ingest")
    answer = client.post("/data", json=GOOD)
    assert (answer.status_code, answer.json) == (200, {"status": "committed"})
    assert select(database.path, PRESSURES) == [(1013.25,)]
    assert caplog.messages == ["/data OK committed pressure=1013.25 temperature=25.1 queue_size=1"]


@patient
def test_all_that_wait_share_a_commit(client: FlaskClient, writer: Writer) -> None:
    answers: list[int] = []

    def post() -> None:
        answers.append(client.application.test_client().post("/data", json=GOOD).status_code)

    threads = [threading.Thread(target=post) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_for(writer, 8)
    assert answers == []
    assert writer.step() == 8
    for thread in threads:
        thread.join()
    assert answers == [200] * 8


@committed
def test_not_in_time_is_a_503_and_the_reading_may_yet_be_stored(
    client: FlaskClient,
    running: Writer,
    database: Database,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store_database = running._database
    make_impatient(store_database)
    with write_lock(database.path):
        answer = client.post("/data", json=GOOD)
        assert (answer.status_code, answer.json) == (503, MAY_YET)
        assert int(answer.headers["Retry-After"]) > 0
        assert "/data not committed within 0.2 s; it may yet be stored" in caplog.messages
    # The next one has time, also on a busy machine.
    store: Store = client.application.extensions["flask10x"]
    store.settings = replace(store.settings, ack_timeout_sec=8)
    assert client.post("/data", json=GOOD | {"pressure": 1000}).status_code == 200
    assert select(database.path, PRESSURES) == [(1013.25,), (1000.0,)]


@patient
def test_a_reading_that_the_database_refuses_is_no_200(
    client: FlaskClient,
    running: Writer,
    database: Database,
    caplog: pytest.LogCaptureFixture,
) -> None:
    execute(database.path, NO_TWO)
    answer = client.post("/data", json=GOOD | {"pressure": 2})
    reason = f"{REFUSED}: two is not wanted"
    assert answer.status_code == 400
    assert answer.json == {"error": "refused by the database", "details": {"database": reason}}
    (record,) = caplog.records
    assert (record.levelname, reason in record.message) == ("ERROR", True)
    ((*texts, body),) = select(database.path, REJECTED)
    assert texts == ["data", f'{{"database": "{reason}"}}', "", "application/json"]
    assert body == b'{"pressure": 2.0, "temperature": 25.1}'
    assert client.post("/data", json=GOOD).status_code == 200
    assert select(database.path, PRESSURES) == [(1013.25,)]


@patient
def test_its_mates_in_the_batch_are_committed(writer: Writer, database: Database) -> None:
    execute(database.path, NO_TWO)
    receipts = [Receipt() for _ in range(3)]
    for number, receipt in enumerate(receipts, 1):
        writer.submit(pico(number), receipt)
    assert not receipts[0].wait(0)
    assert writer.step() == 3
    assert all(receipt.wait(0) for receipt in receipts)
    refusals = [receipt.refusal for receipt in receipts]
    assert refusals == ["", f"{REFUSED}: two is not wanted", ""]


@patient
def test_a_full_queue_or_a_stop_refuses_at_once(client: FlaskClient, writer: Writer) -> None:
    writer.refuse_new()
    answer = client.post("/data", json=GOOD)
    assert (answer.status_code, answer.json) == (503, {"status": "queued_failed"})


@patient
def test_who_waits_at_a_stop_is_answered(client: FlaskClient, writer: Writer) -> None:
    """The writer's thread has never run; closing stores what waits and tells who waits for it."""
    answers: list[int] = []
    thread = threading.Thread(
        target=lambda: answers.append(client.post("/data", json=GOOD).status_code)
    )
    thread.start()
    wait_for(writer, 1)
    assert writer.close(10) == 0
    thread.join()
    assert answers == [200]


# Partial readings


@with_settings(PARTIAL_READINGS="data4=accept")
def test_a_partial_reading_is_stored_with_warnings(
    client: FlaskClient,
    writer: Writer,
    settings: Settings,
    database: Database,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "flask10x.web.ingest")
    answer = client.post("/data4", json=LIVING_ROOM)
    details = {
        "ds18b20.temperature": (
            "-127 is what a DS18B20 that does not answer gives: taken as missing"
        ),
        "dht11.temperature": "required field missing",
    }
    assert answer.status_code == 200
    assert answer.json == {"status": "accepted_with_warnings", "details": details}
    assert [(r.levelname, r.message) for r in caplog.records] == [
        (
            "INFO",
            "/data4 OK enqueued mh_z19.co2=650.0 mq_2.analog_value=1200.0 mq_2.voltage=0.97"
            " ds18b20.temperature=None dht11.temperature=None dht11.humidity=52.0 queue_size=1",
        ),
        ("WARNING", f"/data4 accepted with warnings: {details}"),
    ]
    writer.step()
    assert select(database.path, "SELECT * FROM v_data4")[0][2:] == (
        *(650.0, 1200.0, 0.97, None, None, 52.0),
    )
    (shown,) = client.get("/history/json").json or []
    assert shown["data"] == {
        "mh_z19": {"co2": 650.0},
        "mq_2": {"analog_value": 1200.0, "voltage": 0.97},
        "ds18b20": {"temperature": None},
        "dht11": {"temperature": None, "humidity": 52.0},
    }
    export(settings, database)
    assert (settings.csv_dir / "LR_env.csv").read_bytes().endswith(b",650.0,1200.0,0.97,,,52.0\r\n")
    assert writer.rejected_queue.depth == 0


@with_settings(PARTIAL_READINGS="accept,data2=reject")
def test_it_is_accepted_by_the_station(client: FlaskClient, writer: Writer) -> None:
    half = {"temperature": 20, "humidity": 50}
    assert client.post("/data3", json=half).status_code == 200
    answer = client.post("/data2", json=half)
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["details"]["co2"] == "required field missing"


@with_settings(PARTIAL_READINGS="accept")
@pytest.mark.parametrize("body", [b"", b"[1]", b'{"pressure": nan}', b'{"temperature": "--"}'])
def test_nothing_usable_is_a_400(client: FlaskClient, writer: Writer, body: bytes) -> None:
    answer = client.post("/data", data=body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["details"].keys() == {"pressure", "temperature"}
    assert (writer.depth, writer.rejected_queue.depth) == (0, 1)


@with_settings(PARTIAL_READINGS="accept", ACK="committed")
def test_both_promises_together(client: FlaskClient, running: Writer, database: Database) -> None:
    answer = client.post("/data", json={"pressure": 1000})
    assert answer.json == {
        "status": "accepted_with_warnings",
        "details": {"temperature": "required field missing"},
    }
    assert select(database.path, "SELECT pressure, temperature FROM readings") == [(1000.0, None)]


def test_a_power_on_value_is_warned_of_and_answered_as_ever(
    client: FlaskClient, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    whole = LIVING_ROOM | {
        "ds18b20": {"temperature": 85},
        "dht11": {"temperature": 25, "humidity": 52},
    }
    answer = client.post("/data4", json=whole)
    assert (answer.status_code, answer.json) == (200, {"status": "enqueued"})
    (record,) = (r for r in caplog.records if r.levelname == "WARNING")
    assert "85 is what a DS18B20 gives right after power-on: kept" in record.message


@with_settings(PARTIAL_READINGS="accept")
def test_warnings_are_counted_by_station_and_field(client: FlaskClient, writer: Writer) -> None:
    client.post("/data4", json=LIVING_ROOM)
    client.post("/data4", json=LIVING_ROOM | {"mq_2": None})
    client.post("/data", json={"pressure": 1000})
    client.post("/data", json=GOOD)
    before = client.get("/metrics/details").json
    assert before is not None
    assert before["warnings"]["data"] == {"pressure": 0, "temperature": 0}
    writer.step()
    found = client.get("/metrics/details").json
    assert found is not None
    assert found["warnings"] == {
        "data": {"pressure": 0, "temperature": 1},
        "data2": {"co2": 0, "temperature": 0, "humidity": 0, "pressure": 0, "gas_res": 0},
        "data3": {"temperature": 0, "humidity": 0, "pressure": 0, "gas_res": 0},
        "data4": {
            "mh_z19.co2": 0,
            "mq_2.analog_value": 1,
            "mq_2.voltage": 1,
            "ds18b20.temperature": 2,
            "dht11.temperature": 2,
            "dht11.humidity": 0,
        },
    }


# Refused readings


def test_what_is_refused_is_kept_as_it_came(
    client: FlaskClient, writer: Writer, database: Database
) -> None:
    bodies = [b'{"pressure": null, "temperature": "25.1\xc2\xb0C"}', b"{\xff}", b""]
    for body in bodies:
        answer = client.post("/data", data=body, content_type="application/json; charset=utf-8")
        assert answer.status_code == 400
    assert client.post("/data2", data=b"{}", content_type="text/plain").status_code == 400
    assert client.post("/data", data=b" " * 65537).status_code == 413
    assert client.post("/data", json=GOOD).status_code == 200
    writer.step()
    writer.rejected_queue.step()
    kept = select(database.path, REJECTED)
    assert [row[4] for row in kept] == [*bodies, b"{}", b""]
    assert [row[3] for row in kept] == [*["application/json"] * 3, "text/plain", ""]
    assert kept[0][:3] == ("data", '{"pressure": "required field missing"}', "")
    assert kept[1][2].startswith("the body is not UTF-8")
    assert kept[2][2] == "the body is empty: send one JSON object"
    assert kept[3][2] == "Content-Type is text/plain: send application/json"
    assert kept[4][1] == '{"body": "over 65536 bytes; nothing of it is kept"}'
    (times,) = select(database.path, "SELECT max(received_at), min(received_at) FROM rejected")
    assert 0 <= time.time() * 1000 - times[1] < 60_000


def test_a_flood_of_garbage_is_answered_and_bounded(client: FlaskClient, writer: Writer) -> None:
    for _ in range(700):
        assert client.post("/data", data=b"garbage").status_code == 400
    assert writer.rejected_queue.depth == 640
    assert client.post("/data", json=GOOD).status_code == 200
    assert writer.step() == 1


def test_details_of_what_was_refused(
    client: FlaskClient, writer: Writer, database: Database
) -> None:
    nothing = {"kept_total": 0, "evicted_total": 0, "dropped_total": 0}
    found = client.get("/metrics/details").json
    assert found is not None
    assert (found["ack"], found["rejected"]) == ("enqueued", nothing)
    client.post("/data", data=b"garbage")
    writer.rejected_queue.finish()
    execute(
        database.path,
        "DELETE FROM rejected",
        "INSERT INTO counters VALUES ('rejected_evicted', 7), ('rejected_dropped', 8)",
    )
    found = client.get("/metrics/details").json
    assert found is not None
    assert found["rejected"] == {"kept_total": 1, "evicted_total": 7, "dropped_total": 8}


def test_details_of_a_database_that_cannot_be_read(client: FlaskClient, database: Database) -> None:
    execute(database.path, "DROP TABLE counters")
    answer = client.get("/metrics/details")
    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["error"] == "database unavailable"


# The writer's thread


@pytest.fixture
def lone_writer(settings: Settings, database: Database) -> Iterator[Writer]:
    queues = SharedQueues.anonymous(settings.write_queue_maxsize)
    writer = Writer(
        settings,
        database,
        WorkerSlot(Gauges(BUILT_IN.by_endpoint), queues, 0),
        end_worker=lambda: None,
    )
    yield writer
    writer.close(5)


@patient
def test_a_receipt_is_settled_after_a_retry(
    lone_writer: Writer, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    make_impatient(database)
    receipt = Receipt()
    lone_writer.submit(pico(1), receipt)
    with write_lock(database.path):
        assert lone_writer.step() == 0
        assert not receipt.wait(0)
    assert lone_writer.step() == 1
    assert receipt.wait(0)
    assert receipt.refusal == ""
    assert select(database.path, PRESSURES) == [(1.0,)]
