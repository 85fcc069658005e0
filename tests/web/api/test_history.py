"""The three history routes: bytes, headers, refusals, and what a broken database does to them."""

import importlib
import io
import json
import logging
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import sqlalchemy.exc
from flask.testing import FlaskClient

from flask10x.database.database import Database
from flask10x.readings.parse import Reading
from flask10x.recording.writer import Writer
from flask10x.system.pace import Pace
from flask10x.web.api import history as history_api
from flask10x.web.limits import DOWNLOADS_MAX
from tests.support.both_engines import NO_READINGS
from tests.support.html import MINUTE, NINE, Outline
from tests.support.rows import INFINITY, execute, insert_readings, pico, select


def link(client: FlaskClient, url: str, name: str) -> str | None:
    header = client.get(url).headers.get("Link", "")
    link = re.search(rf'<([^>]*)>; rel="{name}"', header)
    return link[1] if link else None


# --- JSON ------------------------------------------------------------------------------------


def test_an_infinity_that_a_person_has_stored_is_null(
    client: FlaskClient, database: Database
) -> None:
    execute(
        database.path,
        "INSERT INTO readings (endpoint, received_at, pressure, temperature)"
        f" VALUES ('data', {NINE}, {INFINITY}, 25.5),"
        f" ('data', {NINE + MINUTE}, -{INFINITY}, -{INFINITY})",
    )
    values = [
        {"pressure": None, "temperature": 25.5},
        {"pressure": None, "temperature": None},
    ]
    for url in ("/history/json", "/history/json?since=0", "/history.json"):
        answer = client.get(url)
        assert answer.status_code == 200
        assert [reading["data"] for reading in answer.get_json()] == values
    pressure, temperature = client.get("/history/series").get_json()["series"]
    assert (pressure["min"], pressure["avg"], pressure["max"]) == ([None] * 2,) * 3
    assert (temperature["min"], temperature["max"]) == ([25.5, None], [25.5, None])
    assert client.get("/history.csv").text.splitlines()[1:] == [
        "2025-08-24 09:00:00,data,inf,25.5,,,,,,,,",
        "2025-08-24 09:01:00,data,-inf,-inf,,,,,,,,",
    ]
    assert client.get("/history").status_code == 200


@pytest.mark.usefixtures("four")
def test_json_without_parameters_is_the_old_answer(client: FlaskClient) -> None:
    answer = client.get("/history/json")
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    assert answer.get_json() == [
        {
            "endpoint": "data",
            "timestamp": "2025-08-24 09:00:00",
            "data": {"pressure": 1013.25, "temperature": 25.1},
        },
        {
            "endpoint": "data2",
            "timestamp": "2025-08-24 09:01:00",
            "data": {
                "co2": 650.0,
                "temperature": 26.5,
                "humidity": 48.0,
                "pressure": 996.5,
                "gas_res": 5419.0,
            },
        },
        {
            "endpoint": "data3",
            "timestamp": "2025-08-24 09:02:00",
            "data": {"temperature": 30.20312, "humidity": 61.0, "pressure": 994.5, "gas_res": None},
        },
        {
            "endpoint": "data4",
            "timestamp": "2025-08-24 09:03:00",
            "data": {
                "mh_z19": {"co2": 612.0},
                "mq_2": {"analog_value": 433.0, "voltage": 1e-05},
                "ds18b20": {"temperature": None},
                "dht11": {"temperature": 26.0, "humidity": 52.0},
            },
        },
    ]
    assert b'"co2": 650.0,' in answer.data
    assert "Link" not in answer.headers


@pytest.mark.usefixtures("four")
def test_json_of_some_measurements(client: FlaskClient) -> None:
    answer = client.get("/history/json?measurement=co2&measurement=temperature_dht11").get_json()
    assert [(reading["endpoint"], reading["data"]) for reading in answer] == [
        ("data2", {"co2": 650.0}),
        ("data4", {"mh_z19": {"co2": 612.0}, "dht11": {"temperature": 26.0}}),
    ]


@pytest.mark.usefixtures("four")
def test_incomplete_readings_lack_one_of_the_chosen_measurements(client: FlaskClient) -> None:
    def stations(query: str) -> list[str]:
        return [reading["endpoint"] for reading in client.get(f"/history/json?{query}").get_json()]

    assert stations("incomplete=1") == ["data3", "data4"]
    assert stations("incomplete=1&measurement=gas_resistance") == ["data3"]
    assert stations("incomplete=1&measurement=co2") == []


