"""A station that was added, and a measurement that a built-in one got, are like all others."""

import csv
import html
import io
import json
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from flask10x.config.settings import Settings
from flask10x.database import station_columns
from flask10x.database.database import Database
from flask10x.readings.derived import derived_by_station, derived_names
from flask10x.readings.parse import Reading
from flask10x.recording.writer import Writer
from tests.conftest import MakeSettings
from tests.support.html import MINUTE, NINE, Outline, body_rows, table_names, words
from tests.support.pages import ADDRESSES
from tests.support.rows import execute
from tests.support.stations import HOUSE

JAPANESE = {"Accept-Language": "ja"}


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    return replace(make_settings(), stations=HOUSE)


@pytest.fixture
def database(database: Database) -> Database:
    station_columns.fit(database, HOUSE)
    return database


@pytest.fixture(autouse=True)
def readings(writer: Writer) -> None:
    for reading in (
        Reading("data", NINE, (1013.25, 25.1, 800.0)),
        Reading("data", NINE + MINUTE, (1013.5, 25.2, None)),
        Reading("garden-2", NINE + 2 * MINUTE, (19.5, 250.0, 41.0)),
        Reading("garden-2", NINE + 3 * MINUTE, (19.75, 350.5, None)),
        Reading("data3", NINE + 4 * MINUTE, (18.0, 61.0, 994.5, 5000.0)),
    ):
        writer.submit(reading)
    writer.step()


def test_json_has_its_values_at_their_paths(client: FlaskClient) -> None:
    def data(query: str) -> list[object]:
        return [one["data"] for one in client.get(f"/history/json?{query}").get_json()]

    assert data("endpoint=garden-2") == [
        {"temperature": 19.5, "light": 250.0, "soil": {"wet": 41.0}},
        {"temperature": 19.75, "light": 350.5, "soil": {"wet": None}},
    ]
    assert data("endpoint=data&limit=1") == [
        {"pressure": 1013.5, "temperature": 25.2, "light": None}
    ]
    assert data("measurement=soil_wet&since=0") == [
        {"soil": {"wet": 41.0}},
        {"soil": {"wet": None}},
    ]
    assert client.get("/history.json?endpoint=garden-2&order=desc").get_json()[0]["data"] == {
        "temperature": 19.75, "light": 350.5, "soil": {"wet": None}
    }  # fmt: skip


def test_csv_has_its_columns(client: FlaskClient) -> None:
    header, *rows = csv.reader(io.StringIO(client.get("/history.csv").text))
    assert header == [
        *("timestamp", "endpoint", "pressure", "temperature", "light_veml7700", "co2", "humidity"),
        *("gas_resistance", "analog_value", "voltage", "temperature_ds18b20"),
        *("temperature_dht11", "humidity_dht11", "light_bh1750", "soil_wet"),
    ]
    assert [[cell for cell in row[1:] if cell] for row in rows] == [
        ["data", "1013.25", "25.1", "800.0"],
        ["data", "1013.5", "25.2"],
        ["garden-2", "19.5", "250.0", "41.0"],
        ["garden-2", "19.75", "350.5"],
        ["data3", "994.5", "18.0", "61.0", "5000.0"],
    ]
    of_one = client.get(
        "/history.csv?endpoint=garden-2&measurement=light_bh1750&measurement=soil_wet"
    )
    assert of_one.text.split("\r\n")[:2] == [
        "timestamp,endpoint,light_bh1750,soil_wet",
        "2025-08-24 09:02:00,garden-2,250.0,41.0",
    ]
    assert "history_garden-2_light_bh1750-soil_wet.csv" in of_one.headers["Content-Disposition"]


@pytest.mark.parametrize(
    ("query", "times"),
    [
        ("light_bh1750__gt=250", ["09:03"]),
        ("light_bh1750__gte=250&light_bh1750__lt=350.5", ["09:02"]),
        ("light_bh1750__eq=350.5", ["09:03"]),
        ("light_veml7700__lte=800", ["09:00"]),
        ("light_veml7700__isnull=1&endpoint=data", ["09:01"]),
        ("soil_wet__isnull=0", ["09:02"]),
        ("temperature__lt=20&endpoint=garden-2&endpoint=data3", ["09:02", "09:03", "09:04"]),
        ("incomplete=1", ["09:01", "09:03"]),
        ("incomplete=1&measurement=light_bh1750", []),
    ],
)  # fmt: skip
def test_each_filter_knows_it(client: FlaskClient, query: str, times: list[str]) -> None:
    found = client.get(f"/history/json?{query}").get_json()
    assert [one["timestamp"][11:16] for one in found] == times


