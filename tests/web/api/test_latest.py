"""`GET /api/v1/latest`: the values of the history, with age and state."""

import time
from typing import Any
from unittest.mock import Mock

import pytest
from flask.testing import FlaskClient

from flask10x.alerts.active import AlertState
from flask10x.database.database import Database
from flask10x.recording.writer import Writer
from flask10x.runtime.store import Store
from flask10x.system.gauges import Gauges
from tests.readings.test_derived import OF_PAIR
from tests.support.corrections import correct
from tests.support.html import NINE
from tests.support.rows import INFINITY, execute, pico

ENDPOINTS = ["data", "data2", "data3", "data4"]


def latest(client: FlaskClient, query: str = "") -> Any:
    answer = client.get(f"/api/v1/latest{query}")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.get_json()


@pytest.mark.usefixtures("four")
def test_the_values_are_those_of_the_history(client: FlaskClient) -> None:
    stations = latest(client)["stations"]
    assert list(stations) == ENDPOINTS
    for endpoint, station in stations.items():
        (reading,) = client.get(f"/history/json?endpoint={endpoint}&limit=1").get_json()
        assert station["data"] == reading["data"]
        # The newest reading of these is what both show.
        assert station["received_at"][:19].replace("T", " ") == reading["timestamp"]
        assert station["measurements"].keys() == station["units"].keys()
        assert station == latest(client, f"?station={endpoint}") | {"age_s": station["age_s"]}