@pytest.mark.usefixtures("four")
def test_the_last_id_leads_to_what_is_new(client: FlaskClient, writer: Writer) -> None:
    first = client.get("/history/json?endpoint=data&limit=1")
    assert first.headers["X-Last-Id"] == "4"
    writer.submit(pico(7, NINE - MINUTE))
    writer.submit(Reading("data3", NINE, (1.0, 2.0, 3.0, 4.0)))
    writer.step()
    after = client.get("/history/json?endpoint=data&since=4")
    assert [reading["data"]["pressure"] for reading in after.get_json()] == [7.0]
    assert after.headers["X-Last-Id"] == "6"
    assert "Link" not in after.headers
    assert client.get("/history/json?since=6").get_json() == []


def test_json_of_an_empty_database(client: FlaskClient) -> None:
    answer = client.get("/history/json")
    assert (answer.status_code, answer.data) == (200, b"[]\n")
    assert answer.headers["X-Last-Id"] == "0"


@pytest.mark.usefixtures("four")
def test_links_are_relative_and_keep_the_filters(client: FlaskClient) -> None:
    url = "/history/json?order=desc&limit=1&temperature__gt=20&from=2025-08-24T00:00%2B09:00"
    query = "from=2025-08-24T00:00%2B09:00&temperature__gt=20&order=desc&limit=1"
    answer = client.get(url)
    assert [reading["endpoint"] for reading in answer.get_json()] == ["data3"]
    assert answer.headers["Link"] == (
        f'</history/json?{query}&cursor=before:{NINE + 2 * MINUTE}:3>; rel="next"'
    )
    following = link(client, url, "next")
    assert following
    answer = client.get(following)
    assert [reading["endpoint"] for reading in answer.get_json()] == ["data2"]
    assert answer.headers["Link"] == (
        f'</history/json?{query}&cursor=before:{NINE + MINUTE}:2>; rel="next", '
        f'</history/json?{query}&cursor=after:{NINE + MINUTE}:2>; rel="prev"'
    )


def test_following_next_reads_everything_once(client: FlaskClient, writer: Writer) -> None:
    for number in range(25):
        writer.submit(pico(number, NINE + number // 3))
    writer.step()
    pressures: list[float] = []
    url: str | None = "/history/json?order=asc&limit=4"
    while url:
        pressures += [reading["data"]["pressure"] for reading in client.get(url).get_json()]
        url = link(client, url, "next")
    assert pressures == list(range(25))


@pytest.mark.parametrize("path", ["/history/json", "/history.csv", "/history.json"])
def test_a_bad_query_is_refused_with_every_reason(client: FlaskClient, path: str) -> None:
    answer = client.get(f"{path}?limit=0&limt=5&from=")
    assert answer.status_code == 400
    assert answer.get_json() == {
        "error": "invalid query",
        "details": {
            "limit": "a whole number from 1 to 1000 is needed",
            "limt": "unknown parameter (did you mean limit?)",
            "from": "is empty: leave the parameter out",
        },
    }


@pytest.mark.parametrize("path", ["/history", "/history/json", "/history.csv"])
def test_bytes_that_are_no_text_are_refused(client: FlaskClient, path: str) -> None:
    assert client.get(f"{path}?co2__gt=%ff").status_code == 400
    assert client.get(f"{path}?%ff=1").status_code == 400


# --- CSV -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("four")
def test_csv_to_the_byte(client: FlaskClient) -> None:
    answer = client.get("/history.csv?endpoint=data2&endpoint=data4")
    assert answer.content_type == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == (
        'attachment; filename="history_data2-data4.csv"'
    )
    assert answer.data == (
        b"timestamp,endpoint,co2,temperature,humidity,pressure,gas_resistance,analog_value,"
        b"voltage,temperature_ds18b20,temperature_dht11,humidity_dht11\r\n"
        b"2025-08-24 09:01:00,data2,650.0,26.5,48.0,996.5,5419.0,,,,,\r\n"
        b"2025-08-24 09:03:00,data4,612.0,,,,,433.0,1e-05,,26.0,52.0\r\n"
    )


@pytest.mark.usefixtures("four")
def test_csv_of_some_measurements(client: FlaskClient) -> None:
    answer = client.get("/history.csv?measurement=humidity&measurement=temperature")
    assert answer.headers["Content-Disposition"] == (
        'attachment; filename="history_all_temperature-humidity.csv"'
    )
    assert answer.data == (
        b"timestamp,endpoint,temperature,humidity\r\n"
        b"2025-08-24 09:00:00,data,25.1,\r\n"
        b"2025-08-24 09:01:00,data2,26.5,48.0\r\n"
        b"2025-08-24 09:02:00,data3,30.20312,61.0\r\n"
    )


@pytest.mark.usefixtures("four")
def test_csv_for_excel_begins_with_a_byte_order_mark_once(client: FlaskClient) -> None:
    plain = client.get("/history.csv?endpoint=data").data
    assert client.get("/history.csv?endpoint=data&bom=1").data == b"\xef\xbb\xbf" + plain
    assert client.get("/history.csv?endpoint=data&bom=1&from=2025-08-25").data == (
        b"\xef\xbb\xbftimestamp,endpoint,pressure,temperature\r\n"
    )


@pytest.mark.usefixtures("four")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["data", "data2", "data3", "data4"]),
        ("?order=desc", ["data4", "data3", "data2", "data"]),
        ("?limit=2", ["data3", "data4"]),
        ("?limit=2&order=asc", ["data", "data2"]),
        ("?from=2025-08-24+09:01&to=2025-08-24+09:02", ["data2", "data3"]),
        ("?from=2025-08-24+09:01:01&to=2025-08-24+09:02:00", ["data3"]),
        ("?gas_resistance__isnull=1", ["data", "data3", "data4"]),
        ("?temperature__gt=25.1&temperature__lt=30", ["data2"]),
        ("?temperature__gte=25.1&temperature__lte=26.5", ["data", "data2"]),
    ],
)
def test_csv_has_the_rows_of_the_query(
    client: FlaskClient, query: str, expected: list[str]
) -> None:
    lines = client.get(f"/history.csv{query}").text.split("\r\n")
    assert [line.split(",")[1] for line in lines[1:-1]] == expected
    assert lines[-1] == ""


