"""Derived values in rows and among the latest: by name, in JSON, files, the page."""

import html
import json
import re

import pytest
from flask.testing import FlaskClient

from flask10x.database.database import Database
from tests.readings.test_derived import OF_PAIR
from tests.support.html import MINUTE, NINE
from tests.support.rows import execute

HOUR = 60 * MINUTE
# By the Magnus formula: 26 °C with 60 % has a dew point of 17.6 °C (ecoq21.jp says 17.6, too).
DEW_POINT = 17.632


@pytest.fixture(autouse=True)
def stored(database: Database) -> None:
    execute(
        database.path,
        "INSERT INTO readings (endpoint, received_at, temperature, humidity, pressure, co2) VALUES"
        f" ('data2', {NINE - 3 * HOUR}, 25, 60, 1010.0, 600),"
        f" ('data2', {NINE}, 26, 60, 1008.5, 650),"
        f" ('data2', {NINE + MINUTE}, 26, NULL, 1008.5, 650),"
        f" ('data3', {NINE}, 30, 50, 1008.0, NULL)",
    )


def test_the_row_of_a_reading(client: FlaskClient) -> None:
    found = client.get("/history/json?endpoint=data2&measurement=co2&measurement=dew_point")
    assert found.get_json()[1:] == [
        {
            "endpoint": "data2",
            "timestamp": "2025-08-24 09:00:00",
            "data": {"co2": 650.0},
            "derived": {"dew_point": DEW_POINT},
        },
        {
            "endpoint": "data2",
            "timestamp": "2025-08-24 09:01:00",
            "data": {"co2": 650.0},
            "derived": {"dew_point": None},
        },
    ]


def test_without_a_name_nothing_is_computed(client: FlaskClient) -> None:
    assert all(set(one) == {"endpoint", "timestamp", "data"} for one in _json(client, ""))
    (one, *_) = _json(client, "?endpoint=data2&measurement=wbgt")
    assert one["data"] == {}


def test_only_stations_that_have_it_answer(client: FlaskClient) -> None:
    # Nobody has said how high the house is.
    refused = client.get("/history/json?measurement=sea_level_pressure")
    assert refused.status_code == 400
    assert {one["endpoint"] for one in _json(client, "?measurement=dew_point")} == {
        *("data2", "data3"),
    }


def test_a_file_has_a_column_of_it(client: FlaskClient) -> None:
    url = (
        "/history.csv?endpoint=data2&measurement=dew_point&measurement=temperature&from=2025-08-24"
    )
    answer = client.get(url + "%2009:00")
    assert answer.text.splitlines() == [
        "timestamp,endpoint,temperature,dew_point",
        f"2025-08-24 09:00:00,data2,26.0,{DEW_POINT}",
        "2025-08-24 09:01:00,data2,26.0,",
    ]
    assert "data2_temperature-dew_point" in answer.headers["Content-Disposition"]


@pytest.mark.parametrize("path", ["/history/json", "/history.csv", "/history.json"])
def test_what_needs_several_readings_is_only_in_charts(client: FlaskClient, path: str) -> None:
    answer = client.get(f"{path}?measurement=pressure_trend")
    assert answer.status_code == 400
    assert answer.get_json()["details"] == {"measurement": "only /history/series understands it"}


def test_the_page_has_it_in_the_table_and_in_its_links(client: FlaskClient) -> None:
    page = client.get(
        "/history?measurement=dew_point&measurement=pressure_trend&endpoint=data2&from=all"
    )
    assert page.status_code == 200
    assert "<span>Dew point</span> <small>°C</small>" in page.text
    assert '<td role="cell" class="number" title="17.632" data-label="Dew point"' in page.text
    # Instead of the trend the table and the files have the pressure.
    assert (
        "/history.csv?endpoint=data2&amp;measurement=pressure&amp;measurement=dew_point"
        in page.text
    )


def test_the_page_says_of_which_readings_it_is_not_computed(
    client: FlaskClient, database: Database
) -> None:
    """The readings of a cold room are whole: nothing is missing in them."""
    asked = "/history?measurement=wbgt&measurement=dew_point&endpoint=data2&from=all"
    assert "hint limits" not in client.get(asked).text
    execute(
        database.path,
        "INSERT INTO readings (endpoint, received_at, temperature, humidity)"
        f" VALUES ('data2', {NINE + 2 * MINUTE}, 18.5, 60)",
    )
    page = client.get(asked).text
    rows = re.findall(r'<tr role="row"><th role="rowheader".*', page)
    assert [re.findall(r'class="number( \w+)?"', row) for row in rows] == [
        ["", " beyond"],
        [" missing", " missing"],
        ["", ""],
        ["", ""],
    ]
    assert re.findall(r'<p class="hint limits">(.*?)</p>', page) == [
        "Estimated WBGT is only computed for: Temperature 20 to 40 °C, Humidity 20 to 100 %."
    ]
    # For the line above the charts.
    texts = re.search(r'data-texts="([^"]*)"', page)
    assert texts is not None
    of_charts = json.loads(html.unescape(texts[1]))["limits"]
    assert of_charts["wbgt"].endswith("Temperature 20 to 40 °C, Humidity 20 to 100 %.")
    assert "pressure_trend" not in of_charts
    japanese = client.get(asked, headers={"Accept-Language": "ja"}).text
    assert (
        "暑さ指数（WBGT）参考値は次の範囲でのみ計算します: 温度 20〜40 °C、湿度 20〜100 %。"
        in japanese
    )


def test_the_form_offers_them_as_calculated(client: FlaskClient) -> None:
    page = client.get("/history", headers={"Accept-Language": "ja"}).text
    assert "計算値" in page
    assert "暑さ指数（WBGT）参考値" in page
    assert "日常生活における熱中症予防指針" in page


def test_the_latest_values_need_other_readings_too(client: FlaskClient, database: Database) -> None:
    execute(database.path, f"DELETE FROM readings WHERE received_at = {NINE + MINUTE}")
    found = client.get("/api/v1/latest?station=data2").get_json()
    values = {
        "dew_point": DEW_POINT,
        "absolute_humidity": 14.573,
        "discomfort_index": 74.224,
        "wbgt": 21.845,
        "pressure_trend": -1.5,
        "outdoor_difference": -4.0,
    }
    assert [*found["derived"]] == [*OF_PAIR, "pressure_trend", "outdoor_difference"]
    assert values.items() <= found["derived"].items()
    assert found["derived_units"]["pressure_trend"] == "hPa"


@pytest.mark.parametrize("minutes", [11, -11])
def test_a_reading_too_far_from_three_hours_before_gives_no_trend(
    client: FlaskClient, database: Database, minutes: int
) -> None:
    at = NINE - 3 * HOUR + minutes * MINUTE
    execute(database.path, f"UPDATE readings SET received_at = {at} WHERE pressure = 1010.0")
    execute(database.path, f"UPDATE readings SET received_at = {at} WHERE endpoint = 'data3'")
    execute(database.path, f"DELETE FROM readings WHERE received_at = {NINE + MINUTE}")
    found = client.get("/api/v1/latest?station=data2").get_json()["derived"]
    assert found["pressure_trend"] is None
    # Nor do readings of two stations that lie hours apart give a difference.
    assert found["outdoor_difference"] is None


def _json(client: FlaskClient, query: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = client.get(f"/history/json{query}").get_json()
    return found