def test_a_wrong_name_is_answered_with_the_right_one(client: FlaskClient) -> None:
    details = client.get(
        "/history/json?endpoint=garden2&measurement=light_bh175&soil_wett__gte=1"
    ).get_json()["details"]
    assert "did you mean garden-2?" in details["endpoint"]
    assert "did you mean light_bh1750?" in details["measurement"]
    assert "soil_wet__gte" in details["soil_wett__gte"]


def test_a_quantity_is_one_axis_of_all_that_measure_it(client: FlaskClient) -> None:
    lines = client.get("/history/series").get_json()["series"]
    assert [
        (one["endpoint"], one["measurement"], one["quantity"], one["unit"], one["max"][-1])
        for one in lines
        if one["quantity"] in ("light", "temperature", "soil_wet")
    ] == [
        ("data", "temperature", "temperature", "°C", 25.2),
        ("data", "light_veml7700", "light", "lx", 800.0),
        ("data3", "temperature", "temperature", "°C", 18.0),
        ("garden-2", "temperature", "temperature", "°C", 19.75),
        ("garden-2", "light_bh1750", "light", "lx", 350.5),
        ("garden-2", "soil_wet", "soil_wet", "%", 41.0),
    ]


@pytest.mark.parametrize(
    ("headers", "station", "light", "title", "caption"),
    [
        ({}, "Garden <shed>", "Light (BH1750)", "Light", "Light (BH1750) ≥ 300 lx"),
        (JAPANESE, "庭の小屋", "照度（BH1750）", "照度", "照度（BH1750） ≥ 300 lx"),
    ],
)
def test_the_page_calls_it_by_its_labels(
    client: FlaskClient,
    headers: dict[str, str],
    station: str,
    light: str,
    title: str,
    caption: str,
) -> None:
    asked = "endpoint=garden-2&light_bh1750__gte=300&from=all"
    text = client.get(f"/history?{asked}", headers=headers).text
    page = Outline(text)
    assert (table_names(text), body_rows(text)[0][1:]) == ([station], ["19.8", "350.5", "–"])
    assert caption in words(text)
    boxes = [tag.get("value") for tag in page.all("input") if tag.get("name") == "measurement"]
    # Of the built-in stations those that have sent.
    sent = [HOUSE.by_endpoint[name] for name in ("data", "data3", "garden-2")]
    computed = derived_by_station(HOUSE)
    of_sent = {name for one in sent for name in (*one.columns, *computed[one.endpoint])}
    names = (*HOUSE.columns, *derived_names(HOUSE))
    assert boxes == [name for name in names if name in of_sent]
    assert page.field("light_bh1750__gte")["value"] == "300"
    assert f"{light} <small>lx</small>" in html.unescape(text)
    # Without a label the column says what it is.
    assert "soil_wet %" in words(text)
    (charts,) = [tag for tag in page.all("section") if "data-texts" in tag]
    names = json.loads(str(charts["data-texts"]))
    assert names["stations"]["garden-2"] == station
    assert names["columns"]["light_bh1750"] == light
    assert names["quantities"]["light"] == title
    assert names["quantities"]["analog_value"] == names["columns"]["analog_value"]


def test_the_page_of_rejected_readings_calls_it_by_its_labels(
    client: FlaskClient, writer: Writer
) -> None:
    assert client.post("/garden-2", json={"temperature": 20, "light": -1}).status_code == 400
    writer.rejected_queue.finish()
    shown = words(client.get("/history/rejected?endpoint=garden-2").text)
    assert "Garden <shed> garden-2" in shown
    assert "Light (BH1750) light : below minimum 0" in shown
    assert "照度（BH1750） light" in words(client.get("/history/rejected", headers=JAPANESE).text)


def test_readings_of_a_station_that_is_no_more_break_nothing(
    client: FlaskClient, database: Database
) -> None:
    urls = [
        *ADDRESSES,
        *("/history/json", "/history/json?since=0", "/history.csv", "/history.json"),
        *(
            "/history/series",
            "/history?temperature__lt=99&from=all",
            "/history?incomplete=1&from=all",
        ),
        *("/history/json?temperature__lt=99", "/metrics"),
    ]
    before = {url: client.get(url) for url in urls}
    execute(
        database.path,
        "INSERT INTO readings (endpoint, received_at, temperature)"
        f" VALUES ('cellar', {NINE + 30_000}, 12.5), ('cellar', {NINE + 90_000}, NULL)",
        "INSERT INTO rollups SELECT 'cellar', measurement, hour, readings, count, total, minimum,"
        " maximum FROM rollups WHERE endpoint = 'data'",
    )
    for url, answer in before.items():
        now = client.get(url)
        assert now.status_code == answer.status_code == 200
        if url not in ("/history", "/metrics"):
            assert "12.5" not in now.text
        assert "cellar" not in now.text
    refused = client.get("/history/json?endpoint=cellar")
    assert (refused.status_code, "unknown station" in refused.text) == (400, True)