def test_csv_without_rows_is_its_header(client: FlaskClient) -> None:
    assert client.get("/history.csv?endpoint=data").data == (
        b"timestamp,endpoint,pressure,temperature\r\n"
    )


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("", "history_all.csv"),
        ("?endpoint=data3&from=2025-08-24", "history_data3_from-2025-08-24.csv"),
        (
            "?from=2025-08-24T09:00%2B09:00&to=2025-08-25",
            "history_all_from-2025-08-24T09-00+0900_to-2025-08-25.csv",
        ),
        (
            "?from=2025-08-24T09:00:00-03:30&to=2025-08-24T13:00:00Z&bom=1",
            "history_all_from-2025-08-24T09-00-00-0330_to-2025-08-24T13-00-00Z_excel.csv",
        ),
        ("?endpoint=data&bom=1", "history_data_excel.csv"),
    ],
)
def test_the_file_name_says_station_and_range(client: FlaskClient, query: str, name: str) -> None:
    answer = client.get(f"/history.csv{query}")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'


@pytest.fixture
def many(database: Database) -> None:
    """More rows than one page of a download holds."""
    with database.commit() as connection:
        insert_readings(connection, (pico(number, NINE + number) for number in range(4500)))


@pytest.mark.usefixtures("many")
def test_csv_is_not_cut_at_history_max(client: FlaskClient) -> None:
    # Loading it takes a second, which every process of the tests would need.
    pd = importlib.import_module("pandas")
    table = pd.read_csv(io.BytesIO(client.get("/history.csv?endpoint=data").data))
    assert list(table.columns) == ["timestamp", "endpoint", "pressure", "temperature"]
    assert list(table["pressure"]) == list(range(4500))
    assert len(client.get("/history/json").get_json()) == 1000


# --- The JSON file ---------------------------------------------------------------------------


@pytest.mark.usefixtures("four")
def test_the_json_file_to_the_byte(client: FlaskClient) -> None:
    answer = client.get("/history.json?measurement=pressure&endpoint=data&endpoint=data2")
    assert answer.content_type == "application/json"
    assert answer.headers["Content-Disposition"] == (
        'attachment; filename="history_data-data2_pressure.json"'
    )
    assert answer.data == (
        b"[\n"
        b'{"endpoint": "data", "timestamp": "2025-08-24 09:00:00", "data": {"pressure": 1013.25}}'
        b",\n"
        b'{"endpoint": "data2", "timestamp": "2025-08-24 09:01:00", "data": {"pressure": 996.5}}\n'
        b"]\n"
    )


@pytest.mark.usefixtures("four")
@pytest.mark.parametrize("query", ["", "?order=desc", "?limit=2&incomplete=1", "?co2__gt=9999"])
def test_the_json_file_holds_what_json_answers(client: FlaskClient, query: str) -> None:
    page = client.get(f"/history/json{query}").get_json()
    assert client.get(f"/history.json{query}").get_json() == page


@pytest.mark.usefixtures("many")
def test_the_json_file_is_not_cut_at_history_max(client: FlaskClient) -> None:
    readings = client.get("/history.json").get_json()
    assert [reading["data"]["pressure"] for reading in readings] == list(range(4500))


# --- When the database can't be read ---------------------------------------------------------


