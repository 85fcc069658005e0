"""The routes for sensors, seen through the test client; what only a real server shows is in e2e."""

import logging
from typing import Any

import pytest
from flask.testing import FlaskClient

from flask10x.database.database import Database
from flask10x.recording.writer import Writer
from flask10x.runtime.store import Store
from flask10x.web.app import create_app
from tests.conftest import MakeSettings
from tests.support.rows import select

GOOD = {"pressure": "1013.25hPa", "temperature": "25,1 C", "device": "pico-1"}


def test_a_reading_is_queued_and_stored(
    client: FlaskClient, writer: Writer, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flask10x.web.ingest")
    answer = client.post("/data", json=GOOD)
    assert (answer.status_code, answer.json) == (200, {"status": "enqueued"})
    assert caplog.messages == ["/data OK enqueued pressure=1013.25 temperature=25.1 queue_size=1"]
    writer.step()
    assert select(database.path, "SELECT endpoint, pressure, temperature FROM readings") == [
        ("data", 1013.25, 25.1)
    ]


def test_every_bad_field_is_named(
    client: FlaskClient, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.post("/data2", json={"humidity": 101, "temperature": [], "co2": None})
    assert answer.status_code == 400
    assert answer.json == {
        "error": "validation failed",
        "details": {
            "co2": "required field missing",
            "temperature": "unsupported type: list",
            "humidity": "above maximum 100",
            "pressure": "required field missing",
            "gas_res": "required field missing",
        },
    }
    assert caplog.messages[0].startswith(
        "/data2 validation error: {'co2': 'required field missing',"
    )
    assert writer.depth == 0


def test_a_field_of_nearly_the_right_name_is_named(
    client: FlaskClient, store: Store, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.post("/data", json={"presure": 1013, "temperature": 25})
    hint = "unknown field presure: did you mean pressure?"
    assert (answer.status_code, answer.json) == (
        400,
        {
            "error": "validation failed",
            "details": {"pressure": "required field missing"},
            "hint": hint,
        },
    )
    assert caplog.messages[0].endswith(f" ({hint})")
    store.writer.rejected_queue.finish()
    assert select(database.path, "SELECT hint FROM rejected") == [(hint,)]


def test_a_field_of_nearly_the_right_name_is_named_in_a_partial_reading(
    make_settings: MakeSettings, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(make_settings(PARTIAL_READINGS="accept"))
    hint = "unknown field presure: did you mean pressure?"

    answer = app.test_client().post("/data", json={"presure": 1013, "temperature": 25})
    assert (answer.status_code, answer.json) == (
        200,
        {
            "status": "accepted_with_warnings",
            "details": {"pressure": "required field missing"},
            "hint": hint,
        },
    )
    assert caplog.messages[-1].endswith(f" ({hint})")
    app.extensions["flask10x"].close()


FLAT = {
    "co2_ppm": 650,
    "mq2_analog": 1200,
    "mq2_voltage": "0.97V",
    "ds18b20_temperature": 24.5,
    "dht11_temperature": 25,
    "dht11_humidity": 50,
}
READ_AT = {
    "mh_z19.co2": "read at co2_ppm",
    "mq_2.analog_value": "read at mq2_analog",
    "mq_2.voltage": "read at mq2_voltage",
    "ds18b20.temperature": "read at ds18b20_temperature",
    "dht11.temperature": "read at dht11_temperature",
    "dht11.humidity": "read at dht11_humidity",
}


def test_flat_fields_are_refused_as_ever_by_default(client: FlaskClient) -> None:
    for answer in (client.post("/data4", json=FLAT), client.post("/data4?dry_run=1", json=FLAT)):
        assert (answer.status_code, answer.json) == (
            400,
            {
                "error": "validation failed",
                "details": dict.fromkeys(
                    ["mh_z19", "mq_2", "ds18b20", "dht11"], "required field missing"
                ),
            },
        )


def test_flat_fields_are_stored_on_every_route_where_partial_readings_are_accepted(
    make_settings: MakeSettings, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(make_settings(PARTIAL_READINGS="data4=accept"))
    client, store = app.test_client(), app.extensions["flask10x"]
    accepted = {"status": "accepted_with_warnings", "details": READ_AT}

    def said(path: str, body: object) -> Any:
        return client.post(path, json=body).json

    assert said("/data4", FLAT) == accepted
    assert caplog.messages[-1] == f"/data4 accepted with warnings: {READ_AT}"
    assert said("/data4", [FLAT])["results"] == [accepted]
    batch = [{"endpoint": "data4", "data": FLAT, "age_s": 5}]
    assert said("/api/v1/readings", batch)["results"] == [accepted]
    trial = said("/data4?dry_run=1", FLAT)
    assert (trial["would"], trial["details"]) == ("accepted_with_warnings", READ_AT)
    assert trial["reading"]["mq_2"] == {"analog_value": 1200.0, "voltage": 0.97}

    while store.writer.step():
        pass
    columns = "co2, analog_value, voltage, temperature_ds18b20, temperature_dht11, humidity_dht11"
    assert (
        select(database.path, f"SELECT {columns} FROM readings")
        == [(650.0, 1200.0, 0.97, 24.5, 25.0, 50.0)] * 3
    )
    # No sensor has failed, so nothing is counted as missing.
    details: Any = client.get("/metrics/details").json
    assert details["warnings"]["data4"] == dict.fromkeys(READ_AT, 0)
    store.close()


def test_without_a_content_type_the_body_is_json(client: FlaskClient) -> None:
    assert client.post("/data", data=b'{"pressure": 1, "temperature": 2}').status_code == 200


def test_another_content_type_reads_as_an_empty_object(client: FlaskClient) -> None:
    answer = client.post(
        "/data", data=b'{"pressure": 1, "temperature": 2}', content_type="text/plain"
    )
    assert answer.status_code == 400
    assert answer.json == {
        "error": "validation failed",
        "details": {
            "pressure": "required field missing",
            "temperature": "required field missing",
        },
        "hint": "Content-Type is text/plain: send application/json",
    }


def test_the_limit_of_a_body(client: FlaskClient, writer: Writer) -> None:
    body = b'{"pressure": 1, "temperature": 2}'
    exact = body + b" " * (65536 - len(body))
    assert client.post("/data", data=exact).status_code == 200
    answer = client.post("/data", data=exact + b" ")
    assert (answer.status_code, answer.json) == (
        413,
        {"error": "body too large", "limit_bytes": 65536},
    )
    assert writer.depth == 1


def test_a_stopping_worker_refuses(
    client: FlaskClient, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    writer.refuse_new()
    answer = client.post("/data", json=GOOD)
    assert (answer.status_code, answer.json) == (503, {"status": "queued_failed"})
    assert int(answer.headers["Retry-After"]) > 0
    assert caplog.messages == ["/data refused: the service is stopping"]


@pytest.mark.parametrize("endpoint", ["data", "data2", "data3", "data4"])
def test_only_post(client: FlaskClient, endpoint: str) -> None:
    answer = client.get(f"/{endpoint}")
    assert (answer.status_code, answer.json) == (405, {"error": "method not allowed"})
    assert "POST" in answer.headers["Allow"]


def test_no_redirect_for_a_trailing_slash(client: FlaskClient) -> None:
    answer = client.post("/data/", json=GOOD)
    hint = "did you mean /data?"
    assert (answer.status_code, answer.json) == (404, {"error": "not found", "hint": hint})


def test_an_unexpected_failure_is_a_500_in_the_contracts_words(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("flask10x.readings.parse.parse", bug)
    answer = client.post("/data", json=GOOD)
    assert (answer.status_code, answer.json) == (500, {"error": "internal server error"})


def test_a_full_queue(
    client: FlaskClient, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    while not writer.full:
        assert client.post("/data", json=GOOD).status_code == 200
    answer = client.post("/data", json=GOOD)
    assert (answer.status_code, answer.json) == (503, {"status": "queued_failed"})
    assert answer.headers["Retry-After"]
    assert caplog.messages[-1] == "/data refused: queue full, 5000 wait"
    assert writer.step() == 500
    assert client.post("/data", json=GOOD).status_code == 200