@pytest.mark.usefixtures("four")
def test_all_stations_are_seen_by_the_same_alerts(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Just written to, the file of alerts is read by each look at it."""
    look = Mock(side_effect=client.application.extensions["flask10x.alerts"].current)
    monkeypatch.setattr(AlertState, "current", lambda _self: look())
    latest(client)
    look.assert_called_once()


def test_a_station_in_full(
    client: FlaskClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(
        database.path,
        "INSERT INTO readings (endpoint, received_at, temperature, humidity, pressure)"
        f" VALUES ('data3', {NINE + 2 * 60_000}, 30.20312, 61, 994.5)",
    )
    monkeypatch.setattr(time, "time_ns", lambda: (NINE + 2 * 60_000 + 12_000) * 1_000_000)
    answer = latest(client, "?station=data3")
    derived, units = answer.pop("derived"), answer.pop("derived_units")
    assert answer == {
        "endpoint": "data3",
        "label": "Outside",
        "label_ja": "屋外",
        "state": "receiving",
        "age_s": 12,
        "received_at": "2025-08-24T09:02:00.250+09:00",
        "measurements": {
            "temperature": 30.20312,
            "humidity": 61.0,
            "pressure": 994.5,
            "gas_resistance": None,
        },
        "units": {"temperature": "°C", "humidity": "%", "pressure": "hPa", "gas_resistance": "Ω"},
        "missing": ["gas_resistance"],
        "data": {"temperature": 30.20312, "humidity": 61.0, "pressure": 994.5, "gas_res": None},
    }
    assert [*derived] == [*units] == [*OF_PAIR, "pressure_trend"]
    values: dict[str, float | None] = {
        "dew_point": 21.847,
        "absolute_humidity": 18.663,
        "discomfort_index": 80.281,
    }
    values |= {"wbgt": 25.796, "pressure_trend": None}
    assert values.items() <= derived.items()
    named = {"dew_point": "°C", "absolute_humidity": "g/m³", "discomfort_index": "", "wbgt": "°C"}
    assert {**named, "pressure_trend": "hPa"}.items() <= units.items()
    assert "屋外" in client.get("/api/v1/latest").text


def test_every_key_is_there_before_the_first_reading(client: FlaskClient) -> None:
    station = latest(client, "?station=data")
    assert (station["state"], station["age_s"], station["received_at"]) == ("never", None, None)
    assert station["measurements"] == station["data"] == {"pressure": None, "temperature": None}
    assert station["missing"] == []


def test_no_key_is_hidden_by_a_method_in_a_template(client: FlaskClient) -> None:
    """Jinja looks for an attribute of a dict before it looks for a key."""
    station = client.get("/api/v1/latest").get_json()
    objects = [station, *station["stations"].values()]
    assert not [key for each in objects for key in each if hasattr(dict, key)]


def test_age_and_state_are_those_of_the_card(
    client: FlaskClient, gauges: Gauges, monkeypatch: pytest.MonkeyPatch
) -> None:
    gauges.note_received("data", 5_000_000)
    monkeypatch.setattr(time, "monotonic_ns", lambda: 5_120_000 * 1_000_000)
    assert latest(client)["stations"]["data"]["state"] == "receiving"
    monkeypatch.setattr(time, "monotonic_ns", lambda: 5_121_000 * 1_000_000)
    station = latest(client)["stations"]["data"]
    assert (station["state"], station["age_s"]) == ("silent", 121)
    assert 'class="card silent ' in client.get("/history").text


def test_the_newest_reading_counts_not_the_last_that_was_stored(
    client: FlaskClient, writer: Writer
) -> None:
    for reading in (pico(1, NINE), pico(2, NINE - 1000)):
        writer.submit(reading)
        writer.step()
    assert latest(client, "?station=data")["measurements"]["pressure"] == 1.0


def test_an_infinity_that_a_person_has_stored_is_null(
    client: FlaskClient, database: Database
) -> None:
    execute(
        database.path,
        "INSERT INTO readings (endpoint, received_at, pressure, temperature)"
        f" VALUES ('data', {NINE}, {INFINITY}, 25.5)",
    )
    station = latest(client, "?station=data")
    assert station["measurements"] == {"pressure": None, "temperature": 25.5}


@pytest.mark.parametrize(
    ("query", "details"),
    [
        ("?endpoint=data", {"endpoint": "unknown parameter (did you mean station?)"}),
        ("?statoin=data", {"statoin": "unknown parameter (did you mean station?)"}),
        ("?q=1", {"q": "unknown parameter"}),
        ("?station=", {"station": "is empty: leave the parameter out"}),
        ("?station=data&station=data2", {"station": "given 2 times"}),
    ],
)
def test_nothing_is_guessed(client: FlaskClient, query: str, details: dict[str, str]) -> None:
    answer = client.get(f"/api/v1/latest{query}")
    assert answer.status_code == 400
    assert answer.get_json() == {"error": "invalid query", "details": details}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Data2", "unknown station (did you mean data2? known: data, data2, data3, data4)"),
        ("<kitchen>", "unknown station (known: data, data2, data3, data4)"),
    ],
)
def test_an_unknown_station_gets_the_nearest_name(
    client: FlaskClient, name: str, hint: str
) -> None:
    answer = client.get("/api/v1/latest", query_string={"station": name})
    assert answer.status_code == 404
    assert answer.get_json() == {"error": "not found", "hint": hint}


@pytest.mark.sqlite_only("overwrites the file")
def test_a_database_that_cannot_be_read_is_a_503(client: FlaskClient, store: Store) -> None:
    assert client.get("/api/v1/latest").status_code == 200
    store.database.reader.dispose()
    store.database.path.write_bytes(b"no database" * 1000)
    answer = client.get("/api/v1/latest")
    assert answer.status_code == 503
    assert answer.get_json() == {"error": "database unavailable"}
    assert answer.headers["Retry-After"] == "5"


@pytest.mark.usefixtures("four")
def test_raw_values_are_those_that_were_stored(client: FlaskClient, database: Database) -> None:
    before = latest(client, "?station=data")
    with database.commit() as connection:
        correct(connection, "data", "temperature", None, None, offset=-0.5)
    stored = before["measurements"]["temperature"]
    assert latest(client, "?station=data")["measurements"]["temperature"] == stored - 0.5
    assert latest(client, "?raw=1")["stations"]["data"]["measurements"] == before["measurements"]
    answer = client.get("/api/v1/latest?raw=yes&raws=1")
    assert answer.status_code == 400
    assert answer.get_json()["details"].keys() == {"raw", "raws"}