@pytest.fixture
def no_table(database: Database) -> Iterator[None]:
    execute(database.path, "ALTER TABLE readings RENAME TO away")
    yield
    execute(database.path, "ALTER TABLE away RENAME TO readings")


@pytest.mark.usefixtures("no_table")
@pytest.mark.parametrize("path", ["/history/json", "/history.csv", "/history.json", "/history"])
def test_a_database_that_cannot_be_read_is_a_503(
    client: FlaskClient, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    if path == "/history":
        assert "Database unavailable" in answer.text
        Outline(answer.text)
    else:
        assert answer.get_json() == {"error": "database unavailable"}
    assert [
        (r.levelno, r.getMessage()) for r in caplog.records if r.name == "flask10x.web.read_errors"
    ] == [(logging.ERROR, f"Cannot read the database: {NO_READINGS}")]


def test_after_the_trouble_everything_works_again(
    client: FlaskClient, writer: Writer, database: Database
) -> None:
    execute(database.path, "ALTER TABLE readings RENAME TO away")
    assert client.get("/history/json").status_code == 503
    execute(database.path, "ALTER TABLE away RENAME TO readings")
    writer.submit(pico(1000, NINE))
    assert writer.step() == 1
    assert select(database.path, "SELECT pressure FROM readings") == [(1000.0,)]
    assert [reading["data"]["pressure"] for reading in client.get("/history/json").get_json()] == [
        1000.0
    ]


@pytest.mark.usefixtures("many")
@pytest.mark.sqlite_only("overwrites the file")
def test_overwritten_bytes_are_a_503(client: FlaskClient, database: Database) -> None:
    execute(database.path, "PRAGMA wal_checkpoint(TRUNCATE)")
    whole = database.path.read_bytes()
    database.path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    answer = client.get("/history/json")
    assert (answer.status_code, answer.get_json()) == (503, {"error": "database unavailable"})
    database.path.write_bytes(whole)


@pytest.mark.usefixtures("many")
def test_a_download_that_breaks_off_does_not_end_like_a_whole_one(
    client: FlaskClient, database: Database, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.get("/history.csv?endpoint=data", buffered=False)
    chunks = iter(answer.response)
    assert answer.status_code == 200
    assert next(chunks).count(b"\r\n") == 2001
    execute(database.path, "ALTER TABLE readings RENAME TO away")
    with pytest.raises(sqlalchemy.exc.DBAPIError):
        list(chunks)
    execute(database.path, "ALTER TABLE away RENAME TO readings")
    assert f"Download broken off: {NO_READINGS}" in caplog.text
    assert select(database.path, "SELECT count(*) FROM readings") == [(4500,)]
    writer.submit(pico(1))
    assert writer.step() == 1


def test_the_paths_are_these(client: FlaskClient) -> None:
    for path in ("/history", "/history/json", "/history.csv", "/history.json"):
        assert client.get(path).status_code == 200
        assert client.head(path).status_code == 200
        assert client.post(path).status_code == 405
        assert urlsplit(path).path == path
    assert client.get("/history/").status_code == 404
    assert json.loads(client.get("/history/json").data) == []


@pytest.mark.usefixtures("many")
def test_one_download_too_many_is_refused_until_another_has_ended(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_api, "_pace", Pace())
    open_ones = [client.get("/history.csv", buffered=False) for _ in range(DOWNLOADS_MAX)]
    assert {answer.status_code for answer in open_ones} == {200}
    for path in ("/history.csv", "/history.json"):
        refused = client.get(path)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        assert refused.get_json() == {"error": "too many downloads at once"}
    assert f"Download refused: {DOWNLOADS_MAX} are on their way already" in caplog.text
    assert client.get("/history/json").status_code == 200

    given_up, read, *rest = open_ones
    given_up.close()
    given_up.close()
    assert client.get("/history.json").status_code == 200
    again = client.get("/history.csv", buffered=False)
    assert client.get("/history.csv").status_code == 503
    assert read.data.count(b"\r\n") > 4000
    assert client.get("/history.json").status_code == 200
    for answer in (again, *rest):
        answer.close()


def test_a_download_that_cannot_begin_takes_no_place(
    client: FlaskClient, database: Database
) -> None:
    execute(database.path, "ALTER TABLE readings RENAME TO away")
    for _ in range(DOWNLOADS_MAX + 1):
        assert client.get("/history.csv").get_json() == {"error": "database unavailable"}
    execute(database.path, "ALTER TABLE away RENAME TO readings")
    for _ in range(DOWNLOADS_MAX + 1):
        assert client.head("/history.csv").status_code == 200
    assert client.get("/history.csv").status_code == 200
